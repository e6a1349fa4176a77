"""The paper's methods as it may have meant them: it names no C, no kernel and no scaling, so these are chosen here.

They are chosen inside each training fold, by cross-validation that holds out whole groups, such as learning rates. Methods
called ``relative`` see how signatures differ from those of the network's own initialisation: what training has changed.
These differences are small beside the signatures, so they are multiplied by 100 before the logarithm is taken, which is then
close to linear for small ones.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV, GroupKFold, StratifiedGroupKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import QuantileTransformer, StandardScaler
from sklearn.svm import SVC, SVR

import nndynbench as nb

PAPER = "Vahedian et al. 2021, arXiv 2111.05410"
SCALE = 100
FOLDS = 3
SCALINGS = [StandardScaler(), QuantileTransformer(n_quantiles=50)]
MOST_STEPS = 100_000  # of a solver, which too large a C would keep busy


class Chosen(BaseEstimator):
    """The best of an estimator's choices on columns of histories, by cross-validation on the training networks.

    Parameters
    ----------
    columns
        A function from a history to its columns.
    estimator
        A pipeline on the columns' signed logarithms, with missing values filled in and marked.
    choices
        The estimator's parameters to choose from, as scikit-learn's ``GridSearchCV`` takes them.
    """

    def __init__(
        self, columns: Callable[[nb.History], dict[str, float]], estimator: Pipeline, choices: Sequence[dict[str, Any]]
    ) -> None:
        self.columns = columns
        self.estimator = estimator
        self.choices = choices

    def fit(self, X: Sequence[nb.History], y: np.ndarray, groups: np.ndarray | None = None) -> "Chosen":
        """``groups``: a number per network; those with the same number are held out together. By default each is alone."""
        groups = np.arange(len(y)) if groups is None else np.asarray(groups)
        self.table_ = make_pipeline(
            nb.Columns([self.columns]),
            nb.SignedLogarithm(),
            SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
        )
        table = self.table_.fit_transform(X)
        rule = StratifiedGroupKFold if self.__sklearn_tags__().estimator_type == "classifier" else GroupKFold
        folds = list(rule(min(FOLDS, len(set(groups)))).split(table, y, groups))
        self.search_ = GridSearchCV(clone(self.estimator), self.choices, cv=folds, error_score="raise").fit(table, y)
        return self

    def predict(self, X: Sequence[nb.History]) -> np.ndarray:
        return self.search_.predict(self.table_.transform(X))

    def decision_function(self, X: Sequence[nb.History]) -> np.ndarray:
        table = self.table_.transform(X)
        if hasattr(self.search_, "decision_function"):
            return self.search_.decision_function(table)
        return self.search_.predict_proba(table)[:, 1]

    def __sklearn_tags__(self) -> Any:
        tags = self.estimator.__sklearn_tags__()
        tags.no_validation = True
        return tags


def signature(centrality: str, **which: Any) -> Callable[[nb.History], dict[str, float]]:
    def columns(history: nb.History) -> dict[str, float]:
        values = history.signature(centrality, **which)
        return {str(place): value for place, value in enumerate(values.ravel())}

    return columns


def since_initialisation(centrality: str) -> Callable[[nb.History], dict[str, float]]:
    def columns(history: nb.History) -> dict[str, float]:
        changes = history.signature(centrality) - history.signature(centrality, epochs=[0])
        return {f"{centrality}_{i}": value for i, value in enumerate(SCALE * changes.ravel())}

    return columns


def scaled(learner: object) -> Pipeline:
    return Pipeline([("scaling", StandardScaler()), ("learner", learner)])


def kernels(linear: Sequence[float], rbf: Sequence[float]) -> list[dict[str, Any]]:
    return [
        {"scaling": SCALINGS, "learner__kernel": ["linear"], "learner__C": list(linear)},
        {"scaling": SCALINGS, "learner__kernel": ["rbf"], "learner__C": list(rbf)},
    ]


def machine(description: str, place: str, columns: Callable[[nb.History], dict[str, float]]) -> nb.Method:
    return nb.Method(
        description=f"{description}, support vector machine with chosen kernel, C and scaling",
        source=f"{PAPER}, {place}",
        reads={"weights"},
        classifier=Chosen(columns, scaled(SVC(max_iter=MOST_STEPS)), kernels([1, 10], [1, 10, 100, 1000])),
        regressor=Chosen(columns, scaled(SVR(max_iter=MOST_STEPS)), kernels([1, 10], [1, 10, 100, 1000])),
    )


def perceptron(description: str, place: str, columns: Callable[[nb.History], dict[str, float]]) -> nb.Method:
    learner = MLPClassifier((32,), solver="lbfgs", tol=0.01, max_iter=300)
    choices = [{"scaling": SCALINGS, "learner__alpha": [0.01, 0.1, 1, 10]}]
    return nb.Method(
        description=f"{description}, perceptron with one hidden layer of 32, chosen penalty and scaling",
        source=f"{PAPER}, {place}",
        reads={"weights"},
        classifier=Chosen(columns, scaled(learner), choices),
    )


def trees(description: str, place: str, columns: Callable[[nb.History], dict[str, float]]) -> nb.Method:
    return nb.Method(
        description=f"{description}, forest of randomised trees with leaves of chosen size",
        source=f"{PAPER}, {place}, another learner",
        reads={"weights"},
        regressor=Chosen(
            columns,
            scaled(ExtraTreesRegressor(50, max_features=0.5, random_state=0)),
            [{"learner__min_samples_leaf": [1, 3]}],
        ),
    )


# suffix: (the graph, what is read of it, place in the paper)
UNROLLED = {
    f"-unrolled-{side}": (
        f"the unrolled graph's {words}",
        {"representation": "unrolled", "sign": sign},
        "appendix A.2",
    )
    for side, words, sign in (
        ("positive", "positive edges", "positive"),
        ("negative", "negative edges", "negative"),
        ("both", "positive and negative edges, side by side", "pos-neg"),
    )
}
GRAPHS = {"": ("the rolled graph", {}, "sections 3.2 and 4"), **UNROLLED}

METHODS = {}
for centrality in ("degree", "eigenvector"):
    for suffix, (graph, which, place) in GRAPHS.items():
        METHODS[f"{centrality}{suffix}-tuned-svm"] = machine(
            f"{centrality} signatures of {graph}", place, signature(centrality, **which)
        )
    rolled, place, changes = f"{centrality} signatures of the rolled graph", GRAPHS[""][2], since_initialisation(centrality)
    METHODS[f"{centrality}-tuned-mlp"] = perceptron(rolled, place, signature(centrality))
    METHODS[f"{centrality}-relative-svm"] = machine(f"{rolled}, relative to epoch 0", place, changes)
    METHODS[f"{centrality}-relative-forest"] = trees(f"{rolled}, relative to epoch 0", place, changes)
