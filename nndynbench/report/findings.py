"""docs/results.md: one screen of findings, each with its numbers, and where the rest is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from nndynbench.numbers import NOTHING, epochs, estimate
from nndynbench.protocols import Comparison
from nndynbench.protocols.references import Reference, references, references_among
from nndynbench.report.beside import FOLDS_TRIOS, Trio
from nndynbench.report.board import Board
from nndynbench.report.leaving import leaving, what_leaving_says
from nndynbench.report.markdown import table_head, table_line
from nndynbench.report.ranking import Row, at_the_last_budget, beside_weights, by_method, most_adding
from nndynbench.report.seeds import BUDGETS as SEEDS_BUDGETS
from nndynbench.report.seeds import PROTOCOL as SEEDS
from nndynbench.report.seeds import can_be_said, seeds_table, submitted_trios, what_the_seeds_say
from nndynbench.subsets import Subset

FOLDS, METRIC = "regression-folds", "r2"
FIRST = "cifar10-lenet-diverse"
BUDGETS = (1, 5)


def seeds_finding(board: Board, title: str, page: str) -> Iterator[str]:
    """Which seed will end best, of each subset of seeds."""
    known = [s for s in board.subsets.values() if (c := board.of(s.name, SEEDS)) is not None and can_be_said(c)]
    if not known:
        return
    yield f"\n**[{title}]({page})**"
    for subset in known:
        yield f"\n{subset.name}, {subset.recipes.nunique()} recipes:\n"
        shown = _two_of(board, subset)
        yield from seeds_table(board, subset, shown, parts=False)
        yield ""
        left = what_leaving_says(subset, leaving(subset, SEEDS_BUDGETS))
        yield " ".join([*what_the_seeds_say(board, subset, shown), *left])


def _two_of(board: Board, subset: Subset) -> list[Trio]:
    """That of the bar and, of those that tell seeds apart, the one whose base sees most."""
    compared = board.of(subset.name, SEEDS)
    assert compared is not None
    first, *others = submitted_trios(compared)
    return [first, *others[-1:]]


def prediction_finding(board: Board, title: str, page: str) -> Iterator[str]:
    """How accurate a network will become: a table of the first subset, and a row of every other."""
    found = {name: c for name in board.subsets if (c := board.of(name, FOLDS)) is not None}
    if not found:
        return
    yield f"\n**[{title}]({page})**"
    if (first := found.get(FIRST)) is not None:
        yield f"\n{FIRST} ({board.subsets[FIRST].manifest.networks} networks), R²:\n"
        yield from first_table(first)
    others = {name: compared for name, compared in found.items() if name != FIRST}
    if others:
        yield "\nThe other subsets, at the last budget: each reference's R², how many methods that see weights add to it"
        yield "(interval above 0), and which adds most, under the draws of the folds that both have: one for most methods.\n"
        yield from others_table(board, others)


def first_table(compared: Comparison) -> Iterator[str]:
    """At one epoch and five: each reference, what distance adds, the control, and what a recipe's mean can reach."""
    at = {budget: rows for budget in BUDGETS if (rows := by_method(compared, METRIC, budget))}
    yield from table_head(["", *map(epochs, at)])
    for trio in FOLDS_TRIOS:
        method = references_among({name for rows in at.values() for name in rows}).get(trio.key)
        lines = {trio.words: [estimate(rows.get(str(method), {})) for rows in at.values()]}
        adding = {
            "what each layer's distance adds": trio.with_distance,
            "control: what permuted distance adds": trio.permuted,
        }
        for words, name in adding.items():
            lines[words] = [estimate(rows.get(name, {}), trio.reference.added, signed=True) for rows in at.values()]
        yield from (table_line([head, *cells]) for head, cells in lines.items() if set(cells) != {NOTHING})
    reached = [estimate(next(iter(rows.values())), "ceiling") for rows in at.values()]
    if set(reached) != {NOTHING}:
        yield table_line(["what a recipe's mean can reach", *reached])


def others_table(board: Board, found: Mapping[str, Comparison]) -> Iterator[str]:
    """A row a subset: of each reference its R², how many methods with weights add to it, and which adds most."""
    heads = [head for reference in references() for head in (reference.name, f"add to {reference.name}", "adds most")]
    yield from table_head(["subset", "networks", "epochs", *heads])
    for name, compared in found.items():
        last = at_the_last_budget(compared, METRIC)
        cells = [cell for reference in references() for cell in _beside(last, reference)]
        yield table_line([name, board.subsets[name].manifest.networks, compared.rows["budget"].max(), *cells])


def _beside(last: Mapping[str, Row], reference: Reference) -> Sequence[str]:
    own = references_among(last).get(reference.key)
    if own is None:
        return [NOTHING] * 3
    most, tried = most_adding(last, reference)
    if most is None:
        return [estimate(last[own]), NOTHING, NOTHING]
    told = sum(last[name][f"{reference.added}_low"] > 0 for name in beside_weights(last, reference))
    adding = f"`{most}` {estimate(last[most], reference.added, signed=True)}"
    return [estimate(last[own]), f"{told} of {tried}", adding]
