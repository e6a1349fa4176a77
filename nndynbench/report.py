"""docs/results.md: what the numbers say, written from results alone, so that no sentence outlives its number."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd

from nndynbench import plots
from nndynbench.paper import tables, verdicts
from nndynbench.paper.reproduction import Reproduction, all_at_hand
from nndynbench.protocols import Comparison, comparison_file, read_comparison
from nndynbench.protocols.metrics import better
from nndynbench.storage.files import written_whole
from nndynbench.subsets import Subset, subsets

COMMAND = "nndynbench report"
ROWS = 15
ALWAYS = ("bar", "hyperparameters", "learning-rate", "validation-accuracy", "constant")
BOARDS = ("regression-folds", "classification", "blocked", "triage")
# A graph method and its control, which is the same without the graph.
CONTROLS = (("degree-forest", "control-shuffled-degree"), ("eigenvector-forest", "control-shuffled-eigenvector"))

Row: TypeAlias = dict[Any, Any]


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

Written by `{COMMAND}` from stored results: change no number here by hand. Accuracies are in percent, MAE and regret in
percentage points. Behind each value stands its 95% interval: learning rates (configurations, where hyperparameters were
drawn) are resampled together; those of gain and added are paired.

Subsets at hand: {", ".join(f"{s.name} {s.version} ({s.manifest.networks} networks)" for s in at_hand)}. Missing:
{", ".join(str(name) for name in table.index[table["networks"] == 0]) or "none"}. Nothing below speaks of those."""
    uncompared = []
    for subset in at_hand:
        for name in BOARDS:
            path = comparison_file(results, [subset.name], name)
            if path.is_file():
                yield from _board(read_comparison(path), subset, out, results)
            else:
                uncompared.append(f"`nndynbench compare --subset {subset.name} --protocol {name}`")
    for path in sorted(results.glob("compare.*.transfer.json")):
        yield from _transfer(read_comparison(path), out)
    yield from _reproduced(verdicts.claims(results, root))
    yield from _reproduced(tables.table4(results, root))
    if uncompared:
        yield f"\n## Not compared yet\n\n{'; '.join(uncompared)}."


def _board(compared: Comparison, subset: Subset, out: Path, results: Path) -> Iterator[str]:
    metric = compared.protocol.metrics[0]
    rows = compared.rows[compared.rows["metric"] == metric]
    budgets = sorted(int(budget) for budget in rows["epochs"].unique())
    last = _ranked(rows[rows["epochs"] == budgets[-1]], metric)
    yield f"\n## {subset.name}: {compared.protocol.name}\n"
    yield f"{compared.protocol.source[0].upper()}{compared.protocol.source[1:]}.\n"
    yield from _sentences(last, metric, budgets[-1])
    trained = comparison_file(results, [subset.name], "trained")
    if compared.protocol.name == "regression-folds" and trained.is_file():
        ranks = read_comparison(trained).rows.query(f"metric == 'kendall_tau' and epochs == {budgets[-1]}")
        for row in ranks.to_dict("records"):
            last[row["method"]]["trained"] = row["value"]
    yield ""
    yield from _table(rows, last, budgets)
    if below := [name for name in last if name not in _shown(last)]:
        yield f"\n{len(below)} more methods are below these; `nndynbench compare` prints all."
    for name, reason in compared.failures.items():
        yield f"\nNo result: {name}, {reason}."
    if len(budgets) > 1:
        path = plots.comparison_over_budget(compared, out.with_suffix("") / f"{subset.name}.{compared.protocol.name}.png")
        yield f"\n![{metric} over the budget]({path.relative_to(out.parent)})"


def _ranked(rows: pd.DataFrame, metric: str) -> dict[str, Row]:
    """Rows by method, the best first."""
    ordered = rows.sort_values("value", ascending=better(metric) < 0).to_dict("records")
    return {str(row["method"]): dict(row) for row in ordered}


