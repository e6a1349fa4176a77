"""Which seed of a recipe will end best: what distance adds to each trio's base, with its control, by the plateau, and by the
optimiser.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nndynbench import plots
from nndynbench.numbers import NOTHING, epochs, estimate, listed, written, written_interval
from nndynbench.protocols import Comparison
from nndynbench.protocols.results import DRAWS
from nndynbench.protocols.within import with_siblings
from nndynbench.report.beside import BAR_TRIO, Trio, seeds_trios_among
from nndynbench.report.board import Board, Part
from nndynbench.report.distance import distance_table, optimiser_name
from nndynbench.report.leaving import leaving, leaving_table, what_leaving_says
from nndynbench.report.markdown import table_head, table_line
from nndynbench.report.prose import prose
from nndynbench.report.ranking import Row, by_method, is_control
from nndynbench.report.scores import score_table
from nndynbench.subsets import Subset

PROTOCOL = "seeds"
WHOLE = Part(PROTOCOL)
PLATEAU = {"on the plateau": "seeds-on-plateau", "off the plateau": "seeds-off-plateau"}
OVERALL = "over all networks"
SCORE, ORDER, REGRET = "r2_within", "kendall_tau_within", "regret_keeping_3"
BUDGETS = (1, 3, 5)

# When the true value is 0, one in this many 95% intervals lies wholly above 0.
BY_CHANCE = 40

ALONE = {"within-distance": "distance alone"}

# Trivial methods: they make no prediction but still rank seeds.
LATEST = {"validation-accuracy": "the latest validation accuracy"}
CHANCE = "constant"


@dataclass(frozen=True)
class _Beside:
    """What the board says of one subset's seeds beside the base of a trio."""

    board: Board
    subset: Subset
    trio: Trio

    def rows(self, metric: str, budget: int, part: Part = WHOLE) -> dict[str, Row]:
        """The rows of a part's comparison beside the base; none where there is no such comparison."""
        beside = self.trio.base if self.trio.stands_in else ""
        compared = self.board.of_part(self.subset.name, part._replace(beside=beside))
        return {} if compared is None else by_method(compared, metric, budget)

    def adds(self, budget: int, part: Part = WHOLE) -> str:
        """What distance adds to the base on a part."""
        row = self.rows(SCORE, budget, part).get(self.trio.with_distance, {})
        return estimate(row, self.trio.reference.added, signed=True)


def can_be_said(compared: Comparison) -> bool:
    """Whether the base of a trio, and it with distance, are submitted."""
    return bool(submitted_trios(compared))


def submitted_trios(compared: Comparison) -> list[Trio]:
    """The trios whose base is submitted, with distance too."""
    return seeds_trios_among(set(compared.rows["method"]))


def budgets_of(compared: Comparison) -> list[int]:
    """Those of the table: 1, 3 and 5 where they are there, or else all."""
    told = compared.rows["method"].isin([trio.with_distance for trio in submitted_trios(compared)])
    there = sorted(int(budget) for budget in compared.rows.loc[told, "budget"].unique())
    return [budget for budget in BUDGETS if budget in there] or there


def seeds_table(board: Board, subset: Subset, shown: Sequence[Trio], *, parts: bool = True) -> Iterator[str]:
    """R² within recipes of each trio shown; what distance adds to its base, of all networks and, where parts are asked for,
    by the plateau and by the optimiser.
    """
    compared = board.of(subset.name, PROTOCOL)
    assert compared is not None
    budgets = budgets_of(compared)
    rows = {budget: by_method(compared, SCORE, budget) for budget in budgets}
    yield from table_head(["R² within recipes", *map(epochs, budgets)])
    for trio in shown:
        beside = _Beside(board, subset, trio)
        yield from _lines(rows, trio.labels)
        yield table_line([f"**what distance adds to {trio.words}**", *(_bold(beside.adds(budget)) for budget in budgets)])
        if parts:
            yield from _by_plateau(beside, budgets)
            yield from _by_optimiser(beside, budgets)
    yield from _lines(rows, ALONE)


def _bold(text: str) -> str:
    return text if text == NOTHING else f"**{text}**"


def _by_plateau(beside: _Beside, budgets: Sequence[int]) -> Iterator[str]:
    for label, protocol in PLATEAU.items():
        if (compared := beside.board.of(beside.subset.name, protocol)) is not None:
            on = compared.protocol.plateau == "on"
            counts = [f"{_networks(beside.subset, budget, on=on):,}" for budget in budgets]
            values = [beside.adds(budget, Part(protocol)) for budget in budgets]
            cells = [f"{value}, {count} networks" for value, count in zip(values, counts, strict=True)]
            yield table_line([label, *cells])


