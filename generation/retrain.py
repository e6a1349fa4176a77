"""Training some of a packed subset's networks again, and comparing them with what is stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from generation.device import device_name
from generation.grids import Grid
from generation.pack import OUTCOMES, curves_table, signatures_table
from generation.plan import BINDING_LIBRARIES, SubsetPlan, runs_folder
from generation.runs import NetworkRun
from generation.training import Record
from nndynbench.storage.arrays import rounded
from nndynbench.storage.places import NotAtHandError
from nndynbench.subsets.catalogue import catalogue_entry
from nndynbench.subsets.subset import Subset

# On other processors or libraries float32 training drifts apart, the faster the higher the learning rate. What must hold
# there: seed and initial weights bit by bit, and these bounds on the medians over the sample.
LOSS_TOLERANCE = 0.05
"""Of the first epoch's training loss, relative."""
ACCURACY_TOLERANCE = 5.0
"""Of the final accuracy, in percentage points."""

# Signatures follow from the weights, by whatever steps this version of the code takes: their last digits may differ.
SIGNATURE_TOLERANCE = 1e-6

CURVES = ["train_loss", "train_accuracy", "validation_accuracy"]


@dataclass(frozen=True)
class Comparison:
    """One network, trained again, against what is stored of it; weights are None where the subset at hand has none.

    Weights are compared bit by bit after rounding the new ones to the stored ones' bits of mantissa, curves and outcomes bit
    by bit as they are, signatures within `SIGNATURE_TOLERANCE` (relative).
    """

    network: int
    initial_weights: bool | None
    weights: bool | None
    curves: bool
    signatures: bool
    outcome: bool
    loss_difference: float
    """Of the first epoch's training loss, relative; NaN if there was none."""
    accuracy_difference: float
    """Of the final accuracy, in percentage points."""

    @property
    def identical(self) -> bool:
        parts = (self.initial_weights, self.weights, self.curves, self.signatures, self.outcome)
        return all(part is not False for part in parts)


@dataclass(frozen=True)
class Verdict:
    """``must_be_identical``: trained on the same kind of processor and with the same libraries as the stored ones."""

    comparisons: Sequence[Comparison]
    must_be_identical: bool

    @property
    def passed(self) -> bool:
        if self.must_be_identical:
            return all(comparison.identical for comparison in self.comparisons)
        losses = [c.loss_difference for c in self.comparisons if not np.isnan(c.loss_difference)]
        return (
            all(comparison.initial_weights is not False for comparison in self.comparisons)
            and (not losses or float(np.median(losses)) <= LOSS_TOLERANCE)
            and float(np.median([c.accuracy_difference for c in self.comparisons])) <= ACCURACY_TOLERANCE
        )

    @property
    def expectation(self) -> str:
        if self.must_be_identical:
            return "same kind of processor and libraries: all must be equal bit by bit, signatures to six digits"
        return (
            "another kind of processor or other libraries: initial weights must be equal bit by bit, the median first loss "
            f"within {LOSS_TOLERANCE:.0%}, the median final accuracy within {ACCURACY_TOLERANCE:g} points"
        )


def stored_plan(zoo: Subset, out: Path) -> SubsetPlan:
    """The plan that a packed subset was trained by, from its own manifest and tables, with runs below ``out``."""
    manifest = zoo.manifest
    varying = [column for column, value in manifest.settings.items() if value == "varies"]
    settings = {name: value for name, value in manifest.settings.items() if name not in (*varying, "trainer")}
    columns = [column for column in zoo.networks if column in varying]
    grid = Grid(manifest.grid, manifest.protocol, zoo.networks[columns], settings)
    kept = [epoch for tier in manifest.tiers.values() for epoch in tier.epochs if epoch != "last"]
    plan = SubsetPlan(catalogue_entry(zoo.name), grid, runs_folder(zoo.name, out), manifest.zoo_seed)
    return replace(
        plan,
        kept_epochs=tuple(sorted({0, *(int(epoch) for epoch in kept)})),
        trainer=manifest.settings.get("trainer", "one by one"),
    )


def sample(zoo: Subset, count: int, *, seed: int = 0) -> list[int]:
    """``count`` of a subset's networks, drawn by a seed."""
    chosen = np.random.default_rng(seed).choice(zoo.network_ids, min(count, len(zoo.network_ids)), replace=False)
    return sorted(int(network) for network in chosen)


def compare(zoo: Subset, plan: SubsetPlan, networks: Sequence[int]) -> Verdict:
    """Compare the runs of ``plan``, trained again, with what is stored of the same networks."""
    here = {library: version(library) for library in BINDING_LIBRARIES}
    same = here == {library: zoo.manifest.libraries[library] for library in here} and set(
        zoo.networks.loc[list(networks), "device"]
    ) == {device_name(plan.device)}
    return Verdict([compare_network(zoo, plan.run(network), network) for network in networks], same)


def compare_network(zoo: Subset, run: NetworkRun, network: int) -> Comparison:
    """Compare one finished run with what is stored of its network."""
    record = run.record()
    if record is None:
        raise ValueError(f"network {network} is not finished in {run.folder}")
    initial, weights = _compare_weights(zoo, run, record)
    stored = zoo.networks.loc[network]
    stored_losses = rows_of(zoo.curves, network)["train_loss"]
    losses = [epoch["train_loss"] for epoch in record["epochs"]]
    first = abs(losses[0] / float(stored_losses.iloc[0]) - 1) if losses and len(stored_losses) else float("nan")
    return Comparison(
        network=network,
        initial_weights=initial,
        weights=weights,
        curves=_equal(curves_table({network: record})[CURVES], rows_of(zoo.curves, network)[CURVES]),
        signatures=_equal(signatures_table({network: record}), rows_of(zoo.signatures, network), within=SIGNATURE_TOLERANCE),
        outcome=all(record[column] == stored[column] for column in OUTCOMES),
        loss_difference=first,
        accuracy_difference=abs(record["final_accuracy"] - float(stored["final_accuracy"])),
    )


def _compare_weights(zoo: Subset, run: NetworkRun, record: Record) -> tuple[bool | None, bool | None]:
    """Whether the initial weights, and all other stored snapshots, are equal."""
    if "weights" not in zoo.manifest.tiers:
        return None, None
    bits = zoo.manifest.tiers["weights"].mantissa_bits
    equal: dict[int, bool] = {}
    for epoch in range(record["epochs_trained"] + 1):
        new = run.read_snapshot(epoch)
        try:
            old = zoo.history(record["network"], max(epoch, 1)).weights(epoch)
        except NotAtHandError:
            continue
        equal[epoch] = new is not None and all(
            np.array_equal(rounded(new[name], bits), values, equal_nan=True) for name, values in old.items()
        )
    return equal.pop(0, None), all(equal.values()) if equal else None


def rows_of(table: pd.DataFrame, network: int) -> pd.DataFrame:
    """A network's rows of a table that has it in its index."""
    return table[table.index.get_level_values("network") == network]


def _equal(new: pd.DataFrame, old: pd.DataFrame, *, within: float = 0.0) -> bool:
    """Whether both tables have the same rows, in any order, with the same numbers (``within`` a relative difference)."""
    rows = [{tuple(map(str, key)): values for key, values in zip(t.index, t.to_numpy(), strict=True)} for t in (new, old)]
    return rows[0].keys() == rows[1].keys() and all(
        np.allclose(values, rows[1][key], rtol=within, atol=within, equal_nan=True) for key, values in rows[0].items()
    )
