"""Results for the page beside the paper: the board's submissions, else what is stored in a folder; none is fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nndynbench.protocols import MethodError, Protocol, Result, rescore
from nndynbench.protocols.method import is_file_name
from nndynbench.protocols.results import at_budgets
from nndynbench.protocols.stored import StoredResults
from nndynbench.subsets import Subset


@dataclass(frozen=True)
class KnownResults:
    """As `StoredResults`, with the submissions first, and without a fit."""

    submissions: Path
    stored: Path

    def result(
        self, name: str, subsets: Sequence[Subset], protocol: Protocol, budgets: Sequence[int], *, jobs: int = 1
    ) -> Result:
        """A method's result; raises `MethodError` where it is neither submitted nor stored at all these budgets."""
        from nndynbench.submissions.beside import submitted

        there = None if is_file_name(name) else submitted(name, subsets, protocol, self.submissions)
        if there is not None and set(budgets) <= set(there.predictions["budget"]):
            return rescore(at_budgets(there, budgets), subsets, protocol)
        if (stored := StoredResults(self.stored)).holds(name, subsets, protocol, budgets):
            return stored.result(name, subsets, protocol, budgets)
        raise MethodError(f"the result of {name} on {' and '.join(subset.name for subset in subsets)} is not at hand")
