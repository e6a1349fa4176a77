"""Scores from stored predictions. A case is one method at one budget on one subset, with its metrics and their intervals."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from nndynbench.arrays import FloatArray
from nndynbench.numbers import epochs
from nndynbench.protocols.intervals import Resamples, draw_alike, quantiles, without_error
from nndynbench.protocols.metrics import METRICS, Scored, UndefinedMetricError
from nndynbench.protocols.protocol import Protocol
from nndynbench.protocols.results import DRAW, DRAWS
from nndynbench.protocols.within import deviations, with_siblings
from nndynbench.subsets.history import CURVES, WEIGHTS
from nndynbench.subsets.subset import UnknownNetworkError, unknown_networks

if TYPE_CHECKING:
    from nndynbench.subsets import Subset


NO_INTERVAL = (
    "no interval: it is drawn from groups of networks (of a recipe, a configuration or a learning rate), and here is one"
)

# How many of the networks that a subset does not have are named.
NAMED = 5

SCORE_COLUMNS = ("subset", "budget", "metric", "value", "low", "high", "undefined", DRAWS)


class Estimate(NamedTuple):
    """A number with its 95% interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Draw:
    """The predictions under one draw of the folds.

    ``networks`` are the ids of the tested networks, in the order of ``scored``; ``clusters`` says which networks the
    bootstrap draws as one.
    """

    number: int
    networks: npt.NDArray[np.int64]
    clusters: npt.NDArray[np.generic]
    scored: Scored

    def in_order_of(self, other: Draw) -> Draw:
        """The same predictions, in the order of another draw's networks."""
        places = pd.Index(self.networks).get_indexer(pd.Index(other.networks))
        return Draw(self.number, other.networks, self.clusters[places], self.scored.drawn(places))


@dataclass(frozen=True)
class Case:
    """The predictions for one subset's test networks at one budget, under each draw of the folds that there is.

    A metric is the mean over the draws. So is its value in every resample, which takes the same clusters under all draws.
    """

    protocol: Protocol
    draws: tuple[Draw, ...]
    # What was computed before: values and resamples by metric, and cases of some draws.
    _values: dict[str, float] = field(default_factory=dict, init=False, repr=False, compare=False)
    _in_resamples: dict[str, FloatArray] = field(default_factory=dict, init=False, repr=False, compare=False)
    _parts: dict[tuple[int, ...], Case] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def resamples(self) -> list[Resamples]:
        """The resamples of each draw."""
        return draw_alike([draw.clusters for draw in self.draws])

    @property
    def clusters(self) -> int:
        """How many clusters are drawn from in a resample."""
        return max(drawn.clusters for drawn in self.resamples)

    def value(self, metric: str) -> float:
        """A metric's value; raises `UndefinedMetricError`, with the reason, if it has none."""
        if metric not in self._values:
            self._values[metric] = float(np.mean([METRICS[metric](draw.scored) for draw in self.draws]))
        return self._values[metric]

    def value_or_none(self, metric: str) -> float | None:
        """A metric's value, or None if it has none."""
        try:
            return self.value(metric)
        except UndefinedMetricError:
            return None

    def estimate(self, metric: str) -> Estimate:
        """A metric's value with its interval; raises as `value` does."""
        value = self.value(metric)
        if METRICS[metric].of_right and value == 1:
            return Estimate(value, *without_error(self.clusters))
        return Estimate(value, *quantiles(self.in_resamples(metric), self.clusters))

    def row(self, metric: str) -> dict[str, float | str]:
        """The columns of an estimate, with the reason in ``undefined`` if it has no value or no interval, else empty."""
        try:
            found = self.estimate(metric)
        except UndefinedMetricError as reason:
            return {"value": np.nan, "low": np.nan, "high": np.nan, "undefined": str(reason)}
        return {**found._asdict(), "undefined": NO_INTERVAL if self.clusters < 2 else ""}

    def in_resamples(self, metric: str) -> FloatArray:
        """A metric in every resample, (resamples,). The same clusters are drawn for every method on the same networks."""
        if metric not in self._in_resamples:
            measure, parts = METRICS[metric], zip(self.draws, self.resamples, strict=True)
            values = [measure.resampled(draw.scored, resamples) for draw, resamples in parts]
            self._in_resamples[metric] = np.asarray(np.mean(values, axis=0))
        return self._in_resamples[metric]

    def of_draws(self, numbers: Iterable[int]) -> Case:
        """The case under some of its draws."""
        wanted = set(numbers)
        kept = tuple(draw for draw in self.draws if draw.number in wanted)
        if len(kept) == len(self.draws):
            return self
        return self._parts.setdefault(tuple(draw.number for draw in kept), Case(self.protocol, kept))


