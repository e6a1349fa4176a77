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

from nndynbench.protocols.metrics import Scored

FloatArray = npt.NDArray[np.float64]

RESAMPLES = 1000
LEVEL = 0.95
SEED = 0


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
            raise ValueError("hardly any resample has both classes in every fold: too few clusters for an interval")
    return Resamples(np.concatenate(kept), redrawn)


def interval(metric: str, scored: Scored, resamples: Resamples) -> tuple[float, float]:
    """The 95% percentile interval of a metric."""
    values = RESAMPLED[metric](scored, resamples.weights)
    low, high = np.nanquantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _has_classes(weights: FloatArray, scored: Scored) -> npt.NDArray[np.bool_]:
    groups = [(scored.fold == fold) & (scored.truth == label) for fold in np.unique(scored.fold) for label in (0, 1)]
    return np.logical_and.reduce([weights[:, group].sum(axis=1) > 0 for group in groups])


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
    # Variances of a shifted truth: the shift cancels, and with it most of the rounding.
    truth = scored.truth - scored.truth.mean()
    variance = _mean(truth**2, weights) - _mean(truth, weights) ** 2
    return np.asarray(1 - _mean((scored.truth - scored.prediction) ** 2, weights) / variance)


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
}
