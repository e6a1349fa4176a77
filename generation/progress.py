"""How far a folder of runs is: networks finished and begun, epochs a minute, the time left, and the accuracies so far."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np

from generation.plan import SIDE_BY_SIDE, SubsetPlan
from generation.runs import NetworkRun
from generation.training import FinishedRecord, Record

# A network counts as being trained if its latest epoch is no older than this plus the time of five epochs.
RECENT_SECONDS = 60.0


@dataclass
class Progress:
    """What is known of some networks' training; ``rate`` and ``seconds_left`` are None before there is a measurement.

    ``epochs_of`` maps a finished network to the epochs it trained, ``begun`` an unfinished one to its epochs so far.
    """

    networks: Sequence[int]
    longest: int
    epochs_of: dict[int, int] = field(default_factory=dict)
    begun: dict[int, int] = field(default_factory=dict)
    accuracies: dict[int, float] = field(default_factory=dict)
    """Percent: a finished network's final accuracy, another's latest on the validation half."""
    core_seconds: dict[int, float] = field(default_factory=dict)
    """The processor time of finished networks whose record has it."""
    seconds: dict[int, float] = field(default_factory=dict)
    """The time of finished networks' epochs, summed; other work on the machine makes it longer."""
    rate: float | None = None
    """Epochs a second, of all processes together."""

    @property
    def epochs_left(self) -> float:
        """Epochs until the last network ends. Each is expected to take as many as the finished ones did on average, or as
        many as it may if none has finished.
        """
        expected = float(np.mean(list(self.epochs_of.values()))) if self.epochs_of else float(self.longest)
        waiting = len(self.networks) - len(self.epochs_of) - len(self.begun)
        return waiting * expected + sum(max(expected - epochs, 1.0) for epochs in self.begun.values())

    @property
    def seconds_left(self) -> float | None:
        return self.epochs_left / self.rate if self.rate else None

    @property
    def costs(self) -> list[float]:
        """Core-seconds of the ended networks that have them; if none has, the seconds of their epochs."""
        return list((self.core_seconds or self.seconds).values())

    @property
    def clock(self) -> str:
        """What goes before the unit of ``costs``: "core-", or nothing for wall-clock time."""
        return "core-" if self.core_seconds else ""

    @property
    def mean_core_seconds(self) -> float | None:
        """The mean of ``costs``; None before a network has ended."""
        return float(np.mean(self.costs)) if self.costs else None

    @property
    def core_seconds_left(self) -> float | None:
        """What the remaining networks take, at the mean of those that have ended."""
        if self.mean_core_seconds is None:
            return None
        share_done = sum(min(epochs / self.longest, 1.0) for epochs in self.begun.values())
        waiting = len(self.networks) - len(self.epochs_of)
        return (waiting - share_done) * self.mean_core_seconds

    @property
    def accuracy_summary(self) -> str:
        if not self.accuracies:
            return "no accuracies yet"
        low, middle, high = np.percentile(list(self.accuracies.values()), [0, 50, 100])
        return f"accuracies {low:.1f} to {high:.1f}%, median {middle:.1f}%"

    def add(self, record: Record) -> int:
        """Take in a network's record after one of its epochs, or at its end; returns how many epochs of it are new."""
        network, epochs = record.network, record.epochs
        before = self.epochs_of.get(network, self.begun.get(network, 0))
        if isinstance(record, FinishedRecord):
            self.begun.pop(network, None)
            self.epochs_of[network] = len(epochs)
            self.accuracies[network] = record.final_accuracy
            self.seconds[network] = sum(epoch.seconds for epoch in epochs)
            if record.core_seconds is not None:
                self.core_seconds[network] = record.core_seconds
        elif network not in self.epochs_of and epochs:
            self.begun[network] = len(epochs)
            self.accuracies[network] = epochs[-1].validation_accuracy
        return max(len(epochs) - before, 0)


def folder_progress(plan: SubsetPlan, networks: Sequence[int] | None = None) -> Progress:
    """How far a folder is, from its files alone, even while other processes train there.

    The rate is that of the networks whose latest epoch was written just now, each at its own pace.
    """
    chosen = plan.order if networks is None else list(networks)
    progress = Progress(chosen, longest=plan.grid.longest)
    seconds: dict[int, float] = {}  # that a network's latest epoch took
    for network in chosen:
        record = plan.run(network).latest_record()
        if record is None:
            continue
        progress.add(record)
        if network in progress.begun:
            seconds[network] = max(record.epochs[-1].seconds, 1e-3)
    paces = []
    for network, took in seconds.items():
        run = plan.run(network)
        if plan.trainer == SIDE_BY_SIDE:
            took = _group_seconds(run, took, most=len(seconds))
        if time.time() - run.latest_change() < RECENT_SECONDS + 5 * took:
            paces.append(1 / took)
    progress.rate = sum(paces) if paces else None
    return progress


def _group_seconds(run: NetworkRun, share: float, *, most: int) -> float:
    """The seconds of a whole group's latest epoch, of which each of its networks, at most ``most``, records an equal share:
    the time between the two states that a network has, unless its training was interrupted there.
    """
    written = []
    for state in run.folder.glob("state-*.safetensors"):
        with suppress(FileNotFoundError):  # its owner may have just replaced it
            written.append(state.stat().st_mtime)
    between = max(written) - min(written) if len(written) > 1 else np.inf
    return float(np.clip(between, share, share * most))


class Meter:
    """The rate of a running training, over its latest reports."""

    def __init__(self, window: int = 200) -> None:
        self.reports: deque[tuple[float, int]] = deque([(time.monotonic(), 0)], maxlen=window)

    def count(self, epochs: int) -> float | None:
        """Count new epochs; returns epochs a second, or None where it is too early to tell."""
        self.reports.append((time.monotonic(), epochs))
        seconds = self.reports[-1][0] - self.reports[0][0]
        counted = sum(epochs for _, epochs in list(self.reports)[1:])
        return counted / seconds if counted > 3 and seconds > 0 else None


def duration(seconds: float | None) -> str:
    """A duration as text, such as ``3 h 05 min``."""
    if seconds is None:
        return "unknown"
    minutes = round(seconds / 60)
    if minutes < 1:
        return "under a minute"
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"
