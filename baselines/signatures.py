"""The paper's methods: temporal graph signatures and a plain learner (Vahedian et al. 2021, arXiv 2111.05410).

The paper does not say how signatures are scaled. Those of exploding networks span forty orders of magnitude, so each value x
becomes sign(x)·log(1 + |x|), and is then standardised on the training fold. Diverged networks have no signature from their
divergence on: those values are replaced by the training fold's median, and marked in a column of their own.
"""

from typing import Any

from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import nndynbench as nb

PAPER = "Vahedian et al. 2021, arXiv 2111.05410"

# suffix of the name: (what it says, parameters of nb.Signature, choices, place in the paper)
VARIANTS: dict[str, tuple[str, dict[str, Any], dict[str, Any], str]] = {
    "": ("the rolled graph", {}, {}, "sections 3.2 and 4"),
    "-linear-average": ("the rolled graph, averaged with linear weights", {"weighting": "linear"}, {}, "section 3.2, S3"),
    "-exponential-average": (
        "the rolled graph, averaged with exponential weights",
        {"weighting": "exponential"},
        {"signature__alpha": [0.3, 0.7]},
        "section 3.2, S3",
    ),
    "-unrolled-positive": (
        "the unrolled graph's positive edges", {"representation": "unrolled", "sign": "positive"}, {}, "appendix A.2"
    ),
    "-unrolled-negative": (
        "the unrolled graph's negative edges", {"representation": "unrolled", "sign": "negative"}, {}, "appendix A.2"
    ),
    "-unrolled-both": (
        "the unrolled graph's positive and negative edges, side by side",
        {"representation": "unrolled", "sign": "pos-neg"},
        {},
        "appendix A.2",
    ),
}  # fmt: skip


def on_signature(signature: nb.Signature, learner: object) -> Pipeline:
    return make_pipeline(
        signature,
        nb.SignedLogarithm(),
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
        StandardScaler(),
        learner,
    )


def methods(centrality: str, suffix: str) -> dict[str, nb.Method]:
    what, parameters, choices, place = VARIANTS[suffix]
    signature, name = nb.Signature(centrality, **parameters), f"{centrality}{suffix}"

    def method(learner: str, further: dict[str, Any] = {}, **estimator: object) -> nb.Method:  # noqa: B006
        return nb.Method(
            description=f"{centrality} signatures of {what}, {learner}",
            source=f"{PAPER}, {place}",
            reads={"weights"},
            choices=choices | further,
            **{task: on_signature(signature, learner) for task, learner in estimator.items()},
        )

    rbf, mlp = {"svc__C": [1, 10, 100]}, {"mlpclassifier__alpha": [0.1, 1]}
    perceptron = MLPClassifier((32,), solver="lbfgs", tol=0.01, max_iter=1000)
    return {
        f"{name}-svm": method("support vector machine with a linear kernel", classifier=SVC(kernel="linear")),
        f"{name}-rbf-svm": method("support vector machine with an RBF kernel", rbf, classifier=SVC()),
        f"{name}-mlp": method("perceptron with one hidden layer of 32", mlp, classifier=perceptron),
        f"{name}-linear": method("linear regression", regressor=LinearRegression()),
    }


METHODS = {
    name: method
    for centrality in ("degree", "eigenvector")
    for suffix in VARIANTS
    for name, method in methods(centrality, suffix).items()
}
