"""Draws the rows of a random grid, once. The grid is then what their CSV file says; this code shows where it came from."""

from __future__ import annotations

import math
import tomllib
from importlib.resources import files
from typing import Any

import numpy as np
import pandas as pd

from generation.grids import grid_names
from nndynbench.names import check_name


def draw_rows(name: str) -> pd.DataFrame:
    """Draw ``configurations`` rows by the ``[draw]`` section of a grid's file, and append its twins, if it has any.

    ``configuration`` numbers the configurations; a twin has the number and the hyperparameters of the row that it repeats.

    Raises
    ------
    UnknownNameError
        For a grid that is not there, or is not drawn.
    """
    grids = {
        grid: tomllib.loads(files("generation.grids").joinpath(f"{grid}.toml").read_text("utf-8")) for grid in grid_names()
    }
    drawn = {grid: facts["draw"] for grid, facts in grids.items() if "draw" in facts}
    facts = drawn[check_name(name, drawn, what="grid with a [draw] section")]
    random = np.random.default_rng(facts["seed"])
    rows = []
    for configuration in range(facts["configurations"]):
        row: dict[str, Any] = {"configuration": configuration}
        for hyperparameter, rule in facts["hyperparameters"].items():
            row[hyperparameter] = _draw(random, rule, row)
        rows.append(row)
    return pd.DataFrame([*rows, *rows[: facts.get("twins", 0)]])


def _draw(random: np.random.Generator, rule: dict[str, Any], row: dict[str, Any]) -> Any:
    if "choices" in rule:
        return rule["choices"][random.integers(len(rule["choices"]))]
    if "uniform" in rule:
        value = random.uniform(*rule["uniform"])
    else:
        low, high = rule[row[rule["by"]]] if "by" in rule else rule["log_uniform"]
        value = math.exp(random.uniform(math.log(low), math.log(high)))
    if "digits" not in rule:
        return float(f"{value:.4g}")
    return round(value, rule["digits"]) if rule["digits"] else round(value)
