"""One fit, in a sealed process or outside: a method is fitted on histories and asked about others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nndynbench.arrays import FloatArray
from nndynbench.protocols.method import seeded
from nndynbench.protocols.protocol import Task
from nndynbench.protocols.tuning import asked_for, best_of

if TYPE_CHECKING:
    from nndynbench.subsets import History


NUMBERS = (Real, Decimal)


@dataclass(frozen=True)
class Known:
    """What is known about the training networks besides their histories, one entry per network.

    ``target``: what is to be predicted. ``groups``: networks with the same number belong together. A method that holds out
    some of its training networks holds out whole groups; see `nndynbench.protocols.scoring.groups_of`. ``accuracies``: the
    final accuracies, from which the labels of a classification are cut.
    """

    target: npt.NDArray[Any]
    groups: npt.NDArray[np.int64]
    accuracies: FloatArray


def fit_and_ask(
    estimator: Any,
    choices: Mapping[str, Sequence[Any]],
    seen: Sequence[History],
    known: Known,
    asked: Sequence[History],
    task: Task,
) -> tuple[FloatArray, FloatArray | None]:
    """Fits the estimator and returns its predictions for the histories asked about, and a classifier's scores (else None).

    ``choices`` maps parameters to the values to choose from. The best are found by cross-validation that keeps groups apart.
    Raises whatever the method raises.
    """
    fitted = fitted_on(estimator, choices, seen, known, task)
    predicted = real_numbers(fitted.predict(list(asked)), what="predictions")
    return predicted, _scores(fitted, asked) if task == "classification" else None


def fitted_on(
    estimator: Any, choices: Mapping[str, Sequence[Any]], seen: Sequence[History], known: Known, task: Task
) -> Any:
    """The estimator, cloned, seeded and fitted, with the best of the choices.

    A ``fit`` that has a parameter named ``groups`` or ``accuracies`` after those of the histories and the target is passed
    it.
    """
    from sklearn.base import clone

    # The method gets copies of lists and labels, since it may change them.
    seen, target = list(seen), np.array(known.target)
    fresh = seeded(clone(estimator))
    more = asked_for(fresh, groups=known.groups, accuracies=known.accuracies)
    if choices:
        fresh.set_params(**best_of(choices, fresh, seen, target, groups=known.groups, task=task, more=more))
    fitted = fresh.fit(seen, target, **more)
    return fresh if fitted is None else fitted  # a pipeline, too, allows a `fit` that returns nothing


def real_numbers(values: Any, *, what: str) -> FloatArray:
    """What a method returned, as float64.

    Raises
    ------
    TypeError
        For dates, texts, complex numbers and the like, even where numpy would convert them, and for masked values.
    """
    if np.ma.is_masked(values):
        raise TypeError(f"{np.sum(np.ma.getmaskarray(values))} of {np.size(values)} {what} are masked")
    array = np.asarray(values)
    if array.dtype.kind == "O" and all(isinstance(value, NUMBERS) for value in array.flat):
        array = array.astype(np.float64)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{what} are {_kind_of(array)}, not real numbers")
    return array.astype(np.float64)


def _kind_of(array: npt.NDArray[Any]) -> str:
    if array.dtype.kind == "O":
        return ", ".join(sorted({type(value).__name__ for value in array.flat if not isinstance(value, NUMBERS)}))
    return {"c": "complex numbers", "M": "dates", "m": "times", "U": "strings", "S": "bytes"}.get(
        array.dtype.kind, str(array.dtype)
    )


def _scores(estimator: Any, histories: Sequence[Any]) -> FloatArray:
    """A classifier's score for "high": its decision function, else its probability, else its prediction."""
    if hasattr(estimator, "decision_function"):
        found = estimator.decision_function(list(histories))
    elif hasattr(estimator, "predict_proba"):
        found = estimator.predict_proba(list(histories))[:, 1]
    else:
        found = estimator.predict(list(histories))
    return real_numbers(found, what="scores")
