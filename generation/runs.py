"""The trainer's state on disk: ``DIR/<subset>/runs/``, a folder per network, from which any run resumes.

A file is written under another name, synced and renamed, so a kill at any moment leaves whole files only. Two states are
kept per network: if the newest is damaged, the run falls back to the epoch before it.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.numpy

from generation.record import (
    FinishedRecord,
    Record,
    read_finished_record,
    read_state_facts,
    written_record,
    written_state_facts,
)
from nndynbench.graphs import Weights
from nndynbench.storage.files import DamagedFileError, locked, remove_partial, write_whole

logger = logging.getLogger(__name__)

Arrays = dict[str, np.ndarray]

# One fallback: more would cost disk and win nothing, since a damaged pair means a damaged disk.
STATES_KEPT = 2


@dataclass
class TrainingState:
    """What an epoch leaves for the next: weights, the optimiser's arrays, and the record so far."""

    epoch: int
    weights: Weights
    optimiser: Arrays
    record: Record


class NetworkRun:
    """One network's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def locked(self) -> Iterator[bool]:
        """Hold the network for this process; yields False if another process has it. A killed process frees its lock, and
        leaves a half file at most, which is removed here.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with locked(self.folder / "lock", blocking=False) as held:
            if held:
                remove_partial(self.folder)
            yield held

    @property
    def finished(self) -> bool:
        return (self.folder / "network.json").exists()

    def record(self) -> FinishedRecord | None:
        """The finished network's record, or None.

        Raises
        ------
        DamagedFileError
            Naming the file.
        """
        if not self.finished:
            return None
        path = self.folder / "network.json"
        try:
            record = read_finished_record(path.read_bytes())
            if (owner := self._other_owner(record)) is not None:
                raise ValueError(f"it belongs to network {owner}")
        except ValueError as error:
            raise DamagedFileError(f"{path} is damaged ({error}): remove {self.folder} and train it again") from error
        return record

    def finish(self, record: FinishedRecord) -> None:
        """Write the final record. The states stay until `tidy`: they tell that something may be left to do."""
        write_whole(self.folder / "network.json", written_record(record))

    @property
    def is_tidy(self) -> bool:
        """Whether no state is left."""
        return not self._states()

    def tidy(self) -> None:
        """Remove what a finished network no longer needs: weights that its record calls dropped, then its states."""
        record = self.record()
        if record is not None and record.weights_dropped:
            self._remove("snapshot-*.safetensors")
        self._remove("state-*.safetensors")

    def clear(self) -> None:
        """Remove what a training that did not end, or a restoring that was interrupted, left."""
        self._remove("*.safetensors")

    def write_state(self, state: TrainingState) -> None:
        arrays = {f"weights/{key}": value for key, value in state.weights.items()}
        arrays |= {f"optimiser/{key}": value for key, value in state.optimiser.items()}
        facts = written_state_facts(state.epoch, state.record)
        write_arrays(self.folder / f"state-{state.epoch:04d}.safetensors", arrays, facts)
        for old in self._states()[:-STATES_KEPT]:
            old.unlink()

    def read_state(self) -> TrainingState | None:
        """The newest whole state, or None; one that is damaged, or of another network, is set aside with a warning.

        Raises
        ------
        DamagedFileError
            Naming a whole state that this version of the code cannot read.
        """
        for path in reversed(self._states()):
            try:
                arrays, text = read_arrays(path)
            except DamagedFileError as damage:
                _set_aside(path, f"{damage}; continuing from the epoch before")
                continue
            parts: dict[str, Arrays] = {"weights": {}, "optimiser": {}}
            for key, value in arrays.items():
                part, name = key.split("/", 1)
                parts[part][name] = value
            try:
                epoch, record = read_state_facts(text)
            except ValueError as other:  # whole, so it is as it was written
                raise DamagedFileError(
                    f"{path} was written by another version of this code ({other}): go on with that version, or remove "
                    f"{self.folder} and train it again"
                ) from other
            if (owner := self._other_owner(record)) is not None:
                _set_aside(path, f"{path} is a state of network {owner}; continuing from the epoch before")
                continue
            return TrainingState(epoch, parts["weights"], parts["optimiser"], record)
        return None

    def write_snapshot(self, epoch: int, weights: Weights) -> None:
        write_arrays(self._snapshot(epoch), weights)

    def read_snapshot(self, epoch: int) -> Weights | None:
        """The weights after an epoch, or None where they are not kept.

        Raises
        ------
        DamagedFileError
            Naming the file.
        """
        path = self._snapshot(epoch)
        return read_arrays(path)[0] if path.exists() else None

    def drop_snapshots(self) -> None:
        """Remove a finished network's weights; its record says so, and packs are made without them."""
        record = self.record()
        if record is None:
            raise ValueError(f"{self.folder} is not finished: its training needs its weights")
        record.weights_dropped = True
        write_whole(self.folder / "network.json", written_record(record))
        self._remove("snapshot-*.safetensors")

    def has_snapshot(self, epoch: int) -> bool:
        """Whether a snapshot is there and whole; a damaged one is set aside with a warning."""
        try:
            return self.read_snapshot(epoch) is not None
        except DamagedFileError as damage:
            _set_aside(self._snapshot(epoch), f"{damage}; writing it again")
            return False

    def write_parts(self, tier: str, epoch: int, parts: Arrays, *, mantissa_bits: int) -> None:
        """Keep a snapshot's parts of one HDF5 tier, in their order: they replace the snapshot where only a pack is left."""
        facts = {"parts": list(parts), "mantissa_bits": mantissa_bits}
        write_arrays(self._parts(tier, epoch), parts, json.dumps(facts))

    def read_parts(self, tier: str, epoch: int) -> Arrays | None:
        """What `write_parts` kept, or None; raises `DamagedFileError` naming the file."""
        path = self._parts(tier, epoch)
        if not path.exists():
            return None
        arrays, text = read_arrays(path)
        return {name: arrays[name] for name in json.loads(text)["parts"]}

    def epochs_with_parts(self, tier: str, *, mantissa_bits: int) -> list[int]:
        """The epochs whose parts of a tier are kept to at least ``mantissa_bits``.

        Raises `DamagedFileError` naming the file.
        """
        return sorted(epoch for epoch, kept in self.bits_of_parts(tier).items() if kept >= mantissa_bits)

    def bits_of_parts(self, tier: str) -> dict[int, int]:
        """To how many bits of mantissa the parts of a tier are kept, by epoch; raises as `epochs_with_parts` does."""
        return {_epoch(path): _bits_of_parts(path) for path in self.folder.glob(f"{tier}-*.safetensors")}

    def epochs_with_snapshots(self) -> list[int]:
        return sorted(map(_epoch, self.folder.glob("snapshot-*.safetensors")))

    def latest_record(self) -> Record | None:
        """The record so far of a network that may be in training right now, or None before its first epoch. Unchecked: for
        watching, not for resuming.
        """
        if not self.finished:
            for path in reversed(self._states()):
                # Its owner may have just replaced it.
                with suppress(ValueError, KeyError, FileNotFoundError):
                    return read_state_facts(_metadata(path)["text"])[1]
        return self.record()

    def latest_change(self) -> float:
        """When an epoch was last written, in seconds since 1970."""
        latest = 0.0
        for path in (*self._states(), self.folder / "network.json"):
            with suppress(FileNotFoundError):
                latest = max(latest, path.stat().st_mtime)
        return latest

    def _other_owner(self, record: Record) -> int | None:
        """The network that a record belongs to, if that is not this folder's; else None."""
        owner = record.network
        return owner if self.folder.name.isdigit() and owner != int(self.folder.name) else None

    def _remove(self, names: str) -> None:
        for path in self.folder.glob(names):
            path.unlink()

    def _snapshot(self, epoch: int) -> Path:
        return self.folder / f"snapshot-{epoch:04d}.safetensors"

    def _parts(self, tier: str, epoch: int) -> Path:
        return self.folder / f"{tier}-{epoch:04d}.safetensors"

    def _states(self) -> list[Path]:
        return sorted(self.folder.glob("state-*.safetensors"))


