"""Through what it is handed, a method reaches only histories up to the budget."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.dummy import DummyRegressor
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import FeatureUnion, make_pipeline

import nndynbench as nb
from nndynbench.protocols import MethodError

BUDGET = 3


class Reader(RegressorMixin, BaseEstimator):
    """Fits nothing, and reads something from every history."""

    def __init__(self, reads: Callable[[Any], Any]) -> None:
        self.reads = reads

    def fit(self, X: Sequence[Any], y: Any) -> Reader:
        self.seen_ = [self.reads(history) for history in X]
        return self

    def predict(self, X: Sequence[Any]) -> Any:
        return np.zeros(len(X))


FORBIDDEN = {
    "the final accuracy": lambda history: history.final_accuracy,
    "the label": lambda history: history.label,
    "the network's id": lambda history: history.network,
    "the seed": lambda history: history.hyperparameters["seed"],
    "the final accuracy, as a hyperparameter": lambda history: history.hyperparameters["final_accuracy"],
    "the zoo": lambda history: history.subset,
    "the test networks": lambda history: history.networks,
    "when training ended": lambda history: history.epochs_trained,
    "a later epoch's weights": lambda history: history.weights(BUDGET + 1),
    "a later epoch's graph": lambda history: history.graph(BUDGET + 1),
    "a later epoch's curves": lambda history: history.curves.loc[BUDGET + 1],
    "a later epoch's features": lambda history: history.features.loc[BUDGET + 1],
    "a later epoch's signature": lambda history: history.signature("degree")[BUDGET],
    "a later epoch's signature, by name": lambda history: history.signature("degree", epochs=[BUDGET + 1]),
    "a later epoch's centralities": lambda history: history.centrality("degree")[BUDGET],
    "a larger budget": lambda history: setattr(history, "epochs", BUDGET + 1),
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_what_a_method_must_not_know_stops_it(digits: nb.Subset, what: str) -> None:
    with pytest.raises(MethodError, match=f"budget {BUDGET}, fold 0: (Attribute|Key|Index|Budget)Error"):
        nb.evaluate(Reader(FORBIDDEN[what]), digits, protocol="regression", budgets=BUDGET)


class ByPlace(RegressorMixin, BaseEstimator):
    """Reads nothing, and predicts from a network's neighbours in the order in which networks are handed over."""

    def fit(self, X: Sequence[Any], y: Any) -> ByPlace:
        self.neighbours_ = KNeighborsRegressor(20).fit(self.places(X), y)
        return self

    def predict(self, X: Sequence[Any]) -> Any:
        return self.neighbours_.predict(self.places(X))

    def places(self, X: Sequence[Any]) -> np.ndarray:
        return np.linspace(0, 1, len(X))[:, None]


def test_the_order_of_networks_tells_nothing(digits: nb.Subset) -> None:
    # A fixed order: in some random orders, a network's place in the list scores by luck.
    scores = nb.evaluate(ByPlace(), digits, protocol="regression-folds", budgets=1, order_seed=0).scores
    assert scores.set_index("metric").loc["r2", "value"] < 0.05


def test_every_prediction_is_its_own_networks(digits: nb.Subset) -> None:
    class Rate(Reader):
        def predict(self, X: Sequence[Any]) -> Any:
            return np.array([self.reads(history) for history in X])

    method = Rate(lambda history: history.hyperparameters["learning_rate"])
    predictions = nb.evaluate(method, digits, protocol="regression-folds", budgets=1).predictions
    rates = digits.networks.loc[predictions["network"], "learning_rate"]
    np.testing.assert_array_equal(predictions["prediction"], rates)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_what_a_copy_reads_is_recorded_too(digits: nb.Subset, duplicate: Callable[[Any], Any]) -> None:
    method = Reader(lambda history: duplicate(history).curves)
    assert nb.evaluate(method, digits, protocol="regression", budgets=1).facts.reads == ("curves",)


def test_a_method_cannot_read_in_another_process_unseen(digits: nb.Subset) -> None:
    columns = [("a", nb.Columns([nb.columns.curves])), ("b", nb.Columns([nb.columns.last_features]))]
    method = make_pipeline(FeatureUnion(columns, n_jobs=2), DummyRegressor())
    with pytest.raises(MethodError, match="a method's history cannot be sent to another process"):
        nb.evaluate(method, digits, protocol="regression", budgets=1)


def test_a_method_is_fitted_on_the_training_networks_alone(digits: nb.Subset) -> None:
    handed: list[list[Any]] = []

    def reads(history: Any) -> None:
        handed[-1].append(tuple(history.hyperparameters.values()))

    class Recorder(Reader):
        def fit(self, X: Sequence[Any], y: Any) -> Reader:
            handed.append([])
            self.count_ = len(y)
            return super().fit(X, y)

    nb.evaluate(Recorder(reads), digits, protocol="regression-folds", budgets=1, sealed=False)
    for seen, (train, test) in zip(handed, digits.split("folds"), strict=True):
        cells = [tuple(cell) for cell in digits.networks[["learning_rate", "dropout"]].itertuples(index=True)]
        by_id = {cell[0]: cell[1:] for cell in cells}
        assert sorted(seen) == sorted(by_id[network] for network in train)
        assert not set(seen) & {by_id[network] for network in test}


def test_folds_do_not_share_a_fitted_estimator(digits: nb.Subset) -> None:
    method = Reader(lambda history: None)
    nb.evaluate(method, digits, protocol="regression-folds", budgets=1)
    assert not hasattr(method, "seen_")
