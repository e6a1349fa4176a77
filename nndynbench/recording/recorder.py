"""A recorder that any training loop can hold: curves, early snapshots and outcome of a run, as a folder."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Collection, Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from os import PathLike
from typing import Any

import numpy as np

from nndynbench.columns import CURVES
from nndynbench.graphs import Architecture
from nndynbench.graphs.architecture import architecture as described_by
from nndynbench.graphs.describing import describe, snapshot
from nndynbench.graphs.weights import WeightsLike
from nndynbench.recording.record import (
    RUN_FILE,
    SECONDS,
    RunError,
    RunRecord,
    checked_hyperparameters,
    checked_value,
    read_record,
    snapshot_path,
    write_record,
    write_weights,
)
from nndynbench.recording.run import Run, described
from nndynbench.storage.files import remove_partial, user_path

# The epochs whose snapshots are kept by default.
KEEP = range(6)

# Libraries whose versions are recorded where they are imported.
LIBRARIES = ("torch", "numpy", "lightning", "pytorch_lightning", "transformers", "keras")


class DivergedWarning(UserWarning):
    """A loss or a weight that is no finite number: the run is recorded as diverged, and nothing of it from then on."""


class Recorder:
    """Records a run into a folder: ``run.json``, and a safetensors file for each kept epoch.

    Every file is written whole or not at all: what a process leaves that is killed is a run up to its last recorded epoch.
    ``bytes`` is the disk that it takes, ``epochs`` how many epochs are recorded, ``run`` what `nndynbench.read_run` reads.

    Parameters
    ----------
    folder
        The run's own. One that holds a run already is refused, unless it is to ``resume``.
    network
        A torch module, whose weights are copied now (epoch 0) and after each kept epoch; or a state dict, or numpy arrays by
        the names of such (``conv1.weight``), of epoch 0: then each kept epoch is given its own. Without it, curves alone.
    hyperparameters
        Numbers and texts by name: what a sweep varies.
    architecture
        What the network is, where it cannot be told from itself: a name of the catalogue or a TOML file of one's own, as
        `nndynbench.graphs.architecture` takes it.
    keep
        The epochs to keep snapshots of; 0 is the initialisation.
    resume
        Go on with a run that the folder holds, if any, of the same hyperparameters and network: after its last recorded
        epoch, or after that which a number says; later ones are forgotten.

    Raises
    ------
    RunError
        For a folder that holds a run, or another one; for hyperparameters that are no numbers or texts; for an epoch to
        resume from that the run does not have.
    NamingError, ValueError
        For a network that is not of its ``architecture``.

    Examples
    --------
    >>> import nndynbench
    >>> weights = nndynbench.graphs.random_weights("digits-lenet", seed=0)
    >>> recorder = nndynbench.Recorder("runs/first", weights, hyperparameters={"learning_rate": 0.01})
    >>> recorder.epoch(weights=weights, train_loss=2.3, validation_accuracy=11.5)
    >>> recorder.finish(test_accuracy=12.0).epochs
    1
    """

    def __init__(
        self,
        folder: str | PathLike[str],
        network: WeightsLike | None = None,
        *,
        hyperparameters: Mapping[str, Any] | None = None,
        architecture: str | PathLike[str] | Architecture | None = None,
        keep: Iterable[int] = KEEP,
        resume: bool | int = False,
    ) -> None:
        if resume < 0:
            raise RunError(f"resume is True, False or an epoch from 0 on, not {resume!r}")
        self.folder = user_path(folder)
        self.keep = frozenset(keep)
        self._network = network
        self._architecture = _architecture_of(network, architecture)
        named = None if self._architecture is None else _plain(self._architecture)
        fresh = RunRecord(
            architecture=named,
            hyperparameters=checked_hyperparameters(hyperparameters or {}),
            device=_device(network),
            libraries=_libraries(),
        )
        begun = self.folder / RUN_FILE
        if begun.is_file() and resume is False:
            there = described(self.folder, read_record(self.folder))
            raise RunError(f"{self.folder} holds a run ({there}): choose another folder, or resume=True to go on with it")
        self.folder.mkdir(parents=True, exist_ok=True)
        remove_partial(self.folder)
        self._record = fresh
        if begun.is_file():
            self._go_on(read_record(self.folder), resume)
        else:
            self._keep(0, network)
            write_record(self.folder, self._record)
        self._since = time.perf_counter()

    def __repr__(self) -> str:
        return f"Recorder({self.folder}: {described(self.folder, self._record)})"

    @property
    def epochs(self) -> int:
        """How many epochs are recorded."""
        return len(self._record.epochs)

    @property
    def finished(self) -> bool:
        """Whether the run has ended: with an outcome, or stopped."""
        return self._record.finished

    @property
    def bytes(self) -> int:
        """The disk that the run takes."""
        kept = sum(facts.bytes for facts in self._record.snapshots.values())
        return kept + (self.folder / RUN_FILE).stat().st_size

    @property
    def run(self) -> Run:
        """The run as it is recorded so far."""
        return Run(self.folder, self._record.model_copy(deep=True))

    def epoch(
        self,
        *,
        weights: WeightsLike | None = None,
        train_loss: float | None = None,
        train_accuracy: float | None = None,
        validation_accuracy: float | None = None,
        unmeasured: Collection[str] = (),
    ) -> None:
        """Record an epoch that has ended: its curves, accuracies in percent, and where it is kept its snapshot.

        ``weights`` are the network's now, where the recorder was not given a module. Every epoch has the curves of the first
        one; ``unmeasured`` names those of which this one has no value, and which are NaN there when they are read. Once a
        loss, or a weight of the module or of ``weights``, is no finite number the run has diverged, as a `DivergedWarning`
        says: neither that epoch nor a later one is recorded.

        Raises
        ------
        RunError
            For values that are no numbers, accuracies that are no percent, curves that other epochs lack or have, missing
            weights, and after the end.
        """
        if self._record.finished:
            raise RunError(f"{self.folder} has ended: nothing can be recorded any more")
        if self._record.diverged:
            return
        epoch = self.epochs + 1
        where = f"epoch {epoch} of {self.folder}"
        given = {
            "train_loss": train_loss,
            "train_accuracy": train_accuracy,
            "validation_accuracy": validation_accuracy,
        }
        row = {
            name: checked_value(name, value, chance=self._chance, where=where)
            for name, value in given.items()
            if value is not None
        }
        self._check_curves(row, unmeasured, where=where)
        if not all(map(np.isfinite, row.values())) or not self._keep(epoch, weights, where=where):
            self._record.diverged = True
            write_record(self.folder, self._record)
            warnings.warn(f"{where}: no finite numbers any more; the run has diverged", DivergedWarning, stacklevel=2)
            return
        now = time.perf_counter()
        self._record.epochs.append({"epoch": epoch, **row, SECONDS: round(now - self._since, 3)})
        self._since = now
        write_record(self.folder, self._record)

    def finish(self, *, test_accuracy: float) -> Run:
        """End the run with its outcome in percent, on images that nothing was chosen by; returns it, with the disk it takes.

        Raises
        ------
        RunError
            For an accuracy that is no percentage, and for a run that has ended.
        """
        if self._record.finished:
            raise RunError(f"{self.folder} has ended before")
        where = f"the outcome of {self.folder}"
        self._record.test_accuracy = checked_value("test_accuracy", test_accuracy, chance=self._chance, where=where)
        write_record(self.folder, self._record)
        return self.run

    def stop(self, reason: str) -> Run:
        """End the run without an outcome, and say why; it is no part of a pack."""
        if self._record.finished:
            raise RunError(f"{self.folder} has ended before")
        self._record.stopped = reason
        write_record(self.folder, self._record)
        return self.run

    def _check_curves(self, row: Mapping[str, float], unmeasured: Collection[str], *, where: str) -> None:
        """Raise where an epoch has or lacks curves that the first one does not."""
        if not self._record.epochs:
            if unmeasured:
                raise RunError(f"{where} is the first: leave out {', '.join(unmeasured)}, which it has no value of")
            return
        first = {*self._record.epochs[0]} & {*CURVES}
        if first != {*row, *unmeasured}:
            raise RunError(
                f"{where} has {', '.join(row) or 'no curves'}, the epochs before it {', '.join(sorted(first)) or 'none'}: "
                "give the same, or name in unmeasured= what was not measured"
            )

    @property
    def _chance(self) -> float:
        classes = 0 if self._architecture is None else self._architecture.classes
        return 100 / classes if classes > 1 else 0.0

    def _keep(self, epoch: int, given: WeightsLike | None, *, where: str = "") -> bool:
        """Write a snapshot where it is to be kept; False, and nothing written, where weights at hand are not finite."""
        if self._architecture is None:
            return True
        network = self._network if given is None else given
        if network is None or (given is None and isinstance(network, Mapping)):
            if epoch in self.keep:
                raise RunError(
                    f"{where} is kept, and the recorder holds no module: give its weights=, or leave it out of keep="
                )
            return True
        weights = snapshot(network, self._architecture)
        if epoch and not all(np.isfinite(values).all() for values in weights.values()):
            return False
        if epoch in self.keep:
            self._record.snapshots[epoch] = write_weights(self.folder, epoch, weights)
        return True

    def _go_on(self, record: RunRecord, resume: bool | int) -> None:
        """Take up a run that was begun, without what comes after the epoch that is resumed from."""
        for fact in ("architecture", "hyperparameters"):
            if (there := getattr(record, fact)) != (here := getattr(self._record, fact)):
                raise RunError(f"{self.folder} holds a run of other {fact}: {there}, now {here}")
        if record.finished:
            raise RunError(f"{self.folder} holds a run that has ended ({described(self.folder, record)})")
        last = len(record.epochs) if resume is True else int(resume)
        if last > len(record.epochs):
            raise RunError(f"{self.folder} has {len(record.epochs)} epochs: it cannot be resumed after epoch {last}")
        forgotten = [epoch for epoch in record.snapshots if epoch > last]
        record.diverged = record.diverged and last == len(record.epochs)
        record.epochs = record.epochs[:last]
        record.snapshots = {epoch: facts for epoch, facts in record.snapshots.items() if epoch <= last}
        self._record = record
        write_record(self.folder, record)
        for epoch in forgotten:
            snapshot_path(self.folder, epoch).unlink(missing_ok=True)


def _architecture_of(network: WeightsLike | None, given: str | PathLike[str] | Architecture | None) -> Architecture | None:
    if network is None:
        return None
    return describe(network) if given is None else described_by(given)


def _plain(described: Architecture) -> str | dict[str, Any]:
    """A name where the package describes it, else its description."""
    from nndynbench.names import UnknownNameError

    try:
        return described.name if described_by(described.name) == described else described.description
    except (UnknownNameError, OSError, ValueError):
        return described.description


def _device(network: Any) -> str:
    """Where the network's weights are."""
    if network is None:
        return ""
    values = network.values() if isinstance(network, Mapping) else network.state_dict().values()
    return str(getattr(next(iter(values), None), "device", "cpu"))


def _libraries() -> dict[str, str]:
    found = {}
    for name in ("nndynbench", *(name for name in LIBRARIES if name in sys.modules)):
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # not installed under its module's name
            continue
    return found
