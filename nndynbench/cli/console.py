"""What all command lines share: the paths that they take, consoles, tables that no terminal is too narrow for, progress, and
how they end.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import wraps
from pathlib import Path
from types import FrameType
from typing import IO, Any, NoReturn, cast

import typer
import typer.core
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

import nndynbench.progress
from nndynbench.cli.outlet import outlet
from nndynbench.extras import is_there, remedy
from nndynbench.numbers import NOTHING
from nndynbench.plain import IN_PLAIN
from nndynbench.processes import end_workers
from nndynbench.progress import ReportProgress
from nndynbench.storage.files import user_path

# What is piped into a file or another program is folded nowhere.
UNBOUNDED = 1000

# This project's own: an error in importing those is a fault of it.
PACKAGES = ("nndynbench", "generation", "leaderboard")

# Where a table is too wide: how far a row's values stand in, and what is between two of them.
INDENT = 2
GAP = "   "


class CommandLine(typer.Typer):
    """A command line, each of whose commands takes its paths as `nndynbench.storage.files.user_path` reads them."""

    def __init__(self, **settings: Any) -> None:
        helped = {"help_option_names": ["-h", "--help"]}
        super().__init__(no_args_is_help=True, pretty_exceptions_enable=False, context_settings=helped, **settings)

    def command(self, name: str | None = None, **settings: Any) -> Callable[..., Any]:
        """As ``typer.Typer.command``."""
        register = super().command(name, cls=_Command, **settings)

        def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
            register(_with_user_paths(function))
            return function

        return decorated


class _Command(typer.core.TyperCommand):
    """A command that refuses an empty argument at once: it comes from a variable of the shell that is not set, and would
    mean the current folder, or nothing.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        for before, given in zip(["", *args], args, strict=False):
            option, equals, value = given.partition("=")
            if not given or (option.startswith("--") and equals and not value):
                name = option or (before if before.startswith("-") else "an argument")
                raise ValueError(f"{name} is empty: give a value, or leave it out (is a shell variable unset?)")
        return super().parse_args(ctx, args)


def _with_user_paths(function: Callable[..., Any]) -> Callable[..., Any]:
    def read(value: Any) -> Any:
        if isinstance(value, list):
            return [read(each) for each in value]
        return user_path(value) if isinstance(value, Path) else value

    @wraps(function)
    def called(**values: Any) -> Any:
        return function(**{name: read(value) for name, value in values.items()})

    return called


def opened(**options: Any) -> Console:
    """A console that prints to standard output, on which work never fails. No emoji: a path may hold ":x:"."""
    return Console(file=cast(IO[str], outlet), emoji=False, **options)


console = opened() if outlet.isatty() else opened(width=UNBOUNDED)


def run(app: typer.Typer, name: str) -> NoReturn:
    """Run a command line, and exit; errors that a user can mend are told in one line, with status 2, and without a traceback
    unless ``NNDYNBENCH_DEBUG`` is set.

    However it ends, it leaves no process behind. Output that could not be written makes the status 1.
    """
    with _interrupted_by_terminate() as terminated, _warnings_in_one_line():
        for stream in (sys.stdout, sys.stderr):
            with suppress(AttributeError, ValueError):  # closed, or none of the interpreter's own
                stream.reconfigure(errors=IN_PLAIN)  # type: ignore[union-attr]
        try:
            status = _status(app, name)
        finally:
            end_workers()
    if terminated:
        os.kill(os.getpid(), signal.SIGTERM)
    sys.exit(_written(status))


def _status(app: typer.Typer, name: str) -> int:
    try:
        app(prog_name=name)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except ImportError as error:
        if os.environ.get("NNDYNBENCH_DEBUG") or not error.name or error.name.startswith(PACKAGES):
            raise
        tell(f"error: {remedy(error.name)}")
        return 2
    except (ValueError, LookupError, OSError, RuntimeError) as error:
        if os.environ.get("NNDYNBENCH_DEBUG"):
            raise
        message = error.args[0] if isinstance(error, KeyError) and error.args else error
        tell(f"error: {message}")
        return 2
    return 0


def need(module: str) -> None:
    """Exit, saying what to install, where a command line cannot do without a module that is not there."""
    if not is_there(module):
        tell(f"error: {remedy(module)}")
        sys.exit(2)


def exit_unless_at(written: object, asked: object) -> None:
    """Exit with status 1 where something was written elsewhere than asked for; a warning has said why."""
    if written != asked:
        raise typer.Exit(1)


def tell(text: str) -> None:
    """Say something on standard error, if anybody listens."""
    with suppress(OSError, ValueError, AttributeError):
        print(text, file=sys.stderr, flush=True)


def _written(status: int) -> int:
    """The exit status, once all output is written or known to be lost."""
    outlet.flush()
    if outlet.failure is None:
        return status
    # The interpreter would try again, and complain, when it ends.
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if outlet.failure.errno != errno.EPIPE:
        tell(f"error: the output could not be written: {outlet.failure}")
    return status or 1


@contextmanager
def _interrupted_by_terminate() -> Iterator[list[int]]:
    """Take a request to end, as a scheduler sends it, for a Ctrl-C, so that what runs is put in order; yields those that
    came. A command line that does so itself is left alone.
    """
    came: list[int] = []

    def interrupt(signum: int, frame: FrameType | None) -> NoReturn:
        came.append(signum)
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGTERM)
    if before is not signal.SIG_DFL or threading.current_thread() is not threading.main_thread():
        yield came
        return
    signal.signal(signal.SIGTERM, interrupt)
    try:
        yield came
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _warnings_in_one_line() -> Iterator[None]:
    before = warnings.formatwarning
    warnings.formatwarning = lambda message, *_, **__: f"warning: {message}\n"
    try:
        yield
    finally:
        warnings.formatwarning = before


def progress_bar(doing: str) -> AbstractContextManager[ReportProgress]:
    """As `nndynbench.progress.progress_bar`, where this command line prints."""
    return nndynbench.progress.progress_bar(doing, on=console)


def print_table(table: Table, *, on: Console = console) -> None:
    """Print a table; on a terminal that is narrower than it, row after row with the headings before the values, so that no
    value is cut. A row that a mere number names, such as a budget, is named with its heading.
    """
    if on.measure(table, options=on.options.update(width=UNBOUNDED)).maximum <= on.width:
        on.print(table)
        return
    if table.title:
        on.print(Text(str(table.title), style="italic"))
    headings = [" ".join(str(column.header).split()) for column in table.columns]
    for name, *cells in zip(*(map(str, column.cells) for column in table.columns), strict=True):
        pairs = [pair for pair in zip(headings[1:], cells, strict=True) if pair[1] not in ("", NOTHING)]
        values = [Text.from_markup(f"[dim]{heading}:[/dim] {cell}" if heading else cell) for heading, cell in pairs]
        numbered = not any(map(str.isalpha, name))
        on.print(Text.from_markup(f"{headings[0]} {name}".strip() if numbered else name, style="bold"))
        for line in _filled(values, on.width - INDENT):
            on.print(Padding(line, (0, 0, 0, INDENT)))


def _filled(parts: Iterable[Text], width: int) -> list[Text]:
    """Parts side by side, as many in a line as are at most ``width`` wide."""
    lines: list[Text] = []
    for part in parts:
        if lines and lines[-1].cell_len + len(GAP) + part.cell_len <= width:
            lines[-1].append(GAP).append_text(part)
        else:
            lines.append(part)
    return lines
