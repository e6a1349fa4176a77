"""The document's sections: one of each protocol of a subset, one of transfer, and those of the paper."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from nndynbench import plots
from nndynbench.paper.reproduction import Reproduction
from nndynbench.protocols import Comparison
from nndynbench.protocols import protocol as find_protocol
from nndynbench.protocols.comparison import BAR
from nndynbench.protocols.metrics import metric_facts
from nndynbench.protocols.triage import RULES
from nndynbench.report.comparisons import written_comparison
from nndynbench.report.markdown import count, epochs, estimate, number, table_head, table_line
from nndynbench.report.ranking import Row, at_the_last_budget, board_methods, by_method, ranked, shortlist
from nndynbench.report.sentences import (
    among_the_trained,
    beside_controls,
    best_on_weights,
    what_the_ranking_says,
    what_triage_says,
)
from nndynbench.subsets import Subset

TITLES = {
    "regression-folds": "how accurate will it become?",
    "blocked": "the same, far from what training saw",
    "triage": "which networks to go on training?",
    "classification": "high or low?",
}

# How a row of `nndynbench.paper` ends that has nothing of ours.
ABSENT = "not at hand"

TRAINED = find_protocol("trained")


def board(compared: Comparison, subset: Subset, out: Path, results: Path) -> Iterator[str]:
    metric = compared.protocol.metrics[0]
    rows = compared.rows[compared.rows["metric"] == metric]
    budgets = sorted(int(budget) for budget in rows["epochs"].unique())
    last = ranked(rows[rows["epochs"] == budgets[-1]], metric)
    yield from _heading(compared, subset)
    yield from what_the_ranking_says(last, metric, budgets[-1])
    trained = written_comparison(subset, TRAINED.name, results) if compared.protocol.name == TRAINED.fitted.name else None
    if trained is not None:
        ranks = at_the_last_budget(trained, TRAINED.metrics[0])
        yield from among_the_trained(ranks)
        for name in last.keys() & ranks.keys():
            last[name]["trained"] = ranks[name]["value"]
    yield ""
    yield from _table(rows, last, budgets)
    if below := len(last.keys() - set(board_methods(last))):
        yield f"\n{below} more methods are below these; `nndynbench compare` prints all."
    for reason in compared.failures.values():
        yield f"\nNo result: {reason.partition(';')[0]}."
    if len(budgets) > 1:
        path = plots.comparison_over_budget(compared, out.with_suffix("") / f"{subset.name}.{compared.protocol.name}.png")
        yield f"\n![{metric_facts()[metric].label} over the budget]({path.relative_to(out.parent)})"


def blocked(compared: Comparison, subset: Subset, out: Path, results: Path) -> Iterator[str]:
    """Extrapolation: each method's score beside the one that it has where training saw all learning rates."""
    metric = compared.protocol.metrics[0]
    label = metric_facts()[metric].label
    last = at_the_last_budget(compared, metric)
    budget = int(last[BAR]["epochs"])
    seen = written_comparison(subset, "regression-folds", results)
    inside = by_method(seen, metric, budget) if seen is not None else {}
    yield from _heading(compared, subset)
    yield from best_on_weights(last, label, budget)
    if worse := [name for name in last if name in inside and last[name]["value"] < inside[name]["value"]]:
        both = [name for name in last if name in inside]
        few = count(len(worse), len(both))
        yield f"- {few} methods score lower than in regression-folds, where training saw neighbours."
    yield from beside_controls({name: last[name] for name in shortlist(last)})
    yield ""
    heads = [f"{label}, {epochs(budget)}", "gain over the bar", f"{label} in regression-folds", "reads"]
    yield from table_head(["method", *heads])
    for name in shortlist(last):
        row = last[name]
        cells = [
            estimate(row),
            estimate(row, "gain", signed=True),
            number(inside.get(name, {}).get("value")),
            row["tier"],
        ]
        yield table_line([f"`{name}`", *cells])


