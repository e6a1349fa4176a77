"""Makes a tier of a packed subset again: trains networks from their seeds for their first epochs, and compares them with
what is stored of them.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from generation.bundle import write_manifest
from generation.device import CPU
from generation.pack import TrainedRun
from generation.plan import SubsetPlan
from generation.retrain import rows_of, stored_plan
from nndynbench.storage.arrays import Snapshot, rounded
from nndynbench.storage.manifest import MANIFEST_NAME, TIERS, TierFacts, TierName
from nndynbench.storage.pack import Pack
from nndynbench.storage.places import NotAtHandError
from nndynbench.storage.writing import write_tier
from nndynbench.subsets.reader import Reader
from nndynbench.subsets.subset import Subset


@dataclass(frozen=True)
class Agreement:
    """How one network's first epochs, trained again, compare with what is stored of them."""

    network: int
    same_losses: int
    """In how many epochs the training loss equals the stored one to the last bit."""
    epochs: int
    signatures: float
    """The largest relative difference in the median, mean and deviation of the degrees."""
    arrays: float | None
    """The largest relative difference in the tier's values, rounded alike; None if none of them are at hand."""


def first_epochs_plan(zoo: Subset, out: Path, epochs: int, *, device: str = CPU) -> SubsetPlan:
    """The plan that a packed subset was trained by, cut to its first epochs, with runs below ``out``."""
    made = stored_plan(zoo, out, device=device)
    grid = replace(made.grid, settings=made.grid.settings | {"epochs": epochs, "patience": 0, "late_epochs": 0})
    return replace(made, grid=grid, kept_epochs=tuple(range(epochs + 1)))


def reader_of_run(plan: SubsetPlan, network: int) -> Reader:
    """A reader of a run's network, like that of any other network."""
    return Reader(TrainedRun(plan.run(network), plan.entry.architecture))


def compare(zoo: Subset, plan: SubsetPlan, network: int, tier: TierName, *, mantissa_bits: int) -> Agreement:
    """Compare a run of `first_epochs_plan` with what is stored of its network."""
    record = plan.run(network).record()
    if record is None:
        raise ValueError(f"network {network} is not finished in {plan.folder}")
    reader, stored = reader_of_run(plan, network), zoo.reader(network)
    losses = pd.Series({row.epoch: row.train_loss for row in record.epochs}, dtype=float)
    before = rows_of(zoo.pack.table("curves"), network).droplevel("network")["train_loss"].reindex(losses.index)
    epochs = list(losses.index)
    ours, theirs = (part.signature("degree", "rolled", None, epochs)[:, :3] for part in (reader, stored))
    differences = [_difference(ours[i], theirs[i]) for i in range(len(epochs))]
    values = []
    for epoch in epochs:
        try:
            found = stored.snapshot(tier, epoch)
        except NotAtHandError:
            continue
        again = reader.snapshot(tier, epoch)
        values += [_difference(_rounded(again[name], mantissa_bits), _rounded(found[name], mantissa_bits)) for name in found]
    return Agreement(
        network,
        int((losses == before).sum()),
        len(epochs),
        max(differences, default=0.0),
        max(values) if values else None,
    )


def check_apart(zoo: Subset, into: Path) -> None:
    """Raise ValueError if `write_pack` would write into a folder that the subset is read from."""
    if any(_written_to(zoo, into).resolve() == packed.folder.resolve() for packed in zoo.pack.folders):
        raise ValueError(f"{zoo} is read from {_written_to(zoo, into)}: choose an --out other than {into}")


def write_pack(
    zoo: Subset, plan: SubsetPlan, into: Path, networks: Sequence[int], tier: TierName, *, mantissa_bits: int
) -> Path:
    """Write ``<subset>/<version>/`` below ``into``: the subset's own tables, and the tier of the networks trained again,
    from epoch 1 on, rounded. Other tiers that were written there earlier stay. Returns the folder.
    """
    check_apart(zoo, into)
    folder = _written_to(zoo, into)
    folder.mkdir(parents=True, exist_ok=True)
    tables = zoo.manifest.tiers["networks"]
    before = _other_tiers(zoo, folder)
    for name in tables.files:
        shutil.copyfile(zoo.pack.file(name), folder / name)
    readers = {network: reader_of_run(plan, network) for network in sorted(networks)}
    kept = {network: [epoch for epoch in reader.epochs(tier) if epoch > 0] for network, reader in readers.items()}

    def read(network: int, epoch: int) -> Snapshot:
        return readers[network].snapshot(tier, epoch)

    write_tier(folder / f"{tier}.h5", kept, read, mantissa_bits=mantissa_bits)
    epochs = sorted({epoch for own in kept.values() for epoch in own})
    facts = TierFacts(files=[f"{tier}.h5"], networks=len(kept), epochs=list(epochs), mantissa_bits=mantissa_bits)
    described = before | {"networks": tables, tier: facts}
    write_manifest(folder, zoo.manifest, {name: described[name] for name in TIERS if name in described})
    return folder


def _written_to(zoo: Subset, into: Path) -> Path:
    return into / zoo.name / zoo.version


def _other_tiers(zoo: Subset, folder: Path) -> dict[TierName, TierFacts]:
    """The tiers of an earlier pack in a folder, if its tables are the subset's; else none."""
    if not (folder / MANIFEST_NAME).is_file():
        return {}
    earlier = Pack(folder, offline=True)
    if earlier.checksum != zoo.pack.checksum:
        return {}
    return {
        tier: facts
        for tier, facts in earlier.manifest.tiers.items()
        if all((folder / name).is_file() for name in facts.files)
    }


def _rounded(values: np.ndarray, mantissa_bits: int) -> np.ndarray:
    return rounded(np.asarray(values, np.float32), mantissa_bits).astype(np.float64)


def _difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The largest difference, relative to the largest of ``theirs``; 0 if both are equal, NaNs included."""
    if np.array_equal(ours, theirs, equal_nan=True):
        return 0.0
    return float(np.max(np.abs(ours - theirs)) / np.max(np.abs(theirs)))
