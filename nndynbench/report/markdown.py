"""How the document writes a number, a table and a count."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nndynbench.numbers import written, written_interval
from nndynbench.protocols.scoring import Estimate
from nndynbench.report.ranking import is_control


def correlation(found: Estimate) -> str:
    """With its interval: "+0.454 (0.39 to 0.51)"."""
    return f"{written(found.value, signed=True)} ({written_interval(found.low, found.high, digits=2)})"


def named(method: str) -> str:
    """A method's name, with a word where it is a control: "`control-epoch-0` (a control)"."""
    return f"`{method}` (a control)" if is_control(method) else f"`{method}`"


def table_line(cells: Iterable[object]) -> str:
    return f"| {' | '.join(str(cell).replace('|', '/') for cell in cells)} |"


def table_head(cells: Iterable[object]) -> Iterator[str]:
    heads = list(cells)
    yield table_line(heads)
    yield table_line(["---"] * len(heads))


def count(some: int, of_all: int) -> str:
    """As "all 5", "none of the 5" or "2 of the 5"."""
    return f"all {of_all}" if some == of_all else f"{some or 'none'} of the {of_all}"
