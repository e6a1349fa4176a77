"""The bars: how well hyperparameters and learning curves predict a network's final accuracy, as far as we could find out.

``bar`` sees every column of the grid and the curves up to the budget, ``curve-bar`` the curves alone. Each blends Gaussian
processes with a length for each column, support vectors and trees. The blend's weights are fitted on each learner's
predictions of networks that it has not seen, held out by whole groups: recipes or optimisers where the protocol holds these
out, else configurations or learning rates. "The bar and X" gives the columns X to every learner, to the processes only if X
has at most 30 columns. Its control "permuted X" has the same columns with their rows shuffled between networks: it shows
what mixing alone would earn.

An earlier bar was replaced by this one before publication: on cifar10-lenet-diverse, at 5 epochs, R² rose from 0.887 to
0.906, for an optimiser never seen from 0.24 to 0.72. Three changes did it. The steps of all optimisers are on one scale,
with the products that decide how a network trains. The loss's distance from chance is in units of what a plateau wobbles by.
Evidence for the blend is counted in groups held out, not in networks. Twice as many trees, or processes fitted anew for what
is held out, gained 0.001 or less.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.optimize import minimize, nnls
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone
from sklearn.ensemble import ExtraTreesRegressor, GradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

import nndynbench as nb

# How much farther a step goes than one of plain SGD at the same learning rate. A momentum of 0.9 adds up to 1 / (1 - 0.9).
# Adam's number compares the middles of the ranges that the grids draw learning rates from.
STEP = {"sgd": 1.0, "momentum": 10.0, "adam": 65.0}
SHARES = {"dropout", "label_noise"}
SMALLEST = 1e-8

NARROW = 30  # for more columns, a process has too few networks
FOLDS = 3


def comparable(history: nb.History) -> dict[str, float]:
    """The grid's columns on scales that mean the same for every network: shares as they are, other numbers as logarithms,
    the learning rate as the step that the optimiser makes of it. The products that decide how a network trains are added.
    """
    values = history.hyperparameters
    rate = values.get("learning_rate", 1.0) * STEP.get(values.get("optimiser", "sgd"), 1.0)
    numbers = {name: value for name, value in (values | {"learning_rate": rate}).items() if not isinstance(value, str)}
    columns = {n: float(v if n in SHARES else np.log(max(v, SMALLEST))) for n, v in numbers.items()}
    step = columns["learning_rate"]
    if "batch_size" in columns:
        columns["step / batch"] = step - columns["batch_size"]
    if "weight_decay" in columns:
        columns["step · decay"] = step + columns["weight_decay"]
    if "initialisation_scale" in columns:
        columns["step · scale²"] = step + 2 * columns["initialisation_scale"]
        columns["step / batch · scale⁴"] = step - columns.get("batch_size", 0.0) + 4 * columns["initialisation_scale"]
    if "training_images" in columns:
        columns["noise / images"] = columns.get("label_noise", 0.0) - columns["training_images"]
    return columns


def optimiser(history: nb.History) -> dict[str, str]:
    """The optimiser, and whatever else the grid says in words."""
    words = {name: value for name, value in history.hyperparameters.items() if isinstance(value, str)}
    return {"optimiser": "the same for all"} | words


def position(history: nb.History) -> dict[str, float]:
    """Where the curves stand: the few columns that a process needs."""
    columns = nb.columns.curves(history) | nb.columns.curve_shapes(history)
    names = (
        "below_chance_1",
        *(f"{name}_{history.epochs}" for name in ("below_chance", "validation_accuracy", "train_loss")),
    )
    return {name: columns[name] for name in names}


class GaussianProcess(RegressorMixin, BaseEstimator):
    """A Gaussian process with a length for each column; fitted on at most 2,000 networks, its lengths on at most 400.

    Lengths are in standard deviations. Further networks are left out evenly: the order in which the harness hands networks
    over tells nothing.
    """

    STEPS = 20
    MOST, MOST_FOR_LENGTHS = 2000, 400

    def fit(self, X: np.ndarray, y: np.ndarray) -> "GaussianProcess":
        self.used_ = spread(len(y), self.MOST)
        points, truths = np.asarray(X, dtype=np.float64)[self.used_], np.asarray(y, dtype=np.float64)[self.used_]
        self.middle_, self.spread_ = truths.mean(), truths.std() or 1.0
        scaled = (truths - self.middle_) / self.spread_
        few = spread(len(scaled), self.MOST_FOR_LENGTHS)
        start = np.log(np.concatenate([[1.0], np.full(points.shape[1], 5.0), [0.1]]))
        bounds = np.log([(1e-5, 1e5), *[(0.3, 1e4)] * points.shape[1], (1e-5, 1e5)])
        options = {"maxiter": self.STEPS}
        # scipy's types want arrays of one dimension, which numpy's operations do not keep.
        found = minimize(  # type: ignore[call-overload]
            unlikelihood, start, (points[few], scaled[few]), method="L-BFGS-B", jac=True, bounds=bounds, options=options
        )
        self.theta_ = found.x
        self.height_, self.lengths_, noise = np.split(np.exp(self.theta_), [1, -1])
        self.points_ = points / self.lengths_
        self.factor_ = cho_factor(self._covariance(self.points_) + noise * np.eye(len(scaled)), lower=True)
        self.weights_ = cho_solve(self.factor_, scaled)
        self.scaled_ = scaled
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        return self.middle_ + self.spread_ * (self._covariance(np.asarray(X) / self.lengths_) @ self.weights_)

    def left_out(self, X: np.ndarray, folds: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
        """What it would predict for each fold's test side, had it been fitted on the other side alone with the same lengths
        (Rasmussen & Williams 2006, section 5.4.2, for groups). Networks that it was not fitted on are predicted as usual.
        """
        inverse, predicted = cho_solve(self.factor_, np.eye(len(self.scaled_))), self.predict(X)
        place = np.full(len(X), -1)
        place[self.used_] = np.arange(len(self.used_))
        for _, tested in folds:
            inside = place[tested][place[tested] >= 0]
            missing = np.linalg.solve(inverse[np.ix_(inside, inside)], self.weights_[inside])
            predicted[self.used_[inside]] = self.middle_ + self.spread_ * (self.scaled_[inside] - missing)
        return predicted

    def _covariance(self, points: np.ndarray) -> np.ndarray:
        return self.height_ * np.exp(-euclidean_distances(points, self.points_, squared=True) / 2)


def spread(count: int, most: int) -> np.ndarray:
    """At most ``most`` of ``count`` places, evenly spaced."""
    return np.linspace(0, count - 1, min(count, most)).astype(np.int64)


def unlikelihood(theta: np.ndarray, X: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    """The negative logarithm of a process's marginal likelihood, and its gradient. ``theta`` holds the logarithms of the
    process's height, lengths and noise, as scikit-learn's kernels do.

    Computed by matrix products (Rasmussen & Williams 2006, equations 5.8 and 5.9), since scikit-learn's gradient is an array
    of (networks, networks, columns).
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


