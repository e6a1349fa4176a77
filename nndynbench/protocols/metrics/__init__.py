"""Metrics: one number from the truth and the predictions of the test networks, equal to scikit-learn's and scipy's.

They are computed here because the board needs tens of thousands of them, and scikit-learn's functions take longer to
validate their input than these take in all. A metric is an entry of one of these modules: its function, the same in every
resample, its direction, and its words.

Scores of different fits share no scale, so ROC AUC, the metrics of `selection` and the rank correlations "in folds" are
means over folds. The metrics of `within` compare the seeds of a recipe. Every other metric is computed once on all test
networks. A metric that is not defined raises `UndefinedMetricError`.
"""

from __future__ import annotations

from nndynbench.protocols.metrics import classification, ranks, regression, selection, within
from nndynbench.protocols.metrics.metric import Metric
from nndynbench.protocols.scored import Scored, UndefinedMetricError

__all__ = ["METRICS", "Metric", "Scored", "UndefinedMetricError"]

METRICS: dict[str, Metric] = {
    metric.name: metric for module in (classification, ranks, regression, selection, within) for metric in module.METRICS
}
