"""Results to show beside the paper's numbers: the board's submissions first, else a folder of stored results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from nndynbench.protocols import MethodError, Protocol, Result, rescore
from nndynbench.protocols.method import is_file_name
from nndynbench.protocols.results import at_budgets, budgets_and_draws
from nndynbench.protocols.stored import StoredResults
from nndynbench.submissions.beside import submitted
from nndynbench.subsets import Subset


@dataclass(frozen=True)
class KnownResults:
    """As `StoredResults`, with the submissions first. What neither has is fitted and stored or, unless it ``fits``,
    refused.
    """

    submissions: Path
    stored: StoredResults
    fits: bool = True

    def result(
        self,
        name: str,
        subsets: Sequence[Subset],
        protocol: Protocol,
        budgets: Sequence[int],
        *,
        draws: int = 1,
        jobs: int = 1,
    ) -> Result:
        """A method's result, under at least so many draws of the folds. Raises `MethodError` if the method fails, or if
        nothing may be fitted and the result is not at hand.
        """
        there = None if is_file_name(name) else submitted(name, subsets, protocol, self.submissions)
        if there is not None and set(product(budgets, range(draws))) <= budgets_and_draws(there):
            return rescore(at_budgets(there, budgets), subsets, protocol)
        if self.fits or self.stored.holds(name, subsets, protocol, budgets, draws=draws):
            return self.stored.result(name, subsets, protocol, budgets, draws=draws, jobs=jobs)
        raise MethodError(f"the result of {name} on {' and '.join(subset.name for subset in subsets)} is not at hand")
