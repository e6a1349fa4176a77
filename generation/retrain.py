"""Trains some of a packed subset's networks again, and compares them with what is stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from math import ceil
from pathlib import Path

import numpy as np
import pandas as pd

from generation.device import CPU
from generation.grids import Grid
from generation.pack import curves_table, signatures_table
from generation.plan import BINDING_LIBRARIES, ONE_BY_ONE, SubsetPlan, Trainer, runs_folder
from generation.runs import NetworkRun
from generation.training import FinishedRecord
from nndynbench.columns import CURVES
from nndynbench.storage.arrays import rounded
from nndynbench.storage.places import NotAtHandError
from nndynbench.subsets.catalogue import catalogue_entry
from nndynbench.subsets.subset import Subset

# On other processors or with other libraries, float32 training drifts apart, the faster the higher the learning rate. There,
# seed and initial weights must be equal bit by bit, and the medians over the sample must be within these bounds.
LOSS_TOLERANCE = 0.05
"""The bound on the relative difference of the first epoch's training loss."""
ACCURACY_TOLERANCE = 5.0
"""The bound on the difference of the final accuracy, in percentage points."""

# Signatures follow from the weights, by whatever steps this version of the code takes: their last digits may differ.
SIGNATURE_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Retrained:
    """How one network, trained again, compares with what is stored of it; ``weights`` is None if none are at hand.

    Weights are compared bit by bit after rounding the new ones to the stored ones' bits of mantissa, curves and outcomes bit
    by bit as they are, signatures within `SIGNATURE_TOLERANCE` (relative). Initial weights that are not at hand are compared
    by their signatures.
    """

    network: int
    initial_weights: bool
    weights: bool | None
    curves: bool
    signatures: bool
    outcome: bool
    same_arithmetic: bool
    """Whether it was trained one by one, and on the stored network's processor with its libraries: then all must be
    identical. Side by side, the order of sums depends on how many networks a group has."""
    loss_difference: float
    """The relative difference of the first epoch's training loss; NaN if there was none."""
    accuracy_change: float
    """The change of the final accuracy, in percentage points: the new one minus the stored one."""

    @property
    def identical(self) -> bool:
        parts = (self.initial_weights, self.weights, self.curves, self.signatures, self.outcome)
        return all(part is not False for part in parts)


def reproduced(comparisons: Sequence[Retrained]) -> bool:
    """Whether networks trained again agree with what is stored. Those with `Retrained.same_arithmetic` must be identical. Of
    the others, all initial weights must be equal, and the medians of first loss and final accuracy within their bounds.
    """
    drifted = [comparison for comparison in comparisons if not comparison.same_arithmetic]
    losses = [c.loss_difference for c in drifted if not np.isnan(c.loss_difference)]
    accuracies = [abs(c.accuracy_change) for c in drifted]
    return (
        all(comparison.identical for comparison in comparisons if comparison.same_arithmetic)
        and all(comparison.initial_weights for comparison in drifted)
        and (not losses or float(np.median(losses)) <= LOSS_TOLERANCE)
        and (not accuracies or float(np.median(accuracies)) <= ACCURACY_TOLERANCE)
    )


def expectations(comparisons: Sequence[Retrained]) -> list[str]:
    """What `reproduced` asks of the networks that were compared, in sentences."""
    same = sum(comparison.same_arithmetic for comparison in comparisons)
    exact = f"{same} on the same processor, with the same libraries: all must be equal bit by bit, signatures to six digits"
    near = (
        f"{len(comparisons) - same} on another processor, with other libraries or in another group: initial weights must be "
        f"equal, the median first loss within {LOSS_TOLERANCE:.0%}, the median final accuracy within "
        f"{ACCURACY_TOLERANCE:g} points"
    )
    return [sentence for sentence, count in ((exact, same), (near, len(comparisons) - same)) if count]


def mean_change(comparisons: Sequence[Retrained]) -> tuple[float, float]:
    """Mean change of the final accuracy, in percentage points, of the networks that need not be identical, and its standard
    error. A mean far from 0 would say that another processor favours one side. NaN for fewer than two networks.
    """
    changes = [comparison.accuracy_change for comparison in comparisons if not comparison.same_arithmetic]
    if len(changes) < 2:
        return float("nan"), float("nan")
    return float(np.mean(changes)), float(np.std(changes, ddof=1) / np.sqrt(len(changes)))


def stored_plan(zoo: Subset, out: Path, *, device: str = CPU) -> SubsetPlan:
    """The plan that a packed subset was trained by, from its own manifest and tables, with runs below ``out`` on ``device``.

    Raises
    ------
    ValueError
        For a GPU where the subset's networks were trained one by one, which is done on CPUs alone.
    """
    manifest = zoo.manifest
    varying = [column for column, value in manifest.settings.items() if value == "varies"]
    settings = {name: value for name, value in manifest.settings.items() if name not in (*varying, "trainer", "device_kind")}
    columns = [column for column in zoo.networks if column in varying]
    grid = Grid(manifest.grid, manifest.regime, zoo.networks[columns], settings)
    kept = [epoch for tier in manifest.tiers.values() for epoch in tier.epochs if epoch != "last"]
    kept += range(1 + (manifest.keep or 0))
    trainer = trainer_of(zoo)
    if trainer == ONE_BY_ONE and device != CPU:
        raise ValueError(f"{zoo} was trained one by one, which is done on a CPU, not on {device!r}: leave --device out")
    plan = SubsetPlan(catalogue_entry(zoo.name), grid, runs_folder(zoo.name, out), manifest.zoo_seed)
    return replace(plan, kept_epochs=tuple(sorted({0, *map(int, kept)})), trainer=trainer, device=device)


