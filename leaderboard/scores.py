"""The scores of one view's rows: metrics with intervals, gain over the references and what is added to them, tied ranks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from nndynbench.arrays import FloatArray
from nndynbench.protocols.metrics import METRICS, UndefinedMetricError
from nndynbench.protocols.protocol import Protocol
from nndynbench.protocols.ranks import chance_of_largest, interval_of_largest, shared_ranks, smallest_told
from nndynbench.protocols.scoring import Case, Estimate, paired
from nndynbench.protocols.worth import added, added_in_resamples, gain

Key = TypeVar("Key")


@dataclass(frozen=True)
class Scores:
    """What one method scores at one budget: for each metric an estimate, or the reason why it has none.

    ``gain`` and ``added`` are keyed by reference (the bar, the curves): the gain over it in the protocol's first metric, and
    what is added to its R². Undefined ones are left out. ``draws``: how many draws of the folds the scores are means over.
    """

    metrics: Mapping[str, Estimate | str]
    gain: Mapping[str, Estimate] = field(default_factory=dict)
    added: Mapping[str, Estimate] = field(default_factory=dict)
    draws: int = 1


def scores_of(protocol: Protocol, case: Case, references: Mapping[str, Case]) -> Scores:
    """A method's scores at a budget, compared with those references that were scored on the same networks."""
    metrics: dict[str, Estimate | str] = {}
    for metric in protocol.metrics:
        try:
            metrics[metric] = case.estimate(metric)
        except UndefinedMetricError as reason:
            metrics[metric] = str(reason)
    gained = {key: _defined(gain, case, other, protocol.metrics[0]) for key, other in references.items()}
    additions = {key: _defined(added, case, other) for key, other in references.items()} if protocol.blended else {}
    return Scores(metrics, _there(gained), _there(additions), len(case.draws))


def ranks(protocol: Protocol, methods: Mapping[Key, Case]) -> dict[Key, int]:
    """Ranks by the protocol's first metric, with ties, of the methods that have a value in it. They are put in order by the
    draws of the folds that all of them have, and two of them are compared by those that both have.
    """
    metric = protocol.metrics[0]
    better = METRICS[metric].direction
    shared = set.intersection(*({draw.number for draw in case.draws} for case in methods.values())) if methods else set()
    found = {name: case.of_draws(shared).value_or_none(metric) for name, case in methods.items()} if shared else {}
    values = {name: better * value for name, value in found.items() if value is not None}
    if not values:
        return {}
    ranked = [methods[name] for name in values]

    def compare(best: int, others: npt.NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
        pairs = [paired(ranked[best], ranked[other]) for other in others]
        ahead = np.array([better * (own.value(metric) - other.value(metric)) for own, other in pairs])
        return ahead, np.stack([better * (own.in_resamples(metric) - other.in_resamples(metric)) for own, other in pairs])

    return dict(zip(values, shared_ranks(list(values.values()), compare, clusters=ranked[0].clusters), strict=True))


@dataclass(frozen=True)
class Leading:
    """The method that adds most to a reference, of ``compared`` ones. The interval allows for its choice among them.

    ``chance``: how probable it is that one of them seems to add so much if none adds anything. ``smallest``: the smallest
    addition by the chosen method that would be distinguished from 0 four times in five.
    """

    method: str
    added: Estimate
    compared: int
    chance: float
    smallest: float


def most_added(methods: Mapping[str, Case], reference: Case) -> Leading | None:
    """The method that adds most to the R² of a reference; None if what is added is undefined for all of them.

    It is chosen by the draws of the folds that all of them have: under other draws the reference is another, to which more
    or less can be added. What is said of the chosen one is the mean over all of its draws, with the margin of the choice.
    """
    numbers = [{draw.number for draw in case.draws} for case in (reference, *methods.values())]
    alike = {name: case.of_draws(set.intersection(*numbers)) for name, case in methods.items()}
    found = {name: _defined(added, case, reference) for name, case in alike.items() if case.draws}
    values = {name: estimate.value for name, estimate in found.items() if estimate is not None}
    if not values:
        return None
    best = max(values, key=lambda name: values[name])
    differences = np.stack([added_in_resamples(alike[name], reference) for name in values])
    tried, clusters = list(values.values()), reference.clusters
    margin = values[best] - interval_of_largest(tried, differences, clusters=clusters)[0]
    own = added(methods[best], reference)
    most = Estimate(own.value, min(own.low, own.value - margin) + 0.0, own.high)  # no negative zeros
    smallest = smallest_told(differences[list(values).index(best)], margin=margin, clusters=clusters)
    chance = chance_of_largest(tried, differences, clusters=clusters)
    return Leading(best, most, len(values), chance, smallest)


def _defined(function: Any, *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except UndefinedMetricError:
        return None


def _there(found: Mapping[str, Estimate | None]) -> dict[str, Estimate]:
    return {key: value for key, value in found.items() if value is not None and all(map(math.isfinite, value))}
