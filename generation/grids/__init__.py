"""Grids as data: which networks a subset trains, in which order, and the settings that all of them share.

A grid is a TOML file: of this folder, by its name, or one's own, by its path. ``[settings]`` holds what its networks share.
What varies is either in ``[product]``, where every combination of values is a network and the first setting varies slowest,
or in a CSV file with a network per line, which ``rows`` names. Of that file ``first_rows`` takes the first lines, and
``seeds`` makes so many networks of each line, one pass over all lines after another. A network's id is its row.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import chain, product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from nndynbench.errors import NndynbenchError
from nndynbench.names import check_name
from nndynbench.storage.files import user_path
from nndynbench.storage.manifest import OWN_REGIME

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
    "signatures": "every epoch",  # or "kept epochs", as features are
}

# What a network's arithmetic may be on each kind of device; tf32 is a GPU's.
PRECISIONS = {"cpu": ("float32", "bfloat16"), "cuda": ("float32", "tf32", "bfloat16")}

# The words that settings may be; MOMENTUM has SGD's momentum for two of them.
MOMENTUM = {"sgd": 0.0, "momentum": 0.9}
WORDS: dict[str, tuple[str, ...]] = {
    "optimiser": (*MOMENTUM, "adam"),
    "batches": ("shared", "own"),
    "precision": tuple(dict.fromkeys(chain(*PRECISIONS.values()))),
    "signatures": ("every epoch", "kept epochs"),
}
# What a regime may be: the paper's training, a cheaper one, every hyperparameter drawn at random, or a grid of one's own.
REGIMES = ("full", "reduced", "diverse", OWN_REGIME)

# The parts that a grid's file may have: `like` is read from grids of one's own, `draw` by `python -m generation draw-grid`.
PARTS = ("regime", "like", "settings", "product", "rows", "first_rows", "seeds", "draw")


class Range(NamedTuple):
    """The numbers that a setting may be: whole ones or any, from ``low`` to below ``below``."""

    whole: bool
    low: float
    below: float = np.inf
    above: bool = False  # low itself is excluded

    def holds(self, value: Any) -> bool:
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.number)):
            return False
        number = float(value)
        right_kind = not self.whole or number.is_integer()
        return right_kind and (number > self.low if self.above else number >= self.low) and number < self.below

    def __str__(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        low = "above" if self.above else "of at least"
        below = f" and below {self.below:g}" if np.isfinite(self.below) else ""
        return f"{kind} {low} {self.low:g}{below}"


NUMBERS = {
    "learning_rate": Range(whole=False, low=0, above=True),
    "dropout": Range(whole=False, low=0, below=1),
    "weight_decay": Range(whole=False, low=0),
    "batch_size": Range(whole=True, low=1),
    "initialisation_scale": Range(whole=False, low=0, above=True),
    "label_noise": Range(whole=False, low=0, below=1),
    "training_images": Range(whole=True, low=0),
    "visits": Range(whole=True, low=0),
    "epochs": Range(whole=True, low=1),
    "patience": Range(whole=True, low=0),
    "validation_images": Range(whole=True, low=0),
    "late_epochs": Range(whole=True, low=0),
}
# The columns that every grid must have, if only with one value: they have no default.
ALWAYS_COLUMNS = ("learning_rate", "dropout")

AXES = "a list such as [0.1, 0.2], {from, to, count} or {mantissas, exponents}"


class GridError(NndynbenchError, ValueError):
    """A grid's file that is no grid, from which nothing can be trained, or that says what has no effect."""


@dataclass(frozen=True)
class Grid:
    """``networks``: a row per network, indexed by its id, and a column per setting that varies. ``settings``: the rest."""

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
        # To pandas a row of numbers alone is one of floats, and evenly spaced values are floats anyway.
        return {name: _whole(name, value) for name, value in {**DEFAULTS, **self.settings, **row}.items()}


def _whole(setting: str, value: Any) -> Any:
    return int(value) if setting in NUMBERS and NUMBERS[setting].whole else value


def grid_names() -> list[str]:
    names = [file.name for file in files("generation.grids").iterdir()]
    return sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml"))


def read_grid(name: str) -> Grid:
    """Read ``<name>.toml`` of this folder, or the file at the path ``name`` if it ends in ".toml". The regime of such a file
    is "own" unless it says another.

    Raises
    ------
    UnknownNameError
        For a grid, or a part of it, a setting, or a word as a setting's value, that does not exist.
    GridError
        For a file that is no grid, holds no network or a value that cannot be trained with, or has late epochs that training
        may not reach.
    """
    regime = None
    if name.endswith(".toml"):
        regime = OWN_REGIME
        file: Traversable = user_path(name)
        name = Path(name).stem
        beside: Traversable = Path(str(file)).parent
    else:
        beside = files("generation.grids")
        file = beside.joinpath(f"{check_name(name, grid_names(), what='grid')}.toml")
    facts = stated(name, file)
    regime = check_name(facts.get("regime", regime), REGIMES, what=f"regime of grid {name!r}")
    networks = _rows(name, facts, beside) if "rows" in facts else _products(name, facts["product"])
    if networks.empty:
        raise GridError(f"grid {name!r} has no networks: {_empty(name, facts)}")
    networks.index = pd.RangeIndex(len(networks), name="network")
    grid = Grid(name, regime, networks, facts["settings"])
    _check_values(grid)
    _check_late_epochs(grid)
    return grid


