"""What `check_method` says of a method's own functions, which its `Columns` and `Signature`s apply to histories."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import pandas as pd
from sklearn.base import clone

from nndynbench.fingerprint import why_no_fingerprint
from nndynbench.numbers import listed
from nndynbench.subsets.history import History

# A column that is missing for a larger share of the networks tells little of them.
MOSTLY = 0.5


def not_kept(estimator: Any) -> list[str]:
    """For each function whose values are not kept, that they are not, and why."""
    functions = {_name(function): function for part in _transformers(estimator) for function in part.own_functions}
    reasons = {name: why_no_fingerprint(function) for name, function in functions.items()}
    return [f"what {name} returns is computed anew in every fit, since {why}" for name, why in reasons.items() if why]


def mostly_missing(estimator: Any, histories: Sequence[History]) -> Iterator[str]:
    """Says which columns of a function are NaN for most of the histories."""
    for part in _transformers(estimator):
        if not (names := [_name(function) for function in part.own_functions]):
            continue
        with suppress(Exception):  # it is handed something else than histories
            table = pd.DataFrame(clone(part).fit_transform(list(histories)))
            shares = table.isna().mean()
            if len(missing := shares[shares > MOSTLY]):
                column = f", such as {missing.index[0]!r}" if isinstance(missing.index[0], str) else ""
                said = f"are NaN for more than half of {len(histories)} networks"
                yield f"{len(missing)} of the {len(shares)} columns of {listed(names)} {said}{column}"


def _transformers(estimator: Any) -> list[Any]:
    """The `Columns` and `Signature`s among an estimator's parts."""
    parts = estimator.get_params(deep=True).values() if hasattr(estimator, "get_params") else ()
    return [part for part in parts if hasattr(type(part), "own_functions")]


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__qualname__", None) or f"{function!r:.60}"
