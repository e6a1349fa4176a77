"""Snapshot arrays in HDF5, for weights, graph blocks and centralities: one flat data set (network, slot, value).

A slot holds one kept epoch of a network; ``epochs`` says which (−1 for none, whose values are NaN). Names, offsets and
shapes of a snapshot's parts are in the attributes. A data set per array would read at a small fraction of the speed:
tests/benchmarks/reading.py.
"""

from __future__ import annotations

import io
import json
import math
import operator
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import hdf5plugin
import numpy as np
import numpy.typing as npt

from nndynbench.storage.files import DamagedFileError, written_whole

FLOAT32_MANTISSA_BITS = 23
CHUNK_BYTES = 1 << 20  # up to which all of a network's epochs are one chunk
# Limits on the sizes that a file states: it may come from anywhere, and memory is taken by what it states.
MOST_SNAPSHOTS = 100_000_000
MOST_VALUES = 1 << 30  # of a snapshot

LARGEST_CHUNK_BYTES = 4 << 20  # of a large snapshot, so that reading it needs little memory beside what is read

Snapshot = dict[str, npt.NDArray[np.float32]]


class _Index(NamedTuple):
    parts: dict[str, tuple[slice, tuple[int, ...]]]  # place and shape
    rows: dict[int, int]  # by network
    slots: list[dict[int, int]]  # of each row, by epoch
    values: int  # of a snapshot
    whole_network: bool  # whether all of a network's epochs are one chunk


class SnapshotArrays:
    """Reader of one file.

    The file stays open, since opening it costs more than reading a small network. A forked worker opens it anew; a spawned
    one is sent the path alone.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open: tuple[int, h5py.Dataset] | None = None
        self._latest: tuple[int, npt.NDArray[np.float32]] | None = None

    def __reduce__(self) -> tuple[type[SnapshotArrays], tuple[Path]]:
        return SnapshotArrays, (self.path,)

    @property
    def networks(self) -> list[int]:
        return list(self._index.rows)

    def epochs(self, network: int) -> list[int]:
        """The epochs of a network whose snapshots are here."""
        row = self._index.rows.get(network)
        return [] if row is None else list(self._index.slots[row])

    def read(self, network: int, epochs: Sequence[int]) -> npt.NDArray[np.float32]:
        """The flat values of a network at some epochs, (epochs, values), as a new array."""
        index = self._index
        row = index.rows[network]
        slots = [index.slots[row][epoch] for epoch in epochs]
        if not index.whole_network:
            values = np.empty((len(slots), index.values), dtype=np.float32)
            for position, slot in enumerate(slots):
                self._values.read_direct(values, np.s_[row, slot], np.s_[position])
            return values
        # The chunk is kept until another network is read.
        latest = self._latest
        if latest is None or latest[0] != network:
            self._latest = latest = (network, self._values[row])
        return latest[1][slots]

    def parts(self, values: npt.NDArray[np.float32]) -> Snapshot:
        """Flat values (..., values) as their named parts (..., *shape)."""
        stack = values.shape[:-1]
        return {name: values[..., place].reshape(*stack, *shape) for name, (place, shape) in self._index.parts.items()}

    @property
    def _values(self) -> h5py.Dataset:
        process = os.getpid()
        if self._open is None or self._open[0] != process:
            # No cache: a chunk is read once and remembered here, so HDF5's own cache would only copy it. No locks: a packed
            # file never changes, and some clusters' file systems have none.
            file = h5py.File(self.path, "r", rdcc_nbytes=0, locking=False)
            self._open = process, _own_dataset(file, "values")
        return self._open[1]

    @cached_property
    def _index(self) -> _Index:
        file = self._values.file
        networks, epochs = _own_dataset(file, "networks"), _own_dataset(file, "epochs")
        shape = self._values.shape
        if len(shape) != 3 or (shape[:1], shape[:2]) != (networks.shape, epochs.shape):
            raise DamagedFileError(f"{self.path} is damaged: the sizes of its networks, epochs and values do not match")
        rows = {int(network): row for row, network in enumerate(networks[:])}
        slots = [{epoch: slot for slot, epoch in enumerate(kept) if epoch >= 0} for kept in epochs[:].tolist()]
        whole_network = self._values.chunks is not None and self._values.chunks[1] > 1
        return _Index(_own_parts(file, shape[2]), rows, slots, shape[2], whole_network)


def _own_dataset(file: h5py.File, name: str) -> h5py.Dataset:
    """A data set that is in this file itself. Links and storage that lead to other files are not followed.

    Raises
    ------
    DamagedFileError
        For a file without it, or with a larger one than a subset can have.
    """
    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        raise DamagedFileError(f"{file.filename} has no data set {name!r} stored in the file itself")
    found = file[name]
    if not isinstance(found, h5py.Dataset) or found.is_virtual or found.external:
        raise DamagedFileError(f"{file.filename} has no data set {name!r} stored in the file itself")
    if math.prod(found.shape[:2]) > MOST_SNAPSHOTS or math.prod(found.shape[2:]) > MOST_VALUES:
        raise DamagedFileError(f"{file.filename} gives {name!r} the shape {found.shape}: no subset is that large")
    return found


def _own_parts(file: h5py.File, values: int) -> dict[str, tuple[slice, tuple[int, ...]]]:
    """The place and shape of each part of a snapshot.

    Raises
    ------
    DamagedFileError
        If they are not given, or do not follow each other up to the end of a snapshot's values.
    """
    stated = file.attrs.get("parts")
    parts, end = {}, 0
    try:
        for name, offset, sizes in json.loads(stated):
            shape = tuple(map(operator.index, sizes))
            if offset != end or min(shape, default=0) < 0:
                raise ValueError(f"{name} has the place {offset} and the shape {shape}")
            end += math.prod(shape)
            parts[name] = slice(offset, end), shape
        if end != values:
            raise ValueError(f"they have {end} values")
    except (TypeError, ValueError, RecursionError) as reason:
        raise DamagedFileError(
            f"{file.filename} is damaged: its parts are {stated!r:.100}, but a snapshot has {values} values ({reason})"
        ) from reason
    return parts


def write_snapshot_arrays(
    path: Path,
    shapes: Mapping[str, tuple[int, ...]],
    epochs: Mapping[int, Sequence[int]],
    snapshots: Iterable[tuple[int, Iterable[Mapping[str, npt.ArrayLike]]]],
    *,
    mantissa_bits: int = FLOAT32_MANTISSA_BITS,
) -> None:
    """Write a file of snapshot arrays.

    ``shapes`` names the parts of a snapshot; ``epochs`` maps each network to its kept epochs, in order; ``snapshots`` yields
    (network, one mapping per epoch). All of a network's epochs are one chunk if they take up to 1 MiB: they are near copies
    of each other, and compress together. ``mantissa_bits`` rounds values to fewer bits than float32's 23.
    """
    values_count = sum(int(np.prod(shape)) for shape in shapes.values())
    slots = max(map(len, epochs.values()))
    rows = {network: row for row, network in enumerate(epochs)}
    table = np.full((len(epochs), slots), -1, dtype=np.int64)
    for network, kept in epochs.items():
        table[rows[network], : len(kept)] = kept
    whole_network = slots * values_count * 4 <= CHUNK_BYTES
    with written_whole(path) as partial, _Sink(partial) as sink, h5py.File(sink, "w") as file:
        values = file.create_dataset(
            "values",
            (len(epochs), slots, values_count),
            dtype=np.float32,
            fillvalue=np.nan,
            chunks=(1, slots, values_count) if whole_network else (1, 1, min(values_count, LARGEST_CHUNK_BYTES // 4)),
            **_compression(mantissa_bits),
        )
        offsets = np.concatenate([[0], np.cumsum([int(np.prod(shape)) for shape in shapes.values()])])
        parts = [(name, int(offset), list(shape)) for (name, shape), offset in zip(shapes.items(), offsets, strict=False)]
        file.attrs["parts"] = json.dumps(parts)
        file["networks"] = np.array(list(epochs), dtype=np.int64)
        file["epochs"] = table
        for network, kept_snapshots in snapshots:
            for slot, snapshot in enumerate(kept_snapshots):
                flat = np.concatenate([np.asarray(snapshot[name], dtype=np.float32).ravel() for name in shapes])
                values[rows[network], slot] = rounded(flat, mantissa_bits)
                sink.check()


class _Sink(io.RawIOBase):
    """A file for HDF5 to write to that never fails meanwhile, since HDF5 crashes the process if a disk is full. What could
    not be written is raised by `check`, and at the end.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("w+b", buffering=0)
        self._failure: OSError | None = None

    def __exit__(self, *raised: object) -> None:
        self.close()
        if not any(raised):
            self.check()

    def close(self) -> None:
        self._do(self._file.close)
        super().close()

    def check(self) -> None:
        """Raise the OSError of the first write that failed."""
        if self._failure is not None:
            raise self._failure

    def write(self, content: Any) -> int:
        left, end = memoryview(content), self._file.tell() + len(content)
        while self._failure is None and len(left):
            left = left[self._do(self._file.write, left) or 0 :]
        self._file.seek(end)
        return len(content)

    def truncate(self, size: int | None = None) -> int:
        self._do(self._file.truncate, size)
        return self._file.tell() if size is None else size

    def readinto(self, buffer: Any) -> int:
        found = self._file.readinto(buffer) or 0
        buffer[found:] = bytes(len(buffer) - found)
        return len(buffer)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def _do(self, act: Callable[..., int | None], *arguments: Any) -> int | None:
        try:
            return act(*arguments)
        except OSError as failure:
            self._failure = self._failure or failure
            return None


