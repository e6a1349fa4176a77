"""Stops runs that will probably not reach an accuracy, judged after each epoch, and says what that rule costs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nndynbench.prediction import BUDGET, FITTED_AS, Forecaster, Given, given_of
from nndynbench.protocols import find_method, find_protocol
from nndynbench.protocols.best_methods import NoMethodError, best_method
from nndynbench.recording import Recorder, Run
from nndynbench.subsets import Subset, as_subset
from nndynbench.subsets.history import CURVES, READABLE


@dataclass(frozen=True)
class Replay:
    """What a rule would have done to a subset's own networks, each judged by a method that was not fitted on it.

    ``networks`` counts all networks, ``stopped`` those that are stopped. ``trained`` and ``saved`` are epochs. ``reaching``
    networks reach the accuracy, and ``lost`` of these are stopped. ``best`` is the best final accuracy of all networks,
    ``best_kept`` that of the networks that are not stopped (NaN if all are), both in percent.

    Examples
    --------
    >>> import nndynbench
    >>> rule = nndynbench.StopEarly("digits-lenet", at_least=90, method="validation-accuracy", budgets=[1, 2])
    >>> replay = rule.replay()
    >>> replay.networks, 0 <= replay.saved <= replay.trained
    (240, True)
    """

    networks: int
    stopped: int
    trained: int
    saved: int
    reaching: int
    lost: int
    best: float
    best_kept: float

    def __str__(self) -> str:
        of_the_rest = f"best that goes on: {self.best_kept:.1f}% (best of all: {self.best:.1f}%)"
        if self.stopped == self.networks:
            of_the_rest = f"none goes on (best of all: {self.best:.1f}%)"
        return (
            f"stopped: {self.stopped} of {self.networks} networks, saving {self.saved} of {self.trained} epochs "
            f"({100 * self.saved / max(self.trained, 1):.0f}%); "
            f"lost: {self.lost} of {self.reaching} that reach the accuracy; {of_the_rest}"
        )


class StopEarly:
    """Decides whether to stop a run: it does so if the probability that the run reaches an accuracy is below a bound.

    Call it with a recorder, or a run, after an epoch has been recorded: ``if stop(recorder): break``. The adapters of
    `nndynbench.adapters` take it as ``stop=``. The probability comes from a method that is fitted on the subset at the same
    number of epochs. It is fitted once, when it is first needed.

    Parameters
    ----------
    subset
        A subset of networks like the run's: its name, or the loaded subset.
    at_least
        The final accuracy to reach, in percent.
    below
        The probability below which a run is stopped. Probabilities are shares of the method's errors on the subset's
        networks: with fewer than 1/``below`` networks (20 by default), a run is stopped if none of the errors would take it
        to the accuracy, which is a weaker reason than ``below`` says.
    method
        A bundled method or a method file; by default the best on the board for the data that the run has, as in `predict`.
    budgets
        The epochs after which to judge; by default 1 to 5, as far as the subset has snapshots.

    Raises
    ------
    ValueError
        If the accuracy is not a percentage, or the probability is not one; `SplitError` if the subset has too few networks:
        its folds need at least 10, 5 of each label.

    Examples
    --------
    >>> import nndynbench
    >>> zoo = nndynbench.load("digits-lenet")
    >>> stop = nndynbench.StopEarly(zoo, at_least=90, method="validation-accuracy")
    >>> weights = nndynbench.graphs.random_weights("digits-lenet", seed=0)
    >>> recorder = nndynbench.Recorder("runs/dull", weights, architecture="digits-lenet")
    >>> for epoch in range(3):
    ...     recorder.epoch(weights=weights, train_loss=2.3, train_accuracy=10, validation_accuracy=10)
    >>> stop(recorder), stop.probability(recorder) < 0.05
    (True, True)
    """

    def __init__(
        self,
        subset: str | Subset,
        *,
        at_least: float,
        below: float = 0.05,
        method: str | None = None,
        budgets: list[int] | None = None,
    ) -> None:
        if not 0 <= at_least <= 100:
            raise ValueError(f"at_least must be in percent, from 0 to 100, not {at_least!r}")
        if not 0 <= below <= 1:
            raise ValueError(f"below must be a probability, from 0 to 1, not {below!r}")
        self.subset = as_subset(subset)
        folds = find_protocol(FITTED_AS).split
        assert folds is not None
        self.subset.split(folds)  # too few networks are an error now, not within a training
        self.at_least = at_least
        self.below = below
        self.method = method
        last = min(BUDGET, self.subset.manifest.keep or BUDGET, self.subset.budgets[-1])
        self.budgets = [self.subset.check_budget(budget) for budget in (range(1, last + 1) if budgets is None else budgets)]
        self._fitted: dict[tuple[str, int], Forecaster] = {}

    def __call__(self, run: Recorder | Run) -> bool:
        """Whether to stop the run now; False after an epoch at which runs are not judged."""
        probability = self.probability(run)
        return probability is not None and probability < self.below

    def ends(self, recorder: Recorder) -> bool:
        """Whether to stop the run now; if so, it is also recorded as stopped, with the reason."""
        stops = self(recorder)
        if stops:
            recorder.stop(f"below {self.below:g} to reach {self.at_least:g}%")
        return stops

    def probability(self, run: Recorder | Run) -> float | None:
        """The probability that the run reaches the accuracy; None after an epoch at which runs are not judged, or if the
        method reads curves that were not measured in some epoch. It is 0 for a run that has diverged.
        """
        recorded = run.run if isinstance(run, Recorder) else run
        if recorded.record.diverged:
            return 0.0
        if recorded.epochs not in self.budgets:
            return None
        given = given_of(recorded, self.subset, recorded.epochs)
        has_gaps = any(name not in row for row in recorded.record.epochs for name in recorded.columns)
        try:
            method = self._method_for(given)
        except NoMethodError:
            if has_gaps:
                return None
            raise
        if has_gaps and CURVES not in given.reads and CURVES in find_method(method).reads:
            return None
        forecaster = self._forecaster(method, recorded.epochs)
        return forecaster.probability(forecaster.predict(given).accuracy, self.at_least)

    def replay(self) -> Replay:
        """What the rule would have done to the subset's own networks: epochs saved, and what is lost for them.

        The networks are judged by ``method``, or by the best on the board among the methods that read everything.
        """
        networks = self.subset.networks
        trained, final = networks["epochs_trained"].to_numpy(), networks["final_accuracy"].to_numpy()
        ended = trained.copy()
        method = self.method or best_method(READABLE, initialisation=True)
        for budget in sorted(self.budgets, reverse=True):
            forecaster = self._forecaster(method, budget)
            tested = forecaster.tested.set_index("network").loc[networks.index]
            predicted, folds = tested["prediction"].clip(0, 100).to_numpy(), tested["fold"].to_numpy()
            errors = tested["truth"].to_numpy() - predicted
            for place, (fold, accuracy) in enumerate(zip(folds, predicted, strict=True)):
                reaches = np.mean(accuracy + errors[folds != fold] >= self.at_least)
                if budget < trained[place] and reaches < self.below:
                    ended[place] = budget
        stopped, reaching = ended < trained, final >= self.at_least
        return Replay(
            networks=len(networks),
            stopped=int(stopped.sum()),
            trained=int(trained.sum()),
            saved=int((trained - ended).sum()),
            reaching=int(reaching.sum()),
            lost=int((reaching & stopped).sum()),
            best=float(final.max()),
            best_kept=float(final[~stopped].max()) if not stopped.all() else float("nan"),
        )

    def _method_for(self, given: Given) -> str:
        return self.method or best_method(given.reads, initialisation=given.initialisation)

    def _forecaster(self, method: str, budget: int) -> Forecaster:
        if (method, budget) not in self._fitted:
            self._fitted[method, budget] = Forecaster(self.subset, method, budget)
        return self._fitted[method, budget]
