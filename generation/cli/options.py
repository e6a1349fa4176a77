"""Options that several commands have."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

Subset = Annotated[str, typer.Argument(help="a subset of the catalogue, such as digits-lenet")]
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
