"""Converts a folder of one network's checkpoints, in anybody's files and naming, to graphs, centralities and signatures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import pandas as pd

from nndynbench.arrays import as_array
from nndynbench.centralities import MOMENTS
from nndynbench.checkpoints import CheckpointError, CheckpointFolder, EpochOptions, read_content, read_folder
from nndynbench.graphs import Architecture, NamingError, SnapshotsOnDemand, Weights, architecture, renamed
from nndynbench.own_run import OwnRun
from nndynbench.signatures import snapshot_signatures
from nndynbench.storage.arrays import write_snapshot_arrays
from nndynbench.storage.files import user_path
from nndynbench.storage.tables import KEYS, write_table
from nndynbench.subsets.reader import Reader

if TYPE_CHECKING:
    from nndynbench.storage.arrays import Snapshot

# A folder of checkpoints is one network.
NETWORK = 0


def read_checkpoint(path: Path, name: str | Architecture) -> Weights:
    """One checkpoint's weights by the architecture's names, in float32.

    The file is a safetensors file, or a torch file of a state dict, which is read with ``weights_only=True``: nothing is
    unpickled. Tensors may be named in any way that `nndynbench.graphs.renamed` can map.

    Raises
    ------
    CheckpointError
        If the file cannot be read or mapped, naming it and saying why.
    """
    try:
        ours = renamed(read_content(path), name)
        return {key: as_array(value).astype(np.float32) for key, value in ours.items()}
    except (NamingError, TypeError) as reason:  # a TypeError for what is no dense tensor
        raise CheckpointError(f"{path}: {reason}") from reason


def snapshots_on_demand(folder: CheckpointFolder, name: str | Architecture) -> SnapshotsOnDemand:
    """A folder's checkpoints by epoch; each file is read when it is asked for.

    Raises what `CheckpointFolder.by_epoch` and `read_checkpoint` raise.
    """
    files, described = folder.by_epoch(), architecture(name)
    return SnapshotsOnDemand(files, lambda epoch: read_checkpoint(files[epoch], described))


def convert(folder: Path | str, name: str | Architecture, out: Path | str, **options: Unpack[EpochOptions]) -> pd.DataFrame:
    """Convert a folder of checkpoints to files that are laid out as a subset's: ``graphs.h5`` (the rolled graph's blocks),
    ``centralities.h5`` and ``signatures.parquet`` in ``out``, all of network 0.

    Returns the signatures: the five moments by (network, epoch, representation, sign, centrality). The options are those of
    `nndynbench.checkpoints.read_folder`. Raises what that and `snapshots_on_demand` raise; then no file is left behind.
    """
    described = architecture(name)
    weights = snapshots_on_demand(read_folder(folder, **options), described)
    reader = Reader(OwnRun(described, weights, where=str(folder)))
    centralities: list[Snapshot] = []
    rows: list[tuple[Any, ...]] = []

    def graphs() -> Iterator[Snapshot]:
        for epoch, snapshot in weights.items():
            centralities.append(reader.snapshot("centralities", epoch))
            rows.extend((NETWORK, epoch, *key, *values) for key, values in snapshot_signatures(snapshot, described).items())
            yield reader.snapshot("graphs", epoch)

    epochs = {NETWORK: list(weights)}
    target = user_path(out)
    target.mkdir(parents=True, exist_ok=True)
    block_shapes = {layer.name: (layer.output_shape[0], layer.input_shape[0]) for layer in described.weighted_layers}
    write_snapshot_arrays(target / "graphs.h5", block_shapes, epochs, [(NETWORK, graphs())])
    node_shapes = {part: values.shape for part, values in centralities[0].items()}
    write_snapshot_arrays(target / "centralities.h5", node_shapes, epochs, [(NETWORK, centralities)])
    table = pd.DataFrame(rows, columns=[*KEYS["signatures"], *MOMENTS]).set_index(KEYS["signatures"])
    write_table(target, "signatures", table)
    return table