def _by_optimiser(beside: _Beside, budgets: Sequence[int]) -> Iterator[str]:
    subset = beside.subset
    for optimiser in beside.board.optimisers(subset.name, PROTOCOL):
        recipes = subset.recipes[subset.networks["optimiser"] == optimiser].nunique()
        values = [beside.adds(budget, Part(PROTOCOL, optimiser)) for budget in budgets]
        yield table_line([f"with {optimiser_name(optimiser)}, {recipes} recipes", *values])


def _networks(subset: Subset, budget: int, *, on: bool) -> int:
    """How many networks are scored: those on the plateau or off it that have a sibling there."""
    is_on = subset.on_plateau(budget)
    kept = is_on.index[is_on == on]
    return int(with_siblings(subset.recipes.loc[kept].to_numpy()).sum()) if len(kept) else 0


def what_the_seeds_say(board: Board, subset: Subset, shown: Sequence[Trio]) -> Iterator[str]:
    """Where distance adds to each trio's base by an interval above 0, and where nothing that can be told from 0."""
    compared = board.of(subset.name, PROTOCOL)
    assert compared is not None
    budgets = budgets_of(compared)
    parts = {OVERALL: WHOLE} | {label: Part(protocol) for label, protocol in PLATEAU.items()}
    parts |= {f"with {optimiser_name(each)}": Part(PROTOCOL, each) for each in board.optimisers(subset.name, PROTOCOL)}
    for trio in shown:
        beside = _Beside(board, subset, trio)
        rows = {label: {b: beside.rows(SCORE, b, part) for b in budgets} for label, part in parts.items()}
        told = {label: _told(own, trio.with_distance, trio) for label, own in rows.items()}
        told["where it is permuted between networks"] = _told(rows[OVERALL], trio.permuted, trio)
        intervals = [above for own in told.values() for above in own.values()]
        found = {label: tuple(b for b, above in own.items() if above) for label, own in told.items() if own}
        adds = ", and ".join(
            f"{listed(label for label, own in found.items() if own == where)} at {epochs(*where)}"
            for where in sorted({own for own in found.values() if own}, key=lambda own: (-len(own), own))
        )
        above = f"{sum(intervals)} of {len(intervals)} intervals above 0"
        nothing = [label for label, own in found.items() if not own]
        cannot = listed(nothing, by="or") if nothing else ""
        if found.get(OVERALL) or (adds and not cannot):
            yield f"Distance adds to {trio.words} {adds} ({above})."
            if cannot:
                yield f"It adds nothing distinguishable from 0 {cannot}."
        elif cannot:
            yield f"Distance adds nothing distinguishable from 0 to {trio.words} {cannot}."
            if adds:
                yield f"It adds something {adds} ({above}; one in {BY_CHANCE} would be by chance alone)."


def _told(rows: Mapping[int, dict[str, Row]], method: str, trio: Trio) -> dict[int, bool]:
    """By budget, of those at which it is known: whether a method adds to the trio's base by an interval above 0."""
    added = trio.reference.added
    known = {budget: row for budget, own in rows.items() if not np.isnan((row := own.get(method, {})).get(added, np.nan))}
    return {budget: bool(row[f"{added}_low"] > 0) for budget, row in known.items()}