def write_arrays(path: Path, arrays: Arrays, text: str = "") -> None:
    """Write arrays and a text with the checksum of both."""
    metadata = {"text": text, "sha256": _checksum(arrays, text)}
    write_whole(path, safetensors.numpy.save(arrays, metadata))


def read_arrays(path: Path) -> tuple[Arrays, str]:
    """Read what `write_arrays` wrote; raises `DamagedFileError` if it is not that."""
    try:
        metadata = _metadata(path)
        arrays = safetensors.numpy.load(path.read_bytes())
        if _checksum(arrays, metadata["text"]) != metadata["sha256"]:
            raise ValueError("wrong checksum")
    except (ValueError, KeyError, safetensors.SafetensorError) as error:
        raise DamagedFileError(f"{path} is damaged: {error}") from error
    return arrays, metadata["text"]


def _metadata(path: Path) -> dict[str, str]:
    """The texts in a safetensors file's header, read without its arrays."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if size > path.stat().st_size:
            raise ValueError("no header")
        return dict(json.loads(file.read(size))["__metadata__"])


def _bits_of_parts(path: Path) -> int:
    try:
        return int(json.loads(_metadata(path)["text"])["mantissa_bits"])
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedFileError(f"{path} is damaged ({error}): remove {path.parent} and restore it again") from error


def _epoch(path: Path) -> int:
    return int(path.stem.rpartition("-")[2])


def _set_aside(path: Path, reason: str) -> None:
    path.rename(path.with_suffix(".damaged"))
    logger.warning("%s", reason)


def _checksum(arrays: Arrays, text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(arrays[name]).data)
    return digest.hexdigest()
