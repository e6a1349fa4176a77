"""The paper's methods: temporal graph signatures and a plain learner (Vahedian et al. 2021, arXiv 2111.05410).

How they are scaled, of which the paper says nothing: signatures of exploding networks span forty orders of magnitude, so
each value x becomes sign(x)·log(1 + |x|), then is standardised on the training fold. Diverged networks have no signature
from their divergence on: those values are replaced by the training fold's median, and marked in a column of their own.
"""

import numpy as np
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

import nndynbench as nb

PAPER = "Vahedian et al. 2021, arXiv 2111.05410"


def signed_logarithm(values: np.ndarray) -> np.ndarray:
    return np.sign(values) * np.log1p(np.abs(values))


def on_signature(signature: nb.Signature, learner: object) -> Pipeline:
    return make_pipeline(
        signature,
        FunctionTransformer(signed_logarithm),
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
        StandardScaler(),
        learner,
    )


METHODS = {
    "degree-svm": nb.Method(
        description="degree signatures of the rolled graph, support vector machine with a linear kernel",
        source=f"{PAPER}, section 4.1",
        tier={"weights"},
        classifier=on_signature(nb.Signature("degree"), SVC(kernel="linear")),
    ),
    "degree-linear": nb.Method(
        description="degree signatures of the rolled graph, linear regression",
        source=f"{PAPER}, section 4.2",
        tier={"weights"},
        regressor=on_signature(nb.Signature("degree"), LinearRegression()),
    ),
}
