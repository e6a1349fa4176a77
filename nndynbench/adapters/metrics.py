"""Makes the curves of a run from the metrics that a library logs."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from nndynbench.columns import CURVES
from nndynbench.given import ACCURACIES, LOSS
from nndynbench.graphs.weights import WeightsLike
from nndynbench.names import check_name
from nndynbench.recording import Recorder
from nndynbench.recording.record import RunError
from nndynbench.recording.recorder import checked_resume

# By how much a fraction may be above 1 without being taken for percent.
ROUNDING = 1e-6


class CurvesWarning(UserWarning):
    """A metric is not recorded in every epoch: says why, and which setting makes a library log it in each."""


ONE_RUN = "this callback has recorded the training in {}: make a new one, with another folder, for each training"


def in_step(options: Mapping[str, Any], done: int, *, is_sure: bool = True) -> dict[str, Any]:
    """A recorder's options for a training that has ``done`` epochs behind it: ``resume=True`` goes on after these. A
    library's checkpoint may be older than the last recorded epoch; epochs after it are trained, and recorded, again.

    ``is_sure``: whether 0 means that the training begins. If not, it goes on after the last recorded epoch.
    """
    resume = checked_resume(options.get("resume", False))
    if done and resume is False:
        raise RunError(f"the training goes on after epoch {done}: pass resume=True, and the folder of its run")
    return {**options, "resume": done if resume is True and (done or is_sure) else resume}


class EpochCurves:
    """Records epochs with what a library logged in each. A run has the curves of its first epoch, since all its epochs have
    the same.

    A curve that is not logged in the first epoch is left out; one that is missing later, an accuracy that is no number, or a
    loss below 0 is NaN there. Each is warned about once, and none ends a training.

    Parameters
    ----------
    names
        The metric of each curve.
    fractions
        Whether accuracies are logged from 0 to 1.
    setting
        A sentence that says what makes the library log all of them in every epoch.

    Raises
    ------
    UnknownNameError
        For a name that is no curve's.
    """

    def __init__(self, names: Mapping[str, str], *, fractions: bool, setting: str) -> None:
        for name in names:
            check_name(name, CURVES, what="curve")
        self._names, self._fractions, self._setting = dict(names), fractions, setting
        self._warned: set[str] = set()

    def are_in(self, logged: Mapping[str, Any], recorder: Recorder) -> bool:
        """Whether an epoch's metrics have all curves of the run; in the first epoch, all that are named."""
        names = recorder.run.columns if recorder.epochs else self._names
        return all(logged.get(self._names.get(name, name)) is not None for name in names)

    def record(self, recorder: Recorder, logged: Mapping[str, Any], *, weights: WeightsLike | None = None) -> None:
        """Record the epoch that has ended; ``logged`` are the library's metrics of this epoch alone."""
        given = curves_from(logged, self._names, fractions=self._fractions)
        below = [name for name, value in given.items() if name == LOSS and -math.inf < value < 0]
        self._warn(recorder, below, f"below 0 in epoch {recorder.epochs + 1}, as no mean cross-entropy is, so not recorded")
        given = {name: value for name, value in given.items() if name not in below}
        if not recorder.epochs:
            absent, there = [name for name in self._names if name not in given], ", ".join(logged) or "nothing"
            self._warn(recorder, absent, f"not logged in the first epoch, so left out of the run; logged were {there}")
        first = recorder.run.columns if recorder.epochs else list(given)
        missing = [name for name in first if name not in given]
        self._warn(recorder, missing, f"not logged in epoch {recorder.epochs + 1}, so NaN there")
        kept = {name: value for name, value in given.items() if name in first}
        recorder.epoch(weights=weights, unmeasured=missing, **kept)

    def _warn(self, recorder: Recorder, names: Sequence[str], what: str) -> None:
        """Warn about those curves that were not warned about before."""
        fresh = [name for name in names if name not in self._warned]
        self._warned.update(fresh)
        if fresh:
            metrics = ", ".join(f"{name} ({self._names[name]})" for name in fresh)
            warnings.warn(f"{recorder.folder}: {metrics}: {what}. {self._setting}", CurvesWarning, stacklevel=4)


def curves_from(metrics: Mapping[str, Any], names: Mapping[str, str], *, fractions: bool) -> dict[str, Any]:
    """The curves of an epoch: those of ``names`` (curve to metric) that the library has logged, with accuracies in
    percent. An accuracy that is no number was not measured; a loss that is none has diverged.
    """
    logged = {curve: metric for curve, metric in names.items() if metrics.get(metric) is not None}
    found = {
        curve: percent(float(metrics[metric]), metric, fractions=fractions and curve in ACCURACIES)
        for curve, metric in logged.items()
    }
    return {curve: value for curve, value in found.items() if curve not in ACCURACIES or not math.isnan(value)}


def percent(value: float, name: str, *, fractions: bool) -> float:
    """A value as it is or, if values are ``fractions``, times 100.

    Raises
    ------
    RunError
        For a fraction above 1.
    """
    if fractions and value > 1 + ROUNDING:
        raise RunError(f"{name} is {value:g}, which is not a fraction: pass fractions=False if accuracies are in percent")
    return 100 * min(value, 1.0) if fractions else value
