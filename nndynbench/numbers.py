"""How a number is written where people read it: with a minus sign, and never as a zero below zero."""

from __future__ import annotations


def written(value: float, *, digits: int = 3, signed: bool = False) -> str:
    """A number rounded to so many digits after the point: "0.712", "−0.150"; signed also "+0.017", but "0.000"."""
    text = f"{value:z.{digits}f}"
    if signed and value > 0 and float(text):
        return f"+{text}"
    return text.replace("-", "−")


def epochs_in_words(count: int) -> str:
    """As "1 epoch" or "5 epochs"."""
    return f"{count} epoch{'' if count == 1 else 's'}"


def written_interval(low: float, high: float, *, digits: int = 2) -> str:
    """An interval: "0.65 to 0.77"."""
    return f"{written(low, digits=digits)} to {written(high, digits=digits)}"
