"""docs/results.md: what the numbers say, written from results alone, so that no sentence outlives its number."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pandas as pd

from nndynbench import plots
from nndynbench.paper import tables, verdicts
from nndynbench.paper.reproduction import Reproduction, all_at_hand
from nndynbench.protocols import Comparison, compare
from nndynbench.protocols.metrics import better
from nndynbench.storage.files import written_whole
from nndynbench.subsets import SplitError, Subset, subsets

COMMAND = "nndynbench report"
ROWS = 15
ALWAYS = ("bar", "hyperparameters", "learning-rate", "validation-accuracy", "constant")
# The budgets that the document shows; the first of a protocol's list is read first.
BUDGETS: dict[str, list[int]] = {
    "regression-folds": [1, 2, 3, 4, 5],
    "classification": [1, 3, 5, 10],
    "blocked": [5],
    "triage": [1, 5],
    "transfer": [5],
}
TRANSFERRED = ("bar", "hyperparameters", "degree-linear", "degree-forest", "weight-statistics", "control-shuffled-degree")
# A graph method and its control, which is the same without the graph.
CONTROLS = (("degree-forest", "control-shuffled-degree"), ("eigenvector-forest", "control-shuffled-eigenvector"))

Progress = Callable[[str], None]


def report(out: Path, results: Path, *, root: str | Path | None = None, jobs: int = -1, progress: Progress = print) -> Path:
    """Write the document and the plots beside it; what is not among the stored results is fitted first."""
    drawn = out.with_suffix("")
    text = "\n".join(_document(out, drawn, results, root, jobs, progress))
    out.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(out) as partial:
        partial.write_text(text.rstrip() + "\n", encoding="utf-8")
    return out


def _document(
    out: Path, drawn: Path, results: Path, root: str | Path | None, jobs: int, progress: Progress
) -> Iterator[str]:
    at_hand = all_at_hand(root)
    table = subsets(root=root)
    yield f"""# Results

Written by `{COMMAND}` from stored results: change no number here by hand. Accuracies are in percent, MAE and regret in percentage
points. Behind each value stands its 95% interval: learning rates (configurations, where hyperparameters were drawn) are
resampled together; those of gain and added are paired. What the words mean is in [benchmark.md](benchmark.md).

