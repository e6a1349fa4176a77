"""Subsets of the zoo: the catalogue, loading by name, histories and splits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nndynbench.storage.places import find, places, versions_at
from nndynbench.subsets.catalogue import CatalogueEntry, catalogue, catalogue_entry
from nndynbench.subsets.history import BudgetError, History
from nndynbench.subsets.splits import SplitError
from nndynbench.subsets.subset import Subset

if TYPE_CHECKING:
    import pandas as pd


def load(name: str, *, version: str | None = None, root: str | Path | None = None) -> Subset:
    """Load a subset by name, such as ``load("digits-lenet")``.

    The first place that has it is taken: ``root`` if given, else the folder that ``NNDYNBENCH_HOME`` names, else what is
    bundled in the package; there the highest version, unless one is asked for.

    Raises
    ------
    UnknownNameError
        For a name that is not in the catalogue, with a guess.
    NotAtHandError
        Where no place has it, with the command that regenerates it.
    """
    return Subset(find(catalogue_entry(name).name, version=version, root=root))


def subsets(*, root: str | Path | None = None) -> pd.DataFrame:
    """All subsets of the catalogue, by name: summary, version at hand, networks, protocol, and tiers at hand."""
    import pandas as pd

    rows = []
    for entry in catalogue().values():
        at_hand = [p for p in places(root) if versions_at(p, entry.name)]
        row: dict[str, object] = {"subset": entry.name, "summary": entry.summary, "version": None, "networks": 0}
        if at_hand:
            manifest = load(entry.name, root=at_hand[0]).manifest
            row |= {"version": manifest.version, "networks": manifest.networks, "protocol": manifest.protocol}
            row |= {"tiers": ", ".join(manifest.tiers)}
        rows.append(row)
    return pd.DataFrame(rows, columns=["subset", "summary", "version", "networks", "protocol", "tiers"]).set_index("subset")


__all__ = [
    "BudgetError",
    "CatalogueEntry",
    "History",
    "SplitError",
    "Subset",
    "catalogue",
    "catalogue_entry",
    "load",
    "subsets",
]
