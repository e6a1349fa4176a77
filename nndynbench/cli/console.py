"""What all command lines share: the paths that they take, where they print, tables that no terminal is too narrow for,
progress, and errors.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, Protocol

import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from nndynbench.storage.files import user_path

# What is piped into a file or another program is folded nowhere.
UNBOUNDED = 1000

SAID_EVERY_SECONDS = 20.0

# The cell of a value that does not exist.
NOTHING = "–"

# No emoji: a path may hold ":x:".
console = Console(emoji=False) if sys.stdout.isatty() else Console(emoji=False, width=UNBOUNDED)


class CommandLine(typer.Typer):
    """A command line, each of whose commands takes its paths as `nndynbench.storage.files.user_path` reads them."""

    def __init__(self, **settings: Any) -> None:
        helped = {"help_option_names": ["-h", "--help"]}
        super().__init__(no_args_is_help=True, pretty_exceptions_enable=False, context_settings=helped, **settings)

    def command(self, name: str | None = None, **settings: Any) -> Callable[..., Any]:
        """As ``typer.Typer.command``."""
        register = super().command(name, **settings)

        def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
            register(_with_user_paths(function))
            return function

        return decorated


def _with_user_paths(function: Callable[..., Any]) -> Callable[..., Any]:
    def read(value: Any) -> Any:
        if isinstance(value, list):
            return [read(each) for each in value]
        return user_path(value) if isinstance(value, Path) else value

    @wraps(function)
    def called(**values: Any) -> Any:
        return function(**{name: read(value) for name, value in values.items()})

    return called


def run(app: typer.Typer, name: str) -> None:
    """Run a command line; errors that a user can mend are told in one line, with status 2, and without a traceback unless
    ``NNDYNBENCH_DEBUG`` is set.
    """
    try:
        app(prog_name=name)
    except (ValueError, LookupError, OSError, RuntimeError) as error:
        if os.environ.get("NNDYNBENCH_DEBUG"):
            raise
        message = error.args[0] if isinstance(error, KeyError) and error.args else error
        print(f"error: {message}", file=sys.stderr)
        sys.exit(2)


class ReportProgress(Protocol):
    """Say how much is done, and of what now, if that changes."""

    def __call__(self, done: int, total: int, doing: str | None = None) -> None: ...


@contextmanager
def progress_bar(doing: str) -> Iterator[ReportProgress]:
    """A bar with the time left, gone when the work is done, or where there is no terminal a line now and then on the error
    stream: one after the first piece of work, which says how long the others will take. Yields what moves it.
    """
    if not console.is_terminal:
        yield _Lines(doing)
        return
    from rich.progress import Progress

    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task(doing, total=None)

        def report(done: int, total: int, doing: str | None = None) -> None:
            progress.update(bar, description=doing, completed=done, total=total)

        yield report


class _Lines:
    """Progress as lines: after the first piece of work, then every `SAID_EVERY_SECONDS`, where there is as much left."""

    def __init__(self, doing: str) -> None:
        self.doing, self.start, self.said = doing, time.monotonic(), -math.inf

    def __call__(self, done: int, total: int, doing: str | None = None) -> None:
        self.doing = doing or self.doing
        now = time.monotonic()
        left = (now - self.start) / max(done, 1) * (total - done)
        if 0 < done < total and left >= SAID_EVERY_SECONDS and now - self.said >= SAID_EVERY_SECONDS:
            self.said = now
            print(f"{self.doing}: {done} of {total}, about {shown_time(left)} left", file=sys.stderr)


def shown_time(seconds: float) -> str:
    """Such as "40 seconds", "12 minutes" or "3.5 hours": as exact as an estimate may be."""
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def print_table(table: Table, *, on: Console = console) -> None:
    """Print a table; on a terminal that is narrower than it, row after row with the headings beside the values, so that no
    value is cut.
    """
    if on.measure(table, options=on.options.update(width=UNBOUNDED)).maximum <= on.width:
        on.print(table)
        return
    if table.title:
        on.print(Text(str(table.title), style="italic"))
    headings = [" ".join(str(column.header).split()) for column in table.columns]
    for name, *cells in zip(*(map(str, column.cells) for column in table.columns), strict=True):
        pairs = [pair for pair in zip(headings[1:], cells, strict=True) if pair[1] not in ("", NOTHING)]
        values = [f"[dim]{heading}[/dim] {cell}" for heading, cell in pairs]
        on.print(Text.from_markup(name, style="bold"))
        on.print(Padding(Text.from_markup(" · ".join(values)), (0, 0, 0, 2)))
