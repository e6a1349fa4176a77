"""Metrics: one number from the truth and the predictions of the test networks, equal to scikit-learn's and scipy's.

The board computes tens of thousands of them; scikit-learn's validate their input for longer than these take. A metric is an
entry of one of these modules: its function, the same in every resample, its direction, and its words.

``fold`` matters to ROC AUC alone: scores of different fits share no scale, so it is the mean over folds. Every other
metric is computed once on all test networks. A metric that is not defined raises `UndefinedMetricError`.
"""

from __future__ import annotations

from nndynbench.protocols.metrics import classification, ranks, regression, selection, within
from nndynbench.protocols.metrics.metric import Metric
from nndynbench.protocols.scored import Scored, UndefinedMetricError

__all__ = ["METRICS", "Metric", "Scored", "UndefinedMetricError"]

METRICS: dict[str, Metric] = {
    metric.name: metric for module in (classification, ranks, regression, selection, within) for metric in module.METRICS
}
