"""Snapshot arrays in HDF5: one flat data set (network, slot, value), for weights, graph blocks and centralities.

A slot is one kept epoch of a network; ``epochs`` says which (−1: none, its values are NaN). Names, offsets and shapes of
the parts of a snapshot are in the attributes. One data set per layer would read at 0.09 GB/s, a flat one at 3.7.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import numpy.typing as npt

from nndynbench.storage.files import written_whole

FLOAT32_MANTISSA_BITS = 23
CHUNK_BYTES = 1 << 20

Snapshot = dict[str, npt.NDArray[np.float32]]


class SnapshotArrays:
    """Reader of one file. The file is opened for each read, so it is safe in forked and spawned workers."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def _index(self) -> tuple[dict[str, tuple[int, tuple[int, ...]]], dict[int, int], npt.NDArray[np.int64]]:
        with h5py.File(self.path, "r") as file:
            parts = {name: (offset, tuple(shape)) for name, offset, shape in json.loads(file.attrs["parts"])}
            return parts, {int(n): row for row, n in enumerate(file["networks"][:])}, file["epochs"][:]

    @property
    def networks(self) -> list[int]:
        return list(self._index[1])

    def epochs(self, network: int) -> list[int]:
        """The epochs whose snapshots of this network are here."""
        _, rows, epochs = self._index
        return [int(epoch) for epoch in epochs[rows[network]] if epoch >= 0] if network in rows else []

    def read(self, network: int, epochs: Sequence[int]) -> npt.NDArray[np.float32]:
        """The flat values of some epochs of a network, (epochs, values), in one read of the file."""
        _, rows, kept = self._index
        slots = [int(np.flatnonzero(kept[rows[network]] == epoch)[0]) for epoch in epochs]
        with h5py.File(self.path, "r") as file:
            span = file["values"][rows[network], min(slots) : max(slots) + 1]
        return np.asarray(span[[slot - min(slots) for slot in slots]])

    def parts(self, values: npt.NDArray[np.float32]) -> Snapshot:
        """Flat values (..., values) as their named parts (..., *shape)."""
        parts, _, _ = self._index
        stack = values.shape[:-1]
        return {
            name: values[..., offset : offset + int(np.prod(shape))].reshape(*stack, *shape)
            for name, (offset, shape) in parts.items()
        }


def write_snapshot_arrays(
    path: Path,
    shapes: Mapping[str, tuple[int, ...]],
    epochs: Mapping[int, Sequence[int]],
    snapshots: Iterable[tuple[int, Iterable[Mapping[str, npt.ArrayLike]]]],
    *,
    mantissa_bits: int = FLOAT32_MANTISSA_BITS,
) -> None:
    """Write a file of snapshot arrays.

    ``shapes`` names the parts of a snapshot; ``epochs`` maps each network to the epochs it has, in order; ``snapshots``
    yields (network, one mapping per epoch). A chunk is all of a network's epochs where they are under 1 MB: near copies
    of each other, they compress together. ``mantissa_bits`` rounds values to fewer bits than float32's 23.
    """
    values_count = sum(int(np.prod(shape)) for shape in shapes.values())
    slots = max(map(len, epochs.values()))
    rows = {network: row for row, network in enumerate(epochs)}
    table = np.full((len(epochs), slots), -1, dtype=np.int64)
    for network, kept in epochs.items():
        table[rows[network], : len(kept)] = kept
    whole_network = slots * values_count * 4 <= CHUNK_BYTES
    with written_whole(path) as partial, h5py.File(partial, "w") as file:
        values = file.create_dataset(
            "values",
            (len(epochs), slots, values_count),
            dtype=np.float32,
            fillvalue=np.nan,
            chunks=(1, slots if whole_network else 1, values_count),
            # Of what was tried on digits-lenet (gzip, lz4, bit shuffling) the smallest: 6.0 MB against 6.1 to 7.2.
            **hdf5plugin.Blosc2(cname="zstd", clevel=9, filters=hdf5plugin.Blosc2.SHUFFLE),
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


def rounded(values: npt.NDArray[np.float32], mantissa_bits: int) -> npt.NDArray[np.float32]:
    """Round float32 values to ``mantissa_bits`` of mantissa, to nearest; NaN and infinities stay."""
    dropped = FLOAT32_MANTISSA_BITS - mantissa_bits
    if dropped <= 0:
        return values
    bits = values.view(np.uint32)
    half = np.uint32(1 << (dropped - 1))
    kept = (bits + half) & np.uint32(~((1 << dropped) - 1) & 0xFFFFFFFF)
    return np.where(np.isfinite(values), kept.view(np.float32), values).astype(np.float32)