class Weights(RegressorMixin, BaseEstimator):
    """The learners' weights in a blend: at least 0, by least squares. A prior worth three groups says that all are equal.

    If only two optimisers are left to be held out, the prior outweighs the evidence. Predictions are clipped to the range
    that training networks reached.
    """

    EVIDENCE = 3

    def fit(self, X: np.ndarray, y: np.ndarray, groups: np.ndarray) -> "Weights":
        learners = X.shape[1]
        self.lowest_, self.highest_ = y.min(), y.max()
        X = np.clip(X, self.lowest_, self.highest_)
        middle, spread = y.mean(), y.std() or 1.0
        prior = np.sqrt(self.EVIDENCE * len(y) / len(np.unique(groups)))
        predictions = np.vstack([(X - X.mean(axis=0)) / spread, prior * np.eye(learners)])
        truths = np.concatenate([(y - middle) / spread, np.full(learners, prior / learners)])
        self.coef_, _ = nnls(predictions, truths)
        self.intercept_ = middle - X.mean(axis=0) @ self.coef_
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        blended = np.clip(X, self.lowest_, self.highest_) @ self.coef_ + self.intercept_
        return np.clip(blended, self.lowest_, self.highest_)


class Blend(RegressorMixin, BaseEstimator):
    """A blend of learners, each on some parts of a table of histories' columns.

    Parameters
    ----------
    parts
        Functions from a history to its columns, by part.
    learners
        By name, a learner and the parts that it sees. Every learner also sees the part "more" if there is one, a process
        only if it has few columns.
    permuted
        Whether the rows of "more" are shuffled between networks, among those fitted on and among those asked about.
    """

    def __init__(
        self,
        parts: Mapping[str, Sequence[Callable[[nb.History], Mapping[str, Any]]]],
        learners: Mapping[str, tuple[object, Sequence[str]]],
        permuted: bool = False,
        random_state: int | None = None,
    ) -> None:
        self.parts = parts
        self.learners = learners
        self.permuted = permuted
        self.random_state = random_state

    def fit(self, X: Sequence[nb.History], y: np.ndarray, groups: np.ndarray | None = None) -> "Blend":
        """``groups``: a number per network; those with the same number are held out together. By default each is alone."""
        y = np.asarray(y, dtype=np.float64)
        groups = np.arange(len(y)) if groups is None else groups
        self.tables_ = {part: self._table(functions).fit(X) for part, functions in self.parts.items() if functions}
        tables = self._tables(X)
        folds = list(GroupKFold(min(FOLDS, len(np.unique(groups)))).split(y, groups=groups)) if len(set(groups)) > 1 else []
        self.fitted_, out_of_fold = {}, []
        for name in self.learners:
            learner, columns = self.learners[name][0], self._columns(name, tables)
            fitted = clone(learner).fit(columns, y)
            self.fitted_[name] = fitted
            if isinstance(fitted, GaussianProcess):
                out_of_fold.append(fitted.left_out(columns, folds))
                continue
            predicted = np.zeros(len(y)) if folds else fitted.predict(columns)
            for known, asked in folds:
                predicted[asked] = clone(learner).fit(columns[known], y[known]).predict(columns[asked])
            out_of_fold.append(predicted)
        self.weights_ = Weights().fit(np.column_stack(out_of_fold), y, groups)
        return self

    def predict(self, X: Sequence[nb.History]) -> np.ndarray:
        tables = self._tables(X)
        predicted = [learner.predict(self._columns(name, tables)) for name, learner in self.fitted_.items()]
        return self.weights_.predict(np.column_stack(predicted))

    @staticmethod
    def _table(functions: Sequence[Callable[[nb.History], Mapping[str, Any]]]) -> Pipeline:
        return make_pipeline(
            nb.Columns(functions), SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler()
        )

    def _tables(self, X: Sequence[nb.History]) -> dict[str, np.ndarray]:
        tables = {part: table.transform(X) for part, table in self.tables_.items()}
        if self.permuted:
            tables["more"] = tables["more"][np.random.default_rng(self.random_state).permutation(len(X))]
        return tables

    def _columns(self, name: str, tables: Mapping[str, np.ndarray]) -> np.ndarray:
        learner, parts = self.learners[name]
        seen = [tables[part] for part in parts if part in tables]
        if "more" in tables and (tables["more"].shape[1] <= NARROW or not isinstance(learner, GaussianProcess)):
            seen.append(tables["more"])
        return np.hstack(seen)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.no_validation = True
        return tags


