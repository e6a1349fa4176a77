"""How the board writes numbers: on its pages and in the check's report, as the page's scripts do, and in its files."""

from __future__ import annotations

import math

from nndynbench.numbers import NOTHING, written
from nndynbench.protocols.scoring import Estimate

DIGITS = 6
"""Decimals of the numbers in standing.json, in the page's data and in the tables to download."""


def number(value: float | None) -> str:
    """Three decimals, fewer of larger numbers, and no negative zero; a dash where there is no finite number."""
    if value is None or not math.isfinite(value):
        return NOTHING
    size = abs(value)
    if size >= 1e4:
        return f"{value:.1e}".replace("-", "−")
    return written(value, digits=0 if size >= 100 else 1 if size >= 10 else 3)


def estimate(found: Estimate | str | None) -> str:
    """A number with its interval; a dash where there is none, though a text may say why."""
    if not isinstance(found, Estimate):
        return NOTHING
    value, low, high = map(number, found)
    return f"{value} ({low} to {high})"
