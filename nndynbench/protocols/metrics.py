"""Metrics, from scikit-learn and scipy: one number from the truth and the predictions of the test networks.

``fold`` matters to ROC AUC alone: scores of different fits share no scale, so it is the mean over folds. Every other
metric is computed once on all test networks. A metric that is not defined raises `UndefinedMetricError`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


class UndefinedMetricError(ValueError):
    """A metric that these predictions do not define; says why."""


@dataclass(frozen=True)
class Scored:
    """What a metric is computed from, an entry per test network: the truth, the prediction (0/1 or percent), the
    classifier's score, and the fold."""

    truth: FloatArray
    prediction: FloatArray
    score: FloatArray
    fold: npt.NDArray[np.int64]


Metric: TypeAlias = Callable[[Scored], float]


def accuracy(scored: Scored) -> float:
    from sklearn.metrics import accuracy_score

    return float(accuracy_score(scored.truth, scored.prediction))


def balanced_accuracy(scored: Scored) -> float:
    from sklearn.metrics import balanced_accuracy_score

    _need_both_classes(scored.truth, "balanced accuracy")
    return float(balanced_accuracy_score(scored.truth, scored.prediction))


def roc_auc(scored: Scored) -> float:
    from sklearn.metrics import roc_auc_score

    values = []
    for fold in np.unique(scored.fold):
        inside = scored.fold == fold
        _need_both_classes(scored.truth[inside], f"ROC AUC in fold {fold}")
        values.append(roc_auc_score(scored.truth[inside], scored.score[inside]))
    return float(np.mean(values))


def mae(scored: Scored) -> float:
    """In percentage points."""
    from sklearn.metrics import mean_absolute_error

    return float(mean_absolute_error(scored.truth, scored.prediction))


def rmse(scored: Scored) -> float:
    """In percentage points."""
    from sklearn.metrics import root_mean_squared_error

    return float(root_mean_squared_error(scored.truth, scored.prediction))


def r2(scored: Scored) -> float:
    from sklearn.metrics import r2_score

    if np.ptp(scored.truth) == 0:
        raise UndefinedMetricError("R² is not defined: all test networks have the same final accuracy")
    return float(r2_score(scored.truth, scored.prediction))


def kendall_tau(scored: Scored) -> float:
    from scipy.stats import kendalltau

    _need_ranks(scored)
    return float(kendalltau(scored.truth, scored.prediction).statistic)


def spearman_rho(scored: Scored) -> float:
    from scipy.stats import spearmanr

    _need_ranks(scored)
    return float(spearmanr(scored.truth, scored.prediction).statistic)


METRICS: dict[str, Metric] = {
    function.__name__: function
    for function in (accuracy, balanced_accuracy, roc_auc, mae, rmse, r2, kendall_tau, spearman_rho)
}


def _need_both_classes(truth: FloatArray, what: str) -> None:
    if len(np.unique(truth)) < 2:
        raise UndefinedMetricError(f"{what} is not defined: all test networks are of one class")


def _need_ranks(scored: Scored) -> None:
    for what, values in (("final accuracies", scored.truth), ("predictions", scored.prediction)):
        if np.ptp(values) == 0:
            raise UndefinedMetricError(f"a rank correlation is not defined: all {what} are equal")
