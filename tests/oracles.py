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
