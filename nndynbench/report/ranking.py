"""The rows of a comparison at one budget, the best method first, and which of them the document shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import pandas as pd

from nndynbench.protocols import Comparison, find_method, method_names
from nndynbench.protocols.metrics import METRICS

Row: TypeAlias = dict[Any, Any]

# The best that a board and a shortlist show.
ROWS = 10
FEW = 3
ALWAYS = ("bar", "hyperparameters", "learning-rate", "validation-accuracy", "constant")
# A method and its controls, which are the same without the graph, or without any training.
CONTROLS = {
    "degree-forest": {
        "control-shuffled-degree": "on shuffled weights",
        "control-epoch-0-degree": "on the initialisation alone",
    },
    "eigenvector-forest": {
        "control-shuffled-eigenvector": "on shuffled weights",
        "control-epoch-0-eigenvector": "on the initialisation alone",
    },
    "bar-and-weight-statistics": {"bar-and-epoch-0": "on the initialisation alone"},
}
EPOCH_0 = "epoch-0"


def is_control(name: str) -> bool:
    """Whether a method is there only to show what another one's score is worth."""
    return name in method_names() and find_method(name).role == "control"


def sees_no_training(name: str) -> bool:
    """Whether a method is a control that sees no weights but the initial ones."""
    return is_control(name) and EPOCH_0 in name


def ranked(rows: pd.DataFrame, metric: str) -> dict[str, Row]:
    """Rows by method, the best first; ties as in the comparison, and what has no value last."""
    ordered = rows.sort_values("value", ascending=METRICS[metric].direction < 0, kind="stable").to_dict("records")
    return {str(row["method"]): dict(row) for row in ordered}


def by_method(compared: Comparison, metric: str, budget: int) -> dict[str, Row]:
    """The rows of one metric at one budget, the best first."""
    return ranked(compared.rows.query("metric == @metric and budget == @budget"), metric)


def at_the_last_budget(compared: Comparison, metric: str) -> dict[str, Row]:
    return by_method(compared, metric, int(compared.rows["budget"].max()))


def weights_only(last: Mapping[str, Row]) -> list[str]:
    """The methods that read only weights and have a value."""
    return [name for name, row in last.items() if row["reads"] == "weights" and not pd.isna(row["value"])]


def shortlist(last: Mapping[str, Row], *also: str) -> list[str]:
    """The best methods, the best that read only weights, their controls, and those that are always shown."""
    kept = {*list(last)[:FEW], *weights_only(last)[:FEW], *ALWAYS, *also}
    controls = {name for method in kept for name in CONTROLS.get(method, ())}
    return [name for name in last if name in kept | controls]


def board_methods(last: Mapping[str, Row]) -> list[str]:
    """The best methods, the controls beside theirs, and those that are always shown."""
    order = list(last)
    controlled = {name for method, controls in CONTROLS.items() for name in (method, *controls)}
    return [name for name in order if name in order[:ROWS] or name in ALWAYS or name in controlled]
