"""Writes the parts that every packed version has, whoever packs it: its splits, its tiers of arrays, its manifest."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nndynbench.progress import tracked
from nndynbench.storage.arrays import FLOAT32_MANTISSA_BITS, write_snapshot_arrays
from nndynbench.storage.files import write_whole
from nndynbench.storage.manifest import MANIFEST_NAME, Manifest
from nndynbench.storage.tables import SPLITS_FILE


def write_splits(
    folder: Path, folds: Mapping[str, Sequence[tuple[Sequence[int], Sequence[int]]]], left_out: Mapping[str, str]
) -> None:
    """Write ``splits.json``: each split's folds as ids of training and test networks, and why other splits are left out."""
    named = {name: [{"train": train, "test": test} for train, test in parts] for name, parts in folds.items()}
    write_whole(folder / SPLITS_FILE, json.dumps({"folds": named, "left_out": left_out}))


def write_tier(
    path: Path,
    kept: Mapping[int, Sequence[int]],
    read: Callable[[int, int], Mapping[str, npt.ArrayLike]],
    *,
    mantissa_bits: int = FLOAT32_MANTISSA_BITS,
) -> None:
    """Write one HDF5 tier. ``kept`` maps networks to their epochs; ``read`` gives the named arrays of a network at an epoch.
    A network may have no epochs, but not all of them.
    """
    first = next(network for network, epochs in kept.items() if epochs)
    shapes = {name: np.shape(part) for name, part in read(first, kept[first][0]).items()}
    snapshots = (
        (network, (read(network, epoch) for epoch in epochs))
        for network, epochs in tracked(kept.items(), f"packing {path.stem}")
    )
    write_snapshot_arrays(path, shapes, kept, snapshots, mantissa_bits=mantissa_bits)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write ``subset.json``. Fields that only packs of one's own runs have are left out if empty, so that every version
    reads it.
    """
    own = {name for name in ("network", "notes") if not getattr(manifest, name)}
    write_whole(folder / MANIFEST_NAME, manifest.model_dump_json(indent=1, exclude=own))
