"""The harness: fits a method inside each fold on histories cut at each budget, and scores what it predicts."""

from __future__ import annotations

import hashlib
import os
import secrets
import time
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import permutations
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from nndynbench.arrays import LARGEST_NUMBER, FloatArray
from nndynbench.progress import ReportProgress, reporting
from nndynbench.protocols.arguments import (
    checked_budgets,
    checked_choice,
    checked_count,
    checked_draws,
    checked_jobs,
    checked_seed,
)
from nndynbench.protocols.failures import why_it_failed
from nndynbench.protocols.fitting import Known, fit_and_ask
from nndynbench.protocols.method import (
    SEED,
    Method,
    MethodError,
    as_method,
    default_protocol,
    described,
    is_file_name,
    label_of,
)
from nndynbench.protocols.protocol import Protocol, Task, find_protocol
from nndynbench.protocols.result_facts import ResultFacts, SubsetVersion
from nndynbench.protocols.results import DRAW, Result, without_one_draw
from nndynbench.protocols.scoring import groups_of, score
from nndynbench.protocols.sides import sides
from nndynbench.protocols.tuning import TUNING_SUBSET, warn_if_not_chosen
from nndynbench.subsets import Subset, as_subset
from nndynbench.subsets.history import READABLE

if TYPE_CHECKING:
    from nndynbench.sealed.outside import Sealed
    from nndynbench.subsets import History


# As many bits of a whole number as JSON keeps in every language.
ORDER_BITS = 53

# scikit-learn says so in every fit on few networks, and takes one quantile for each of them, as it should.
FEW_SAMPLES = r"n_quantiles \(\d+\) is greater than the total number of samples"

RECORDED_LIBRARIES = ("nndynbench", "numpy", "scipy", "scikit-learn", "pandas")


