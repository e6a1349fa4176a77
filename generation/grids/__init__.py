"""Grids as data: which networks a subset trains, in which order, and the settings that all of them share.

One TOML file per grid: by its name in this folder, or by the path of one's own. ``[settings]`` holds what its networks
share; ``[product]`` the values whose every combination is a network, the first varying slowest, or ``rows`` names a CSV file
with a network per line, of which ``first_rows`` takes the first, and ``seeds`` makes as many networks of each, one pass over
all after another. A network's id is its row.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import chain, product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from nndynbench.names import check_name
from nndynbench.storage.files import user_path

# Columns that group networks but are no hyperparameter: a method must not see which networks are twins.
GROUPING_COLUMNS = ("configuration",)

DEFAULTS: dict[str, Any] = {
    "optimiser": "momentum",
    "weight_decay": 0.0,
    "batch_size": 128,
    "initialisation_scale": 1.0,
    "label_noise": 0.0,
    "training_images": 0,  # all of them
    "visits": 0,  # images visited an epoch; 0 is each training image once
    "epochs": 50,
    "patience": 10,  # 0 never stops early
    "augmentation": True,
    "batches": "shared",  # by all networks of the subset; "own" draws them from the network's seed
    "precision": "float32",
    "validation_images": 0,  # all of the half
    "late_epochs": 0,  # the last ones, after which the test half is looked at too: late_accuracy is their mean
    "signatures": "every epoch",  # or "kept epochs" alone, as features
}

# What a network's arithmetic may be on each kind of device; tf32 is a GPU's.
PRECISIONS = {"cpu": ("float32", "bfloat16"), "cuda": ("float32", "tf32", "bfloat16")}

# What settings in words may be; momentum is SGD's.
MOMENTUM = {"sgd": 0.0, "momentum": 0.9}
WORDS: dict[str, tuple[str, ...]] = {
    "optimiser": (*MOMENTUM, "adam"),
    "batches": ("shared", "own"),
    "precision": tuple(dict.fromkeys(chain(*PRECISIONS.values()))),
    "signatures": ("every epoch", "kept epochs"),
}
# What a regime may be: the paper's training, a cheaper one, or every hyperparameter drawn at random.
REGIMES = ("full", "reduced", "diverse")


@dataclass(frozen=True)
class Grid:
    """``networks``: a row per network, its index the network's id, its columns what varies. ``settings``: what does not."""

    name: str
    regime: str
    networks: pd.DataFrame
    settings: dict[str, Any]

    @property
    def hyperparameters(self) -> list[str]:
        return [str(column) for column in self.networks if column not in GROUPING_COLUMNS]

    @property
    def longest(self) -> int:
        """The most epochs that any network may train."""
        return max(int(self.recipe(network)["epochs"]) for network in self.networks.index)

    def recipe(self, network: int) -> dict[str, Any]:
        """Everything that decides how one network is trained, but its seed."""
        row = {str(column): _plain(value) for column, value in self.networks.loc[network].items()}
        return {**DEFAULTS, **self.settings, **row}


def grid_names() -> list[str]:
    names = [file.name for file in files("generation.grids").iterdir()]
    return sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml"))


