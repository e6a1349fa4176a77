"""Metrics of which networks to go on training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from nndynbench.protocols.intervals import FloatArray, Resamples
from nndynbench.protocols.metrics.metric import Metric
from nndynbench.protocols.scored import Scored

POINT_OF_REGRET = 1.0
TIES_SEED = 0


def regret_1(scored: Scored) -> float:
    """Percentage points between the best network and the one that was ranked first."""
    return regret(scored, 1)


def regret_5(scored: Scored) -> float:
    """Percentage points between the best network and the best of the five that were ranked first."""
    return regret(scored, 5)


def regret(scored: Scored, count: int) -> float:
    return float(scored.truth.max() - scored.truth[ranking(scored.prediction)[:count]].max())


def recall_top_tenth(scored: Scored) -> float:
    """Share of the best tenth of the networks that is in the tenth ranked first."""
    count = tenth(len(scored.truth))
    best, chosen = ranking(scored.truth)[:count], ranking(scored.prediction)[:count]
    return len(np.intersect1d(best, chosen)) / count


def epochs_saved(scored: Scored) -> float:
    """Percent of all training epochs saved where, after the budget, networks are trained on one by one as ranked, until one
    is within a point of the best.
    """
    order = ranking(scored.prediction)
    needed = int(np.argmax(scored.truth[order] >= scored.truth.max() - POINT_OF_REGRET)) + 1
    trained = scored.spent.sum() + scored.remaining[order[:needed]].sum()
    return float(100 * (1 - trained / (scored.spent.sum() + scored.remaining.sum())))


def ranking(values: FloatArray) -> npt.NDArray[np.int64]:
    """Positions, the largest value first; equal values in an order drawn once, so that the grid's order is no help."""
    shuffled = np.random.default_rng(TIES_SEED).permutation(len(values))
    return np.asarray(shuffled[np.argsort(-values[shuffled], kind="stable")])


def tenth(count: int) -> int:
    """A tenth of the networks, at least one."""
    return max(1, round(count / 10))


def regrets(count: int) -> Callable[[Scored, Resamples], FloatArray]:
    def regret(scored: Scored, resamples: Resamples) -> FloatArray:
        order, drawn, before = _ranked_first(scored.prediction, resamples, np.full(len(resamples.counts), count))
        return _best(scored, resamples) - _largest(scored.truth[order], (drawn > 0) & (before < count))

    return regret


def recalls_top_tenth(scored: Scored, resamples: Resamples) -> FloatArray:
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


def shares_saved(scored: Scored, resamples: Resamples) -> FloatArray:
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


METRICS = (
    Metric(
        "regret_1",
        label="regret of the first",
        meaning="points between the best network and the one ranked first",
        value=regret_1,
        in_resamples=regrets(1),
        smaller_is_better=True,
    ),
    Metric(
        "regret_5",
        label="regret of the best of five",
        meaning="points between the best network and the best of the five ranked first",
        value=regret_5,
        in_resamples=regrets(5),
        smaller_is_better=True,
    ),
    Metric(
        "recall_top_tenth",
        label="top tenth found",
        meaning="share of the best tenth that is ranked in the first tenth",
        value=recall_top_tenth,
        in_resamples=recalls_top_tenth,
    ),
    Metric(
        "epochs_saved",
        label="epochs saved (%)",
        meaning="percent of all epochs saved where networks are trained on, as ranked, to within a point of the best",
        value=epochs_saved,
        in_resamples=shares_saved,
    ),
)
