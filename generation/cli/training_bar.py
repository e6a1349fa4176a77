"""How far training is: a bar of networks, and what stands below it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich import progress as bars
from rich.console import RenderableType

from generation.engines import Report
from generation.plan import SubsetPlan
from generation.progress import Meter, Progress, duration, folder_progress
from generation.training import Record
from nndynbench.cli.console import console

LOGGED_EVERY_SECONDS = 60.0


@contextmanager
def training_bar(made: SubsetPlan, networks: list[int]) -> Iterator[Report]:
    """A bar of networks, with rate, time left and accuracies; yields what takes in a network's record."""
    so_far, meter = folder_progress(made, networks), Meter()
    so_far.rate = None
    columns = ("{task.description}", bars.BarColumn(20), bars.MofNCompleteColumn(), bars.TimeElapsedColumn())
    with BarAndWords(*columns, console=console) as bar:
        task = bar.add_task(made.entry.name, total=len(networks), completed=len(so_far.epochs_of))
        said = time.monotonic()

        def report(record: Record) -> None:
            nonlocal said
            so_far.rate = meter.count(so_far.add(record))
            bar.words = summary(so_far)
            bar.update(task, completed=len(so_far.epochs_of))
            # A log has no bar, which is drawn once, at the end.
            if not console.is_terminal and time.monotonic() - said > LOGGED_EVERY_SECONDS:
                said = time.monotonic()
                console.print(f"{len(so_far.epochs_of)} of {len(networks)} networks trained: {summary(so_far)}")

        yield report


class BarAndWords(bars.Progress):
    """A bar, and a line of words below it, which a narrow terminal breaks."""

    words = ""

    def get_renderables(self) -> Iterator[RenderableType]:
        yield from super().get_renderables()
        yield self.words


def summary(so_far: Progress) -> str:
    parts = [f"{60 * so_far.rate:.1f} epochs a minute"] if so_far.rate else []
    if so_far.epochs_left:
        parts.append(f"epochs left: about {so_far.epochs_left:.0f} (time left: {duration(so_far.seconds_left)})")
    return ", ".join([*parts, so_far.accuracy_summary])
