"""A folder of one network's checkpoints, in anybody's files and naming, as graphs, centralities and signatures."""

from __future__ import annotations

import re
import zipfile
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

# The types of a safetensors file that weights may have.
FLOATS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}

# How torch files from before its zip format begin: a pickle does.
LEGACY_START = b"\x80"

# Where in a file's name its epoch stands; else it is a whole number (0.91 is none).
EPOCH = re.compile(r"(?i)(?<![a-z])ep(?:och)?[ _=.-]*(\d+)")
WHOLE_NUMBER = re.compile(r"(?<![\d])(?<!\d\.)\d+(?!\d|\.\d)")

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


def checkpoint_files(folder: Path | str) -> dict[int, Path]:
    """A folder's checkpoints by epoch, in this order; nothing is read.

    The epoch is the number behind ``epoch`` or ``ep`` in a file's name (``epoch=3-step=1173.ckpt``), else the one whole
    number in it that every file has another of (``model_10_acc0.91.pt``); where the names differ in no number, the file's
    position among the sorted names.

    Raises
    ------
    FileNotFoundError
        If the folder holds no such file.
    CheckpointError
        Where some names have an epoch and others have none or the same, or have several numbers that could be it.
    """
    suffixes = (*SAFETENSORS, *TORCH_FILES)
    paths = sorted(path for path in Path(folder).iterdir() if path.suffix in suffixes and path.is_file())
    if not paths:
        raise FileNotFoundError(f"{folder} holds no checkpoint: no file ends in {', '.join(suffixes)}")
    possible = _possible_epochs([path.stem for path in paths])
    if any(len(epochs) != 1 for epochs in possible) or len({*possible}) < len(paths):
        numbered = ", ".join(
            f"{path.name} ({' or '.join(map(str, epochs)) or 'none'})" for path, epochs in zip(paths, possible, strict=True)
        )
        raise CheckpointError(
            f"which epochs are the checkpoints in {folder}? Each name needs one number of its own (epoch_10): {numbered}"
        )
    return {epoch: path for (epoch,), path in sorted(zip(possible, paths, strict=True))}


def _possible_epochs(names: list[str]) -> list[tuple[int, ...]]:
    """By file name, the numbers that could be its epoch."""
    named = [EPOCH.findall(name) for name in names]
    if all(named):
        return [(int(found[-1]),) for found in named]
    numbers = [tuple(map(int, WHOLE_NUMBER.findall(name))) for name in names]
    if len(names) == 1:
        return [numbers[0][-1:] or (0,)]
    if len({*names}) == len(names) and len({tuple(re.findall(r"\d+", name)) for name in names}) == 1:
        return [(position,) for position in range(len(names))]
    if len({*map(len, numbers)}) > 1:
        return [() for _ in names]
    telling = dict.fromkeys(column for column in zip(*numbers, strict=True) if len({*column}) == len(names))
    return list(zip(*telling, strict=True)) if telling else [found[-1:] for found in numbers]


def read_checkpoint(path: Path, name: str | Architecture) -> Weights:
    """One checkpoint's weights by the architecture's names, in float32.

    A safetensors file, or a torch file of a state dict, which is read with ``weights_only=True``: nothing is unpickled.
    Tensors may be named in any way that `nndynbench.graphs.renamed` can map.

    Raises
    ------
    CheckpointError
        Naming the file, if it cannot be read or mapped, and why.
    """
    try:
        ours = renamed(_read(path), name)
        return {key: as_array(value).astype(np.float32) for key, value in ours.items()}
    except (NamingError, TypeError) as reason:  # a TypeError for what is no dense tensor
        raise CheckpointError(f"{path}: {reason}") from reason


def checkpoints(folder: Path | str, name: str | Architecture) -> Iterator[Checkpoint]:
    """Read a folder's checkpoints in the order of their epochs, one at a time.

    Raises what `checkpoint_files` and `read_checkpoint` raise.
    """
    described = architecture(name)
    for epoch, path in checkpoint_files(folder).items():
        yield Checkpoint(epoch, path, read_checkpoint(path, described))


def convert(folder: Path | str, name: str | Architecture, out: Path | str) -> pd.DataFrame:
    """Convert a folder of checkpoints, laid out as a subset's files: ``graphs.h5`` (the rolled graph's blocks),
    ``centralities.h5`` and ``signatures.parquet`` in ``out``, all of network 0.

    Returns the signatures: by (network, epoch, representation, sign, centrality) the five moments. Raises what
    `checkpoints` raises; then no file is left behind.
    """
    described = architecture(name)
    epochs = {NETWORK: list(checkpoint_files(folder))}
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


def _read(path: Path) -> dict[str, Any]:
    if path.suffix in SAFETENSORS:
        from safetensors import SafetensorError, deserialize

        try:
            stored = deserialize(path.read_bytes())  # type: ignore[no-untyped-call]
        except SafetensorError as reason:
            raise CheckpointError(f"{path} is no safetensors file: {reason}") from reason
        return {key: _floats(part) for key, part in stored if part["dtype"] in FLOATS}
    try:
        import torch
    except ImportError as missing:
        raise CheckpointError(f"{path} is a torch file: install torch, or save the state dict as safetensors") from missing
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as reason:  # torch raises whatever its readers do
        if not zipfile.is_zipfile(path) and path.read_bytes()[:1] != LEGACY_START:
            raise CheckpointError(f"{path} is no torch file, or cut short") from reason
        raise CheckpointError(
            f"{path} holds no plain state dict that torch reads with weights_only=True (nothing is unpickled): save "
            f"model.state_dict(), not the model; torch says: {next(iter(str(reason).splitlines()), type(reason).__name__)}"
        ) from reason
    if not isinstance(checkpoint, dict):
        raise CheckpointError(f"{path} holds a {type(checkpoint).__name__}, not a state dict")
    return checkpoint


def _floats(part: dict[str, Any]) -> npt.NDArray[np.floating[Any]]:
    """A tensor of a safetensors file. numpy has no bfloat16: it is the upper half of a float32."""
    values = np.frombuffer(part["data"], FLOATS[part["dtype"]])
    if part["dtype"] == "BF16":
        values = (values.astype(np.uint32) << 16).view(np.float32)
    return values.reshape(part["shape"])
