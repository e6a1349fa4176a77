"""Commands about subsets: ``list``, ``info``, ``verify``."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

console = Console()

SubsetName = Annotated[str, typer.Argument(help="a subset's name, such as digits-lenet")]
Root = Annotated[str | None, typer.Option(help="a folder of packed subsets, instead of the usual places")]


def list_subsets(root: Root = None) -> None:
    """List all subsets, and what of them is at hand."""
    from nndynbench.subsets import subsets

    table = Table("subset", "summary", "version", "networks", "protocol", "tiers at hand")
    for name, row in subsets(root=root).iterrows():
        at_hand = row["version"] is not None and row["networks"] > 0
        facts = [row["version"], str(row["networks"]), row["protocol"], row["tiers"]] if at_hand else ["–"] * 4
        table.add_row(str(name), row["summary"], *facts)
    console.print(table)


def info(name: SubsetName, root: Root = None) -> None:
    """Show what a subset is: how it was trained, its ranges beside the paper's Table 2, its splits and tiers."""
    from nndynbench.paper import table2
    from nndynbench.subsets import catalogue_entry, load
    from nndynbench.subsets.splits import RULES, SplitError

    subset = load(name, root=root)
    manifest = subset.manifest
    console.print(f"[bold]{name} {manifest.version}[/bold]: {manifest.summary}")
    console.print(
        f"{manifest.networks} of {manifest.networks_planned} networks, architecture {manifest.architecture}, "
        f"protocol [bold]{manifest.protocol}[/bold], at most {manifest.epochs} epochs"
    )
    paper = table2().get(catalogue_entry(name).paper or "")
    table = Table("", "ours", "paper (Table 2)")
    networks = subset.networks
    stopped = networks["epochs_trained"]
    accuracies = networks["final_accuracy"]
    table.add_row("epochs trained", f"{stopped.min()} to {stopped.max()}", paper["early_stopping"] if paper else "–")
    ours = f"{accuracies.min():.1f} to {accuracies.max():.1f}%"
    table.add_row("final accuracy", ours, f"{paper['accuracy']}%" if paper else "–")
    table.add_row("threshold", f"{manifest.threshold:g}%", f"{paper['threshold']}%" if paper else "–")
    high = int(networks["label"].sum())
    table.add_row("high / low networks", f"{high} / {len(networks) - high}", "–")
    table.add_row("diverged", str(int(networks["diverged"].sum())), "–")
    console.print(table)
    for split in RULES:
        try:
            folds = subset.split(split)
            console.print(f"split {split}: {len(folds)} fold(s), {len(folds[0][0])} train, {len(folds[0][1])} test networks")
        except SplitError as reason:
            console.print(f"split {split}: none; {reason}")
    for tier, facts in manifest.tiers.items():
        size = sum(manifest.files[file].bytes for file in facts.files) / 1e6
        epochs = f", epochs {facts.epochs[0]} to {facts.epochs[-1]}" if facts.epochs else ""
        console.print(f"tier {tier}: {facts.networks} networks{epochs}, {size:.1f} MB, {facts.mantissa_bits} bits of mantissa")


def verify(
    names: Annotated[list[str] | None, typer.Argument(help="subsets; all at hand by default")] = None, root: Root = None
) -> None:
    """Check every file of subsets against its manifest's size and SHA-256."""
    from nndynbench.storage.files import DamagedFileError, checked
    from nndynbench.subsets import load, subsets

    at_hand = subsets(root=root)
    bad = 0
    for name in names or list(at_hand.index[at_hand["networks"] > 0]):
        subset = load(name, root=root)
        for file in subset.manifest.files:
            try:
                checked(subset.folder, file, subset.manifest, again=True)
            except DamagedFileError as damage:
                bad += 1
                console.print(f"[red]damaged[/red] {damage}")
        console.print(f"{name} {subset.version}: {len(subset.manifest.files)} files checked in {subset.folder}")
    if bad:
        raise typer.Exit(1)
