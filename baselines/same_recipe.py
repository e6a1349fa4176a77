"""Tells the seeds of one recipe apart: a forest on columns minus their mean over the recipe's seeds.

It predicts how much better or worse than the mean a seed ends. Networks are of one recipe if their hyperparameters are
equal. If each recipe has one seed, nothing is left, so these methods are for the protocol ``seeds``.

``within-curves`` reads hyperparameters for nothing else. ``within-bar`` also sees the curves' shapes, what the recipe is,
and how its seeds do on average. ``within-bar-and-losses`` also sees exact losses. A stored curve has the mean loss of an
epoch's batches, taken with dropout while the network moves. The exact losses are of the network that the epoch ends with,
computed from its weights: what a finer learning curve would show. They need images, so these methods are for the digits,
which come with scikit-learn.
"""

import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Literal

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.datasets import load_digits
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline

import nndynbench as nb

FOREST = ExtraTreesRegressor(200, min_samples_leaf=5, max_features=0.5, random_state=0)


# The test images of the digits are so many of each class; the first half of them is for validation.
DIGITS_PER_CLASS = 50
BRIGHTEST = 16
CONVS, LINEAR = ("conv1", "conv2"), ("fc1", "fc2", "fc3")
PLATEAU = 0.002  # by how much a loss at chance wobbles


class WithinRecipes(RegressorMixin, BaseEstimator):
    """``parts`` are functions from a history to its columns; so are ``permuted``, with rows shuffled within recipes, and
    ``context``, of which the recipe's mean counts.
    """

    def __init__(self, parts: Sequence[Any], permuted: Sequence[Any] = (), context: Sequence[Any] = ()) -> None:
        self.parts = parts
        self.permuted = permuted
        self.context = context

    def fit(self, X: Sequence[nb.History], y: np.ndarray) -> "WithinRecipes":
        self.middle_ = float(np.mean(y))
        recipes = recipes_of(X)
        self.parts_, self.permuted_, self.context_ = (
            [nb.Columns([part]).fit(X) for part in parts] for parts in (self.parts, self.permuted, self.context)
        )
        self.learner_ = make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), FOREST)
        self.learner_.fit(self._columns(X, recipes), less_mean(np.asarray(y, dtype=float), recipes))
        return self

    def predict(self, X: Sequence[nb.History]) -> np.ndarray:
        return self.middle_ + self.learner_.predict(self._columns(X, recipes_of(X)))

    def _columns(self, X: Sequence[nb.History], recipes: np.ndarray) -> np.ndarray:
        own, shuffled, context = (
            [table.transform(X).to_numpy(dtype=float) for table in tables]
            for tables in (self.parts_, self.permuted_, self.context_)
        )
        order = shuffled_within(recipes)
        deviations = less_mean(np.hstack([*own, *(part[order] for part in shuffled)]), recipes)
        return np.hstack([deviations, *(part - less_mean(part, recipes) for part in context)])


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


def exact_losses(history: nb.History) -> dict[str, float]:
    """Losses and accuracies of the network that each epoch ends with, over its training images (by their true labels: which
    ones label noise exchanged is not known) and over the validation images, and how far the losses are below chance.
    """
    images, labels, training = digits()
    if list(history.layer_sizes) != ["input", *CONVS, *LINEAR] or history.layer_sizes["input"] != images.shape[1]:
        raise ValueError("exact losses are computed for LeNets on the digits, whose images come with scikit-learn")
    seen = np.arange(len(labels)) < history.hyperparameters.get("training_images", training)
    sides = {"train": seen & (np.arange(len(labels)) < training), "validation": np.arange(len(labels)) >= training}
    columns: dict[str, float] = {}
    for epoch in range(1, history.epochs + 1):
        outputs = lenet(history.weights(min(epoch, len(history.curves))), images)
        outputs -= outputs.max(axis=1, keepdims=True)
        losses = np.log(np.exp(outputs).sum(axis=1)) - outputs[np.arange(len(labels)), labels]
        for side, own in sides.items():
            loss = float(losses[own].mean())
            columns[f"exact_{side}_loss_{epoch}"] = loss
            columns[f"exact_{side}_below_chance_{epoch}"] = float(np.arcsinh((np.log(outputs.shape[1]) - loss) / PLATEAU))
            columns[f"exact_{side}_accuracy_{epoch}"] = 100 * float(np.mean(outputs[own].argmax(axis=1) == labels[own]))
    return columns