Subsets at hand: {", ".join(f"{s.name} {s.version} ({s.manifest.networks} networks, {s.manifest.protocol})" for s in at_hand)}.
Missing: {", ".join(str(name) for name in table.index[table["networks"] == 0]) or "none"}. Nothing below speaks of those."""
    for subset in _boards(at_hand):
        for name in ("regression-folds", "classification", "blocked", "triage"):
            progress(f"{name} on {subset.name}")
            try:
                compared = _compared([subset], name, results, jobs)
            except SplitError as reason:
                yield f"\n## {subset.name}: {name}\n\nNone: {reason}."
                continue
            yield from _board(compared, subset, out, drawn, results, jobs)
    widths = [subset for subset in at_hand if subset.manifest.images.name == "digits"]
    if len(widths) > 1:
        progress("transfer")
        yield from _transfer(_compared(widths, "transfer", results, jobs, TRANSFERRED), drawn, out)
    progress("the paper")
    yield from _reproduced(verdicts.claims(results, root))
    yield from _reproduced(tables.table4(results, root))


def _boards(at_hand: Sequence[Subset]) -> list[Subset]:
    """The subsets with a board of their own: other widths are there for transfer alone."""
    return [subset for subset in at_hand if "@" not in subset.manifest.architecture]


def _compared(
    parts: Sequence[Subset], name: str, results: Path, jobs: int, methods: Sequence[str] | None = None
) -> Comparison:
    known = [budget for budget in BUDGETS[name] if all(budget in subset.budgets for subset in parts)]
    return compare(parts, methods, protocol=name, epochs=known, results=results, jobs=jobs)


def _board(compared: Comparison, subset: Subset, out: Path, drawn: Path, results: Path, jobs: int) -> Iterator[str]:
    metric = compared.protocol.metrics[0]
    rows = compared.rows[compared.rows["metric"] == metric]
    budgets = sorted(rows["epochs"].unique())
    last = rows[rows["epochs"] == budgets[-1]].set_index("method")
    yield f"\n## {subset.name}: {compared.protocol.name}\n"
    yield f"{compared.protocol.source[0].upper()}{compared.protocol.source[1:]}.\n"
    yield from _sentences(compared, last, metric, budgets[-1])
    if compared.protocol.name == "regression-folds":
        trained = compare([subset], protocol="trained", epochs=budgets[-1:], results=results, jobs=jobs)
        ranks = trained.rows[trained.rows["metric"] == "kendall_tau"].set_index("method")["value"]
        last = last.assign(trained=ranks.reindex(last.index))
    shown = _shown(last, metric)
    yield ""
    yield from _table(rows, last.loc[shown], metric, budgets)
    if len(last) > len(shown):
        yield f"\n{len(last) - len(shown)} more methods are below these; `nndynbench compare` prints all."
    for name, reason in compared.failures.items():
        yield f"\nNo result: {name}, {reason}."
    if len(budgets) > 1:
        path = plots.comparison_over_budget(compared, drawn / f"{subset.name}.{compared.protocol.name}.png")
        yield f"\n![{metric} over the budget]({path.relative_to(out.parent)})"


def _sentences(compared: Comparison, last: pd.DataFrame, metric: str, budget: int) -> Iterator[str]:
    """What the table says, in words that depend on its numbers."""
    said = metric.replace("_", " ")
    order = last["value"].sort_values(ascending=better(metric) < 0)
    weights_only = [name for name in order.index if last.loc[name, "tier"] == "weights"]
    if "gain" in last and weights_only:
        best = last.loc[weights_only[0]]
        yield (
            f"- At {budget} epochs the best method that reads only weights is `{weights_only[0]}`: {said} {_value(best)}; "
            f"the bar has {_value(last.loc['bar'])}, a gain of {_value(best, 'gain', signed=True)}."
        )
        for trivial in ("hyperparameters", "learning-rate", "validation-accuracy"):
            if trivial in last.index:
                beaten = [name for name in weights_only if _is_better(last, trivial, name, metric)]
                yield (
                    f"- `{trivial}` has {_value(last.loc[trivial])}: better than {len(beaten)} of the {len(weights_only)} "
                    "methods that read only weights."
                )
    if "added" in last:
        adding = [name for name in last.index if last.loc[name, "added_low"] > 0]
        names = ", ".join(f"`{name}` ({_value(last.loc[name], 'added', signed=True)})" for name in adding)
        weighty = [name for name in adding if "weights" in str(last.loc[name, "tier"])]
        yield f"- Whose added R² has an interval above 0: {names or 'none'}."
        yield f"- Of these read weights: {', '.join(f'`{name}`' for name in weighty) or 'none: the weights add nothing that the bar lacks'}."
    for method, control in CONTROLS:
        if {method, control} <= set(last.index):
            yield f"- `{method}` {_value(last.loc[method])}, its control on shuffled weights {_value(last.loc[control])}."


def _is_better(last: pd.DataFrame, one: str, other: str, metric: str) -> bool:
    return bool(better(metric) * (last.loc[one, "value"] - last.loc[other, "value"]) > 0)


def _shown(last: pd.DataFrame, metric: str) -> list[str]:
    order = list(last["value"].sort_values(ascending=better(metric) < 0).index)
    return [name for name in order if name in order[:ROWS] or name in ALWAYS or name in sum(CONTROLS, ())]


def _table(rows: pd.DataFrame, last: pd.DataFrame, metric: str, budgets: Sequence[int]) -> Iterator[str]:
    values = rows.pivot_table(index="method", columns="epochs", values="value", sort=False, dropna=False)
    extra = [("gain", "gain over the bar"), ("added", "added to it")]
    kept = [(column, head) for column, head in extra if column in last and last[column].notna().any()]
    trained = ["τ among the trained"] if "trained" in last else []
    known = rows["ceiling"].dropna()
    if known.size:
        yield f"Ceiling, from the spread between two seeds of one configuration: {known.iloc[0]:.3f}.\n"
    heads = [*(f"{budget} epochs" for budget in budgets[:-1]), f"{budgets[-1]} epochs (95%)"]
    yield _line(["method", *heads, *(head for _, head in kept), *trained, "reads"])
    yield _line(["---"] * (len(heads) + len(kept) + len(trained) + 2))
    for name, row in last.iterrows():
        cells = [_number(values.loc[name].get(budget)) for budget in budgets[:-1]] + [_value(row)]
        cells += [_value(row, column, signed=True) for column, _ in kept]
        cells += [_number(row["trained"])] if trained else []
        yield _line([f"`{name}`", *cells, str(row["tier"])])


def _transfer(compared: Comparison, drawn: Path, out: Path) -> Iterator[str]:
    rows = compared.rows[compared.rows["metric"] == "kendall_tau"]
    names = list(dict.fromkeys([*rows["subset"], *rows["trained_on"]]))
    pairs = [(source, goal) for source in names for goal in names if source != goal]
    yield "\n## Transfer\n"
    yield f"{compared.protocol.source}. Kendall's τ at {BUDGETS['transfer'][0]} epochs, trained on → tested on.\n"
    yield _line(["method", *(f"{source} → {goal}" for source, goal in pairs)])
    yield _line(["---"] * (len(pairs) + 1))
    for method, part in rows.groupby("method", sort=False):
        cells = part.set_index(["trained_on", "subset"])
        yield _line([f"`{method}`", *(_value(cells.loc[pair]) if pair in cells.index else "–" for pair in pairs)])
    path = plots.transfer_matrix(compared, drawn / "transfer.png")
    yield f"\n![trained on × tested on]({path.relative_to(out.parent)})"


def _reproduced(reproduced: Reproduction) -> Iterator[str]:
    yield f"\n## {reproduced.title}\n"
    yield _line(reproduced.rows.columns)
    yield _line(["---"] * len(reproduced.rows.columns))
    for row in reproduced.rows.itertuples(index=False):
        yield _line(["" if pd.isna(value) else str(value) for value in row])
    yield ""
    yield from (f"- {note}" for note in reproduced.notes)


def _value(row: pd.Series, column: str = "value", *, signed: bool = False) -> str:
    low, high = ("low", "high") if column == "value" else (f"{column}_low", f"{column}_high")
    if pd.isna(row[column]):
        return "–"
    shown = f"{row[column]:+.3f}" if signed else f"{row[column]:.3f}"
    return shown if pd.isna(row[low]) else f"{shown} ({row[low]:.2f} to {row[high]:.2f})"


def _number(value: float | None) -> str:
    return "–" if value is None or pd.isna(value) else f"{value:.3f}"


def _line(cells: Sequence[str] | pd.Index) -> str:
    return f"| {' | '.join(str(cell).replace('|', '/') for cell in cells)} |"
