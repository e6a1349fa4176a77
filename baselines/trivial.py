"""Trivial methods, on the board for honesty: what a signature must beat to have seen anything.

Early-stopped networks repeat their last epoch. Networks without any epoch have the training fold's median values.
"""

from collections.abc import Callable
from typing import Any

from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

import nndynbench as nb

RU = "Ru et al. 2021, arXiv 2006.04492"


def learning_rate(history: nb.History) -> dict[str, float]:
    return {"learning_rate": history.hyperparameters["learning_rate"]}


def last(curve: str) -> Callable[[nb.History], dict[str, float]]:
    def column(history: nb.History) -> dict[str, float]:
        return {curve: nb.columns.curves(history)[f"{curve}_{history.epochs}"]}

    return column


def sum_of_losses(history: nb.History) -> dict[str, float]:
    curves = nb.columns.curves(history)
    return {"sum": sum(curves[f"train_loss_{epoch}"] for epoch in range(1, history.epochs + 1))}


class AsItIs(RegressorMixin, BaseEstimator):
    """Predicts the one column that it is given."""

    def fit(self, X: Any, y: object) -> "AsItIs":
        self.fitted_ = True
        return self

    def predict(self, X: Any) -> Any:
        return X.ravel()


def of(column: Callable[[nb.History], dict[str, float]], learner: object) -> Pipeline:
    return make_pipeline(
        nb.Columns([column]), SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler(), learner
    )


def calibrated(description: str, source: str, column: Callable[[nb.History], dict[str, float]]) -> nb.Method:
    return nb.Method(
        description=f"{description}, calibrated by linear or logistic regression",
        source=source,
        role="trivial",
        reads={"curves"},
        classifier=of(column, LogisticRegression()),
        regressor=of(column, LinearRegression()),
    )


METHODS = {
    "constant": nb.Method(
        description="the larger class, or the mean final accuracy, of the training networks",
        source="none needed",
        role="trivial",
        reads=set(),
        classifier=DummyClassifier(),
        regressor=DummyRegressor(),
    ),
    "learning-rate": nb.Method(
        description="the learning rate alone, random forest",
        source="facts of the paper's grid: it varies two hyperparameters alone",
        role="trivial",
        reads={"hyperparameters"},
        classifier=of(learning_rate, RandomForestClassifier(50, min_samples_leaf=2)),
        regressor=of(learning_rate, RandomForestRegressor(50, min_samples_leaf=2)),
    ),
    "validation-accuracy-raw": nb.Method(
        description="the validation accuracy at the budget, as it is",
        source="Egele et al. 2024, arXiv 2404.04111, stop after one epoch",
        role="trivial",
        reads={"curves"},
        regressor=make_pipeline(nb.Columns([last("validation_accuracy")]), SimpleImputer(strategy="median"), AsItIs()),
    ),
    "validation-accuracy": calibrated(
        "the validation accuracy at the budget", "Egele et al. 2024, arXiv 2404.04111", last("validation_accuracy")
    ),
    "training-loss": calibrated("the training loss at the budget", RU, last("train_loss")),
    "training-loss-sum": calibrated("the sum of training losses up to the budget, SoTL", RU, sum_of_losses),
}
