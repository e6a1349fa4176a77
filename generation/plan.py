"""What a folder of runs holds: the subset's plan, written with the first network and binding for all later ones."""

from __future__ import annotations

import platform
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from generation.device import CPU, device_kind
from generation.grids import PRECISIONS, Grid, GridError, read_grid, spread_order
from generation.images import SIZES, Images
from generation.own import ARCHITECTURE_FILE, begun_entry
from generation.plan_file import (
    BINDING_LIBRARIES,
    ONE_BY_ONE,
    OPTIONS,
    PLAN_FILE,
    SIDE_BY_SIDE,
    PlanFacts,
    Trainer,
    read_plan,
    write_plan,
)
from generation.runs import NetworkRun
from generation.training import NetworkPlan
from nndynbench.errors import NndynbenchError
from nndynbench.graphs import architecture
from nndynbench.names import check_name
from nndynbench.storage.files import locked, user_path
from nndynbench.storage.manifest import KEPT_BY_DEFAULT, ImageFacts
from nndynbench.subsets.catalogue import CatalogueEntry, catalogue, catalogue_entry

__all__ = [
    "BINDING_LIBRARIES",
    "KEPT_EPOCHS",
    "ONE_BY_ONE",
    "PLAN_FILE",
    "SIDE_BY_SIDE",
    "NoRunsError",
    "PlanMismatchError",
    "SubsetPlan",
    "Trainer",
    "begun_plan",
    "runs_folder",
    "subset_plan",
]

KEPT_EPOCHS = tuple(range(KEPT_BY_DEFAULT + 1))


class PlanMismatchError(NndynbenchError, ValueError):
    """A folder's networks were trained under another plan: going on would mix two zoos."""


class NoRunsError(NndynbenchError, FileNotFoundError):
    """A folder in which nothing was trained yet."""


