"""A folder of one network's checkpoints, in anybody's files and naming, as graphs, centralities and signatures."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from nndynbench.centralities import MOMENTS
from nndynbench.graphs import Architecture, NamingError, Weights, architecture, renamed, rolled
from nndynbench.graphs.weights import as_array
from nndynbench.signatures import CENTRALITIES, snapshot_signatures
from nndynbench.storage.arrays import write_snapshot_arrays
from nndynbench.storage.tables import KEYS, write_table

SAFETENSORS = (".safetensors",)
TORCH_FILES = (".pt", ".pth", ".bin", ".ckpt")

FloatArray = npt.NDArray[np.floating[Any]]

# A folder of checkpoints is one network.
NETWORK = 0


class CheckpointError(ValueError):
    """A checkpoint that cannot be read, or is of another architecture; the message names the file."""


class Checkpoint(NamedTuple):
    """One checkpoint: its epoch, its file, and its weights by the architecture's names."""

    epoch: int
    path: Path
    weights: Weights


def checkpoints(folder: Path | str, name: str | Architecture) -> Iterator[Checkpoint]:
    """Read a folder's checkpoints in the order of their epochs, one at a time.

    Files are safetensors, or torch files of a state dict, which are read with ``weights_only=True``: nothing is unpickled.
    The epoch is the last number in a file's name where every file has one of its own (``epoch_10.pt``), else the file's
    position among the sorted names. Tensors may be named in any way that `nndynbench.graphs.renamed` can map.

    Raises
    ------
    FileNotFoundError
        If the folder holds no such file.
    CheckpointError
        Naming the file that cannot be read or mapped, and why.
    """
    described = architecture(name)
    for epoch, path in _epochs(Path(folder)).items():
        try:
            ours = renamed(_read(path), described)
        except NamingError as reason:
            raise CheckpointError(f"{path}: {reason}") from reason
        yield Checkpoint(epoch, path, {key: as_array(value).astype(np.float32) for key, value in ours.items()})


def convert(folder: Path | str, name: str | Architecture, out: Path | str) -> pd.DataFrame:
    """Convert a folder of checkpoints, laid out as a subset's files: ``graphs.h5`` (the rolled graph's blocks),
    ``centralities.h5`` and ``signatures.parquet`` in ``out``, all of network 0.

    Returns the signatures: by (network, epoch, representation, sign, centrality) the five moments. Raises what
    `checkpoints` raises; then no file is left behind.
    """
    described = architecture(name)
    epochs = {NETWORK: list(_epochs(Path(folder)))}
    centralities: list[dict[str, FloatArray]] = []
    rows: list[tuple[Any, ...]] = []

    def graphs() -> Iterator[dict[str, FloatArray]]:
        for epoch, _, weights in checkpoints(folder, described):
            graph = rolled(weights, described)
            centralities.append({name: function(graph.blocks) for name, function in CENTRALITIES.items()})
            rows.extend((NETWORK, epoch, *key, *values) for key, values in snapshot_signatures(weights, described).items())
            yield dict(zip(graph.layers[1:], graph.blocks, strict=True))  # type: ignore[arg-type]

    target = Path(out)
    target.mkdir(parents=True, exist_ok=True)
    block_shapes = {layer.name: (layer.output_shape[0], layer.input_shape[0]) for layer in described.weighted_layers}
    write_snapshot_arrays(target / "graphs.h5", block_shapes, epochs, [(NETWORK, graphs())])
    node_shapes = {part: values.shape for part, values in centralities[0].items()}
    write_snapshot_arrays(target / "centralities.h5", node_shapes, epochs, [(NETWORK, centralities)])
    table = pd.DataFrame(rows, columns=[*KEYS["signatures"], *MOMENTS]).set_index(KEYS["signatures"])
    write_table(target, "signatures", table)
    return table


def _epochs(folder: Path) -> dict[int, Path]:
    paths = sorted(path for path in folder.iterdir() if path.suffix in (*SAFETENSORS, *TORCH_FILES))
    if not paths:
        raise FileNotFoundError(f"{folder} holds no checkpoint: no file ends in {', '.join((*SAFETENSORS, *TORCH_FILES))}")
    numbers = [re.findall(r"\d+", path.stem) for path in paths]
    last = [int(found[-1]) for found in numbers if found]
    epochs = last if len(set(last)) == len(paths) else range(len(paths))
    return dict(sorted(zip(epochs, paths, strict=True)))


def _read(path: Path) -> dict[str, Any]:
    if path.suffix in SAFETENSORS:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            return dict(load_file(path))
        except SafetensorError as reason:
            raise CheckpointError(f"{path} is no safetensors file: {reason}") from reason
    try:
        import torch
    except ImportError as missing:
        raise CheckpointError(f"{path} is a torch file: install torch, or save the state dict as safetensors") from missing
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as reason:  # torch raises whatever its readers do
        raise CheckpointError(
            f"{path} holds no plain state dict that torch reads with weights_only=True (nothing is unpickled): save "
            f"model.state_dict(), not the model; torch says: {str(reason).splitlines()[0]}"
        ) from reason
    if not isinstance(checkpoint, dict):
        raise CheckpointError(f"{path} holds a {type(checkpoint).__name__}, not a state dict")
    return checkpoint
