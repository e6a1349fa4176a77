"""What a method is worth beyond its own score, from stored predictions alone: gain, added, and the ceiling.

Gain and added compare two cases on the same test networks, so their intervals are paired: in every resample both are scored
on the same draw, and what is fitted to the predictions is fitted anew.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from nndynbench.arrays import FloatArray
from nndynbench.protocols.intervals import Resamples, draw_resamples, every_network_once, quantiles, ratio
from nndynbench.protocols.metrics import METRICS, UndefinedMetricError
from nndynbench.protocols.protocol import Protocol
from nndynbench.protocols.scored import Scored, fold_masks
from nndynbench.protocols.scoring import Case, Estimate, paired

if TYPE_CHECKING:
    import pandas as pd

    from nndynbench.subsets import Subset


FINAL_ACCURACY = "final_accuracy"

# With fewer configurations of several seeds, the spread between seeds is known to less than half of itself.
FEWEST_TWINS = 10


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
    """How much the R² of the bar rises when the method is blended in: (1 − w)·bar + w·method, with w in [0, 1]. It is the
    mean over the draws of the folds that both have.

    In each fold, w is fitted on the predictions for the other folds' networks: a forecast-encompassing test. This is also
    done with a calibrated bar: the mean accuracy of these networks + s·(bar − its mean over them), with s at least 0. The
    smaller of the two rises counts. So a method adds nothing that says what the bar says, or the same about every network,
    or what the bar says on another scale. To the bar as it is, the latter would add something where the bar's predictions
    lie too far apart or too close together.

    Raises
    ------
    UndefinedMetricError
        For a split with one fold, which leaves nothing to fit the blend on, or for truths that are all equal.
    ValueError
        For cases of different networks.
    """
    case, bar = paired(case, bar)
    metric = METRICS[case.protocol.blended or "r2"]
    bar.value(metric.name)  # raises where there is no R² to add to
    once = [every_network_once(len(draw.scored.truth)) for draw in case.draws]
    [value] = _added(case, bar, once)
    low, high = quantiles(added_in_resamples(case, bar), case.clusters)
    return Estimate(float(value) + 0.0, low + 0.0, high + 0.0)  # no negative zeros


def added_in_resamples(case: Case, bar: Case) -> FloatArray:
    """`added` in every resample, (resamples,). The blends are fitted on the drawn networks of the other folds."""
    case, bar = paired(case, bar)
    return _added(case, bar, case.resamples)


def _added(case: Case, bar: Case, resamples: Sequence[Resamples]) -> FloatArray:
    total = METRICS[case.protocol.blended or "r2"].total
    assert total is not None
    parts = zip(case.draws, bar.draws, resamples, strict=True)
    rises = [ratio(_lowered(own.scored, other.scored, drawn), total(own.scored, drawn)) for own, other, drawn in parts]
    return np.asarray(np.mean([each.min(axis=0) for each in rises], axis=0))


def _lowered(case: Scored, bar: Scored, resamples: Resamples) -> FloatArray:
    """By how much blending the method in lowers the sum of squared errors of the bar as it is, and of the calibrated bar, in
    every resample: (2, resamples).
    """
    of_fold = _sums_of(case, bar, resamples)
    of_others = _Sums(*(each.sum(axis=1, keepdims=True) - each for each in of_fold))
    lowered = []
    for intercept, slope in ((0.0, 1.0), _calibrated(of_others)):
        weight = np.clip(np.nan_to_num(ratio(*_apart(of_others, intercept, slope))), 0, 1)
        missed, apart = _apart(of_fold, intercept, slope)
        lowered.append(np.sum(2 * weight * missed - weight**2 * apart, axis=1))
    return np.stack(lowered)


class _Sums(NamedTuple):
    """Sums over the drawn networks of each fold, (resamples, folds) each: how many they are, the truth, what the bar and the
    method say, and products of these. All that a blend needs follows from them.
    """

    networks: FloatArray
    truth: FloatArray
    bar: FloatArray
    truth_bar: FloatArray
    bar_bar: FloatArray
    method: FloatArray
    truth_method: FloatArray
    bar_method: FloatArray
    method_method: FloatArray


def _sums_of(case: Scored, bar: Scored, resamples: Resamples) -> _Sums:
    folds = list(fold_masks(case))
    if len(folds) < 2:
        raise UndefinedMetricError("a blend is fitted on the predictions of the other folds, and this split has only one")
    inside = np.array(folds, dtype=np.float64).T

    def sums(*values: FloatArray) -> FloatArray:
        by_fold = np.stack(values, axis=1)[:, :, None] * inside[:, None, :]
        summed = resamples.counts @ resamples.by_cluster(by_fold.reshape(len(inside), -1))
        return np.moveaxis(summed.reshape(len(summed), len(values), len(folds)), 1, 0)

    # The shift changes no blend, and removes most of the rounding error.
    truth, said, method = (values - case.truth.mean() for values in (case.truth, bar.prediction, case.prediction))
    known = np.concatenate([truth, said, case.fold])
    alone = (np.ones(len(inside)), truth, said, truth * said, said**2)
    without = resamples.of_truth("sums of the bar", known, lambda: sums(*alone))
    return _Sums(*without, *sums(method, truth * method, said * method, method**2))


def _calibrated(of: _Sums) -> tuple[FloatArray, FloatArray]:
    """The intercept and the slope, at least 0, of the line through the means from the bar's predictions to the truths."""
    covariance = of.truth_bar - ratio(of.truth * of.bar, of.networks)
    slope = np.clip(np.nan_to_num(ratio(covariance, of.bar_bar - ratio(of.bar**2, of.networks))), 0, None)
    return np.nan_to_num(ratio(of.truth - slope * of.bar, of.networks)), slope


