"""A method reaches nothing through what it is handed but its histories up to the budget."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, RegressorMixin

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
        nb.evaluate(Reader(FORBIDDEN[what]), digits, protocol="regression", epochs=BUDGET)


def test_a_method_is_fitted_on_the_training_networks_alone(digits: nb.Subset) -> None:
    handed: list[list[Any]] = []

    def reads(history: Any) -> None:
        handed[-1].append(tuple(history.hyperparameters.values()))

    class Recorder(Reader):
        def fit(self, X: Sequence[Any], y: Any) -> Reader:
            handed.append([])
            self.count_ = len(y)
            return super().fit(X, y)

    nb.evaluate(Recorder(reads), digits, protocol="regression-folds", epochs=1)
    for seen, (train, test) in zip(handed, digits.split("folds"), strict=True):
        cells = [tuple(cell) for cell in digits.networks[["learning_rate", "dropout"]].itertuples(index=True)]
        by_id = {cell[0]: cell[1:] for cell in cells}
        assert sorted(seen) == sorted(by_id[network] for network in train)
        assert not set(seen) & {by_id[network] for network in test}


def test_folds_do_not_share_a_fitted_estimator(digits: nb.Subset) -> None:
    method = Reader(lambda history: None)
    nb.evaluate(method, digits, protocol="regression-folds", epochs=1)
    assert not hasattr(method, "seen_")
