"""Numbers that several tests compare with, each from its definition, by scipy and numpy alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.stats import norm
from scipy.stats import t as t_distribution


def students_levels(clusters: int) -> tuple[float, float]:
    """Where an interval ends: the normal chances of Student's deviations, for the variance that resampling leaves."""
    reach = np.sqrt(clusters / (clusters - 1)) * t_distribution.ppf(0.975, clusters - 1)
    return float(norm.cdf(-reach)), float(norm.cdf(reach))


def drawn_whole(clusters: np.ndarray, resamples: int = 1000) -> Iterator[np.ndarray]:
    """The places of the networks in each resample: of every cluster that was drawn, all of them, as often as it was."""
    places = [np.flatnonzero(clusters == cluster) for cluster in np.unique(clusters)]
    chances = np.full(len(places), 1 / len(places))
    for counts in np.random.default_rng(0).multinomial(len(places), chances, size=resamples):
        yield np.concatenate([np.tile(own, count) for own, count in zip(places, counts, strict=True)])


def least_squares(apart: np.ndarray, missed: np.ndarray) -> float:
    """The weight of a blend: numpy's least squares, kept in [0, 1]."""
    [weight], *_ = np.linalg.lstsq(apart[:, None], missed, rcond=None)
    return float(np.clip(weight, 0, 1))


def calibrated_on(others: np.ndarray, said: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The calibrated bar: numpy's line through the means, its slope kept at 0 or above."""
    slope = max(np.polyfit(said[others], truth[others], 1)[0], 0)
    return np.asarray(truth[others].mean() + slope * (said - said[others].mean()))


def blended_rises(own: np.ndarray, other: np.ndarray, truth: np.ndarray, fold: np.ndarray) -> list[float]:
    """By how much blending predictions into others lowers these ones' sum of squared errors, as they are and calibrated.
    Either blend is fitted, for each fold, on the other folds.
    """
    lowered = []
    for calibrated in (False, True):
        reference, blended = other.copy(), other.copy()
        for tested in np.unique(fold):
            inside = fold == tested
            base = calibrated_on(~inside, other, truth) if calibrated else other
            weight = least_squares((own - base)[~inside], (truth - base)[~inside])
            reference[inside], blended[inside] = base[inside], (base + weight * (own - base))[inside]
        lowered.append(float(np.sum((truth - reference) ** 2) - np.sum((truth - blended) ** 2)))
    return lowered
