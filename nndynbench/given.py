"""Checks what users give about a run of their own: its curves and hyperparameters. A method would impute what is wrong."""

from __future__ import annotations

import numbers
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from os import PathLike
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from nndynbench.columns import CURVES
from nndynbench.names import check_name
from nndynbench.own_run import NotGivenError
from nndynbench.storage.files import user_path

if TYPE_CHECKING:
    import pandas as pd

    from nndynbench.subsets import Subset

CurvesLike: TypeAlias = "pd.DataFrame | Mapping[str, Any] | str | PathLike[str]"

LOSS = "train_loss"
ACCURACIES = tuple(name for name in CURVES if name.endswith("accuracy"))

# At most this many wrong values of a column are named.
NAMED = 5


def checked_curves(
    curves: CurvesLike,
    epochs: int,
    *,
    classes: int,
    columns: Sequence[str] = CURVES,
    source: str | None = None,
    unmeasured: Mapping[str, Collection[Any]] | None = None,
) -> pd.DataFrame:
    """A run's curves as `History.curves` has them: ``columns``, index ``epoch``, a row for each of 1 to ``epochs``.

    ``curves`` is a table, a mapping of columns, or a CSV file; ``source`` is what errors call it. Its index or its column
    ``epoch`` gives the epochs, one row each, in order. Accuracies are in percent; ``classes`` is the number of classes (0 if
    it is not known). Other columns and later epochs are left out. ``unmeasured`` lists the epochs at which a column may lack
    a value: there it is NaN.

    Raises
    ------
    NotGivenError
        For missing or doubled columns; for epochs that are missing, doubled, unsorted or not whole numbers; and for values
        up to the last epoch that are not finite or not percent. It names the file, the row and the column.
    """
    table, named = _table(curves)
    source = source or named
    if missing := [name for name in columns if name not in table]:
        raise NotGivenError(f"{source} lack {', '.join(missing)} (they have {', '.join(map(str, table)) or 'no column'})")
    if doubled := [name for name in columns if list(table).count(name) > 1]:
        raise NotGivenError(f"{source} have several columns named {', '.join(doubled)}")
    rows = _Rows(source, _epochs(table, source))
    rows.check_order()
    if lacking := [epoch for epoch in range(1, epochs + 1) if epoch not in rows.epochs]:
        raise NotGivenError(
            f"{source} lack epoch {', '.join(map(str, lacking))} (they have {', '.join(map(str, rows.epochs)) or 'none'})"
        )
    wanted = [rows.epochs.index(epoch) for epoch in range(1, epochs + 1)]
    checked = table[list(columns)].iloc[wanted].set_axis(range(1, epochs + 1)).rename_axis("epoch")
    for name in columns:
        checked[name] = _numbers(checked[name], name, rows, (unmeasured or {}).get(name, ()))
        if name == LOSS and (below := [int(epoch) for epoch in checked.index[checked[name] < 0]]):
            named = "; ".join(f"{checked[name][epoch]:g} in {rows.place(epoch)}" for epoch in below[:NAMED])
            raise NotGivenError(f"{source} have values below 0 for {name}, which is a mean cross-entropy: {named}")
        if name in ACCURACIES:
            _check_percent(checked[name], name, rows, chance=chance_of(classes))
    return checked


class _Rows:
    """Says in words where a table's epochs are."""

    def __init__(self, source: str, epochs: list[int]) -> None:
        self.source, self.epochs = source, epochs

    def place(self, epoch: int) -> str:
        return f"row {self.epochs.index(epoch) + 1} (epoch {epoch})"

    def check_order(self) -> None:
        for epoch in dict.fromkeys(self.epochs):
            if self.epochs.count(epoch) > 1:
                rows = [str(row) for row, each in enumerate(self.epochs, start=1) if each == epoch]
                raise NotGivenError(
                    f"{self.source} have epoch {epoch} in rows {', '.join(rows)}: give one row per epoch (merge rows "
                    "that each hold a part of it, as curves.groupby('epoch').first() does, or keep one run's rows)"
                )
        for row, (before, epoch) in enumerate(pairwise(self.epochs), start=2):
            if epoch < before:
                raise NotGivenError(
                    f"{self.source} have epoch {epoch} in row {row}, after epoch {before}: sort them by epoch"
                )


def _table(curves: CurvesLike) -> tuple[pd.DataFrame, str]:
    import pandas as pd

    if isinstance(curves, (str, PathLike)):
        path = user_path(curves)
        try:
            return pd.read_csv(path), f"the curves in {path}"
        except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as reason:
            raise NotGivenError(f"the curves in {path} are not a CSV table: {reason}") from reason
    if isinstance(curves, pd.DataFrame):
        return curves, "the curves"
    if isinstance(curves, Mapping):
        try:
            return pd.DataFrame(dict(curves)), "the curves"
        except ValueError as reason:
            raise NotGivenError(f"the curves are not a table: {reason}") from reason
    raise NotGivenError(f"curves must be a table, a mapping of columns or a CSV file, not {type(curves).__name__}")


