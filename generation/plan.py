"""What a folder of runs holds: the subset's plan, written with the first network and binding for all later ones."""

from __future__ import annotations

import json
import platform
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from generation.grids import Grid, read_grid, spread_order
from generation.images import Images
from generation.runs import NetworkRun, write_whole
from generation.training import NetworkPlan
from nndynbench.subsets.catalogue import CatalogueEntry, catalogue_entry

RECORDED_LIBRARIES = ("torch", "numpy", "scipy")


class PlanMismatchError(ValueError):
    """A folder's networks were trained under another plan: going on would mix two zoos."""


@dataclass(frozen=True)
class SubsetPlan:
    """A subset's runs below ``DIR/<subset>/runs/``."""

    entry: CatalogueEntry
    grid: Grid
    folder: Path
    zoo_seed: int = 0
    kept_epochs: tuple[int, ...] = tuple(range(11))

    @cached_property
    def order(self) -> list[int]:
        """Network ids in the order of training: every prefix is spread over the grid."""
        return [int(network) for network in spread_order(self.grid.networks)]

    def network(self, network: int) -> NetworkPlan:
        recipe = self.grid.recipe(network)
        return NetworkPlan(self.entry.name, network, self.entry.architecture, recipe, self.zoo_seed, self.kept_epochs)

    def run(self, network: int) -> NetworkRun:
        return NetworkRun(self.folder / f"{network:04d}")

    def bind(self, images: Images) -> None:
        """Write the plan, or check that the folder's is the same.

        Raises
        ------
        PlanMismatchError
            Naming what differs: seed, grid, settings, or the content of the images.
        """
        here = self._facts(images)
        path = self.folder / "plan.json"
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            write_whole(path, json.dumps(here, indent=1).encode())
            return
        there = json.loads(path.read_text(encoding="utf-8"))
        for fact in here:
            if here[fact] != there.get(fact) and fact != "libraries":
                raise PlanMismatchError(
                    f"{self.folder} was begun with {fact} {there.get(fact)!r}, now it is {here[fact]!r}; "
                    "choose another --out, or the same settings and images"
                )

    def facts(self) -> dict[str, Any]:
        """The plan as it was written."""
        return dict(json.loads((self.folder / "plan.json").read_text(encoding="utf-8")))

    def _facts(self, images: Images) -> dict[str, Any]:
        return {
            "subset": self.entry.name,
            "architecture": self.entry.architecture,
            "zoo_seed": self.zoo_seed,
            "grid": self.grid.name,
            "protocol": self.grid.protocol,
            "settings": self.grid.settings,
            "kept_epochs": list(self.kept_epochs),
            "images": {"name": images.name, "digest": images.digest},
            "libraries": {library: version(library) for library in RECORDED_LIBRARIES}
            | {"python": platform.python_version()},
        }


def subset_plan(
    subset: str,
    out: Path,
    *,
    zoo_seed: int = 0,
    kept_epochs: tuple[int, ...] = tuple(range(11)),
    grid: str | None = None,
) -> SubsetPlan:
    """The plan of a subset of the catalogue, with its runs below ``out``; ``grid`` replaces the catalogue's."""
    entry = catalogue_entry(subset)
    folder = out / subset / "runs"
    return SubsetPlan(entry, read_grid(grid or entry.grid), folder, zoo_seed, kept_epochs)