class Cut(ClassifierMixin, BaseEstimator):
    """A classifier: a regressor's prediction of the final accuracy, cut where the labels change."""

    def __init__(self, regressor: Blend) -> None:
        self.regressor = regressor

    def fit(
        self,
        X: Sequence[nb.History],
        y: np.ndarray,
        groups: np.ndarray | None = None,
        accuracies: np.ndarray | None = None,
    ) -> "Cut":
        """``accuracies``: the final accuracies that the labels ``y`` were cut from; without them, ``y`` serves as such."""
        self.classes_ = np.unique(y)
        truths = np.asarray(y if accuracies is None else accuracies, dtype=np.float64)
        self.cut_ = (truths[y == self.classes_[0]].max() + truths[y == self.classes_[-1]].min()) / 2
        self.regressor_ = clone(self.regressor).fit(X, truths, groups=groups)
        return self

    def decision_function(self, X: Sequence[nb.History]) -> np.ndarray:
        return self.regressor_.predict(X) - self.cut_

    def predict(self, X: Sequence[nb.History]) -> np.ndarray:
        return self.classes_[(self.decision_function(X) > 0).astype(int)]


FOREST = ExtraTreesRegressor(n_estimators=50, max_features=0.3, random_state=0)
BOOSTED = GradientBoostingRegressor(
    n_estimators=50, learning_rate=0.15, max_depth=4, max_features=0.3, subsample=0.5, random_state=0
)
HYPERPARAMETERS: dict[str, list[Callable[[nb.History], Mapping[str, Any]]]] = {
    "comparable": [comparable],
    "optimiser": [optimiser],
}
CURVES: dict[str, list[Callable[[nb.History], Mapping[str, Any]]]] = {"curves": [nb.columns.curves, nb.columns.curve_shapes]}
KNOWN = HYPERPARAMETERS | {"position": [position]} | CURVES
ALL = (*HYPERPARAMETERS, "curves")

