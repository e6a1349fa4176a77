"""``run.json``: what the folder of a run holds, and how the run went. Beside it is a safetensors file per kept epoch."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from nndynbench.arrays import LARGEST_NUMBER
from nndynbench.columns import CURVES
from nndynbench.errors import NndynbenchError, first_problem
from nndynbench.given import ACCURACIES, LOSS, looks_like_a_fraction
from nndynbench.graphs import Weights
from nndynbench.storage.files import DamagedFileError, write_whole
from nndynbench.storage.manifest import EpochNumber, FileFacts

RUN_FILE = "run.json"
SECONDS = "seconds"


class RunError(NndynbenchError, ValueError):
    """A run cannot be recorded, or a folder holds no run; the message says what is wrong."""


class RunRecord(BaseModel):
    """Everything about a run except its weights. Accuracies are in percent."""

    model_config = ConfigDict(extra="forbid")

    format: Literal[1] = 1
    architecture: str | dict[str, Any] | None = None
    """A name that the package describes, or a description (`nndynbench.graphs.Architecture.description`); None if the run
    has no weights."""
    hyperparameters: dict[str, int | float | str] = {}
    epochs: list[dict[str, Any]] = []
    """A row per epoch: ``epoch`` from 1 on, the curves that were measured, and its ``seconds``."""
    snapshots: dict[EpochNumber, FileFacts] = {}
    last_weights: FileFacts | None = None
    """Facts of the snapshot of the last epoch, also if it is not kept: a run goes on with the same weights. None if they
    were not at hand."""
    test_accuracy: float | None = Field(default=None, ge=0, le=100)
    """The outcome; None if the run has not ended, or was stopped."""
    diverged: bool = False
    stopped: str | None = None
    """Why the run was ended before it had an outcome."""
    device: str = ""
    libraries: dict[str, str] = {}

    @field_validator("epochs")
    @classmethod
    def _of_numbers_that_a_table_holds(cls, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for place, row in enumerate(rows, start=1):
            for name, value in row.items():
                if isinstance(value, int) and abs(value) > LARGEST_NUMBER:
                    raise ValueError(f"{name} in row {place} is a number beyond {LARGEST_NUMBER:g}")
        return rows

    @property
    def finished(self) -> bool:
        return self.test_accuracy is not None or self.stopped is not None


def read_record(folder: Path) -> RunRecord:
    """The record of a folder.

    Raises
    ------
    FileNotFoundError
        For a folder without a record.
    RunError
        If the record is not valid; names the file and the field.
    """
    path = folder / RUN_FILE
    if not path.is_file():
        raise FileNotFoundError(f"{folder} is not a run: it has no {RUN_FILE}")
    try:
        return RunRecord.model_validate_json(path.read_bytes())
    except ValidationError as reason:
        raise RunError(f"{path} is not a record of a run: {first_problem(reason)}") from reason


def write_record(folder: Path, record: RunRecord) -> None:
    write_whole(folder / RUN_FILE, record.model_dump_json(indent=1))


def snapshot_path(folder: Path, epoch: int) -> Path:
    return folder / f"epoch_{epoch}.safetensors"


def write_weights(folder: Path, epoch: int, weights: Weights) -> FileFacts:
    """Write a snapshot whole, and return the facts of its file."""
    content = _snapshot_content(epoch, weights)
    write_whole(snapshot_path(folder, epoch), content)
    return _facts(content)


def facts_of_weights(epoch: int, weights: Weights) -> FileFacts:
    """The facts of the file that `write_weights` would write."""
    return _facts(_snapshot_content(epoch, weights))


def read_weights(folder: Path, epoch: int, expected: FileFacts) -> Weights:
    """Read a snapshot, and check that it is what was written.

    Raises
    ------
    DamagedFileError
        If the file is missing, or is not what the record says.
    """
    import safetensors.numpy

    path = snapshot_path(folder, epoch)
    if not path.is_file():
        raise DamagedFileError(f"{path} is missing; {RUN_FILE} lists it")
    content = path.read_bytes()
    if not _facts(content).same_content(expected):
        raise DamagedFileError(f"{path} is damaged: it is not what was recorded")
    return dict(safetensors.numpy.load(content))


def _snapshot_content(epoch: int, weights: Weights) -> bytes:
    import safetensors.numpy

    return safetensors.numpy.save(weights, {"epoch": str(epoch)})


def _facts(content: bytes) -> FileFacts:
    return FileFacts(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


def up_to_divergence(rows: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], bool]:
    """The epochs before the first one whose loss is not finite, and whether there is one: then the run diverged. Accuracies
    that are not finite were not measured, and are left out.
    """
    ends = next((place for place, row in enumerate(rows) if not math.isfinite(row.get(LOSS, 0))), len(rows))
    measured = [
        {name: value for name, value in row.items() if name not in ACCURACIES or math.isfinite(value)} for row in rows[:ends]
    ]
    return measured, ends < len(rows)


def checked_hyperparameters(given: Mapping[str, Any]) -> dict[str, int | float | str]:
    """Numbers and texts by name; True and False become 1 and 0.

    Raises
    ------
    RunError
        For anything else; names it.
    """
    checked: dict[str, int | float | str] = {}
    for name, value in given.items():
        plain = value.item() if isinstance(value, (np.generic, np.ndarray)) and value.ndim == 0 else value
        if isinstance(plain, bool):
            plain = int(plain)
        if not isinstance(plain, (int, float, str)) or (isinstance(plain, float) and not math.isfinite(plain)):
            raise RunError(f"hyperparameter {name} must be a finite number or a text, not {value!r}")
        checked[str(name)] = plain
    return checked


def checked_value(name: str, value: object, *, chance: float, where: str) -> float:
    """A loss, or an accuracy in percent, as a number; ``chance`` is the accuracy of guessing.

    Raises
    ------
    RunError
        For anything that is not a number, and for an accuracy that is not a percentage; says ``where``.
    """
    item = getattr(value, "item", None)
    plain = item() if callable(item) else value  # numpy's and torch's numbers
    if isinstance(plain, bool) or not isinstance(plain, (int, float)):
        raise RunError(f"{where}: {name} must be a number, not {value!r}")
    number = float(plain)
    if name in CURVES and name not in ACCURACIES:
        if -math.inf < number < 0:
            raise RunError(
                f"{where}: {name} must be at least 0, as a mean cross-entropy is, not {number:g}: record that part of the "
                "loss alone, or leave it out"
            )
        return number
    if math.isnan(number) and name in ACCURACIES:
        raise RunError(
            f"{where}: {name} is NaN: if it was not measured in this epoch, leave it out and name it in unmeasured=; leave "
            "out of every epoch what the first one lacks"
        )
    if not 0 <= number <= 100:
        raise RunError(
            f"{where}: {name} must be in percent, from 0 to 100, not {number:g}; a score that is no accuracy cannot take "
            "its place"
        )
    if looks_like_a_fraction(number, chance=chance):
        raise RunError(f"{where}: {name} must be in percent, but {number:g} looks like a fraction (chance is {chance:g}%)")
    return number
