"""The bar: the trivial method that sees everything, every column of the grid and the curves up to the budget.

Ridge on products of two columns, support vectors, a forest of randomised trees and boosted trees compete in each fold, by
inner cross-validation in which networks of one learning rate (so of one configuration) are never on both sides: a weak bar
would flatter every other method.
"The bar and X" has the columns of X beside its own; what it gains over the bar is what X knows beyond the curves.
"""

import numpy as np
import pandas as pd
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.svm import SVC, SVR

import nndynbench as nb

REGRESSORS = [
    {"learner": [make_pipeline(PolynomialFeatures(2), StandardScaler(), Ridge())], "learner__ridge__alpha": [1, 10, 100]},
    {"learner": [SVR()], "learner__C": [10, 100, 1000]},
    {"learner": [ExtraTreesRegressor(50, max_features=0.5, random_state=0)]},
    {"learner": [GradientBoostingRegressor(subsample=0.7, max_features=0.5, random_state=0)]},
]
CLASSIFIERS = [
    {"learner": [LogisticRegression()], "learner__C": [0.1, 1, 10]},
    {"learner": [SVC()], "learner__C": [1, 10, 100]},
    {"learner": [ExtraTreesClassifier(50, max_features=0.5, random_state=0)]},
    {"learner": [GradientBoostingClassifier(subsample=0.7, max_features=0.5, random_state=0)]},
]
KNOWN = [nb.columns.hyperparameters, nb.columns.curves]


class ByLearningRate(GroupKFold):
    def split(self, X: pd.DataFrame, y: object = None, groups: object = None) -> object:
        return super().split(X, y, X["learning_rate"])


def best_of(learners: list[dict], scoring: str, columns: list) -> Pipeline:
    prepared = Pipeline(
        [
            ("impute", SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)),
            ("scale", StandardScaler()),
            ("learner", None),
        ]
    )
    return make_pipeline(
        nb.Columns([*KNOWN, *columns]), GridSearchCV(prepared, learners, cv=ByLearningRate(3), scoring=scoring)
    )


def bar(description: str, *columns: object) -> nb.Method:
    return nb.Method(
        description=f"{description}; the best of ridge, support vectors, a forest and boosted trees",
        source="this benchmark",
        tier={"curves", "hyperparameters"} | ({"weights"} if columns else set()),
        classifier=best_of(CLASSIFIERS, "accuracy", columns),
        regressor=best_of(REGRESSORS, "neg_mean_squared_error", columns),
    )


def signature(centrality: str) -> object:
    def columns(history: nb.History) -> dict[str, float]:
        values = history.signature(centrality).ravel()
        return {f"{centrality}_{i}": value for i, value in enumerate(np.sign(values) * np.log1p(np.abs(values)))}

    return columns


def neural_persistence(history: nb.History) -> dict[str, float]:
    """Each layer's, at the last epoch."""
    features = nb.columns.last_features(history)
    return {name: value for name, value in features.items() if name.startswith("neural_persistence")}


METHODS = {
    "bar": bar("all hyperparameters and the curves"),
    "bar-and-degree": bar("the bar and the degree signature", signature("degree")),
    "bar-and-eigenvector": bar("the bar and the eigenvector signature", signature("eigenvector")),
    "bar-and-weight-statistics": bar("the bar and all layers' weight statistics and norms", nb.columns.last_features),
    "bar-and-neural-persistence": bar("the bar and all layers' neural persistence", neural_persistence),
    "bar-and-epoch-0": bar(
        "control: the bar and all layers' statistics and norms before any training", nb.columns.initial_features
    ),
}