def _compression(mantissa_bits: int) -> hdf5plugin.Blosc2:
    # Values are rounded to be small, so rounded ones take zstd at the slow level 9. Of what was tried on digits-lenet (gzip,
    # lz4, bit shuffling) it was the smallest: 6.0 MB against 6.1 to 7.2. Values that are not rounded hardly compress. They
    # take the codec of Blosc2 that is read fastest, lz4 at level 9: 4% more bytes than zstd at 9, and written more than ten
    # times as fast.
    if mantissa_bits < FLOAT32_MANTISSA_BITS:
        return hdf5plugin.Blosc2(cname="zstd", clevel=9, filters=hdf5plugin.Blosc2.SHUFFLE)
    return hdf5plugin.Blosc2(cname="lz4", clevel=9, filters=hdf5plugin.Blosc2.BITSHUFFLE)


def rounded(values: npt.NDArray[np.float32], mantissa_bits: int) -> npt.NDArray[np.float32]:
    """Round float32 values to ``mantissa_bits`` of mantissa, to nearest; NaN and infinities stay."""
    dropped = FLOAT32_MANTISSA_BITS - mantissa_bits
    if dropped <= 0:
        return values
    bits = values.view(np.uint32)
    half = np.uint32(1 << (dropped - 1))
    kept = (bits + half) & np.uint32(~((1 << dropped) - 1) & 0xFFFFFFFF)
    return np.where(np.isfinite(values), kept.view(np.float32), values).astype(np.float32)
