"""95% intervals by the cluster bootstrap, all resamples at once.

Networks of one learning rate (of one configuration, on a drawn grid) are near copies, so whole clusters are drawn: single
networks would give intervals half as wide. A resample is a count per cluster, how often it was drawn; each metric is
computed for a matrix of counts (resamples, clusters), equal to scikit-learn's and scipy's on the drawn networks. Sums over
a cluster's networks are taken once, before the resamples, and what is of the truths alone once for all methods.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from nndynbench.protocols.metrics import POINT_OF_REGRET, Scored, UndefinedMetricError, ranking

FloatArray = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.floating[Any]]

RESAMPLES = 1000
LEVEL = 0.95
SEED = 0

# Of variances, relative: what is less is 0.
ROUNDING = 1e-12

# Methods on the same networks come one after the other: so many draws are kept for them, and facts of so many truths.
KEPT = 8


@dataclass(frozen=True)
class Resamples:
    """``counts`` (resamples, clusters): how often each cluster was drawn; ``cluster`` (networks,): the one it is in.

    ``redrawn``: how many resamples were drawn again for lack of both classes.
    """

    counts: FloatArray
    cluster: npt.NDArray[np.int64]
    redrawn: int
    _kept: dict[tuple[str, bytes], Any] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def weights(self) -> FloatArray:
        """How often each network was drawn, (resamples, networks)."""
        return np.ascontiguousarray(self.counts[:, self.cluster])

    @cached_property
    def size(self) -> FloatArray:
        """How many networks were drawn, (resamples,)."""
        return self.sums(np.ones(len(self.cluster)))

    def sums(self, values: FloatArray) -> FloatArray:
        """Of the drawn networks' values (networks,), in each resample."""
        return np.asarray(self.counts @ np.bincount(self.cluster, values, minlength=self.counts.shape[1]))

    def by_cluster(self, values: Numbers) -> Numbers:
        """Sums of whole numbers over each cluster's rows, which are in ``order``: (networks, …) to (clusters, …)."""
        return np.asarray(np.add.reduceat(values, self._starts, axis=0))

    def of_truth(self, name: str, truth: FloatArray, compute: Callable[[], Any]) -> Any:
        """What is computed from the truths alone, kept for the next method on the same networks."""
        key = (name, truth.tobytes())
        if key not in self._kept:
            while len(self._kept) >= KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = compute()
        return self._kept[key]

    @cached_property
    def order(self) -> npt.NDArray[np.int64]:
        """The networks, cluster by cluster."""
        return np.argsort(self.cluster, kind="stable")

    @cached_property
    def _starts(self) -> npt.NDArray[np.int64]:
        return np.searchsorted(self.cluster[self.order], np.arange(self.counts.shape[1]))

    @cached_property
    def whole_counts(self) -> npt.NDArray[np.float32]:
        """The counts in single precision: sums of whole numbers up to 2²⁴ are exact in it."""
        return self.counts.astype(np.float32)


def draw_resamples(
    clusters: npt.ArrayLike, scored: Scored, *, need_classes: bool, resamples: int = RESAMPLES, seed: int = SEED
) -> Resamples:
    """Draw clusters with replacement, as many as there are.

    The same clusters and seed give the same resamples, so that two methods can be compared pair by pair. With
    ``need_classes``, a resample in which a fold lacks one of the classes is drawn again.
    """
    _, cluster = np.unique(np.asarray(clusters), return_inverse=True)
    classes = tuple(group.tobytes() for group in _classes(scored)) if need_classes else ()
    return _drawn(cluster.astype(np.int64).tobytes(), classes, resamples, seed)


@lru_cache(KEPT)
def _drawn(networks: bytes, classes: tuple[bytes, ...], resamples: int, seed: int) -> Resamples:
    cluster = np.frombuffer(networks, np.int64)
    groups = [np.bincount(cluster, np.frombuffer(group, bool), minlength=cluster.max() + 1) for group in classes]
    count = int(cluster.max()) + 1
    random = np.random.default_rng(seed)
    kept: list[FloatArray] = []
    missing, redrawn = resamples, 0
    while missing:
        counts = random.multinomial(count, np.full(count, 1 / count), size=missing).astype(np.float64)
        good = np.logical_and.reduce([counts @ group > 0 for group in groups]) if groups else np.ones(missing, dtype=bool)
        kept.append(counts[good])
        missing -= int(good.sum())
        redrawn += missing
        if redrawn > 100 * resamples:
            raise UndefinedMetricError(
                "hardly any resample has both classes in every fold: too few clusters for an interval"
            )
    return Resamples(np.concatenate(kept), cluster, redrawn)


