"""Turns a packed subset back into a folder of runs: training adds networks to it, and packing packs all of them together.

A pack holds all of a network that a later pack needs. Its tables give back the network's record. Its HDF5 tiers give back
the snapshots if the weights are not rounded, else the parts of each tier, rounded as they are.
"""

from __future__ import annotations

import shlex
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from generation.device import CPU, device_kind
from generation.pack import ARRAY_TIERS
from generation.plan import BINDING_LIBRARIES, PlanMismatchError, SubsetPlan, subset_plan
from generation.plan_file import bound
from generation.record import LATE_OUTCOME, OUTCOMES, EpochRow, FinishedRecord
from generation.retrain import kind_of_devices, rows_of, stored_plan
from nndynbench.features import FEATURES
from nndynbench.graphs import architecture
from nndynbench.storage.arrays import FLOAT32_MANTISSA_BITS, SnapshotArrays
from nndynbench.storage.manifest import TierName
from nndynbench.storage.packed import PackedFolder
from nndynbench.subsets.subset import Subset


def plan_beyond(zoo: Subset, out: Path, *, grid: str | None = None, device: str = CPU) -> SubsetPlan:
    """The plan of a packed subset's whole grid, with runs below ``out``: for the networks that it has and those to come.

    ``grid`` is the path of the grid's file if it is none of this package's.

    Raises
    ------
    PlanMismatchError
        If networks trained here and now would differ in kind from the packed ones. Names a network whose row in the grid is
        another one now, a library of another version, or another kind of device.
    """
    packed = stored_plan(zoo, out)
    described = zoo.features.index.to_frame(index=False)[["network", "epoch"]].drop_duplicates()
    before_last = described["epoch"].to_numpy() < zoo.networks.loc[described["network"], "epochs_trained"].to_numpy()
    made = subset_plan(
        zoo.name,
        out,
        zoo_seed=packed.zoo_seed,
        kept_epochs=tuple(sorted({*packed.kept_epochs, *map(int, described["epoch"][before_last])})),
        grid=packed.grid.name if grid is None else grid,
        precision=packed.grid.settings.get("precision"),
        trainer=packed.trainer,
        device=device,
    )
    if gone := [network for network in zoo.network_ids if network not in made.grid.networks.index]:
        raise PlanMismatchError(
            f"{zoo} has networks that the grid {made.grid.name} does not have now ({len(gone)}, such as {gone[0]}): give "
            "the grid that it was trained with as --grid"
        )
    for network in zoo.network_ids:
        expected, found = packed.grid.recipe(network), made.grid.recipe(network)
        if expected != found:
            there = {name: value for name, value in found.items() if value != expected[name]}
            raise PlanMismatchError(f"network {network} of {zoo} was trained with other settings; the grid now says {there}")
    for library in BINDING_LIBRARIES:
        trained_with, installed = zoo.manifest.libraries[library], version(library)
        if bound(trained_with) != bound(installed):
            raise PlanMismatchError(f"{zoo} was trained with {library} {trained_with}, but {installed} is installed")
    if (trained_on := kind_of_devices(zoo)) != device_kind(device):
        raise PlanMismatchError(
            f"{zoo} was trained on {trained_on}, not on {device_kind(device)}: a version must not mix kinds of device; "
            "continue on a machine of the same kind, or train another version here"
        )
    return made


def command_beyond(zoo: Subset, plan: SubsetPlan, out: Path, *, grid: str | None = None) -> str:
    """The command that trains on from what `restore` put back: the options that the plan of `plan_beyond` binds."""
    packed = zoo.manifest.model_copy(update={"keep": max(plan.kept_epochs), "grid": shlex.quote(grid or plan.grid.name)})
    command = packed.training_command.replace("--grid FILE.toml", f"--grid {packed.grid}")
    return f"{command.removesuffix(' --out DIR')} --out {shlex.quote(str(out))}"