@cache
def digits() -> tuple[np.ndarray, np.ndarray, int]:
    """The training images and then the validation images (images, 1, 8, 8) from -1 to 1, their labels, and how many of them
    are for training, in the order and with the cut of the zoo.
    """
    data = load_digits()
    pixels, labels = data.images.astype(np.uint8), data.target.astype(np.int64)
    keys = [(hashlib.sha256(image.tobytes()).digest(), int(label)) for image, label in zip(pixels, labels, strict=True)]
    order = np.array(sorted(range(len(keys)), key=keys.__getitem__))
    places = [order[labels[order] == label] for label in range(10)]
    validation = np.concatenate([own[: DIGITS_PER_CLASS // 2] for own in places])
    test = np.concatenate([own[DIGITS_PER_CLASS // 2 : DIGITS_PER_CLASS] for own in places])
    training = order[~np.isin(order, [*validation, *test])]
    kept = np.concatenate([training, validation])
    return pixels[kept, None].astype(np.float32) * (2 / BRIGHTEST) - 1, labels[kept], len(training)


def lenet(weights: Mapping[str, np.ndarray], images: np.ndarray) -> np.ndarray:
    """The outputs (images, classes) of a LeNet with two convs of 3×3, each with a pool of 2×2, and three linear layers."""
    values = images
    for name in CONVS:
        values = np.maximum(convolved(values, weights[f"{name}.weight"]) + weights[f"{name}.bias"][:, None, None], 0)
        count, filters, height, width = values.shape
        values = values.reshape(count, filters, height // 2, 2, width // 2, 2).max(axis=(3, 5))
    values = values.reshape(len(values), -1)
    for name in LINEAR:
        values = values @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]
        values = np.maximum(values, 0) if name != LINEAR[-1] else values
    return values


def convolved(images: np.ndarray, kernels: np.ndarray) -> np.ndarray:
    """Images (images, channels, height, width) under kernels (filters, channels, 3, 3), padded so that their size stays."""
    count, _, height, width = images.shape
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernels.shape[2:], axis=(2, 3)).transpose(0, 2, 3, 1, 4, 5)
    found = windows.reshape(count * height * width, -1) @ kernels.reshape(len(kernels), -1).T
    return found.reshape(count, height, width, -1).transpose(0, 3, 1, 2)


def within(
    description: str,
    reads: set[str],
    *parts: Any,
    role: Literal["method", "reference", "control"] = "method",
    control_of: str = "",
    permuted: Sequence[Any] = (),
    context: Sequence[Any] = (),
) -> nb.Method:
    return nb.Method(
        description=f"{description}, less the mean of the recipe's seeds; forest of randomised trees",
        source="this benchmark",
        role=role,
        control_of=control_of,
        reads={*reads, "hyperparameters"},
        protocols=("seeds",),
        regressor=WithinRecipes(parts, permuted, context),
    )


def in_context(description: str, reads: set[str], *parts: Any, **facts: Any) -> nb.Method:
    """As `within`, beside the curves and their shapes, and what the recipe is and how its seeds do on average."""
    curves = (nb.columns.curves, nb.columns.curve_shapes)
    context = (*curves, nb.columns.hyperparameters)
    return within(f"{description}, with the recipe's own columns", reads, *curves, *parts, **facts, context=context)


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
    "within-bar": in_context("learning curves and their shapes", {"curves"}, role="reference"),
    "within-bar-and-distance": in_context(
        "learning curves, their shapes and each layer's distance", {"curves", "weights"}, nb.columns.layer_distances
    ),
    "within-bar-and-permuted-distance": in_context(
        "control: learning curves, their shapes, and each layer's distance exchanged between seeds",
        {"curves", "weights"},
        role="control",
        control_of="within-bar-and-distance",
        permuted=(nb.columns.layer_distances,),
    ),
    "within-bar-and-losses": in_context(
        "learning curves, their shapes and exact losses", {"curves", "weights"}, exact_losses, role="reference"
    ),
    "within-bar-losses-and-distance": in_context(
        "learning curves, their shapes, exact losses and each layer's distance",
        {"curves", "weights"},
        exact_losses,
        nb.columns.layer_distances,
    ),
    "within-bar-losses-and-permuted-distance": in_context(
        "control: learning curves, their shapes, exact losses, and each layer's distance exchanged between seeds",
        {"curves", "weights"},
        exact_losses,
        role="control",
        control_of="within-bar-losses-and-distance",
        permuted=(nb.columns.layer_distances,),
    ),
}
