"""Which networks are learnt from and which are tested in each fold. They are of one subset, or of two."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pandas as pd

from nndynbench.protocols.protocol import Protocol

if TYPE_CHECKING:
    from nndynbench.subsets import Subset
    from nndynbench.subsets.splits import Fold

HALVES = 2


def sides(protocol: Protocol, source: Subset, goal: Subset, draw: int = 0) -> list[Fold]:
    """The two sides of each fold of a draw: (ids of ``source`` to learn from, ids of ``goal`` to test).

    If the protocol keeps cells of the grid apart, only networks of the goal are tested whose hyperparameters no network
    learnt from had. A digest, the same for every subset, deals the cells to two halves, and each half is tested once. So a
    learning rate may be on both sides, in cells that differ otherwise: see `share_of_known_rates`.

    Raises
    ------
    SplitError
        For a split that the subset cannot fill.
    """
    if protocol.test == "same":
        return goal.split(str(protocol.split), draw)
    if not protocol.cells_apart:
        return [(source.network_ids, goal.network_ids)]
    learnt, tested = halves(source), halves(goal)
    return [(_ids(learnt != half), _ids(tested == half)) for half in range(HALVES)]


def share_of_known_rates(protocol: Protocol, source: Subset, goal: Subset) -> float:
    """The share of the tested networks whose learning rate a network learnt from had."""
    known: list[bool] = []
    for learnt, tested in sides(protocol, source, goal):
        rates = set(source.networks.loc[learnt, "learning_rate"])
        known += goal.networks.loc[tested, "learning_rate"].isin(rates).tolist()
    return sum(known) / len(known)


def halves(subset: Subset) -> pd.Series:
    """The half that each network's cell of the grid is in, by network id."""
    cells = subset.networks[list(subset.manifest.hyperparameters)]
    found = [half_of(row) for row in cells.to_dict("records")]
    return pd.Series(found, index=cells.index, name="half")


def half_of(cell: dict[Any, Any]) -> int:
    """The half of a network's hyperparameters, whatever its subset. Numbers are equal if they print equally."""
    shown = [f"{name}={float(value)!r}" if not isinstance(value, str) else f"{name}={value}" for name, value in cell.items()]
    return hashlib.sha256("\n".join(sorted(shown)).encode()).digest()[0] % HALVES


def _ids(inside: pd.Series) -> list[int]:
    return [int(network) for network in inside.index[inside]]
