"""Checks and converts the arguments that users give `evaluate` and `compare`; a wrong one is refused in one sentence."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterable
from typing import Any

from nndynbench.protocols.protocol import Protocol, read_budgets


def checked_budgets(budgets: Any) -> list[Any]:
    """Returns one budget, several, or a text such as "1-10" as a list without duplicates.

    Whether a subset has these budgets is checked by `Subset.check_budget`.

    Raises
    ------
    ValueError
        For no budget, and for anything that is neither a whole number, nor such a text, nor iterable.
    """
    if isinstance(budgets, str):
        return list(read_budgets(budgets))
    if not isinstance(budgets, Iterable):
        return [_whole(budgets, "budgets", "a whole number of epochs, or several")]
    if not (several := list(dict.fromkeys(budgets))):
        raise ValueError("no budget given: name one or more in budgets")
    return several


def checked_jobs(jobs: Any) -> int:
    """Returns how many jobs run at a time: 1 or more, or -1 for one per core; raises ValueError for anything else."""
    count = _whole(jobs, "jobs", "a whole number of at least 1, or -1 for one per core")
    if count < 1 and count != -1:
        raise ValueError(f"jobs must be a whole number of at least 1, or -1 for one per core, not {jobs!r}")
    return count


def checked_names(methods: Any) -> list[str]:
    """Returns names of methods or method files, one or several, as a list; raises ValueError for anything else."""
    several = methods if isinstance(methods, Iterable) and not isinstance(methods, str) else [methods]
    names = [os.fspath(name) if isinstance(name, os.PathLike) else name for name in several]
    if wrong := [name for name in names if not isinstance(name, str)]:
        raise ValueError(
            f"methods must be names or method files, not {wrong[0]!r}; to score an estimator, use nndynbench.evaluate"
        )
    return names


def checked_draws(draws: Any, protocol: Protocol) -> list[int]:
    """Returns the numbers of draws of a protocol's folds, counted from 0, each once: the first ``draws`` of them, or those
    that are listed.

    Raises
    ------
    ValueError
        For no draw, for a draw that the protocol does not have, and for anything that is not a number.
    """
    most, meaning = protocol.fitted.draws, "a number of draws of the folds, or a list of which draws"
    if isinstance(draws, Iterable):
        numbers = list(dict.fromkeys(_whole(draw, "draws", meaning) for draw in draws))
    else:
        numbers = list(range(_whole(draws, "draws", meaning)))
    if not numbers or not set(numbers) <= set(range(most)):
        has = f"{most} draws of its folds, numbered from 0" if most > 1 else "one division of its networks, and so one draw"
        raise ValueError(f"draws={draws!r} is not valid for {protocol.name}, which has {has}")
    return numbers


def checked_seed(seed: Any) -> int | None:
    """A whole number from 0, or None; raises ValueError for anything else."""
    if seed is None:
        return None
    if (number := _whole(seed, "order_seed", 'a whole number of at least 0, None or "drawn"')) < 0:
        raise ValueError(f"order_seed must be a whole number of at least 0, None or 'drawn', not {seed!r}")
    return number


def checked_count(count: Any, name: str) -> int | None:
    """A whole number from 1, or None; raises ValueError for anything else."""
    if count is None:
        return None
    if (number := _whole(count, name, "a whole number of at least 1")) < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, or None, not {count!r}")
    return number


def checked_choice(value: Any, name: str) -> bool | None:
    """True, False or None; raises ValueError for anything else."""
    if value is None or value is True or value is False:
        return value
    raise ValueError(f"{name} must be True, False or None, not {value!r}")


def _whole(value: Any, name: str, meaning: str) -> int:
    if not isinstance(value, bool):
        try:
            return operator.index(value)
        except TypeError:
            pass
    raise ValueError(f"{name} must be {meaning}, not {value!r}")