def paired(case: Case, other: Case) -> tuple[Case, Case]:
    """Two cases under the draws that both have, so that in each draw both saw the same training networks. The second is put
    in the order of the first.

    Raises
    ------
    ValueError
        For cases of different networks, or without a draw in common.
    """
    shared = {draw.number for draw in case.draws} & {draw.number for draw in other.draws}
    first, second = case.of_draws(shared), other.of_draws(shared)
    pairs = list(zip(first.draws, second.draws, strict=True))
    if not pairs or not all(set(own.networks) == set(beside.networks) for own, beside in pairs):
        raise ValueError("two methods can be compared only on the same test networks")
    if all(np.array_equal(own.networks, beside.networks) for own, beside in pairs):
        return first, second
    return first, Case(other.protocol, tuple(beside.in_order_of(own) for own, beside in pairs))


def cases(
    predictions: pd.DataFrame,
    subsets: Mapping[str, Subset],
    protocol: Protocol,
    *,
    reads: Collection[str] | None = None,
    leave_out: bool = False,
) -> dict[tuple[object, ...], Case]:
    """Every case of a result's predictions, by the values of `case_columns`.

    Networks that the protocol leaves out are left out here. A case in which none remains raises `UndefinedMetricError` or,
    with ``leave_out``, is left out itself. A method that ``reads`` hyperparameters alone need not wait for the budget, so no
    epochs count as spent for it.
    """
    found, known = {}, _Known(subsets, protocol)
    waits = reads is None or not {WEIGHTS, CURVES}.isdisjoint(reads)
    for key, part in predictions.groupby(case_columns(predictions), sort=False):
        draws: list[Draw] = []
        try:
            for number, own in _by_draw(part):
                draws.append(known.draw(number, own, draws[0] if draws else None, waits=waits))
        except UndefinedMetricError:
            if not leave_out:
                raise
            continue
        found[key] = Case(protocol, tuple(draws))
    return found


def _by_draw(part: pd.DataFrame) -> Iterator[tuple[int, pd.DataFrame]]:
    if DRAW not in part:
        yield 0, part
        return
    for number, own in part.groupby(DRAW):
        yield int(str(number)), own


class _Known:
    """What the subsets know about tested networks. It is looked up once, since all budgets and draws test the same ones."""

    def __init__(self, subsets: Mapping[str, Subset], protocol: Protocol) -> None:
        self.subsets, self.protocol = subsets, protocol
        self.last: tuple[str, npt.NDArray[np.int64], pd.DataFrame] | None = None

    def networks(self, subset: Subset, tested: npt.NDArray[np.int64]) -> pd.DataFrame:
        if self.last is None or self.last[0] != subset.name or not np.array_equal(self.last[1], tested):
            self.last = subset.name, tested, subset.networks.loc[tested]
        return self.last[2]

    def draw(self, number: int, part: pd.DataFrame, first: Draw | None, *, waits: bool) -> Draw:
        """One draw of a case, in the order of the ``first`` draw if that tests the same networks; raises
        `UndefinedMetricError`, and `UnknownNetworkError` for networks that the subset does not have.
        """
        subset = self.subsets[str(part["subset"].iloc[0])]
        if unknown := named_unknown(part["network"], subset):
            raise UnknownNetworkError(unknown)
        kept = _scored_part(part, subset, self.protocol)
        # Draws in the same order have the same resamples, which are then computed once.
        if first is not None and set(kept["network"]) == set(first.networks):
            kept = kept.set_index("network").loc[first.networks].reset_index()
        tested = kept["network"].to_numpy()
        networks = self.networks(subset, tested)
        trained = networks["epochs_trained"].to_numpy(dtype=np.float64)
        spent = np.minimum(trained, float(part["budget"].iloc[0]) if waits else 0.0)
        truth, prediction, scores, fold = (kept[column].to_numpy() for column in ("truth", "prediction", "score", "fold"))
        scored, clusters = Scored(truth, prediction, scores, fold, spent, trained - spent), cluster_of(networks).to_numpy()
        if self.protocol.split == "blocked":
            clusters = fold  # one fit extrapolates to a whole block, so errors in a block have a common cause
        if self.protocol.within == "recipe":
            clusters = subset.recipes.loc[tested].to_numpy()
            truth, prediction = (deviations(values, clusters) for values in (truth, prediction))
            scored = replace(scored, truth=truth, prediction=prediction, recipe=clusters)
        return Draw(number, tested, clusters, scored)


