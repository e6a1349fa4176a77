"""How the document writes a number, a table and a count."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pandas as pd

from nndynbench.numbers import NOTHING, written, written_interval
from nndynbench.protocols.scoring import Estimate
from nndynbench.report.ranking import Row, is_control


def estimate(row: Row, column: str = "value", *, signed: bool = False) -> str:
    """A value with its interval, where it has one: "0.712 (0.65 to 0.77)"; that of a signed one, which hundredths decide on,
    in thousandths: "+0.017 (0.005 to 0.029)".
    """
    low, high = ("low", "high") if column == "value" else (f"{column}_low", f"{column}_high")
    if pd.isna(row.get(column)):
        return NOTHING
    shown = written(row[column], signed=signed)
    return shown if pd.isna(row[low]) else f"{shown} ({written_interval(row[low], row[high], digits=3 if signed else 2)})"


def correlation(found: Estimate) -> str:
    """With its interval: "+0.454 (0.39 to 0.51)"."""
    return f"{written(found.value, signed=True)} ({written_interval(found.low, found.high, digits=2)})"


def named(method: str) -> str:
    """A method's name, with a word where it is a control: "`control-epoch-0` (a control)"."""
    return f"`{method}` (a control)" if is_control(method) else f"`{method}`"


def number(value: float | None) -> str:
    return NOTHING if value is None or pd.isna(value) else written(value)


def table_line(cells: Iterable[object]) -> str:
    return f"| {' | '.join(str(cell).replace('|', '/') for cell in cells)} |"


def table_head(cells: Iterable[object]) -> Iterator[str]:
    heads = list(cells)
    yield table_line(heads)
    yield table_line(["---"] * len(heads))


def count(some: int, of_all: int) -> str:
    """As "all 5", "none of the 5" or "2 of the 5"."""
    return f"all {of_all}" if some == of_all else f"{some or 'none'} of the {of_all}"