def restore(zoo: Subset, plan: SubsetPlan) -> list[int]:
    """Write the runs of a packed subset's networks into the plan's folder; returns the networks that it wrote. It leaves
    alone those that are finished there already, and those that another process is training. Arrays come from all folders
    that the subset is read from.
    """
    # The finest come last: if two folders hold an epoch, the finer one stays.
    held = sorted((arrays for packed in zoo.pack.folders for arrays in _arrays(packed.folder)), key=lambda part: part.bits)
    restored = []
    for network in zoo.network_ids:
        run = plan.run(network)
        with run.locked() as ours:
            if not ours or run.finished:
                continue
            run.clear()  # arrays of another training would be packed beside this one's tables
            exact = {epoch for part in held if part.exact_weights for epoch in part.arrays.epochs(network)}
            for part in held:
                for epoch in part.arrays.epochs(network):
                    if epoch in exact and not part.exact_weights:
                        continue  # packing would prefer the rounded parts to what follows from the weights
                    parts = part.arrays.parts(part.arrays.read(network, [epoch])[0])
                    if part.exact_weights:
                        run.write_snapshot(epoch, parts)
                    else:
                        run.write_parts(part.tier, epoch, parts, mantissa_bits=part.bits)
            run.finish(record_of(zoo, network))
            restored.append(network)
    return restored


class _Arrays(NamedTuple):
    """A file of an HDF5 tier, and to how many bits of mantissa its values are rounded."""

    tier: TierName
    bits: int
    arrays: SnapshotArrays

    @property
    def exact_weights(self) -> bool:
        return self.tier == "weights" and self.bits == FLOAT32_MANTISSA_BITS


def _arrays(folder: Path) -> list[_Arrays]:
    """The files of a packed folder's HDF5 tiers; if the weights are not rounded, theirs alone: they give the others."""
    packed = PackedFolder(folder, offline=True)
    held = {tier: packed.manifest.tiers[tier] for tier in ARRAY_TIERS if packed.holds_tier(tier)}
    if "weights" in held and held["weights"].mantissa_bits == FLOAT32_MANTISSA_BITS:
        held = {"weights": held["weights"]}
    return [
        _Arrays(tier, facts.mantissa_bits, SnapshotArrays(packed.path(name)))
        for tier, facts in held.items()
        for name in facts.files
    ]


def record_of(zoo: Subset, network: int) -> FinishedRecord:
    """A network's record, as its training wrote it, from the tables of its subset."""
    facts: dict[str, Any] = {
        str(column): value for column, value in zoo.pack.table("networks").loc[network].to_dict().items()
    }
    layers = [layer.name for layer in architecture(zoo.manifest.architecture).weighted_layers]
    signatures: dict[int, dict[str, list[float]]] = {}
    for (epoch, *name), values in _keyed(zoo.pack.table("signatures"), network):
        signatures.setdefault(int(epoch), {})["/".join(name)] = values
    features: dict[int, dict[str, list[float]]] = {}
    for (epoch, layer), values in _keyed(zoo.pack.table("features")[list(FEATURES)], network):
        features.setdefault(int(epoch), {})[layer] = values
    curves = rows_of(zoo.pack.table("curves"), network).reset_index().drop(columns="network")
    return FinishedRecord(
        network=network,
        restored_from=zoo.version,
        device=facts["device"],
        **{column: facts[column] for column in (*OUTCOMES, LATE_OUTCOME) if column in facts},
        epochs=[EpochRow.model_validate(row) for row in curves.to_dict("records")],
        signatures=signatures,
        features={epoch: [table[layer] for layer in layers] for epoch, table in features.items()},
    )


def _keyed(table: pd.DataFrame, network: int) -> list[tuple[tuple[Any, ...], list[float]]]:
    """A network's rows of a table: their keys without the network, and their values."""
    own = rows_of(table, network).droplevel("network")
    return list(zip(own.index, own.to_numpy().tolist(), strict=True))
