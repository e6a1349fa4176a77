"""Reads Schürholt's Model Zoos (Schürholt, Taskiran, Knyazev, Giró-i-Nieto & Borth 2022, arXiv 2209.14764) as published.

Each run has a folder, as Ray Tune left it: ``params.json`` (the configuration), ``result.json`` (a line of JSON for each
epoch), and ``checkpoint_000000/checkpoints`` and on, each a torch file of a state dict. Nothing is unpickled.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from nndynbench.checkpoints import read_content
from nndynbench.graphs import SnapshotsOnDemand, Weights
from nndynbench.graphs.describing import describe, snapshot
from nndynbench.importing.records import ZooLayoutError, record_of
from nndynbench.recording import Run
from nndynbench.recording.record import RunRecord
from nndynbench.storage.files import user_path

PARAMETERS_FILE, RESULT_FILE = "params.json", "result.json"
CHECKPOINT = re.compile(r"checkpoint_0*(\d+)")
CHECKPOINT_FILES = ("checkpoints", "checkpoint", "model.pt", "checkpoint.pt")

# Keys of result.json: the epoch, and the key of each of our curves. Accuracies are fractions.
EPOCH = "training_iteration"
CURVES = {"train_loss": "train_loss", "train_accuracy": "train_acc", "validation_accuracy": "validation_acc"}
TEST = "test_acc"

# Entries of the configuration that are no hyperparameters: paths, loaders, devices.
BESIDE = re.compile(r"(?i).*(path|loader|device|cuda|checkpoint|dir|dataset::dump|num_threads|resources|output_epoch).*")

SEED = "seed"


def model_zoo_runs(folder: str | Path, *, runs: int | None = None) -> Iterator[Run]:
    """The runs of a zoo, in the order of their folders' names; with ``runs``, only this many.

    The outcome is the test accuracy of the last epoch; a run whose last test accuracy is not finite has none. If a zoo
    logged no validation accuracy, that curve is missing: the zoo's test accuracy is of the same images as the outcome, so it
    is no curve here. A run has diverged at the first epoch whose loss is not finite, and its curves end before that.

    Raises
    ------
    ZooLayoutError
        For a folder without runs, a run without results, and a line of results that is no JSON or lacks an entry.
    CheckpointError
        For a checkpoint that cannot be read without unpickling it.
    """
    root = user_path(folder)
    found = sorted(path.parent for path in root.glob(f"*/{RESULT_FILE}"))
    if not found:
        raise ZooLayoutError(f"{root} is not a model zoo: none of its folders has a {RESULT_FILE}")
    description: dict[str, Any] | None = None
    for path in found[:runs]:
        checkpoints = _checkpoints(path)
        if not checkpoints:
            raise ZooLayoutError(f"{path} has no checkpoint_000000/{CHECKPOINT_FILES[0]}")
        if description is None:
            description = describe(read_content(checkpoints[min(checkpoints)]), name=root.name).description
        weights = SnapshotsOnDemand(checkpoints, partial(_read, checkpoints, description))
        try:
            record = _record(path, description)
        except ZooLayoutError:
            raise
        except (TypeError, ValueError, OverflowError) as reason:
            raise ZooLayoutError(f"{path} has a {PARAMETERS_FILE} or {RESULT_FILE} that is not valid: {reason}") from reason
        yield Run(path, record, weights=weights, name=path.name)


def _checkpoints(path: Path) -> dict[int, Path]:
    """A run's checkpoints by epoch. Ray Tune counts them from 0, which is the initialisation."""
    found = {}
    for inner in path.iterdir():
        if match := CHECKPOINT.fullmatch(inner.name):
            file = next((inner / name for name in CHECKPOINT_FILES if (inner / name).is_file()), None)
            if file is not None:
                found[int(match[1])] = file
    return found


def _read(checkpoints: Mapping[int, Path], description: Mapping[str, Any], epoch: int) -> Weights:
    from nndynbench.graphs import architecture

    return snapshot(read_content(checkpoints[epoch]), architecture(description))


def _record(path: Path, description: dict[str, Any]) -> RunRecord:
    lines = []
    for number, text in enumerate((path / RESULT_FILE).read_text(encoding="utf-8").splitlines(), start=1):
        try:
            lines.append(dict(json.loads(text)))
        except (ValueError, TypeError) as reason:
            raise ZooLayoutError(f"{path / RESULT_FILE}, line {number}, is not a valid entry: {reason}") from reason
    if not lines or TEST not in lines[-1]:
        raise ZooLayoutError(f"{path / RESULT_FILE} has no {TEST} in its last line")
    curves = []
    for epoch, line in enumerate((line for line in lines if line.get(EPOCH, 0) > 0), start=1):
        if line[EPOCH] != epoch:
            raise ZooLayoutError(f"{path / RESULT_FILE} has {EPOCH} {line[EPOCH]} where epoch {epoch} is expected")
        own = {curve: float(line[name]) for curve, name in CURVES.items() if name in line}
        row = {curve: value if curve == "train_loss" else 100 * value for curve, value in own.items()}
        curves.append({"epoch": epoch, **row})
    return record_of(description, _hyperparameters(path), curves, test_fraction=float(lines[-1][TEST]))


def _hyperparameters(path: Path) -> dict[str, int | float | str]:
    """The numbers and texts of the configuration that say how the run was trained."""
    file = path / PARAMETERS_FILE
    if not file.is_file():
        return {}
    given = dict(json.loads(file.read_text(encoding="utf-8")))
    kept: dict[str, int | float | str] = {}
    for name, value in given.items():
        plain = int(value) if isinstance(value, bool) else value
        is_number = isinstance(plain, (int, float)) and math.isfinite(plain)
        if (is_number or isinstance(plain, str)) and not BESIDE.fullmatch(name):
            kept[SEED if name.rpartition("::")[2] == SEED else name.replace("::", ".")] = plain
    return kept
