"""What a method is worth beside its own score, from stored predictions alone: gain, added, and the ceiling.

All three compare two cases on the same test networks, so their intervals are paired: in every resample both are scored on
the same draw.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from nndynbench.protocols.intervals import draw_resamples, quantiles, ratio
from nndynbench.protocols.metrics import METRICS, UndefinedMetricError
from nndynbench.protocols.scored import Scored
from nndynbench.protocols.scoring import Case, Estimate, fold_masks

if TYPE_CHECKING:
    import pandas as pd

FloatArray = npt.NDArray[np.float64]


class Worth(NamedTuple):
    """What a method has beyond the bar; None where there is no such number."""

    gain: Estimate | None
    added: Estimate | None


def worth(case: Case, bar: Case) -> Worth:
    """The gain over the bar in the protocol's first metric, and in a regression what is added to its R²."""
    more = _defined(added, case, bar) if case.protocol.blended else None
    return Worth(_defined(gain, case, bar, case.protocol.metrics[0]), more)


def _defined(function: Callable[..., Estimate], *arguments: object) -> Estimate | None:
    try:
        estimate = function(*arguments)
    except UndefinedMetricError:
        return None
    return estimate if all(map(math.isfinite, estimate)) else None


def gain(case: Case, bar: Case, metric: str) -> Estimate:
    """How much better a method is than the bar, positive where it is better, in the metric's own unit.

    Raises
    ------
    UndefinedMetricError
        Where one of the two has no value.
    ValueError
        For cases of different networks.
    """
    _need_same_networks(case, bar)
    value = METRICS[metric](case.scored) - METRICS[metric](bar.scored)
    low, high = quantiles(METRICS[metric].direction * (case.in_resamples(metric) - bar.in_resamples(metric)))
    return Estimate(METRICS[metric].direction * value + 0.0, low + 0.0, high + 0.0)  # no negative zeros


def added(case: Case, bar: Case) -> Estimate:
    """R² of the best blend of bar and method, minus the bar's: 0 says that the bar already knew.

    A forecast-encompassing test; see `blend`.

    Raises
    ------
    UndefinedMetricError
        For a split with one fold, which leaves nothing to fit the blend on, or for truths that are all equal.
    ValueError
        For cases of different networks.
    """
    return gain(blend(case, bar), bar, case.protocol.blended or "r2")


def blend(case: Case, bar: Case) -> Case:
    """(1 − w)·bar + w·method, with w in [0, 1] of least squared error on the predictions of the other folds' networks."""
    _need_same_networks(case, bar)
    folds = list(fold_masks(case.scored))
    if len(folds) < 2:
        raise UndefinedMetricError("a blend is fitted on the predictions of the other folds, and this split has only one")
    difference = case.scored.prediction - bar.scored.prediction
    missing = bar.scored.truth - bar.scored.prediction
    blended = bar.scored.prediction.copy()
    for inside in folds:
        blended[inside] += blend_weight(difference[~inside], missing[~inside]) * difference[inside]
    scored = type(case.scored)(**{**vars(case.scored), "prediction": blended})
    return Case(case.protocol, case.networks, case.clusters, scored)


def blend_weight(difference: FloatArray, missing: FloatArray) -> float:
    """W in [0, 1] that minimises Σ (missing − w·difference)²; 0 where the method says what the bar says."""
    scale = float(difference @ difference)
    return float(np.clip(difference @ missing / scale, 0, 1)) if scale > 0 else 0.0


def ceiling(networks: pd.DataFrame, metric: str) -> float | None:
    """What a recipe's mean can reach: the score of whoever knew each configuration's expected accuracy, from the spread
    between its seeds.

    With the variance between seeds σ² (half the mean squared difference of two of one configuration, each configuration
    counting once): R² 1 − σ² / variance of all final accuracies, RMSE σ, MAE their mean absolute difference over √2. None
    for other metrics, and for a subset in which no configuration has two seeds. A method that sees the weights may pass
    it: it knows the seed's own course.
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


def ceiling_interval(networks: pd.DataFrame, metric: str) -> tuple[float, float] | None:
    """The 95% interval of the `ceiling`, configurations resampled; None where there is no ceiling."""
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
    scored = Scored(accuracies, accuracies, accuracies, np.zeros(len(accuracies), dtype=np.int64))
    resamples = draw_resamples(configuration, scored, need_classes=False)
    drawn = ratio(resamples.counts @ squares, resamples.counts @ twins) / 2
    scores = {
        "r2": 1 - ratio(drawn, resamples.variance(accuracies)),
        "rmse": np.sqrt(drawn),
        "mae": ratio(resamples.counts @ sizes, resamples.counts @ twins) / np.sqrt(2),
    }
    return quantiles(scores[metric])


def _need_same_networks(case: Case, bar: Case) -> None:
    if not np.array_equal(case.networks, bar.networks):
        raise ValueError("two methods can be compared on the same test networks alone, in the same order")
