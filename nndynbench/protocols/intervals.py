"""95% intervals by the cluster bootstrap, all resamples at once.

Networks of one learning rate (of one configuration, on a drawn grid) are near copies, so whole clusters are drawn: single
networks would give intervals half as wide. A resample is a weight per network, how often it was drawn; each metric is
computed for a matrix of weights (resamples, networks), equal to scikit-learn's and scipy's on the drawn networks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nndynbench.protocols.metrics import POINT_OF_REGRET, Scored, UndefinedMetricError, ranking

FloatArray = npt.NDArray[np.float64]

RESAMPLES = 1000
LEVEL = 0.95
SEED = 0

# Of variances, relative: what is less is 0.
ROUNDING = 1e-12


@dataclass(frozen=True)
class Resamples:
    """``weights`` (resamples, networks), and how many resamples were drawn again for lack of both classes."""

    weights: FloatArray
    redrawn: int


def draw_resamples(
    clusters: npt.ArrayLike, scored: Scored, *, need_classes: bool, resamples: int = RESAMPLES, seed: int = SEED
) -> Resamples:
    """Draw clusters with replacement, as many as there are.

    The same clusters and seed give the same resamples, so that two methods can be compared pair by pair. With
    ``need_classes``, a resample in which a fold lacks one of the classes is drawn again.
    """
    _, cluster = np.unique(np.asarray(clusters), return_inverse=True)
    count = int(cluster.max()) + 1
    random = np.random.default_rng(seed)
    kept: list[FloatArray] = []
    missing, redrawn = resamples, 0
    while missing:
        counts = random.multinomial(count, np.full(count, 1 / count), size=missing)
        weights = counts[:, cluster].astype(np.float64)
        good = _has_classes(weights, scored) if need_classes else np.ones(missing, dtype=bool)
        kept.append(weights[good])
        missing -= int(good.sum())
        redrawn += missing
        if redrawn > 100 * resamples:
            raise UndefinedMetricError(
                "hardly any resample has both classes in every fold: too few clusters for an interval"
            )
    return Resamples(np.concatenate(kept), redrawn)


def resampled(metric: str, scored: Scored, resamples: Resamples) -> FloatArray:
    """A metric in every resample; NaN where R² or a rank correlation is not defined (all drawn values equal).

    Two methods' values on the same networks are paired: resample by resample, their difference has an interval of its own.
    """
    return RESAMPLED[metric](scored, resamples.weights)


def quantiles(values: FloatArray) -> tuple[float, float]:
    """The 95% percentile interval of a metric's values in the resamples."""
    low, high = np.nanquantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _has_classes(weights: FloatArray, scored: Scored) -> npt.NDArray[np.bool_]:
    groups = [(scored.fold == fold) & (scored.truth == label) for fold in np.unique(scored.fold) for label in (0, 1)]
    return np.asarray(np.logical_and.reduce([weights[:, group].sum(axis=1) > 0 for group in groups]))


def _mean(values: FloatArray, weights: FloatArray) -> FloatArray:
    return np.asarray(weights @ values / weights.sum(axis=1))


def _accuracy(scored: Scored, weights: FloatArray) -> FloatArray:
    return _mean((scored.truth == scored.prediction).astype(np.float64), weights)


def _balanced_accuracy(scored: Scored, weights: FloatArray) -> FloatArray:
    recalls = []
    for label in (0, 1):
        inside = scored.truth == label
        recalls.append(_mean((scored.prediction[inside] == label).astype(np.float64), weights[:, inside]))
    return np.asarray(np.mean(recalls, axis=0))


def _roc_auc(scored: Scored, weights: FloatArray) -> FloatArray:
    values = []
    for fold in np.unique(scored.fold):
        high = (scored.fold == fold) & (scored.truth == 1)
        low = (scored.fold == fold) & (scored.truth == 0)
        above = np.sign(scored.score[high][:, None] - scored.score[low]) / 2 + 0.5
        pairs = weights[:, high].sum(axis=1) * weights[:, low].sum(axis=1)
        values.append(((weights[:, high] @ above) * weights[:, low]).sum(axis=1) / pairs)
    return np.asarray(np.mean(values, axis=0))


def _mae(scored: Scored, weights: FloatArray) -> FloatArray:
    return _mean(np.abs(scored.truth - scored.prediction), weights)


def _rmse(scored: Scored, weights: FloatArray) -> FloatArray:
    return np.sqrt(_mean((scored.truth - scored.prediction) ** 2, weights))


def _r2(scored: Scored, weights: FloatArray) -> FloatArray:
    variance = _variance(scored.truth, weights)
    return _ratio(variance - _mean((scored.truth - scored.prediction) ** 2, weights), variance)


def _kendall_tau(scored: Scored, weights: FloatArray) -> FloatArray:
    """τ-b: pairs drawn of one network twice are ties on both sides, as scipy counts them."""
    truth, prediction = (np.sign(values[:, None] - values) for values in (scored.truth, scored.prediction))
    agreement, truth_pairs, prediction_pairs = (
        ((weights @ signs) * weights).sum(axis=1) for signs in (truth * prediction, np.abs(truth), np.abs(prediction))
    )
    return _ratio(agreement, np.sqrt(truth_pairs * prediction_pairs))


