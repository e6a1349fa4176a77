"""What a method is worth beyond its own score, from stored predictions alone: gain, added, and the ceiling.

Gain and added compare two cases on the same test networks, so their intervals are paired: in every resample both are scored
on the same draw, and what is fitted to the predictions is fitted anew.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nndynbench.arrays import FloatArray
from nndynbench.protocols.intervals import Resamples, draw_resamples, quantiles, ratio
from nndynbench.protocols.metrics import METRICS, UndefinedMetricError
from nndynbench.protocols.protocol import Protocol
from nndynbench.protocols.scored import Scored, fold_masks
from nndynbench.protocols.scoring import Case, Estimate, paired

if TYPE_CHECKING:
    import pandas as pd

    from nndynbench.subsets import Subset


FINAL_ACCURACY = "final_accuracy"


class Worth(NamedTuple):
    """A method's gain over the bar and what it adds to it; None where there is no such number."""

    gain: Estimate | None
    added: Estimate | None


def worth(case: Case, bar: Case) -> Worth:
    """The gain over the bar in the protocol's first metric and, in a regression, what is added to the bar's R²."""
    more = _defined(added, case, bar) if case.protocol.blended else None
    return Worth(_defined(gain, case, bar, case.protocol.metrics[0]), more)


def _defined(function: Callable[..., Estimate], *arguments: object) -> Estimate | None:
    try:
        estimate = function(*arguments)
    except UndefinedMetricError:
        return None
    return estimate if all(map(math.isfinite, estimate)) else None


def gain(case: Case, bar: Case, metric: str) -> Estimate:
    """How much better a method is than the bar, in the metric's own unit; positive is better. It is the mean over the draws
    of the folds that both have.

    Raises
    ------
    UndefinedMetricError
        If one of the two has no value.
    ValueError
        For cases of different networks.
    """
    case, bar = paired(case, bar)
    direction = METRICS[metric].direction
    value = direction * (case.value(metric) - bar.value(metric))
    low, high = quantiles(direction * (case.in_resamples(metric) - bar.in_resamples(metric)), case.clusters)
    return Estimate(value + 0.0, low + 0.0, high + 0.0)  # no negative zeros


def added(case: Case, bar: Case) -> Estimate:
    """R² of the best blend of bar and method, minus the bar's R²; 0 if the bar already knew what the method says. It is the
    mean over the draws of the folds that both have.

    A forecast-encompassing test; see `blend`.

    Raises
    ------
    UndefinedMetricError
        For a split with one fold, which leaves nothing to fit the blend on, or for truths that are all equal.
    ValueError
        For cases of different networks.
    """
    case, bar = paired(case, bar)
    metric = case.protocol.blended or "r2"
    value = blend(case, bar).value(metric) - bar.value(metric)
    low, high = quantiles(added_in_resamples(case, bar), case.clusters)
    return Estimate(value + 0.0, low + 0.0, high + 0.0)  # no negative zeros


def added_in_resamples(case: Case, bar: Case) -> FloatArray:
    """`added` in every resample, (resamples,). The weight of each fold is fitted on the drawn networks of the other
    folds.
    """
    case, bar = paired(case, bar)
    total = METRICS[case.protocol.blended or "r2"].total
    assert total is not None
    parts = zip(case.draws, bar.draws, case.resamples, strict=True)
    lowered = [ratio(_lowered(own.scored, other.scored, drawn), total(own.scored, drawn)) for own, other, drawn in parts]
    return np.asarray(np.mean(lowered, axis=0))


def _lowered(case: Scored, bar: Scored, resamples: Resamples) -> FloatArray:
    """By how much the blend's sum of squared errors is lower than the bar's, in every resample.

    In a fold with weight w, let d be the method's prediction minus the bar's, and m the truth minus the bar's prediction.
    The sum is then lower by 2w·Σdm − w²·Σd², so a resample needs only these sums over each cluster's networks.
    """
    difference, missing = _apart(case, bar)
    folds = np.array(list(fold_masks(case)), dtype=np.float64)
    products, squares = (
        np.stack([resamples.sums(values * inside) for inside in folds], axis=1)
        for values in (difference * missing, difference**2)
    )
    others = 1 - np.eye(len(folds))
    weights = np.clip(np.nan_to_num(ratio(products @ others, squares @ others)), 0, 1)
    return np.asarray(np.sum(2 * weights * products - weights**2 * squares, axis=1))


