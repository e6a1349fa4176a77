"""Commands about subsets: ``list``, ``info``, ``curves``, ``download``, ``verify``, ``export``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from nndynbench.cli.console import console, print_table
from nndynbench.cli.options import Root
from nndynbench.numbers import NOTHING

if TYPE_CHECKING:
    from nndynbench.storage.manifest import TierName
    from nndynbench.storage.packed import PackedFolder
    from nndynbench.subsets import Subset

NOT_AT_HAND = [NOTHING, NOTHING, NOTHING, "none"]

SubsetName = Annotated[str, typer.Argument(help="a subset's name, such as digits-lenet")]
Version = Annotated[str | None, typer.Option(help="a version; by default the highest at hand")]


def list_subsets(root: Root = None) -> None:
    """List all subsets, and which parts of each are at hand."""
    from nndynbench.subsets import subsets

    table = Table("subset", "summary", "version", "networks", "regime", "tiers at hand")
    for name, row in subsets(root=root).iterrows():
        at_hand = row["version"] is not None and row["networks"] > 0
        facts = [row["version"], str(row["networks"]), row["regime"], row["tiers"]] if at_hand else NOT_AT_HAND
        table.add_row(str(name), escape(row["summary"]), *facts)
    print_table(table)


def info(name: SubsetName, root: Root = None, version: Version = None) -> None:
    """Describe a subset: how it was trained, its ranges beside the paper's Table 2, its splits and its tiers."""
    from nndynbench.paper.ranges import RANGES, paper_ranges
    from nndynbench.storage.manifest import TIERS
    from nndynbench.storage.places import NotAtHandError
    from nndynbench.subsets import catalogue, load
    from nndynbench.subsets.catalogue import paper_column
    from nndynbench.subsets.splits import RULES, SplitError
    from nndynbench.subsets.summary import summarised

    try:
        subset = load(name, root=root, version=version)
    except NotAtHandError as absent:
        if version is not None or root is not None or name not in catalogue():
            raise
        _info_from_the_catalogue(name, str(absent))
        return
    manifest = subset.manifest
    console.print(f"[bold]{name} {manifest.version}[/bold]: {escape(manifest.summary)}")
    console.print(
        f"{manifest.networks} of {manifest.networks_planned} networks, architecture {escape(manifest.architecture)}, "
        f"regime [bold]{escape(manifest.regime)}[/bold], at most {manifest.epochs} epochs"
    )
    console.print(escape(f"trained on {', '.join(subset.devices)}"))
    table = Table("", "ours", "paper (Table 2)")
    summary, paper = summarised(subset), paper_ranges(paper_column(name))
    for key, what in RANGES.items():
        table.add_row(what, summary.ranges[key], paper[key])
    kind = "GPU" if manifest.settings.get("device_kind", "cpu") != "cpu" else "core"
    table.add_row("training", f"{summary.hours:.2g} {kind} hours", NOTHING)
    table.add_row("high / low networks", f"{summary.high} / {summary.low}", NOTHING)
    table.add_row("diverged", str(summary.diverged), NOTHING)
    print_table(table)
    for split in RULES:
        try:
            folds = subset.split(split)
            console.print(f"split {split}: {len(folds)} fold(s), {len(folds[0][0])} train, {len(folds[0][1])} test networks")
        except SplitError as reason:
            console.print(escape(f"split {split}: none; {reason}"))
    for tier in TIERS:
        console.print(f"tier {tier}: {_tier_facts(subset, tier)}")
    if not manifest.is_own:
        console.print("epoch 0: drawn from each network's seed")
    for note in manifest.notes:
        console.print(f"[yellow]note[/yellow]: {escape(note)}")


def _tier_facts(subset: Subset, tier: TierName) -> str:
    """What of a tier is at hand, or else where it is."""
    from nndynbench.subsets.loading import names_with
    from nndynbench.subsets.reader import RICHER

    listing = [folder for folder in subset.pack.folders if tier in folder.manifest.tiers]
    if folder := next((folder for folder in listing if folder.holds_tier(tier)), next(iter(listing), None)):
        facts = folder.manifest.tiers[tier]
        size = sum(folder.manifest.files[file].bytes for file in facts.files) / 1e6
        epochs = f", epochs {facts.epochs_in_words}" if facts.epochs else ""
        at_hand = "" if folder.holds_tier(tier) else "; to be downloaded"
        return f"{facts.networks} networks{epochs}, {size:.1f} MB, {facts.mantissa_bits} bits of mantissa{at_hand}"
    if tier in subset.tiers:
        richer = next(part for part in RICHER[tier] if subset.pack.networks_in(part))
        return f"{subset.networks_in(tier)} networks, derived from the {richer}"
    return f"not at hand; complete in: {', '.join(names_with(tier)) or 'no subset'}"


