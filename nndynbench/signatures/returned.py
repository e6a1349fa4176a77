"""What a user's function of a graph returned, as a vector; anything else is refused, saying what to write instead."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from typing import Any

import numpy as np

from nndynbench.arrays import FloatArray, as_array
from nndynbench.names import name_of

ALL_VALUES = "np.concatenate([np.ravel(part) for part in value])"
ONE_EACH = "[np.mean(part) for part in value]"


def vector_of(function: Callable[..., Any], value: Any) -> FloatArray:
    """What a function returned as a vector of at least one number; a number becomes a vector of length one.

    Raises
    ------
    ValueError
        For anything else. The message names the function, what it returned, and what to write instead.

    Examples
    --------
    >>> from nndynbench.signatures.returned import vector_of
    >>> vector_of(sum, 2.5)
    array([2.5])
    """
    try:
        vector = np.atleast_1d(np.asarray(as_array(value), dtype=np.float64))
    except TypeError as reason:
        found, instead = _no_numbers(value) or (
            f"a value of type {type(value).__name__}",
            f"return a list of numbers ({reason})",
        )
    else:
        if vector.ndim == 1 and vector.size:
            return vector
        found, instead = f"an array of shape {vector.shape}", "return a vector, such as np.ravel(value), or a number"
        if not vector.size:
            found, instead = "no values", "return at least one number"
    raise ValueError(f"{name_of(function)} must return a vector of real numbers, or a number, not {found}: {instead}")


def _no_numbers(value: Any) -> tuple[str, str] | None:
    """What a value is that is no array of real numbers, and what to write instead; None if that cannot be told."""
    if value is None:
        return "None", "end it with return"
    if isinstance(value, Mapping):
        return f"a {type(value).__name__}", "return list(value.values())"
    if isinstance(value, (str, bytes)):
        return f"the text {value!r:.40}", "return numbers"
    if isinstance(value, (Iterator, Set)):
        return f"a {type(value).__name__}", f"return {'sorted' if isinstance(value, Set) else 'list'}(value)"
    if isinstance(value, Sequence) and (strange := _first_strange(value)) is not None:
        return f"a {type(value).__name__} with {strange}", "return numbers alone, np.nan where there is none"
    with suppress(ValueError, TypeError):
        kind = np.asarray(value).dtype.kind
        if kind == "c":
            return "complex numbers", "return np.real(value), np.imag(value) or np.abs(value)"
        if kind == "O" and isinstance(value, np.ndarray) and (strange := _first_strange(value.ravel())) is not None:
            return f"an array of objects with {strange}", "return numbers alone, np.nan where there is none"
        return None
    if isinstance(value, Sequence):
        return (
            f"a {type(value).__name__} of parts of unequal lengths",
            f"return {ALL_VALUES}, or a number for each part, such as {ONE_EACH}",
        )
    return None


def _first_strange(values: Iterable[Any]) -> str | None:
    """The first of some values that is neither a number nor an array, in words; None if there is none."""
    strange = (each for each in values if each is None or isinstance(each, (str, bytes, Mapping)))
    return next((repr(each)[:40] for each in strange), None)
