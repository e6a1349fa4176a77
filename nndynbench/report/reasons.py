"""Why a table of the document has a dash where a number would stand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import pandas as pd

from nndynbench.protocols import Comparison
from nndynbench.report.markdown import epochs
from nndynbench.report.ranking import Row

UNRECORDED = "no reason is recorded"


def no_values(rows: pd.DataFrame, where: Callable[[Row], str]) -> Iterator[str]:
    """A line for each reason for which rows have no value; ``where`` says which cell a row is."""
    empty = rows[rows["value"].isna()].to_dict("records")
    yield from lines((f"`{row['method']}`{where(dict(row))}", row.get("undefined") or UNRECORDED) for row in empty)


def lines(cells: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Cells and their reasons as lines, the cells of one reason together."""
    by_reason: dict[str, list[str]] = {}
    for cell, reason in cells:
        by_reason.setdefault(reason, []).append(cell)
    yield from (f"\nNo value (–) of {', '.join(found)}: {reason}." for reason, found in by_reason.items())


def failures(compared: Comparison) -> Iterator[str]:
    """A line for each method that gave no result."""
    yield from (f"\nNo result: {reason.partition(';')[0]}." for reason in compared.failures.values())


def at_budget(row: Row) -> str:
    return f" at {epochs(row['budget'])}"