def networks_in_a_group(plan: SubsetPlan, networks: int, *, workers: int) -> int:
    """How many networks to train side by side, as the stored ones were: on CPUs a group per worker, on a GPU one group.

    A network's dropout masks do not depend on its group, but they are not those of networks trained one by one.
    """
    if plan.trainer == ONE_BY_ONE:
        return 1
    return max(2, ceil(networks / workers) if plan.device == CPU else networks)


def sample(zoo: Subset, count: int, *, seed: int = 0) -> list[int]:
    """``count`` of a subset's networks, drawn by a seed."""
    chosen = np.random.default_rng(seed).choice(zoo.network_ids, min(count, len(zoo.network_ids)), replace=False)
    return sorted(int(network) for network in chosen)


def trainer_of(zoo: Subset) -> Trainer:
    """Whether the networks of a packed subset were trained one by one or side by side."""
    # Older packs, from before it was recorded, all hold networks trained one by one.
    trainer: Trainer = zoo.manifest.settings.get("trainer", ONE_BY_ONE)
    return trainer


def kind_of_devices(zoo: Subset) -> str:
    """What all networks of a packed subset were trained on: "cpu", or the name of a GPU."""
    # Older packs, from before it was recorded, all hold networks trained on CPUs.
    return str(zoo.manifest.settings.get("device_kind", CPU))


def compare_network(zoo: Subset, run: NetworkRun, network: int) -> Retrained:
    """Compare one finished run with what is stored of its network."""
    record = run.record()
    if record is None:
        raise ValueError(f"network {network} is not finished in {run.folder}")
    initial, weights = _compare_weights(zoo, run, record)
    stored = zoo.pack.table("networks").loc[network]
    new_signatures, old_signatures = signatures_table({network: record}), rows_of(zoo.pack.table("signatures"), network)
    if initial is None:
        new, old = (table[table.index.get_level_values("epoch") == 0] for table in (new_signatures, old_signatures))
        initial = _equal(new, old, within=SIGNATURE_TOLERANCE)
    alone = trainer_of(zoo) == ONE_BY_ONE
    same_libraries = all(version(library) == zoo.manifest.libraries[library] for library in BINDING_LIBRARIES)
    stored_losses = rows_of(zoo.pack.table("curves"), network)["train_loss"]
    losses = [row.train_loss for row in record.epochs]
    first = abs(losses[0] / float(stored_losses.iloc[0]) - 1) if losses and len(stored_losses) else float("nan")
    return Retrained(
        network=network,
        initial_weights=initial,
        weights=weights,
        curves=_equal(
            curves_table({network: record})[list(CURVES)], rows_of(zoo.pack.table("curves"), network)[list(CURVES)]
        ),
        signatures=_equal(new_signatures, old_signatures, within=SIGNATURE_TOLERANCE),
        outcome=all(value == stored[column] for column, value in record.outcomes.items()),
        same_arithmetic=alone and same_libraries and record.device == stored["device"],
        loss_difference=first,
        accuracy_change=record.final_accuracy - zoo.pack.table("networks")["final_accuracy"].loc[network],
    )


def _compare_weights(zoo: Subset, run: NetworkRun, record: FinishedRecord) -> tuple[bool | None, bool | None]:
    """Whether the initial weights, and all other stored snapshots, are equal."""
    if "weights" not in zoo.manifest.tiers:
        return None, None
    bits = zoo.manifest.tiers["weights"].mantissa_bits
    equal: dict[int, bool] = {}
    for epoch in range(record.epochs_trained + 1):
        new = run.read_snapshot(epoch)
        try:
            old = zoo.history(record.network, max(epoch, 1)).weights(epoch)
        except NotAtHandError:
            continue
        equal[epoch] = new is not None and all(
            np.array_equal(rounded(new[name], bits), rounded(values, bits), equal_nan=True) for name, values in old.items()
        )
    return equal.pop(0, None), all(equal.values()) if equal else None


def rows_of(table: pd.DataFrame, network: int) -> pd.DataFrame:
    """A network's rows of a table that has networks in its index."""
    return table[table.index.get_level_values("network") == network]


def _equal(new: pd.DataFrame, old: pd.DataFrame, *, within: float = 0.0) -> bool:
    """Whether both tables have the same rows, in any order, with the same numbers (``within`` a relative difference)."""
    rows = [{tuple(map(str, key)): values for key, values in zip(t.index, t.to_numpy(), strict=True)} for t in (new, old)]
    return rows[0].keys() == rows[1].keys() and all(
        np.allclose(values, rows[1][key], rtol=within, atol=within, equal_nan=True) for key, values in rows[0].items()
    )