def evaluate(
    method: Any,
    subsets: str | Subset | Sequence[str | Subset],
    *,
    protocol: str | Protocol | None = None,
    budgets: int | str | Sequence[int] = 5,
    name: str | None = None,
    jobs: int = 1,
    progress: Callable[[int, int], None] | bool | None = None,
    sealed: bool | None = None,
    order_seed: int | Literal["drawn"] | None = "drawn",
    draws: int | Sequence[int] = 1,
    reference_networks: int | None = None,
) -> Result:
    """Score a method.

    Parameters
    ----------
    method
        A scikit-learn estimator whose ``X`` is a sequence of histories, a `Method`, the name of a bundled method
        ("degree-svm"), or a file that holds one ("my_method.py", "my_method.py:NAME").
    subsets
        One subset, by name or loaded, or several. For a protocol that tests another subset than it trains on ("transfer")
        two or more: each is trained on, and tested on each other one.
    protocol
        The name of a protocol. By default the first of the method's own ``protocols``; if it names none, "classification"
        for a classifier or a method that has one, and "regression-folds" for any other.
    budgets
        How many epochs the method may see: one budget or several, also as a text such as "1-10".
    name
        What to call the method in the result; by default its name in ``METHODS``, or the estimator's class.
    jobs
        How many fits run at a time, in threads; -1 for one per core.
    progress
        True for a bar in a terminal or notebook, or a function that is called with how many fits are done and how many there
        are.
    sealed
        Whether each fit runs in a process of its own that holds only the histories up to the budget and the training labels;
        see `nndynbench.sealed`. By default it does if that costs little and the method can be carried over to another
        process. The result's facts say whether it did.
    order_seed
        Decides the order in which networks are handed to the method. By default a seed is drawn for each evaluation, where
        the method cannot see it. With the seed in an earlier result's facts, the predictions are the same. None gives the
        order of results that have no seed.
    draws
        How many draws of the folds to score under (up to 5; up to 10 of the balanced samples of "classification"), or which,
        counted from 0. A score is the mean over the draws. So is its value in every resample, which takes the same clusters
        under all draws.
    reference_networks
        Fit on only this many networks of each training side, the first in that order. This shows what a method is worth to
        somebody who has few runs. Such a result cannot be submitted.

    Raises
    ------
    UnknownNameError, BudgetError, SplitError
        For a subset, protocol, method, budget or split that does not exist, listing those that do.
    ValueError
        For any other invalid argument.
    MethodError
        If the method fails, naming subset, budget and fold; if it reads what it does not declare; if it is sealed and holds
        or loads a subset; or if it was to be sealed and cannot be carried over.

    Warns
    -----
    NothingChosenWarning
        For a method with `Method.choices` that were made for none of the subsets, with the values that are used instead.

    Examples
    --------
    >>> import nndynbench
    >>> result = nndynbench.evaluate("constant", "digits-lenet", protocol="classification", budgets=5)
    >>> result.scores.set_index("metric").loc["roc_auc", "value"]
    np.float64(0.5)
    """
    resolved = as_method(method)
    chosen = find_protocol(default_protocol(resolved) if protocol is None else protocol)
    estimator = resolved.estimator(chosen) if isinstance(resolved, Method) else resolved
    label = name or label_of(resolved)
    asked, jobs, sealed = checked_budgets(budgets), checked_jobs(jobs), checked_choice(sealed, "sealed")
    choices = dict(resolved.choices) if isinstance(resolved, Method) else {}
    seed = secrets.randbits(ORDER_BITS) if order_seed == "drawn" else checked_seed(order_seed)
    fitting = Fitting(estimator, choices, label, seed, most=checked_count(reference_networks, "reference_networks"))
    fitting = carried_over(fitting, method, asked=sealed)
    loaded = loaded_subsets(subsets)
    if isinstance(resolved, Method):
        warn_if_not_chosen(resolved, chosen.task, [subset.name for subset in loaded])
    start = time.perf_counter()
    read: set[str] = set()
    numbers = checked_draws(draws, chosen)
    fits = [fit for budget in asked for fit in _fits(loaded, chosen.fitted, budget, numbers, read)]
    with reporting(progress, f"evaluating {label}") as report:
        fitting, predictions = all_predictions(fits, fitting, jobs, report, must_be_sealed=bool(sealed))
    check_reads(resolved.reads if isinstance(resolved, Method) else READABLE, read, label)
    facts = ResultFacts(
        method=label,
        description=resolved.description if isinstance(resolved, Method) else described(estimator),
        source=resolved.source if isinstance(resolved, Method) else "",
        fingerprint=resolved.fingerprint if isinstance(resolved, Method) else "",
        reads=tuple(sorted(read)),
        protocol=chosen.name,
        subsets=tuple(SubsetVersion(name=s.name, version=s.version, checksum=s.checksum) for s in loaded),
        libraries={library: version(library) for library in RECORDED_LIBRARIES},
        seconds=round(time.perf_counter() - start, 3),
        order_seed=fitting.order_seed,
        sealed=fitting.sealed is not None,
        unsealed=fitting.unsealed,
        reference_networks=fitting.most,
    )
    return Result(score(predictions, loaded, chosen, reads=read), predictions, facts)


def rescore(result: Result, subsets: Sequence[Subset], protocol: str | Protocol) -> Result:
    """Scores a result's predictions again under a protocol that uses them, such as "trained"; returns that protocol's
    result.

    Raises
    ------
    ValueError
        For a result of another protocol than the one whose predictions are scored.
    """
    chosen = find_protocol(protocol)
    if result.facts.protocol != chosen.fitted.name:
        raise ValueError(f"{chosen.name} scores predictions of {chosen.fitted.name}, not of {result.facts.protocol}")
    facts = result.facts.model_copy(update={"protocol": chosen.name})
    return Result(score(result.predictions, subsets, chosen, reads=result.facts.reads), result.predictions, facts)