def stated(name: str, file: Traversable) -> dict[str, Any]:
    """What a grid's file says; raises `GridError`, naming the file, if it is no TOML or a part is of the wrong kind."""
    if not file.is_file():
        raise GridError(f"no grid found at {file}: give the path of a .toml file, or one of {', '.join(grid_names())}")
    try:
        facts = {"settings": {}, **tomllib.loads(file.read_text(encoding="utf-8"))}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as damage:
        raise GridError(f"{file} is not a TOML file: {damage}") from damage
    for part in facts:
        check_name(part, PARTS, what=f"part of grid {name!r}")
    if ("rows" in facts) == ("product" in facts):
        raise GridError(f"grid {name!r} must give what varies either in a [product] section or in a CSV file named by rows")
    if "product" in facts and (needless := [part for part in ("first_rows", "seeds") if part in facts]):
        raise GridError(f"grid {name!r}: {' and '.join(needless)} need a CSV file named by rows, not a [product] section")
    for section in ("settings", "product"):
        if not isinstance(facts.get(section, {}), dict):
            raise GridError(f"grid {name!r}: {section} must be a section, [{section}], not {facts[section]!r}")
    return facts


def _products(name: str, axes: dict[str, Any]) -> pd.DataFrame:
    values = {column: _axis(name, column, axis) for column, axis in axes.items()}
    return pd.DataFrame(list(product(*values.values())) if values else [], columns=list(values))


def _rows(name: str, facts: dict[str, Any], beside: Traversable) -> pd.DataFrame:
    if not isinstance(facts["rows"], str) or not (table := beside.joinpath(facts["rows"])).is_file():
        raise GridError(f"grid {name!r}: rows must name a CSV file in the folder of the grid, not {facts['rows']!r}")
    counts = {fact: facts[fact] for fact in ("first_rows", "seeds") if fact in facts}
    for fact, count in counts.items():
        if not Range(whole=True, low=1).holds(count):
            raise GridError(f"grid {name!r}: {fact} must be a whole number of at least 1, not {count!r}")
    try:
        with table.open(encoding="utf-8") as lines:
            whole = pd.read_csv(lines)
    except pd.errors.EmptyDataError:
        return pd.DataFrame()
    except (pd.errors.ParserError, UnicodeDecodeError) as damage:
        raise GridError(f"{table} is not a CSV table: {damage}") from damage
    rows, seeds = whole.head(counts.get("first_rows", len(whole))), counts.get("seeds", 1)
    if seeds > 1 and "configuration" not in rows:
        rows = rows.assign(configuration=range(len(rows)))  # by which splits keep a recipe's seeds together
    return pd.concat([rows] * seeds)


def _empty(name: str, facts: dict[str, Any]) -> str:
    """Why a grid holds no network, and what to do."""
    if "rows" in facts:
        return f"{facts['rows']} has no rows; write one for each network, below a line of column names"
    empty = [column for column, axis in facts["product"].items() if not _axis(name, column, axis)]
    what = f"[product] has no values for {' and '.join(empty)}" if empty else "[product] is empty"
    return f"{what}; give {' and '.join(empty or ALWAYS_COLUMNS)} {AXES}"


def _check_values(grid: Grid) -> None:
    """Every column and setting must be known, and every value one that can be trained with."""
    what = f"of grid {grid.name!r}"
    if missing := [column for column in ALWAYS_COLUMNS if column not in grid.networks]:
        raise GridError(f"grid {grid.name!r} lacks {' and '.join(missing)}: every network needs learning_rate and dropout")
    for setting in (*grid.settings, *(c for c in grid.hyperparameters if c not in ALWAYS_COLUMNS)):
        check_name(setting, DEFAULTS, what=f"setting {what}")
    varying = {str(column): grid.networks[column].unique().tolist() for column in grid.hyperparameters}
    for setting, values in {**{name: [value] for name, value in grid.settings.items()}, **varying}.items():
        for value in values:
            if setting in WORDS:
                check_name(value, WORDS[setting], what=f"{setting} {what}")
            elif setting in NUMBERS and not NUMBERS[setting].holds(value):
                raise GridError(f"{setting} {what} must be {NUMBERS[setting]}, not {value!r}")
            elif setting == "augmentation" and not isinstance(value, bool):
                raise GridError(f"{setting} {what} must be true or false, not {value!r}")


def _check_late_epochs(grid: Grid) -> None:
    """A network's late epochs must be known before it is trained, and be no more than it trains."""
    for recipe in map(grid.recipe, grid.networks.index):
        if recipe["late_epochs"] and (recipe["patience"] or recipe["late_epochs"] > recipe["epochs"]):
            raise GridError(
                f"grid {grid.name!r}: late_epochs = {recipe['late_epochs']} needs patience = 0 and at least as many "
                f"epochs, not patience = {recipe['patience']} and epochs = {recipe['epochs']}"
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


def _axis(name: str, column: str, values: Any) -> list[Any]:
    """A list as it is; {mantissas, exponents} their products; {from, to, count} evenly spaced in the logarithm."""
    match values:
        case list():
            return values
        case {"mantissas": list(mantissas), "exponents": list(exponents)}:
            return [float(f"{mantissa}e{exponent}") for exponent in exponents for mantissa in mantissas]
        case {"from": int() | float() as low, "to": int() | float() as high, "count": int(count)} if low > 0 and high > 0:
            return [float(f"{value:.6g}") for value in np.geomspace(low, high, max(count, 0))]
    raise GridError(f"grid {name!r}: {column} in [product] must be {AXES}, not {values!r}")


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
