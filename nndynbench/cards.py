"""How objects show themselves: as tables of text that fit a terminal of 80 columns, and as cards of HTML for notebooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from textwrap import wrap
from typing import TYPE_CHECKING

import numpy as np

from nndynbench.numbers import NOTHING, epochs, estimate
from nndynbench.plain import printable

if TYPE_CHECKING:
    import pandas as pd

    from nndynbench.protocols.comparison import Comparison
    from nndynbench.protocols.results import Result
    from nndynbench.subsets.subset import Subset

WIDTH = 80
BRACKETS = "In brackets: the 95% interval."

# A card of a comparison shows at most this many methods.
MOST_ROWS = 15

Rows = Sequence[Mapping[str, str]]

STYLE = "border-collapse:collapse;font-size:90%;margin:0.3em 0"
CELL = "text-align:left;padding:0.15em 0.9em 0.15em 0;border:none"


def text_table(rows: Rows, *, width: int = WIDTH) -> str:
    """The rows under their headings. Columns that do not fit go below, in a further block that repeats the first column."""
    headings = list(dict.fromkeys(name for row in rows for name in row))
    wide = {name: max(len(name), *(len(row.get(name, "")) for row in rows)) for name in headings}
    first, *others = headings
    blocks, taken = [[first]], wide[first]
    for name in others:
        if taken + 2 + wide[name] > width and len(blocks[-1]) > 1:
            blocks.append([first])
            taken = wide[first]
        blocks[-1].append(name)
        taken += 2 + wide[name]
    return "\n\n".join(_block([{name: name for name in headings}, *rows], names, wide) for names in blocks)


def html_card(title: str, facts: Mapping[str, object], rows: Rows = (), *, note: str = "") -> str:
    """A heading, facts by name, a table, and a note below. Everything is escaped."""
    listed = "".join(f"<tr>{_cell(name, 'th')}{_cell(value)}</tr>" for name, value in facts.items())
    parts = [f"<strong>{escape(title)}</strong>", f'<table style="{STYLE}">{listed}</table>']
    if rows:
        headings = list(dict.fromkeys(name for row in rows for name in row))
        head = "".join(_cell(name, "th") for name in headings)
        body = "".join(f"<tr>{''.join(_cell(row.get(name, '')) for name in headings)}</tr>" for row in rows)
        parts.append(f'<table style="{STYLE}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>')
    if note:
        parts.append(f'<div style="font-size:85%">{escape(note)}</div>')
    return f"<div>{''.join(parts)}</div>"


def score_rows(result: Result) -> dict[str, list[dict[str, str]]]:
    """For each tested subset (on transfer, for each pair with the subset trained on) a row per budget, with a column per
    metric.
    """
    from nndynbench.protocols.metrics import METRICS

    scores, found = result.scores, {}
    apart = ["subset", *(["trained_on"] if "trained_on" in scores else [])]
    for key, part in scores.groupby(apart, sort=False):
        rows = []
        for budget, own in part.groupby("budget"):
            cells = {METRICS[row["metric"]].label: estimate(row) for _, row in own.iterrows()}
            rows.append({"budget": str(budget), **cells})
        found[", trained on ".join(map(str, key))] = rows
    return found


def result_text(result: Result) -> str:
    """What ``print(result)`` shows."""
    parts = ["\n".join(wrap(result_title(result), WIDTH))]
    tables = score_rows(result)
    for title, rows in tables.items():
        parts.append((f"{title}\n" if len(tables) > 1 else "") + text_table(rows))
    parts += ["\n".join(wrap(reason, WIDTH)) for reason in _reasons(result)]
    return printable("\n\n".join([*parts, f"{BRACKETS}{averaged(result)}"]))


def result_card(result: Result) -> str:
    """What a notebook shows of a result."""
    tables = score_rows(result)
    rows = [{**({"subset": name} if len(tables) > 1 else {}), **row} for name, part in tables.items() for row in part]
    facts: dict[str, object] = {"read": ", ".join(result.facts.reads) or "nothing", "seconds": result.facts.seconds}
    note = " ".join([f"{BRACKETS}{averaged(result)}", *_reasons(result)])
    return html_card(result_title(result), facts, rows, note=note)


def averaged(result: Result) -> str:
    """A sentence that says how many draws of the folds the scores are means over; empty if each is of one draw."""
    several = {int(draws) for draws in result.scores.get("draws", ())}
    said = " to ".join(map(str, sorted({min(several), max(several)}))) if several else "1"
    return f" Each score is the mean over {said} draws of the folds." if said != "1" else ""


def result_title(result: Result) -> str:
    """Method, protocol and subsets with their versions, in a line."""
    named = ", ".join(f"{subset.name} {subset.version}" for subset in result.facts.subsets)
    return f"{result.facts.method}, {result.facts.protocol}" + (f", on {named}" if named else "")


def comparison_rows(compared: Comparison, metric: str | None = None) -> dict[str, list[dict[str, str]]]:
    """For each tested subset a row per method at the last budget, the best first."""
    from nndynbench.protocols.metrics import METRICS

    metric = metric or compared.protocol.metrics[0]
    rows = compared.rows[compared.rows["metric"] == metric]
    apart = ["subset", *(["trained_on"] if "trained_on" in rows else [])]
    found = {}
    for key, part in rows.groupby(apart, sort=False):
        last = part[part["budget"] == part["budget"].max()].sort_values("value", ascending=METRICS[metric].direction < 0)
        beside = _beside(last)
        title = ", trained on ".join(map(str, key)) + f", {epochs(int(last['budget'].iloc[0]))}"
        found[title] = [
            {"method": str(row["method"]), METRICS[metric].label: estimate(row)}
            | {head: estimate(row, column, signed=True) for column, head in beside.items()}
            for _, row in last.iterrows()
        ]
    return found


def _beside(last: pd.DataFrame) -> dict[str, str]:
    """The columns that compare with references, one for each, with their headings: what is added or, if nothing can be, the
    gain.
    """
    from nndynbench.protocols.references import beyond_references, references

    heads = beyond_references(last)
    first = [[column for column in (r.added, r.gain) if column in heads][:1] for r in references()]
    return {column: heads[column] for columns in first for column in columns}


def comparison_text(compared: Comparison) -> str:
    """What ``print(comparison)`` shows."""
    parts = [compared.protocol.name]
    parts += [f"{title}\n{text_table(rows)}" for title, rows in comparison_rows(compared).items()]
    parts += ["\n".join(wrap(f"no result: {name}: {reason}", WIDTH)) for name, reason in compared.failures.items()]
    return printable("\n\n".join([*parts, BRACKETS]))


def comparison_card(compared: Comparison) -> str:
    """What a notebook shows of a comparison."""
    tables = comparison_rows(compared)
    rows = [{"subset": name, **row} for name, part in tables.items() for row in part[:MOST_ROWS]]
    facts = {"methods": compared.rows["method"].nunique(), "no result": ", ".join(compared.failures) or NOTHING}
    cut = len(rows) < sum(map(len, tables.values()))
    note = f" The best {MOST_ROWS} at the last budget; .table() has all." if cut else ""
    return html_card(f"Comparison: {compared.protocol.name}", facts, rows, note=f"{BRACKETS}{note}")


def subset_card(subset: Subset) -> str:
    """What a notebook shows of a subset: its manifest, without opening a table."""
    manifest = subset.manifest
    facts = {
        "what": manifest.summary,
        "networks": f"{manifest.networks} of {manifest.networks_planned}",
        "architecture": manifest.architecture,
        "hyperparameters": ", ".join(manifest.hyperparameters),
        "epochs": f"at most {manifest.epochs}",
        "high from": f"{manifest.threshold:.4g}% (chance: {manifest.chance:.4g}%)",
        "at hand": ", ".join(subset.tiers),
        "in": subset.folder,
    }
    return html_card(f"{subset.name} {subset.version}", facts)


def _reasons(result: Result) -> list[str]:
    """Why there is a dash, why a number has no interval, and why the method was not sealed."""
    scores, why = result.scores, result.facts.unsealed
    pairs = zip(scores["value"], scores.get("undefined", [""] * len(scores)), strict=True)
    reasons = sorted({f"{NOTHING}: {reason}" if np.isnan(value) else str(reason) for value, reason in pairs if reason})
    return [*reasons, *([f"Not sealed: fitted in the process that holds the subset, since {why}."] if why else [])]


def _block(rows: Rows, names: Sequence[str], wide: Mapping[str, int]) -> str:
    return "\n".join("  ".join(row.get(name, "").ljust(wide[name]) for name in names).rstrip() for row in rows)


def _cell(value: object, tag: str = "td") -> str:
    return f'<{tag} style="{CELL}">{escape(str(value))}</{tag}>'
