"""Packs runs into a subset's files: ``DIR/<subset>/<version>/``, laid out as `nndynbench.load` reads it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from generation.device import CPU
from generation.plan import SubsetPlan
from generation.record import FinishedRecord
from generation.released import check_keeps
from generation.runs import NetworkRun
from nndynbench.centralities import MOMENTS
from nndynbench.columns import CURVES
from nndynbench.errors import NndynbenchError
from nndynbench.features import FEATURES
from nndynbench.graphs import Architecture, SnapshotsOnDemand, Weights, architecture
from nndynbench.own_run import NotGivenError, OwnRun
from nndynbench.packing import median_cut
from nndynbench.storage.arrays import FLOAT32_MANTISSA_BITS, Snapshot
from nndynbench.storage.files import DamagedFileError, file_facts, folder_written_whole
from nndynbench.storage.manifest import FileFacts, Manifest, TierFacts, TierName
from nndynbench.storage.tables import KEYS, SPLITS_FILE, TableName, table_file, write_table
from nndynbench.storage.versions import is_version
from nndynbench.storage.writing import write_manifest, write_splits, write_tier
from nndynbench.subsets.reader import Reader
from nndynbench.subsets.splits import draw_splits, fold_columns

logger = logging.getLogger(__name__)

TABLES: tuple[TableName, ...] = ("networks", "curves", "signatures", "features")
ARRAY_TIERS: tuple[TierName, ...] = ("centralities", "graphs", "weights")


class NothingToPackError(NndynbenchError, ValueError):
    """No network of a folder is finished."""


class DamagedSnapshotError(DamagedFileError):
    """A snapshot of a finished network that cannot be read."""

    def __init__(self, network: int, damage: str) -> None:
        super().__init__(damage)
        self.network = network


@dataclass(frozen=True)
class Selection:
    """What of an HDF5 tier goes into a pack: some of the kept epochs, or None for all, with values rounded to
    ``mantissa_bits``.
    """

    epochs: Sequence[int] | None = None
    mantissa_bits: int = FLOAT32_MANTISSA_BITS

    def of(self, tier: TierName, plan: SubsetPlan, records: Mapping[int, FinishedRecord]) -> dict[int, list[int]]:
        """The epochs of each network, by id. A network of which only an earlier pack is left is passed over if that pack has
        none of this tier.
        """
        kept = {}
        for network, record in records.items():
            epochs = _kept_epochs(tier, plan, record, self.mantissa_bits)
            if chosen := [epoch for epoch in epochs if self.epochs is None or epoch in self.epochs]:
                kept[network] = chosen
        return kept


def every_tier(mantissa_bits: int = FLOAT32_MANTISSA_BITS) -> dict[TierName, Selection]:
    """All kept epochs of every HDF5 tier, rounded to ``mantissa_bits``."""
    return {tier: Selection(mantissa_bits=mantissa_bits) for tier in ARRAY_TIERS}


WHOLE = every_tier()


def coarser_parts(plan: SubsetPlan, networks: Sequence[int], tier: TierName, mantissa_bits: int) -> dict[int, int]:
    """Those of ``networks`` that a pack of ``mantissa_bits`` leaves out of a tier because their runs have it rounded to
    fewer bits, put back from an earlier pack; to how many, by network.
    """
    found = {}
    for network in networks:
        run = plan.run(network)
        bits = max(run.bits_of_parts(tier).values(), default=mantissa_bits)
        if bits < mantissa_bits and not run.epochs_with_snapshots():
            found[network] = bits
    return found


def pack_subset(
    plan: SubsetPlan,
    *,
    version: str | None = None,
    tiers: Mapping[TierName, Selection] = WHOLE,
    into: Path | None = None,
    mirrors: Sequence[str] = (),
) -> Path:
    """Pack the finished networks of a folder of runs; returns the packed folder.

    Tables and splits are always written; ``tiers`` says what to write of the HDF5 tiers beside them. ``into`` replaces the
    runs' own ``DIR`` as the place of ``<subset>/<version>/``. Networks that are not finished are left out, and so are those
    with a damaged snapshot, with a warning; the manifest says how many were planned. An earlier pack stays until the new one
    is whole. ``mirrors`` are addresses on other hosts that will have the files in case the hub fails:
    "https://example.org/{subset}/{version}/{file}".

    Raises
    ------
    NothingToPackError
        If no network is finished and whole.
    ReleasedVersionError
        If the folder holds a version from 1.0.0 on with networks that are not among these runs.
    ValueError
        For a version that is not three numbers.
    """
    if version is not None and not is_version(version, numbers=3):
        raise ValueError(f"{version!r} is not a version: write three numbers, such as 1.0.0")
    finished = {network: record for network in sorted(plan.order) if (record := plan.run(network).record()) is not None}
    folder = (into or plan.folder.parents[1]) / plan.entry.name / (version or plan.entry.version)
    check_keeps(folder, {network: record.seed for network, record in finished.items()})
    while finished:
        try:
            with folder_written_whole(folder) as fresh:
                _write_pack(fresh, plan, finished, version=folder.name, tiers=tiers, mirrors=mirrors)
        except DamagedSnapshotError as damage:
            logger.warning("network %d is left out of %s: %s", damage.network, folder, damage)
            del finished[damage.network]
        else:
            return folder
    raise NothingToPackError(f"nothing to pack: no network in {plan.folder} is finished and undamaged")


def _write_pack(
    folder: Path,
    plan: SubsetPlan,
    records: Mapping[int, FinishedRecord],
    *,
    version: str,
    tiers: Mapping[TierName, Selection],
    mirrors: Sequence[str],
) -> None:
    networks, threshold = networks_table(plan, records)
    splits = draw_splits(networks, subset=plan.entry.name)
    write_table(folder, "networks", networks.join(fold_columns(splits, list(networks.index))))
    write_table(folder, "curves", curves_table(records))
    write_table(folder, "signatures", signatures_table(records))
    write_table(folder, "features", features_table(plan, records))
    write_splits(folder, splits.folds, splits.left_out)
    described: dict[TierName, TierFacts] = {
        "networks": TierFacts(files=[*map(table_file, TABLES), SPLITS_FILE], networks=len(records))
    }
    for tier, selection in tiers.items():
        if kept := selection.of(tier, plan, records):
            described[tier] = _write_selection(folder, tier, plan, kept, selection)
    manifest = _manifest(plan, folder, version, records, threshold, described, mirrors)
    write_manifest(folder, manifest)


def networks_table(plan: SubsetPlan, records: Mapping[int, FinishedRecord]) -> tuple[pd.DataFrame, float]:
    """The networks table, and the threshold that its labels were cut at."""
    measured = pd.DataFrame([record.outcomes for record in records.values()])
    measured.index = pd.Index(records, name="network")
    table = plan.grid.networks.loc[list(records)].join(measured)
    cut = plan.entry.threshold
    threshold = median_cut(table["final_accuracy"]) if cut == "median" else float(cut)
    table["label"] = (table["final_accuracy"] >= threshold).astype(int)
    table["seconds"] = [sum(row.seconds for row in record.epochs) for record in records.values()]
    table["device"] = [record.device for record in records.values()]
    table["precision"] = [plan.grid.recipe(network)["precision"] for network in records]
    return table, threshold


def curves_table(records: Mapping[int, FinishedRecord]) -> pd.DataFrame:
    rows = [{"network": network, **dict(row)} for network, record in records.items() for row in record.epochs]
    columns = ["network", "epoch", *CURVES, "seconds"]
    return pd.DataFrame(rows, columns=columns).set_index(KEYS["curves"])


def signatures_table(records: Mapping[int, FinishedRecord]) -> pd.DataFrame:
    rows = [
        (network, epoch, *name.split("/"), *values)
        for network, record in records.items()
        for epoch, signatures in record.signatures.items()
        for name, values in signatures.items()
    ]
    table = pd.DataFrame(rows, columns=[*KEYS["signatures"], *MOMENTS])
    names = dict.fromkeys(("representation", "sign", "centrality"), "category")
    return table.astype(names).set_index(KEYS["signatures"])


def features_table(plan: SubsetPlan, records: Mapping[int, FinishedRecord]) -> pd.DataFrame:
    layers = [layer.name for layer in architecture(plan.entry.architecture).weighted_layers]
    rows = [
        (network, epoch, layer, *values)
        for network, record in records.items()
        for epoch, table in record.features.items()
        if plan.entry.features is None or epoch in plan.entry.features
        for layer, values in zip(layers, table, strict=True)
    ]
    # float32, like the weights that they come from: float64 would double the largest table of a bundled subset.
    kinds = dict.fromkeys(FEATURES, np.float32) | {"layer": "category"}
    return pd.DataFrame(rows, columns=[*KEYS["features"], *FEATURES]).astype(kinds).set_index(KEYS["features"])


def _write_selection(
    folder: Path, tier: TierName, plan: SubsetPlan, kept: Mapping[int, Sequence[int]], selection: Selection
) -> TierFacts:
    readers = {network: Reader(TrainedRun(plan.run(network), plan.entry.architecture)) for network in kept}

    def read(network: int, epoch: int) -> Snapshot:
        try:
            return readers[network].snapshot(tier, epoch)
        except (DamagedFileError, NotGivenError) as damage:
            raise DamagedSnapshotError(network, str(damage)) from damage

    write_tier(folder / f"{tier}.h5", kept, read, mantissa_bits=selection.mantissa_bits)
    epochs: list[int | Literal["last"]] = [*(plan.kept_epochs if selection.epochs is None else selection.epochs)]
    epochs += ["last"] if selection.epochs is None else []
    return TierFacts(files=[f"{tier}.h5"], networks=len(kept), epochs=epochs, mantissa_bits=selection.mantissa_bits)


class TrainedRun(OwnRun):
    """A network's run as a source for the reader: its snapshots, or the parts of tiers that an earlier pack left of them."""

    def __init__(self, run: NetworkRun, name: str) -> None:
        super().__init__(name, _snapshots(run, architecture(name)), where=str(run.folder))
        self._run = run

    def snapshots(self, tier: TierName, epochs: Sequence[int]) -> Snapshot | None:
        if (found := super().snapshots(tier, epochs)) is not None:
            return found
        parts = [self._run.read_parts(tier, epoch) for epoch in epochs]
        whole = [part for part in parts if part is not None]
        return {name: np.stack([p[name] for p in whole]) for name in whole[0]} if len(whole) == len(parts) else None


