"""Metrics of a regression's errors."""

from __future__ import annotations

import numpy as np

from nndynbench.arrays import FloatArray
from nndynbench.protocols.intervals import Resamples, ratio
from nndynbench.protocols.metrics.metric import Metric
from nndynbench.protocols.scored import Scored, UndefinedMetricError


def mae(scored: Scored) -> float:
    """The mean absolute error, in percentage points."""
    return float(np.mean(np.abs(scored.truth - scored.prediction)))


def rmse(scored: Scored) -> float:
    """The root mean squared error, in percentage points."""
    return float(np.sqrt(np.mean((scored.truth - scored.prediction) ** 2)))


def r2(scored: Scored) -> float:
    if np.ptp(scored.truth) == 0:
        raise UndefinedMetricError("R² is not defined: all test networks have the same final accuracy")
    return explained(scored.truth, scored.prediction)


def explained(truth: FloatArray, prediction: FloatArray) -> float:
    return float(1 - np.sum((truth - prediction) ** 2) / np.sum((truth - truth.mean()) ** 2))


def maes(scored: Scored, resamples: Resamples) -> FloatArray:
    return resamples.mean(np.abs(scored.truth - scored.prediction))


def rmses(scored: Scored, resamples: Resamples) -> FloatArray:
    return np.sqrt(resamples.mean((scored.truth - scored.prediction) ** 2))


def r2s(scored: Scored, resamples: Resamples) -> FloatArray:
    variance = resamples.variance(scored.truth)
    return ratio(variance - resamples.mean((scored.truth - scored.prediction) ** 2), variance)


def squares_around_mean(scored: Scored, resamples: Resamples) -> FloatArray:
    return np.asarray(resamples.size * resamples.variance(scored.truth))


# One linear fit with an R² of −60 would flatten every other curve.
SHARE_SHOWN = (-0.5, 1.02)

METRICS = (
    Metric(
        "mae",
        label="MAE",
        meaning="mean absolute error, in percentage points",
        value=mae,
        in_resamples=maes,
        smaller_is_better=True,
    ),
    Metric(
        "rmse",
        label="RMSE",
        meaning="root mean squared error, in percentage points",
        value=rmse,
        in_resamples=rmses,
        smaller_is_better=True,
    ),
    Metric(
        "r2",
        label="R²",
        meaning="share of the final accuracies' variance that is predicted",
        value=r2,
        in_resamples=r2s,
        shown=SHARE_SHOWN,
        total=squares_around_mean,
    ),
)
