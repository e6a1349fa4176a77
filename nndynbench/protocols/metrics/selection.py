"""Metrics of choosing which networks to go on training, within each fold: only a fold's networks are ranked by one fit.

The best tenth counts, not the single best network: the bootstrap of a maximum gives no interval. The networks that a method
learnt from were trained to the end, and their epochs count as costs.

Networks with equal predictions have no order, so each metric is its mean over all their orders. It is computed exactly, not
drawn: where one draw served all folds, a method that says the same about every network would pick the same places in each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nndynbench.arrays import FloatArray, RealArray
from nndynbench.protocols.intervals import Resamples, every_network_once, ratio
from nndynbench.protocols.metrics.metric import Metric
from nndynbench.protocols.scored import Scored, fold_masks


def regret_top_tenth(scored: Scored) -> float:
    """The mean accuracy of the best tenth minus that of the tenth ranked first, in percentage points."""
    return _once(_regrets, scored)


def recall_top_tenth(scored: Scored) -> float:
    """Share of the tenth ranked first that is as good as the best tenth."""
    return _once(_recalls, scored)


def epochs_saved(scored: Scored) -> float:
    """Percent of all training epochs, including those of the networks learnt from, that are saved.

    After the budget, training continues one network at a time, as ranked, until half of the best tenth are found.
    """
    return float(_shares_saved(scored, every_network_once(len(scored.truth)))[0])


def regrets_top_tenth(scored: Scored, resamples: Resamples) -> FloatArray:
    return _mean_over_folds(_regrets, scored, resamples)


def recalls_top_tenth(scored: Scored, resamples: Resamples) -> FloatArray:
    return _shifted(_mean_over_folds(_recalls, scored, resamples), recall_top_tenth(scored), most=1)


def epochs_saved_in_resamples(scored: Scored, resamples: Resamples) -> FloatArray:
    return _shifted(_shares_saved(scored, resamples), epochs_saved(scored), most=100)


def _shifted(resampled: FloatArray, value: float, *, most: float) -> FloatArray:
    """The resamples, moved so that the value is their mean, and kept between 0 and the most that there can be.

    All copies of the last network of the best tenth are as good as it, so in a resample more are as good than in the sample:
    predictions that say nothing would seem to save a tenth more epochs than they do. Regrets are left as they are: on
    simulated grids their resamples are off by up to a third of their deviation on average, and moving them made no interval
    truer.
    """
    return np.clip(resampled - np.nanmean(resampled) + value, 0, most)


@dataclass(frozen=True)
class _Fold:
    """A fold's networks in ranked order, in every resample.

    ``ties``: where each group of networks with equal predictions starts; ``drawn`` (resamples, networks): how often each
    was drawn; ``count`` (resamples,): a tenth of the number drawn, at least one; ``first`` (resamples, leading networks):
    how many copies of each are in the tenth ranked first, in the mean over all orders of equal predictions; ``good``
    (resamples, networks): whether each is as good as the best tenth; ``best`` (resamples,): the mean of the best tenth.
    """

    networks: npt.NDArray[np.int64]
    ties: npt.NDArray[np.int64]
    drawn: npt.NDArray[np.float32]
    count: FloatArray
    first: RealArray
    good: npt.NDArray[np.bool_]
    best: FloatArray


def _folds(scored: Scored, resamples: Resamples) -> list[_Fold]:
    """The folds in every resample, kept for the next metric of the same predictions."""
    ranked = np.concatenate([scored.truth, scored.prediction, scored.fold])
    kept: list[_Fold] = resamples.of_truth("folds", ranked, lambda: list(_folds_of(scored, resamples)))
    return kept


def _folds_of(scored: Scored, resamples: Resamples) -> Iterator[_Fold]:
    known = np.concatenate([scored.truth, scored.fold])
    tenths = resamples.of_truth("best tenths", known, lambda: list(_best_tenths(scored, resamples)))
    for inside, tenth in zip(map(np.flatnonzero, fold_masks(scored)), tenths, strict=True):
        ranked = inside[np.argsort(-scored.prediction[inside], kind="stable")]
        ties = np.flatnonzero(np.diff(scored.prediction[ranked], prepend=np.inf))
        drawn = resamples.whole_counts[:, resamples.cluster[ranked]]
        good = scored.truth[ranked] >= tenth.last[:, None]
        yield _Fold(ranked, ties, drawn, tenth.size, _expected_in_the_first(drawn, tenth.size, ties), good, tenth.best)


class _Tenth(NamedTuple):
    """The best tenth of a fold in every resample, (resamples,) each: how many networks, their mean, and the last one's
    accuracy.
    """

    size: FloatArray
    best: FloatArray
    last: FloatArray


def _best_tenths(scored: Scored, resamples: Resamples) -> Iterator[_Tenth]:
    for inside in map(np.flatnonzero, fold_masks(scored)):
        ranked = inside[np.argsort(-scored.truth[inside], kind="stable")]
        drawn = resamples.whole_counts[:, resamples.cluster[ranked]]
        count = np.maximum(1, np.rint(drawn.sum(axis=1, dtype=np.float64) / 10))
        first = _in_the_first(drawn, count)
        truth = scored.truth[ranked[: first.shape[1]]]
        yield _Tenth(count, first @ truth / count, np.where(first > 0, truth, np.inf).min(axis=1))


def _expected_in_the_first(drawn: npt.NDArray[np.float32], count: FloatArray, ties: npt.NDArray[np.int64]) -> RealArray:
    """As `_in_the_first`, in the mean over all orders of the networks with equal predictions: each copy is then as likely as
    any other in its group to be among the first.
    """
    together = _in_groups(drawn, ties)
    first = _in_the_first(together, count)
    if together is drawn:
        return first
    leading = first.shape[1]
    likely = ratio(first.astype(np.float64), together[:, :leading].astype(np.float64))
    sizes = np.diff(ties, append=drawn.shape[1])[:leading]
    return np.nan_to_num(np.repeat(likely, sizes, axis=1)) * drawn[:, : sizes.sum()]


def _in_groups(values: npt.NDArray[np.float32], ties: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """The sum over each group of networks with equal predictions: (resamples, networks) to (resamples, groups)."""
    return values if len(ties) == values.shape[1] else np.add.reduceat(values, ties, axis=1)


def _in_the_first(drawn: npt.NDArray[np.float32], count: FloatArray) -> npt.NDArray[np.float32]:
    """For networks in order, how many copies of each are among the first ``count`` drawn: (resamples, leading networks).
    Networks after these have none. Copies are few, so they are counted in single precision.
    """
    up_to = _counted(drawn, count)
    leading = drawn[:, : up_to.shape[1]]
    before = up_to - leading
    return np.minimum(np.maximum(count[:, None].astype(np.float32) - before, 0), leading)


def _counted(copies: npt.NDArray[np.float32], wanted: RealArray) -> npt.NDArray[np.float32]:
    """How many copies there are up to each network: (resamples, leading networks). It goes at least as far as every resample
    needs to reach the number wanted, or to the end.
    """
    networks = copies.shape[1]
    for leading in (-(-networks // 4), networks):
        up_to = np.cumsum(copies[:, :leading], axis=1)
        if (up_to[:, -1] >= wanted).all():
            break
    return up_to


def _regrets(fold: _Fold, scored: Scored) -> FloatArray:
    return fold.best - fold.first @ scored.truth[fold.networks[: fold.first.shape[1]]] / fold.count


def _recalls(fold: _Fold, scored: Scored) -> FloatArray:
    return np.asarray((fold.first * fold.good[:, : fold.first.shape[1]]).sum(axis=1, dtype=np.float64) / fold.count)


def _mean_over_folds(compute: Callable[[_Fold, Scored], FloatArray], scored: Scored, resamples: Resamples) -> FloatArray:
    """The mean over the folds from which networks were drawn."""
    values = [(compute(fold, scored), fold.drawn.any(axis=1)) for fold in _folds(scored, resamples)]
    total = np.sum([np.where(there, value, 0.0) for value, there in values], axis=0)
    return ratio(total, np.sum([there for _, there in values], axis=0).astype(np.float64))


def _shares_saved(scored: Scored, resamples: Resamples) -> FloatArray:
    whole = resamples.sums(scored.spent + scored.remaining)

    def share(fold: _Fold, scored: Scored) -> FloatArray:
        epochs = fold.drawn * scored.remaining[fold.networks].astype(np.float32)
        return 100 * ratio((epochs.sum(axis=1) - _trained_on(fold, epochs)).astype(np.float64), whole)

    return _mean_over_folds(share, scored, resamples)


def _trained_on(fold: _Fold, epochs: npt.NDArray[np.float32]) -> FloatArray:
    """How many ``epochs`` (resamples, networks) are trained until half of the best tenth are found, (resamples,).

    In the group of equal predictions where the last of them is found, G good networks and others are in a random order. If
    w of the good ones are wanted from it, each of these comes in time with a probability of w / G, and each of the others
    with a probability of w / (G + 1): it must lie before the w-th of the good ones, and has G + 1 places among them.
    """
    wanted = np.ceil(fold.count / 2).astype(np.float32)
    copies = _in_groups(fold.drawn * fold.good, fold.ties)
    found = _counted(copies, wanted)
    rows, hit = np.arange(len(found)), np.argmax(found >= wanted[:, None], axis=1)
    of_all, of_good = (_in_groups(each, fold.ties)[:, : found.shape[1]] for each in (epochs, epochs * fold.good))
    before = np.cumsum(of_all, axis=1)[rows, hit] - of_all[rows, hit]
    there, of_hit = copies[rows, hit].astype(np.float64), wanted - found[rows, hit] + copies[rows, hit]
    good, others = of_good[rows, hit], of_all[rows, hit] - of_good[rows, hit]
    in_time = of_hit * good / np.maximum(there, 1) + of_hit * others / (there + 1)
    return np.where(found[:, -1] >= wanted, before + in_time, 0)  # nothing, where no network was drawn


def _once(compute: Callable[[_Fold, Scored], FloatArray], scored: Scored) -> float:
    return float(_mean_over_folds(compute, scored, every_network_once(len(scored.truth)))[0])


METRICS = (
    Metric(
        "regret_top_tenth",
        label="regret of the top tenth",
        meaning="points between the means of the best tenth and of the tenth ranked first, within folds",
        value=regret_top_tenth,
        in_resamples=regrets_top_tenth,
        smaller_is_better=True,
    ),
    Metric(
        "recall_top_tenth",
        label="top tenth found",
        meaning="share of the tenth ranked first that is as good as the best tenth, within folds",
        value=recall_top_tenth,
        in_resamples=recalls_top_tenth,
    ),
    Metric(
        "epochs_saved",
        label="epochs saved (%)",
        meaning="percent of all epochs, of the networks learnt from too, saved until half of the best tenth are found",
        value=epochs_saved,
        in_resamples=epochs_saved_in_resamples,
    ),
)
