"""A recorder for any training loop: it writes the curves, early snapshots and outcome of a run to a folder."""

from __future__ import annotations

import operator
import sys
import time
import warnings
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from os import PathLike
from typing import Any

import numpy as np

from nndynbench.columns import CURVES
from nndynbench.given import ACCURACIES, chance_of
from nndynbench.graphs import Architecture
from nndynbench.graphs.architecture import architecture as described_by
from nndynbench.graphs.describing import describe, same_network, snapshot
from nndynbench.graphs.weights import WeightsLike
from nndynbench.recording.record import (
    RUN_FILE,
    SECONDS,
    RunError,
    RunRecord,
    checked_hyperparameters,
    checked_value,
    facts_of_weights,
    read_record,
    snapshot_path,
    write_record,
    write_weights,
)
from nndynbench.recording.run import Run, described
from nndynbench.storage.files import remove_partial, user_path

# The epochs whose snapshots are kept by default.
KEEP = range(6)

# Libraries whose versions are recorded if they are imported.
LIBRARIES = ("torch", "numpy", "lightning", "pytorch_lightning", "transformers", "keras")


class DivergedWarning(UserWarning):
    """A loss or a weight is not a finite number: the run is recorded as diverged, and nothing of it from then on."""


class FractionWarning(UserWarning):
    """Accuracies that may be fractions, where percent are asked for; said once for a recorder."""


