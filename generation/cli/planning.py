"""What is to be trained: grids drawn, and a subset's plan with what it costs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from generation import grids
from generation.cli.options import (
    GridName,
    Keep,
    Networks,
    OwnArchitecture,
    OwnName,
    SubsetOrLike,
    WeightsOf,
    Where,
    zoo_of,
)
from generation.plan import KEPT_EPOCHS, SubsetPlan, subset_plan
from nndynbench.cli.console import console, print_table


def plan(
    subset: SubsetOrLike = None,
    grid: GridName = None,
    networks: Networks = None,
    where: Where = None,
    keep: Keep = KEPT_EPOCHS[-1],
    weights_of: WeightsOf = None,
    costs: Annotated[
        bool, typer.Option("--costs/--no-costs", help="train a few steps here to estimate what all networks cost")
    ] = True,
    name: OwnName = None,
    architecture: OwnArchitecture = None,
) -> None:
    """Show what a subset trains, the settings that all its networks share, and the cost: disk space, and core-hours on this
    CPU if networks are trained one by one.
    """
    out = Path()
    zoo, entry = zoo_of(subset, out, name=name, grid=grid, architecture=architecture)
    made = subset_plan(zoo, out, entry=entry, grid=grid, kept_epochs=tuple(range(keep + 1)))
    chosen = made.first(networks, where=where)
    console.print(f"[bold]{zoo}[/bold]: {made.entry.summary}; networks: {len(chosen)}")
    table = Table("hyperparameter", "values", "from", "to", title=f"grid {made.grid.name}, regime {made.grid.regime}")
    for column, values in made.grid.networks.loc[chosen].items():
        table.add_row(str(column), str(values.nunique()), str(values.min()), str(values.max()))
    print_table(table)
    shared = {name: value for name, value in made.grid.recipe(chosen[0]).items() if name not in made.grid.networks}
    console.print("shared by all networks: " + ", ".join(f"{name} = {value}" for name, value in shared.items()))
    console.print(f"order of training: {', '.join(map(str, chosen[:12]))}{', …' if len(chosen) > 12 else ''}")
    if costs:
        console.print(_costs(made, chosen, weights_of))


def _costs(made: SubsetPlan, networks: list[int], weights_of: int | None) -> str:
    from generation.cost import core_seconds, disk, measure

    speed, space = measure(made, networks), disk(made, networks, weights_of=weights_of)
    each = [core_seconds(made, network, speed) for network in networks]
    in_training = "the states" if weights_of is None else "the states and snapshots"
    return (
        f"training takes {sum(each) / 3600:.1f} core-hours on this machine, {min(each):.3g} to {max(each):.3g} core-seconds "
        f"for a network that trains all its epochs; disk space: {_megabytes(space.snapshots)} for snapshots, "
        f"{_megabytes(space.pack)} for the pack (twice that while it replaces an earlier one), and "
        f"{_megabytes(space.training)} for {in_training} of each network in training"
    )


def _megabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def draw_grid(name: Annotated[str, typer.Argument(help="a grid whose file has a section named draw")]) -> None:
    """Draw the rows of a random grid into its CSV file."""
    from generation.grids.draw import draw_rows

    path = Path(grids.__file__).parent / f"{name}.csv"
    draw_rows(name).to_csv(path, index=False, lineterminator="\n")
    console.print(f"wrote {path}")
