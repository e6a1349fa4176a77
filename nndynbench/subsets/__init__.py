"""Subsets of the zoo: the catalogue, loading by name, histories and splits."""

from __future__ import annotations

from nndynbench.subsets.catalogue import CatalogueEntry, catalogue, catalogue_entry
from nndynbench.subsets.export import export
from nndynbench.subsets.history import BudgetError, History
from nndynbench.subsets.loading import SupersededWarning, as_subset, download, load, subsets
from nndynbench.subsets.splits import SplitError
from nndynbench.subsets.subset import Subset, UnknownNetworkError
from nndynbench.subsets.targets import TargetError

__all__ = [
    "BudgetError",
    "CatalogueEntry",
    "History",
    "SplitError",
    "Subset",
    "SupersededWarning",
    "TargetError",
    "UnknownNetworkError",
    "as_subset",
    "catalogue",
    "catalogue_entry",
    "download",
    "export",
    "load",
    "subsets",
]
