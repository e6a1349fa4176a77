"""The bar: the trivial method that sees everything, every column of the grid and the curves up to the budget.

Ridge on products of two columns, support vectors of two widths, a forest of randomised trees, boosted trees and, in
regression, two Gaussian processes with a length for each column, one of which sees the hyperparameters alone, are blended.
The weights are fitted on what each predicts of networks that it has not seen, with learning rates (so configurations)
apart. A weak bar would flatter every other method, and none of the seven is good on every subset.
"The bar and X" has the columns of X beside its own, for all learners but the processes, which have too few networks for the
lengths of a hundred columns. What it gains over the bar is what X knows beyond the curves.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.optimize import minimize, nnls
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    StackingClassifier,
    StackingRegressor,
)
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler, scale
from sklearn.svm import SVC, SVR

import nndynbench as nb

HYPERPARAMETERS = {"hyperparameters": [nb.columns.hyperparameters]}
KNOWN = HYPERPARAMETERS | {"curves": [nb.columns.curves]}

FOREST = {"n_estimators": 50, "max_features": 0.5, "random_state": 0}
BOOSTED = {**FOREST, "learning_rate": 0.2, "subsample": 0.7}
REGRESSORS = {
    "ridge": make_pipeline(PolynomialFeatures(2), StandardScaler(), RidgeCV(np.logspace(-1, 4, 11))),
    "support vectors": SVR(C=100),
    "wider support vectors": SVR(C=100, gamma=0.01),
    "forest": ExtraTreesRegressor(**FOREST),
    "boosted trees": GradientBoostingRegressor(**BOOSTED),
}
CLASSIFIERS = {
    "logistic regression": LogisticRegression(max_iter=1000),
    "support vectors": SVC(C=10),
    "wider support vectors": SVC(C=10, gamma=0.01),
    "forest": ExtraTreesClassifier(**FOREST),
    "boosted trees": GradientBoostingClassifier(**BOOSTED),
}


class GaussianProcess(RegressorMixin, BaseEstimator):
    """With a length for each column, in standard deviations."""

    def fit(self, X: np.ndarray, y: np.ndarray) -> "GaussianProcess":
        kernel = ConstantKernel() * RBF(np.full(X.shape[1], 5.0), (0.3, 1e4)) + WhiteKernel(0.1)
        arrays = np.asarray(X), scale(y)
        # The first five steps find which columns matter; more take time, and gain nothing on networks not seen.
        found = minimize(
            unlikelihood, kernel.theta, arrays, method="L-BFGS-B", jac=True, bounds=kernel.bounds, options={"maxiter": 5}
        )
        kernel.theta = found.x
        self.process_ = GaussianProcessRegressor(kernel, optimizer=None, normalize_y=True).fit(X, y)
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        return self.process_.predict(X)


def unlikelihood(theta: np.ndarray, X: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    """The negative logarithm of a process's marginal likelihood, and its gradient, as scikit-learn's kernels order theta.

    By matrix products (Rasmussen & Williams 2006, equations 5.8 and 5.9): scikit-learn's gradient is an array of (networks,
    networks, columns).
    """
    height, lengths, noise = np.split(np.exp(theta), [1, -1])
    points = X / lengths
    covariance = height * np.exp(-euclidean_distances(points, squared=True) / 2)
    try:
        factor = cho_factor(covariance + noise * np.eye(len(y)), lower=True)
    except LinAlgError:
        return np.inf, np.zeros_like(theta)
    weights, inverse = cho_solve(factor, y), cho_solve(factor, np.eye(len(y)))
    value = y @ weights / 2 + np.log(np.diag(factor[0])).sum() + len(y) * np.log(2 * np.pi) / 2
    slope = (inverse - np.outer(weights, weights)) / 2
    by_pair = slope * covariance
    by_length = 2 * (by_pair.sum(axis=0) @ points**2 - np.sum(points * (by_pair @ points), axis=0))
    return value, np.concatenate([[by_pair.sum()], by_length, noise * np.trace(slope)])


class Blend(RegressorMixin, BaseEstimator):
    """Weights, at least 0, by least squares; ten networks' worth of evidence says that all are equal.

    No learner's prediction counts as more or less than training networks reached: where a network's columns lie far outside,
    products of two columns would carry it to 300 percent.
    """

    EVIDENCE = 10  # of 1, 10 and 100 the best on digits-lenet

    def fit(self, X: np.ndarray, y: np.ndarray) -> "Blend":
        learners = X.shape[1]
        self.lowest_, self.highest_ = y.min(), y.max()
        X = np.clip(X, self.lowest_, self.highest_)
        middle, spread = y.mean(), y.std() or 1.0
        prior = np.sqrt(self.EVIDENCE)
        predictions = np.vstack([(X - X.mean(axis=0)) / spread, prior * np.eye(learners)])
        truths = np.concatenate([(y - middle) / spread, np.full(learners, prior / learners)])
        self.coef_, _ = nnls(predictions, truths)
        self.intercept_ = middle - X.mean(axis=0) @ self.coef_
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        blended = np.clip(X, self.lowest_, self.highest_) @ self.coef_ + self.intercept_
        return np.clip(blended, self.lowest_, self.highest_)


class ByLearningRate(GroupKFold):
    def split(self, X: pd.DataFrame, y: object = None, groups: object = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        return super().split(X, y, X["hyperparameters__learning_rate"])


def process_on(parts: Sequence[str]) -> Pipeline:
    return make_pipeline(
        make_column_transformer(("passthrough", make_column_selector("|".join(f"{part}__" for part in parts)))),
        GaussianProcess(),
    )


def blend(description: str, reads: set, columns: Mapping[str, list], *, processes_on: Sequence[Sequence[str]]) -> nb.Method:
    """``columns``: functions from a history to its columns, by part; a process sees the columns of some parts."""
    table = make_pipeline(
        FeatureUnion([(part, nb.Columns(functions)) for part, functions in columns.items()]),
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
        StandardScaler(),
    ).set_output(transform="pandas")
    apart = ByLearningRate(3)
    processes = [(f"process {i}", process_on(parts)) for i, parts in enumerate(processes_on)]
    classifier = StackingClassifier(list(CLASSIFIERS.items()), LogisticRegression(), cv=apart)
    regressor = StackingRegressor([*REGRESSORS.items(), *processes], Blend(), cv=apart)
    return nb.Method(
        description=f"{description}; a blend of linear models, support vectors, trees and Gaussian processes",
        source="this benchmark",
        reads=reads,
        classifier=make_pipeline(table, classifier),
        regressor=make_pipeline(table, regressor),
    )


def bar(description: str, *more: object) -> nb.Method:
    reads = {"curves", "hyperparameters"} | ({"weights"} if more else set())
    return blend(description, reads, {**KNOWN, "more": list(more)}, processes_on=[list(HYPERPARAMETERS), list(KNOWN)])


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
        "every column of the grid", {"hyperparameters"}, HYPERPARAMETERS, processes_on=[list(HYPERPARAMETERS)]
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