def _sentences(last: dict[str, Row], metric: str, budget: int) -> Iterator[str]:
    """What the table says, in words that depend on its numbers; ``last`` is at the last budget, the best first."""
    ranks = {name: rank for rank, name in enumerate(last)}
    weights_only = [name for name, row in last.items() if row["tier"] == "weights"]
    if weights_only:
        best = last[weights_only[0]]
        yield (
            f"- At {budget} epochs the best method that reads only weights is `{weights_only[0]}`: "
            f"{metric.replace('_', ' ')} {_value(best)}; the bar has {_value(last['bar'])}, "
            f"so it gains {_value(best, 'gain', signed=True)}."
        )
    for trivial in ("hyperparameters", "learning-rate", "validation-accuracy"):
        if trivial in last:
            beaten = sum(ranks[trivial] < ranks[name] for name in weights_only)
            yield (
                f"- `{trivial}` has {_value(last[trivial])}: better than {beaten} of the {len(weights_only)} methods "
                "that read only weights."
            )
    if adding := [name for name, row in last.items() if row.get("added_low", 0) > 0]:
        weighty = [name for name in adding if "weights" in last[name]["tier"]]
        names = (f"`{name}` ({_value(last[name], 'added', signed=True)})" for name in adding)
        yield f"- The interval of what they add to the bar's R² lies above 0: {', '.join(names)}."
        yield f"- Of these {len(weighty) or 'none'} read weights{': ' if weighty else ''}{', '.join(weighty)}."
    elif any("added" in row and not pd.isna(row["added"]) for row in last.values()):
        yield "- The interval of what it adds to the bar's R² lies above 0 for no method."
    for method, control in CONTROLS:
        if {method, control} <= last.keys():
            yield f"- `{method}` has {_value(last[method])}, its control on shuffled weights {_value(last[control])}."


def _shown(last: dict[str, Row]) -> list[str]:
    order = list(last)
    controlled = {name for pair in CONTROLS for name in pair}
    return [name for name in order if name in order[:ROWS] or name in ALWAYS or name in controlled]


def _table(rows: pd.DataFrame, last: dict[str, Row], budgets: Sequence[int]) -> Iterator[str]:
    values = {(row["method"], int(row["epochs"])): row["value"] for row in rows.to_dict("records")}
    extra = [("gain", "gain over the bar"), ("added", "added to it")]
    kept = [(column, head) for column, head in extra if column in rows and rows[column].notna().any()]
    trained = ["τ among the trained"] if "trained" in last["bar"] else []
    if (known := rows["ceiling"].dropna()).size:
        yield f"Ceiling, from the spread between two seeds of one configuration: {known.iloc[0]:.3f}.\n"
    heads = [*(f"{budget} epochs" for budget in budgets[:-1]), f"{budgets[-1]} epochs (95%)"]
    yield _line(["method", *heads, *(head for _, head in kept), *trained, "reads"])
    yield _line(["---"] * (len(heads) + len(kept) + len(trained) + 2))
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
    yield f"{compared.protocol.source}. Kendall's τ at {rows['epochs'].iloc[0]} epochs, trained on → tested on.\n"
    yield _line(["method", *(f"{source} → {goal}" for source, goal in pairs)])
    yield _line(["---"] * (len(pairs) + 1))
    for method, part in rows.groupby("method", sort=False):
        cells = {(row["trained_on"], row["subset"]): dict(row) for row in part.to_dict("records")}
        yield _line([f"`{method}`", *(_value(cells[pair]) if pair in cells else "–" for pair in pairs)])
    path = plots.transfer_matrix(compared, out.with_suffix("") / "transfer.png")
    yield f"\n![trained on × tested on]({path.relative_to(out.parent)})"


def _reproduced(reproduced: Reproduction) -> Iterator[str]:
    yield f"\n## {reproduced.title}\n"
    yield _line(reproduced.rows.columns)
    yield _line(["---"] * len(reproduced.rows.columns))
    for row in reproduced.rows.itertuples(index=False):
        yield _line(["" if pd.isna(value) else str(value) for value in row])
    yield ""
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
