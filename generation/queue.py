"""The queue: which zoos are still to be trained, in which order and how, as ``queue.toml`` says."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from generation.plan import KEPT_EPOCHS, PLAN_FILE, SubsetPlan, begun_plan, runs_folder, subset_plan
from nndynbench.names import check_name
from nndynbench.storage.manifest import MANIFEST_NAME, read_manifest
from nndynbench.subsets.catalogue import catalogue


@dataclass(frozen=True)
class QueuedZoo:
    """One zoo of the queue; see the head of queue.toml for what each fact means."""

    subset: str
    grid: str | None = None
    keep: int = KEPT_EPOCHS[-1]
    weights_of: int | None = None
    waits_for: str | None = None

    def plan(self, out: Path) -> SubsetPlan:
        """The zoo's plan, with its runs below ``out``. A folder keeps the plan it was begun with, whatever the grid's file
        says by now.
        """
        if (runs_folder(self.subset, out) / PLAN_FILE).exists():
            return begun_plan(self.subset, out)
        return subset_plan(self.subset, out, grid=self.grid, kept_epochs=tuple(range(self.keep + 1)))


def read_queue(path: Path | None = None) -> list[QueuedZoo]:
    """The queue of this package, or of a file like it.

    Raises
    ------
    UnknownNameError
        For a subset that the catalogue lacks, or a fact that `QueuedZoo` does not have.
    ValueError
        For a file without a zoo.
    """
    file = path or files("generation").joinpath("queue.toml")
    zoos = tomllib.loads(file.read_text(encoding="utf-8")).get("zoos")
    if not zoos or not isinstance(zoos, list):
        raise ValueError(f'{file} has no zoos: add a section [[zoos]] for each, with subset = "digits-lenet"')
    return [_zoo(**facts) for facts in zoos]


def to_train(queue: list[QueuedZoo], out: Path) -> Iterator[tuple[QueuedZoo, SubsetPlan]]:
    """The zoos that wait for nothing and have networks left to train or to pack, each looked at when its turn comes."""
    for zoo in queue:
        if zoo.waits_for is None:
            made = zoo.plan(out)
            # Packing may have been interrupted.
            if min(len(made.finished(made.order)), packed_networks(made)) < len(made.order):
                yield zoo, made


def packed_networks(plan: SubsetPlan) -> int:
    """How many networks the pack of the catalogue's version has; 0 where there is none."""
    folder = plan.folder.parent / plan.entry.version
    return read_manifest(folder).networks if (folder / MANIFEST_NAME).exists() else 0


def _zoo(**facts: Any) -> QueuedZoo:
    for fact in facts:
        check_name(fact, QueuedZoo.__dataclass_fields__, what="fact of a queued zoo")
    check_name(facts.get("subset"), catalogue(), what="subset")
    return QueuedZoo(**facts)