class Recorder:
    """Records a run into a folder: ``run.json``, and a safetensors file for each kept epoch.

    Every file is written whole or not at all, so a process that is killed leaves a run up to its last recorded epoch.
    ``bytes`` is the disk space that the run takes, ``epochs`` is how many epochs are recorded, and ``run`` is what
    `nndynbench.read_run` would read.

    Parameters
    ----------
    folder
        The folder of this run. A folder that already holds a run is refused, unless ``resume`` is given.
    network
        A torch module, whose weights are copied now (epoch 0) and after each kept epoch. Or the weights of epoch 0, as a
        state dict or as numpy arrays with the names of one (``conv1.weight``); then pass the weights of each kept epoch to
        `epoch`. Without a network, only curves are recorded.
    hyperparameters
        Numbers and texts by name: what a sweep varies.
    architecture
        The architecture, if it cannot be derived from the network: a name of the catalogue or a TOML file of one's own, as
        for `nndynbench.graphs.architecture`.
    keep
        The epochs whose snapshots are kept; 0 is the initialisation.
    resume
        Go on with the run that the folder holds. It must have the same hyperparameters and network. True goes on after its
        last recorded epoch, and begins a run if there is none; the network must have the weights of that epoch already. A
        number goes on after that epoch, which must be recorded, with any weights; later epochs are forgotten, and so is a
        divergence. But a run that has diverged stays so after True, and after an epoch from its divergence on.

    Raises
    ------
    RunError
        If the folder already holds a run, or one that cannot be resumed; if hyperparameters are not numbers or texts; if the
        run does not have the epoch from which to resume.
    NamingError, ValueError
        If the network does not fit its ``architecture``.

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
        resume = checked_resume(resume)
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
            record = read_record(self.folder)
            there = described(self.folder, record)
            remedy = "remove it first" if record.finished else "continue it with resume=True"
            raise RunError(f"{self.folder} holds a run ({there}): choose another folder, or {remedy}")
        if not begun.is_file() and resume is not True and resume > 0:
            raise RunError(f"{self.folder} holds no run that could be resumed after epoch {resume}")
        self.folder.mkdir(parents=True, exist_ok=True)
        remove_partial(self.folder)
        self._record = fresh
        if begun.is_file():
            self._go_on(read_record(self.folder), resume)
        # Also where a run begins again: its initialisation may be another one.
        if not self._record.epochs and not self._record.diverged:
            self._change(**(self._weights_of(0, network) or {}))
        self._has_warned = False
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
        """The disk space that the run takes, in bytes."""
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
        """Record an epoch that has ended: its curves, with accuracies in percent, and its snapshot if it is kept.

        ``weights`` are the network's current weights, if the recorder was not given a module. Every epoch must have the
        curves of the first one. ``unmeasured`` names curves that have no value in this epoch; they are read as NaN. Once a
        loss, or a weight of the module or in ``weights``, is not a finite number, the run has diverged, as a
        `DivergedWarning` says. Neither that epoch nor any later one is recorded. Accuracies of 1% or less that may be
        fractions are recorded, with a `FractionWarning`; those that must be, far below chance, are refused.

        Raises
        ------
        RunError
            If values are not numbers, a loss is below 0, or accuracies are not in percent; if other epochs have different
            curves; if weights are missing; if the run has ended; and if something else has written to the folder.
        """
        if self._record.finished:
            raise RunError(f"the run in {self.folder} has ended: nothing more can be recorded")
        if self._record.diverged:
            return
        self._check_alone()
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
        self._warn_of_fractions(row, where=where)
        facts = self._weights_of(epoch, weights, where=where) if all(map(np.isfinite, row.values())) else None
        if facts is None:
            self._change(diverged=True)
            warnings.warn(f"{where}: a loss or a weight is not finite; the run has diverged", DivergedWarning, stacklevel=2)
            return
        now = time.perf_counter()
        row = {"epoch": epoch, **row, SECONDS: round(now - self._since, 3)}
        self._change(epochs=[*self._record.epochs, row], **facts)
        self._since = now

    def finish(self, *, test_accuracy: float) -> Run:
        """End the run with its outcome, and return the run. The outcome is the accuracy in percent on images that were not
        used to choose anything.

        Raises
        ------
        RunError
            If the accuracy is not a percentage, the run has already ended, or something else has written to the folder.
        """
        if self._record.finished:
            raise RunError(f"the run in {self.folder} has already ended")
        self._check_alone()
        where = f"the outcome of {self.folder}"
        self._change(test_accuracy=checked_value("test_accuracy", test_accuracy, chance=self._chance, where=where))
        return self.run

    def stop(self, reason: str) -> Run:
        """End the run without an outcome, for a reason; packs leave such runs out.

        Raises
        ------
        RunError
            If the reason is not a text, the run has already ended, or something else has written to the folder.
        """
        if not isinstance(reason, str):
            raise RunError(f"the reason to stop {self.folder} must be a text, not {reason!r}")
        if self._record.finished:
            raise RunError(f"the run in {self.folder} has already ended")
        self._check_alone()
        self._change(stopped=reason)
        return self.run

    def _check_alone(self) -> None:
        """Raise if something else has written to the folder since this recorder did."""
        if read_record(self.folder).model_dump_json() != self._record.model_dump_json():
            raise RunError(
                f"another recorder writes to {self.folder}: give each run a folder of its own and, if training is "
                "distributed, record in the first process alone"
            )

    def _change(self, **facts: Any) -> None:
        """Change facts of the record: in the folder first, so that a call whose write failed can be made again."""
        changed = self._record.model_copy(update=facts)
        write_record(self.folder, changed)
        self._record = changed

    def _check_curves(self, row: Mapping[str, float], unmeasured: Collection[str], *, where: str) -> None:
        """Raise if an epoch does not have the same curves as the first one."""
        if not self._record.epochs:
            if unmeasured:
                raise RunError(
                    f"{where} is the first, and decides which curves the run has: "
                    f"leave {', '.join(unmeasured)} out of unmeasured="
                )
            return
        first = {*self._record.epochs[0]} & {*CURVES}
        if first != {*row, *unmeasured}:
            raise RunError(
                f"{where} has {', '.join(row) or 'no curves'}, but the epochs before it have "
                f"{', '.join(sorted(first)) or 'none'}: give the same curves, or list those without a value in unmeasured="
            )

    def _warn_of_fractions(self, row: Mapping[str, float], *, where: str) -> None:
        """Warn once if all accuracies of an epoch are at most 1%, and chance does not say that this is to be expected."""
        found = [row[name] for name in ACCURACIES if row.get(name)]
        if self._has_warned or not found or max(found) > 1 or 0 < self._chance <= 1:
            return
        self._has_warned = True
        what = f"{where}: the highest accuracy is {max(found):g}%: if it is a fraction, multiply it by 100"
        warnings.warn(what, FractionWarning, stacklevel=3)

    @property
    def _chance(self) -> float:
        return 0.0 if self._architecture is None else chance_of(self._architecture.classes)

    def _weights_of(self, epoch: int, given: WeightsLike | None, *, where: str = "") -> dict[str, Any] | None:
        """Write a snapshot if it is to be kept, and return what the record says of it. Return None, and write nothing, if
        weights at hand are not finite.
        """
        earlier = self._record.snapshots if epoch else {}
        if self._architecture is None:
            return {"snapshots": earlier}
        network = self._network if given is None else given
        if network is None or (given is None and isinstance(network, Mapping)):
            if epoch in self.keep:
                raise RunError(
                    f"{where} is to be kept, but the recorder has no module: pass weights=, or leave the epoch out of keep="
                )
            return {"snapshots": earlier, "last_weights": None}
        weights = snapshot(network, self._architecture)
        if epoch and not all(np.isfinite(values).all() for values in weights.values()):
            return None
        if epoch not in self.keep:
            return {"snapshots": earlier, "last_weights": facts_of_weights(epoch, weights)}
        facts = write_weights(self.folder, epoch, weights)
        return {"snapshots": earlier | {epoch: facts}, "last_weights": facts}

    def _go_on(self, record: RunRecord, resume: bool | int) -> None:
        """Resume a run, without anything that comes after the epoch from which it is resumed."""
        for fact in ("architecture", "hyperparameters"):
            there, here = getattr(record, fact), getattr(self._record, fact)
            if there != here and not (fact == "architecture" and _is_same(there, here)):
                raise RunError(f"{self.folder} holds a different run: {fact} {there} there, {here} now")
        if record.finished:
            raise RunError(f"the run in {self.folder} has ended and cannot be resumed ({described(self.folder, record)})")
        is_beyond = resume is not True and resume > len(record.epochs)
        if is_beyond and not record.diverged:
            raise RunError(
                f"the run in {self.folder} ends at epoch {len(record.epochs)}: it cannot be resumed after epoch {resume}"
            )
        goes_on = resume is True or is_beyond  # beyond its divergence: nothing is recorded there
        last = len(record.epochs) if goes_on else int(resume)
        if resume is True and last and not record.diverged:
            self._check_goes_on(record)
        forgotten = [epoch for epoch in record.snapshots if epoch > last]
        record.diverged = record.diverged and goes_on
        record.epochs = record.epochs[:last]
        record.snapshots = {epoch: facts for epoch, facts in record.snapshots.items() if epoch <= last}
        record.last_weights = record.last_weights if goes_on else record.snapshots.get(last)
        self._record = record
        write_record(self.folder, record)
        for epoch in forgotten:
            snapshot_path(self.folder, epoch).unlink(missing_ok=True)

    def _check_goes_on(self, record: RunRecord) -> None:
        """Raise if the network does not have the weights with which the run ends so far."""
        last = len(record.epochs)
        known = record.last_weights or record.snapshots.get(last)
        if known is None or self._network is None or self._architecture is None:
            return
        weights = snapshot(self._network, self._architecture)
        if facts_of_weights(last, weights) == known:
            return
        alike = (epoch for epoch, facts in record.snapshots.items() if facts_of_weights(epoch, weights) == facts)
        found = "" if (epoch := next(alike, None)) is None else f", but those of epoch {epoch}"
        raise RunError(
            f"{self.folder} ends at epoch {last}, and the network does not have the weights of that epoch{found}: load your "
            f"checkpoint of epoch {last} before you make the recorder. If your checkpoint is of another epoch, pass its "
            "number as resume=; if the training begins anew, pass resume=0, which forgets the recorded epochs"
        )


def checked_resume(given: object) -> bool | int:
    """True, False, or the epoch after which a run is to go on; raises `RunError` for anything else."""
    if isinstance(given, (bool, np.bool_)):
        return bool(given)
    with suppress(TypeError):
        if (epoch := operator.index(given)) >= 0:  # type: ignore[arg-type]
            return epoch
    raise RunError(f"resume must be True, False or an epoch of at least 0, not {given!r}")


def _architecture_of(network: WeightsLike | None, given: str | PathLike[str] | Architecture | None) -> Architecture | None:
    if network is None:
        return None
    return describe(network) if given is None else described_by(given)


def _is_same(there: str | dict[str, Any] | None, here: str | dict[str, Any] | None) -> bool:
    """Whether two recorded architectures are of one network."""
    if there is None or here is None:
        return False
    return same_network(described_by(there), described_by(here))


def _plain(described: Architecture) -> str | dict[str, Any]:
    """A name if the package describes the architecture, else its description."""
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
