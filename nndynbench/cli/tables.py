"""Scores and comparisons as tables of the terminal."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from rich.markup import escape
from rich.table import Table

from nndynbench.numbers import NOTHING, epochs, estimate, number, written_interval

if TYPE_CHECKING:
    import pandas as pd

    from nndynbench.protocols import Comparison, Result

Row: TypeAlias = "pd.Series | Mapping[Hashable, Any]"


def score_tables(result: Result, beside: pd.DataFrame, regimes: Mapping[str, str]) -> Iterator[Table]:
    """A table per subset (and subset trained on): a row per budget with the first metric, the bar's, and what the method is
    worth beside it; then all other metrics, and the paper's numbers where there are any.
    """
    from nndynbench.paper import paper_score
    from nndynbench.protocols import find_protocol
    from nndynbench.protocols.metrics import METRICS
    from nndynbench.protocols.scoring import case_columns

    chosen, label = find_protocol(result.facts.protocol), result.facts.method
    keys = case_columns(result.scores)
    worth = {tuple(row[key] for key in keys): row for row in beside.to_dict("records")}
    for place, scores in result.scores.groupby([key for key in keys if key != "budget"], sort=False):
        facts = dict(zip((key for key in keys if key != "budget"), map(str, place), strict=True))
        subset, trained_on = facts["subset"], f", trained on {facts['trained_on']}" if "trained_on" in facts else ""
        rows = {int(str(budget)): part for budget, part in scores.groupby("budget")}
        own = {budget: worth[tuple({**facts, "budget": budget}[key] for key in keys)] for budget in rows}
        papers = {b: paper_score(subset=subset, protocol=chosen.name, method=label, budget=b) for b in rows}
        adds = any(row["added"] == row["added"] for row in own.values())
        first, *others = (METRICS[metric].label for metric in chosen.metrics)
        heads = [first, f"the bar's {first}", "gain over the bar", *["added to the bar's R²"] * adds, *others]
        heads += ["paper"] * any(papers.values())
        title = f"{escape(label)} on {subset} ({regimes[subset]} regime){trained_on}, {chosen.name}"
        table = Table("budget", *heads, title=title)
        for budget, part in rows.items():
            score, *further = (_score(row) for row in part.to_dict("records"))
            cells = [score, number(own[budget]["bar"]), dimmed(own[budget], "gain", signed=True)]
            if adds:
                cells.append(dimmed(own[budget], "added", signed=True))
            cells += further + [papers[budget] or NOTHING] * any(papers.values())
            table.add_row(str(budget), *cells)
        yield table


def comparison_tables(compared: Comparison, metric: str, *, bold: Collection[str] = ()) -> Iterator[Table]:
    """A table per tested subset: methods, best at the last budget first, with the metric at every budget, and at the last
    one its gain over the references and what it adds; on transfer a matrix of the subsets per method. Tables of the
    reasons come last, where a value or an interval is missing.
    """
    from nndynbench.protocols.metrics import METRICS
    from nndynbench.protocols.references import BAR, beyond_references

    rows = compared.rows[compared.rows["metric"] == metric]
    if compared.protocol.test == "another":
        yield from _transfer_tables(compared, rows, metric)
        yield from _tables_of_reasons(rows)
        return
    for subset, part in rows.groupby("subset", sort=False):
        budgets = sorted(part["budget"].unique())
        last = part[part["budget"] == budgets[-1]].set_index("method")
        title = f"{compared.protocol.name} on {compared.title_of(str(subset))}: {METRICS[metric].label}"
        if len(known := part.dropna(subset="ceiling")):
            title += f"; a recipe's mean can reach {estimate(dict(known.iloc[0]), 'ceiling')}"
        beyond = beyond_references(last)
        heads = [f"{budget} ep." for budget in budgets]
        draws = _draws_where_they_differ(part)
        columns = [*heads, "95% interval", *beyond.values(), *["draws"] * bool(draws), "reads"]
        table = Table("method", *columns, title=title)
        values = part.pivot_table(index="method", columns="budget", values="value", sort=False, dropna=False)
        for name in last["value"].sort_values(ascending=METRICS[metric].direction < 0, kind="stable").index:
            row = last.loc[name]
            cells = [number(values.loc[name].get(budget)) for budget in budgets]
            cells += [interval(row), *(dimmed(row, column, signed=True) for column in beyond)]
            cells += [draws[str(name)]] if draws else []
            table.add_row(f"[bold]{name}[/bold]" if name in (BAR, *bold) else str(name), *cells, row["reads"])
        yield table
    yield from _tables_of_reasons(rows)


def said_of_draws(compared: Comparison, metric: str) -> str:
    """What a comparison's scores are means over, and its gains; empty where there is one natural division."""
    if compared.protocol.fitted.draws == 1 or "draws" not in compared.rows:
        return ""
    counts = set(compared.rows.loc[compared.rows["metric"] == metric, "draws"])
    if counts == {1}:
        return "each score, gain and addition is from one draw of the folds, the same for all methods"
    over = "as many draws of the folds as its row says" if len(counts) > 1 else f"{counts.pop()} draws of the folds"
    return f"each score is the mean over {over}; gains and additions pair the draws that both methods have"


