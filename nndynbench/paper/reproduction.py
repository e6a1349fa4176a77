"""A table or figure of the paper as reproduced here: our numbers beside the paper's, and what is missing or reduced."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from nndynbench.storage.places import NotAtHandError
from nndynbench.subsets import Subset, catalogue_entry, load
from nndynbench.subsets.catalogue import paper_column
from nndynbench.subsets.loading import names_at_hand


@dataclass(frozen=True)
class Reproduction:
    """``rows``: our numbers beside the paper's. ``notes``: how ours differ, where the paper contradicts itself, and which of
    its subsets are not at hand. ``plots``: by file name, the function that draws each plot into the file that it is given.
    """

    title: str
    rows: pd.DataFrame
    notes: Sequence[str] = ()
    plots: Mapping[str, Callable[[Path], Path]] = field(default_factory=dict)


def at_hand(names: Sequence[str], root: str | Path | None = None) -> tuple[list[Subset], list[str]]:
    """The named subsets that can be loaded, and the names of those that are at no place."""
    found, missing = [], []
    for name in names:
        try:
            found.append(load(name, root=root))
        except NotAtHandError:
            missing.append(name)
    return found, missing


def all_at_hand(root: str | Path | None = None) -> list[Subset]:
    """Every subset that can be loaded."""
    return [load(name, root=root) for name in names_at_hand(root)]


def standing_for(paper_subset: str, root: str | Path | None = None) -> list[Subset]:
    """The paper's subset if it is at hand, else the subsets of the same architecture on other images or another grid."""
    exact, _ = at_hand([paper_subset], root)
    family = catalogue_entry(paper_subset).architecture.rpartition("-")[2]
    return exact or [s for s in all_at_hand(root) if s.manifest.architecture.rpartition("-")[2] == family]


def notes_on(found: Sequence[Subset], asked: Sequence[str]) -> list[str]:
    """Which of the asked subsets are missing, and how those that stand for them differ."""
    notes = []
    names = {subset.name for subset in found}
    if missing := [name for name in asked if name not in names]:
        notes.append(f"not at hand: {', '.join(missing)}")
    for subset in found:
        manifest = subset.manifest
        if subset.name not in asked:
            of_paper = paper_column(subset.name) is not None
            differs = "stands in for another of the paper's subsets" if of_paper else "is not a subset of the paper"
            notes.append(f"{subset.name} {differs}: {manifest.summary}")
        if manifest.reduced:
            notes.append(f"{subset.name} was trained under a reduced regime")
        if manifest.networks < manifest.networks_planned:
            notes.append(f"{subset.name} holds {manifest.networks} of {manifest.networks_planned} networks")
    return notes