@dataclass(frozen=True)
class SubsetPlan:
    """A subset's runs below ``DIR/<subset>/runs/``.

    ``trainer`` and ``device`` decide the bits of every network, as the grid and the seed do, so they bind too: training
    side by side draws other dropout masks, and a GPU is another kind of device. The model of a CPU does not bind; records
    name it.
    """

    entry: CatalogueEntry
    grid: Grid
    folder: Path
    zoo_seed: int = 0
    kept_epochs: tuple[int, ...] = KEPT_EPOCHS
    trainer: Trainer = ONE_BY_ONE
    device: str = CPU

    @cached_property
    def order(self) -> list[int]:
        """Network ids in the order of training: every prefix is spread over the grid."""
        return [int(network) for network in spread_order(self.grid.networks)]

    def first(self, count: int | None = None, *, where: str | None = None) -> list[int]:
        """The first ``count`` networks in the order of training (all by default) of those that meet ``where``: a condition
        on the grid's columns, such as "learning_rate < 0.1 and dropout == 0".

        Raises
        ------
        ValueError
            If ``where`` is no such condition, or no network meets it.
        """
        networks = self.grid.networks
        if where is not None:
            try:
                networks = networks.query(where)
            except (AttributeError, KeyError, NameError, SyntaxError, TypeError, ValueError) as error:
                columns = ", ".join(map(str, networks))
                raise ValueError(f"{where!r} is not a condition on {columns}: {error}") from error
            if networks.empty:
                raise ValueError(f"no network of grid {self.grid.name!r} satisfies {where}")
        return [network for network in self.order if network in networks.index][:count]

    def network(self, network: int) -> NetworkPlan:
        recipe = self.grid.recipe(network)
        return NetworkPlan(self.entry.name, network, self.entry.architecture, recipe, self.zoo_seed, self.kept_epochs)

    def run(self, network: int) -> NetworkRun:
        return NetworkRun(self.folder / f"{network:04d}")

    def finished(self, networks: list[int]) -> list[int]:
        """Those of ``networks`` that are trained to their end."""
        return [network for network in networks if self.run(network).finished]

    @property
    def known_threshold(self) -> float:
        """The accuracy from which on a network is high, as the catalogue says.

        Raises
        ------
        ValueError
            For a subset whose threshold is the median of all networks: no label is known before the last network has ended.
        """
        threshold = self.entry.threshold
        if not isinstance(threshold, (int, float)):
            raise ValueError(
                f"{self.entry.name} is cut at the {threshold}: which networks are high is known only once all have ended, "
                "so all weights must be kept (leave out --weights-of)"
            )
        return threshold

    def keep_weights_of(self, count: int, network: int) -> None:
        """Keep the weights of the first ``count`` high and the first ``count`` low networks that ended: drop those of
        ``network``, which has just ended, if ``count`` others of its label have theirs.

        Raises
        ------
        ValueError
            As `known_threshold` does.
        """
        threshold = self.known_threshold
        with locked(self.folder / "weights.lock"):  # two that end at once would each count on the other's
            labels = {
                other: record.final_accuracy >= threshold
                for other in self.order
                if self.run(other).epochs_with_snapshots() and (record := self.run(other).record()) is not None
            }
            if network in labels and sum(label == labels[network] for label in labels.values()) > count:
                self.run(network).drop_snapshots()

    def bind(self, images: Images) -> None:
        """Write the plan, or check that the folder's is the same. A grid may have got further networks at its end: they
        come to the folder's, since ids and seeds of the others stay.

        Raises
        ------
        PlanMismatchError
            Naming what differs: seed, grid, settings, trainer, the version of a library, or the content of the images.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with locked(self.folder / "plan.lock"):
            here = self._facts(images)
            if not (self.folder / PLAN_FILE).exists():
                write_plan(self.folder, here)
            there = self.facts()
            if here.has_more_networks_than(there):
                self._check({fact: value for fact, value in here.binding.items() if fact != "networks"})
                write_plan(self.folder, there.model_copy(update={"networks": here.networks}))
            self._check(here.binding)

    def check_device(self, images: Images) -> None:
        """Check that this process would train as the first one did: same images, same kind of device.

        Raises
        ------
        PlanMismatchError
            Naming what differs.
        """
        kind = device_kind(self.device)
        with locked(self.folder / "plan.lock"):
            facts = self.facts()
            if facts.device_kind is None and facts.trainer == SIDE_BY_SIDE and kind is not None:
                # Begun on a machine without a GPU that only hands out work: the first to train says which GPU it is.
                write_plan(self.folder, facts.model_copy(update={"device_kind": kind}))
        self._check({"device_kind": kind, "images": _facts_of(images).model_dump()})

    def facts(self) -> PlanFacts:
        """The plan as it was written."""
        return read_plan(self.folder)

    def _check(self, here: dict[str, Any]) -> None:
        # A plan that names no kind of device leaves that open.
        there = here | self.facts().binding
        for fact in here:
            if here[fact] != there[fact]:
                shown = "other than the grid's" if fact == "networks" else f"{there[fact]!r}, but it is now {here[fact]!r}"
                raise PlanMismatchError(
                    f"{self.folder} was begun with {fact} {shown}; choose another --out, or the same "
                    f"{OPTIONS.get(fact, fact)}"
                )

    def _facts(self, images: Images) -> PlanFacts:
        own = self.entry.architecture.endswith(".toml")
        return PlanFacts(
            subset=self.entry.name,
            architecture=ARCHITECTURE_FILE if own else self.entry.architecture,
            zoo_seed=self.zoo_seed,
            grid=self.grid.name,
            regime=self.grid.regime,
            settings=self.grid.settings,
            networks={str(column): self.grid.networks[column].tolist() for column in self.grid.networks},
            kept_epochs=list(self.kept_epochs),
            trainer=self.trainer,
            images=_facts_of(images),
            libraries={name: version(name) for name in BINDING_LIBRARIES} | {"python": platform.python_version()},
            device_kind=device_kind(self.device),
        )


def subset_plan(
    subset: str,
    out: Path,
    *,
    zoo_seed: int = 0,
    kept_epochs: tuple[int, ...] = KEPT_EPOCHS,
    grid: str | None = None,
    precision: str | None = None,
    trainer: Trainer = ONE_BY_ONE,
    device: str = CPU,
    entry: CatalogueEntry | None = None,
) -> SubsetPlan:
    """The plan of a subset of the catalogue, with its runs below ``out``. ``grid`` and ``precision`` replace the catalogue's
    grid and the grid's precision. For a zoo of one's own, ``entry`` is its entry (see `generation.own.own_entry`).

    Raises
    ------
    UnknownNameError
        For a subset, grid, device or precision that does not exist.
    GridError
        For a setting that would have no effect, though the tables would say that it had.
    """
    entry = catalogue_entry(subset) if entry is None else entry
    chosen = read_grid(entry.grid if grid is None else grid)
    if precision is not None and any(precision != chosen.recipe(network)["precision"] for network in chosen.networks.index):
        if "precision" in chosen.networks:
            raise GridError(f"precision varies in grid {chosen.name!r}: leave out --precision {precision}")
        chosen = replace(chosen, settings=chosen.settings | {"precision": precision})
    kind = check_name(device.partition(":")[0], PRECISIONS, what="device")
    _check_effects(chosen, entry, kind)
    return SubsetPlan(entry, chosen, runs_folder(subset, out), zoo_seed, kept_epochs, trainer, device)


def _check_effects(grid: Grid, entry: CatalogueEntry, kind: str) -> None:
    """Raise for a network's setting that the kind of device, the images or the architecture leave without effect."""
    described = architecture(entry.architecture)
    drops = any(layer["kind"] == "dropout" for layer in described.entries)
    for recipe in map(grid.recipe, grid.networks.index):
        check_name(recipe["precision"], PRECISIONS[kind], what=f"precision on {kind}")
        for setting, there in zip(("training_images", "validation_images"), SIZES[entry.images], strict=True):
            if recipe[setting] > there:
                most = f"at most {there} on {entry.images}"
                raise GridError(f"{setting} of grid {grid.name!r} must be {most}, not {recipe[setting]}")
        if recipe["dropout"] and not drops:
            raise GridError(
                f"dropout of grid {grid.name!r} must be 0, not {recipe['dropout']:g}: {described.name} has no dropout layer"
            )


def begun_plan(subset: str, out: Path) -> SubsetPlan:
    """The plan that a folder of runs was begun with, read from the folder.

    Raises
    ------
    NoRunsError
        If nothing was trained there.
    """
    folder = runs_folder(subset, out)
    if not (folder / PLAN_FILE).exists():
        catalogue_entry(subset)  # an unknown name is reported first
        raise NoRunsError(f"nothing was trained in {folder}: begin with python -m generation train {subset} --out {out}")
    facts = read_plan(folder)
    if subset in catalogue():
        entry = catalogue_entry(subset)
    else:
        entry = begun_entry(subset, folder, described=facts.architecture, images=facts.images.name, grid=facts.grid)
    networks = pd.DataFrame(facts.networks)
    networks.index = pd.RangeIndex(len(networks), name="network")
    grid = Grid(facts.grid, facts.regime, networks, facts.settings)
    return SubsetPlan(entry, grid, folder, facts.zoo_seed, tuple(facts.kept_epochs), facts.trainer)


def runs_folder(subset: str, out: Path) -> Path:
    """Where a subset's runs are below ``out``: an absolute path, since a worker may have another working folder."""
    return user_path(out).absolute() / subset / "runs"


def _facts_of(images: Images) -> ImageFacts:
    return ImageFacts(name=images.name, digest=images.digest)