def _spearman_rho(scored: Scored, weights: FloatArray) -> FloatArray:
    truth, prediction = _centred_ranks(scored.truth, weights), _centred_ranks(scored.prediction, weights)
    covariance, truth_variance, prediction_variance = (
        (weights * products).sum(axis=1) for products in (truth * prediction, truth**2, prediction**2)
    )
    return _ratio(covariance, np.sqrt(truth_variance * prediction_variance))


def _centred_ranks(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Mid-ranks of every network in every resample (resamples, networks), less their weighted mean."""
    below = np.sign(values - values[:, None]) / 2 + 0.5
    ranks = weights @ below
    return np.asarray(ranks - ((weights * ranks).sum(axis=1) / weights.sum(axis=1))[:, None])


def _r2_rank_matched(scored: Scored, weights: FloatArray) -> FloatArray:
    order = np.argsort(scored.truth)
    # A prediction's ties take the drawn truths from `first` to `last` of the sorted ones: their sum, read off the total.
    positions = np.pad(np.cumsum(weights[:, order], axis=1), ((0, 0), (1, 0)))
    totals = np.pad(np.cumsum(weights[:, order] * scored.truth[order], axis=1), ((0, 0), (1, 0)))
    below = (scored.prediction[:, None] < scored.prediction).astype(np.float64)
    equal = (scored.prediction[:, None] == scored.prediction).astype(np.float64)
    first, count = weights @ below, weights @ equal
    sums = np.stack(
        [
            np.interp(start + size, position, total) - np.interp(start, position, total)
            for start, size, position, total in zip(first, count, positions, totals, strict=True)
        ]
    )
    matched = np.divide(sums, count, out=np.zeros_like(sums), where=count > 0)
    variance = _variance(scored.truth, weights)
    errors = (weights * (scored.truth - matched) ** 2).sum(axis=1) / weights.sum(axis=1)
    return _ratio(variance - errors, variance)


def _regret(count: int) -> Callable[[Scored, FloatArray], FloatArray]:
    def regret(scored: Scored, weights: FloatArray) -> FloatArray:
        order = ranking(scored.prediction)
        truth, drawn = scored.truth[order], weights[:, order]
        chosen = (drawn > 0) & (np.cumsum(drawn, axis=1) - drawn < count)
        return _largest(truth, drawn > 0) - _largest(truth, chosen)

    return regret


def _recall_top_tenth(scored: Scored, weights: FloatArray) -> FloatArray:
    count = np.maximum(1, np.rint(weights.sum(axis=1) / 10))
    copies = []
    for values in (scored.truth, scored.prediction):
        order = ranking(values)
        before = np.cumsum(weights[:, order], axis=1) - weights[:, order]
        inside = np.empty_like(weights)
        inside[:, order] = np.clip(count[:, None] - before, 0, weights[:, order])
        copies.append(inside)
    return np.asarray(np.minimum(*copies).sum(axis=1) / count)


def _epochs_saved(scored: Scored, weights: FloatArray) -> FloatArray:
    order = ranking(scored.prediction)
    truth, drawn = scored.truth[order], weights[:, order]
    good = (drawn > 0) & (truth >= _largest(truth, drawn > 0)[:, None] - POINT_OF_REGRET)
    hit = np.argmax(good, axis=1)
    remaining = scored.remaining[order]
    before = np.arange(len(order)) < hit[:, None]
    spent = weights @ scored.spent
    trained = spent + (drawn * before) @ remaining + remaining[hit]
    return np.asarray(100 * (1 - trained / (spent + weights @ scored.remaining)))


def _largest(values: FloatArray, among: npt.NDArray[np.bool_]) -> FloatArray:
    return np.asarray(np.where(among, values, -np.inf).max(axis=1))


def _variance(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Of the values that are drawn; 0, without rounding, where these are equal."""
    # The shift cancels, and with it most of the rounding.
    shifted = values - values.mean()
    variance = _mean(shifted**2, weights) - _mean(shifted, weights) ** 2
    return np.where(variance > ROUNDING * values.var(), variance, 0.0)


def _ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    return np.divide(numerator, denominator, out=np.full_like(numerator, np.nan), where=denominator > 0)


RESAMPLED: dict[str, Callable[[Scored, FloatArray], FloatArray]] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "roc_auc": _roc_auc,
    "mae": _mae,
    "rmse": _rmse,
    "r2": _r2,
    "kendall_tau": _kendall_tau,
    "spearman_rho": _spearman_rho,
    "r2_rank_matched": _r2_rank_matched,
    "regret_1": _regret(1),
    "regret_5": _regret(5),
    "recall_top_tenth": _recall_top_tenth,
    "epochs_saved": _epochs_saved,
}
