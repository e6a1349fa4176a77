"""Which budgets methods are evaluated at, and which are shown where methods do not all have the same ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nndynbench.protocols.arguments import checked_budgets
from nndynbench.protocols.protocol import Protocol, read_budgets
from nndynbench.subsets import Subset


def shared_budgets(
    subsets: Sequence[Subset], protocol: Protocol, asked: int | str | Sequence[int] | None = None
) -> tuple[int, ...]:
    """Checks and returns the budgets that are asked for; by default the protocol's budgets that all subsets have."""
    if asked is None:
        wanted = read_budgets(protocol.budgets)
        if found := tuple(b for b in wanted if all(b in subset.budgets_for(protocol.target) for subset in subsets)):
            return found
        asked = wanted  # the check says why none will do
    several = checked_budgets(asked)
    checked = [tuple(subset.check_budget(budget, target=protocol.target) for budget in several) for subset in subsets]
    return checked[0]


def budgets_of_most(counts: Mapping[int, int]) -> list[int]:
    """Returns, in order, the budgets that more than half as many methods have as the commonest budget.

    ``counts`` maps each budget to the number of methods that have it.
    """
    most = max(counts.values(), default=0)
    return sorted(budget for budget, count in counts.items() if count > most / 2)
