"""Train a packed subset's networks again: to compare them with what is stored, or to make a tier again."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, cast

import typer
from rich.table import Table

from generation.cli.options import CORES, DeviceOfGroups, Draw, ImageSource, Root, Subset, Workers
from generation.cli.packing import same_images
from generation.cli.training import STOPPED
from generation.cli.training_bar import training_bar
from generation.device import CPU
from generation.engines import Job
from generation.engines.here import train_here
from nndynbench.cli.console import console, print_table


def retrain(
    subset: Subset,
    root: Root = None,
    sample: Annotated[int, typer.Option(min=1, help="how many networks to train again")] = 10,
    draw: Draw = 0,
    images: ImageSource = None,
    workers: Workers = CORES,
    device: DeviceOfGroups = CPU,
) -> None:
    """Train some of a packed subset's networks again, and compare them with what is stored."""
    import nndynbench
    from generation import retrain as again

    zoo = nndynbench.load(subset, root=root)
    with TemporaryDirectory() as folder:
        made = again.stored_plan(zoo, Path(folder), device=device)
        cache = Path(folder) / "images"
        made.bind(same_images(zoo, images, cache))
        drawn = again.sample(zoo, sample, seed=draw)
        together = again.networks_in_a_group(made, len(drawn), workers=workers)
        job = Job(made, drawn, cache, side_by_side=together, device=device)
        with training_bar(made, job.networks) as report:
            train_here(job, workers=workers, report=report)
        compared = [again.compare_network(zoo, made.run(network), network) for network in made.finished(job.networks)]
    table = Table("network", "initial weights", "weights", "curves", "signatures", "outcome", "first loss", "final accuracy")
    for row in compared:
        parts = (row.initial_weights, row.weights, row.curves, row.signatures, row.outcome)
        words = [{True: "equal", False: "differ", None: "not at hand"}[part] for part in parts]
        table.add_row(str(row.network), *words, f"{row.loss_difference:.2%}", f"{row.accuracy_change:+.2f} points")
    print_table(table)
    console.print(f"{sum(row.identical for row in compared)} of {len(compared)} networks are identical")
    for expectation in again.expectations(compared):
        console.print(expectation)
    mean, error = again.mean_change(compared)
    if error == error:
        console.print(f"mean change in their final accuracy: {mean:+.2f} points (standard error {error:.2f})")
    if len(compared) < len(job.networks):
        console.print(f"stopped: {len(job.networks) - len(compared)} of {len(job.networks)} networks were not compared")
        raise typer.Exit(STOPPED)
    if not again.reproduced(compared):
        console.print("[bold]not reproduced[/bold]")
        raise typer.Exit(1)


def tier(
    subset: Subset,
    out: Annotated[Path, typer.Option(help="the folder for <subset>/<version>/, with the subset's tables and the tier")],
    name: Annotated[str, typer.Option("--tier", help="the tier to make: graphs, centralities or weights")] = "graphs",
    epochs: Annotated[int, typer.Option(min=1, help="the last epoch to train")] = 5,
    bits: Annotated[int, typer.Option(min=1, max=23, help="round values to this many bits of mantissa")] = 12,
    root: Root = None,
    sample: Annotated[
        int | None, typer.Option(min=1, help="train only this many networks, drawn at random; all by default")
    ] = None,
    draw: Draw = 0,
    images: ImageSource = None,
    workers: Workers = CORES,
    device: DeviceOfGroups = CPU,
) -> None:
    """Make a tier of a packed subset again: train its networks for their first epochs, and compare them with what is stored.

    If it is interrupted, the same command continues. The packed subset's tables do not change.
    """
    import nndynbench
    from generation import again
    from generation.retrain import networks_in_a_group
    from generation.retrain import sample as drawn
    from nndynbench.names import check_name
    from nndynbench.storage.manifest import TIERS, TierName

    check_name(name, TIERS[1:], what="tier of arrays")
    chosen = cast(TierName, name)
    zoo = nndynbench.load(subset, root=root)
    again.check_apart(zoo, out)
    made = again.first_epochs_plan(zoo, out, epochs, device=device)
    cache = out.resolve() / "images"
    made.bind(same_images(zoo, images, cache))
    networks = zoo.network_ids if sample is None else drawn(zoo, sample, seed=draw)
    together = networks_in_a_group(made, len(networks), workers=workers)
    job = Job(made, networks, cache, side_by_side=together, device=device)
    with training_bar(made, job.networks) as report:
        train_here(job, workers=workers, report=report)
    finished = made.finished(job.networks)
    compared = [again.compare(zoo, made, network, chosen, mantissa_bits=bits) for network in finished]
    table = Table(
        "network", "losses equal to the last bit", "degree signatures, relative difference", f"{chosen}, relative difference"
    )
    for row in compared:
        arrays = "none" if row.arrays is None else f"{row.arrays:.1e}"
        table.add_row(str(row.network), f"{row.same_losses} of {row.epochs}", f"{row.signatures:.1e}", arrays)
    print_table(table)
    if len(finished) < len(job.networks):
        console.print("stopped before the last network: run the same command again to continue")
        raise typer.Exit(STOPPED)
    console.print(f"wrote {again.write_pack(zoo, made, out, finished, chosen, mantissa_bits=bits)}")
