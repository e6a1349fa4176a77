"""The bar: the trivial method that sees everything, every column of the grid and the curves up to the budget.

Ridge on products of two columns, support vectors of two widths, a forest of randomised trees and boosted trees are blended;
the weights, at least 0, are fitted on what each predicts of networks that it has not seen, with learning rates (so
configurations) apart. A weak bar would flatter every other method, and none of the five is good on every subset.
"The bar and X" has the columns of X beside its own; what it gains over the bar is what X knows beyond the curves.
"""

import numpy as np
import pandas as pd
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    StackingClassifier,
    StackingRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeCV
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.svm import SVC, SVR

import nndynbench as nb

REGRESSORS = {
    "ridge": make_pipeline(PolynomialFeatures(2), StandardScaler(), RidgeCV(np.logspace(-1, 4, 11))),
    "support vectors": SVR(C=100),
    "wider support vectors": SVR(C=100, gamma=0.01),
    "forest": ExtraTreesRegressor(50, max_features=0.5, random_state=0),
    "boosted trees": GradientBoostingRegressor(subsample=0.7, max_features=0.5, random_state=0),
}
CLASSIFIERS = {
    "logistic regression": LogisticRegression(max_iter=1000),
    "support vectors": SVC(C=10),
    "wider support vectors": SVC(C=10, gamma=0.01),
    "forest": ExtraTreesClassifier(50, max_features=0.5, random_state=0),
    "boosted trees": GradientBoostingClassifier(subsample=0.7, max_features=0.5, random_state=0),
}
KNOWN = [nb.columns.hyperparameters, nb.columns.curves]


class ByLearningRate(GroupKFold):
    def split(self, X: pd.DataFrame, y: object = None, groups: object = None) -> object:
        return super().split(X, y, X["learning_rate"])


def prepared(learner: object) -> Pipeline:
    imputer = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    return make_pipeline(imputer, StandardScaler(), learner)


def blend(columns: list, stacking: type, learners: dict, weights: object) -> Pipeline:
    each = [(name, prepared(learner)) for name, learner in learners.items()]
    return make_pipeline(nb.Columns(columns), stacking(each, weights, cv=ByLearningRate(3)))


def best_guess(description: str, tier: set, columns: list) -> nb.Method:
    return nb.Method(
        description=f"{description}; a blend of ridge, support vectors, a forest and boosted trees",
        source="this benchmark",
        tier=tier,
        classifier=blend(columns, StackingClassifier, CLASSIFIERS, LogisticRegression()),
        regressor=blend(columns, StackingRegressor, REGRESSORS, LinearRegression(positive=True)),
    )


def bar(description: str, *columns: object) -> nb.Method:
    tier = {"curves", "hyperparameters"} | ({"weights"} if columns else set())
    return best_guess(description, tier, [*KNOWN, *columns])


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
    "hyperparameters": best_guess("every column of the grid", {"hyperparameters"}, [nb.columns.hyperparameters]),
    "bar": bar("all hyperparameters and the curves"),
    "bar-and-degree": bar("the bar and the degree signature", signature("degree")),
    "bar-and-eigenvector": bar("the bar and the eigenvector signature", signature("eigenvector")),
    "bar-and-weight-statistics": bar("the bar and all layers' weight statistics and norms", nb.columns.last_features),
    "bar-and-neural-persistence": bar("the bar and all layers' neural persistence", neural_persistence),
    "bar-and-epoch-0": bar(
        "control: the bar and all layers' statistics and norms before any training", nb.columns.initial_features
    ),
}