def _draws_where_they_differ(rows: pd.DataFrame) -> dict[str, str]:
    """How many draws of the folds each method's scores are means over, budget by budget where it varies; empty where all
    have the same number.
    """
    if "draws" not in rows or rows["draws"].nunique() < 2:
        return {}
    counts = {str(name): list(part.sort_values("budget")["draws"]) for name, part in rows.groupby("method", sort=False)}
    return {name: ", ".join(map(str, each if len(set(each)) > 1 else each[:1])) for name, each in counts.items()}


def _tables_of_reasons(rows: pd.DataFrame) -> Iterator[Table]:
    """A table of the rows without a value, and one of those without an interval, each with the reason."""
    empty = rows["value"].isna()
    lacking = {f"{NOTHING}: no value": rows[empty], "no interval": rows[~empty & rows["undefined"].fillna("").ne("")]}
    for title, part in lacking.items():
        if part.empty:
            continue
        columns = [column for column in ("method", "trained_on", "subset", "budget", "undefined") if column in part]
        why = f"why it has {title.removeprefix(f'{NOTHING}: ')}"
        heads = {"trained_on": "trained on", "subset": "tested on", "undefined": why}
        table = Table(*(heads.get(column, column) for column in columns), title=title)
        for row in part[columns].itertuples(index=False):
            table.add_row(*(escape(str(cell)) for cell in row))
        yield table


def _transfer_tables(compared: Comparison, rows: pd.DataFrame, metric: str) -> Iterator[Table]:
    from nndynbench.protocols.metrics import METRICS

    names = list(dict.fromkeys([*rows["trained_on"], *rows["subset"]]))
    for (method, budget), part in rows.groupby(["method", "budget"], sort=False):
        title = f"{method}, {epochs(int(str(budget)))}: {METRICS[metric].label}; trained on ↓ tested on →"
        table = Table("", *map(compared.title_of, names), title=title)
        cells = part.set_index(["trained_on", "subset"])
        for source in names:
            found = [(source, goal) in cells.index for goal in names]
            texts = [
                dimmed(cells.loc[(source, goal)])
                if there
                else ("" if goal == source else NOTHING)  # none is tested on what it was trained on
                for goal, there in zip(names, found, strict=True)
            ]
            table.add_row(compared.title_of(source), *texts)
        yield table


def _score(row: Row) -> str:
    """A score with its interval, or the reason why it has none."""
    value, why = row["value"], escape(str(row["undefined"]))
    if value != value:
        return why
    return f"{number(value)} [dim]({why})[/dim]" if why else dimmed(row)


def interval(row: Row) -> str:
    """The interval of a score alone, dimmed; empty where there is none."""
    return f"[dim]{written_interval(row['low'], row['high'])}[/dim]" if row["low"] == row["low"] else ""


def dimmed(row: Row, column: str = "value", *, signed: bool = False) -> str:
    """A number with its interval in brackets, the interval dimmed; a dash where there is none."""
    value, bracket, spanned = estimate(row, column, signed=signed).partition(" (")
    return f"{value} [dim]({spanned}[/dim]" if bracket else value
