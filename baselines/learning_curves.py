"""Learning curves: support vectors on a curve's values and differences, and extrapolation by curves of a given form."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import least_squares
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, NuSVR

import nndynbench as nb

# The epoch to which a curve is extrapolated.
HORIZON = 20

# A form of learning curve: (accuracy at epochs t with parameters p, where the fit starts from the last accuracy).
FORMS: dict[str, tuple[Callable[[np.ndarray, np.ndarray], np.ndarray], Callable[[float], list[float]]]] = {
    "power": (lambda t, p: p[0] - p[1] * t ** -np.exp(p[2]), lambda last: [last, last, 0.0]),
    "exponential": (lambda t, p: p[0] - p[1] * np.exp(-np.exp(p[2]) * t), lambda last: [last, last, 0.0]),
    "logarithm": (lambda t, p: p[0] + p[1] * np.log(t), lambda last: [last, 0.0]),
}


def values_and_differences(history: nb.History) -> dict[str, float]:
    """Validation accuracies up to the budget, their first and second differences."""
    accuracies = validation_accuracies(history)
    series = {f"difference_{order}": np.diff(accuracies, order) for order in range(3)}
    return {f"{name}_{epoch}": value for name, values in series.items() for epoch, value in enumerate(values)}


def extrapolations(history: nb.History) -> dict[str, float]:
    return extrapolated(validation_accuracies(history))


def validation_accuracies(history: nb.History) -> list[float]:
    curves = nb.columns.curves(history)
    return [curves[f"validation_accuracy_{epoch}"] for epoch in range(1, history.epochs + 1)]


def extrapolated(accuracies: list[float]) -> dict[str, float]:
    """Each form's accuracy at the horizon, within 0 and 100 percent; with too few epochs, a form stays near its start."""
    if np.isnan(accuracies).any():
        return dict.fromkeys(FORMS, np.nan)
    epochs = np.arange(1.0, len(accuracies) + 1)
    drawn = {}
    for name, (form, start) in FORMS.items():
        first = np.array(start(accuracies[-1]))
        # A weak pull towards the start: three parameters are not determined by one or two epochs.
        errors = lambda p: np.concatenate([form(epochs, p) - accuracies, 0.1 * (p - first)])  # noqa: B023, E731
        drawn[name] = float(np.clip(form(np.array(float(HORIZON)), least_squares(errors, first, max_nfev=50).x), 0, 100))
    return drawn


def scaled(columns: Any, learner: object) -> Any:
    return make_pipeline(
        nb.Columns(columns), SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler(), learner
    )


BAKER = [nb.columns.hyperparameters, values_and_differences]

METHODS = {
    "curve-svr": nb.Method(
        description="validation accuracies, their differences and the hyperparameters, ν support vector regression",
        source="Baker et al. 2017, arXiv 1705.10823",
        reads={"curves", "hyperparameters"},
        regressor=scaled(BAKER, NuSVR(C=100)),
        choices={"nusvr__C": [10, 100, 1000]},
    ),
    "curve-svm": nb.Method(
        description="validation accuracies, their differences and the hyperparameters, support vector machine",
        source="Baker et al. 2017, arXiv 1705.10823, for classes",
        reads={"curves", "hyperparameters"},
        classifier=scaled(BAKER, SVC(C=10)),
        choices={"svc__C": [1, 10, 100]},
    ),
    "curve-extrapolation": nb.Method(
        description=f"power law, exponential and logarithm through validation accuracies, at epoch {HORIZON}, calibrated",
        source="Domhan et al. 2015, IJCAI: three of its forms",
        role="reference",  # for the curves, where curve-bar has no row
        reads={"curves"},
        classifier=scaled([extrapolations], LogisticRegression()),
        regressor=scaled([extrapolations], LinearRegression()),
    ),
}
