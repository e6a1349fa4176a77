"""A recorded run, read back: its curves, hyperparameters, outcome and weights, and its history for methods."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from nndynbench.columns import CURVES
from nndynbench.given import checked_curves
from nndynbench.graphs import Architecture, SnapshotsOnDemand, Weights, architecture
from nndynbench.graphs.describing import NO_WEIGHTS
from nndynbench.numbers import epochs
from nndynbench.own_run import OwnRun
from nndynbench.recording.record import RUN_FILE, SECONDS, RunError, RunRecord, read_record, read_weights
from nndynbench.storage.files import user_path
from nndynbench.storage.manifest import FileFacts
from nndynbench.subsets.history import BudgetError, History
from nndynbench.subsets.reader import Reader

__all__ = ["Run", "RunError", "read_run", "read_runs"]


class Run:
    """A run as its folder has it; `read_run` makes one. Only ``run.json`` is read until something else is asked for.

    ``weights`` has the run's snapshots by epoch; each is read when it is asked for. They are the folder's, unless others are
    given, as for a run that was recorded in another form. ``name`` tells the run from others of a sweep.
    """

    def __init__(
        self, folder: Path, record: RunRecord, *, weights: Mapping[int, Weights] | None = None, name: str | None = None
    ) -> None:
        self.folder = folder
        self.record = record
        if weights is None:
            weights = SnapshotsOnDemand(record.snapshots, partial(_recorded_weights, folder, record.snapshots))
        self.weights = weights
        self.name = name or folder.name

    def __repr__(self) -> str:
        return f"Run({self.folder}: {described(self.folder, self.record, self.weights)})"

    @property
    def architecture(self) -> Architecture:
        """The architecture of the network; one without layers if the run has no weights."""
        return NO_WEIGHTS if self.record.architecture is None else architecture(self.record.architecture)

    @property
    def hyperparameters(self) -> dict[str, int | float | str]:
        return dict(self.record.hyperparameters)

    @property
    def epochs(self) -> int:
        """How many epochs were trained."""
        return len(self.record.epochs)

    @property
    def test_accuracy(self) -> float | None:
        """The outcome in percent; None for a run without one."""
        return self.record.test_accuracy

    @property
    def columns(self) -> list[str]:
        """The names of the recorded curves, out of `nndynbench.columns.CURVES`."""
        return [name for name in CURVES if any(name in row for row in self.record.epochs)]

    @property
    def curves(self) -> pd.DataFrame:
        """A row per epoch from 1 on: train_loss, train_accuracy, validation_accuracy (percent), seconds; NaN for values that
        were not measured.

        Raises
        ------
        NotGivenError
            If epochs are missing, doubled or unsorted, or values are not numbers or not in percent; names the file, the
            epoch and the column.
        """
        table = pd.DataFrame(self.record.epochs, columns=["epoch", *CURVES, SECONDS])
        own, classes = self.folder / RUN_FILE, self.architecture.classes
        where = f"the curves in {own if own.is_file() else self.folder}"  # an imported run has no record
        unmeasured = {name: [row.get("epoch") for row in self.record.epochs if name not in row] for name in self.columns}
        checked = checked_curves(
            table, self.epochs, classes=classes, columns=self.columns, source=where, unmeasured=unmeasured
        )
        full = checked.reindex(columns=list(CURVES))
        full[SECONDS] = pd.to_numeric(table[SECONDS], errors="coerce").to_numpy()
        return full

    def history(self, budget: int | None = None) -> History:
        """The run's history up to a budget of epochs, by default all that it trained.

        Raises
        ------
        BudgetError
            For a budget that is not a whole number of at least 1; without one, if the run has no epoch.
        """
        if budget is None and not self.epochs:
            raise BudgetError(f"{self.folder} has no epoch yet")
        chosen = self.epochs if budget is None else budget
        if isinstance(chosen, bool) or not isinstance(chosen, (int, np.integer)) or chosen < 1:
            raise BudgetError(f"a budget is a whole number of at least 1, not {budget!r}")
        return History(Reader(self.source()), int(chosen))

    def source(self) -> OwnRun:
        """The run as a source for the reader of networks. A run that has ended repeats its last epoch."""
        return OwnRun(
            self.architecture,
            self.weights,
            where=str(self.folder),
            curves=self.curves[list(CURVES)] if self.record.epochs or self.record.diverged else None,
            hyperparameters=self.record.hyperparameters or None,
            last=self.epochs if self.record.finished else None,
            diverged=self.record.diverged,
        )


def _recorded_weights(folder: Path, files: Mapping[int, FileFacts], epoch: int) -> Weights:
    return read_weights(folder, epoch, files[epoch])


def read_run(folder: Path | str) -> Run:
    """Read a folder that `nndynbench.Recorder` wrote, or is still writing.

    Raises
    ------
    FileNotFoundError
        For a folder without ``run.json``.
    RunError
        If that file is not a record of a run; names the field.

    Examples
    --------
    >>> import nndynbench
    >>> recorder = nndynbench.Recorder("runs/first", hyperparameters={"learning_rate": 0.01})
    >>> recorder.epoch(validation_accuracy=61.5)
    >>> nndynbench.read_run("runs/first").curves["validation_accuracy"].tolist()
    [61.5]
    """
    path = user_path(folder)
    return Run(path, read_record(path))


def read_runs(folder: Path | str) -> dict[str, Run]:
    """All runs below a folder, by their paths in it, in the order of these.

    Raises
    ------
    FileNotFoundError
        If there is none.
    """
    root = user_path(folder)
    found = sorted(path.parent for path in root.rglob(RUN_FILE))
    if not found:
        raise FileNotFoundError(
            f"there is no run below {root}: no folder there has a {RUN_FILE}. nndynbench.Recorder writes one "
            "during training, or from existing checkpoints: see docs/your-own-runs.md"
        )
    names = {path: root.name if path == root else path.relative_to(root).as_posix() for path in found}
    return {name: Run(path, read_record(path), name=name) for path, name in names.items()}


def described(folder: Path, record: RunRecord, weights: Mapping[int, Weights] | None = None) -> str:
    """A run in words, with the disk space that it takes."""
    kept = sorted(record.snapshots if weights is None else weights)
    own = folder / RUN_FILE
    size = sum(facts.bytes for facts in record.snapshots.values()) + (own.stat().st_size if own.is_file() else 0)
    state = "running"
    if record.test_accuracy is not None:
        state = f"{record.test_accuracy:.1f}% on the test images"
    elif record.stopped is not None:
        state = f"stopped: {record.stopped}"
    if record.diverged:
        state += ", diverged"
    snapshots = f"snapshots of {', '.join(map(str, kept))}" if kept else "no snapshots"
    return f"{epochs(len(record.epochs))}, {snapshots}, {size / 1e6:.2f} MB, {state}"