def _scored_part(part: pd.DataFrame, subset: Subset, protocol: Protocol) -> pd.DataFrame:
    """The predictions of one case for the networks that a protocol scores; raises `UndefinedMetricError` if there
    are none.
    """
    kept, which = part, ""
    lowest = protocol.lowest_scored(images=subset.manifest.images.name, chance=subset.manifest.chance)
    if lowest is not None:
        kept, which = kept[kept["truth"] >= lowest], f"with a final accuracy of {lowest:g}% or more"
    if protocol.plateau is not None:
        budget = int(part["budget"].iloc[0])
        is_on = subset.on_plateau(budget).loc[kept["network"]].to_numpy()
        kept, which = kept[is_on == (protocol.plateau == "on")], f"{protocol.plateau} the plateau after {epochs(budget)}"
    if protocol.within == "recipe":
        kept = kept[with_siblings(subset.recipes.loc[kept["network"]].to_numpy())]
    if kept.empty:
        raise UndefinedMetricError(f"{subset.name} has no network {which}".rstrip())
    return kept


def named_unknown(networks: pd.Series, subset: Subset) -> str:
    """What to say of networks that a subset does not have, naming some; empty if it has all."""
    unknown = networks[~networks.isin(subset.networks.index)].unique().tolist()
    return str(unknown_networks(subset, unknown[:NAMED])) if unknown else ""


def score(
    predictions: pd.DataFrame, subsets: Sequence[Subset], protocol: Protocol, *, reads: Collection[str] | None = None
) -> pd.DataFrame:
    """A row per case and metric of the protocol; ``undefined`` holds the reason if a metric has no value or no interval."""
    columns, by_name = case_columns(predictions), {subset.name: subset for subset in subsets}
    rows = []
    for key, part in predictions.groupby(columns, sort=False):
        draws = part[DRAW].nunique() if DRAW in part else 1
        facts = {**dict(zip(columns, key, strict=True)), DRAWS: draws, "undefined": ""}
        try:
            [case] = cases(part, by_name, protocol, reads=reads).values()
        except UndefinedMetricError as reason:
            rows += [{**facts, "metric": metric, "undefined": str(reason)} for metric in protocol.metrics]
            continue
        rows += [{**facts, "metric": metric, **case.row(metric)} for metric in protocol.metrics]
    return pd.DataFrame(rows, columns=[*columns, *(column for column in SCORE_COLUMNS if column not in columns)])


def case_columns(predictions: pd.DataFrame) -> list[str]:
    """What tells cases apart: the tested subset, the budget, and on transfer the subset that was trained on."""
    return ["subset", "budget", *(["trained_on"] if "trained_on" in predictions else [])]


def cluster_of(networks: pd.DataFrame) -> pd.Series:
    """What the bootstrap draws as one: all networks of a configuration on a drawn grid, or of a learning rate on any
    other.
    """
    return networks["configuration" if "configuration" in networks else "learning_rate"]


def groups_of(subset: Subset, protocol: Protocol) -> pd.Series:
    """The group of each network, by network id. A method that holds out some of its training networks holds out whole
    groups.

    The group is the recipe, or the block that the network is tested in, if the protocol splits by recipes or blocks; else it
    is the cluster. On a grid that is stricter than the protocol, whose folds split single networks.
    """
    if protocol.within == "recipe":
        return subset.recipes
    if protocol.split != "blocked":
        return cluster_of(subset.networks)
    blocks = subset.split(protocol.split)
    return pd.Series({network: block for block, (_, tested) in enumerate(blocks) for network in tested})
