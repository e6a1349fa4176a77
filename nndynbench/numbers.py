"""How numbers are written for people, with a minus sign and never as a zero below zero; and lists of them."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

# Stands where there is no number.
NOTHING = "–"


def written(value: float, *, digits: int = 3, signed: bool = False) -> str:
    """A number rounded to ``digits`` after the point: "0.712", "−0.150". If ``signed``, also "+0.017", but "0.000"."""
    text = f"{value:z.{digits}f}"
    if signed and value > 0 and float(text):
        return f"+{text}"
    return text.replace("-", "−")


def number(value: float | None) -> str:
    """A number with three digits after the point, or a dash where there is none."""
    return NOTHING if value is None or math.isnan(value) else written(value)


def estimate(row: pd.Series | Mapping[Hashable, Any], column: str = "value", *, signed: bool = False) -> str:
    """A row's value with its interval, where it has one: "0.712 (0.65 to 0.77)"; that of a signed one, which hundredths
    decide on, in thousandths: "+0.017 (0.005 to 0.029)".
    """
    prefix = "" if column == "value" else f"{column}_"
    value, low, high = (float(row.get(name, math.nan)) for name in (column, f"{prefix}low", f"{prefix}high"))
    if math.isnan(value):
        return NOTHING
    shown = written(value, signed=signed)
    return shown if math.isnan(low) else f"{shown} ({written_interval(low, high, digits=3 if signed else 2)})"


def listed(names: Iterable[object], *, by: str = "and") -> str:
    """A list in words, such as "1, 3 and 5"; ``by`` stands before the last."""
    *first, last = map(str, names)
    return f"{', '.join(first)} {by} {last}" if first else last


def spans(numbers: Sequence[int]) -> str:
    """Whole numbers in ascending order in words: "1 to 5", "1, 3 and 5", or "1 to 10 and 13"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return listed(part for run in runs for part in ([f"{run[0]} to {run[-1]}"] if len(run) > 2 else run))


def epochs(*budgets: int) -> str:
    """Epochs in words: "1 epoch", "5 epochs", or "1, 3 and 5 epochs"."""
    return f"{listed(budgets)} epoch{'' if budgets == (1,) else 's'}"


def written_interval(low: float, high: float, *, digits: int = 2) -> str:
    """An interval in words: "0.65 to 0.77"."""
    return f"{written(low, digits=digits)} to {written(high, digits=digits)}"