def _epochs(table: pd.DataFrame, source: str) -> list[int]:
    """The epoch of each row, from the column of this name or, if there is none, from the index."""
    import pandas as pd

    values = table.get("epoch", table.index)
    if isinstance(values, pd.RangeIndex) and values.name is None and len(values) and values[0] == 0:
        raise NotGivenError(f"{source} have neither a column nor an index named epoch: rows alone do not tell their epochs")
    if values.ndim > 1 or isinstance(values, pd.MultiIndex):
        raise NotGivenError(f"{source} have more than one value per row for the epoch: give one run's curves, by epoch")
    epochs = []
    for row, value in enumerate(values, start=1):
        number = value.item() if isinstance(value, np.generic) else value
        is_number = isinstance(number, (int, float)) and not isinstance(number, bool)
        if not is_number or number != number or number % 1 or number < 0:
            raise NotGivenError(
                f"{source} have {value!r} in row {row} for the epoch; it must be a whole number of at least 0"
            )
        epochs.append(int(number))
    return epochs


def _numbers(column: pd.Series, name: str, rows: _Rows, unmeasured: Collection[Any]) -> pd.Series:
    import pandas as pd

    texts_or_none = (str, type(None), type(pd.NA))
    for epoch, value in zip(map(int, column.index), column, strict=True):
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, (numbers.Real, Decimal, *texts_or_none)):
            raise NotGivenError(f"{rows.source} have {value!r} in {rows.place(epoch)} for {name}: values must be numbers")
    found = pd.to_numeric(column, errors="coerce").astype(np.float64)
    wrong = [int(epoch) for epoch in found.index[~np.isfinite(found)] if epoch not in unmeasured]
    if wrong:
        named = "; ".join(f"{column[epoch]!r} in {rows.place(epoch)}" for epoch in wrong[:NAMED])
        raise NotGivenError(f"{rows.source} have values for {name} that are not finite numbers: {named}")
    return found


def _check_percent(column: pd.Series, name: str, rows: _Rows, *, chance: float) -> None:
    outside = [int(epoch) for epoch in column.index[(column < 0) | (column > 100)]]
    if outside:
        named = "; ".join(f"{column[epoch]:g} in {rows.place(epoch)}" for epoch in outside[:NAMED])
        raise NotGivenError(f"{rows.source} have values outside 0 to 100 for {name}, which is in percent: {named}")
    if looks_like_a_fraction(float(column.max()), chance=chance):
        raise NotGivenError(
            f"{rows.source} have values up to {column.max():g} for {name}: give percent, not fractions (chance is "
            f"{chance:g})"
        )


def chance_of(classes: int) -> float:
    """The accuracy of guessing, in percent; 0 if it is not known: without classes, or with a single output."""
    return 100 / classes if classes > 1 else 0.0


def looks_like_a_fraction(accuracy: float, *, chance: float) -> bool:
    """Whether an accuracy, or the highest of several, must be a fraction where percent are asked for: it is far below
    chance. With 20 classes or more, nothing can be told.
    """
    return 0 < accuracy <= 1 < chance / 5


def checked_hyperparameters(given: Mapping[str, Any], subset: Subset) -> dict[str, Any]:
    """A run's hyperparameters: a value for every column of the subset's grid, and for no other. What some networks of the
    subset lack, the run may lack too.

    Raises
    ------
    NotGivenError
        For missing or unknown names, for texts in place of numbers or the other way round, and for numbers that are not
        finite.
    UnknownNameError
        For a text that no network of the subset has.
    """
    import pandas as pd

    if not hasattr(given, "keys") or isinstance(given, pd.DataFrame):
        raise NotGivenError(f"hyperparameters must be a mapping from names to values, not {type(given).__name__}")
    values = {str(name): given[name] for name in given.keys()}  # noqa: SIM118  # a Series goes through its values
    wanted = subset.manifest.hyperparameters
    # What networks of the subset lack, a run may lack too: it is missing there in the same way.
    networks = subset.networks
    lacking = {name: _missing_in(networks[name]) for name in wanted if name not in values}
    if missing := [name for name, blank in lacking.items() if blank is None]:
        raise NotGivenError(f"hyperparameters lack {', '.join(missing)} (given: {', '.join(values) or 'none'})")
    if unknown := [name for name in values if name not in wanted]:
        raise NotGivenError(f"{subset.name} has no hyperparameter {', '.join(unknown)} (it has {', '.join(wanted)})")
    for name in values:
        column, value = networks[name], values[name]
        if pd.api.types.is_numeric_dtype(column):
            if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.number)):
                raise NotGivenError(f"{name} must be a number in {subset.name}, not {value!r}")
            if not np.isfinite(value):
                raise NotGivenError(f"{name} must be a finite number, not {value!r}")
        elif not isinstance(value, str):
            raise NotGivenError(f"{name} must be a text in {subset.name}, not {value!r}")
        else:
            check_name(value, sorted(set(column)), what=f"{name} of {subset.name}")
    return values | lacking


def _missing_in(column: pd.Series) -> float | str | None:
    """What stands in a column of the grid for a network without a value; None if each has one."""
    import pandas as pd

    if pd.api.types.is_numeric_dtype(column):
        return float("nan") if column.isna().any() else None
    return "" if (column == "").any() else None
