"""The comparisons that the pages are written from: of what is submitted to the board, and nothing is fitted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from nndynbench.processes import in_processes
from nndynbench.protocols import Comparison, find_protocol, protocols
from nndynbench.protocols.comparison import compare_results, submitted_results
from nndynbench.report.reasons import without_data
from nndynbench.subsets import Subset

# The metrics that the pages show, by protocol; of others none is computed.
SHOWN = {
    "seeds": ("r2_within", "regret_keeping_3"),
    "seeds-on-plateau": ("r2_within",),
    "seeds-off-plateau": ("r2_within",),
    "regression-folds": ("r2",),
    "late-folds": ("r2",),
    "regression": ("mae",),
    "trained": ("kendall_tau",),
    "triage": ("regret_top_tenth", "recall_top_tenth", "epochs_saved"),
    "blocked": ("r2",),
    "classification": ("accuracy",),
    "transfer-apart": ("kendall_tau",),
}

Work: TypeAlias = tuple[tuple[Subset, ...], tuple[str, ...]]


@dataclass(frozen=True)
class Board:
    """What is submitted, compared: by the names of the subsets (one, or on transfer several) and the protocol."""

    subsets: Mapping[str, Subset]
    comparisons: Mapping[tuple[tuple[str, ...], str], Comparison]

    def of(self, subset: str, protocol: str) -> Comparison | None:
        """The comparison on one subset; None where nothing is submitted."""
        return self.comparisons.get(((subset,), protocol))

    def groups(self, protocol: str) -> list[Comparison]:
        """The comparisons on several subsets at once."""
        return [found for (names, name), found in self.comparisons.items() if name == protocol and len(names) > 1]


def read_board(
    at_hand: Sequence[Subset],
    submissions: Path,
    *,
    jobs: int = 1,
    progress: Callable[[int, int, str], None] | None = None,
) -> Board:
    """Compare what is submitted for the subsets at hand, under every protocol that the pages show."""
    from joblib import delayed

    work = list(_work(at_hand, submissions))
    found: dict[tuple[tuple[str, ...], str], Comparison] = {}
    compared = in_processes((delayed(_compared)(*each, submissions) for each in work), jobs=jobs)
    for done, ((group, _), own) in enumerate(zip(work, compared, strict=True), 1):
        found |= {(tuple(subset.name for subset in group), protocol): each for protocol, each in own.items()}
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


def _compared(subsets: tuple[Subset, ...], served: Sequence[str], submissions: Path) -> dict[str, Comparison]:
    results = submitted_results(subsets, served[0], submissions)
    found = {}
    for name in served:
        compared = compare_results(results, subsets, name, metrics=SHOWN[name])
        if not compared.rows.empty:
            missing = without_data(subsets[0], name, results) if len(subsets) == 1 else {}
            found[name] = _of_shared_budgets(Comparison(compared.protocol, compared.rows, missing, compared.regimes))
    return found


def _of_shared_budgets(compared: Comparison) -> Comparison:
    """The part up to the budget at which most methods are submitted: what few have there could be read beside nothing."""
    counts = compared.rows.groupby("budget")["method"].nunique()
    last = counts[counts == counts.max()].index.max()
    rows = compared.rows[compared.rows["budget"] <= last].reset_index(drop=True)
    return Comparison(compared.protocol, rows, compared.failures, compared.regimes)