def blend(case: Case, bar: Case) -> Case:
    """(1 − w)·bar + w·method. In each fold, w in [0, 1] has the least squared error on the predictions for the other folds'
    networks.
    """
    case, bar = paired(case, bar)
    draws = [replace(own, scored=_blend(own.scored, other.scored)) for own, other in zip(case.draws, bar.draws, strict=True)]
    return Case(case.protocol, tuple(draws))


def _blend(case: Scored, bar: Scored) -> Scored:
    difference, missing = _apart(case, bar)
    blended = bar.prediction.copy()
    for inside in fold_masks(case):
        blended[inside] += blend_weight(difference[~inside], missing[~inside]) * difference[inside]
    return replace(case, prediction=blended)


def _apart(case: Scored, bar: Scored) -> tuple[FloatArray, FloatArray]:
    """The method's predictions minus the bar's, and the truths minus the bar's predictions."""
    if len(np.unique(case.fold)) < 2:
        raise UndefinedMetricError("a blend is fitted on the predictions of the other folds, and this split has only one")
    return case.prediction - bar.prediction, bar.truth - bar.prediction


def blend_weight(difference: FloatArray, missing: FloatArray) -> float:
    """The weight w in [0, 1] that minimises Σ (missing − w·difference)²; 0 if the method says what the bar says."""
    scale = float(difference @ difference)
    return float(np.clip(difference @ missing / scale, 0, 1)) if scale > 0 else 0.0


def ceiling(networks: pd.DataFrame, metric: str) -> float | None:
    """What a recipe's mean can reach: the score of a predictor that knows each configuration's expected accuracy, estimated
    from the spread between its seeds.

    Let σ² be the variance between seeds: half the mean squared difference of two seeds of one configuration, where each
    configuration counts once. Then R² is 1 − σ² / variance of all final accuracies, RMSE is σ, and MAE is the mean absolute
    difference of two seeds over √2. None for other metrics, and for a subset in which no configuration has two seeds. A
    method that sees the weights may exceed the ceiling, since it knows how the seed itself has trained.
    """
    if "configuration" not in networks:
        return None
    by_configuration = [part.to_numpy() for _, part in networks.groupby("configuration")["final_accuracy"] if len(part) > 1]
    if not by_configuration:
        return None
    pairs = [np.subtract(*accuracies[np.stack(np.triu_indices(len(accuracies), 1))]) for accuracies in by_configuration]
    variance = float(np.mean([np.mean(differences**2) for differences in pairs]) / 2)
    scores = {
        "r2": 1 - variance / float(networks["final_accuracy"].var(ddof=0)),
        "rmse": float(np.sqrt(variance)),
        "mae": float(np.mean([np.mean(np.abs(differences)) for differences in pairs]) / np.sqrt(2)),
    }
    return scores.get(metric)


def ceiling_of(subset: Subset, protocol: Protocol, metric: str) -> Estimate | None:
    """The `ceiling` with its interval. None for a protocol that leaves networks out, tests another subset than it trains on,
    or predicts something other than final accuracies.
    """
    if protocol.split is None or protocol.target != FINAL_ACCURACY or protocol.above_chance:
        return None
    value, interval = ceiling(subset.networks, metric), ceiling_interval(subset.networks, metric)
    return None if value is None or interval is None else Estimate(value, *interval)


def ceiling_interval(networks: pd.DataFrame, metric: str) -> tuple[float, float] | None:
    """The 95% interval of the `ceiling`, from resampled configurations; None if there is no ceiling."""
    if ceiling(networks, metric) is None:
        return None
    order, configuration = np.unique(networks["configuration"], return_inverse=True)
    accuracies = networks["final_accuracy"].to_numpy(dtype=np.float64)
    parts = [accuracies[configuration == number] for number in range(len(order))]
    pairs = [np.subtract(*own[np.stack(np.triu_indices(len(own), 1))]) if len(own) > 1 else None for own in parts]
    twins = np.array([own is not None for own in pairs], dtype=np.float64)
    squares, sizes = (
        np.array([0.0 if own is None else np.mean(measure(own)) for own in pairs]) for measure in (np.square, np.abs)
    )
    resamples = draw_resamples(configuration)
    drawn = ratio(resamples.counts @ squares, resamples.counts @ twins) / 2
    scores = {
        "r2": 1 - ratio(drawn, resamples.variance(accuracies)),
        "rmse": np.sqrt(drawn),
        "mae": ratio(resamples.counts @ sizes, resamples.counts @ twins) / np.sqrt(2),
    }
    return quantiles(scores[metric], resamples.clusters)
