"""Groups of training networks that belong together: told to methods that ask for them, and to no others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline

import nndynbench as nb
from nndynbench.protocols.fitting import Known, fitted_on

HANDED: list[dict[str, Any]] = []


class Asks(RegressorMixin, BaseEstimator):
    def fit(self, X: Any, y: Any, groups: Any = None) -> Asks:
        HANDED.append({"rows": [history.hyperparameters for history in X], "groups": groups, "target": y})
        return self

    def predict(self, X: Any) -> Any:
        return np.zeros(len(X))


class AsksForGroups(RegressorMixin, BaseEstimator):
    """As a pipeline's last step, which is handed numbers."""

    def fit(self, X: Any, y: Any, groups: Any = None) -> AsksForGroups:
        HANDED.append({"groups": groups})
        return self

    def predict(self, X: Any) -> Any:
        return np.zeros(len(X))


class AsksForAccuracies(ClassifierMixin, BaseEstimator):
    def fit(self, X: Any, y: Any, accuracies: Any = None) -> AsksForAccuracies:
        self.classes_ = np.unique(y)
        HANDED.append({"accuracies": accuracies, "target": y})
        return self

    def predict(self, X: Any) -> Any:
        return np.zeros(len(X))


@pytest.fixture(autouse=True)
def _nothing_handed() -> None:
    HANDED.clear()


def handed(subset: nb.Subset, protocol: str) -> dict[str, Any]:
    nb.evaluate(Asks(), subset, protocol=protocol, budgets=1, sealed=False)
    return HANDED[0]


def test_networks_of_a_learning_rate_belong_together(digits: nb.Subset) -> None:
    told = handed(digits, "regression-folds")
    rates = pd.factorize(pd.DataFrame(told["rows"])["learning_rate"])[0]
    np.testing.assert_array_equal(told["groups"], rates)


def test_an_optimisers_networks_belong_together_where_optimisers_are_blocks() -> None:
    told = handed(nb.load("cifar10-lenet-diverse"), "blocked")
    np.testing.assert_array_equal(told["groups"], pd.factorize(pd.DataFrame(told["rows"])["optimiser"])[0])


def test_bands_of_learning_rates_belong_together_where_bands_are_blocks(digits: nb.Subset) -> None:
    told = handed(digits, "blocked")
    ranks = pd.factorize(digits.networks["learning_rate"], sort=True)[0] // 4
    band = dict(zip(digits.networks["learning_rate"], ranks, strict=True))
    rates = pd.DataFrame(told["rows"])["learning_rate"]
    np.testing.assert_array_equal(told["groups"], pd.factorize(rates.map(band))[0])


def test_seeds_of_a_recipe_belong_together() -> None:
    told = handed(nb.load("digits-lenet-seeds"), "seeds")
    recipes = pd.DataFrame(told["rows"]).astype(str).agg(" ".join, axis=1)
    np.testing.assert_array_equal(told["groups"], pd.factorize(recipes)[0])


def test_a_classifier_that_asks_is_handed_the_accuracies_that_labels_are_a_cut_of(digits: nb.Subset) -> None:
    nb.evaluate(AsksForAccuracies(), digits, protocol="classification", budgets=1, sealed=False)
    for told in HANDED:
        np.testing.assert_array_equal(told["target"], told["accuracies"] >= digits.manifest.threshold)


class CallsTheTargetAccuracies(RegressorMixin, BaseEstimator):
    def fit(self, histories: Any, accuracies: Any, groups: Any = None) -> CallsTheTargetAccuracies:
        HANDED.append({"target": accuracies, "groups": groups})
        return self

    def predict(self, histories: Any) -> Any:
        return np.zeros(len(histories))


def test_a_fit_may_call_its_target_accuracies(digits: nb.Subset) -> None:
    ids = digits.network_ids[:3]
    known = Known(np.array([70.0, 80.0, 90.0]), np.array([0, 0, 1]), np.array([1.0, 2.0, 3.0]))
    fitted_on(CallsTheTargetAccuracies(), {}, digits.histories(ids, 1), known, "regression")
    [told] = HANDED
    np.testing.assert_array_equal(told["target"], known.target)
    np.testing.assert_array_equal(told["groups"], known.groups)


class Chooses(Asks):
    """Has a parameter to choose, and requires both groups and accuracies."""

    def __init__(self, level: float = 0.0) -> None:
        self.level = level

    def fit(self, X: Any, y: Any, *, groups: Any, accuracies: Any) -> Chooses:  # type: ignore[override]
        HANDED.append({"networks": len(X), "groups": groups, "accuracies": accuracies, "target": y})
        return self

    def predict(self, X: Any) -> Any:
        return np.full(len(X), self.level)


def test_one_whose_parameters_are_chosen_is_handed_the_same_in_inner_folds_and_in_the_last_fit(digits: nb.Subset) -> None:
    ids = digits.network_ids[:60]
    networks = digits.networks.loc[ids]
    accuracies = networks["final_accuracy"].to_numpy()
    known = Known(accuracies, pd.factorize(networks["learning_rate"])[0], accuracies)
    choices = {"level": [0.0, float(accuracies.mean()), 100.0]}
    fitted = fitted_on(Chooses(), choices, digits.histories(ids, 1), known, "regression")
    assert fitted.level == accuracies.mean()
    *inner, last = HANDED
    assert (len(inner), last["networks"]) == (9, 60)
    for told in HANDED:
        assert len(told["groups"]) == told["networks"]
        np.testing.assert_array_equal(told["accuracies"], told["target"])


def test_a_sealed_method_is_handed_the_same(digits: nb.Subset) -> None:
    class Says(RegressorMixin, BaseEstimator):
        def fit(self, X: Any, y: Any, groups: Any = None) -> Says:
            self.said_ = float(len(set(groups)))
            return self

        def predict(self, X: Any) -> Any:
            return np.full(len(X), self.said_)

    sealed, open_ = (
        nb.evaluate(Says(), digits, protocol="regression-folds", budgets=1, sealed=sealed).predictions["prediction"]
        for sealed in (True, False)
    )
    np.testing.assert_array_equal(sealed, open_)
    assert sealed.iloc[0] == 48


def test_the_learner_of_a_pipeline_and_a_search_over_groups_are_told_too(digits: nb.Subset) -> None:
    ids = digits.network_ids[:60]
    truth, groups = digits.networks.loc[ids, "final_accuracy"].to_numpy(), np.repeat(np.arange(12), 5)
    known, histories = Known(truth, groups, truth), digits.histories(ids, 1)
    fitted_on(make_pipeline(nb.Signature("degree"), AsksForGroups()), {}, histories, known, "regression")
    np.testing.assert_array_equal(HANDED[0]["groups"], groups)
    learner = make_pipeline(nb.Signature("degree"), SimpleImputer(), Ridge())
    search = GridSearchCV(learner, {"ridge__alpha": [1.0, 10.0]}, cv=GroupKFold(3))
    assert "ridge__alpha" in fitted_on(search, {}, histories, known, "regression").best_params_
