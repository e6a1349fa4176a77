"""What a method scores at a budget: its metrics with intervals, its gain over the bar, and what it adds to it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nndynbench.protocols.metrics import UndefinedMetricError
from nndynbench.protocols.protocol import Protocol
from nndynbench.protocols.scoring import Case, Estimate
from nndynbench.protocols.worth import added, gain


@dataclass(frozen=True)
class Scores:
    """What one method scores at one budget: per metric an estimate, or the reason why it has none.

    ``gain`` is over the bar in the protocol's first metric, ``added`` to the bar's R²; None where there is no such number.
    """

    metrics: Mapping[str, Estimate | str]
    gain: Estimate | None = None
    added: Estimate | None = None


def scores_by_budget(protocol: Protocol, own: Mapping[int, Case], bars: Mapping[int, Case]) -> dict[int, Scores]:
    """A method's scores at each budget, beside the bar's on the same networks where there is one."""
    return {budget: _scores(protocol, case, bars.get(budget)) for budget, case in own.items()}


def _scores(protocol: Protocol, case: Case, bar: Case | None) -> Scores:
    metrics: dict[str, Estimate | str] = {}
    for metric in protocol.metrics:
        try:
            metrics[metric] = case.estimate(metric)
        except UndefinedMetricError as reason:
            metrics[metric] = str(reason)
    if bar is None:
        return Scores(metrics)
    gained = _defined(gain, case, bar, protocol.metrics[0])
    # A blend is of accuracies in percent, on the networks that the bar was fitted for.
    blended = _defined(added, case, bar) if protocol.task == "regression" and "r2" in protocol.metrics else None
    return Scores(metrics, gained, blended)


def _defined(function: Any, *arguments: Any) -> Estimate | None:
    try:
        estimate = function(*arguments)
    except UndefinedMetricError:
        return None
    return estimate if all(map(math.isfinite, estimate)) else None
