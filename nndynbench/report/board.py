"""The comparisons that the pages are written from: of what is submitted to the board, and nothing is fitted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, TypeAlias

import pandas as pd

from nndynbench.comparing import compare_results, submitted_results
from nndynbench.processes import in_processes
from nndynbench.protocols import Comparison, find_protocol, protocols
from nndynbench.protocols.results import Result
from nndynbench.report.beside import seeds_trios_among
from nndynbench.report.reasons import without_data
from nndynbench.subsets import Subset

# The metrics that the pages show, by protocol; of others none is computed.
SHOWN = {
    "seeds": ("r2_within", "kendall_tau_within", "regret_keeping_3"),
    "seeds-on-plateau": ("r2_within",),
    "seeds-off-plateau": ("r2_within",),
    "regression-folds": ("r2",),
    "late-folds": ("r2",),
    "regression": ("mae",),
    "trained": ("kendall_tau_in_folds",),
    "triage": ("regret_top_tenth", "recall_top_tenth", "epochs_saved"),
    "blocked": ("r2",),
    "classification": ("accuracy",),
    "transfer-apart": ("kendall_tau_in_folds",),
}

# Those in which seeds of a recipe are told apart.
SEEDS = ("seeds", "seeds-on-plateau", "seeds-off-plateau")

# Protocols also reported per optimiser, since optimisers train differently.
BY_OPTIMISER = ("seeds",)

Work: TypeAlias = tuple[tuple[Subset, ...], tuple[str, ...]]


class Part(NamedTuple):
    """A protocol, the optimiser whose networks are compared (empty for all networks), and the method that stands in for the
    bar (empty for the bar itself).
    """

    protocol: str
    optimiser: str = ""
    beside: str = ""


@dataclass(frozen=True)
class Board:
    """What is submitted, compared: by the names of the subsets (one, or on transfer several) and the part."""

    subsets: Mapping[str, Subset]
    comparisons: Mapping[tuple[tuple[str, ...], Part], Comparison]

    def of(self, subset: str, protocol: str) -> Comparison | None:
        """The comparison on all networks of one subset, beside the references; None where nothing is submitted."""
        return self.of_part(subset, Part(protocol))

    def of_part(self, subset: str, part: Part) -> Comparison | None:
        """The comparison of one part of one subset; None where nothing is submitted."""
        return self.comparisons.get(((subset,), part))

    def optimisers(self, subset: str, protocol: str) -> list[str]:
        """Those whose networks are compared apart."""
        parts = (part for names, part in self.comparisons if names == (subset,))
        return [part.optimiser for part in parts if part.protocol == protocol and part.optimiser and not part.beside]

    def groups(self, protocol: str) -> list[Comparison]:
        """The comparisons on several subsets at once."""
        return [found for (names, part), found in self.comparisons.items() if part == Part(protocol) and len(names) > 1]


def read_board(
    at_hand: Sequence[Subset],
    submissions: Path,
    *,
    jobs: int = 1,
    progress: Callable[[int, int, str], None] | None = None,
) -> Board:
    """Compare what is submitted for the subsets at hand, under every protocol that the pages show."""
    work = list(_work(at_hand, submissions))
    found: dict[tuple[tuple[str, ...], Part], Comparison] = {}
    compared = in_processes(_compared, ((*each, submissions) for each in work), jobs=jobs)
    for done, ((group, _), own) in enumerate(zip(work, compared, strict=True), 1):
        found |= {(tuple(subset.name for subset in group), part): each for part, each in own.items()}
        if progress is not None:
            progress(done, len(work), " and ".join(subset.name for subset in group))
    return Board({subset.name: subset for subset in at_hand}, found)


def _work(at_hand: Sequence[Subset], submissions: Path) -> Iterator[Work]:
    """Subsets, and the protocols that are scored from the same submissions."""
    by_name = {subset.name: subset for subset in at_hand}
    fitted = [protocol for protocol in protocols().values() if protocol.name in SHOWN and not protocol.predictions]
    for protocol in fitted:
        served = tuple(name for name in SHOWN if find_protocol(name).fitted is protocol)
        groups = protocol.groups if protocol.test == "another" else [(name,) for name in by_name]
        for names in groups:
            there = [any(submissions.glob(f"*/{name}.{protocol.name}.json")) for name in names]
            if all(there) and set(names) <= by_name.keys():
                yield tuple(by_name[name] for name in names), served


def _compared(subsets: tuple[Subset, ...], served: Sequence[str], submissions: Path) -> dict[Part, Comparison]:
    results = submitted_results(subsets, served[0], submissions)
    found: dict[Part, Comparison] = {}
    for name in served:
        compared = compare_results(results, subsets, name, metrics=SHOWN[name])
        if not compared.rows.empty:
            missing = without_data(subsets[0], name, results) if len(subsets) == 1 else {}
            found[Part(name)] = _of_shared_budgets(Comparison(compared.protocol, compared.rows, missing, compared.regimes))
        groups = {"": results, **(dict(_by_optimiser(results, subsets)) if name in BY_OPTIMISER else {})}
        for optimiser, own in groups.items():
            if optimiser:
                found[Part(name, optimiser)] = compare_results(own, subsets, name, metrics=SHOWN[name])
            trios = (trio for trio in seeds_trios_among(own) if trio.stands_in) if name in SEEDS else ()
            for trio in trios:
                family = {method: own[method] for method in trio.labels if method in own}
                found[Part(name, optimiser, trio.base)] = compare_results(
                    family, subsets, name, metrics=SHOWN[name], beside={trio.key: trio.base}
                )
    return {part: compared for part, compared in found.items() if not compared.rows.empty}


def _by_optimiser(results: Mapping[str, Result], subsets: tuple[Subset, ...]) -> Iterator[tuple[str, dict[str, Result]]]:
    """By optimiser, the results on its networks alone; nothing of a grid that names none."""
    [subset] = subsets
    if "optimiser" not in subset.networks:
        return
    for optimiser, own in subset.networks.groupby("optimiser"):
        yield str(optimiser), {name: _on(result, own.index) for name, result in results.items()}


def _on(result: Result, networks: pd.Index) -> Result:
    tested = result.predictions["network"].isin(networks)
    return replace(result, predictions=result.predictions[tested])


def _of_shared_budgets(compared: Comparison) -> Comparison:
    """The part up to the budget at which most methods are submitted: what few have there could be read beside nothing."""
    counts = compared.rows.groupby("budget")["method"].nunique()
    last = counts[counts == counts.max()].index.max()
    rows = compared.rows[compared.rows["budget"] <= last].reset_index(drop=True)
    return Comparison(compared.protocol, rows, compared.failures, compared.regimes)
