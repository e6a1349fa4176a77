"""The entries of zoos of one's own: a user's grid, under a name of its own that is not in the catalogue."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from generation.architectures import build_module, initialise
from generation.grids import stated
from nndynbench.errors import NndynbenchError
from nndynbench.graphs import Architecture, architecture
from nndynbench.packing import check_own_name
from nndynbench.storage.files import user_path, write_whole
from nndynbench.subsets.catalogue import CatalogueEntry, catalogue_entry

ARCHITECTURE_FILE = "architecture.toml"

# The key in a grid's file that names a subset: the zoo has its images and, unless another is given, its architecture.
LIKE = "like"

VERSION = "1.0.0"


class OwnZooError(NndynbenchError, ValueError):
    """A zoo of one's own that is not fully specified, or that its folder was begun with otherwise."""


def own_entry(name: str, runs: Path, *, grid: str | None, like: str | None, described: str | None) -> CatalogueEntry:
    """The entry of a zoo called ``name`` with its runs in the folder ``runs``.

    ``grid`` is the path of its grid. ``like`` is a subset, by default the one that the grid's file names: the zoo has its
    images and its architecture, unless the file ``described`` describes another (see `with_architecture_kept`).

    Raises
    ------
    PackError
        For a name that a pack cannot have.
    OwnZooError
        If no grid or no images are named, if the architecture cannot be trained, or if the runs are of another one.
    ArchitectureError, GridError, UnknownNameError
        For a file that describes no architecture, or is no grid, or a subset that does not exist.
    """
    check_own_name(name, beside=runs.parent.parent)
    if grid is None or not grid.endswith(".toml"):
        raise OwnZooError(f"{name} needs a grid of its own: --grid FILE.toml")
    base = like or stated(Path(grid).stem, user_path(grid)).get(LIKE)
    if base is None:
        raise OwnZooError(f'name a subset with the images that {name} is trained on: {LIKE} = "digits-lenet" in {grid}')
    entry = catalogue_entry(base)
    own = entry.architecture if described is None else str(_same(user_path(described), runs / ARCHITECTURE_FILE))
    ours, fitting = architecture(own), architecture(entry.architecture)
    if (ours.input_shape, ours.classes) != (fitting.input_shape, fitting.classes):
        raise OwnZooError(
            f"{ours.name} has the input_shape {list(ours.input_shape)} and {ours.classes} classes, but the images of "
            f"{entry.name} have {list(fitting.input_shape)} and {fitting.classes}"
        )
    if described is not None:
        _check_trainable(ours)
    summary = f"{ours.name} on the images of {entry.name}, by the grid {Path(grid).stem}"
    return CatalogueEntry(name, own, entry.images, grid, "median", VERSION, summary)


def with_architecture_kept(entry: CatalogueEntry, runs: Path) -> CatalogueEntry:
    """The entry, with the file that describes its architecture copied beside the runs and read from there: what a user does
    to the file afterwards changes no run.
    """
    if not entry.architecture.endswith(".toml"):
        return entry
    copy = runs / ARCHITECTURE_FILE
    if not copy.is_file():
        write_whole(copy, Path(entry.architecture).read_bytes())
    return replace(entry, architecture=str(copy))


def begun_entry(name: str, runs: Path, *, described: str, images: str, grid: str) -> CatalogueEntry:
    """The entry of a zoo of one's own that was begun already, from what its plan says."""
    own = str(runs / ARCHITECTURE_FILE) if described == ARCHITECTURE_FILE else described
    summary = f"{architecture(own).name} on {images}, by the grid {grid}"
    return CatalogueEntry(name, own, images, grid, "median", VERSION, summary)


def _same(file: Path, copy: Path) -> Path:
    """The file; raises `OwnZooError` if the copy beside the runs describes another architecture."""
    described = architecture(file)
    if copy.is_file() and architecture(copy) != described:
        raise OwnZooError(
            f"{copy.parent} was begun with another architecture: choose another name or folder, or remove {copy.parent}"
        )
    return file


def _check_trainable(described: Architecture) -> None:
    """Build the module and show it two images: the runs are bound to an architecture before a worker builds it."""
    try:
        module = build_module(described)
        initialise(module, described, seed=0)
        with torch.no_grad():
            shape = tuple(module(torch.zeros(2, *described.input_shape)).shape)
    except (KeyError, RuntimeError, ValueError) as reason:
        why = reason.args[0] if isinstance(reason, KeyError) else reason
        raise OwnZooError(f"{described.name} cannot be trained: {why}") from reason
    if shape != (2, described.classes):
        raise OwnZooError(
            f"{described.name} cannot be trained: two images give outputs of the shape {list(shape)}, not [2, "
            f"{described.classes}]; its last layer with weights must be of kind fc, with units = {described.classes}"
        )
