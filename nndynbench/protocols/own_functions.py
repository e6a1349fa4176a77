"""What `check_method` says of a method's own functions, which its `Columns` and `Signature`s apply to histories."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from nndynbench.fingerprint import why_no_fingerprint
from nndynbench.names import name_of
from nndynbench.numbers import listed
from nndynbench.subsets.history import History

# A column that is missing for a larger share of the networks tells little of them.
MOSTLY = 0.5


def not_kept(estimator: Any) -> list[str]:
    """For each function whose values are not kept, that they are not, and why."""
    functions = {name_of(function): function for part in _transformers(estimator) for function in part.own_functions}
    reasons = {name: why_no_fingerprint(function) for name, function in functions.items()}
    return [f"what {name} returns is computed anew in every fit, since {why}" for name, why in reasons.items() if why]


def mostly_missing(estimator: Any, histories: Sequence[History]) -> Iterator[str]:
    """Says which columns of a function are NaN for most of the histories."""
    from sklearn.base import clone

    for part in _transformers(estimator):
        if not (names := [name_of(function) for function in part.own_functions]):
            continue
        try:
            table = pd.DataFrame(clone(part).fit_transform(list(histories)))
        except Exception:  # the method hands it something else than histories
            continue
        shares = table.isna().mean()
        if len(missing := shares[shares > MOSTLY]):
            column = f", such as {missing.index[0]!r}" if isinstance(missing.index[0], str) else ""
            said = f"are NaN for more than half of {len(histories)} networks"
            yield f"{len(missing)} of the {len(shares)} columns of {listed(names)} {said}{column}"


def left_out(estimator: Any, largest: int) -> Iterator[str]:
    """Says which epochs a `Signature` names that lie beyond the largest budget tried, and what to do."""
    named = {epoch for part in _transformers(estimator) for epoch in getattr(part, "epochs", None) or ()}
    if later := sorted(epoch for epoch in named if epoch > largest):
        words = f"{'epochs' if len(later) > 1 else 'epoch'} {listed(later)}"
        yield f"its Signature names {words}, left out within a budget of {largest}: to try them, --budgets {later[-1]}"


def _transformers(estimator: Any) -> list[Any]:
    """The `Columns` and `Signature`s among an estimator's parts."""
    parts = (estimator, *estimator.get_params(deep=True).values()) if hasattr(estimator, "get_params") else ()
    return [part for part in parts if hasattr(type(part), "own_functions")]
