"""Scores from stored predictions: a case is one method at one budget on one subset, its metrics and their intervals."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from nndynbench.protocols.intervals import Resamples, draw_resamples, quantiles
from nndynbench.protocols.metrics import METRICS, Scored, UndefinedMetricError
from nndynbench.protocols.protocol import Protocol
from nndynbench.protocols.within import deviations, with_siblings
from nndynbench.subsets.history import CURVES, WEIGHTS

if TYPE_CHECKING:
    from nndynbench.subsets import Subset

FloatArray = npt.NDArray[np.float64]

SCORE_COLUMNS = ("subset", "budget", "metric", "value", "low", "high", "redrawn", "undefined")


class Estimate(NamedTuple):
    """A number with its 95% interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Case:
    """The predictions for one subset's test networks at one budget.

    ``networks`` are the tested ids, in the order of ``scored``; ``clusters`` what the bootstrap draws as one.
    """

    protocol: Protocol
    networks: npt.NDArray[np.int64]
    clusters: npt.NDArray[np.generic]
    scored: Scored

    @cached_property
    def resamples(self) -> Resamples:
        return draw_resamples(self.clusters, self.scored, need_classes=self.protocol.task == "classification")

    def estimate(self, metric: str) -> Estimate:
        """A metric with its interval; raises `UndefinedMetricError`, with the reason, where it has no value."""
        return Estimate(METRICS[metric](self.scored), *quantiles(self.in_resamples(metric)))

    def in_resamples(self, metric: str) -> FloatArray:
        """A metric in every resample, (resamples,): equal clusters are drawn for every method on the same networks."""
        if metric not in self._in_resamples:
            self._in_resamples[metric] = METRICS[metric].resampled(self.scored, self.resamples)
        return self._in_resamples[metric]

    @cached_property
    def _in_resamples(self) -> dict[str, FloatArray]:
        return {}


def cases(
    predictions: pd.DataFrame,
    subsets: Mapping[str, Subset],
    protocol: Protocol,
    *,
    reads: Collection[str] | None = None,
    leave_out: bool = False,
) -> dict[tuple[object, ...], Case]:
    """Every case of a result's predictions, by the values of `case_columns`; networks that the protocol leaves out are
    left out. One in which none remains raises `UndefinedMetricError`, unless it may be left out itself. What ``reads``
    hyperparameters alone need not wait for the budget.
    """
    found = {}
    # Budgets test the same networks: what is known of these is looked up for the first alone.
    last, networks = np.empty(0), pd.DataFrame()
    for key, part in predictions.groupby(case_columns(predictions), sort=False):
        subset = subsets[str(part["subset"].iloc[0])]
        try:
            kept = _scored_part(part, subset, protocol)
        except UndefinedMetricError:
            if not leave_out:
                raise
            continue
        tested = kept["network"].to_numpy()
        if len(subsets) > 1 or not np.array_equal(tested, last):
            last, networks = tested, subset.networks.loc[tested]
        trained = networks["epochs_trained"].to_numpy(dtype=np.float64)
        waits = reads is None or not {WEIGHTS, CURVES}.isdisjoint(reads)
        spent = np.minimum(trained, float(part["budget"].iloc[0]) if waits else 0.0)
        truth, prediction, scores, fold = (kept[column].to_numpy() for column in ("truth", "prediction", "score", "fold"))
        scored, clusters = Scored(truth, prediction, scores, fold, spent, trained - spent), cluster_of(networks).to_numpy()
        if protocol.within == "recipe":
            clusters = subset.recipes.loc[tested].to_numpy()
            truth, prediction = (deviations(values, clusters) for values in (truth, prediction))
            scored = replace(scored, truth=truth, prediction=prediction, recipe=clusters)
        found[key] = Case(protocol, tested, clusters, scored)
    return found


def _scored_part(part: pd.DataFrame, subset: Subset, protocol: Protocol) -> pd.DataFrame:
    """The predictions of one case for the networks that a protocol scores; raises `UndefinedMetricError` without any."""
    kept, which = part, ""
    lowest = protocol.lowest_scored(images=subset.manifest.images.name, chance=subset.manifest.chance)
    if lowest is not None:
        kept, which = kept[kept["truth"] >= lowest], f"with a final accuracy of {lowest:g}% or more"
    if protocol.plateau is not None:
        budget = int(part["budget"].iloc[0])
        is_on = subset.on_plateau(budget).loc[kept["network"]].to_numpy()
        kept, which = kept[is_on == (protocol.plateau == "on")], f"{protocol.plateau} the plateau after {budget} epochs"
    if protocol.within == "recipe":
        kept = kept[with_siblings(subset.recipes.loc[kept["network"]].to_numpy())]
    if kept.empty:
        raise UndefinedMetricError(f"{subset.name} has no network {which}".rstrip())
    return kept


def score(
    predictions: pd.DataFrame, subsets: Sequence[Subset], protocol: Protocol, *, reads: Collection[str] | None = None
) -> pd.DataFrame:
    """A row per case and metric of the protocol; ``undefined`` holds the reason where a metric has no value."""
    columns, by_name = case_columns(predictions), {subset.name: subset for subset in subsets}
    rows = []
    for key, part in predictions.groupby(columns, sort=False):
        facts = {**dict(zip(columns, key, strict=True)), "redrawn": 0, "undefined": ""}
        try:
            [case] = cases(part, by_name, protocol, reads=reads).values()
            facts["redrawn"] = case.resamples.redrawn
        except UndefinedMetricError as reason:
            rows += [{**facts, "metric": metric, "undefined": str(reason)} for metric in protocol.metrics]
            continue
        for metric in protocol.metrics:
            row = {**facts, "metric": metric}
            try:
                row |= case.estimate(metric)._asdict()
            except UndefinedMetricError as reason:
                row["undefined"] = str(reason)
            rows.append(row)
    return pd.DataFrame(rows, columns=[*columns, *(column for column in SCORE_COLUMNS if column not in columns)])


def case_columns(predictions: pd.DataFrame) -> list[str]:
    """What tells cases apart: the tested subset, the budget, and on transfer the subset that was trained on."""
    return ["subset", "budget", *(["trained_on"] if "trained_on" in predictions else [])]


def cluster_of(networks: pd.DataFrame) -> pd.Series:
    """What the bootstrap draws as one: a configuration's networks on a drawn grid, a learning rate's on any other."""
    return networks["configuration" if "configuration" in networks else "learning_rate"]


def groups_of(subset: Subset, protocol: Protocol) -> pd.Series:
    """What a method holds out together of the networks that it is trained on, as the protocol does of all, by network id:
    its recipe, or the block that it is tested in, where the protocol is of recipes or blocks, else its cluster.
    """
    if protocol.within == "recipe":
        return subset.recipes
    if protocol.split != "blocked":
        return cluster_of(subset.networks)
    blocks = subset.split(protocol.split)
    return pd.Series({network: block for block, (_, tested) in enumerate(blocks) for network in tested})


def fold_masks(scored: Scored) -> Iterator[npt.NDArray[np.bool_]]:
    """The networks of each fold."""
    for fold in np.unique(scored.fold):
        yield scored.fold == fold
