"""What the pages say in words of their own, as Markdown: where a number is of the board, the text has its place."""

from __future__ import annotations

import re
from importlib.resources import files

from nndynbench.errors import NndynbenchError
from nndynbench.numbers import NOTHING, estimate
from nndynbench.report.board import Board
from nndynbench.report.ranking import by_method

OPTIONAL = re.compile(r" ?\[\[(.*?)\]\]")
PLACE = re.compile(r"\{(\S+) (\S+) (\d+) (\S+) (\S+)\}")


class NoNumberError(NndynbenchError, LookupError):
    """The board has no such number."""


def prose(name: str) -> str | None:
    """A text by name; None where there is none."""
    path = files("nndynbench.report.prose").joinpath(f"{name}.md")
    return path.read_text(encoding="utf-8").rstrip() if path.is_file() else None


def with_numbers(text: str, board: Board) -> str:
    """A text with the board's numbers: ``[[A sentence with {SUBSET PROTOCOL BUDGET METHOD COLUMN}.]]`` has the estimate in
    its place, and is left out where the board has none.
    """
    filled = OPTIONAL.sub(lambda sentence: _filled(sentence, board), text)
    return re.sub(r"\| +(?=\|)", f"| {NOTHING} ", filled)


def _filled(sentence: re.Match[str], board: Board) -> str:
    try:
        return " " + PLACE.sub(lambda place: _number(place, board), sentence[1])
    except NoNumberError:
        return ""


def _number(place: re.Match[str], board: Board) -> str:
    subset, protocol, budget, method, column = place.groups()
    if (compared := board.of(subset, protocol)) is None:
        raise NoNumberError
    row = by_method(compared, compared.protocol.metrics[0], int(budget)).get(method, {})
    if (shown := estimate(row, column, signed=column != "value")) == NOTHING:
        raise NoNumberError
    return shown
