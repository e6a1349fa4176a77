"""Commands about runs of one's own: ``pack``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from nndynbench.cli.console import console


def pack(
    runs: Annotated[Path, typer.Argument(help="a folder of recorded runs, at any depth")],
    name: Annotated[str, typer.Option(help="the pack's name, which must not be one of the catalogue's")],
    out: Annotated[Path, typer.Option(help="the folder to write to; give it to other commands as --root")],
    threshold: Annotated[
        float | None, typer.Option(help="final accuracy in percent from which a label is high; the median by default")
    ] = None,
    blocked: Annotated[
        str | None, typer.Option(help="the hyperparameter over which the blocked protocol extrapolates")
    ] = None,
    classes: Annotated[
        int | None, typer.Option(help="how many classes the images have, if the network does not tell")
    ] = None,
    version: Annotated[str, typer.Option(help="the pack's version, three numbers")] = "1.0.0",
    summary: Annotated[str, typer.Option(help="a description of the networks")] = "",
    images: Annotated[str, typer.Option(help="a description of the images they were trained on")] = "",
) -> None:
    """Make a zoo from recorded runs. Other commands read it like any subset: --subset NAME --root OUT."""
    from nndynbench.packing import pack as pack_runs

    made = pack_runs(
        runs,
        name=name,
        out=out,
        threshold=threshold,
        blocked=blocked,
        classes=classes,
        version=version,
        summary=summary,
        images=images,
    )
    size = sum(facts.bytes for facts in made.manifest.files.values()) / 1e6
    for note in made.manifest.notes:
        console.print(f"[yellow]note[/yellow]: {escape(note)}")
    manifest = made.manifest
    console.print(escape(f"packed {manifest.networks} of {manifest.networks_planned} runs: {made.folder}, {size:.2f} MB"))
    say_splits_left_out(made.folder)
    console.print(escape(f"next: nndynbench info {name} --root {out}"))


def say_splits_left_out(folder: Path) -> None:
    """Print the splits that a pack lacks, each with the reason."""
    from nndynbench.storage.tables import SPLITS_FILE

    for split, reason in json.loads((folder / SPLITS_FILE).read_text(encoding="utf-8"))["left_out"].items():
        console.print(escape(f"  the split {split} is left out: {reason}"))
