"""The bar: the trivial method that sees everything, every column of the grid and the curves up to the budget.

Ridge on products of two columns, support vectors of two widths, a forest of randomised trees, boosted trees and, in
regression, two Gaussian processes with a length for each column, one of which sees the hyperparameters alone, are blended;
the weights, at least 0, are fitted on what each predicts of networks that it has not seen, with learning rates (so
configurations) apart. A weak bar would flatter every other method, and none of the seven is good on every subset.
"The bar and X" has the columns of X beside its own, for all learners but the processes, which have too few networks for the
lengths of a hundred columns. What it gains over the bar is what X knows beyond the curves.
"""

import warnings
from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    StackingClassifier,
    StackingRegressor,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeCV
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.svm import SVC, SVR

import nndynbench as nb

HYPERPARAMETERS = [nb.columns.hyperparameters]
KNOWN = [nb.columns.hyperparameters, nb.columns.curves]

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


def five_steps(error: object, start: np.ndarray, bounds: np.ndarray) -> tuple[np.ndarray, float]:
    """The first ones find which columns matter; more take time, and gain nothing on networks not seen."""
    found = minimize(error, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 5})
    return found.x, found.fun


class GaussianProcess(RegressorMixin, BaseEstimator):
    """With a length for each column, in standard deviations."""

    def fit(self, X: np.ndarray, y: np.ndarray) -> "GaussianProcess":
        lengths = RBF(np.full(X.shape[1], 5.0), (0.3, 1e4))
        kernel = ConstantKernel() * lengths + WhiteKernel(0.1)
        with warnings.catch_warnings():
            # A length at its bound is a column that matters much, or not at all.
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.process_ = GaussianProcessRegressor(kernel, optimizer=five_steps, normalize_y=True).fit(X, y)
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        return self.process_.predict(X)


class ByLearningRate(GroupKFold):
    def split(self, X: Sequence[nb.History], y: object = None, groups: object = None) -> object:
        return super().split(X, y, [history.hyperparameters["learning_rate"] for history in X])


def learner_on(columns: Sequence[object], learner: object) -> Pipeline:
    imputer = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    return make_pipeline(nb.Columns(columns), imputer, StandardScaler(), learner)


def blend(description: str, tier: set, columns: Sequence[object], *, processes_on: Sequence[Sequence[object]]) -> nb.Method:
    apart = ByLearningRate(3)
    classifiers = [(name, learner_on(columns, learner)) for name, learner in CLASSIFIERS.items()]
    regressors = [(name, learner_on(columns, learner)) for name, learner in REGRESSORS.items()]
    processes = [(f"process {i}", learner_on(seen, GaussianProcess())) for i, seen in enumerate(processes_on)]
    return nb.Method(
        description=f"{description}; a blend of linear models, support vectors, trees and Gaussian processes",
        source="this benchmark",
        tier=tier,
        classifier=StackingClassifier(classifiers, LogisticRegression(), cv=apart),
        regressor=StackingRegressor([*regressors, *processes], LinearRegression(positive=True), cv=apart),
    )


def bar(description: str, *more: object) -> nb.Method:
    tier = {"curves", "hyperparameters"} | ({"weights"} if more else set())
    return blend(description, tier, [*KNOWN, *more], processes_on=[HYPERPARAMETERS, KNOWN])


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
    "hyperparameters": blend(
        "every column of the grid", {"hyperparameters"}, HYPERPARAMETERS, processes_on=[HYPERPARAMETERS]
    ),
    "bar": bar("all hyperparameters and the curves"),
    "bar-and-degree": bar("the bar and the degree signature", signature("degree")),
    "bar-and-eigenvector": bar("the bar and the eigenvector signature", signature("eigenvector")),
    "bar-and-weight-statistics": bar("the bar and all layers' weight statistics and norms", nb.columns.last_features),
    "bar-and-neural-persistence": bar("the bar and all layers' neural persistence", neural_persistence),
    "bar-and-epoch-0": bar(
        "control: the bar and all layers' statistics and norms before any training", nb.columns.initial_features
    ),
}
