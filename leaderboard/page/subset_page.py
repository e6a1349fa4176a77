"""What a subset's page shows: its ranges beside the paper's Table 2, its splits, how it was trained, its learning curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from leaderboard.board import View
from nndynbench.numbers import NOTHING
from nndynbench.paper.ranges import RANGES, paper_ranges
from nndynbench.paper.verdicts import reservations, shown, verdict
from nndynbench.subsets import SplitError, Subset
from nndynbench.subsets.catalogue import paper_column
from nndynbench.subsets.splits import RULES
from nndynbench.subsets.summary import summarised

# Settings of a grid in which 0 stands for something else.
ZERO_MEANS = {"training_images": "all", "validation_images": "all", "visits": "every image once", "patience": "none"}


@dataclass(frozen=True)
class PageFacts:
    """``ranges``: (what, ours, the paper's); ``splits``: (name, what it is or why there is none); ``curves``: columns."""

    ranges: list[tuple[str, str, str]]
    splits: list[tuple[str, str]]
    settings: dict[str, Any]
    curves: dict[str, list[Any]]


def page_facts(subset: Subset) -> PageFacts:
    """Everything that the page of a subset at hand says of it."""
    return PageFacts(_ranges(subset), _splits(subset), _settings(subset), _curves(subset))


def _ranges(subset: Subset) -> list[tuple[str, str, str]]:
    summary, paper = summarised(subset), paper_ranges(paper_column(subset.name))
    return [
        *((what, summary.ranges[key], paper[key]) for key, what in RANGES.items()),
        ("high and low networks", f"{summary.high} and {summary.low}", NOTHING),
        ("diverged", str(summary.diverged), NOTHING),
    ]


def _splits(subset: Subset) -> list[tuple[str, str]]:
    found = []
    for name in RULES:
        try:
            folds = subset.split(name)
        except SplitError as reason:
            found.append((name, f"none: {reason}"))
        else:
            tested = sum(len(test) for _, test in folds)
            found.append((name, f"{len(folds)} fold{'s' if len(folds) > 1 else ''}, {tested} networks tested"))
    return found


def _settings(subset: Subset) -> dict[str, Any]:
    manifest = subset.manifest
    shared = {name: ZERO_MEANS.get(name, value) if value == 0 else value for name, value in manifest.settings.items()}
    return shared | {column: _range(subset.networks[column]) for column in manifest.hyperparameters}


def _range(column: pd.Series) -> str:
    if column.dtype.kind in "iuf":
        return f"{column.min():g} to {column.max():g}, {column.nunique()} values"
    return ", ".join(sorted(map(str, column.unique())))


def _curves(subset: Subset) -> dict[str, list[Any]]:
    curves = subset.curves.reset_index()
    rates = subset.networks["learning_rate"].loc[curves["network"]]
    return {
        "network": [int(network) for network in curves["network"]],
        "epoch": [int(epoch) for epoch in curves["epoch"]],
        "accuracy": [round(float(accuracy), 2) for accuracy in curves["validation_accuracy"]],
        "learning_rate": [float(f"{rate:.3g}") for rate in rates],
    }


def claims_on(subset: Subset, views: Sequence[View]) -> list[tuple[Mapping[str, Any], str, str]]:
    """The paper's claims that the rows on a subset test: (claim, ours, verdict)."""
    found = []
    for view in views:
        for claim, ours in view.claims:
            stands_in = "" if claim["subset"] == subset.name else f"stands in for {claim['subset']}: "
            found.append((claim, shown(claim, ours), f"{stands_in}{reservations([subset])}{verdict(claim, ours)}"))
    return found
