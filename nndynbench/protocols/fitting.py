"""One fit: a method is fitted on histories and asked about others, wherever it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nndynbench.protocols.method import seeded
from nndynbench.protocols.protocol import Task
from nndynbench.protocols.tuning import asked_for, best_of

if TYPE_CHECKING:
    from nndynbench.subsets import History

FloatArray = npt.NDArray[np.float64]

NUMBERS = (Real, Decimal)


@dataclass(frozen=True)
class Known:
    """What is known of training networks beside their histories, an entry for each.

    ``target``: what is to be predicted. ``groups``: networks of equal number belong together, and a method that holds some
    of its training networks out holds them out together; see `nndynbench.protocols.scoring.groups_of`. ``accuracies``: the
    final accuracies, of which the labels of a classification are a cut.
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
    """Predictions of the histories asked about, and a classifier's scores; raises whatever the method raises.

    ``choices``: of parameters; where there are any the best is found by cross-validation, with groups apart.
    """
    fitted = fitted_on(estimator, choices, seen, known, task)
    predicted = real_numbers(fitted.predict(list(asked)), what="predictions")
    return predicted, _scores(fitted, asked) if task == "classification" else None


def fitted_on(
    estimator: Any, choices: Mapping[str, Sequence[Any]], seen: Sequence[History], known: Known, task: Task
) -> Any:
    """The estimator, cloned, seeded and fitted, with the best of the choices.

    One whose ``fit`` has a parameter ``groups`` or ``accuracies`` by name is handed them.
    """
    from sklearn.base import clone

    # Lists and labels of its own: a method may do with them what it likes.
    seen, target = list(seen), np.array(known.target)
    fresh = seeded(clone(estimator))
    more = asked_for(fresh, groups=known.groups, accuracies=known.accuracies)
    if choices:
        fresh.set_params(**best_of(choices, fresh, seen, target, groups=known.groups, task=task, more=more))
    return fresh.fit(seen, target, **more)


def real_numbers(values: Any, *, what: str) -> FloatArray:
    """What a method returned, as numbers.

    Raises
    ------
    TypeError
        For dates, texts, complex numbers and the like, and for masked values: nothing that numpy would make numbers of.
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
    return {"c": "complex numbers", "M": "dates", "m": "times", "U": "texts", "S": "bytes"}.get(
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