def resampled(metric: str, scored: Scored, resamples: Resamples) -> FloatArray:
    """A metric in every resample; NaN where R² or a rank correlation is not defined (all drawn values equal).

    Two methods' values on the same networks are paired: resample by resample, their difference has an interval of its own.
    """
    return RESAMPLED[metric](scored, resamples)


def quantiles(values: FloatArray) -> tuple[float, float]:
    """The 95% percentile interval of a metric's values in the resamples."""
    # nanquantile takes a slower way, also where nothing is missing.
    quantile = np.nanquantile if np.isnan(values).any() else np.quantile
    low, high = quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _classes(scored: Scored) -> Iterator[npt.NDArray[np.bool_]]:
    for fold in np.unique(scored.fold):
        for label in (0, 1):
            yield (scored.fold == fold) & (scored.truth == label)


def _mean(values: FloatArray, resamples: Resamples) -> FloatArray:
    return resamples.sums(values) / resamples.size


def _accuracy(scored: Scored, resamples: Resamples) -> FloatArray:
    return _mean((scored.truth == scored.prediction).astype(np.float64), resamples)


def _balanced_accuracy(scored: Scored, resamples: Resamples) -> FloatArray:
    right = scored.truth == scored.prediction
    recalls = []
    for label in (0, 1):
        inside = scored.truth == label
        recalls.append(resamples.sums((right & inside).astype(np.float64)) / resamples.sums(inside.astype(np.float64)))
    return np.asarray(np.mean(recalls, axis=0))


def _roc_auc(scored: Scored, resamples: Resamples) -> FloatArray:
    values, weights = [], resamples.weights
    for fold in np.unique(scored.fold):
        high = (scored.fold == fold) & (scored.truth == 1)
        low = (scored.fold == fold) & (scored.truth == 0)
        above = np.sign(scored.score[high][:, None] - scored.score[low]) / 2 + 0.5
        drawn_high, drawn_low = weights[:, high], weights[:, low]
        pairs = drawn_high.sum(axis=1) * drawn_low.sum(axis=1)
        values.append(((drawn_high @ above) * drawn_low).sum(axis=1) / pairs)
    return np.asarray(np.mean(values, axis=0))


def _mae(scored: Scored, resamples: Resamples) -> FloatArray:
    return _mean(np.abs(scored.truth - scored.prediction), resamples)


def _rmse(scored: Scored, resamples: Resamples) -> FloatArray:
    return np.sqrt(_mean((scored.truth - scored.prediction) ** 2, resamples))


def _r2(scored: Scored, resamples: Resamples) -> FloatArray:
    variance = _variance(scored.truth, resamples)
    return _ratio(variance - _mean((scored.truth - scored.prediction) ** 2, resamples), variance)


def _kendall_tau(scored: Scored, resamples: Resamples) -> FloatArray:
    """τ-b: pairs drawn of one network twice are ties on both sides, as scipy counts them."""
    in_order = (values[resamples.order] for values in (scored.truth, scored.prediction))
    truth, prediction = (_order_of_pairs(values, values) for values in in_order)
    agreement = _pairs(truth * prediction, resamples)
    truth_pairs = resamples.of_truth("pairs", scored.truth, lambda: _pairs(np.abs(truth), resamples))
    return _ratio(agreement, np.sqrt(truth_pairs * _pairs(np.abs(prediction), resamples)))


def _order_of_pairs(values: FloatArray, others: FloatArray) -> npt.NDArray[np.float32]:
    signs = (values[:, None] > others).astype(np.float32)
    signs -= values[:, None] < others
    return signs


def _pairs(signs: npt.NDArray[np.float32], resamples: Resamples) -> FloatArray:
    """Sums over the drawn pairs; rows and columns are in the resamples' order."""
    between = resamples.by_cluster(np.ascontiguousarray(resamples.by_cluster(signs).T))
    return np.asarray(np.einsum("rc,rc->r", (resamples.whole_counts @ between).astype(np.float64), resamples.counts))


def _spearman_rho(scored: Scored, resamples: Resamples) -> FloatArray:
    truth = resamples.of_truth("ranks", scored.truth, lambda: _centred_ranks(scored.truth, resamples))
    truth_variance = resamples.of_truth("variance of ranks", scored.truth, lambda: _products(truth, truth, resamples))
    prediction = _centred_ranks(scored.prediction, resamples)
    covariance, prediction_variance = (_products(other, prediction, resamples) for other in (truth, prediction))
    return _ratio(covariance, np.sqrt(truth_variance * prediction_variance))