@dataclass(frozen=True)
class Fitting:
    """How a method is fitted: its estimator and choices, the order of networks, at most how many of them (``most``), and in
    which processes.

    ``sealed`` carries the method over to sealed processes. Without it the method is fitted in this process; ``unsealed``
    then says why, unless that was asked for.
    """

    estimator: Any
    choices: Mapping[str, Sequence[Any]]
    label: str
    order_seed: int | None
    sealed: Sealed | None = None
    unsealed: str = ""
    most: int | None = None

    def fit_and_ask(
        self,
        protocol: Protocol,
        seen: Sequence[History],
        known: Known,
        asked: Sequence[History],
        tunes: bool,
        read: set[str],
    ) -> tuple[FloatArray, FloatArray | None]:
        """Returns predictions and scores. Raises what the method raises or, from a sealed process, `SealedMethodError`."""
        if self.sealed is not None:
            return self.sealed.fit_and_ask(protocol, seen, known, asked, tunes, read)
        return fit_and_ask(self.estimator, self.choices if tunes else {}, seen, known, asked, protocol.task)


@dataclass(frozen=True)
class Fit:
    """One fit, by network id: the histories that the method is fitted on, and those that it is asked about."""

    trained_on: Subset
    tested_on: Subset
    protocol: Protocol
    budget: int
    fold: int
    train: Mapping[int, History]
    test: Mapping[int, History]
    read: set[str]
    draw: int = 0

    def predictions(self, fitting: Fitting) -> pd.DataFrame:
        """Fits and asks the method; returns a row per test network.

        Raises
        ------
        MethodError
            If the method raises or returns anything but predictions, naming subset, budget and fold.
        NotCarriedError
            For a method that was to be sealed and cannot be read in another process.
        """
        from nndynbench.sealed.outside import NotCarriedError, SealedMethodError

        subset = self.tested_on.name
        other = f" (trained on {self.trained_on.name})" if self.trained_on is not self.tested_on else ""
        where = f"{fitting.label} on {subset}{other}, {self.protocol.name}, budget {self.budget}, {self._place}"
        learnt, tested = self._orders(fitting.order_seed)
        learnt = learnt[: fitting.most]
        known, tunes = self._known(learnt), self.trained_on.name == TUNING_SUBSET
        seen, asked = [self.train[network] for network in learnt], [self.test[network] for network in tested]
        try:
            predicted, scores = fitting.fit_and_ask(self.protocol, seen, known, asked, tunes, self.read)
        except NotCarriedError:
            raise
        except SealedMethodError as error:
            failure = MethodError(f"{where}: {error}")
            for note in getattr(error, "__notes__", []):
                failure.add_note(note)
            raise failure from None
        except (Exception, SystemExit) as error:
            raise MethodError(f"{where}: {why_it_failed(error)}") from error
        check_predictions(predicted, len(asked), self.protocol.task, where)
        if scores is None:
            scores = np.full(len(asked), np.nan)
        else:
            check_numbers(scores, len(asked), where, what="scores")
        order = {network: place for place, network in enumerate(tested)}
        places = [order[network] for network in self.test]
        truth = self.tested_on.target(self.protocol.target).loc[list(self.test)].to_numpy(dtype=np.float64)
        key = {"subset": subset, "budget": self.budget, DRAW: self.draw, "fold": self.fold, "network": list(self.test)}
        if self.protocol.test == "another":
            key["trained_on"] = self.trained_on.name
        return pd.DataFrame({**key, "truth": truth, "prediction": predicted[places], "score": scores[places]})

    @property
    def _place(self) -> str:
        return f"draw {self.draw}, fold {self.fold}" if self.draw else f"fold {self.fold}"

    def _known(self, learnt: list[int]) -> Known:
        networks = self.trained_on.networks
        groups = groups_of(self.trained_on, self.protocol).loc[learnt]
        # Groups are renumbered in order of appearance, which tells only which networks belong together.
        return Known(
            target=np.array(self.trained_on.target(self.protocol.target).loc[learnt].to_numpy()),
            groups=pd.factorize(groups)[0].astype(np.int64),
            accuracies=networks.loc[learnt, "final_accuracy"].to_numpy(dtype=np.float64),
        )

    def _orders(self, seed: int | None) -> tuple[list[int], list[int]]:
        """The ids of the training networks and of the test networks, in the order in which they are handed over."""
        # Ids follow the grid, so a history's place in the list would tell its learning rate.
        if seed is None:  # before orders had seeds
            test = list(self.test)
            return list(self.train), [test[place] for place in np.random.default_rng(SEED).permutation(len(test))]
        where = f"{seed} {self.trained_on.name} {self.tested_on.name} {self.budget} {self.fold}"
        where += f" draw {self.draw}" if self.draw else ""
        return shuffled(self.train, f"{where} train"), shuffled(self.test, f"{where} test")


