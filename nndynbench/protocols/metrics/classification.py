"""Metrics of classifications."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nndynbench.arrays import FloatArray
from nndynbench.protocols.intervals import Resamples, ratio
from nndynbench.protocols.metrics.metric import Metric
from nndynbench.protocols.scored import Scored, UndefinedMetricError, fold_masks


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


def _chance_of_right_order(high: npt.NDArray[np.bool_], score: FloatArray) -> float:
    """How often a high network is scored above a low one, by Mann and Whitney's U; equal scores count half."""
    from scipy.stats import rankdata

    above = rankdata(score)[high].sum() - high.sum() * (high.sum() + 1) / 2
    return float(above / (high.sum() * (~high).sum()))


def _need_both_classes(truth: FloatArray, what: str) -> None:
    if len(np.unique(truth)) < 2:
        raise UndefinedMetricError(f"{what} is not defined: all test networks are of one class")


def accuracies(scored: Scored, resamples: Resamples) -> FloatArray:
    return resamples.mean((scored.truth == scored.prediction).astype(np.float64))


def balanced_accuracies(scored: Scored, resamples: Resamples) -> FloatArray:
    right = scored.truth == scored.prediction
    recalls = []
    for label in (0, 1):
        inside = scored.truth == label
        recalls.append(ratio(resamples.sums((right & inside).astype(np.float64)), resamples.sums(inside.astype(np.float64))))
    return np.asarray(np.mean(recalls, axis=0))


def roc_aucs(scored: Scored, resamples: Resamples) -> FloatArray:
    """In each resample the mean over those folds of which both classes were drawn."""
    values, weights = [], resamples.weights
    for inside in fold_masks(scored):
        high, low = inside & (scored.truth == 1), inside & (scored.truth == 0)
        above = np.sign(scored.score[high][:, None] - scored.score[low]) / 2 + 0.5
        drawn_high, drawn_low = weights[:, high], weights[:, low]
        pairs = drawn_high.sum(axis=1) * drawn_low.sum(axis=1)
        values.append(ratio(((drawn_high @ above) * drawn_low).sum(axis=1), pairs))
    return ratio(np.nansum(values, axis=0), np.sum(np.isfinite(values), axis=0))


METRICS = (
    Metric(
        "accuracy",
        label="accuracy",
        meaning="share of networks put on the right side of the threshold",
        value=accuracy,
        in_resamples=accuracies,
        of_right=True,
    ),
    Metric(
        "balanced_accuracy",
        label="balanced accuracy",
        meaning="mean of the shares found among the high and among the low networks",
        value=balanced_accuracy,
        in_resamples=balanced_accuracies,
        of_right=True,
    ),
    Metric(
        "roc_auc",
        label="ROC AUC",
        meaning="chance that a high network is scored above a low one, mean over folds",
        value=roc_auc,
        in_resamples=roc_aucs,
        of_right=True,
    ),
)
