"""Write a subset's files from its runs, bundle them, and put a pack's networks back among runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from generation.cli.options import GridName, ImageSource, Out, Root, Subset, Version
from generation.device import CPU
from generation.images import Images, OtherImagesError, load_images
from generation.plan import SubsetPlan, begun_plan
from nndynbench.cli.console import console
from nndynbench.cli.runs import say_splits_left_out
from nndynbench.storage.arrays import FLOAT32_MANTISSA_BITS
from nndynbench.storage.files import locked
from nndynbench.subsets.catalogue import catalogue_entry
from nndynbench.subsets.subset import Subset as Packed


def pack(
    subset: Subset,
    out: Out,
    version: Version = None,
    bits: Annotated[
        int,
        typer.Option(
            min=1,
            max=FLOAT32_MANTISSA_BITS,
            help=f"round arrays to this many bits of mantissa; {FLOAT32_MANTISSA_BITS} leaves them as they are",
        ),
    ] = FLOAT32_MANTISSA_BITS,
    mirror: Annotated[
        list[str] | None, typer.Option(help="another address for the files: https://…/{subset}/{version}/{file}")
    ] = None,
) -> None:
    """Write a subset's files from its runs, even if some are not finished."""
    write_pack(begun_plan(subset, out), bits=bits, version=version, mirrors=mirror or [])


def write_pack(made: SubsetPlan, *, bits: int = FLOAT32_MANTISSA_BITS, **options: Any) -> None:
    """Pack arrays at ``bits`` of mantissa, with the options of `generation.pack.pack_subset`, and say what is missing."""
    from generation.card import write_card
    from generation.pack import every_tier, pack_subset
    from nndynbench.subsets import catalogue

    left: list[Path] = []
    # Two shards may end at the same moment.
    with locked(made.folder / "pack.lock"):
        packed = Packed(pack_subset(made, tiers=every_tier(bits), **options))
        if made.entry.name in catalogue():
            left = write_card(packed.folder.parents[1])
    trained = f"{packed.manifest.networks} of {packed.manifest.networks_planned} networks"
    console.print(escape(f"packed {packed.folder}: {trained}"))
    _say_networks_left_out(made, packed, bits)
    say_splits_left_out(packed.folder)
    for path in left:
        console.print(escape(f"  {path} is left as it is: this project did not write it"))
    if len(packed.devices) > 1:
        console.print(f"  trained on {len(packed.devices)} processors: {', '.join(packed.devices)}")


def _say_networks_left_out(made: SubsetPlan, packed: Packed, bits: int) -> None:
    """For each HDF5 tier that neither is there for every network nor follows from a richer one: how many networks have it,
    and why not all.
    """
    from generation.pack import ARRAY_TIERS, coarser_parts

    for tier in ARRAY_TIERS:
        held = packed.networks_in(tier)
        if held == packed.manifest.networks:
            continue
        told = f"  {tier} of {held} of {packed.manifest.networks} networks"
        if coarser := coarser_parts(made, packed.network_ids, tier, bits):
            fewest = min(coarser.values())
            told += (
                f"; of {len(coarser)} the runs have them rounded to {fewest} bits or more: pack them with --bits {fewest}"
            )
        if (without := packed.manifest.networks - held - len(coarser)) > 0:
            told += f"; of {without} the runs keep none"
        console.print(escape(told))


def bundle(
    subset: Subset,
    root: Annotated[Path | None, typer.Option(help="a folder of packs to read before the bundled ones")] = None,
) -> None:
    """Write into the package what it bundles of a packed subset: its tables, and the tiers that the catalogue names. What is
    too large for the package goes into data/ of this clone.
    """
    from generation.bundle import bundle_subset, write_beside
    from nndynbench.storage.places import bundled_folder, find, not_at_hand

    catalogue_entry(subset)  # a name that is none is said first
    folders = [*(find(subset, root=root) if root is not None else []), *find(subset)]
    if not folders:
        raise not_at_hand(subset, version=None, root=root)
    zoo = Packed(folders[0], also=folders[1:])
    beside = write_beside(zoo, Path(__file__).parents[2] / "data")
    written = Packed(bundle_subset(zoo, bundled_folder()))
    size = sum(facts.bytes for facts in written.manifest.files.values()) / 1e6
    console.print(f"bundled {written.folder}: {size:.1f} MB")
    for tier, facts in written.manifest.tiers.items():
        if tier != "networks":
            console.print(f"  {tier} of {facts.networks} of {written.manifest.networks} networks")
    if beside is not None:
        console.print(f"too large for the package, written beside it: {beside}")


def restore(
    subset: Subset,
    out: Out,
    root: Root = None,
    images: ImageSource = None,
    grid: GridName = None,
    device: Annotated[str, typer.Option(help="the device that trained it: cpu or cuda")] = CPU,
) -> None:
    """Put a packed subset's networks back into a folder of runs, to train more networks and pack all of them together."""
    import nndynbench
    from generation.restore import command_beyond, plan_beyond
    from generation.restore import restore as put_back

    zoo = nndynbench.load(subset, root=root)
    made = plan_beyond(zoo, out, grid=grid, device=device)
    made.bind(same_images(zoo, images, out.resolve() / "images"))
    restored = put_back(zoo, made)
    there = len(made.finished(made.order))
    trained = f"{there} of {len(made.order)} are trained now"
    console.print(escape(f"networks of {zoo} restored in {made.folder}: {len(restored)}; {trained}"))
    console.print(escape(f"train the others with: {command_beyond(zoo, made, out, grid=grid)}"), soft_wrap=True)


def same_images(zoo: Packed, source: str | None, cache: Path) -> Images:
    """The images that a packed subset was trained on; raises `OtherImagesError` for others."""
    found = load_images(zoo.manifest.images.name, source=source, cache=cache)
    if found.digest != zoo.manifest.images.digest:
        expected = zoo.manifest.images.digest
        raise OtherImagesError(f"{zoo} was trained on images with the digest {expected}, but these have {found.digest}")
    return found
