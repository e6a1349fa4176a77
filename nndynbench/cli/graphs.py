"""The command ``convert``: checkpoints of one's own to graphs, centralities and signatures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from nndynbench.cli.console import console, print_table


def convert(
    checkpoints: Annotated[Path, typer.Argument(help="a folder of one network's checkpoints: safetensors or torch files")],
    architecture: Annotated[str, typer.Option(help="what they are of, such as cifar10-vgg")],
    out: Annotated[Path, typer.Option(help="folder for the graphs, centralities and signatures")] = Path("converted"),
) -> None:
    """Turn a folder of checkpoints into graphs, centralities and signatures, in a subset's file formats."""
    from nndynbench.centralities import MOMENTS
    from nndynbench.convert import convert as convert_checkpoints

    if not checkpoints.is_dir():
        raise FileNotFoundError(f"there is no folder {checkpoints}")
    with console.status(f"converting {checkpoints}"):
        signatures = convert_checkpoints(checkpoints, architecture, out)
    table = Table("epoch", "centrality", *MOMENTS, title=f"rolled graphs of {checkpoints}")
    for key, values in signatures.xs("rolled", level="representation").iterrows():
        _, epoch, _, centrality = key  # type: ignore[misc]
        table.add_row(str(epoch), str(centrality), *(f"{value:.4g}" for value in values))
    print_table(table)
    console.print(f"graphs, centralities and signatures: {out}")
