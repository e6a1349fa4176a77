"""docs/results.md: what the numbers say, written from results alone, so that no sentence outlives its number."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd

from nndynbench import plots
from nndynbench.paper import tables, verdicts
from nndynbench.paper.reproduction import Reproduction, all_at_hand
from nndynbench.protocols import Comparison, compare, comparison_file, method_names, read_comparison
from nndynbench.protocols import protocol as find_protocol
from nndynbench.protocols.comparison import BAR
from nndynbench.protocols.metrics import UndefinedMetricError, better, metric_facts
from nndynbench.protocols.stored import StoredResults
from nndynbench.protocols.triage import RULES
from nndynbench.storage.files import written_whole
from nndynbench.subsets import Subset, subsets

COMMAND = "nndynbench report"
ROWS = 10
FEW = 3
ALWAYS = ("bar", "hyperparameters", "learning-rate", "validation-accuracy", "constant")
# A method and its controls, which are the same without the graph, or without any training.
CONTROLS = {
    "degree-forest": {
        "control-shuffled-degree": "on shuffled weights",
        "control-epoch-0-degree": "on the initialisation alone",
    },
    "eigenvector-forest": {
        "control-shuffled-eigenvector": "on shuffled weights",
        "control-epoch-0-eigenvector": "on the initialisation alone",
    },
    "bar-and-weight-statistics": {"bar-and-epoch-0": "on the initialisation alone"},
}
TITLES = {
    "regression-folds": "how accurate will it become?",
    "blocked": "the same, far from what training saw",
    "triage": "which networks to go on training?",
    "classification": "high or low?",
}

# How a row of `nndynbench.paper` ends that has nothing of ours.
ABSENT = "not at hand"

Row: TypeAlias = dict[Any, Any]
TRAINED = find_protocol("trained")


def report(out: Path, results: Path, *, root: str | Path | None = None) -> Path:
    """Write the document and its plots, from the comparisons that ``nndynbench compare`` wrote into ``results``."""
    text = "\n".join(_document(out, results, root))
    out.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(out) as partial:
        partial.write_text(text.rstrip() + "\n", encoding="utf-8")
    return out


def _document(out: Path, results: Path, root: str | Path | None) -> Iterator[str]:
    at_hand = all_at_hand(root)
    table = subsets(root=root)
    yield f"""# Results

Written by `{COMMAND}` from stored results: change no number here by hand.

A method looks at the first epochs of a network's training and predicts its accuracy at the end. It is measured against **the
bar**: the best of four ordinary learners that see every hyperparameter and the curves so far, but no weights. Two numbers
say what a method knows beyond that:

- **gain**: its score minus the bar's, positive where it is better;
- **added**: how much the bar's R² rises when the method's predictions are blended in; 0 says that the bar already knew.

Accuracies are in percent, MAE and regret in percentage points. In brackets stands the 95% interval: learning rates
(configurations, where hyperparameters were drawn) are resampled together; those of gain and added are paired.

