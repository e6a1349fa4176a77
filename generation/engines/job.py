"""The job that every engine does, in units of work: a unit is the networks that one process trains in one go."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from generation.engines.processes import worker_processes
from generation.images import Images, load_images
from generation.plan import SubsetPlan
from generation.training import FinishedRecord, Record, train_network
from nndynbench.errors import NndynbenchError

Report = Callable[[Record], None]
Stop = Callable[[], bool]
Unit = list[int]

# How long to wait before looking again for networks that another process holds.
BUSY_SECONDS = 2.0

# Niceness of the describing processes: where cores are few, the process that keeps a GPU busy goes first.
DESCRIBERS_YIELD = 10


class TrainingFailedError(NndynbenchError, RuntimeError):
    """Training stopped for a reason outside of it, such as a full disk; everything up to the last whole epoch is safe."""


@dataclass(frozen=True)
class Job:
    """Networks of a plan to be trained, and how.

    ``side_by_side`` networks are trained as one group on ``device``; 1 trains each alone, on a CPU. ``describers`` is the
    number of processes that make signatures and features beside each group. ``weights_of`` is how many high and how many
    low networks keep their weights (None: all); the others' are removed as they end.

    Raises
    ------
    ValueError
        For ``weights_of`` where no label is known before all networks have ended.
    """

    plan: SubsetPlan
    networks: list[int]
    image_cache: Path
    side_by_side: int = 1
    device: str = "cpu"
    describers: int = 1
    weights_of: int | None = None

    def __post_init__(self) -> None:
        if self.weights_of is not None:
            _ = self.plan.known_threshold  # raises now, not when the first network has ended

    def unfinished(self) -> Unit:
        return [network for network in self.networks if not self.plan.run(network).finished]

    def units(self) -> list[Unit]:
        """The unfinished networks, in the order of training. What a kill left to do for finished ones is done here."""
        for network in self.networks:
            run = self.plan.run(network)
            if run.finished and not run.is_tidy:
                with run.locked() as ours:
                    if ours:
                        self.conclude(network)
        todo = self.unfinished()
        return [todo[start : start + self.side_by_side] for start in range(0, len(todo), self.side_by_side)]

    def images(self) -> Images:
        """Load the images, and check that this process trains what the first one began."""
        images = load_images(self.plan.entry.images, cache=self.image_cache)
        self.plan.check_device(images)
        return images

    def conclude(self, network: int) -> None:
        """What is left to do once a network is finished: drop its weights if enough others have theirs, and its states."""
        if self.weights_of is not None:
            self.plan.keep_weights_of(self.weights_of, network)
        self.plan.run(network).tidy()

    def train(self, unit: Unit, images: Images, *, stop: Stop, report: Report) -> None:
        """Train a unit as far as ``stop`` lets it, leaving out networks that are finished or that another process holds."""
        with ExitStack() as locks:
            ours = [network for network in unit if not self.plan.run(network).finished]
            ours = [network for network in ours if locks.enter_context(self.plan.run(network).locked())]
            # Between the look and the lock another process may have finished one.
            ours = [network for network in ours if not self.plan.run(network).finished]
            if not ours or stop():
                return
            plans, runs = [self.plan.network(n) for n in ours], [self.plan.run(n) for n in ours]

            def reported(record: Record) -> None:
                if isinstance(record, FinishedRecord):
                    self.conclude(record.network)
                report(record)

            try:
                if self.side_by_side == 1:
                    train_network(plans[0], images, runs[0], stop=stop, report=reported)
                else:
                    from generation.training.side_by_side import train_side_by_side

                    with worker_processes(self.describers, _yield_to_others) as describers:
                        train_side_by_side(
                            plans, images, runs, device=self.device, describers=describers, stop=stop, report=reported
                        )
            except OSError as error:
                failed = f"network {ours[0]}" if len(ours) == 1 else f"one of {len(ours)} networks side by side"
                raise TrainingFailedError(f"{self.plan.folder}, {failed}: {error}") from error


def _yield_to_others() -> None:
    if hasattr(os, "nice"):  # Windows has no niceness
        os.nice(DESCRIBERS_YIELD)


@dataclass(frozen=True)
class Outcome:
    """How an engine's work ended: how many of the job's networks are finished, and whether it was told to stop."""

    finished: int
    stopped: bool


def shard(networks: list[int], part: str) -> list[int]:
    """The networks of one part of n. "2/5" is every fifth network from the second on, so each part is spread over the grid.

    Raises
    ------
    ValueError
        For anything but i/n with 1 ≤ i ≤ n.
    """
    match = re.fullmatch(r"(\d+)/(\d+)", part)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise ValueError(f"{part!r} is not a shard: write i/n, from 1/n to n/n")
    return networks[int(match[1]) - 1 :: int(match[2])]
