"""Chooses which budgets to show when methods do not all have the same ones."""

from __future__ import annotations

from collections.abc import Mapping


def budgets_of_most(counts: Mapping[int, int]) -> list[int]:
    """Returns, in order, the budgets that more than half as many methods have as the commonest budget.

    ``counts`` maps each budget to the number of methods that have it.
    """
    most = max(counts.values(), default=0)
    return sorted(budget for budget, count in counts.items() if count > most / 2)
