"""`check_method` tries a method on a few networks. That takes seconds, where an evaluation may take minutes."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from nndynbench.numbers import listed
from nndynbench.protocols.arguments import checked_budgets
from nndynbench.protocols.harness import Fit, Fitting, all_predictions, carried_over, check_reads
from nndynbench.protocols.method import SEED, Method, MethodError, as_method, is_file_name, label_of, tasks_of
from nndynbench.protocols.protocol import DEFAULT_PROTOCOLS, Task, find_protocol
from nndynbench.signatures import Signature
from nndynbench.subsets import load

CHECKED_ON = "digits-lenet"
TRAIN, TEST, BUDGETS = 60, 20, (1, 2)


@dataclass(frozen=True)
class Check:
    """What `check_method` found: the tasks that the method does, what it read, and how many seconds the check took.

    ``remarks``: what stops no evaluation but may be a mistake, such as equal predictions for all networks.
    """

    tasks: tuple[Task, ...]
    reads: tuple[str, ...]
    seconds: float
    remarks: tuple[str, ...] = ()


def check_method(method: Any, *, budgets: int | str | Sequence[int] = BUDGETS) -> Check:
    """Fit a method on 60 networks of digits-lenet and have it predict 20 others, twice at each budget.

    A method that is not bundled is also fitted in a sealed process, where `evaluate` would do so.

    Parameters
    ----------
    method
        As for `evaluate`. An estimator is tried as a classifier if scikit-learn says that it is one, else as a regressor.
    budgets
        One budget or several, also as a text such as "1-5"; by default 1 and 2. A method that needs later epochs, such as
        ``Signature(function, epochs=[5])``, is tried at the budget that it is meant for.

    Raises
    ------
    BudgetError
        For a budget that digits-lenet does not have.
    MethodError
        If the method fails, returns anything but predictions, or predicts something else when it is fitted again on the same
        networks, naming budget and task; if it reads something that it does not declare; and if it reads the subset.

    Examples
    --------
    >>> import nndynbench
    >>> nndynbench.check_method("degree-linear").reads
    ('weights',)
    """
    resolved = as_method(method)
    label, tried = label_of(resolved), checked_budgets(budgets)
    start = time.perf_counter()
    read: set[str] = set()
    tasks = tasks_of(resolved)
    constant: list[Task] = []
    for task in tasks:
        estimator, varies = _estimator(resolved, task), False
        for budget in tried:
            fit = _small_fit(task, budget, read)
            first, again = (fit.predictions(Fitting(estimator, {}, label, order_seed=SEED)) for _ in range(2))
            if not np.array_equal(first["prediction"], again["prediction"]):
                raise MethodError(
                    f"{label}, {task}, budget {budget}: a second fit gives different predictions; fix its random seeds"
                )
            varies = varies or _varies(first["prediction"]) or _varies(first["score"])
        constant += [] if varies else [task]
        if not _is_bundled(method):
            _fit_sealed(fit, Fitting(estimator, {}, label, order_seed=SEED))
    if isinstance(resolved, Method):
        check_reads(resolved.reads, read, label)
    remarks = _remarks(constant, read) + _left_out(resolved, max(tried))
    return Check(tasks, tuple(sorted(read)), round(time.perf_counter() - start, 3), remarks)


def _is_bundled(method: Any) -> bool:
    return isinstance(method, str) and not is_file_name(method)


def _fit_sealed(fit: Fit, fitting: Fitting) -> None:
    """Fit and ask as `evaluate` does where it can: in a process that can read nothing but the histories.

    That fit is compared with no other: the process sets the seeds of the libraries' own generators.
    """
    all_predictions([fit], carried_over(fitting, None, asked=None), 1, lambda *_: None, must_be_sealed=False)


def _varies(numbers: pd.Series) -> bool:
    """Whether numbers differ by more than rounding."""
    return not np.allclose(numbers, numbers.iloc[0], rtol=1e-9, atol=0, equal_nan=True)


def _remarks(constant: Sequence[Task], read: Collection[str]) -> tuple[str, ...]:
    """What may be a mistake: nothing is read, or the predictions for a task are the same for all networks."""
    if not read:
        return ("reads nothing of any network, so its predictions cannot depend on the networks",)
    same = f"predicts the same for all {TEST} networks: does what it reads vary?"
    return tuple(f"{task}: {same}" for task in constant)


def _left_out(method: Any, largest: int) -> tuple[str, ...]:
    """The epochs that a `Signature` of the method names and that lie beyond all budgets tried, with what to do."""
    estimators = method.estimators.values() if isinstance(method, Method) else [method]
    parts = [part for each in estimators if hasattr(each, "get_params") for part in (each, *each.get_params().values())]
    named = {epoch for part in parts if isinstance(part, Signature) for epoch in part.epochs or ()}
    if not (later := sorted(epoch for epoch in named if epoch > largest)):
        return ()
    words = f"{'epochs' if len(later) > 1 else 'epoch'} {listed(later)}"
    return (f"its Signature names {words}, left out within a budget of {largest}: to try them, --budgets {later[-1]}",)


def _estimator(method: Any, task: Task) -> Any:
    """The method's estimator for a task. It is tried even if the method is for other protocols alone."""
    if not isinstance(method, Method):
        return method
    return replace(method, protocols=()).estimator(find_protocol(DEFAULT_PROTOCOLS[task]))


def _small_fit(task: Task, budget: int, read: set[str]) -> Fit:
    subset, chosen = load(CHECKED_ON), find_protocol(DEFAULT_PROTOCOLS[task])
    train, test = subset.split(str(chosen.split))[0]
    # Ids follow the grid, so evenly spaced ones hold both classes.
    few = [side[:: len(side) // count][:count] for side, count in ((train, TRAIN), (test, TEST))]
    seen, asked = (dict(zip(ids, subset.histories(ids, budget, read=read), strict=True)) for ids in few)
    return Fit(subset, subset, chosen, budget, 0, seen, asked, read)