def triage(compared: Comparison, subset: Subset, out: Path, results: Path) -> Iterator[str]:
    """Which networks to go on training: the methods against the rules that fit nothing."""
    last = at_the_last_budget(compared, "regret_5")
    budget = int(last[BAR]["epochs"])
    saved = by_method(compared, "epochs_saved", budget)
    yield from _heading(compared, subset)
    yield f"""All networks are trained for {epochs(budget)} and ranked by a method, which was fitted on others that were
trained to the end. Regret is what the best of the five ranked first lacks of the best of all. Epochs are saved where, from
then on, networks are trained one after the other as ranked, until one is within a point of the best.
"""
    yield from what_triage_says(last, saved)
    yield ""
    by_metric = {metric: by_method(compared, metric, budget) for metric in compared.protocol.metrics}
    yield from table_head(["method", *(metric_facts()[metric].label for metric in by_metric), "reads"])
    for name in shortlist(last, *RULES):
        yield table_line([f"`{name}`", *(estimate(rows[name]) for rows in by_metric.values()), last[name]["tier"]])


def transfer(compared: Comparison, out: Path) -> Iterator[str]:
    rows = compared.rows[compared.rows["metric"] == "kendall_tau"]
    rows = rows[rows["epochs"] == rows["epochs"].max()]
    names = list(dict.fromkeys([*rows["subset"], *rows["trained_on"]]))
    pairs = [(source, goal) for source in names for goal in names if source != goal]
    yield f"\n## Transfer: {', '.join(map(compared.title_of, names))}\n"
    yield f"{compared.protocol.source}. Kendall's τ at {epochs(rows['epochs'].iloc[0])}, trained on → tested on.\n"
    titles = [f"{compared.title_of(source)} → {compared.title_of(goal)}" for source, goal in pairs]
    yield from table_head(["method", *titles])
    for method, part in rows.groupby("method", sort=False):
        cells = {(row["trained_on"], row["subset"]): dict(row) for row in part.to_dict("records")}
        yield table_line([f"`{method}`", *(estimate(cells[pair]) if pair in cells else "–" for pair in pairs)])
    path = plots.transfer_matrix(compared, out.with_suffix("") / f"{'+'.join(names)}.transfer.png")
    yield f"\n![trained on × tested on]({path.relative_to(out.parent)})"


def reproduced_rows(reproduced: Reproduction, command: str) -> Iterator[str]:
    """The rows that have a number of ours; how many have none, by what is missing for them."""
    absent = reproduced.rows.map(str).apply(lambda row: row.str.endswith(ABSENT).any(), axis=1)
    yield f"\n## {reproduced.title}\n"
    yield from table_head(reproduced.rows.columns)
    for row in reproduced.rows[~absent].itertuples(index=False):
        yield table_line(["" if pd.isna(value) else str(value) for value in row])
    yield ""
    if absent.any():
        yield f"- {absent.sum()} more need subsets that are not at hand; `nndynbench {command}` lists them"
    yield from (f"- {note}" for note in reproduced.notes)


def _heading(compared: Comparison, subset: Subset) -> Iterator[str]:
    source = compared.protocol.source
    yield f"\n## {subset.name}: {TITLES[compared.protocol.name]} (`{compared.protocol.name}`)\n"
    trained, planned = subset.manifest.networks, subset.manifest.networks_planned
    unfinished = f" Unfinished: {trained} of {planned} networks are trained." if trained < planned else ""
    reduced = " Trained under a reduced protocol, not the paper's." if subset.manifest.reduced else ""
    yield f"{source[0].upper()}{source[1:]}.{unfinished}{reduced}\n"


def _table(rows: pd.DataFrame, last: dict[str, Row], budgets: Sequence[int]) -> Iterator[str]:
    values = {(row["method"], int(row["epochs"])): row["value"] for row in rows.to_dict("records")}
    extra = [("gain", "gain over the bar"), ("added", "added to it")]
    kept = [(column, head) for column, head in extra if column in rows and rows[column].notna().any()]
    trained = ["τ among the trained"] if "trained" in last[BAR] else []
    if (known := rows["ceiling"].dropna()).size:
        yield f"Ceiling, from the spread between two seeds of one configuration: {known.iloc[0]:.3f}.\n"
    heads = [*map(epochs, budgets[:-1]), f"{epochs(budgets[-1])} (95%)"]
    yield from table_head(["method", *heads, *(head for _, head in kept), *trained, "reads"])
    for name in board_methods(last):
        row = last[name]
        cells = [number(values.get((name, budget))) for budget in budgets[:-1]] + [estimate(row)]
        cells += [estimate(row, column, signed=True) for column, _ in kept]
        cells += [number(row.get("trained"))] if trained else []
        yield table_line([f"`{name}`", *cells, str(row["tier"])])
