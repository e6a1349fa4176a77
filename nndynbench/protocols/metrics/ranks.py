"""Metrics of a ranking."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt

from nndynbench.arrays import FloatArray
from nndynbench.protocols.intervals import Resamples, ratio
from nndynbench.protocols.metrics.metric import Metric
from nndynbench.protocols.metrics.regression import explained
from nndynbench.protocols.scored import Scored, UndefinedMetricError, fold_masks


def kendall_tau(scored: Scored) -> float:
    from scipy.stats import kendalltau

    _need_ranks(scored)
    return float(kendalltau(scored.truth, scored.prediction).statistic)


def spearman_rho(scored: Scored) -> float:
    from scipy.stats import spearmanr

    _need_ranks(scored)
    return float(spearmanr(scored.truth, scored.prediction).statistic)


def r2_rank_matched(scored: Scored) -> float:
    """R² of the sorted truths, put in the order of the predictions: a method's scale is forgiven, and only its ranking is
    judged. Equal predictions share the mean of their ranks' truths.
    """
    from scipy.stats import rankdata

    _need_ranks(scored)
    ordered = np.sort(scored.truth)
    first = rankdata(scored.prediction, "min").astype(int) - 1
    last = rankdata(scored.prediction, "max").astype(int)
    total = np.concatenate([[0.0], np.cumsum(ordered)])
    return explained(scored.truth, (total[last] - total[first]) / (last - first))


def _need_ranks(scored: Scored) -> None:
    for what, values in (("final accuracies", scored.truth), ("predictions", scored.prediction)):
        if np.ptp(values) == 0:
            raise UndefinedMetricError(f"a rank correlation is not defined: all {what} are equal")


# With more networks the signs of all pairs are never one matrix in memory, and resamples are computed to first order.
MOST_PAIRED = 2500
ROWS = 500  # of that matrix that are computed at a time


def kendall_taus(scored: Scored, resamples: Resamples) -> FloatArray:
    """τ-b: pairs of one network that was drawn twice are ties on both sides, as scipy counts them.

    For more than `MOST_PAIRED` networks it is computed to first order: each network counts by its share in all pairs, as
    often as it was drawn. For n networks this is off by about one part in n.
    """
    if len(scored.truth) > MOST_PAIRED:
        return _linear_taus(scored, resamples)
    truth = resamples.of_truth("order", scored.truth, lambda: _order_of_pairs(scored.truth, scored.truth))
    agreement = _pairs(truth * _order_of_pairs(scored.prediction, scored.prediction), resamples)
    truth_pairs = resamples.of_truth("pairs", scored.truth, lambda: _untied_pairs(scored.truth, resamples))
    return ratio(agreement, np.sqrt(truth_pairs * _untied_pairs(scored.prediction, resamples)))


def _linear_taus(scored: Scored, resamples: Resamples) -> FloatArray:
    agreement = _agreements(scored.truth, scored.prediction)
    untied = (_untied(values) for values in (scored.truth, scored.prediction))
    total, truth, prediction = (2 * resamples.sums(each) - each.sum() for each in (agreement, *untied))
    return ratio(total, np.sqrt(np.maximum(truth * prediction, 0.0)))


def _agreements(truth: FloatArray, prediction: FloatArray) -> FloatArray:
    """For each network, how many other networks both order in the same way, minus how many they order in opposite ways."""
    parts = [slice(start, start + ROWS) for start in range(0, len(truth), ROWS)]
    signs = ((_order_of_pairs(values[part], values) for values in (truth, prediction)) for part in parts)
    return np.concatenate([np.einsum("ij,ij->i", *pair).astype(np.float64) for pair in signs])


def _untied(values: FloatArray) -> FloatArray:
    """For each network, how many networks have another value."""
    _, own, counts = np.unique(values, return_inverse=True, return_counts=True)
    return len(values) - counts[own].astype(np.float64)


def _order_of_pairs(values: FloatArray, others: FloatArray) -> npt.NDArray[np.float32]:
    signs = (values[:, None] > others).astype(np.float32)
    signs -= values[:, None] < others
    return signs


def _pairs(signs: npt.NDArray[np.float32], resamples: Resamples) -> FloatArray:
    """Sums of the signs over the drawn pairs."""
    between = resamples.by_cluster(np.ascontiguousarray(resamples.by_cluster(signs).T))
    return np.asarray(np.einsum("rc,rc->r", (resamples.whole_counts @ between).astype(np.float64), resamples.counts))


def _untied_pairs(values: FloatArray, resamples: Resamples) -> FloatArray:
    return resamples.size**2 - resamples.of_ties(values, 2)


def spearman_rhos(scored: Scored, resamples: Resamples) -> FloatArray:
    drawn = resamples.drawn
    truth = resamples.of_truth("drawn ranks", scored.truth, lambda: drawn * _centred_ranks(scored.truth, drawn))
    covariance = np.einsum("nr,nr->r", truth, _centred_ranks(scored.prediction, drawn), dtype=np.float64)
    truth_variance = resamples.of_truth(
        "variance of ranks", scored.truth, lambda: _variance_of_ranks(scored.truth, resamples)
    )
    return ratio(covariance, np.sqrt(truth_variance * _variance_of_ranks(scored.prediction, resamples)))


def _variance_of_ranks(values: FloatArray, resamples: Resamples) -> FloatArray:
    """The variance of the ranks times the number of drawn networks (Kendall 1945, doi 10.1093/biomet/33.3.239)."""
    return (resamples.size**3 - resamples.of_ties(values, 3)) / 12


def _centred_ranks(values: FloatArray, drawn: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Mid-ranks of every network in every resample, minus their weighted mean. Takes and returns (networks, resamples)."""
    # Twice a centred rank is the number of drawn networks below minus the number above: a whole number with weighted mean 0.
    distinct, own = np.unique(values, return_inverse=True)
    ordered = np.argsort(own, kind="stable")
    of_value = drawn[ordered]
    if len(distinct) < len(values):
        of_value = np.add.reduceat(of_value, np.searchsorted(own[ordered], np.arange(len(distinct))), axis=0)
    ranks = np.cumsum(of_value, axis=0)
    of_value += ranks[-1]
    of_value /= 2
    ranks -= of_value
    return ranks[own]


