"""How good will this run become? A method, fitted on a subset, predicts a run of one's own (the paper's Figure 1)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from nndynbench.centralities import MOMENTS
from nndynbench.checkpoints import read_folder
from nndynbench.convert import snapshots_on_demand
from nndynbench.given import CurvesLike, checked_curves, checked_hyperparameters
from nndynbench.graphs import Architecture, Weights
from nndynbench.graphs.describing import NO_WEIGHTS, snapshot
from nndynbench.graphs.weights import WeightsLike
from nndynbench.numbers import epochs
from nndynbench.own_run import NotGivenError, OwnRun
from nndynbench.protocols.best_methods import best_method
from nndynbench.protocols.fitting import Known, fitted_on
from nndynbench.protocols.harness import evaluate
from nndynbench.protocols.method import SEED, find_method
from nndynbench.protocols.protocol import find_protocol
from nndynbench.protocols.scoring import groups_of
from nndynbench.recording import Recorder, Run, read_run
from nndynbench.recording.record import RUN_FILE
from nndynbench.storage.files import user_path
from nndynbench.subsets import BudgetError, History, Subset, as_subset
from nndynbench.subsets.history import CURVES, HYPERPARAMETERS, READABLE, WEIGHTS
from nndynbench.subsets.reader import Reader

FITTED_AS = "regression-folds"
LEVEL = 0.95

# How many epochs of a run are used, if it has as many and nothing else is asked for.
BUDGET = 5

RunLike: TypeAlias = "str | os.PathLike[str] | Recorder | Run | History | Mapping[int, WeightsLike]"


@dataclass(frozen=True)
class Prediction:
    """The result of `predict`, with accuracies in percent.

    ``low`` to ``high`` is an interval from the method's errors on networks of the subset on which it was not fitted. It
    holds a share ``level`` of further errors: 95%, or less where there are fewer than 39 networks, whose smallest and
    largest error it then ends at. ``probability_high`` is the share of these errors with which the run would reach the
    subset's ``threshold``. ``outside`` names values of the run's degree signature and, where the method reads them, numbers
    among its hyperparameters that lie outside the subset's range. There the method extrapolates, and neither the interval
    nor the probability can be relied on. ``method`` is the method that predicted, from the first ``budget`` epochs.

    Examples
    --------
    >>> import nndynbench
    >>> zoo = nndynbench.load("digits-lenet")
    >>> forecast = nndynbench.predict(zoo.history(100, budget=1), zoo, method="constant", budget=1)
    >>> 0 <= forecast.probability_high <= 1, forecast.outside
    (True, ())
    """

    accuracy: float
    low: float
    high: float
    probability_high: float
    threshold: float
    outside: tuple[str, ...]
    method: str = ""
    budget: int = 0
    level: float = LEVEL

    def __str__(self) -> str:
        likely = f"{100 * self.probability_high:.0f}% of such runs reach {self.threshold:.4g}%"
        beyond = "".join(f"\noutside what the method knows: {what}" for what in self.outside)
        by = f"; by {self.method} after {epochs(self.budget)}" if self.method else ""
        return f"{self.accuracy:.1f}% ({self._interval}: {self.low:.1f} to {self.high:.1f}%); {likely}{by}{beyond}"

    @property
    def _interval(self) -> str:
        return f"{100 * self.level:.0f}% interval"

    def _repr_html_(self) -> str:
        from nndynbench.cards import html_card

        facts = {
            "final accuracy": f"{self.accuracy:.1f}%",
            self._interval: f"{self.low:.1f} to {self.high:.1f}%",
            f"reaches {self.threshold:.4g}%": f"{100 * self.probability_high:.0f}% of such runs",
            "method": f"{self.method}, {epochs(self.budget)}",
            "outside what the method knows": "; ".join(self.outside) or "nothing",
        }
        return html_card("Prediction", facts)


def predict(
    run: RunLike | None,
    subset: str | Subset,
    *,
    method: str | None = None,
    budget: int | None = None,
    curves: CurvesLike | None = None,
    hyperparameters: Mapping[str, Any] | None = None,
    first_epoch: int | None = None,
    pattern: str | None = None,
    steps_per_epoch: int | None = None,
) -> Prediction:
    """Predict the final accuracy of a run from its first epochs.

    Parameters
    ----------
    run
        One of the following. A `nndynbench.Recorder`, a run from `nndynbench.read_run`, or the folder of either, even while
        it trains; all that is recorded is used. A folder of checkpoints of the subset's architecture, or a mapping from
        epochs to state dicts: one for each of the epochs 1 to ``budget``, and one for 0, the initialisation, for methods
        that read features. A history; if it is of a network of the subset itself, the method is not fitted on that network.
        None, to use only ``curves`` or ``hyperparameters``.
    subset
        The subset on which the method is fitted: its networks should be trained like the run.
    method
        A bundled method, or a method file, with a regressor. The default is the best on the board among the methods that
        read nothing but what is given; the result names it.
    budget
        How many epochs of the run to use; by default 5, or all of a recorded run that has fewer.
    curves, hyperparameters
        For methods that read them. ``curves`` has the form of `History.curves` (a row for each of the epochs 1 to
        ``budget``, in percent) or is a CSV file. ``hyperparameters`` has the form of `History.hyperparameters` (every column
        of the subset's grid). A recorded run has its own.
    first_epoch, pattern, steps_per_epoch
        Which checkpoint is of which epoch, if the files do not say; see `nndynbench.checkpoints.read_folder`.

    Raises
    ------
    UnknownNameError, BudgetError
        If a subset, method or budget does not exist or is not at hand.
    CheckpointError, FileNotFoundError
        If checkpoints are missing, unreadable, or of another architecture.
    MethodError, NotGivenError, NoMethodError
        If the method fails, or reads something that was not given; or if the given data do not fit the subset's networks.

    Examples
    --------
    >>> import nndynbench
    >>> zoo = nndynbench.load("digits-lenet")
    >>> forecast = nndynbench.predict(zoo.history(100, budget=1), zoo, method="constant", budget=1)
    >>> forecast.low <= forecast.accuracy <= forecast.high
    True
    """
    loaded = as_subset(subset)
    asked = _Asked(loaded, budget, curves, hyperparameters)
    naming = {"first_epoch": first_epoch, "pattern": pattern, "steps_per_epoch": steps_per_epoch}
    if isinstance(run, History):
        asked.check_history(run, apart=[curves, hyperparameters, *naming.values()])
        given = Given(run, frozenset(READABLE), True)
    elif isinstance(run, (Recorder, Run)) or (isinstance(run, (str, os.PathLike)) and (user_path(run) / RUN_FILE).is_file()):
        recorded = run.run if isinstance(run, Recorder) else run if isinstance(run, Run) else read_run(user_path(run))
        given = asked.of_recorded(recorded)
    elif isinstance(run, (str, os.PathLike)):
        folder = read_folder(Path(run), first_epoch=first_epoch, pattern=pattern, steps_per_epoch=steps_per_epoch)
        checkpoints = snapshots_on_demand(folder, asked.architecture)
        folder.need(range(1, asked.budget() + 1))
        checkpoints[1]  # another architecture is an error before anything is fitted
        given = asked.of_weights(checkpoints, where=str(run))
    elif isinstance(run, Mapping):
        given = asked.of_weights({int(epoch): snapshot(w, asked.architecture) for epoch, w in run.items()}, where="the run")
    elif run is None:
        given = asked.of_weights({}, where="the run")
    else:
        raise NotGivenError(f"a run must be a folder, a recorder, a history or snapshots by epoch, not {run!r}")
    name = method or best_method(given.reads, initialisation=given.initialisation)
    return Forecaster(loaded, name, given.history.epochs, without=given.history).predict(given)


@dataclass(frozen=True)
class Given:
    """A run's history, and what is known about it: which of weights, curves and hyperparameters are given, whether epoch 0
    is, what the run and the subset do not have in common, and the epochs up to the budget that have no snapshot.
    """

    history: History
    reads: frozenset[str]
    initialisation: bool
    beyond: tuple[str, ...] = ()
    without_snapshot: tuple[int, ...] = ()


@dataclass(frozen=True)
class _Asked:
    """What is asked about a run, and what is given in addition to it."""

    subset: Subset
    asked: int | None
    curves: CurvesLike | None
    hyperparameters: Mapping[str, Any] | None

    @cached_property
    def architecture(self) -> Architecture:
        return self.subset.architecture

    def budget(self, has: int | None = None, *, has_ended: bool = False) -> int:
        """The budget asked for, or else 5, but no more than the run ``has`` epochs or the subset has budgets."""
        if self.asked is not None:
            return self.subset.check_budget(self.asked)
        longest = self.subset.budgets[-1]
        if has == 0:
            raise BudgetError("the run has ended without an epoch" if has_ended else "the run has no epoch yet")
        return min(BUDGET, longest, has or longest)

    def of_weights(self, weights: Mapping[int, Weights], *, where: str) -> Given:
        budget = self.budget()
        if missing := [epoch for epoch in range(1, budget + 1) if weights and epoch not in weights]:
            raise NotGivenError(f"{where} has no weights of epoch {', '.join(map(str, missing))} (it has {sorted(weights)})")
        curves = self._checked_curves(budget)
        hyperparameters = self._checked_hyperparameters()
        source = OwnRun(
            self.architecture if weights else NO_WEIGHTS,
            weights,
            where=where,
            curves=curves,
            hyperparameters=hyperparameters,
        )
        return self._given(source, budget, curves is not None, hyperparameters is not None)

    def of_recorded(self, run: Run) -> Given:
        """A recorded run; curves and hyperparameters that are given replace its own."""
        if run.architecture.layers:
            self._check_layers(run.architecture, of=f"the network of {run.folder}")
        budget = self.budget(run.epochs, has_ended=run.record.finished)
        source = run.source()
        beyond: tuple[str, ...] = ()
        curves_given = self.curves is not None or run.epochs > 0
        if self.curves is not None:
            source = source.with_curves(self._checked_curves(budget))
        elif missing := [name for name in _curves_of(self.subset) if not _is_measured(run, name, budget)]:
            lacking = f"{', '.join(missing)}: in the subset's curves, but not in every epoch of the run"
            source, curves_given, beyond = source.with_curves(None, unusable=lacking), False, (lacking,)
        if self.hyperparameters is not None:
            return self._given(source.with_hyperparameters(self._checked_hyperparameters()), budget, curves_given, True)
        wanted = self.subset.manifest.hyperparameters
        own = {name: value for name, value in run.hyperparameters.items() if name in wanted}
        others = [name for name in run.hyperparameters if name not in (*wanted, "seed")]
        beyond += tuple(f"hyperparameter {name}: the subset has none of this name" for name in others)
        known, unfit = None, ""
        try:
            known = checked_hyperparameters(own, self.subset) if run.hyperparameters else None
        except ValueError as reason:
            unfit, beyond = str(reason), (*beyond, str(reason))
        source = source.with_hyperparameters(known, unusable=unfit)
        return self._given(source, budget, curves_given, known is not None, beyond)

    def check_history(self, history: History, *, apart: Sequence[object]) -> None:
        """Raise if a history is not of a network like the subset's, up to the budget."""
        if any(part is not None for part in apart):
            raise NotGivenError("a history has its own epochs, curves and hyperparameters: leave these arguments out")
        budget = self.subset.check_budget(history.epochs if self.asked is None else self.asked)
        if history.epochs != budget:
            raise BudgetError(f"the history ends at epoch {history.epochs}, not at the budget of {budget}")
        self._check_layers(history._described, of="the history's network")

    def _check_layers(self, own: Architecture, *, of: str) -> None:
        if own.layer_shapes != self.architecture.layer_shapes:
            raise NotGivenError(
                f"{of} has the layers {own.layers_in_words}, but the networks of {self.subset.name} have "
                f"{self.architecture.layers_in_words}"
            )

    def _checked_curves(self, budget: int) -> Any:
        classes = self.architecture.classes
        return None if self.curves is None else checked_curves(self.curves, budget, classes=classes)

    def _checked_hyperparameters(self) -> dict[str, Any] | None:
        return None if self.hyperparameters is None else checked_hyperparameters(self.hyperparameters, self.subset)

    def _given(
        self, source: OwnRun, budget: int, curves: bool, hyperparameters: bool, beyond: tuple[str, ...] = ()
    ) -> Given:
        kept = set(source.epochs("weights"))
        needed = {epoch if source.last is None else min(epoch, source.last) for epoch in range(1, budget + 1)}
        lacking = tuple(sorted(needed - kept)) if kept else ()
        has_weights = bool(kept) and not lacking and source.architecture.no_graph is None
        parts = {WEIGHTS: has_weights, CURVES: curves, HYPERPARAMETERS: hyperparameters}
        reads = frozenset(name for name, is_given in parts.items() if is_given)
        return Given(History(Reader(source), budget), reads, 0 in kept, beyond, lacking)


class Forecaster:
    """A method, fitted on a subset at a budget, with its errors on networks on which it was not fitted.

    ``without`` is a history; if its network is one of the subset's, the method is not fitted on it.
    """

    def __init__(self, subset: Subset, method: str, budget: int, *, without: History | None = None) -> None:
        self.subset, self.method, self.budget = subset, method, budget
        found = find_method(method)
        self.reads = frozenset(found.reads)
        self.tested = evaluate(found, subset, protocol=FITTED_AS, budgets=budget, name=method, order_seed=SEED).predictions
        self.errors = (self.tested["truth"] - self.tested["prediction"].clip(0, 100)).to_numpy()
        everyone = zip(subset.network_ids, subset.histories(subset.network_ids, budget), strict=True)
        others = {network: other for network, other in everyone if without is None or not other._is_of(without)}
        self._known = list(others.values())
        truth = subset.networks.loc[list(others), "final_accuracy"].to_numpy()
        fitted_as = find_protocol(FITTED_AS)
        groups = np.unique(groups_of(subset, fitted_as).loc[list(others)], return_inverse=True)[1]
        estimator = found.estimator(fitted_as)
        self._fitted = fitted_on(estimator, {}, self._known, Known(truth, groups, truth), fitted_as.task)

    def predict(self, given: Given) -> Prediction:
        """The method's prediction for a run, from its epochs up to the budget."""
        accuracy = float(np.clip(self._fitted.predict([given.history])[0], 0, 100))
        # Weibull's quantiles of n errors hold one more as often as they say. All n together hold it n - 1 times in n + 1.
        level = min(LEVEL, (len(self.errors) - 1) / (len(self.errors) + 1))
        ends = np.quantile(self.errors, [(1 - level) / 2, (1 + level) / 2], method="weibull")
        low, high = np.clip(accuracy + ends, 0, 100)
        threshold = self.subset.manifest.threshold
        outside = [*given.beyond, *(_outside(given.history, self._known) if WEIGHTS in given.reads else ())]
        if HYPERPARAMETERS in given.reads & self.reads:
            outside += _hyperparameters_outside(given.history, self.subset)
        if given.without_snapshot and WEIGHTS in self.reads:
            outside.append(f"the run has no snapshot of epoch {', '.join(map(str, given.without_snapshot))}")
        return Prediction(
            accuracy,
            float(low),
            float(high),
            self.probability(accuracy, threshold),
            threshold,
            tuple(outside),
            self.method,
            self.budget,
            level,
        )

    def probability(self, accuracy: float, threshold: float) -> float:
        """The probability that a run reaches a threshold if the method predicts ``accuracy`` for it; both in percent."""
        return float(np.mean(accuracy + self.errors >= threshold))


def given_of(run: Recorder | Run, subset: Subset, budget: int) -> Given:
    """A recorded run, as `predict` uses it, up to a budget."""
    return _Asked(subset, budget, None, None).of_recorded(run.run if isinstance(run, Recorder) else run)


def _curves_of(subset: Subset) -> list[str]:
    """The curves that the subset's networks have."""
    curves = subset.curves
    return [name for name in curves.columns if name != "seconds" and curves[name].notna().any()]


def _is_measured(run: Run, name: str, budget: int) -> bool:
    """Whether a run has a curve in every epoch up to a budget."""
    return all(name in row for row in run.record.epochs[:budget]) and name in run.columns


def _hyperparameters_outside(history: History, subset: Subset) -> list[str]:
    """The numbers among a run's hyperparameters that lie outside the range of the subset's networks."""
    found = []
    for name in subset.manifest.hyperparameters:
        column, own = subset.networks[name], history.hyperparameters.get(name)
        if pd.api.types.is_numeric_dtype(column) and isinstance(own, (int, float)) and not isinstance(own, bool):
            low, high = float(column.min()), float(column.max())
            if own < low or own > high:  # a hyperparameter that the run does not have is NaN
                found.append(f"hyperparameter {name}: {own:.4g} (the subset's: {low:.4g} to {high:.4g})")
    return found


def _outside(history: History, known: list[History]) -> list[str]:
    """The values of a history's degree signature that lie outside the range of the subset's networks."""
    own = history.signature("degree")
    others = np.stack([other.signature("degree") for other in known])
    lowest, highest = np.nanmin(others, axis=0), np.nanmax(others, axis=0)
    beyond = ~((own >= lowest) & (own <= highest))
    return [
        f"{MOMENTS[moment].replace('_', ' ')} of the degrees at epoch {epoch + 1}: {own[epoch, moment]:.4g} "
        f"(the subset's: {lowest[epoch, moment]:.4g} to {highest[epoch, moment]:.4g})"
        for epoch, moment in np.argwhere(beyond)
    ]
