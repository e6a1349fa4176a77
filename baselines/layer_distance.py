"""How far each layer has moved from its initialisation: a Gaussian process and two kinds of trees, averaged.

Networks that will leave the plateau at chance have moved farther before their losses show it.
"""

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


def of(columns: object, learner: object) -> Pipeline:
    return make_pipeline(
        nb.Columns([columns]), SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler(), learner
    )


def averaged(columns: object) -> dict[str, Pipeline]:
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


METHODS = {
    "layer-distance": nb.Method(
        description="each layer's distance from its initialisation, relative to its initial norm, after every epoch",
        source="this benchmark",
        reads={"weights"},
        **averaged(nb.columns.layer_distances),
    ),
}
