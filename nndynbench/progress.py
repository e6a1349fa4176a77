"""Shows how far long work has come: as a bar in a terminal or notebook, elsewhere as an occasional line on the error
stream.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from html import escape
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

if TYPE_CHECKING:
    from rich.console import Console

SAID_EVERY_SECONDS = 20.0
DRAWN_EVERY_SECONDS = 0.1

Item = TypeVar("Item")

# What long functions take as ``progress``: True for a bar, or a function that is told; None and False for neither.
Asked: TypeAlias = "Callable[..., None] | bool | None"


class ReportProgress(Protocol):
    """Says how much is done and, if that changes, what is being done."""

    def __call__(self, done: int, total: int, doing: str | None = None) -> None: ...


@contextmanager
def reporting(asked: Asked, doing: str) -> Iterator[ReportProgress]:
    """Yields what long work calls to report its progress: a bar if ``asked`` is True, else the function that ``asked`` is.

    That function is called with how much is done, how much there is and, if the work says so, the name of what was done.

    Raises
    ------
    ValueError
        For anything else than True, False, None or a function.
    """
    if asked is None or asked is False:
        yield lambda done, total, doing=None: None
    elif asked is True:
        with progress_bar(doing) as report:
            yield report
    elif callable(asked):
        told = asked
        yield lambda done, total, doing=None: told(done, total, *([] if doing is None else [doing]))
    else:
        raise ValueError(f"progress must be True, False or a function, not {asked!r}")


def tracked(items: Collection[Item], doing: str) -> Iterator[Item]:
    """Yields the items one by one, with a bar that shows how many are done."""
    with progress_bar(doing) as report:
        for done, item in enumerate(items, start=1):
            yield item
            report(done, len(items))


@contextmanager
def progress_bar(doing: str, *, on: Console | None = None) -> Iterator[ReportProgress]:
    """Shows a bar with the time left, which is gone when the work is done; yields what moves it.

    Without a terminal or a notebook it writes lines to the error stream instead. The first comes after the first piece of
    work, and says how long the others will take. ``on`` is the terminal, by default the error stream's.
    """
    if (show := _shown_in_notebook()) is not None:
        bar = _NotebookBar(doing, show)
        try:
            yield bar
        finally:
            bar.clear()
        return
    from rich.console import Console

    console = Console(stderr=True) if on is None else on
    if not console.is_terminal:
        yield _Lines(doing)
        return
    from rich.progress import Progress

    with Progress(console=console, transient=True) as progress:
        task = progress.add_task(doing, total=None)

        def report(done: int, total: int, doing: str | None = None) -> None:
            progress.update(task, description=doing, completed=done, total=total)

        yield report


class _Lines:
    """Progress as lines: after the first piece of work, then every `SAID_EVERY_SECONDS`, as long as that much time
    is left.
    """

    def __init__(self, doing: str) -> None:
        self.doing, self.start, self.said = doing, time.monotonic(), -math.inf

    def __call__(self, done: int, total: int, doing: str | None = None) -> None:
        self.doing = doing or self.doing
        now = time.monotonic()
        left = _seconds_left(now - self.start, done, total)
        if 0 < done < total and left >= SAID_EVERY_SECONDS and now - self.said >= SAID_EVERY_SECONDS:
            self.said = now
            print(f"{self.doing}: {done} of {total}, about {shown_time(left)} left", file=sys.stderr)


class _NotebookBar:
    """A bar below the cell, in plain HTML, so that no widgets need to be installed."""

    def __init__(self, doing: str, show: Callable[..., Any]) -> None:
        self.doing, self.start, self.drawn = doing, time.monotonic(), -math.inf
        self.html = import_module("IPython.display").HTML
        self.handle = show(self.html(f"{escape(doing)} <progress></progress>"), display_id=True)

    def __call__(self, done: int, total: int, doing: str | None = None) -> None:
        self.doing = doing or self.doing
        now = time.monotonic()
        if now - self.drawn < DRAWN_EVERY_SECONDS:
            return
        self.drawn = now
        bar = f'<progress value="{done}" max="{total}"></progress>'
        left = f", about {shown_time(_seconds_left(now - self.start, done, total))} left" if 0 < done < total else ""
        self.handle.update(self.html(f"{escape(self.doing)} {bar} {done} of {total}{left}"))

    def clear(self) -> None:
        self.handle.update(self.html(""))


def _shown_in_notebook() -> Callable[..., Any] | None:
    """The function that shows something below the cell that runs; None outside a notebook."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if getattr(shell, "kernel", None) is None:
        return None
    show: Callable[..., Any] = import_module("IPython.display").display
    return show


def _seconds_left(passed: float, done: int, total: int) -> float:
    return passed / max(done, 1) * (total - done)


def shown_time(seconds: float) -> str:
    """A time such as "40 seconds", "12 minutes" or "3.5 hours": as exact as an estimate may be."""
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