def shuffled(networks: Iterable[int], seed: str) -> list[int]:
    """Network ids in an order that reveals nothing, not even the seed or another order drawn from it."""
    return sorted(networks, key=lambda network: hashlib.sha256(f"{seed} {network}".encode()).digest())


def loaded_subsets(subsets: str | Subset | Sequence[str | Subset]) -> list[Subset]:
    """Returns one subset or several, by name or loaded, as a list of loaded ones without duplicates.

    Raises
    ------
    ValueError
        For no subset, for anything that is not a subset, and for two versions of one name: results tell subsets apart by it.
    """
    several = [subsets] if isinstance(subsets, (str, Subset)) or not isinstance(subsets, Iterable) else list(subsets)
    if not several:
        raise ValueError("no subset given: name one or more, such as 'digits-lenet'")
    loaded: dict[str, Subset] = {}
    for subset in map(as_subset, several):
        if loaded.setdefault(subset.name, subset).checksum != subset.checksum:
            raise ValueError(f"{subset.name} is given in two versions, {loaded[subset.name].version} and {subset.version}")
    return list(loaded.values())


def check_reads(declared: Collection[str], read: Collection[str], label: str) -> None:
    """Raise `MethodError` if a method read what it does not declare, saying what to add."""
    if undeclared := sorted(set(read) - set(declared)):
        added = " and ".join(map(repr, undeclared))
        raise MethodError(
            f"{label} declares that it reads {sorted(declared)}, but also read {undeclared}: add {added} to its reads"
        )


def check_predictions(predicted: FloatArray, count: int, task: Task, where: str) -> None:
    """Raise `MethodError` if predictions have the wrong shape, are not finite, or are not classes where they must be."""
    check_numbers(predicted, count, where, what="predictions")
    if task == "classification" and not np.isin(predicted, (0, 1)).all():
        raise MethodError(
            f"{where}: a classifier must predict 0 or 1, not {sorted(set(predicted.tolist()) - {0.0, 1.0})[:3]}"
        )


def check_numbers(numbers: FloatArray, count: int, where: str, *, what: str) -> None:
    """Raise `MethodError` unless there is one finite number, not too large, for each network."""
    if numbers.shape != (count,):
        raise MethodError(f"{where}: {what} have shape {numbers.shape}, expected {(count,)}")
    if not np.isfinite(numbers).all():
        raise MethodError(f"{where}: {np.sum(~np.isfinite(numbers))} of {count} {what} are not finite")
    if (largest := float(np.abs(numbers).max(initial=0.0))) > LARGEST_NUMBER:
        raise MethodError(f"{where}: {what} go up to {largest:g} in size; at most {LARGEST_NUMBER:g} is allowed")


