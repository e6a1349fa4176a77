"""`check_method` tries a method on a few networks. That takes seconds, where an evaluation may take minutes."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from nndynbench.errors import NndynbenchError
from nndynbench.numbers import listed
from nndynbench.protocols.arguments import checked_budgets
from nndynbench.protocols.budgets import shared_budgets
from nndynbench.protocols.harness import Fit, Fitting, all_predictions, carried_over, check_reads
from nndynbench.protocols.method import (
    SEED,
    Method,
    MethodError,
    as_method,
    default_protocol,
    is_file_name,
    label_of,
    tasks_of,
)
from nndynbench.protocols.own_functions import left_out, mostly_missing, not_kept
from nndynbench.protocols.protocol import DEFAULT_PROTOCOLS, Task, find_protocol
from nndynbench.protocols.sides import sides
from nndynbench.protocols.tuning import INNER_FOLDS
from nndynbench.seal import data_read
from nndynbench.subsets import Subset, load
from nndynbench.subsets.history import History
from nndynbench.subsets.packed import ForgetfulNetwork
from nndynbench.subsets.reader import Reader

Value = TypeVar("Value")

CHECKED_ON = "digits-lenet"
TRAIN, TEST, BUDGETS = 60, 20, (1, 2)

# Two fits whose numbers differ by no more than this give the same: sums may be added up in another order.
ROUNDING = 1e-6

# In seconds. If a fit takes less, it does not matter what is computed anew in each.
SLOW_FIT = 1.0


@dataclass(frozen=True)
class Check:
    """What `check_method` found: the tasks that the method does, what it read, and how many seconds the check took.

    ``remarks``: what stops no evaluation but may be a mistake, such as equal predictions for all networks.

    ``fit_seconds``: how long a fit on 60 networks took at the smallest budget, with the predictions for 20 and all that the
    method's functions return. ``evaluate_seconds``: from such times, about how long `evaluate` takes on digits-lenet, at the
    budgets of the method's default protocol and one fit at a time; None if digits-lenet lacks that protocol's networks. It
    takes longer if the method is slower at later epochs, or needs more than twice the time for twice the networks.
    """

    tasks: tuple[Task, ...]
    reads: tuple[str, ...]
    seconds: float
    remarks: tuple[str, ...] = ()
    fit_seconds: float = 0.0
    evaluate_seconds: float | None = None


@dataclass(frozen=True)
class _Trial:
    """What was found of one task: remarks, and the seconds of a fit. ``computed``: at each budget, where only what a smaller
    budget had needed too was kept; ``kept``: at the last one, where everything was kept that can be.
    """

    remarks: tuple[str, ...]
    computed: tuple[float, ...]
    kept: float


def check_method(method: Any, *, budgets: int | str | Sequence[int] = BUDGETS) -> Check:
    """Fit a method on 60 networks of digits-lenet and have it predict 20 others, twice at each budget.

    The second time, whatever the method's functions return is computed again. A method that is not bundled is also fitted in
    a sealed process, where `evaluate` would do so.

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
        networks, naming budget and task; if it reads something that it does not declare; and if it holds or loads a subset.

    Examples
    --------
    >>> import nndynbench
    >>> nndynbench.check_method("degree-linear").reads
    ('weights',)
    """
    is_bundled = isinstance(method, str) and not is_file_name(method)
    before = len(data_read())
    resolved = as_method(method)
    read_by_file = [] if is_bundled else sorted(set(data_read()[before:]))
    start = time.perf_counter()
    read: set[str] = set()
    subset = load(CHECKED_ON)
    tried = sorted(map(subset.check_budget, checked_budgets(budgets)))
    trials = {task: _tried(resolved, task, subset, tried, read, sealed=not is_bundled) for task in tasks_of(resolved)}
    if isinstance(resolved, Method):
        check_reads(resolved.reads, read, label_of(resolved))
    return Check(
        tuple(trials),
        tuple(sorted(read)),
        round(time.perf_counter() - start, 3),
        tuple(_remarks(trials.values(), read, read_by_file)),
        round(max(trial.computed[0] for trial in trials.values()), 3),
        _expected_seconds(resolved, trials, subset, tried),
    )


def _remarks(trials: Iterable[_Trial], read: Collection[str], read_by_file: Collection[str]) -> Iterable[str]:
    """What may be a mistake, each remark once."""
    if not read:
        return ["reads nothing of any network, so its predictions cannot depend on the networks"]
    remarks = [remark for trial in trials for remark in trial.remarks]
    if read_by_file:
        remarks.append(
            f"the file reads {listed(read_by_file)} when it is executed: sealing does not take away what the method keeps "
            "from there, such as final accuracies"
        )
    return dict.fromkeys(remarks)


def _tried(method: Any, task: Task, subset: Subset, budgets: Sequence[int], read: set[str], *, sealed: bool) -> _Trial:
    """Fit a method for one task at each budget; adds what was read to ``read``. ``sealed``: try that as `evaluate` does."""
    fitting = Fitting(_estimator(method, task), {}, label_of(method), order_seed=SEED)
    fits, afresh = (_small_fits(task, subset, budgets, read, reader) for reader in (subset.reader, _forgetful(subset)))
    varies, computed = False, []
    for fit, other in zip(fits, afresh, strict=True):
        first = fit.predictions(fitting)
        second, seconds = _timed(other.predictions, fitting)
        if not _are_equal(first, second):
            where = f"{fitting.label}, {task}, budget {fit.budget}"
            raise MethodError(f"{where}: a second fit gives different predictions; fix its random seeds")
        varies = varies or _varies(first["prediction"]) or _varies(first["score"])
        computed.append(seconds)
    remarks = [] if varies else [f"{task}: predicts the same for all {TEST} networks: does what it reads vary?"]
    _, kept = _timed(fit.predictions, fitting)
    if kept > SLOW_FIT:
        remarks += not_kept(fitting.estimator)
    missing = mostly_missing(fitting.estimator, [*fit.train.values(), *fit.test.values()])
    remarks += [f"{task}: {said}" for said in missing]
    remarks += left_out(fitting.estimator, max(budgets))
    if sealed and (why := _why_unsealed(fit, fitting)):
        remarks.append(f"is fitted in the process that holds the subset, not in a sealed one, since {why}")
    return _Trial(tuple(remarks), tuple(computed), kept)


def _why_unsealed(fit: Fit, fitting: Fitting) -> str:
    """Fit and ask as `evaluate` does where it can: in a process that can read nothing but the histories. Returns why the
    method cannot be carried over to one; empty if it can, or if there are none on this system.

    That fit is compared with no other: the process sets the seeds of the libraries' own generators.
    """
    from nndynbench.sealed.outside import is_cheap

    used, _ = all_predictions([fit], carried_over(fitting, None, asked=None), 1, lambda *_: None, must_be_sealed=False)
    return used.unsealed if is_cheap() else ""


def _are_equal(first: pd.DataFrame, second: pd.DataFrame) -> bool:
    """Whether two fits gave the same predictions and scores, but for rounding."""
    columns = ["prediction", "score"]
    return np.allclose(first[columns], second[columns], rtol=ROUNDING, atol=ROUNDING, equal_nan=True)


def _varies(numbers: pd.Series) -> bool:
    """Whether numbers differ by more than rounding."""
    return not np.allclose(numbers, numbers.iloc[0], rtol=1e-9, atol=0, equal_nan=True)


def _timed(work: Callable[..., Value], *arguments: Any) -> tuple[Value, float]:
    """What some work returns, and the seconds that it took."""
    start = time.perf_counter()
    return work(*arguments), time.perf_counter() - start


def _expected_seconds(
    method: Any, trials: Mapping[Task, _Trial], subset: Subset, tried_budgets: Sequence[int]
) -> float | None:
    """About how long `evaluate` takes on a whole subset: each fit as long as here, by the number of its networks, also those
    fits that choose parameters, and once for each network and budget what a function returns.
    """
    protocol = find_protocol(default_protocol(method))
    if protocol.test == "another" or (trial := trials.get(protocol.task)) is None:
        return None
    try:
        folds, budgets = sides(protocol.fitted, subset, subset), shared_budgets([subset], protocol)
    except NndynbenchError:  # it lacks networks, epochs or the target
        return None
    choices = method.choices if isinstance(method, Method) else {}
    tried = 1 + INNER_FOLDS * prod(map(len, choices.values())) if choices else 1
    handed = sum(len(side) for both in folds for side in both) * len(budgets) * tried
    networks = len({network for both in folds for side in both for network in side})
    steps = [later - earlier for earlier, later in pairwise([0, *tried_budgets])]
    by_epoch = [max(0.0, seconds - trial.kept) / step for seconds, step in zip(trial.computed, steps, strict=True)]
    computing = [by_epoch[min(place, len(by_epoch) - 1)] for place in range(len(budgets))]
    return round((handed * trial.kept + networks * sum(computing)) / (TRAIN + TEST), 1)


def _estimator(method: Any, task: Task) -> Any:
    """The method's estimator for a task. It is tried even if the method is for other protocols alone."""
    if not isinstance(method, Method):
        return method
    return replace(method, protocols=()).estimator(find_protocol(DEFAULT_PROTOCOLS[task]))


def _small_fits(
    task: Task, subset: Subset, budgets: Sequence[int], read: set[str], reader: Callable[[int], Reader]
) -> list[Fit]:
    """A fit at each budget on a few networks, each read through its ``reader`` at all of them."""
    chosen = find_protocol(DEFAULT_PROTOCOLS[task])
    # Ids follow the grid, so evenly spaced ones hold both classes.
    both = zip(subset.split(str(chosen.split))[0], (TRAIN, TEST), strict=True)
    readers = [{network: reader(network) for network in side[:: len(side) // count][:count]} for side, count in both]
    fits = []
    for budget in budgets:
        seen, asked = ({network: History(own, budget, read) for network, own in side.items()} for side in readers)
        fits.append(Fit(subset, subset, chosen, budget, 0, seen, asked, read))
    return fits


def _forgetful(subset: Subset) -> Callable[[int], Reader]:
    return lambda network: Reader(ForgetfulNetwork(subset.pack, network))
