"""The table of a comparison's scores: the best methods, and those that they are read beside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import pandas as pd

from nndynbench.numbers import epochs, estimate, number
from nndynbench.protocols import Comparison
from nndynbench.protocols.budgets import budgets_of_most
from nndynbench.protocols.references import beyond_references, references_among
from nndynbench.report.markdown import table_head, table_line
from nndynbench.report.ranking import Row, board_methods, ranked
from nndynbench.report.reasons import at_budget, lines, no_values

UNSUBMITTED = "submitted at other budgets only"
FEWER = "¹"


def score_table(compared: Comparison, metric: str) -> Iterator[str]:
    """The table of one metric, at the budgets that most methods have."""
    rows = compared.rows[compared.rows["metric"] == metric]
    budgets = shown_budgets(rows)
    last = ranked(rows[rows["budget"] == budgets[-1]], metric)
    yield from table_of_scores(rows, last, budgets, protocol=compared.protocol.name)


def shown_budgets(rows: pd.DataFrame) -> list[int]:
    """The budgets at which most of the methods have a row that the table of the last one shows."""
    last = rows[rows["budget"] == rows["budget"].max()]
    shown = board_methods(ranked(last, str(rows["metric"].iloc[0])))
    counts = rows[rows["method"].isin(shown)].groupby("budget")["method"].nunique()
    return budgets_of_most(dict(zip(map(int, counts.index), map(int, counts), strict=True)))


def table_of_scores(rows: pd.DataFrame, last: dict[str, Row], budgets: Sequence[int], *, protocol: str) -> Iterator[str]:
    """Scores over the budgets, gain and added over the references at the last one, whose rows are ``last``, the best first.

    Below it how many methods it hides, and why there is a dash.
    """
    values = {(row["method"], int(row["budget"])): row["value"] for row in rows.to_dict("records")}
    kept, shown = beyond_references(rows), board_methods(last)
    trained = ["τ among the trained"] if any("trained" in row for row in last.values()) else []
    if len(known := rows.dropna(subset="ceiling")):
        reached = estimate(dict(known.iloc[0]), "ceiling") if "ceiling_low" in known else number(known["ceiling"].iloc[0])
        yield (
            f"What a recipe's mean can reach, by the spread between its seeds: {reached}. What sees the run itself can do "
            "better.\n"
        )
    heads = [*map(epochs, budgets[:-1]), f"{epochs(budgets[-1])} (95%)"]
    yield from table_head(["method", *heads, *kept.values(), *trained, "reads"])
    for name in shown:
        row = last[name]
        cells = [number(values.get((name, budget))) for budget in budgets[:-1]] + [estimate(row)]
        cells += [estimate(row, column, signed=True) for column in kept]
        cells += [number(row.get("trained"))] if trained else []
        yield table_line([marked(name, last), *cells, str(row["reads"])])
    yield from said_of_fewer_draws(shown, last)
    yield from hidden_methods(len(last.keys() - set(shown)), rows["subset"].iloc[0], protocol, budgets[-1])
    yield from no_values(rows[rows["method"].isin(shown) & rows["budget"].isin(budgets)], at_budget)
    absent = {name: [budget for budget in budgets if (name, budget) not in values] for name in shown}
    yield from lines((f"`{name}` at {epochs(*missing)}", UNSUBMITTED) for name, missing in absent.items() if missing)


def hidden_methods(hidden: int, subset: str, protocol: str, budget: int) -> Iterator[str]:
    """How many methods a table does not show, if any, and the command that does."""
    if hidden:
        command = (
            f"nndynbench compare --method bar --subset {subset} --protocol {protocol} --budgets {budget} "
            "--submissions leaderboard/submissions"
        )
        yield f"\n{hidden} more methods are not shown. In a clone, `{command}` prints them all."


def marked(name: str, last: Mapping[str, Row]) -> str:
    """A method's name, with a mark where its score is a mean over fewer draws of the folds than a reference's."""
    return f"`{name}`{FEWER if name in under_fewer_draws(last) else ''}"


def said_of_fewer_draws(shown: Iterable[str], last: Mapping[str, Row]) -> Iterator[str]:
    """What the mark means, if a method that is shown has it."""
    if under_fewer_draws(last) & set(shown):
        yield f"\n{FEWER} Under fewer draws of the folds than a reference; gain and added use the draws that both have."


def under_fewer_draws(last: Mapping[str, Row]) -> set[str]:
    """The methods whose scores are means over fewer draws of the folds than a reference's."""
    draws = {name: row.get("draws", 1) for name, row in last.items()}
    most = max((draws[name] for name in references_among(last).values()), default=1)
    return {name for name, own in draws.items() if own < most}
