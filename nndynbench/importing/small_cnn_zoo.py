"""Reads the Small CNN Zoo (Unterthiner, Keysers, Gelly, Bousquet & Tolstikhin 2020, arXiv 2002.11448) as published.

Each image set has a folder: ``weights.npy`` (runs and steps, 4,970 values), ``metrics.csv.gz`` with a row for each row of
the weights, and ``layout.csv`` with a row for each tensor: its name, the ``start_idx`` and ``end_idx`` of its values, and
its shape.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from nndynbench.graphs import SnapshotsOnDemand, Weights
from nndynbench.graphs.describing import describe
from nndynbench.importing.records import ZooLayoutError, record_of
from nndynbench.recording import Run
from nndynbench.recording.layouts import from_channels_last
from nndynbench.recording.record import RunRecord
from nndynbench.storage.files import user_path

WEIGHTS_FILE, METRICS_FILE, LAYOUT_FILE = "weights.npy", "metrics.csv.gz", "layout.csv"

# Columns of the metrics; all other "config." ones are hyperparameters.
STEP, FOLDER = "step", "modeldir"
CONFIG = "config."
LOSS, TRAIN, TEST = "train_loss", "train_accuracy", "test_accuracy"

# Entries of the configuration that say nothing about the training, or are the same in all runs.
NO_HYPERPARAMETERS = ("dataset", "epochs", "epochs_between_checkpoints", "random_seed", "seed", "num_classes")

# Steps are epochs. Snapshots of these count as early, and are read.
EARLY = range(6)


def small_cnn_zoo_runs(folder: str | Path, *, runs: int | None = None) -> Iterator[Run]:
    """The runs of one image set of the Small CNN Zoo, in the order of the metrics; with ``runs``, only this many.

    Steps 0, 1, 2 and 3 are epochs with a snapshot. Later steps are not one per epoch, so neither their curves nor their
    snapshots are read; the outcome is the test accuracy at the last step. There is no validation half, so
    ``validation_accuracy`` is missing: the test accuracy of an epoch in its place would be of the outcome's own images. All
    runs share one seed. A run has diverged if its loss is not finite at step 1, 2 or 3, and its curves end before that;
    later steps are not looked at.

    Raises
    ------
    ZooLayoutError
        For a missing file or column, and for weights that do not fit the metrics or the layout.
    """
    root = user_path(folder)
    metrics = _metrics(root)
    layout = _layout(root)
    weights = np.load(_file(root, WEIGHTS_FILE), mmap_mode="r")
    if len(weights) != len(metrics):
        raise ZooLayoutError(f"{root}: {WEIGHTS_FILE} has {len(weights)} row(s), but {METRICS_FILE} has {len(metrics)}")
    if (ends := int(layout["end_idx"].max())) > weights.shape[1]:
        raise ZooLayoutError(
            f"{root}: {LAYOUT_FILE} ends at value {ends}, but a row of {WEIGHTS_FILE} at {weights.shape[1]}"
        )
    description: dict[str, Any] | None = None
    for place, (name, rows) in enumerate(metrics.groupby(FOLDER, sort=False)):
        if place == runs:
            return
        rows = rows.sort_values(STEP)
        early = {int(step): int(row) for row, step in zip(rows.index, rows[STEP], strict=True) if step in EARLY}
        snapshots = SnapshotsOnDemand(early, partial(_read, weights, early, layout))
        if description is None:
            first = snapshots[min(snapshots)]
            description = describe(first, name="small-cnn-zoo").description
        yield Run(root / Path(str(name)).name, _record(rows, description), weights=snapshots, name=str(name))


def _read(weights: npt.NDArray[Any], rows: Mapping[int, int], layout: pd.DataFrame, epoch: int) -> Weights:
    """The snapshot of an epoch: one row of the weights."""
    values = np.asarray(weights[rows[epoch]], dtype=np.float32)
    tensors: dict[str, dict[str, npt.NDArray[Any]]] = {}
    tensor: Any
    for tensor in layout.itertuples():
        layer, _, part = str(tensor.varname).removesuffix(":0").rpartition("/")
        layer = layer.replace("sequential/", "")
        tensors.setdefault(layer, {})[part] = values[tensor.start_idx : tensor.end_idx].reshape(tensor.shape)
    return from_channels_last({layer: (parts["kernel"], parts.get("bias")) for layer, parts in tensors.items()})


def _record(rows: pd.DataFrame, description: dict[str, Any]) -> RunRecord:
    """The record of one run; ``rows`` are its steps, in order."""
    configuration = {
        name.removeprefix(CONFIG): rows[name].iloc[0]
        for name in map(str, rows.columns)
        if name.startswith(CONFIG) and name.removeprefix(CONFIG) not in NO_HYPERPARAMETERS
    }
    plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in configuration.items()}
    curves = []
    for epoch, (_, row) in enumerate(rows[rows[STEP] > 0].iterrows(), start=1):
        if row[STEP] != epoch:
            break  # later steps are not one per epoch
        curves.append({"epoch": epoch, "train_loss": float(row[LOSS]), "train_accuracy": 100 * float(row[TRAIN])})
    hyperparameters = {name: value for name, value in plain.items() if isinstance(value, (int, float, str))}
    return record_of(description, hyperparameters, curves, test_fraction=float(rows[TEST].iloc[-1]))


def _metrics(root: Path) -> pd.DataFrame:
    path = _file(root, METRICS_FILE)
    metrics = pd.read_csv(path)
    if missing := [column for column in (STEP, FOLDER, LOSS, TRAIN, TEST) if column not in metrics]:
        raise ZooLayoutError(f"{path} has no column {', '.join(missing)} (it has {', '.join(map(str, metrics))})")
    return metrics


def _layout(root: Path) -> pd.DataFrame:
    path = _file(root, LAYOUT_FILE)
    layout = pd.read_csv(path)
    if missing := [column for column in ("varname", "start_idx", "end_idx", "shape") if column not in layout]:
        raise ZooLayoutError(f"{path} has no column {', '.join(missing)} (it has {', '.join(map(str, layout))})")
    layout["shape"] = [tuple(int(size) for size in str(shape).strip("()[] ,").split(",")) for shape in layout["shape"]]
    return layout


def _file(root: Path, name: str) -> Path:
    if not (root / name).is_file():
        raise ZooLayoutError(f"{root} is not an image set of the Small CNN Zoo: it has no {name}")
    return root / name
