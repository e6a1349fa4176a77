"""Metrics: one number from the truth and the predictions of the test networks, equal to scikit-learn's and scipy's.

The board computes tens of thousands of them; scikit-learn's validate their input for longer than these take.

``fold`` matters to ROC AUC alone: scores of different fits share no scale, so it is the mean over folds. Every other
metric is computed once on all test networks. A metric that is not defined raises `UndefinedMetricError`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from nndynbench.errors import NndynbenchError

FloatArray = npt.NDArray[np.float64]

POINT_OF_REGRET = 1.0
TIES_SEED = 0


class UndefinedMetricError(NndynbenchError, ValueError):
    """A metric that these predictions do not define; says why."""


@dataclass(frozen=True)
class Scored:
    """What a metric is computed from, an entry per test network: the truth, the prediction (0/1 or percent), the
    classifier's score, the fold, and (for triage) the epochs trained up to the budget and after it.
    """

    truth: FloatArray
    prediction: FloatArray
    score: FloatArray
    fold: npt.NDArray[np.int64]
    spent: FloatArray = field(default_factory=lambda: np.zeros(0))
    remaining: FloatArray = field(default_factory=lambda: np.zeros(0))

    def drawn(self, networks: npt.NDArray[np.int64]) -> Scored:
        """The entries at some positions, each as often as it is named."""
        return Scored(*(values[networks] if len(values) else values for values in vars(self).values()))


Metric: TypeAlias = Callable[[Scored], float]


def accuracy(scored: Scored) -> float:
    return float(np.mean(scored.truth == scored.prediction))


def balanced_accuracy(scored: Scored) -> float:
    _need_both_classes(scored.truth, "balanced accuracy")
    right = scored.truth == scored.prediction
    return float(np.mean([right[scored.truth == label].mean() for label in np.unique(scored.truth)]))


def roc_auc(scored: Scored) -> float:
    values = []
    for fold in np.unique(scored.fold):
        inside = scored.fold == fold
        _need_both_classes(scored.truth[inside], f"ROC AUC in fold {fold}")
        values.append(_chance_of_right_order(scored.truth[inside] == 1, scored.score[inside]))
    return float(np.mean(values))


def mae(scored: Scored) -> float:
    """In percentage points."""
    return float(np.mean(np.abs(scored.truth - scored.prediction)))


def rmse(scored: Scored) -> float:
    """In percentage points."""
    return float(np.sqrt(np.mean((scored.truth - scored.prediction) ** 2)))


def r2(scored: Scored) -> float:
    if np.ptp(scored.truth) == 0:
        raise UndefinedMetricError("R² is not defined: all test networks have the same final accuracy")
    return _explained(scored.truth, scored.prediction)


def kendall_tau(scored: Scored) -> float:
    from scipy.stats import kendalltau

    _need_ranks(scored)
    return float(kendalltau(scored.truth, scored.prediction).statistic)


def spearman_rho(scored: Scored) -> float:
    from scipy.stats import spearmanr

    _need_ranks(scored)
    return float(spearmanr(scored.truth, scored.prediction).statistic)


def r2_rank_matched(scored: Scored) -> float:
    """R² of the truths in the order of the predictions: what is left when a method's scale is forgiven, and only its
    ranking is judged (equal predictions share the mean of their truths' ranks).
    """
    from scipy.stats import rankdata

    _need_ranks(scored)
    ordered = np.sort(scored.truth)
    first = rankdata(scored.prediction, "min").astype(int) - 1
    last = rankdata(scored.prediction, "max").astype(int)
    total = np.concatenate([[0.0], np.cumsum(ordered)])
    return _explained(scored.truth, (total[last] - total[first]) / (last - first))


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


METRICS: dict[str, Metric] = {
    function.__name__: function
    for function in (
        accuracy,
        balanced_accuracy,
        roc_auc,
        mae,
        rmse,
        r2,
        kendall_tau,
        spearman_rho,
        r2_rank_matched,
        regret_1,
        regret_5,
        recall_top_tenth,
        epochs_saved,
    )
}


@dataclass(frozen=True)
class MetricFacts:
    """What metrics.toml says of a metric."""

    label: str
    meaning: str
    smaller_is_better: bool = False
    shown: tuple[float, float] | None = None


@cache
def metric_facts() -> dict[str, MetricFacts]:
    """Every metric's facts."""
    entries = tomllib.loads(files("nndynbench.protocols").joinpath("metrics.toml").read_text(encoding="utf-8"))
    return {metric: MetricFacts(**entry) for metric, entry in entries.items()}


def direction(metric: str) -> int:
    """1 where more of the metric is better, −1 where less is."""
    return -1 if metric_facts()[metric].smaller_is_better else 1


def _explained(truth: FloatArray, prediction: FloatArray) -> float:
    return float(1 - np.sum((truth - prediction) ** 2) / np.sum((truth - truth.mean()) ** 2))


def _chance_of_right_order(high: npt.NDArray[np.bool_], score: FloatArray) -> float:
    """By Mann and Whitney's U: how often a high network is scored above a low one; equal scores count half."""
    from scipy.stats import rankdata

    above = rankdata(score)[high].sum() - high.sum() * (high.sum() + 1) / 2
    return float(above / (high.sum() * (~high).sum()))


def _need_both_classes(truth: FloatArray, what: str) -> None:
    if len(np.unique(truth)) < 2:
        raise UndefinedMetricError(f"{what} is not defined: all test networks are of one class")


def _need_ranks(scored: Scored) -> None:
    for what, values in (("final accuracies", scored.truth), ("predictions", scored.prediction)):
        if np.ptp(values) == 0:
            raise UndefinedMetricError(f"a rank correlation is not defined: all {what} are equal")