BAR = {
    "process on hyperparameters": (GaussianProcess(), tuple(HYPERPARAMETERS)),
    "process on hyperparameters and position": (GaussianProcess(), (*HYPERPARAMETERS, "position")),
    "process across optimisers": (GaussianProcess(), ("comparable", "curves")),
    "forest": (FOREST, ALL),
    "boosted trees": (BOOSTED, ALL),
    "support vectors": (SVR(C=100), ALL),
    "wider support vectors": (SVR(C=100, gamma=0.01), ALL),
}
CURVE_BAR = {
    "process": (GaussianProcess(), tuple(CURVES)),
    "forest": (FOREST, tuple(CURVES)),
    "boosted trees": (BOOSTED, tuple(CURVES)),
    "support vectors": (SVR(C=30, gamma=0.03), tuple(CURVES)),
}
HYPERPARAMETERS_ALONE = {
    "process": (GaussianProcess(), tuple(HYPERPARAMETERS)),
    "process across optimisers": (GaussianProcess(), ("comparable",)),
    "forest": (FOREST, tuple(HYPERPARAMETERS)),
    "boosted trees": (BOOSTED, tuple(HYPERPARAMETERS)),
    "support vectors": (SVR(C=100), tuple(HYPERPARAMETERS)),
}


def blended(
    description: str,
    reads: set[str],
    regressor: Blend,
    *,
    role: Literal["method", "reference", "control"] = "method",
    control_of: str = "",
) -> nb.Method:
    return nb.Method(
        description=f"{description}; a blend of Gaussian processes, support vectors and trees",
        source="this benchmark",
        role=role,
        control_of=control_of,
        reads=reads,
        classifier=Cut(regressor),
        regressor=regressor,
    )


def signature(centrality: str) -> Callable[[nb.History], dict[str, float]]:
    def columns(history: nb.History) -> dict[str, float]:
        values = history.signature(centrality).ravel()
        return {f"{centrality}_{i}": value for i, value in enumerate(np.sign(values) * np.log1p(np.abs(values)))}

    return columns


def neural_persistence(history: nb.History) -> dict[str, float]:
    """Each layer's neural persistence at the last epoch."""
    features = nb.columns.last_features(history)
    return {name: value for name, value in features.items() if name.startswith("neural_persistence")}


def layer_distance(history: nb.History) -> dict[str, float]:
    """Each layer's distance from its initialisation at the last epoch."""
    distances = nb.columns.layer_distances(history)
    return {name: value for name, value in distances.items() if name.endswith(f" {history.epochs}")}


# name: (what it is, its columns)
MORE = {
    "layer-distance": ("each layer's distance from its initialisation", layer_distance),
    "degree": ("the degree signature", signature("degree")),
    "eigenvector": ("the eigenvector signature", signature("eigenvector")),
    "weight-statistics": ("all layers' weight statistics and norms", nb.columns.last_features),
    "neural-persistence": ("all layers' neural persistence", neural_persistence),
}

# name: (what it is, what it reads, its parts, its learners)
BARS: dict[str, tuple[str, set[str], dict[str, list[Callable[[nb.History], Mapping[str, Any]]]], Mapping[str, Any]]] = {
    "bar": ("all hyperparameters and the curves", {"curves", "hyperparameters"}, KNOWN, BAR),
    "curve-bar": ("the learning curves alone", {"curves"}, CURVES, CURVE_BAR),
}


def bars(name: str) -> dict[str, nb.Method]:
    """A bar, the bar with each of `MORE`, and as its control the bar with the same columns permuted."""
    what, reads, parts, learners = BARS[name]
    found = {name: blended(what, reads, Blend(parts, learners), role="reference")}
    words = name.replace("-", " ")
    for more, (meant, columns) in MORE.items():
        beside, both = parts | {"more": [columns]}, reads | {"weights"}
        found[f"{name}-and-{more}"] = blended(f"the {words} and {meant}", both, Blend(beside, learners))
        found[f"{name}-and-permuted-{more}"] = blended(
            f"control: the {words} and {meant}, shuffled between networks",
            both,
            Blend(beside, learners, permuted=True),
            role="control",
            control_of=f"{name}-and-{more}",
        )
    return found


METHODS = {
    "hyperparameters": blended(
        "every column of the grid", {"hyperparameters"}, Blend(HYPERPARAMETERS, HYPERPARAMETERS_ALONE)
    ),
    **bars("bar"),
    **bars("curve-bar"),
    "bar-and-epoch-0": blended(
        "control: the bar and all layers' statistics and norms before any training",
        {"curves", "hyperparameters", "weights"},
        Blend(KNOWN | {"more": [nb.columns.initial_features]}, BAR),
        role="control",
        control_of="bar-and-weight-statistics",
    ),
}
