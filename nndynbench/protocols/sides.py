"""Who is learnt from and who is tested, by fold: networks of one subset, and of the same or of another one."""

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
    """(ids of the source, ids of the goal) in each fold of a draw.

    Where cells of the grid are apart, networks of the goal are tested whose hyperparameters no network learnt from had: the
    cells are dealt to two halves by a digest, the same for every subset, and each half is tested once.

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


def halves(subset: Subset) -> pd.Series:
    """By network id, the half that its cell of the grid is in."""
    cells = subset.networks[list(subset.manifest.hyperparameters)]
    found = [half_of(row) for row in cells.to_dict("records")]
    return pd.Series(found, index=cells.index, name="half")


def half_of(cell: dict[Any, Any]) -> int:
    """Of the hyperparameters of a network, whatever its subset: numbers are equal if they print so."""
    shown = [f"{name}={float(value)!r}" if not isinstance(value, str) else f"{name}={value}" for name, value in cell.items()]
    return hashlib.sha256("\n".join(sorted(shown)).encode()).digest()[0] % HALVES


def _ids(inside: pd.Series) -> list[int]:
    return [int(network) for network in inside.index[inside]]
