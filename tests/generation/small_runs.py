"""Small trainings on the real digits: how to begin them, and how to compare what they found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from generation.engines import Job
from generation.images import Images
from generation.plan import SubsetPlan, subset_plan
from generation.runs import read_arrays
from generation.training import FinishedRecord, Record

GRID = """
regime = "reduced"

[settings]
optimiser = "{optimiser}"
batch_size = 16
training_images = 320
epochs = {epochs}
patience = {patience}
augmentation = true

[product]
learning_rate = {rates}
dropout = {dropouts}
"""


def write_grid(
    path: Path,
    *,
    optimiser: str = "momentum",
    epochs: int = 4,
    patience: int = 0,
    rates: tuple[float, ...] = (0.02,),
    dropouts: tuple[float, ...] = (0.0, 0.5),
) -> str:
    """Write a grid, of two networks by default; returns its path."""
    text = GRID.format(optimiser=optimiser, epochs=epochs, patience=patience, rates=list(rates), dropouts=list(dropouts))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return str(path)


def begin(
    folder: Path, images: Images, *, subset: str = "digits-lenet", trainer: Any = "one by one", **grid: Any
) -> SubsetPlan:
    """Begin the runs of such a grid below a new folder."""
    made = subset_plan(subset, folder, grid=write_grid(folder / "small.toml", **grid), trainer=trainer)
    made.bind(images)
    for network in made.order:
        made.run(network).folder.mkdir(exist_ok=True)
    return made


def job(made: SubsetPlan, networks: int | None = None) -> Job:
    """The job of training a folder's first networks, by default all."""
    return Job(made, made.order[:networks], made.folder.parents[1] / "images")


def train_in_this_process(job: Job, images: Images, report: Callable[[Record], None] = lambda record: None) -> None:
    """Do what a worker process does, without the seconds that a new process needs to import torch."""
    for unit in job.units():
        job.train(unit, images, stop=lambda: False, report=report)


def outcome(made: SubsetPlan) -> dict[str, Any]:
    """All that a folder's runs have found, except the time it took: records, and the bits of every kept snapshot."""
    found: dict[str, Any] = {}
    for network in made.order:
        record = made.run(network).record()
        assert record is not None, f"network {network} is not finished"
        timed = {"epochs": {"__all__": {"seconds"}}, "core_seconds": True}
        found[str(network)] = record.model_dump(exclude=timed, exclude_defaults=True)
        for snapshot in sorted(made.run(network).folder.glob("snapshot-*.safetensors")):
            arrays, _ = read_arrays(snapshot)
            found[f"{network}/{snapshot.name}"] = {name: array.tobytes() for name, array in sorted(arrays.items())}
    return found


def untrained_record(network: int, accuracy: float, **facts: Any) -> FinishedRecord:
    """A record as of a network that ended with an accuracy, without training one."""
    ends = dict.fromkeys(("final_accuracy", "final_accuracy_all", "best_accuracy"), accuracy)
    begins = {"network": network, "seed": 0, "device": "an abacus", "diverged": False, "epochs_trained": 0}
    return FinishedRecord.model_validate(begins | ends | {"stopped_early": False} | facts)
