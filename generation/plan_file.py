"""``plan.json``: what a folder of runs was begun with, and what binds later training there. Only this module handles it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from nndynbench.errors import first_problem
from nndynbench.storage.files import DamagedFileError, write_whole
from nndynbench.storage.manifest import ImageFacts

PLAN_FILE = "plan.json"

Trainer = Literal["one by one", "side by side"]
ONE_BY_ONE: Trainer = "one by one"
SIDE_BY_SIDE: Trainer = "side by side"

# The libraries whose versions decide the bits of a network.
BINDING_LIBRARIES = ("torch", "numpy", "scipy")


# The options of `train` that decide a fact of the plan.
OPTIONS = {
    "zoo_seed": "--seed",
    "grid": "--grid",
    "networks": "--grid",
    "settings": "--grid and --precision",
    "kept_epochs": "--keep",
    "trainer": "--side-by-side",
    "device_kind": "--device",
}


class PlanFacts(BaseModel):
    """All that decides a subset's networks. ``device_kind`` binds unless it is None: until a GPU is known."""

    model_config = ConfigDict(frozen=True)

    subset: str
    architecture: str
    zoo_seed: int
    grid: str
    regime: str
    settings: dict[str, Any]
    networks: dict[str, list[Any]]
    """The grid's columns, by name."""
    kept_epochs: list[int]
    trainer: Trainer
    images: ImageFacts
    libraries: dict[str, str]
    device_kind: str | None = None

    @property
    def binding(self) -> dict[str, Any]:
        """The facts that must not change, by name; Python's own version, which is among the libraries, may."""
        facts = self.model_dump(exclude_none=True)
        facts["libraries"] = {library: bound(self.libraries.get(library)) for library in BINDING_LIBRARIES}
        return facts

    def has_more_networks_than(self, older: PlanFacts) -> bool:
        """Whether the networks are those of an older plan, as they were, and further ones after them."""
        return self.networks.keys() == older.networks.keys() and all(
            len(self.networks[column]) > len(values) and self.networks[column][: len(values)] == values
            for column, values in older.networks.items()
        )


def bound(version: str | None) -> str | None:
    """What binds of a library's version. The build of torch without GPUs (2.13.0+cpu) computes on CPUs as the usual one."""
    return version and version.removesuffix("+cpu")


def write_plan(folder: Path, facts: PlanFacts) -> None:
    """Write a folder's plan."""
    write_whole(folder / PLAN_FILE, facts.model_dump_json(indent=1, exclude_none=True))


def read_plan(folder: Path) -> PlanFacts:
    """The plan of a folder of runs, as it was written; raises `DamagedFileError` naming the file."""
    path = folder / PLAN_FILE
    try:
        return PlanFacts.model_validate_json(path.read_bytes())
    except ValidationError as invalid:
        raise DamagedFileError(f"{path} is damaged ({first_problem(invalid)}): {folder} cannot be read") from invalid
