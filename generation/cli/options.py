"""Options that several commands have."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from generation.own import own_entry
from generation.plan import runs_folder
from nndynbench.subsets.catalogue import CatalogueEntry

Subset = Annotated[str, typer.Argument(help="a subset of the catalogue, such as digits-lenet")]
SubsetOrLike = Annotated[str | None, typer.Argument(help="a subset of the catalogue; of another --name one like it")]
OwnName = Annotated[str | None, typer.Option("--name", help="of a zoo of one's own, by a --grid of one's own")]
OwnArchitecture = Annotated[
    str | None, typer.Option("--architecture", help="of a zoo of one's own: a TOML file that describes it")
]
Out = Annotated[Path, typer.Option(help="the folder that holds <subset>/runs/ and the packed versions")]
Seed = Annotated[int, typer.Option(help="the zoo's seed, from which all others are derived")]
GridName = Annotated[str | None, typer.Option("--grid", help="another grid: its name, or the path of a .toml")]
Keep = Annotated[int, typer.Option(min=0, help="keep snapshots and features of epochs 0 to this one, and of the last")]
ImageSource = Annotated[str | None, typer.Option("--images", help="a local folder of the images, or a hub id")]
Networks = Annotated[int | None, typer.Option(min=1, help="train this many, spread over the grid; all by default")]
Where = Annotated[str | None, typer.Option(help='only networks with this: "learning_rate < 0.1 and dropout == 0"')]
WeightsOf = Annotated[
    int | None, typer.Option(min=0, help="keep the weights of this many high and as many low networks; all by default")
]
Workers = Annotated[int, typer.Option(min=1, help="processes of one thread each")]
TimeLimit = Annotated[
    float | None, typer.Option(min=0, help="stop cleanly, at the end of an epoch, after this many seconds")
]
Precision = Annotated[str | None, typer.Option(help="float32, bfloat16 or tf32; the grid's by default")]
Root = Annotated[Path | None, typer.Option(help="the folder of the packed subset; as load by default")]
Draw = Annotated[int, typer.Option(help="the seed that draws them")]
DeviceOfGroups = Annotated[str, typer.Option(help="where networks were trained side by side: cpu or cuda")]

# Of those that this process may use, where the system tells: Linux does.
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def zoo_of(
    subset: str | None, out: Path, *, name: str | None, grid: str | None, architecture: str | None
) -> tuple[str, CatalogueEntry | None]:
    """The name of the zoo that is asked for, and the entry of one's own; None where the catalogue has it."""
    if name is not None:
        return name, own_entry(name, runs_folder(name, out), grid=grid, like=subset, described=architecture)
    if subset is None or architecture is not None:
        raise typer.BadParameter("name a subset of the catalogue, or a zoo of your own: --name", param_hint="SUBSET")
    return subset, None
