"""Metrics of choosing which networks to go on training, within each fold: only a fold's networks are ranked by one fit.

The best tenth counts, not the single best network: the bootstrap of a maximum gives no interval. The networks that a method
learnt from were trained to the end, and their epochs count as costs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nndynbench.arrays import FloatArray, RealArray
from nndynbench.protocols.intervals import KEPT, Resamples, ratio
from nndynbench.protocols.metrics.metric import Metric
from nndynbench.protocols.scored import Scored, fold_masks

TIES_SEED = 0


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
    return float(_shares_saved(scored, _every_network_once(len(scored.truth)))[0])


def regrets_top_tenth(scored: Scored, resamples: Resamples) -> FloatArray:
    return _mean_over_folds(_regrets, scored, resamples)


def recalls_top_tenth(scored: Scored, resamples: Resamples) -> FloatArray:
    return _mean_over_folds(_recalls, scored, resamples)


def ranking(values: FloatArray) -> npt.NDArray[np.int64]:
    """Positions, the largest value first. Equal values come in an order drawn once, so that the grid's order is no help."""
    shuffled = np.random.default_rng(TIES_SEED).permutation(len(values))
    return np.asarray(shuffled[np.argsort(-values[shuffled], kind="stable")])


@dataclass(frozen=True)
class _Fold:
    """A fold's networks in ranked order, in every resample.

    ``drawn`` (resamples, networks): how often each was drawn; ``count`` (resamples,): a tenth of the number drawn, at least
    one; ``first`` (resamples, leading networks): how many copies of each are in the tenth ranked first; ``good`` (resamples,
    networks): whether each is as good as the best tenth; ``best`` (resamples,): the mean of the best tenth.
    """

    networks: npt.NDArray[np.int64]
    drawn: npt.NDArray[np.float32]
    count: FloatArray
    first: npt.NDArray[np.float32]
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
        ranked = inside[ranking(scored.prediction[inside])]
        drawn = resamples.whole_counts[:, resamples.cluster[ranked]]
        good = scored.truth[ranked] >= tenth.last[:, None]
        yield _Fold(ranked, drawn, tenth.size, _in_the_first(drawn, tenth.size), good, tenth.best)


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
    shares = []
    for fold in _folds(scored, resamples):
        remaining = scored.remaining[fold.networks].astype(np.float32)
        wanted = np.ceil(fold.count / 2).astype(np.float32)
        copies = fold.drawn * fold.good
        found = _counted(copies, wanted)
        rows, hit = np.arange(len(found)), np.argmax(found >= wanted[:, None], axis=1)
        leading = fold.drawn[:, : found.shape[1]] * remaining[: found.shape[1]]
        before = np.cumsum(leading, axis=1)[rows, hit] - leading[rows, hit]
        of_hit = wanted - found[rows, hit] + copies[rows, hit]
        trained = np.where(
            found[:, -1] >= wanted, before + of_hit * remaining[hit], 0
        )  # nothing, where no network was drawn
        shares.append(100 * ratio((fold.drawn @ remaining - trained).astype(np.float64), whole))
    return np.asarray(np.mean(shares, axis=0))


def _once(compute: Callable[[_Fold, Scored], FloatArray], scored: Scored) -> float:
    return float(_mean_over_folds(compute, scored, _every_network_once(len(scored.truth)))[0])


@lru_cache(KEPT)
def _every_network_once(count: int) -> Resamples:
    return Resamples(np.ones((1, count)), np.arange(count))


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
        in_resamples=_shares_saved,
    ),
)
