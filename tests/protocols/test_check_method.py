"""`check_method` says in seconds what would stop a method, or what the method reads."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import signature
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils import all_estimators

import nndynbench as nb
from nndynbench.protocols import MethodError
from nndynbench.protocols.failures import why_it_failed
from nndynbench.sealed.outside import is_cheap
from nndynbench.subsets import BudgetError


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
    assert (check.tasks, check.reads) == (("regression",), ("curves",))
    assert nb.check_method("degree-svm").tasks == ("classification",)
    assert nb.check_method("hyperparameters").tasks == ("classification", "regression")


def layers(graph: nb.graphs.LayeredGraph) -> list[float]:
    return [float(len(graph.blocks))]


def test_equal_predictions_for_all_networks_are_remarked_on() -> None:
    check = nb.check_method(make_pipeline(nb.Signature(layers), StandardScaler(), LinearRegression()))
    assert check.remarks == ("regression: predicts the same for all 20 networks: does what it reads vary?",)
    assert nb.check_method(make_pipeline(nb.Columns([curves]), LinearRegression())).remarks == ()


def test_a_classifier_is_remarked_on_if_its_scores_do_not_vary_either() -> None:
    always_high = LogisticRegression(class_weight={0: 1e-6, 1: 1.0})
    assert nb.check_method(make_pipeline(nb.Columns([curves]), always_high)).remarks == ()
    same = nb.check_method(make_pipeline(nb.Signature(layers), SVC())).remarks
    assert same == ("classification: predicts the same for all 20 networks: does what it reads vary?",)


@pytest.mark.filterwarnings("ignore:Skipping features")
def test_a_function_that_is_nan_for_every_network_is_told_so() -> None:
    def undefined(graph: nb.graphs.LayeredGraph) -> float:
        return float("nan")

    method = make_pipeline(nb.Signature(undefined), SimpleImputer(), StandardScaler(), LinearRegression())
    with pytest.raises(MethodError, match="no column is left: its functions return only NaN, or nothing, for every network"):
        nb.check_method(method)


def test_a_method_that_reads_nothing_is_remarked_on() -> None:
    [remark] = nb.check_method("constant").remarks
    assert remark.startswith("reads nothing of any network")


class LoadsTheSubset(Draws):
    """Reads the zoo that it is tested on, where it is fitted."""

    def fit(self, X: Any, y: Any) -> LoadsTheSubset:
        self.mean_ = float(nb.load("digits-lenet").networks["final_accuracy"].mean())
        return self

    def predict(self, X: Any) -> Any:
        return np.full(len(X), self.mean_)


@pytest.mark.skipif(not is_cheap(), reason="needs Linux, to fork sealed processes")
def test_a_method_that_loads_the_subset_is_refused_as_by_evaluate(digits: nb.Subset) -> None:
    for ask in (nb.check_method, lambda method: nb.evaluate(method, digits, budgets=1)):
        with pytest.raises(MethodError, match="may not be loaded where a method is fitted"):
            ask(LoadsTheSubset())


def test_open_seeds_are_fixed_for_the_method() -> None:
    nb.check_method(make_pipeline(nb.Columns([curves]), RandomForestRegressor(5)))


def test_a_method_that_predicts_differently_each_time_is_stopped() -> None:
    with pytest.raises(MethodError, match="a second fit gives different predictions"):
        nb.check_method(Draws())


def test_a_tier_that_is_not_declared_is_named() -> None:
    method = nb.Method(
        description="", source="", reads={"weights"}, regressor=make_pipeline(nb.Columns([curves]), LinearRegression())
    )
    with pytest.raises(
        MethodError, match=r"declares that it reads \['weights'\], but also read \['curves'\]: add 'curves' to its reads"
    ):
        nb.check_method(method)


def degree(graph: nb.graphs.LayeredGraph) -> Any:
    return graph.degree()


@pytest.mark.parametrize(
    ("method", "instead"),
    [
        (42, "42 is neither a name, nor a Method, nor a scikit-learn estimator"),
        (None, "None is neither a name"),
        (RandomForestRegressor, r"RandomForestRegressor is a class: write RandomForestRegressor\(\)"),
        (degree, r"degree is a function: write make_pipeline\(nndynbench.Signature\(degree\), Ridge\(\)\)"),
        (nb.Signature(degree), "Signature predicts nothing: put a learner after it"),
        (make_pipeline(nb.Signature(degree), StandardScaler()), "Pipeline predicts nothing: put a learner after it"),
    ],
)
def test_what_is_no_method_is_told_what_to_write_instead(digits: nb.Subset, method: Any, instead: str) -> None:
    for ask in (nb.check_method, lambda method: nb.evaluate(method, digits, budgets=1)):
        with pytest.raises(MethodError, match=f"not a method: {instead}"):
            ask(method)


def learners() -> Iterator[Any]:
    """Every classifier and regressor of scikit-learn that can be made without arguments and wraps no other estimator."""
    for name, make in all_estimators(type_filter=["classifier", "regressor"]):
        needed = [p for p in signature(make).parameters.values() if p.default is p.empty and p.kind is not p.VAR_KEYWORD]
        if not needed and name != "SelfTrainingClassifier":  # by default, it wraps no learner at all
            yield make()


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_every_learner_of_numbers_is_told_to_put_a_signature_before_it(digits: nb.Subset) -> None:
    histories, target = digits.histories(range(12), 1), [0, 1] * 6
    said = {}
    for learner in learners():
        try:
            learner.fit(histories, target)
        except Exception as refusal:
            said[type(learner).__name__] = why_it_failed(refusal)
    assert len(said) > 70
    assert set(said.values()) == {
        "it takes numbers, not histories: put nndynbench.Signature first, as in make_pipeline(Signature(function), …)"
    }


def test_a_method_of_numbers_alone_is_a_method_error_that_says_so(digits: nb.Subset) -> None:
    for ask in (nb.check_method, lambda method: nb.evaluate(method, digits, budgets=1)):
        with pytest.raises(MethodError, match=r"fold 0: it takes numbers, not histories: put nndynbench.Signature"):
            ask(SVC())


class ReturnsNothing(RegressorMixin, BaseEstimator):
    def fit(self, X: Any, y: Any) -> None:
        self.mean_ = float(np.mean(y))

    def predict(self, X: Any) -> Any:
        return np.full(len(X), self.mean_)


def test_a_fit_that_returns_nothing_is_a_fit() -> None:
    assert nb.check_method(ReturnsNothing()).tasks == ("regression",)


def test_a_method_of_later_epochs_is_checked_at_the_budgets_that_it_is_meant_for() -> None:
    late = make_pipeline(nb.Signature(degree, epochs=[5]), SimpleImputer(), LinearRegression())
    with pytest.raises(MethodError, match=r"none of the epochs \[5\] lies within the budget of 1: .* --budgets 5"):
        nb.check_method(late)
    assert nb.check_method(late, budgets=5).remarks == ()
    with pytest.raises(BudgetError, match="valid budgets are whole numbers from 1 to 15"):
        nb.check_method(late, budgets="5,90")


def test_epochs_that_no_budget_reaches_are_remarked_on() -> None:
    method = make_pipeline(nb.Signature(degree, epochs=[1, 3, 4]), SimpleImputer(), LinearRegression())
    [remark] = nb.check_method(method).remarks
    assert remark == "its Signature names epochs 3 and 4, left out within a budget of 2: to try them, --budgets 4"
    assert nb.check_method(method, budgets=[1, 4]).remarks == ()