Subsets at hand: {", ".join(f"{s.name} {s.version} ({s.manifest.networks} networks)" for s in at_hand)}. Missing:
{", ".join(str(name) for name in table.index[table["networks"] == 0]) or "none"}. Nothing below speaks of those."""
    sections: dict[str, Callable[[Comparison, Subset, Path, Path], Iterator[str]]] = {
        "regression-folds": _board,
        "blocked": _blocked,
        "triage": _triage,
        "classification": _board,
    }
    uncompared: dict[str, list[str]] = {}
    for subset in at_hand:
        for name, section in sections.items():
            if (compared := _compared(subset, name, results)) is not None:
                yield from section(compared, subset, out, results)
            else:
                uncompared.setdefault(subset.name, []).append(name)
    for path in sorted(results.glob("compare.*.transfer.json")):
        yield from _transfer(read_comparison(path), out)
    yield from _reproduced(verdicts.claims(results, root), "reproduce claims")
    yield from _reproduced(tables.table4(results, root), "reproduce table4")
    if uncompared:
        yield "\n## Not compared yet\n\n`nndynbench compare --subset SUBSET --protocol PROTOCOL` fills each:\n"
        yield from (f"- {name}: {', '.join(missing)}" for name, missing in uncompared.items())


def _compared(subset: Subset, name: str, results: Path) -> Comparison | None:
    """A protocol's comparison as it was written; where it scores another's predictions, else from those that are stored."""
    path, chosen = comparison_file(results, [subset.name], name), find_protocol(name)
    if path.is_file():
        return read_comparison(path)
    fitted = comparison_file(results, [subset.name], chosen.fitted.name)
    if not fitted.is_file():
        return None
    rows, stored = read_comparison(fitted).rows, StoredResults(results)
    last = [int(rows["epochs"].max())]
    bundled = [method for method in rows["method"].unique() if method in method_names()]
    held = [method for method in bundled if stored.holds(method, [subset], chosen, last)]
    if chosen is chosen.fitted or BAR not in held:
        return None
    try:
        return compare(subset, held, protocol=chosen, epochs=last, results=results, jobs=1)
    except UndefinedMetricError:  # no network learned anything
        return None


def _board(compared: Comparison, subset: Subset, out: Path, results: Path) -> Iterator[str]:
    metric = compared.protocol.metrics[0]
    rows = compared.rows[compared.rows["metric"] == metric]
    budgets = sorted(int(budget) for budget in rows["epochs"].unique())
    last = _ranked(rows[rows["epochs"] == budgets[-1]], metric)
    yield from _heading(compared, subset)
    yield from _sentences(last, metric, budgets[-1])
    if compared.protocol.name == TRAINED.fitted.name and (trained := _compared(subset, TRAINED.name, results)) is not None:
        ranks = _at_the_last_budget(trained, TRAINED.metrics[0])
        yield from _among_the_trained(ranks)
        for name in last.keys() & ranks.keys():
            last[name]["trained"] = ranks[name]["value"]
    yield ""
    yield from _table(rows, last, budgets)
    if below := len(last.keys() - set(_shown(last))):
        yield f"\n{below} more methods are below these; `nndynbench compare` prints all."
    for reason in compared.failures.values():
        yield f"\nNo result: {reason.partition(';')[0]}."
    if len(budgets) > 1:
        path = plots.comparison_over_budget(compared, out.with_suffix("") / f"{subset.name}.{compared.protocol.name}.png")
        yield f"\n![{metric_facts()[metric].label} over the budget]({path.relative_to(out.parent)})"


def _among_the_trained(ranks: dict[str, Row]) -> Iterator[str]:
    best = next((name for name in ranks if ranks[name]["tier"] == "weights"), None)
    if best is not None:
        yield (
            f"- Chance is easily told from trained. Among the networks that learned anything, `{best}` ranks best of those "
            f"that read only weights: τ {_value(ranks[best])}; the bar has {_value(ranks[BAR])}."
        )


def _blocked(compared: Comparison, subset: Subset, out: Path, results: Path) -> Iterator[str]:
    """Extrapolation: each method's score beside the one that it has where training saw all learning rates."""
    metric = compared.protocol.metrics[0]
    label = metric_facts()[metric].label
    last = _at_the_last_budget(compared, metric)
    budget = int(last[BAR]["epochs"])
    seen = _compared(subset, "regression-folds", results)
    inside = _by_method(seen, metric, budget) if seen is not None else {}
    yield from _heading(compared, subset)
    yield from _best_on_weights(last, label, budget)
    if worse := [name for name in last if name in inside and last[name]["value"] < inside[name]["value"]]:
        both = [name for name in last if name in inside]
        few = _count(len(worse), len(both))
        yield f"- {few} methods score lower than in regression-folds, where training saw neighbours."
    yield from _beside_controls({name: last[name] for name in _few(last)})
    yield ""
    heads = [f"{label}, {_epochs(budget)}", "gain over the bar", f"{label} in regression-folds", "reads"]
    yield from _head(["method", *heads])
    for name in _few(last):
        row = last[name]
        cells = [_value(row), _value(row, "gain", signed=True), _number(inside.get(name, {}).get("value")), row["tier"]]
        yield _line([f"`{name}`", *cells])