def _info_from_the_catalogue(name: str, why_absent: str) -> None:
    """What is known of a subset that is not at hand: its facts, the paper's ranges, and how to get it."""
    from nndynbench.paper.ranges import paper_ranges
    from nndynbench.subsets import catalogue_entry

    entry = catalogue_entry(name)
    console.print(f"[bold]{name} {entry.version}[/bold]: {entry.summary}; not at hand")
    table = Table("", "ours", "paper (Table 2)")
    paper = paper_ranges(entry.paper)
    table.add_row("architecture", entry.architecture, NOTHING)
    table.add_row("images", entry.images, NOTHING)
    table.add_row("grid", entry.grid, NOTHING)
    threshold = f"{entry.threshold:g}%" if isinstance(entry.threshold, float) else str(entry.threshold)
    table.add_row("threshold", threshold, paper["threshold"])
    table.add_row("epochs trained", NOTHING, paper["early_stopping"])
    table.add_row("final accuracy", NOTHING, paper["accuracy"])
    print_table(table)
    console.print(why_absent, markup=False)
    console.print(f"to measure what that costs on this machine: python -m generation plan {name} --grid {entry.grid}")


def curves(
    names: Annotated[list[str] | None, typer.Argument(help="subsets; all at hand by default")] = None,
    out: Annotated[Path, typer.Option(help="the folder for the plots, one NAME.png per subset")] = Path("curves"),
    root: Root = None,
) -> None:
    """Plot the learning curves of every network of a subset, coloured by learning rate."""
    from nndynbench.plots import learning_curves
    from nndynbench.subsets import load

    for name in names or _all_at_hand(root):
        console.print(escape(f"plot: {learning_curves(load(name, root=root), out / f'{name}.png')}"))


def download(
    name: SubsetName,
    tier: Annotated[
        list[str] | None, typer.Option(help="a tier: centralities, graphs or weights; repeat for several")
    ] = None,
    version: Version = None,
) -> None:
    """Download a subset's tables, and the tiers you ask for, from the hub to the home folder (NNDYNBENCH_HOME)."""
    from typing import cast

    from nndynbench.storage.manifest import TierName
    from nndynbench.subsets import download as download_tiers

    subset = download_tiers(name, tiers=cast(list[TierName], tier or ["networks"]), version=version)
    size = sum(file.stat().st_size for file in subset.folder.iterdir() if file.is_file()) / 1e6
    console.print(escape(f"{name} {subset.version}: {', '.join(subset.tiers)} at hand, {size:.1f} MB in {subset.folder}"))


def verify(
    names: Annotated[list[str] | None, typer.Argument(help="subsets; all at hand by default")] = None,
    root: Root = None,
    version: Version = None,
) -> None:
    """Hash every file of the subsets and compare it with the manifest. A damaged download is fetched again."""
    from nndynbench.names import UnknownNameError
    from nndynbench.storage.files import DamagedFileError
    from nndynbench.storage.places import NotAtHandError
    from nndynbench.subsets import load

    bad = 0
    for name in names or _all_at_hand(root):
        try:
            folders = load(name, root=root, version=version).pack.folders
        except UnknownNameError:
            raise
        except ValueError as damage:  # of its manifest
            bad += 1
            console.print(f"[red]damaged[/red] {escape(str(damage))}")
            continue
        for packed in folders:
            listed = [file for tier in packed.manifest.tiers.values() for file in tier.files]
            files = [file for file in listed if packed.holds(file) or not _is_elsewhere(file, packed, folders)]
            for file in files:
                try:
                    packed.path(file, again=True)
                except (DamagedFileError, NotAtHandError) as damage:
                    bad += 1
                    console.print(f"[red]damaged[/red] {escape(str(damage))}")
            console.print(escape(f"{name} {packed.manifest.version}: {len(files)} files checked in {packed.folder}"))
    if bad:
        raise typer.Exit(1)


def _all_at_hand(root: str | None) -> list[str]:
    """The subsets at hand; raises `NotAtHandError` where there is none, as in a mistyped folder."""
    from nndynbench.storage.places import NotAtHandError, places
    from nndynbench.subsets.loading import names_at_hand

    if not (names := names_at_hand(root)):
        raise NotAtHandError(f"no subset found in {', '.join(map(str, places(root)))}")
    return names


def _is_elsewhere(file: str, packed: PackedFolder, folders: list[PackedFolder]) -> bool:
    """Whether a file that a folder lacks is no damage: still to be downloaded, or beside it at another place."""
    expected = packed.manifest.files[file]
    return packed.origin is not None or any(
        folder.holds(file) and folder.manifest.files[file].same_content(expected) for folder in folders
    )


def export(
    name: SubsetName,
    what: Annotated[str, typer.Option(help="the table: networks, curves, signatures or features")] = "networks",
    file_format: Annotated[
        str | None, typer.Option("--format", help="csv, parquet or npz; by default the ending of --out, or csv")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="the file; by default NAME-WHAT.FORMAT here")] = None,
    root: Root = None,
    version: Version = None,
) -> None:
    """Write one of a subset's tables to a file that other tools read."""
    from typing import cast

    from nndynbench.storage.tables import TableName
    from nndynbench.subsets import export as export_table
    from nndynbench.subsets import load
    from nndynbench.subsets.export import FormatName

    subset = load(name, root=root, version=version)
    written = export_table(subset, cast(TableName, what), out, file_format=cast(FormatName | None, file_format))
    console.print(escape(f"wrote {written} ({written.stat().st_size / 1e6:.2f} MB)"))
