"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import joblib
import typer

from generation.own import own_entry
from generation.plan import runs_folder
from nndynbench.storage.versions import is_version
from nndynbench.subsets.catalogue import CatalogueEntry


def _three_numbers(version: str | None) -> str | None:
    """Checked before anything is trained: packing comes last."""
    if version is not None and not is_version(version, numbers=3):
        raise typer.BadParameter(f"{version!r} is not a version: write three numbers, such as 1.0.0")
    return version


Subset = Annotated[str, typer.Argument(help="a subset of the catalogue, such as digits-lenet")]
SubsetOrLike = Annotated[
    str | None, typer.Argument(help="a subset of the catalogue; with --name, the one whose images your zoo uses")
]
OwnName = Annotated[str | None, typer.Option("--name", help="the name of your own zoo, which needs its own --grid")]
OwnArchitecture = Annotated[
    str | None, typer.Option("--architecture", help="a TOML file that describes the architecture of your own zoo")
]
Out = Annotated[Path, typer.Option(help="the folder that holds <subset>/runs/ and the packed versions")]
Seed = Annotated[int, typer.Option(help="the zoo's seed, from which all other seeds are derived")]
GridName = Annotated[str | None, typer.Option("--grid", help="another grid: its name, or the path of a .toml file")]
Keep = Annotated[int, typer.Option(min=0, help="keep snapshots and features of epochs 0 to this one, and of the last epoch")]
ImageSource = Annotated[str | None, typer.Option("--images", help="a folder of images, or a data set's id on the hub")]
Networks = Annotated[int | None, typer.Option(min=1, help="train this many networks, spread over the grid; all by default")]
Where = Annotated[str | None, typer.Option(help='only networks that satisfy this: "learning_rate < 0.1 and dropout == 0"')]
WeightsOf = Annotated[
    int | None, typer.Option(min=0, help="keep the weights of this many high networks and as many low ones; all by default")
]
Workers = Annotated[int, typer.Option(min=1, help="how many processes to use, with one thread each")]
TimeLimit = Annotated[float | None, typer.Option(min=0, help="stop after this many seconds, at the end of an epoch")]
Precision = Annotated[str | None, typer.Option(help="float32, bfloat16 or tf32; the grid's by default")]
Root = Annotated[Path | None, typer.Option(help="a folder of packed subsets; by default the places that load searches")]
Draw = Annotated[int, typer.Option(help="the seed for drawing the sample")]
DeviceOfGroups = Annotated[str, typer.Option(help="the device for networks trained side by side: cpu or cuda")]

Version = Annotated[
    str | None, typer.Option(help="the version of the pack; the catalogue's by default", callback=_three_numbers)
]

# As many as this process may use, also in a container, and on Windows no more than it can wait for.
CORES: int = joblib.cpu_count()


def zoo_of(
    subset: str | None, out: Path, *, name: str | None, grid: str | None, architecture: str | None
) -> tuple[str, CatalogueEntry | None]:
    """The name of the zoo that is asked for, and the entry of one's own; None where the catalogue has it."""
    if name is not None:
        return name, own_entry(name, runs_folder(name, out), grid=grid, like=subset, described=architecture)
    if subset is None or architecture is not None:
        raise typer.BadParameter(
            "name a subset of the catalogue, or your own zoo with --name (--architecture needs it)", param_hint="SUBSET"
        )
    return subset, None