def _fits(subsets: Sequence[Subset], protocol: Protocol, budget: int, draws: Sequence[int], read: set[str]) -> Iterator[Fit]:
    for subset in subsets:
        subset.check_budget(budget, target=protocol.target)
    if protocol.test == "another":
        if len(subsets) < 2:
            raise ValueError(f"{protocol.name} trains on one subset and tests on another: name at least two subsets")
        known = {subset.name: _histories(subset, subset.network_ids, budget, read) for subset in subsets}
        for source, goal in permutations(subsets, 2):
            for fold, (learnt, tested) in enumerate(sides(protocol, source, goal)):
                train, test = ({n: known[s.name][n] for n in ids} for s, ids in ((source, learnt), (goal, tested)))
                yield Fit(source, goal, protocol, budget, fold, train, test, read)
        return
    for subset in subsets:
        folds = [(draw, fold, both) for draw in draws for fold, both in enumerate(sides(protocol, subset, subset, draw))]
        named = sorted({network for _, _, both in folds for side in both for network in side})
        histories = _histories(subset, named, budget, read)
        for draw, fold, both in folds:
            train, test = ({network: histories[network] for network in side} for side in both)
            yield Fit(subset, subset, protocol, subset.check_budget(budget), fold, train, test, read, draw)


def _histories(subset: Subset, ids: Sequence[int], budget: int, read: set[str]) -> dict[int, History]:
    return dict(zip(ids, subset.histories(ids, budget, read=read), strict=True))


def carried_over(fitting: Fitting, method: Any, *, asked: bool | None) -> Fitting:
    """The same fitting, set up for sealed processes if that was asked for, or if it is possible and costs little."""
    from nndynbench.sealed import outside

    if asked is False:
        return fitting
    if asked is None and not outside.is_cheap():
        return replace(fitting, unsealed="on this system every fit would be a new interpreter")
    name = os.fspath(method) if isinstance(method, (str, os.PathLike)) else ""
    # A method file is executed inside only if sealing was asked for. Otherwise the estimator that it gave here is pickled.
    by_name = name and (asked or not is_file_name(name))
    try:
        carried = outside.Sealed.of(name if by_name else (fitting.estimator, fitting.choices))
    except outside.NotCarriedError as reason:
        if asked:
            raise MethodError(f"{fitting.label}: {reason}") from reason
        return replace(fitting, unsealed=str(reason))
    outside.prepare()
    return replace(fitting, sealed=carried)


def all_predictions(
    fits: Sequence[Fit], fitting: Fitting, jobs: int, report: ReportProgress, *, must_be_sealed: bool
) -> tuple[Fitting, pd.DataFrame]:
    """Every fit's predictions, in the order of ``fits``, and how they were fitted. If the method turns out not to be
    readable in another process, all fits are run again here.
    """
    from joblib import Parallel, delayed

    from nndynbench.sealed import outside

    # Threads: the histories share the subset's tables, and the fits are short.
    working = Parallel(n_jobs=jobs, prefer="threads", return_as="generator")
    # One fit of each budget first, the largest before all: epochs that are not at hand end it now, not after hours of fits.
    order = sorted(range(len(fits)), key=lambda place: (fits[place].draw, fits[place].fold, -fits[place].budget))
    parts: dict[int, pd.DataFrame] = {}
    try:
        with warnings.catch_warnings():  # around all fits, since they may run in threads; sealed processes take it over
            warnings.filterwarnings("ignore", FEW_SAMPLES, UserWarning)
            for place, part in zip(order, working(delayed(fits[each].predictions)(fitting) for each in order), strict=True):
                parts[place] = part
                report(len(parts), len(fits))
    except outside.NotCarriedError as reason:
        outside.stop_what_runs()
        if must_be_sealed:
            raise MethodError(f"{fitting.label}: {reason}") from reason
        return all_predictions(fits, replace(fitting, sealed=None, unsealed=str(reason)), jobs, report, must_be_sealed=False)
    except BaseException:
        outside.stop_what_runs()
        raise
    predictions: pd.DataFrame = pd.concat([parts[place] for place in range(len(fits))], ignore_index=True)
    return fitting, without_one_draw(predictions)
