"""A zoo of a grid of one's own under a name of one's own, beside the catalogue's: what takes the place of its entry."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

from nndynbench.graphs import architecture
from nndynbench.packing import check_own_name
from nndynbench.storage.files import user_path, written_whole
from nndynbench.subsets.catalogue import CatalogueEntry, catalogue_entry

ARCHITECTURE_FILE = "architecture.toml"

# In a grid's file: the subset whose images, and without another whose architecture, it trains.
LIKE = "like"

VERSION = "1.0.0"


class OwnZooError(ValueError):
    """A zoo of one's own of which something is not said, or that a folder holds otherwise."""


def own_entry(name: str, runs: Path, *, grid: str | None, like: str | None, described: str | None) -> CatalogueEntry:
    """The entry of a zoo called ``name`` whose runs are in a folder.

    ``grid`` is the path of its grid; ``like`` a subset whose images it is trained on, by default the one that the grid's
    file names, and whose architecture, unless the file ``described`` has another (see `with_architecture_kept`).

    Raises
    ------
    PackError
        For a name that a pack cannot have.
    OwnZooError
        Where no grid or no images are said, and for runs of another architecture.
    ArchitectureError, UnknownNameError
        For a file that describes no architecture, and for a subset that does not exist.
    """
    check_own_name(name, beside=runs.parent.parent)
    if grid is None or not grid.endswith(".toml"):
        raise OwnZooError(f"{name} needs a grid of its own: --grid FILE.toml")
    stated = tomllib.loads(user_path(grid).read_text(encoding="utf-8"))
    base = like or stated.get(LIKE)
    if base is None:
        raise OwnZooError(f'which images is {name} trained on? Name a subset that is: {LIKE} = "digits-lenet" in {grid}')
    entry = catalogue_entry(base)
    own = entry.architecture if described is None else str(_same(user_path(described), runs / ARCHITECTURE_FILE))
    summary = f"{architecture(own).name} on the images of {entry.name}, by the grid {Path(grid).stem}"
    return CatalogueEntry(name, own, entry.images, grid, "median", VERSION, summary)


def with_architecture_kept(entry: CatalogueEntry, runs: Path) -> CatalogueEntry:
    """The entry, reading a copy beside the runs of the file that describes its architecture: what a user does to the file
    afterwards changes no run.
    """
    if not entry.architecture.endswith(".toml"):
        return entry
    copy = runs / ARCHITECTURE_FILE
    if not copy.is_file():
        with written_whole(copy) as partial:
            partial.write_bytes(Path(entry.architecture).read_bytes())
    return replace(entry, architecture=str(copy))


def begun_entry(name: str, runs: Path, *, described: str, images: str, grid: str) -> CatalogueEntry:
    """The entry of a zoo of one's own that was begun, by what its plan says."""
    own = str(runs / ARCHITECTURE_FILE) if described == ARCHITECTURE_FILE else described
    summary = f"{architecture(own).name} on {images}, by the grid {grid}"
    return CatalogueEntry(name, own, images, grid, "median", VERSION, summary)


def _same(file: Path, copy: Path) -> Path:
    """The file; raises `OwnZooError` where the runs have a copy that says otherwise."""
    described = architecture(file)
    if copy.is_file() and architecture(copy) != described:
        raise OwnZooError(f"{copy.parent} was begun with another architecture: choose another --out or --name")
    return file