def seeds_section(board: Board, subset: Subset, folder: Path) -> Iterator[str]:
    """All of it on one subset, with its figure and what is to be known of its recipes."""
    compared = board.of(subset.name, PROTOCOL)
    assert compared is not None
    seeds = subset.recipes.value_counts()
    each = f"{seeds.min()}" if seeds.nunique() == 1 else f"{seeds.min()} to {seeds.max()}"
    yield f"\n## {subset.name}: {len(seeds)} recipes × {each} seeds\n"
    shown = submitted_trios(compared)
    yield from seeds_table(board, subset, shown)
    yield ""
    yield from (f"- {said}" for said in what_the_seeds_say(board, subset, shown))
    yield from (f"- {said}" for said in _regret(compared, budgets_of(compared)[0]))
    yield "\n### How well seeds are ranked\n"
    yield from ranking_tables(board, subset, budgets_of(compared))
    yield f"\n- {what_ranking_seeds_says(compared, budgets_of(compared)[-1])}"
    if left := leaving(subset, budgets_of(compared)):
        yield "\n### Which networks leave the plateau first\n"
        optimisers = sorted(subset.networks["optimiser"].unique())
        by_optimiser = {name: leaving(subset, budgets_of(compared), optimiser=name) for name in optimisers}
        yield from leaving_table(left, by_optimiser if len(optimisers) > 1 else {})
        yield ""
        yield from (f"- {said}" for said in what_leaving_says(subset, left))
    if board.optimisers(subset.name, PROTOCOL):
        yield "\n### How far seeds move, by optimiser\n"
        yield from distance_table(subset, budgets_of(compared))
    if (own := prose(subset.name)) is not None:
        yield f"\n{own}"
    drawn = [method for trio in shown if not trio.stands_in for method in trio.labels]
    path = plots.comparison_over_budget(compared, folder / f"{subset.name}.{PROTOCOL}.png", methods=drawn)
    yield f"\n![R² within recipes over the budget]({path.name})\n"
    yield from score_table(compared, SCORE)


def ranking_tables(board: Board, subset: Subset, budgets: Sequence[int]) -> Iterator[str]:
    """Kendall's τ within recipes, and what is lost where three seeds of each recipe are kept: they forgive a method its
    scale, as R² does not. Of both, how much better they are with distance, on the same networks.
    """
    compared = board.of(subset.name, PROTOCOL)
    assert compared is not None
    heads = {ORDER: "Kendall's τ within recipes", REGRET: "points short of the recipe's best, three seeds kept"}
    gains = {ORDER: "**gain in τ from distance**", REGRET: "**how many points distance saves**"}
    for metric, head in heads.items():
        rows = {budget: by_method(compared, metric, budget) for budget in budgets}
        yield from table_head([head, *map(epochs, budgets)])
        for trio in submitted_trios(compared):
            yield from _lines(rows, trio.labels)
            beside = _Beside(board, subset, trio)
            own = (beside.rows(metric, budget).get(trio.with_distance, {}) for budget in budgets)
            cells = (_bold(estimate(row, trio.reference.gain, signed=True)) for row in own)
            yield table_line([gains[metric], *cells])
        yield from _lines(rows, ALONE | LATEST | ({CHANCE: "three at random"} if metric == REGRET else {}))
        if metric == ORDER:
            yield ""


def _lines(rows: Mapping[int, dict[str, Row]], labels: Mapping[str, str]) -> Iterator[str]:
    """A line of a table for each method that has a row at some budget."""
    for method, label in labels.items():
        if any(method in own for own in rows.values()):
            yield table_line([label, *(estimate(own.get(method, {})) for own in rows.values())])


def what_ranking_seeds_says(compared: Comparison, budget: int) -> str:
    """How many methods rank the seeds of a recipe better than chance, and which does best."""
    rows = {name: row for name, row in by_method(compared, ORDER, budget).items() if not is_control(name)}
    better = sum(row["low"] > 0 for row in rows.values())
    best, row = next(iter(rows.items()))
    return (
        f"After {epochs(budget)}, {better} of {len(rows)} methods rank the seeds of a recipe better than chance: their τ "
        f"has an interval above 0. `{best}` has the highest, {estimate(row)}{_under(row)}."
    )


def _under(row: Row) -> str:
    """How many draws of the folds a number is over, where others may be over more."""
    return ", under one draw of the folds" if row.get(DRAWS) == 1 else ""


def _regret(compared: Comparison, budget: int) -> Iterator[str]:
    """What is lost where three seeds of each recipe are kept."""
    rows = by_method(compared, REGRET, budget)
    for trio in submitted_trios(compared):
        if {trio.base, trio.with_distance} <= rows.keys():
            said = (
                f"Of three seeds of a recipe kept after {epochs(budget)}, the best falls short of the recipe's best by "
                f"{_points(rows[trio.base])} if {trio.words} rank{'s' * (trio == BAR_TRIO)} the seeds, and by "
                f"{_points(rows[trio.with_distance])} if {trio.words} and distance rank them"
            )
            blind = rows.get(CHANCE)
            yield said + (f". Of three kept at random it falls short by {blind['value']:.1f} points." if blind else ".")


def _points(row: Row) -> str:
    return f"{written(row['value'], digits=1)} points ({written_interval(row['low'], row['high'], digits=1)})"
