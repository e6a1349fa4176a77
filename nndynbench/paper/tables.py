"""Tables 2 to 5 from our data, beside the paper's numbers."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd

from nndynbench.numbers import written, written_interval
from nndynbench.paper import contradictions, paper_table2, paper_table5, regression_table
from nndynbench.paper.holdouts import HOLD_OUTS, over_holdouts, regression_case
from nndynbench.paper.reproduction import Reproduction, all_at_hand, notes_on, standing_for
from nndynbench.paper.windows import READINGS, window_epochs
from nndynbench.protocols import MethodError
from nndynbench.protocols.stored import ResultSource
from nndynbench.subsets import BudgetError, SplitError, Subset
from nndynbench.subsets.catalogue import paper_column
from nndynbench.subsets.summary import summarised

WINDOW_METHODS = Path(__file__).with_name("windows.py")
WINDOW_METRICS = ("mae", "r2")

EQUAL = "all equal to the paper's"
SIZES = {
    "rolled_nodes": "rolled |V|",
    "rolled_edges": "rolled |E|",
    "unrolled_nodes": "unrolled |V|",
    "unrolled_edges": "unrolled |E|, paper",
    "unrolled_edges_right": "unrolled |E|, right",
}


def table2(results: Path | ResultSource, root: str | Path | None = None) -> Reproduction:
    """Ranges of early stopping and final accuracy, and the label's threshold, for every subset at hand."""
    paper = paper_table2()
    rows = []
    subsets = all_at_hand(root)
    for subset in subsets:
        summary, column = summarised(subset), paper.get(paper_column(subset.name) or "")
        rows.append(
            {
                "subset": subset.name,
                "epochs trained": summary.ranges["early_stopping"],
                "paper: early stopping": column["early_stopping"] if column else "",
                "final accuracy, test half": _span(summary.final_accuracy),
                "final accuracy, all test images": _span(summary.final_accuracy_all),
                "paper: accuracy": column["accuracy"] if column else "",
                "threshold": f"{summary.threshold:g}",
                "paper: threshold": f"{column['threshold']:g}" if column else "",
            }
        )
    notes = [*notes_on(subsets, _paper_subsets()), *contradictions("table2")]
    return Reproduction("Table 2: epochs, accuracies in percent, thresholds", pd.DataFrame(rows), notes)


def table3(results: Path | ResultSource, root: str | Path | None = None) -> Reproduction:
    """Regression on the ImageNet sample: MAE and R² per window of epochs, over many hold-outs, under both readings."""
    return _regression("table3", "Table 3: regression on the ImageNet sample", results, root)


def table4(results: Path | ResultSource, root: str | Path | None = None) -> Reproduction:
    """Regression on CIFAR-10: MAE and R² per window of epochs, over many hold-outs, under both readings."""
    return _regression("table4", "Table 4: regression on CIFAR-10", results, root)


def table5() -> Reproduction:
    """Sizes of the rolled and unrolled graphs, counted on graphs of random weights, which are of no subset.

    Its last note is `EQUAL`, or how many numbers differ. Those that differ stand beside the paper's.
    """
    rows, differences = [], 0
    for name, paper in paper_table5().items():
        ours = _sizes(name, unrolled_too="unrolled_nodes" in paper)
        differs = [column for column in ours if ours[column] != paper[column]]
        differences += len(differs)
        cells = {
            column: f"{size:,}" + (f" (paper: {paper[column]:,})" if column in differs else "")
            for column, size in ours.items()
        }
        rows.append({"architecture": name, **{head: cells.get(column, "") for column, head in SIZES.items()}})
    notes = [
        "counted on graphs of random weights; 'right' is without the paper's edges to padding",
        EQUAL if not differences else f"{differences} of these numbers differ from the paper's",
    ]
    return Reproduction("Table 5: sizes of the graphs", pd.DataFrame(rows), notes)


def _sizes(architecture: str, *, unrolled_too: bool) -> dict[str, int]:
    from nndynbench.graphs import random_weights, rolled, unrolled

    weights = random_weights(architecture, seed=0)
    graph = rolled(weights, architecture, copy=False)
    sizes = {"rolled_nodes": graph.number_of_nodes, "rolled_edges": graph.number_of_edges}
    if unrolled_too:
        published = unrolled(weights, architecture, reference_quirks=True)
        sizes |= {"unrolled_nodes": published.number_of_nodes, "unrolled_edges": published.number_of_edges}
        sizes["unrolled_edges_right"] = unrolled(weights, architecture, copy=False).number_of_edges
    return sizes


def _regression(table: str, title: str, results: Path | ResultSource, root: str | Path | None) -> Reproduction:
    columns, windows = regression_table(table)
    rows, found = [], []
    for column, paper_subset in columns.items():
        standing = standing_for(paper_subset, root)
        found += standing
        for window, paper in windows.items():
            theirs = {f"paper: {metric}": paper.get(column, {}).get(metric) for metric in WINDOW_METRICS}
            place = {"paper's column": f"{column} ({paper_subset})", "window": window}
            for subset, reading in product(standing, READINGS):
                rows.append({**place, "subset": subset.name, **_on_window(subset, window, reading, results), **theirs})
            if not standing:
                rows.append({**place, "subset": "not at hand", **theirs})
    notes = [
        "half-open: epochs a+1 to b; closed: epochs a to b; epoch 0, the initialisation, is in neither, since the paper "
        "does not say that it counts",
        f"the paper leaves out 20% of the networks once; here the median of {HOLD_OUTS} such hold-outs (all draws of the "
        "folds), in brackets its 95% interval, and beside it their range: any of them could have been the paper's",
        *notes_on(list({subset.name: subset for subset in found}.values()), list(columns.values())),
        *contradictions(table),
    ]
    return Reproduction(title, pd.DataFrame(rows), notes)


def _on_window(subset: Subset, window: str, reading: str, results: Path | ResultSource) -> dict[str, Any]:
    epochs = window_epochs(window, reading)
    seen = f"{epochs[0]} to {epochs[-1]}" if len(epochs) > 1 else str(epochs[0])
    row: dict[str, Any] = {"reading": reading, "epochs": seen}
    method = f"{WINDOW_METHODS}:degree-{window}-{reading}"
    try:
        case = regression_case(method, subset, epochs[-1], results)
    except (SplitError, BudgetError, MethodError) as reason:
        return {**row, "mae": str(reason), "mae: range": "", "r2": "", "r2: range": ""}
    for metric in WINDOW_METRICS:
        found = over_holdouts(case, metric)
        value, low, high = found.median
        row[metric] = f"{written(value, digits=2)} ({written_interval(low, high)})"
        row[f"{metric}: range"] = written_interval(found.lowest, found.highest)
    return row


def _paper_subsets() -> list[str]:
    from nndynbench.subsets import catalogue

    return [entry.name for entry in catalogue().values() if entry.paper]


def _span(accuracies: tuple[float, float]) -> str:
    lowest, highest = accuracies
    return f"{lowest:.1f} to {highest:.1f}"
