"""The rows of a comparison at one budget, the best method first, and which of them the document shows."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, TypeAlias

import pandas as pd

from nndynbench.protocols import Comparison, find_method, method_names
from nndynbench.protocols.method import Role
from nndynbench.protocols.metrics import METRICS
from nndynbench.protocols.references import Reference, references_among

Row: TypeAlias = dict[Any, Any]

# The best that a board and a shortlist show.
ROWS = 10
FEW = 3


def role_of(name: str) -> Role:
    """What a bundled method is there for; any other one is a method."""
    return find_method(name).role if name in method_names() else "method"


def is_control(name: str) -> bool:
    """Whether a method is there only to show what another one's score is worth."""
    return role_of(name) == "control"


def is_learned(name: str) -> bool:
    """Whether a bundled method is itself a network that is fitted on networks: such a one needs a library of its own."""
    return name in method_names() and bool(find_method(name).needs)


def controls_of(names: Collection[str], last: Mapping[str, Row]) -> dict[str, list[str]]:
    """The controls of some methods, by method: of bundled ones that have a row."""
    found: dict[str, list[str]] = {}
    for name in last:
        if is_control(name) and (method := find_method(name).control_of) in names:
            found.setdefault(method, []).append(name)
    return {name: found[name] for name in names if name in found}


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


def trivial(last: Mapping[str, Row]) -> list[str]:
    """What should be easy to beat: the best that reads hyperparameters alone, and the best of the trivial methods."""
    valued = {name: row for name, row in last.items() if not pd.isna(row["value"])}
    known = [name for name, row in valued.items() if row["reads"] == "hyperparameters"]
    simple = [name for name in valued if role_of(name) == "trivial"]
    return list(dict.fromkeys([*known[:1], *simple[:1]]))


def beside_weights(last: Mapping[str, Row], reference: Reference) -> list[str]:
    """The methods that see weights and beside them no more than a reference does, and add something to it that is a number:
    what they add is the weights' own.
    """
    if reference.key not in references_among(last):
        return []
    weighty = [name for name in last if reference.allows_beside_weights(last[name]["reads"].split("+"))]
    return [name for name in weighty if not is_control(name) and not pd.isna(last[name].get(reference.added))]


def most_adding(last: Mapping[str, Row], reference: Reference) -> tuple[str | None, int]:
    """Of `beside_weights` the method that adds most, and how many they are."""
    names = beside_weights(last, reference)
    return max(names, key=lambda name: last[name][reference.added], default=None), len(names)


def shortlist(last: Mapping[str, Row], *also: str) -> list[str]:
    """The best methods, the best that read only weights, those that are always shown, their controls, and of each control
    that is among these what it is a control of.
    """
    kept = {*list(last)[:FEW], *weights_only(last)[:FEW], *_always(last), *also}
    kept |= {str(find_method(name).control_of) for name in kept if is_control(name)}
    controls = {name for names in controls_of(kept, last).values() for name in names}
    return [name for name in last if name in kept | controls]


def board_methods(last: Mapping[str, Row]) -> list[str]:
    """The best methods, and those of the shortlist."""
    best, short = list(last)[:ROWS], shortlist(last)
    return [name for name in last if name in best or name in short]


def _always(last: Mapping[str, Row]) -> set[str]:
    """What every method is read beside."""
    return {name for name in last if role_of(name) in ("reference", "trivial")} | {*trivial(last)}