def _triage(compared: Comparison, subset: Subset, out: Path, results: Path) -> Iterator[str]:
    """Which networks to go on training: the methods against the rules that fit nothing."""
    last = _at_the_last_budget(compared, "regret_5")
    budget = int(last[BAR]["epochs"])
    saved = _by_method(compared, "epochs_saved", budget)
    weights_only = _weights_only(last)
    yield from _heading(compared, subset)
    yield f"""All networks are trained for {_epochs(budget)} and ranked by a method, which was fitted on others that were
trained to the end. Regret is what the best of the five ranked first lacks of the best of all. Epochs are saved where, from
then on, networks are trained one after the other as ranked, until one is within a point of the best.
"""
    if weights_only:
        least = [f"`{name}`" for name in weights_only if last[name]["value"] == last[weights_only[0]]["value"]]
        yield (
            f"- Least regret of the methods that read only weights: {_value(last[weights_only[0]])}, by {', '.join(least)}. "
            f"The bar has {_value(last[BAR])}."
        )
    for rule in RULES:
        if rule in last:
            fewer = sum(last[name]["value"] < last[rule]["value"] for name in weights_only)
            more = sum(saved[name]["value"] > saved[rule]["value"] for name in weights_only)
            yield (
                f"- `{rule}`, which fits nothing, has a regret of {_value(last[rule])} and saves {_value(saved[rule])}% of "
                f"the epochs. Of the methods that read only weights, {_count(fewer, len(weights_only))} have less regret, "
                f"{_count(more, len(weights_only))} save more."
            )
    yield ""
    by_metric = {metric: _by_method(compared, metric, budget) for metric in compared.protocol.metrics}
    yield from _head(["method", *(metric_facts()[metric].label for metric in by_metric), "reads"])
    for name in _few(last, *RULES):
        yield _line([f"`{name}`", *(_value(rows[name]) for rows in by_metric.values()), last[name]["tier"]])


def _heading(compared: Comparison, subset: Subset) -> Iterator[str]:
    source = compared.protocol.source
    yield f"\n## {subset.name}: {TITLES[compared.protocol.name]} (`{compared.protocol.name}`)\n"
    trained, planned = subset.manifest.networks, subset.manifest.networks_planned
    unfinished = f" Unfinished: {trained} of {planned} networks are trained." if trained < planned else ""
    yield f"{source[0].upper()}{source[1:]}.{unfinished}\n"


def _at_the_last_budget(compared: Comparison, metric: str) -> dict[str, Row]:
    return _by_method(compared, metric, int(compared.rows["epochs"].max()))


def _by_method(compared: Comparison, metric: str, budget: int) -> dict[str, Row]:
    return _ranked(compared.rows.query("metric == @metric and epochs == @budget"), metric)


def _weights_only(last: Mapping[str, Row]) -> list[str]:
    return [name for name, row in last.items() if row["tier"] == "weights"]


def _few(last: Mapping[str, Row], *also: str) -> list[str]:
    """The best methods, the best that read only weights, their controls, and those that are always shown."""
    kept = {*list(last)[:FEW], *_weights_only(last)[:FEW], *ALWAYS, *also}
    controls = {name for method in kept for name in CONTROLS.get(method, ())}
    return [name for name in last if name in kept | controls]


def _ranked(rows: pd.DataFrame, metric: str) -> dict[str, Row]:
    """Rows by method, the best first."""
    ordered = rows.sort_values("value", ascending=better(metric) < 0).to_dict("records")
    return {str(row["method"]): dict(row) for row in ordered}


def _best_on_weights(last: dict[str, Row], label: str, budget: int) -> Iterator[str]:
    for name in _weights_only(last)[:1]:
        yield (
            f"- At {_epochs(budget)} the best method that reads only weights is `{name}`: {label} {_value(last[name])}. "
            f"The bar has {_value(last[BAR])}: a gain of {_value(last[name], 'gain', signed=True)}."
        )


def _sentences(last: dict[str, Row], metric: str, budget: int) -> Iterator[str]:
    """What the table says, in words that depend on its numbers; ``last`` is at the last budget, the best first."""
    ranks = {name: rank for rank, name in enumerate(last)}
    weights_only = _weights_only(last)
    yield from _best_on_weights(last, metric_facts()[metric].label, budget)
    for trivial in ("hyperparameters", "learning-rate", "validation-accuracy"):
        if trivial in last:
            beaten = sum(ranks[trivial] < ranks[name] for name in weights_only)
            yield (
                f"- `{trivial}` alone has {_value(last[trivial])}: better than {_count(beaten, len(weights_only))} methods "
                "that read only weights."
            )
    if adding := [name for name, row in last.items() if row.get("added_low", 0) > 0]:
        names = (f"`{name}` ({_value(last[name], 'added', signed=True)})" for name in adding)
        weighty = [f"`{name}`" for name in adding if "weights" in last[name]["tier"]]
        yield f"- These add to the bar's R², by an interval above 0: {', '.join(names)}."
        yield f"- Of them, these read weights: {', '.join(weighty)}." if weighty else "- None of them reads weights."
    elif any("added" in row and not pd.isna(row["added"]) for row in last.values()):
        yield "- No method adds to the bar's R² by an interval above 0."
    yield from _beside_controls(last)


