"""Tells the seeds of one recipe apart: a forest on columns minus their mean over the recipe's seeds.

It predicts how much better or worse than the mean a seed ends. Networks are of one recipe if their hyperparameters are
equal, and the hyperparameters are read for nothing else. If each recipe has one seed, nothing is left, so these methods are
for the protocol ``seeds``.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline

import nndynbench as nb

FOREST = ExtraTreesRegressor(200, min_samples_leaf=5, max_features=0.5, random_state=0)


class WithinRecipes(RegressorMixin, BaseEstimator):
    """``parts`` are functions from a history to its columns; so are ``permuted``, with rows shuffled within recipes."""

    def __init__(self, parts: Sequence[Any], permuted: Sequence[Any] = ()) -> None:
        self.parts = parts
        self.permuted = permuted

    def fit(self, X: Sequence[nb.History], y: np.ndarray) -> "WithinRecipes":
        self.middle_ = float(np.mean(y))
        recipes = recipes_of(X)
        self.learner_ = make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), FOREST)
        self.learner_.fit(self._deviations(X, recipes), less_mean(np.asarray(y, dtype=float), recipes))
        return self

    def predict(self, X: Sequence[nb.History]) -> np.ndarray:
        return self.middle_ + self.learner_.predict(self._deviations(X, recipes_of(X)))

    def _deviations(self, X: Sequence[nb.History], recipes: np.ndarray) -> np.ndarray:
        columns = [nb.Columns([part]).fit_transform(X).to_numpy(dtype=float) for part in self.parts]
        shuffled = [nb.Columns([part]).fit_transform(X).to_numpy(dtype=float) for part in self.permuted]
        order = shuffled_within(recipes)
        return less_mean(np.hstack([*columns, *(part[order] for part in shuffled)]), recipes)


def recipes_of(histories: Sequence[nb.History]) -> np.ndarray:
    """A number for each history, equal where all hyperparameters are."""
    keys = [tuple(sorted(history.hyperparameters.items())) for history in histories]
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    return np.array([numbers[key] for key in keys])


def less_mean(values: np.ndarray, recipes: np.ndarray) -> np.ndarray:
    left = values.copy()
    for recipe in np.unique(recipes):
        left[recipes == recipe] -= np.mean(values[recipes == recipe], axis=0)
    return left


def shuffled_within(recipes: np.ndarray) -> np.ndarray:
    """An order of the places in which those of each recipe are exchanged among themselves."""
    random, order = np.random.default_rng(0), np.arange(len(recipes))
    for recipe in np.unique(recipes):
        own = np.flatnonzero(recipes == recipe)
        order[own] = random.permutation(own)
    return order


def within(
    description: str,
    reads: set[str],
    *parts: Any,
    role: Literal["method", "reference", "control"] = "method",
    control_of: str = "",
    permuted: Sequence[Any] = (),
) -> nb.Method:
    return nb.Method(
        description=f"{description}, less the mean of the recipe's seeds; forest of randomised trees",
        source="this benchmark",
        role=role,
        control_of=control_of,
        reads={*reads, "hyperparameters"},
        protocols=("seeds",),
        regressor=WithinRecipes(parts, permuted),
    )


METHODS = {
    "within-curves": within("learning curves", {"curves"}, nb.columns.curves, role="reference"),
    "within-distance": within("each layer's distance from its initialisation", {"weights"}, nb.columns.layer_distances),
    "within-curves-and-distance": within(
        "learning curves and each layer's distance", {"curves", "weights"}, nb.columns.curves, nb.columns.layer_distances
    ),
    "within-curves-and-permuted-distance": within(
        "control: learning curves, and each layer's distance exchanged between seeds",
        {"curves", "weights"},
        nb.columns.curves,
        role="control",
        control_of="within-curves-and-distance",
        permuted=(nb.columns.layer_distances,),
    ),
}