def _snapshots(run: NetworkRun, described: Architecture) -> SnapshotsOnDemand:
    """A run's snapshots. Tensors are in the architecture's order, whatever their order in the file, with those of batch norm
    and shortcuts at the end.
    """
    first = [f"{layer.name}.{kind}" for layer in described.weighted_layers for kind in ("weight", "bias")]

    def read(epoch: int) -> Weights:
        weights = run.read_snapshot(epoch)
        if weights is None:
            raise KeyError(epoch)
        return {name: weights[name] for name in [name for name in first if name in weights] + sorted({*weights} - {*first})}

    return SnapshotsOnDemand(run.epochs_with_snapshots(), read)


def _kept_epochs(tier: TierName, plan: SubsetPlan, record: FinishedRecord, mantissa_bits: int) -> list[int]:
    run, last = plan.run(record.network), record.epochs_trained
    if record.weights_dropped:
        return []  # a kill while they were removed may have left some
    if record.restored_from is not None:
        return sorted({*run.epochs_with_snapshots(), *run.epochs_with_parts(tier, mantissa_bits=mantissa_bits)})
    return sorted({*(epoch for epoch in plan.kept_epochs if epoch <= last), last})


def _manifest(
    plan: SubsetPlan,
    folder: Path,
    version: str,
    records: Mapping[int, FinishedRecord],
    threshold: float,
    tiers: dict[TierName, TierFacts],
    mirrors: Sequence[str],
) -> Manifest:
    facts = plan.facts()
    network = architecture(plan.entry.architecture)

    def described(file: str) -> FileFacts:
        addresses = [mirror.format(subset=plan.entry.name, version=version, file=file) for mirror in mirrors]
        return file_facts(folder / file).model_copy(update={"mirrors": addresses})

    return Manifest(
        subset=plan.entry.name,
        version=version,
        summary=plan.entry.summary,
        regime=facts.regime,
        architecture=network.name,
        network=network.description if plan.entry.architecture.endswith(".toml") else None,
        images=facts.images,
        grid=facts.grid,
        settings=plan.grid.recipe(next(iter(records)))
        | dict.fromkeys(map(str, plan.grid.networks), "varies")
        | {"trainer": plan.trainer, "device_kind": facts.device_kind or CPU},
        hyperparameters=plan.grid.hyperparameters,
        zoo_seed=facts.zoo_seed,
        libraries=facts.libraries,
        code_version=installed_version("nndynbench"),
        threshold=threshold,
        chance=100 / network.classes,
        epochs=plan.grid.longest,
        networks=len(records),
        networks_planned=len(plan.order),
        keep=max(plan.kept_epochs),
        tiers=tiers,
        files={file: described(file) for tier in tiers.values() for file in tier.files},
    )