def _products(some: FloatArray, others: FloatArray, resamples: Resamples) -> FloatArray:
    return np.asarray(np.einsum("rn,rn,rn->r", resamples.weights, some, others))


def _centred_ranks(values: FloatArray, resamples: Resamples) -> FloatArray:
    """Mid-ranks of every network in every resample (resamples, networks), less their weighted mean."""
    # Twice the ranks, less the number of networks, is a sum of signs: whole numbers, whose weighted mean is 0.
    signs = resamples.by_cluster(_order_of_pairs(values[resamples.order], values))
    return (resamples.whole_counts @ signs).astype(np.float64) / -2


def _r2_rank_matched(scored: Scored, resamples: Resamples) -> FloatArray:
    weights = resamples.weights
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
    variance = _variance(scored.truth, resamples)
    errors = (weights * (scored.truth - matched) ** 2).sum(axis=1) / resamples.size
    return _ratio(variance - errors, variance)


def _regret(count: int) -> Callable[[Scored, Resamples], FloatArray]:
    def regret(scored: Scored, resamples: Resamples) -> FloatArray:
        order, drawn, before = _ranked_first(scored.prediction, resamples, np.full(len(resamples.counts), count))
        return _best(scored, resamples) - _largest(scored.truth[order], (drawn > 0) & (before < count))

    return regret


def _recall_top_tenth(scored: Scored, resamples: Resamples) -> FloatArray:
    count = np.maximum(1, np.rint(resamples.size / 10))
    best = resamples.of_truth("top tenth", scored.truth, lambda: _copies_in_the_first(scored.truth, count, resamples))
    chosen = _copies_in_the_first(scored.prediction, count, resamples)
    return np.asarray(np.minimum(best, chosen).sum(axis=1) / count)


def _copies_in_the_first(values: FloatArray, count: FloatArray, resamples: Resamples) -> FloatArray:
    """How many of each network's copies (resamples, networks) are among the ``count`` ranked first."""
    order, drawn, before = _ranked_first(values, resamples, count)
    copies = np.zeros((len(resamples.counts), len(values)))
    copies[:, order] = np.clip(count[:, None] - before, 0, drawn)
    return copies


def _epochs_saved(scored: Scored, resamples: Resamples) -> FloatArray:
    order = ranking(scored.prediction)
    truth, remaining = scored.truth[order], scored.remaining[order]
    drawn = resamples.counts[:, resamples.cluster[order]]
    good = (drawn > 0) & (truth >= _best(scored, resamples)[:, None] - POINT_OF_REGRET)
    hit = np.argmax(good, axis=1)
    needed = int(hit.max()) + 1
    trained_before = np.pad(np.cumsum(drawn[:, :needed] * remaining[:needed], axis=1), ((0, 0), (1, 0)))
    spent = resamples.sums(scored.spent)
    trained = spent + trained_before[np.arange(len(hit)), hit] + remaining[hit]
    return np.asarray(100 * (1 - trained / (spent + resamples.sums(scored.remaining))))


def _ranked_first(
    values: FloatArray, resamples: Resamples, count: npt.NDArray[np.number[Any]]
) -> tuple[npt.NDArray[np.int64], FloatArray, FloatArray]:
    """As many networks, ranked by their values, as hold the ``count`` drawn first in every resample.

    Returns their order, how often each was drawn, and how many were drawn before it.
    """
    order, width = ranking(values), 32
    while True:
        drawn = resamples.counts[:, resamples.cluster[order[:width]]]
        upto = np.cumsum(drawn, axis=1)
        if width >= len(order) or (upto[:, -1] >= count).all():
            return order[:width], drawn, upto - drawn
        width *= 2


def _best(scored: Scored, resamples: Resamples) -> FloatArray:
    return np.asarray(
        resamples.of_truth("best", scored.truth, lambda: _largest(scored.truth, resamples.weights > 0)), dtype=np.float64
    )


def _largest(values: FloatArray, among: npt.NDArray[np.bool_]) -> FloatArray:
    return np.asarray(np.where(among, values, -np.inf).max(axis=1))


def _variance(values: FloatArray, resamples: Resamples) -> FloatArray:
    """Of the values that are drawn; 0, without rounding, where these are equal."""
    # The shift cancels, and with it most of the rounding.
    shifted = values - values.mean()
    variance = _mean(shifted**2, resamples) - _mean(shifted, resamples) ** 2
    return np.where(variance > ROUNDING * values.var(), variance, 0.0)


def _ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    return np.divide(numerator, denominator, out=np.full_like(numerator, np.nan), where=denominator > 0)


RESAMPLED: dict[str, Callable[[Scored, Resamples], FloatArray]] = {
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
