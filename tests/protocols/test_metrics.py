"""Metrics equal scikit-learn's and scipy's, which are the oracle."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    mean_absolute_error,
    r2_score,
    roc_auc_score,
    root_mean_squared_error,
)

from nndynbench.protocols.metrics import METRICS, Scored, UndefinedMetricError

seeds = st.integers(0, 2**32 - 1)


def drawn(seed: int, *, classes: bool) -> Scored:
    """Truths and predictions with ties; of classes, both in each of three folds."""
    random = np.random.default_rng(seed)
    count = 3 * int(random.integers(4, 40))
    fold = np.arange(count) % 3
    if classes:
        truth = np.concatenate([np.zeros(3), np.ones(3), random.integers(0, 2, count - 6)])
        return Scored(truth, random.integers(0, 2, count).astype(float), random.integers(0, 9, count) / 3, fold)
    return Scored(random.integers(0, 50, count) * 1.7, random.integers(0, 50, count) * 2.1, np.zeros(count), fold)


@settings(deadline=None)
@given(seed=seeds)
def test_classification_equals_scikit_learn(seed: int) -> None:
    scored = drawn(seed, classes=True)
    by_fold = [roc_auc_score(scored.truth[scored.fold == fold], scored.score[scored.fold == fold]) for fold in range(3)]
    expected = {
        "accuracy": accuracy_score(scored.truth, scored.prediction),
        "balanced_accuracy": balanced_accuracy_score(scored.truth, scored.prediction),
        "roc_auc": np.mean(by_fold),
    }
    assert {metric: METRICS[metric](scored) for metric in expected} == pytest.approx(expected, abs=1e-12)


@settings(deadline=None)
@given(seed=seeds)
def test_regression_equals_scikit_learn(seed: int) -> None:
    scored = drawn(seed, classes=False)
    expected = {
        "mae": mean_absolute_error(scored.truth, scored.prediction),
        "rmse": root_mean_squared_error(scored.truth, scored.prediction),
        "r2": r2_score(scored.truth, scored.prediction),
    }
    assert {metric: METRICS[metric](scored) for metric in expected} == pytest.approx(expected, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("metric", ["balanced_accuracy", "roc_auc"])
def test_one_class_alone_defines_no_balance(metric: str) -> None:
    scored = Scored(np.ones(4), np.ones(4), np.ones(4), np.zeros(4, dtype=int))
    with pytest.raises(UndefinedMetricError, match="all test networks are of one class"):
        METRICS[metric](scored)