def r2s_rank_matched(scored: Scored, resamples: Resamples) -> FloatArray:
    weights = resamples.weights
    order = np.argsort(scored.truth)
    # Tied predictions take `count` of the sorted drawn truths, from `first` on. Their sum is read off the running total.
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
    variance = resamples.variance(scored.truth)
    errors = (weights * (scored.truth - matched) ** 2).sum(axis=1) / resamples.size
    return ratio(variance - errors, variance)


def in_folds(of_all: Callable[[Scored], float]) -> Callable[[Scored], float]:
    """A rank correlation within each fold, as the mean over folds. A fold of equal predictions counts 0; one of equal truths
    is left out.
    """

    def mean(scored: Scored) -> float:
        folds = (scored.drawn(np.flatnonzero(inside)) for inside in fold_masks(scored))
        varied = [fold for fold in folds if np.ptp(fold.truth)]
        if not varied:
            raise UndefinedMetricError("a rank correlation is not defined: all final accuracies of each fold are equal")
        return float(np.mean([of_all(fold) if np.ptp(fold.prediction) else 0.0 for fold in varied]))

    return mean


def resampled_in_folds(
    of_all: Callable[[Scored, Resamples], FloatArray],
) -> Callable[[Scored, Resamples], FloatArray]:
    """As `in_folds`, in every resample."""

    def means(scored: Scored, resamples: Resamples) -> FloatArray:
        total, count = np.zeros((2, len(resamples.counts)))
        for inside in fold_masks(scored):
            drawn = resamples.of_truth("fold", inside, partial(resamples.of_networks, inside))
            fold = scored.drawn(np.flatnonzero(inside))
            varied = drawn.of_truth("varied", fold.truth, partial(_has_pairs, fold.truth, drawn))
            total += np.where(varied, np.nan_to_num(of_all(fold, drawn)), 0.0)
            count += varied
        return ratio(total, count)

    return means


def _has_pairs(values: FloatArray, resamples: Resamples) -> npt.NDArray[np.bool_]:
    """Whether a resample has two drawn networks with different values."""
    return np.asarray(_untied_pairs(values, resamples) > 0)


METRICS = (
    Metric(
        "kendall_tau",
        label="Kendall's τ",
        meaning="rank correlation: pairs in the right order minus pairs in the wrong one",
        value=kendall_tau,
        in_resamples=kendall_taus,
    ),
    Metric(
        "spearman_rho",
        label="Spearman's ρ",
        meaning="correlation of the ranks",
        value=spearman_rho,
        in_resamples=spearman_rhos,
    ),
    Metric(
        "kendall_tau_in_folds",
        label="Kendall's τ in folds",
        meaning="rank correlation within each held-out fold, mean over folds",
        value=in_folds(kendall_tau),
        in_resamples=resampled_in_folds(kendall_taus),
    ),
    Metric(
        "spearman_rho_in_folds",
        label="Spearman's ρ in folds",
        meaning="correlation of the ranks within each held-out fold, mean over folds",
        value=in_folds(spearman_rho),
        in_resamples=resampled_in_folds(spearman_rhos),
    ),
    Metric(
        "r2_rank_matched",
        label="R², ranks matched",
        meaning="R² when a method's scale is forgiven and its ranking judged alone",
        value=r2_rank_matched,
        in_resamples=r2s_rank_matched,
    ),
)
