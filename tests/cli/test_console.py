"""Tables on terminals of any width: the layout may change, no value is lost."""

from __future__ import annotations

from io import StringIO

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.table import Table

from nndynbench.cli.console import print_table

WORDS = st.lists(st.text("abc+-.0123456789", min_size=1, max_size=20), min_size=1, max_size=3).map(" ".join)
ROWS = st.integers(1, 8).flatmap(lambda columns: st.lists(st.lists(WORDS, min_size=columns, max_size=columns), min_size=1))


def printed(rows: list[list[str]], width: int) -> str:
    table = Table(*(f"head{position}" for position in range(len(rows[0]))), title="a title")
    for row in rows:
        table.add_row(*row)
    console = Console(file=StringIO(), width=width)
    print_table(table, on=console)
    return console.file.getvalue()  # type: ignore[attr-defined]


@given(rows=ROWS, width=st.integers(24, 200))
def test_no_value_is_cut_whatever_the_width(rows: list[list[str]], width: int) -> None:
    shown = printed(rows, width)
    assert max(map(len, shown.splitlines())) <= width
    words = shown.replace("│", " ").split()
    for value in {word for row in rows for cell in row for word in cell.split()}:
        assert words.count(value) >= sum(cell.split().count(value) for row in rows for cell in row)


def test_a_narrow_terminal_has_a_record_a_row_with_the_headings_beside_the_values() -> None:
    shown = printed([["bar", "0.877", "–"], ["norms", "0.531", "weights"]], width=24)
    lines = [line.rstrip() for line in shown.splitlines()]
    assert lines == ["a title", "bar", "  head1: 0.877", "norms", "  head1: 0.531", "  head2: weights"]


def test_as_many_values_stand_in_a_line_as_fit_and_none_is_parted_from_its_heading() -> None:
    shown = printed([["bar", "0.877 (0.85 to 0.90)", "0.1", "0.2"]], width=44)
    lines = [line.rstrip() for line in shown.splitlines()]
    assert lines == ["a title", "bar", "  head1: 0.877 (0.85 to 0.90)   head2: 0.1", "  head3: 0.2"]


def test_a_row_named_by_a_number_is_named_with_its_heading() -> None:
    assert printed([["5", "0.877", "weights"]], width=24).splitlines()[1].rstrip() == "head0 5"
