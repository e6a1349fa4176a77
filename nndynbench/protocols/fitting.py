"""One fit: a method is fitted on histories and asked about others, wherever it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nndynbench.protocols.method import seeded
from nndynbench.protocols.protocol import Task
from nndynbench.protocols.tuning import Folds, tuned

if TYPE_CHECKING:
    from nndynbench.subsets import History

FloatArray = npt.NDArray[np.float64]

NUMBERS = (Real, Decimal)


def fit_and_ask(
    estimator: Any,
    choices: Mapping[str, Sequence[Any]],
    seen: Sequence[History],
    target: npt.NDArray[Any],
    asked: Sequence[History],
    task: Task,
    inner: Folds | None,
) -> tuple[FloatArray, FloatArray | None]:
    """Predictions of the histories asked about, and a classifier's scores; raises whatever the method raises.

    ``inner``: the folds by which the best of the ``choices`` is found, or None where none is looked for.
    """
    from sklearn.base import clone

    # Lists and labels of its own: a method may do with them what it likes.
    seen, target = list(seen), np.array(target)
    fresh = seeded(clone(estimator))
    fitted = fresh.fit(seen, target) if inner is None else tuned(fresh, choices, seen, target, inner=inner, task=task)
    predicted = real_numbers(fitted.predict(list(asked)), what="predictions")
    return predicted, _scores(fitted, asked) if task == "classification" else None


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