def read_grid(name: str) -> Grid:
    """Read ``<name>.toml`` of this folder, or the file at the path ``name`` if it ends in ".toml".

    Raises
    ------
    UnknownNameError
        For a grid, or a setting in it, or a word as a setting's value, that does not exist.
    ValueError
        For a file that says nothing of what varies, and for late epochs that training may not reach.
    """
    if name.endswith(".toml"):
        file: Traversable = user_path(name)
        name = Path(name).stem
        beside: Traversable = Path(str(file)).parent
    else:
        beside = files("generation.grids")
        file = beside.joinpath(f"{check_name(name, grid_names(), what='grid')}.toml")
    facts = {"settings": {}, **named_regime(tomllib.loads(file.read_text(encoding="utf-8")))}
    check_name(facts.get("regime", ""), REGIMES, what=f"regime of grid {name!r}")
    if ("rows" in facts) == ("product" in facts):
        raise ValueError(f"grid {name!r} must have either a [product] of what varies, or rows, a CSV file of it")
    if "rows" in facts:
        with beside.joinpath(facts["rows"]).open(encoding="utf-8") as lines:
            table = pd.read_csv(lines)
        rows = table.head(facts.get("first_rows", len(table)))
        networks = pd.concat([rows] * facts.get("seeds", 1))
    else:
        axes = {column: _axis(values) for column, values in facts["product"].items()}
        networks = pd.DataFrame(list(product(*axes.values())), columns=list(axes))
    networks.index = pd.RangeIndex(len(networks), name="network")
    for setting in (*facts["settings"], *(c for c in networks if c not in ("learning_rate", "dropout", *GROUPING_COLUMNS))):
        check_name(setting, DEFAULTS, what=f"setting of grid {name!r}")
    for setting, words in WORDS.items():
        shared = facts["settings"].get(setting, DEFAULTS[setting])
        for value in networks[setting].unique() if setting in networks else [shared]:
            check_name(value, words, what=f"{setting} of grid {name!r}")
    grid = Grid(name, facts["regime"], networks, facts["settings"])
    _check_late_epochs(grid)
    return grid


def _check_late_epochs(grid: Grid) -> None:
    """Which epochs are a network's last must be known beforehand, and be no more than it trains."""
    for recipe in map(grid.recipe, grid.networks.index):
        if recipe["late_epochs"] and (recipe["patience"] or recipe["late_epochs"] > recipe["epochs"]):
            raise ValueError(
                f"grid {grid.name!r}: late_epochs = {recipe['late_epochs']} needs patience = 0 and as many epochs, "
                f"not patience = {recipe['patience']} and {recipe['epochs']} epochs"
            )


def spread_order(networks: pd.DataFrame) -> npt.NDArray[np.int64]:
    """Ids in an order whose every prefix is spread over the grid: each next cell is the farthest from all before it.

    Distances are between the ranks of each column's values, so a logarithmic axis counts like a linear one. A drawn grid is
    spread as it stands: its configurations keep their order, and every prefix has its share of their twins.
    """
    if "configuration" in networks:
        occurrence = networks.groupby("configuration").cumcount()
        place = occurrence.groupby(occurrence).cumcount() + 1
        share = place / occurrence.groupby(occurrence).transform("size")
        return share.sort_values(kind="stable").index.to_numpy(dtype=np.int64)
    columns = [networks[column] for column in networks if len(networks[column].unique()) > 1]
    if not columns:
        return networks.index.to_numpy(dtype=np.int64)
    ranks = np.stack([np.unique(column, return_inverse=True)[1] / (column.nunique() - 1) for column in columns], axis=1)
    order = [int(np.linalg.norm(ranks - 0.5, axis=1).argmin())]
    nearest = np.linalg.norm(ranks - ranks[order[0]], axis=1)
    for _ in range(len(networks) - 1):
        order.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, np.linalg.norm(ranks - ranks[order[-1]], axis=1))
        nearest[order] = -1.0
    return networks.index.to_numpy(dtype=np.int64)[order]


def named_regime(facts: dict[str, Any]) -> dict[str, Any]:
    """A grid's or plan's facts by today's words: the regime was called protocol."""
    return {("regime" if name == "protocol" else name): value for name, value in facts.items()}


def _axis(values: list[Any] | dict[str, Any]) -> list[Any]:
    """A list as it is; {mantissas, exponents} their products; {from, to, count} evenly spaced in the logarithm."""
    if isinstance(values, list):
        return values
    if "mantissas" in values:
        return [float(f"{mantissa}e{exponent}") for exponent in values["exponents"] for mantissa in values["mantissas"]]
    return [float(f"{value:.6g}") for value in np.geomspace(values["from"], values["to"], values["count"])]


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
