"""Selects what the package bundles of a packed subset: the tables as they are, and of other tiers what the catalogue says.

A version fixes a pack's tables, but not its other tiers: what can be derived is left out, and what was made again is taken
in. Epoch 0 is never bundled, since it follows from the seeds.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from generation.released import check_same_tables
from generation.retrain import stored_plan
from nndynbench.storage import writing
from nndynbench.storage.files import file_facts, folder_written_whole
from nndynbench.storage.manifest import MANIFEST_NAME, Manifest, TierFacts, TierName
from nndynbench.subsets.catalogue import Bundled, catalogue_entry
from nndynbench.subsets.subset import Subset


def bundle_subset(zoo: Subset, into: Path, parts: Mapping[TierName, Bundled] | None = None) -> Path:
    """Write ``<subset>/<version>/`` below ``into``, which may be where ``zoo`` is read from; returns the folder.
    An earlier one stays until the new one is whole.

    ``parts`` say what to take of each tier, by default what the catalogue says. An HDF5 file that holds just that is copied.

    Raises
    ------
    ReleasedVersionError
        If ``into`` has a version from 1.0.0 on with other networks.
    ValueError
        For a tier of which nothing is at hand.
    """
    target = into / zoo.name / zoo.version
    check_same_tables(target, zoo.pack.checksum)
    with folder_written_whole(target) as folder:
        tables = zoo.manifest.tiers["networks"]
        for name in tables.files:
            shutil.copyfile(zoo.pack.file(name), folder / name)
        described: dict[TierName, TierFacts] = {"networks": tables}
        for tier, part in (catalogue_entry(zoo.name).bundle if parts is None else parts).items():
            described[tier] = _write(zoo, folder, tier, part)
        write_manifest(folder, zoo.manifest, described)
    return target


def write_beside(zoo: Subset, into: Path) -> Path | None:
    """Write below ``into`` what the catalogue names as too large for the package: the tiers alone, since the tables are in
    the package. Returns the folder; None if the catalogue names nothing. Raises as `bundle_subset` does.
    """
    parts = catalogue_entry(zoo.name).beside
    if not parts:
        return None
    folder = into / zoo.name / zoo.version
    check_same_tables(folder, zoo.pack.checksum)
    with folder_written_whole(folder) as fresh, TemporaryDirectory(dir=into) as temporary:
        whole = bundle_subset(zoo, Path(temporary), parts)
        for name in (MANIFEST_NAME, *(f"{tier}.h5" for tier in parts)):
            shutil.copyfile(whole / name, fresh / name)
    return folder


def write_manifest(folder: Path, of: Manifest, tiers: Mapping[TierName, TierFacts]) -> None:
    """Write a version's manifest with other tiers. What the manifest ``of`` says about unchanged files stays, mirrors too.
    What it says about the tables stays in any case: by them, the folders of one version recognise each other.
    """
    files = {name: of.files[name] for name in of.tiers["networks"].files}
    for name in (name for tier in tiers.values() for name in tier.files):
        found, before = file_facts(folder / name), of.files.get(name)
        files[name] = before if before is not None and before.same_content(found) else found
    manifest = of.model_copy(update={"tiers": dict(tiers), "files": files})
    writing.write_manifest(folder, manifest)


def _write(zoo: Subset, folder: Path, tier: TierName, part: Bundled) -> TierFacts:
    kept = _selected(zoo, tier, part)
    if not kept:
        raise ValueError(f"{zoo} has no {tier} to bundle: give --root, a folder of packs that have them")
    stored = next((f.manifest.tiers[tier] for f in zoo.pack.folders if f.holds_tier(tier)), None)
    name = f"{tier}.h5"
    bits = part.bits if stored is None else min(part.bits, stored.mantissa_bits)
    epochs = [e for e in part.epochs or (stored.epochs if stored else ()) if e != 0]
    arrays = zoo.pack.arrays(tier)
    whole = arrays and bits == (stored and stored.mantissa_bits)
    if whole and {network: arrays[0].epochs(network) for network in arrays[0].networks} == kept:
        shutil.copyfile(arrays[0].path, folder / name)
    else:
        readers = {network: zoo.reader(network) for network in kept}
        writing.write_tier(
            folder / name, kept, lambda network, epoch: readers[network].snapshot(tier, epoch), mantissa_bits=bits
        )
    return TierFacts(files=[name], networks=len(kept), epochs=epochs, mantissa_bits=bits)


def _selected(zoo: Subset, tier: TierName, part: Bundled) -> dict[int, list[int]]:
    """The epochs to bundle of each network, by id: of the first networks in the order of training that have any."""
    labels = zoo.networks["label"].to_dict()
    kept: dict[int, list[int]] = {}
    taken: Counter[int] = Counter()
    for network in stored_plan(zoo, Path()).order:
        if len(kept) == part.networks:
            break
        if taken[labels[network]] == part.of_each_label:
            continue
        epochs = [e for e in zoo.reader(network).epochs(tier) if e > 0 and (part.epochs is None or e in part.epochs)]
        if epochs:
            kept[network] = epochs
            taken[labels[network]] += 1
    return dict(sorted(kept.items()))
