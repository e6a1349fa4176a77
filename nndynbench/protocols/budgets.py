"""Which budgets are shown of methods that do not all have the same."""

from __future__ import annotations

from collections.abc import Mapping


def budgets_of_most(counts: Mapping[int, int]) -> list[int]:
    """Of the budgets, each with how many have it: those, in order, that more than half as many have as the commonest."""
    most = max(counts.values(), default=0)
    return sorted(budget for budget, count in counts.items() if count > most / 2)
