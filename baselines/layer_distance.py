"""Each layer's distance from its initialisation, and how it grew: a Gaussian process and two kinds of trees, averaged.

Networks that will leave the plateau at chance have moved farther before their losses show it.
"""

from collections.abc import Callable

from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

import nndynbench as nb

TREES = {"n_estimators": 100, "max_features": 0.5}
BOOSTED = {**TREES, "learning_rate": 0.1, "subsample": 0.7}
PROCESS = ConstantKernel() * RBF(3.0)


def of(columns: Callable[[nb.History], dict[str, float]], learner: object) -> Pipeline:
    return make_pipeline(
        nb.Columns([columns]), SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler(), learner
    )


def averaged(columns: Callable[[nb.History], dict[str, float]]) -> dict[str, Pipeline]:
    """A classifier and a regressor on the same columns."""
    return {
        "classifier": of(
            columns,
            VotingClassifier(
                [
                    ("process", GaussianProcessClassifier(PROCESS)),
                    ("forest", ExtraTreesClassifier(**TREES)),
                    ("boosted trees", GradientBoostingClassifier(**BOOSTED)),
                ],
                voting="soft",
            ),
        ),
        "regressor": of(
            columns,
            VotingRegressor(
                [
                    ("process", GaussianProcessRegressor(PROCESS + WhiteKernel(0.1), normalize_y=True)),
                    ("forest", ExtraTreesRegressor(**TREES)),
                    ("boosted trees", GradientBoostingRegressor(**BOOSTED)),
                ]
            ),
        ),
    }


def distances_and_growth(history: nb.History) -> dict[str, float]:
    """Each layer's distance from its initialisation after every epoch, and its growth since the epoch before."""
    distances = nb.columns.layer_distances(history)
    columns = dict(distances)
    for name, value in distances.items():
        layer, _, epoch = name.removeprefix("distance ").rpartition(" ")
        if epoch != "1":
            columns[f"growth {layer} {epoch}"] = value - distances[f"distance {layer} {int(epoch) - 1}"]
    return columns


METHODS = {
    "layer-distance": nb.Method(
        description="each layer's distance from its initialisation, relative to its initial norm, and its growth",
        source="this benchmark",
        reads={"weights"},
        **averaged(distances_and_growth),
    ),
}
