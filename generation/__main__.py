"""``python -m generation``: plan, train, watch and pack a subset."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from generation.engines import train_here
from generation.images import load_images
from generation.plan import SubsetPlan, subset_plan
from generation.training import Record

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
console = Console()

Subset = Annotated[str, typer.Argument(help="a subset of the catalogue, such as digits-lenet")]
Out = Annotated[Path, typer.Option(help="the folder that holds <subset>/runs/ and the packed versions")]
Seed = Annotated[int, typer.Option(help="the zoo's seed, from which all others are derived")]
GridName = Annotated[str | None, typer.Option("--grid", help="another grid than the catalogue's")]
Keep = Annotated[int, typer.Option(help="keep snapshots and features of epochs 0 to this one, and of the last")]


@app.command()
def plan(subset: Subset, grid: GridName = None) -> None:
    """Show what a subset trains, and the settings that all of its networks share."""
    made = subset_plan(subset, Path(), grid=grid)
    console.print(f"[bold]{subset}[/bold]: {made.entry.summary}, {len(made.grid.networks)} networks")
    table = Table("hyperparameter", "values", "from", "to", title=f"grid {made.grid.name}, protocol {made.grid.protocol}")
    for column in made.grid.networks:
        values = made.grid.networks[column]
        table.add_row(str(column), str(values.nunique()), str(values.min()), str(values.max()))
    console.print(table)
    console.print(made.grid.recipe(made.order[0]))


@app.command()
def train(
    subset: Subset,
    out: Out,
    images: Annotated[str | None, typer.Option(help="a local folder of the images, or a hub id")] = None,
    networks: Annotated[int | None, typer.Option(help="train this many, spread over the grid; all by default")] = None,
    workers: Annotated[int, typer.Option(help="processes of one thread each")] = len(os.sched_getaffinity(0)),
    time_limit: Annotated[float | None, typer.Option(help="stop cleanly after this many seconds")] = None,
    keep: Keep = 10,
    seed: Seed = 0,
    grid: GridName = None,
    pack_at_end: Annotated[bool, typer.Option("--pack/--no-pack", help="write the subset's files at the end")] = True,
) -> None:
    """Train a subset's networks, or go on where an earlier run stopped, and pack them."""
    made = subset_plan(subset, out, zoo_seed=seed, kept_epochs=tuple(range(keep + 1)), grid=grid)
    cache = out / "images"
    made.bind(load_images(made.entry.images, source=images, cache=cache))
    chosen = made.order[:networks]
    todo = [network for network in chosen if not made.run(network).finished]
    with _progress() as progress:
        bar = progress.add_task(subset, total=len(chosen), completed=len(chosen) - len(todo), detail="")
        tracker = _Tracker(progress, bar, made)
        outcome = train_here(
            made, todo, image_cache=cache, workers=workers, time_limit=time_limit, report=tracker.report
        )
    left = sum(not made.run(network).finished for network in chosen)
    console.print(f"{len(chosen) - left} of {len(chosen)} networks trained in {made.folder}")
    if outcome.stopped and left:
        console.print("stopped before the last one: the same command goes on from here")
    elif pack_at_end:
        _pack(made, [])


@app.command()
def status(subset: Subset, out: Out) -> None:
    """Show how far a folder is."""
    made = subset_plan(subset, out)
    runs = [made.run(network) for network in made.order]
    finished = sum(run.finished for run in runs)
    begun = {run.folder.name: run.progress() for run in runs if run.folder.exists() and not run.finished}
    console.print(f"{subset}: {finished} of {len(runs)} networks trained, {len(begun)} begun")
    for name, epochs in begun.items():
        console.print(f"  network {int(name)}: {epochs} epochs")


@app.command("draw-grid")
def draw_grid(name: Annotated[str, typer.Argument(help="a grid with a [draw] section")]) -> None:
    """Draw the rows of a random grid into its CSV file."""
    from generation.grids.draw import draw_rows

    path = Path(__file__).parent / "grids" / f"{name}.csv"
    draw_rows(name).to_csv(path, index=False, lineterminator="\n")
    console.print(f"drew {path}")


@app.command()
def pack(
    subset: Subset,
    out: Out,
    bundle: Annotated[bool, typer.Option(help="write what the package bundles, into the package")] = False,
    mirror: Annotated[
        list[str] | None, typer.Option(help="where else the files will be: https://…/{subset}/{version}/{file}")
    ] = None,
) -> None:
    """Write a subset's files from its runs, finished or not."""
    from generation.pack import bundled_selection, pack_subset
    from nndynbench.storage.places import bundled_folder

    made = subset_plan(subset, out)
    if bundle:
        console.print(f"packed {pack_subset(made, tiers=bundled_selection(made), into=bundled_folder())}")
    else:
        _pack(made, mirror or [])


@app.command()
def card(
    root: Annotated[Path | None, typer.Argument(help="a folder of packed subsets; the package's by default")] = None,
    out: Annotated[Path, typer.Option(help="the file to write")] = Path("DATASET_CARD.md"),
) -> None:
    """Write the data set's card, its numbers taken from packed subsets."""
    from generation.card import dataset_card, packed_subsets
    from nndynbench.storage.places import bundled_folder

    out.write_text(dataset_card(packed_subsets(root or bundled_folder())), encoding="utf-8")
    console.print(f"wrote {out}")


@app.command()
def publish(
    root: Annotated[Path, typer.Argument(help="a folder of packed subsets")],
    repo: Annotated[str, typer.Option(help="the hub's dataset repository")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="list what would go, and send nothing")] = False,
) -> None:
    """Upload the packed versions that the hub does not have, in one commit, each tagged <subset>-<version>."""
    from generation.publish import plan_upload
    from generation.publish import publish as send

    upload = plan_upload(root, repo)
    for address, path in upload.files.items():
        console.print(f"{path.stat().st_size / 1e6:10.2f} MB  {address}")
    names = ", ".join(f"{name} {version}" for name, version in upload.versions)
    if dry_run:
        size = f"{len(upload.files)} files and the card, {upload.bytes / 1e6:.1f} MB"
        console.print(f"would publish {names} on {repo}: {size}")
        return
    console.print(f"published {names} on {repo} as commit {send(upload, repo)}")


def _pack(made: SubsetPlan, mirrors: list[str]) -> None:
    from generation.card import write_card
    from generation.pack import pack_subset

    folder = pack_subset(made, mirrors=mirrors)
    write_card(folder.parents[1])
    console.print(f"packed {folder}")


class _Tracker:
    """Feeds the progress bar: networks done, epochs a second, the accuracies of the latest network."""

    def __init__(self, progress: Progress, bar: object, made: SubsetPlan) -> None:
        self.progress, self.bar, self.made = progress, bar, made
        self.best = 0.0

    def report(self, record: Record) -> None:
        if not record["epochs"]:
            return
        latest = record["epochs"][-1]
        self.best = max(self.best, latest["validation_accuracy"])
        detail = f"network {record['network']}: {latest['validation_accuracy']:.1f}% at epoch {latest['epoch']}, best so far {self.best:.1f}%"
        done = sum(self.made.run(network).finished for network in self.made.order)
        self.progress.update(self.bar, completed=done, detail=detail)  # type: ignore[arg-type]


def _progress() -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[detail]}"),
        console=console,
    )


if __name__ == "__main__":
    app(prog_name="python -m generation")