def _apart(of: _Sums, intercept: float | FloatArray, slope: float | FloatArray) -> tuple[FloatArray, FloatArray]:
    """Let d be the method's prediction minus intercept + slope·bar, and m the truth minus that: the sums Σdm and Σd²."""
    squared = intercept**2 * of.networks + 2 * intercept * slope * of.bar + slope**2 * of.bar_bar
    missed = of.truth_method - intercept * (of.truth + of.method) - slope * (of.truth_bar + of.bar_method) + squared
    return missed, of.method_method - 2 * intercept * of.method - 2 * slope * of.bar_method + squared


def ceiling(networks: pd.DataFrame, metric: str) -> float | None:
    """What a recipe's mean can reach: the score of a predictor that knows each configuration's expected accuracy, estimated
    from the spread between its seeds.

    Let σ² be the variance between seeds: half the mean squared difference of two seeds of one configuration, where each
    configuration counts once. Then R² is 1 − σ² / variance of all final accuracies, RMSE is σ, and MAE is the mean absolute
    difference of two seeds over √2. None for other metrics, and for a subset in which no configuration has two seeds. A
    method that sees the weights may exceed the ceiling, since it knows how the seed itself has trained.
    """
    found = _ceilings(networks, metric, lambda own: Resamples(np.ones((1, own.max() + 1)), own))
    return None if found is None else float(found[0])


def ceiling_of(subset: Subset, protocol: Protocol, metric: str) -> Estimate | None:
    """The `ceiling` with its interval. None for a protocol that does not score all networks, tests another subset than it
    trains on, or predicts something other than final accuracies; and if fewer than 10 configurations have several seeds.
    """
    if protocol.split is None or protocol.target != FINAL_ACCURACY or protocol.above_chance:
        return None
    if len(np.unique(np.concatenate([test for _, test in subset.split(protocol.split)]))) < len(subset.networks):
        return None
    if "configuration" in subset.networks and (subset.networks["configuration"].value_counts() > 1).sum() < FEWEST_TWINS:
        return None
    value, interval = ceiling(subset.networks, metric), ceiling_interval(subset.networks, metric)
    return None if value is None or interval is None else Estimate(value, *interval)


def ceiling_interval(networks: pd.DataFrame, metric: str) -> tuple[float, float] | None:
    """The 95% interval of the `ceiling`, from resampled configurations; None if there is no ceiling."""
    found = _ceilings(networks, metric, draw_resamples)
    return None if found is None else quantiles(found, networks["configuration"].nunique())


def _ceilings(networks: pd.DataFrame, metric: str, draw: Callable[[npt.NDArray[np.int64]], Resamples]) -> FloatArray | None:
    """The `ceiling` in every resample of the configurations; None if there is none."""
    if "configuration" not in networks:
        return None
    parts = [part.to_numpy() for _, part in networks.groupby("configuration")["final_accuracy"]]
    pairs = [np.subtract(*accuracies[np.stack(np.triu_indices(len(accuracies), 1))]) for accuracies in parts]
    twins = np.array([len(differences) > 0 for differences in pairs], dtype=np.float64)
    if not twins.any():
        return None
    resamples = draw(np.unique(networks["configuration"], return_inverse=True)[1])

    def mean(measure: Callable[[FloatArray], FloatArray]) -> FloatArray:
        of_each = np.array([np.mean(measure(differences)) if len(differences) else 0.0 for differences in pairs])
        return ratio(resamples.counts @ of_each, resamples.counts @ twins)

    variance, spread = mean(np.square) / 2, resamples.variance(networks["final_accuracy"].to_numpy(dtype=np.float64))
    return {"r2": 1 - ratio(variance, spread), "rmse": np.sqrt(variance), "mae": mean(np.abs) / np.sqrt(2)}.get(metric)