def _beside_controls(last: dict[str, Row]) -> Iterator[str]:
    for method, controls in CONTROLS.items():
        if found := {name: what for name, what in controls.items() if {method, name} <= last.keys()}:
            values = ", ".join(f"{what} {_value(last[name])}" for name, what in found.items())
            yield f"- `{method}` has {_value(last[method])}; the same {values}."


def _shown(last: dict[str, Row]) -> list[str]:
    order = list(last)
    controlled = {name for method, controls in CONTROLS.items() for name in (method, *controls)}
    return [name for name in order if name in order[:ROWS] or name in ALWAYS or name in controlled]


def _table(rows: pd.DataFrame, last: dict[str, Row], budgets: Sequence[int]) -> Iterator[str]:
    values = {(row["method"], int(row["epochs"])): row["value"] for row in rows.to_dict("records")}
    extra = [("gain", "gain over the bar"), ("added", "added to it")]
    kept = [(column, head) for column, head in extra if column in rows and rows[column].notna().any()]
    trained = ["τ among the trained"] if "trained" in last[BAR] else []
    if (known := rows["ceiling"].dropna()).size:
        yield f"Ceiling, from the spread between two seeds of one configuration: {known.iloc[0]:.3f}.\n"
    heads = [*map(_epochs, budgets[:-1]), f"{_epochs(budgets[-1])} (95%)"]
    yield from _head(["method", *heads, *(head for _, head in kept), *trained, "reads"])
    for name in _shown(last):
        row = last[name]
        cells = [_number(values.get((name, budget))) for budget in budgets[:-1]] + [_value(row)]
        cells += [_value(row, column, signed=True) for column, _ in kept]
        cells += [_number(row.get("trained"))] if trained else []
        yield _line([f"`{name}`", *cells, str(row["tier"])])


def _transfer(compared: Comparison, out: Path) -> Iterator[str]:
    rows = compared.rows[compared.rows["metric"] == "kendall_tau"]
    names = list(dict.fromkeys([*rows["subset"], *rows["trained_on"]]))
    pairs = [(source, goal) for source in names for goal in names if source != goal]
    yield "\n## Transfer\n"
    yield f"{compared.protocol.source}. Kendall's τ at {_epochs(rows['epochs'].iloc[0])}, trained on → tested on.\n"
    yield from _head(["method", *(f"{source} → {goal}" for source, goal in pairs)])
    for method, part in rows.groupby("method", sort=False):
        cells = {(row["trained_on"], row["subset"]): dict(row) for row in part.to_dict("records")}
        yield _line([f"`{method}`", *(_value(cells[pair]) if pair in cells else "–" for pair in pairs)])
    path = plots.transfer_matrix(compared, out.with_suffix("") / "transfer.png")
    yield f"\n![trained on × tested on]({path.relative_to(out.parent)})"


def _reproduced(reproduced: Reproduction, command: str) -> Iterator[str]:
    """The rows that have a number of ours; how many have none, by what is missing for them."""
    absent = reproduced.rows.map(str).apply(lambda row: row.str.endswith(ABSENT).any(), axis=1)
    yield f"\n## {reproduced.title}\n"
    yield from _head(reproduced.rows.columns)
    for row in reproduced.rows[~absent].itertuples(index=False):
        yield _line(["" if pd.isna(value) else str(value) for value in row])
    yield ""
    if absent.any():
        yield f"- {absent.sum()} more need subsets that are not at hand; `nndynbench {command}` lists them"
    yield from (f"- {note}" for note in reproduced.notes)


def _value(row: Row, column: str = "value", *, signed: bool = False) -> str:
    low, high = ("low", "high") if column == "value" else (f"{column}_low", f"{column}_high")
    if pd.isna(row[column]):
        return "–"
    shown = f"{row[column]:+.3f}" if signed else f"{row[column]:.3f}"
    return shown if pd.isna(row[low]) else f"{shown} ({row[low]:.2f} to {row[high]:.2f})"


def _number(value: float | None) -> str:
    return "–" if value is None or pd.isna(value) else f"{value:.3f}"


def _line(cells: Iterable[object]) -> str:
    return f"| {' | '.join(str(cell).replace('|', '/') for cell in cells)} |"


def _head(cells: Iterable[object]) -> Iterator[str]:
    heads = list(cells)
    yield _line(heads)
    yield _line(["---"] * len(heads))


def _epochs(budget: object) -> str:
    return f"{budget} epoch{'' if budget == 1 else 's'}"


def _count(some: int, of_all: int) -> str:
    """As "all 5", "none of the 5" or "2 of the 5"."""
    return f"all {of_all}" if some == of_all else f"{some or 'none'} of the {of_all}"
