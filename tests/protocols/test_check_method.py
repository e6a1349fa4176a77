"""`check_method` tells in seconds what would stop a method, or what it reads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline

import nndynbench as nb
from nndynbench.protocols import MethodError


def curves(history: nb.History) -> dict[str, float]:
    return {"loss": history.curves["train_loss"].iloc[-1]}


class Draws(RegressorMixin, BaseEstimator):
    """Predicts something else each time."""

    def fit(self, X: Any, y: Any) -> Draws:
        return self

    def predict(self, X: Any) -> Any:
        return np.random.default_rng().normal(size=len(X))


def test_it_says_what_a_method_does_and_reads() -> None:
    check = nb.check_method(make_pipeline(nb.Columns([curves]), LinearRegression()))
    assert (check.tasks, check.tier) == (("regression",), ("curves",))
    assert nb.check_method("degree-svm").tasks == ("classification",)
    assert nb.check_method("hyperparameters").tasks == ("classification", "regression")


def test_open_seeds_are_fixed_for_the_method() -> None:
    nb.check_method(make_pipeline(nb.Columns([curves]), RandomForestRegressor(5)))


def test_a_method_that_predicts_differently_each_time_is_stopped() -> None:
    with pytest.raises(MethodError, match="a second fit predicts something else"):
        nb.check_method(Draws())


def test_a_tier_that_is_not_declared_is_named() -> None:
    method = nb.Method(
        description="", source="", tier={"weights"}, regressor=make_pipeline(nb.Columns([curves]), LinearRegression())
    )
    with pytest.raises(MethodError, match=r"declares the tier \['weights'\] and read \['curves'\]"):
        nb.check_method(method)


@pytest.mark.parametrize("method", [42, RandomForestRegressor, None])
def test_what_is_no_method_is_said_to_be_none(method: Any) -> None:
    with pytest.raises(MethodError, match="is no method: neither a name, nor a Method, nor a scikit-learn estimator"):
        nb.check_method(method)
