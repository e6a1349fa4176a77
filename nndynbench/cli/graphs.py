"""The command ``convert``: checkpoints of one's own to graphs, centralities and signatures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from nndynbench.cli.console import console, print_table
from nndynbench.cli.options import FirstEpoch, Pattern, StepsPerEpoch


def convert(
    checkpoints: Annotated[Path, typer.Argument(help="a folder of one network's checkpoints: safetensors or torch files")],
    architecture: Annotated[
        str, typer.Option(help="the network's architecture: a name such as cifar10-vgg, or a TOML file")
    ],
    out: Annotated[Path, typer.Option(help="folder for the graphs, centralities and signatures")] = Path("converted"),
    first_epoch: FirstEpoch = None,
    pattern: Pattern = None,
    steps_per_epoch: StepsPerEpoch = None,
) -> None:
    """Turn a folder of checkpoints into graphs, centralities and signatures, in a subset's file formats."""
    from nndynbench.centralities import MOMENTS
    from nndynbench.checkpoints import EpochOptions, read_folder
    from nndynbench.convert import convert as convert_checkpoints

    options: EpochOptions = {"first_epoch": first_epoch, "pattern": pattern, "steps_per_epoch": steps_per_epoch}
    with console.status(escape(f"converting {checkpoints}")):
        left_out = read_folder(checkpoints, **options).left_out
        signatures = convert_checkpoints(checkpoints, architecture, out, **options)
    table = Table("epoch", "centrality", *MOMENTS, title=escape(f"rolled graphs of {checkpoints}"))
    for key, values in signatures.xs("rolled", level="representation").iterrows():
        _, epoch, _, centrality = key  # type: ignore[misc]
        table.add_row(str(epoch), str(centrality), *(f"{value:.4g}" for value in values))
    print_table(table)
    for reading in left_out:
        console.print(f"left out: {reading}", markup=False)
    console.print(escape(f"graphs, centralities and signatures: {out}"))
