"""Train a subset's networks, watch them, and work through what is still to be trained."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from generation.cli.options import (
    CORES,
    GridName,
    ImageSource,
    Keep,
    Networks,
    Out,
    OwnArchitecture,
    OwnName,
    Precision,
    Seed,
    Subset,
    SubsetOrLike,
    TimeLimit,
    Version,
    WeightsOf,
    Where,
    Workers,
    zoo_of,
)
from generation.cli.packing import write_pack
from generation.cli.training_bar import summary, training_bar
from generation.device import CPU, computes_bfloat16, need_gpu
from generation.engines import Job, Outcome, shard
from generation.engines.here import train_here
from generation.images import load_images
from generation.own import with_architecture_kept
from generation.plan import KEPT_EPOCHS, ONE_BY_ONE, SIDE_BY_SIDE, SubsetPlan, begun_plan, subset_plan
from generation.progress import Progress, folder_progress
from generation.queue import QueuedZoo, packed_networks, read_queue, to_train
from nndynbench.cli.console import console, print_table
from nndynbench.storage.manifest import CPU_GROUP

# The status of a training that ended before its networks did, so that a script can call it again: os.EX_TEMPFAIL, which
# Windows does not name.
STOPPED = 75


class Engine(StrEnum):
    """Where the work is done."""

    local = "local"
    ray = "ray"


def train(
    out: Out,
    subset: SubsetOrLike = None,
    images: ImageSource = None,
    networks: Networks = None,
    where: Where = None,
    part: Annotated[str, typer.Option("--shard", help="train only part i of n, written i/n")] = "1/1",
    workers: Workers = CORES,
    time_limit: TimeLimit = None,
    keep: Keep = KEPT_EPOCHS[-1],
    weights_of: WeightsOf = None,
    seed: Seed = 0,
    grid: GridName = None,
    precision: Precision = None,
    side_by_side: Annotated[int, typer.Option(min=1, help="train this many networks as one group, for GPUs")] = 1,
    device: Annotated[str, typer.Option(help="the device for groups: cpu or cuda")] = CPU,
    engine: Annotated[Engine, typer.Option(help="where to train: this machine, or a Ray cluster")] = Engine.local,
    address: Annotated[
        str | None, typer.Option(help="the address of the Ray cluster; by default one is started here")
    ] = None,
    gpus: Annotated[float, typer.Option(min=0, help="GPUs for each Ray task; may be a fraction")] = 0.0,
    pack_at_end: Annotated[bool, typer.Option("--pack/--no-pack", help="write the subset's files at the end")] = True,
    version: Version = None,
    name: OwnName = None,
    architecture: OwnArchitecture = None,
) -> None:
    """Train a subset's networks and pack them; continue if an earlier run was stopped.

    If Ctrl-C, SIGTERM or the time limit stops it before the last network, it exits with status 75: run it again.
    """
    if device != CPU and engine is Engine.local:
        need_gpu(device)
    if device != CPU and side_by_side == 1:
        raise typer.BadParameter("a GPU trains networks in groups: give --side-by-side too", param_hint="--device")
    if device != CPU and engine is Engine.ray and not gpus:
        # Ray hides all GPUs from a task that asks for none.
        raise typer.BadParameter(f"--device {device} needs a share of a GPU for each task, such as 0.5", param_hint="--gpus")
    trainer = ONE_BY_ONE if side_by_side == 1 else SIDE_BY_SIDE
    zoo, entry = zoo_of(subset, out, name=name, grid=grid, architecture=architecture)
    made = subset_plan(
        zoo,
        out,
        entry=entry,
        zoo_seed=seed,
        kept_epochs=tuple(range(keep + 1)),
        grid=grid,
        precision=precision,
        trainer=trainer,
        device=device,
    )
    _warn_of_slow_bfloat16(made, device)
    cache = out.resolve() / "images"
    with _stopping_before_the_end("decoding images"):
        loaded = load_images(made.entry.images, source=images, cache=cache)
    chosen = made.first(networks, where=where)
    made = replace(made, entry=with_architecture_kept(made.entry, made.folder))
    made.bind(loaded)
    describers = 1 if device == CPU else workers
    job = Job(
        made,
        shard(chosen, part),
        cache,
        side_by_side=side_by_side,
        device=device,
        describers=describers,
        weights_of=weights_of,
    )
    with training_bar(made, job.networks) as report:
        if engine is Engine.ray:
            from generation.engines.cluster import train_with_ray

            outcome = train_with_ray(job, address=address, gpus=gpus, time_limit=time_limit, report=report)
        else:
            outcome = train_here(job, workers=workers, time_limit=time_limit, report=report)
    _conclude(made, job, outcome, chosen, pack_at_end=pack_at_end, version=version)


def _conclude(
    made: SubsetPlan, job: Job, outcome: Outcome, chosen: list[int], *, pack_at_end: bool, version: str | None = None
) -> None:
    console.print(escape(f"{outcome.finished} of {len(job.networks)} networks trained in {made.folder}"))
    missing = len(chosen) - len(made.finished(chosen))
    if outcome.stopped and outcome.finished < len(job.networks):
        console.print("stopped before the last network: run the same command again to continue")
        raise typer.Exit(STOPPED)
    if missing:
        console.print(f"networks of other shards that are not finished: {missing}; the shard that ends last packs")
    elif pack_at_end:
        with _stopping_before_the_end("packing"):
            write_pack(made, version=version)


@contextmanager
def _stopping_before_the_end(doing: str) -> Iterator[None]:
    """End the command as one that was stopped while training, if it is stopped here."""
    try:
        yield
    except KeyboardInterrupt:
        console.print(f"stopped while {doing}: run the same command again to continue")
        raise typer.Exit(STOPPED) from None


def _warn_of_slow_bfloat16(made: SubsetPlan, device: str) -> None:
    if device == CPU and made.network(made.order[0]).recipe["precision"] == "bfloat16" and not computes_bfloat16():
        console.print(
            "[yellow]this CPU lacks the instructions for bfloat16: training will take many times as long as in "
            "float32[/yellow] (--precision float32 makes another zoo, which needs another --out)"
        )


def status(subset: Subset, out: Out, networks: Networks = None, where: Where = None) -> None:
    """Show how far the training in a folder has come, even while it runs."""
    made = begun_plan(subset, out)
    chosen = made.first(networks, where=where)
    so_far = folder_progress(made, chosen)
    console.print(f"{subset}: {len(so_far.epochs_of)} of {len(chosen)} networks trained, {len(so_far.begun)} begun")
    console.print(f"packed: {packed_networks(made)} of {len(made.order)}")
    if so_far.core_seconds_left is not None:
        console.print(_core_seconds(so_far))
    for network, epochs in sorted(so_far.begun.items()):
        accuracy = so_far.accuracies[network]
        console.print(f"  network {network}: {epochs} of at most {so_far.longest} epochs, accuracy {accuracy:.1f}%")
    console.print(summary(so_far))


def _core_seconds(so_far: Progress) -> str:
    trained = len(so_far.epochs_of)
    each, left = so_far.mean_core_seconds, so_far.core_seconds_left
    return (
        f"a network takes {each:.3g} {so_far.clock}seconds (mean of {len(so_far.costs)}); trained: {trained}; "
        f"left: {len(so_far.networks) - trained} ({(left or 0) / 3600:.1f} {so_far.clock}hours)"
    )


def work_through_queue(
    out: Out,
    images: ImageSource = None,
    workers: Workers = CORES,
    time_limit: TimeLimit = None,
    where: Annotated[
        Path | None, typer.Option("--queue", help="a queue file to use instead of generation/queue.toml")
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="show the state of the queue, and train nothing")] = False,
) -> None:
    """Train all zoos that are still to be trained, in the order of queue.toml, and pack each one when it ends; continue if
    an earlier run was stopped.

    If Ctrl-C, SIGTERM or the time limit stops it before the last network, it exits with status 75: run it again.
    """
    queue = read_queue(where)
    if show:
        _show_queue(queue, out)
        return
    until = None if time_limit is None else time.monotonic() + time_limit
    cache = out.resolve() / "images"
    for zoo, made in to_train(queue, out):
        _warn_of_slow_bfloat16(made, CPU)
        with _stopping_before_the_end("decoding images"):
            made.bind(load_images(made.entry.images, source=images, cache=cache))
        together = 1 if made.trainer == ONE_BY_ONE else CPU_GROUP
        job = Job(made, made.order, cache, side_by_side=together, weights_of=zoo.weights_of)
        left = None if until is None else max(until - time.monotonic(), 0.0)
        with training_bar(made, job.networks) as report:
            outcome = train_here(job, workers=workers, time_limit=left, report=report)
        _conclude(made, job, outcome, made.order, pack_at_end=packed_networks(made) < len(made.order))
    _show_queue(queue, out)


def _show_queue(queue: list[QueuedZoo], out: Path) -> None:
    table = Table("zoo", "trained", "a network", "left", "packed", "waits for")
    for zoo in queue:
        if zoo.waits_for is not None:
            table.add_row(zoo.subset, "", "", "", "", zoo.waits_for)
            continue
        made = zoo.plan(out)
        so_far = folder_progress(made)
        each, left = so_far.mean_core_seconds, so_far.core_seconds_left
        table.add_row(
            zoo.subset,
            f"{len(so_far.epochs_of)} of {len(made.order)}",
            "" if each is None else f"{each:.3g} {so_far.clock}seconds",
            "" if left is None else f"{left / 3600:.1f} {so_far.clock}hours",
            str(packed_networks(made)),
            "",
        )
    print_table(table)
