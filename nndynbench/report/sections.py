"""The document's sections: one of each protocol of a subset, one of transfer, and those of the paper."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd

from nndynbench import plots
from nndynbench.numbers import NOTHING, epochs, estimate, number
from nndynbench.paper.reproduction import Reproduction
from nndynbench.protocols import Comparison, find_protocol
from nndynbench.protocols.metrics import METRICS
from nndynbench.protocols.references import BAR, beyond_references
from nndynbench.protocols.triage import RULES
from nndynbench.protocols.tuning import TUNING_SUBSET
from nndynbench.report.board import Board
from nndynbench.report.markdown import count, table_head, table_line
from nndynbench.report.ranking import Row, at_the_last_budget, board_methods, by_method, ranked, shortlist
from nndynbench.report.reasons import at_budget, failures, lines, no_values
from nndynbench.report.scores import hidden_methods, marked, said_of_fewer_draws, shown_budgets, table_of_scores
from nndynbench.report.sentences import (
    among_the_trained,
    beside_controls,
    best_on_weights,
    what_adds,
    what_is_known_of_the_rates,
    what_learning_gives,
    what_the_ranking_says,
    what_triage_says,
)
from nndynbench.subsets import Subset

# How a row of `nndynbench.paper` ends that has nothing of ours.
ABSENT = "not at hand"

# Fewer networks than these are few to score a method on.
FEW_NETWORKS = 50

TRAINED = find_protocol("trained")

# The protocols whose scores are drawn over the budget.
DRAWN = ("regression-folds",)


def ranking(compared: Comparison, subset: Subset, board: Board, folder: Path) -> Iterator[str]:
    metric = compared.protocol.metrics[0]
    rows = compared.rows[compared.rows["metric"] == metric]
    budgets = shown_budgets(rows)
    last = ranked(rows[rows["budget"] == budgets[-1]], metric)
    yield from _heading(compared, subset)
    yield from what_the_ranking_says(last, metric, budgets[-1])
    yield from what_learning_gives(last, metric, subset.manifest.networks)
    trained = board.of(subset.name, TRAINED.name) if compared.protocol.name == TRAINED.fitted.name else None
    ranks = at_the_last_budget(trained, TRAINED.metrics[0]) if trained is not None else {}
    if ranks:
        yield from among_the_trained(ranks)
        for name in last.keys() & ranks.keys():
            last[name]["trained"] = ranks[name]["value"]
    yield ""
    shown = board_methods(last)
    yield from table_of_scores(rows, last, budgets, protocol=compared.protocol.name)
    if ranks:
        yield from lines(_unranked(shown, ranks))
    yield from failures(compared)
    if len(budgets) > 1 and compared.protocol.name in DRAWN:
        path = plots.comparison_over_budget(compared, folder / f"{subset.name}.{compared.protocol.name}.png")
        yield f"\n![{METRICS[metric].label} over the budget]({path.name})"


def blocked(compared: Comparison, subset: Subset, board: Board, folder: Path) -> Iterator[str]:
    """Extrapolation: each method's score, also at the first budget, and beside the one that it has where training saw all
    learning rates.
    """
    metric = compared.protocol.metrics[0]
    label = METRICS[metric].label
    last, first = at_the_last_budget(compared, metric), by_method(compared, metric, int(compared.rows["budget"].min()))
    budget, shown = int(last[BAR]["budget"]), shortlist(last)
    seen = board.of(subset.name, "regression-folds")
    inside = by_method(seen, metric, budget) if seen is not None else {}
    yield from _heading(compared, subset)
    yield from best_on_weights(last, metric, budget)
    yield from what_adds(last, metric)
    if worse := [name for name in last if name in inside and last[name]["value"] < inside[name]["value"]]:
        both = [name for name in last if name in inside]
        few = count(len(worse), len(both))
        yield (
            f"- {few[0].upper()}{few[1:]} methods score lower than in regression-folds, where training saw similar networks."
        )
    yield from beside_controls({name: last[name] for name in shown})
    yield ""
    beyond = beyond_references(pd.DataFrame(last.values()))
    begun = int(next(iter(first.values()))["budget"])
    early = [f"{label}, {epochs(begun)}"] if begun < budget else []
    heads = [*early, f"{label}, {epochs(budget)}", *beyond.values()]
    heads += [f"{label} in regression-folds"] if inside else []
    yield from table_head(["method", *heads, "reads"])
    for name in shown:
        row = last[name]
        cells = [estimate(first.get(name, {}))] if early else []
        cells += [estimate(row), *(estimate(row, column, signed=True) for column in beyond)]
        cells += [number(inside.get(name, {}).get("value"))] if inside else []
        yield table_line([f"`{name}`", *cells, row["reads"]])
    yield from no_values(pd.DataFrame([last[name] for name in shown]), at_budget)
    if inside:
        yield from lines((f"`{name}` in regression-folds", "not compared there") for name in shown if name not in inside)
    yield from hidden_methods(len(last) - len(shown), subset.name, compared.protocol.name, budget)
    yield from failures(compared)


def triage(compared: Comparison, subset: Subset, board: Board, folder: Path) -> Iterator[str]:
    """Which networks to go on training: the methods against the rules that fit nothing."""
    last = at_the_last_budget(compared, "regret_top_tenth")
    budget = int(last[BAR]["budget"])
    saved = by_method(compared, "epochs_saved", budget)
    yield from _heading(compared, subset)
    yield f"All networks are trained for {epochs(budget)}.\n"
    yield from what_triage_says(last, saved)
    yield ""
    by_metric = {metric: by_method(compared, metric, budget) for metric in compared.protocol.metrics}
    beyond = beyond_references(pd.DataFrame(last.values()))
    heads = [METRICS[metric].label for metric in by_metric] + [f"{head}, in regret" for head in beyond.values()]
    yield from table_head(["method", *heads, "reads"])
    shown = shortlist(last, *RULES)
    for name in shown:
        cells = [estimate(rows[name]) for rows in by_metric.values()]
        cells += [estimate(last[name], column, signed=True) for column in beyond]
        yield table_line([marked(name, last), *cells, last[name]["reads"]])
    yield from said_of_fewer_draws(shown, last)
    rows = pd.DataFrame([rows[name] for rows in by_metric.values() for name in shown])
    yield from no_values(rows, lambda row: f", {METRICS[row['metric']].label}")
    yield from failures(compared)


def transfer(
    compared: Comparison, folder: Path, networks: Mapping[str, int], *, known_rates: Collection[float] = ()
) -> Iterator[str]:
    """Trained on one subset, tested on another; ``networks`` are those at hand of each. ``known_rates`` are the shares of
    tested networks whose learning rate was learnt from, one for each pair of subsets; none where no cells are kept apart.
    """
    metric = compared.protocol.metrics[0]
    rows = compared.rows[compared.rows["metric"] == metric]
    rows = rows[rows["budget"] == rows["budget"].max()]
    names = list(dict.fromkeys([*rows["subset"], *rows["trained_on"]]))
    pairs = [(source, goal) for source in names for goal in names if source != goal]
    yield f"\n## Transfer: {', '.join(map(compared.title_of, names))}\n"
    budget, label = rows["budget"].iloc[0], METRICS[metric].label
    yield f"{compared.protocol.source}. {label} at {epochs(budget)}, trained on → tested on.\n"
    if known_rates:
        yield f"{what_is_known_of_the_rates(known_rates)}\n"
    if few := [f"{name} ({networks[name]} networks)" for name in names if networks.get(name, FEW_NETWORKS) < FEW_NETWORKS]:
        yield f"{', '.join(few)}: few networks to train on and to test, so these scores are uncertain.\n"
    if TUNING_SUBSET in names:
        yield f"Free parameters were chosen on {TUNING_SUBSET}, so methods with free parameters have seen its networks.\n"
    titles = [f"{compared.title_of(source)} → {compared.title_of(goal)}" for source, goal in pairs]
    yield from table_head(["method", *titles])
    for method, part in rows.groupby("method", sort=False):
        cells = {(row["trained_on"], row["subset"]): dict(row) for row in part.to_dict("records")}
        yield table_line([f"`{method}`", *(estimate(cells[pair]) if pair in cells else NOTHING for pair in pairs)])
    yield from no_values(rows, lambda row: f", {row['trained_on']} → {row['subset']}")
    yield from failures(compared)
    path = plots.transfer_matrix(compared, folder / f"{'+'.join(names)}.{compared.protocol.name}.png")
    yield f"\n![trained on × tested on]({path.name})"


def reproduced_rows(reproduced: Reproduction, command: str) -> Iterator[str]:
    """The rows that have a number of ours; how many have none, since a subset or a result is missing for them."""
    absent = reproduced.rows.map(str).apply(lambda row: row.str.endswith(ABSENT).any(), axis=1)
    yield f"\n## {reproduced.title}\n"
    if not absent.all():
        yield from table_head(reproduced.rows.columns)
    for row in reproduced.rows[~absent].itertuples(index=False):
        yield table_line(["" if pd.isna(value) else str(value) for value in row])
    yield ""
    if absent.any():
        yield f"- {absent.sum()} more need subsets or results that are not at hand; `nndynbench {command}` lists them"
    yield from (f"- {note}" for note in reproduced.notes)


def _heading(compared: Comparison, subset: Subset) -> Iterator[str]:
    yield f"\n## {subset.name}\n"
    trained, planned = subset.manifest.networks, subset.manifest.networks_planned
    unfinished = f"{trained} of {planned} networks" if trained < planned else f"{trained} networks"
    regime = ", trained under a reduced regime, not the paper's" if subset.manifest.reduced else ""
    yield f"{unfinished}{regime}.{_few_networks(compared, subset)}\n"


def _few_networks(compared: Comparison, subset: Subset) -> str:
    """A warning where a protocol tests few networks."""
    assert compared.protocol.split is not None  # transfer alone has none
    tested = len({network for _, test in subset.split(compared.protocol.split) for network in test})
    if tested >= FEW_NETWORKS:
        return ""
    return f" Only {tested} networks are tested, so it is uncertain which methods are better than others."


def _unranked(shown: Sequence[str], ranks: Mapping[str, Row]) -> Iterator[tuple[str, str]]:
    """The methods without a τ among the trained, each with the reason."""
    for name in shown:
        if name not in ranks:
            yield f"`{name}` among the trained", "its predictions are not stored"
        elif pd.isna(ranks[name]["value"]):
            yield f"`{name}` among the trained", ranks[name]["undefined"]
