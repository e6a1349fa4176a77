"""``python -m generation``: plan, train, watch, pack and repeat a subset."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, cast

import typer
from rich import progress as bars
from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from nndynbench.cli.console import CommandLine, console, need, print_table, run

if __name__ == "__main__":
    need("torch")

from generation.device import CPU, computes_bfloat16, need_gpu
from generation.engines import Job, Outcome, Report, shard
from generation.engines.here import train_here
from generation.images import Images, OtherImagesError, load_images
from generation.own import own_entry
from generation.plan import KEPT_EPOCHS, ONE_BY_ONE, SIDE_BY_SIDE, SubsetPlan, begun_plan, runs_folder, subset_plan
from generation.progress import Meter, Progress, duration, folder_progress
from generation.queue import QueuedZoo, packed_networks, read_queue, to_train
from generation.training import Record
from nndynbench.storage.files import locked
from nndynbench.subsets.subset import Subset as Packed

app = CommandLine(help=__doc__)


class Engine(StrEnum):
    """Where the work is done."""

    local = "local"
    ray = "ray"


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
LOGGED_EVERY_SECONDS = 60.0

# The status of a training that ended before its networks did, so that a script can call it again.
STOPPED = os.EX_TEMPFAIL
CORES = len(os.sched_getaffinity(0))


@app.command()
def plan(
    subset: Subset,
    grid: GridName = None,
    networks: Networks = None,
    where: Where = None,
    keep: Keep = KEPT_EPOCHS[-1],
    weights_of: WeightsOf = None,
    costs: Annotated[bool, typer.Option("--costs/--no-costs", help="train a few steps here, and say what all cost")] = True,
) -> None:
    """Show what a subset trains, the settings that all of its networks share, and what it costs: core-hours, one by one on
    this CPU, and disk.
    """
    made = subset_plan(subset, Path(), grid=grid, kept_epochs=tuple(range(keep + 1)))
    chosen = made.first(networks, where=where)
    console.print(f"[bold]{subset}[/bold]: {made.entry.summary}, {len(chosen)} networks")
    table = Table("hyperparameter", "values", "from", "to", title=f"grid {made.grid.name}, regime {made.grid.regime}")
    for column, values in made.grid.networks.loc[chosen].items():
        table.add_row(str(column), str(values.nunique()), str(values.min()), str(values.max()))
    print_table(table)
    shared = {name: value for name, value in made.grid.recipe(chosen[0]).items() if name not in made.grid.networks}
    console.print("shared by all: " + ", ".join(f"{name} = {value}" for name, value in shared.items()))
    console.print(f"in this order: {', '.join(map(str, chosen[:12]))}{', …' if len(chosen) > 12 else ''}")
    if costs:
        console.print(_costs(made, chosen, weights_of))


def _costs(made: SubsetPlan, networks: list[int], weights_of: int | None) -> str:
    from generation.cost import core_seconds, disk, measure

    speed, space = measure(made, networks), disk(made, networks, weights_of=weights_of)
    each = [core_seconds(made, network, speed) for network in networks]
    return (
        f"costs {sum(each) / 3600:.1f} core-hours here, {min(each):.3g} to {max(each):.3g} core-seconds a network with "
        f"all of its epochs; {_megabytes(space.snapshots)} of snapshots, {_megabytes(space.states)} of states for each "
        "network under way"
    )


def _megabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


@app.command()
def train(
    out: Out,
    subset: Annotated[str | None, typer.Argument(help="a subset of the catalogue; of another --name one like it")] = None,
    images: ImageSource = None,
    networks: Networks = None,
    where: Where = None,
    part: Annotated[str, typer.Option("--shard", help="only the i-th of n parts, written i/n")] = "1/1",
    workers: Workers = CORES,
    time_limit: TimeLimit = None,
    keep: Keep = KEPT_EPOCHS[-1],
    weights_of: WeightsOf = None,
    seed: Seed = 0,
    grid: GridName = None,
    precision: Annotated[str | None, typer.Option(help="float32, bfloat16 or tf32; the grid's by default")] = None,
    side_by_side: Annotated[int, typer.Option(min=1, help="train this many networks as one group: for GPUs")] = 1,
    device: Annotated[str, typer.Option(help="of groups: cpu or cuda")] = CPU,
    engine: Annotated[Engine, typer.Option(help="this machine, or a Ray cluster")] = Engine.local,
    address: Annotated[str | None, typer.Option(help="of the Ray cluster; by default one is started here")] = None,
    gpus: Annotated[float, typer.Option(help="of each Ray task; may be a fraction")] = 0.0,
    pack_at_end: Annotated[bool, typer.Option("--pack/--no-pack", help="write the subset's files at the end")] = True,
    name: Annotated[str | None, typer.Option(help="of a zoo of one's own, by a --grid of one's own")] = None,
    architecture: Annotated[str | None, typer.Option(help="of a zoo of one's own: a TOML file that describes it")] = None,
) -> None:
    """Train a subset's networks, or go on where an earlier run stopped, and pack them.

    Ends with status 75 where Ctrl-C, SIGTERM or the time limit stopped it before the last network: call it again.
    """
    if device != CPU and engine is Engine.local:
        need_gpu(device)
    if device != CPU and side_by_side == 1:
        raise typer.BadParameter("a GPU trains groups: give --side-by-side too", param_hint="--device")
    trainer = ONE_BY_ONE if side_by_side == 1 else SIDE_BY_SIDE
    if name is None and (subset is None or architecture is not None):
        raise typer.BadParameter("name a subset of the catalogue, or a zoo of your own: --name", param_hint="SUBSET")
    entry = None
    if name is not None:
        entry = own_entry(name, runs_folder(name, out), grid=grid, like=subset, described=architecture)
    made = subset_plan(
        str(name or subset),
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
    made.bind(load_images(made.entry.images, source=images, cache=cache))
    chosen = made.first(networks, where=where)
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
    with _progress(made, job.networks) as report:
        if engine is Engine.ray:
            from generation.engines.cluster import train_with_ray

            outcome = train_with_ray(job, address=address, gpus=gpus, time_limit=time_limit, report=report)
        else:
            outcome = train_here(job, workers=workers, time_limit=time_limit, report=report)
    _conclude(made, job, outcome, chosen, pack_at_end=pack_at_end)


@app.command()
def status(subset: Subset, out: Out, networks: Networks = None, where: Where = None) -> None:
    """Show how far a folder is: also while it is being trained."""
    made = begun_plan(subset, out)
    chosen = made.first(networks, where=where)
    so_far = folder_progress(made, chosen)
    console.print(f"{subset}: {len(so_far.epochs_of)} of {len(chosen)} networks trained, {len(so_far.begun)} begun")
    if so_far.core_seconds_left is not None:
        console.print(_core_seconds(so_far))
    for network, epochs in sorted(so_far.begun.items()):
        accuracy = so_far.accuracies[network]
        console.print(f"  network {network}: {epochs} of at most {so_far.longest} epochs, {accuracy:.1f}%")
    console.print(_summary(so_far))


@app.command("queue")
def work_through_queue(
    out: Out,
    images: ImageSource = None,
    workers: Workers = CORES,
    time_limit: TimeLimit = None,
    where: Annotated[Path | None, typer.Option("--queue", help="another file like generation/queue.toml")] = None,
    show: Annotated[bool, typer.Option("--show", help="show where the queue is, and train nothing")] = False,
) -> None:
    """Train all zoos that are still to be trained, in the order of queue.toml, and pack each that ends; goes on where an
    earlier run stopped.

    Ends with status 75 where Ctrl-C, SIGTERM or the time limit stopped it before the last network: call it again.
    """
    queue = read_queue(where)
    if show:
        _show_queue(queue, out)
        return
    until = None if time_limit is None else time.monotonic() + time_limit
    cache = out.resolve() / "images"
    for zoo, made in to_train(queue, out):
        _warn_of_slow_bfloat16(made, CPU)
        made.bind(load_images(made.entry.images, source=images, cache=cache))
        job = Job(made, made.order, cache, weights_of=zoo.weights_of)
        left = None if until is None else max(until - time.monotonic(), 0.0)
        with _progress(made, job.networks) as report:
            outcome = train_here(job, workers=workers, time_limit=left, report=report)
        _conclude(made, job, outcome, made.order, pack_at_end=packed_networks(made) < len(made.order))
    _show_queue(queue, out)


def _show_queue(queue: list[QueuedZoo], out: Path) -> None:
    table = Table("zoo", "trained", "core-seconds a network", "core-hours left", "packed", "waits for")
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
            "" if each is None else f"{each:.3g}",
            "" if left is None else f"{left / 3600:.1f}",
            str(packed_networks(made)),
            "",
        )
    print_table(table)


@app.command()
def pack(
    subset: Subset,
    out: Out,
    version: Annotated[str | None, typer.Option(help="of the pack; the catalogue's by default")] = None,
    bundle: Annotated[bool, typer.Option(help="write what the package bundles, into the package")] = False,
    mirror: Annotated[
        list[str] | None, typer.Option(help="where else the files will be: https://…/{subset}/{version}/{file}")
    ] = None,
) -> None:
    """Write a subset's files from its runs, finished or not."""
    from generation.pack import bundled_selection
    from nndynbench.storage.places import bundled_folder

    made = begun_plan(subset, out)
    if bundle:
        _pack(made, version=version, tiers=bundled_selection(made), into=bundled_folder())
    else:
        _pack(made, version=version, mirrors=mirror or [])


@app.command()
def retrain(
    subset: Subset,
    root: Annotated[Path | None, typer.Option(help="the folder of the packed subset; as load by default")] = None,
    sample: Annotated[int, typer.Option(min=1, help="how many networks to train again")] = 10,
    draw: Annotated[int, typer.Option(help="the seed that draws them")] = 0,
    images: ImageSource = None,
    workers: Workers = CORES,
    device: Annotated[str, typer.Option(help="where networks were trained side by side: cpu or cuda")] = CPU,
) -> None:
    """Train some of a packed subset's networks again, and compare them with what is stored."""
    import nndynbench
    from generation import retrain as again

    zoo = nndynbench.load(subset, root=root)
    with TemporaryDirectory() as folder:
        made = again.stored_plan(zoo, Path(folder), device=device)
        cache = Path(folder) / "images"
        made.bind(_same_images(zoo, images, cache))
        drawn = again.sample(zoo, sample, seed=draw)
        together = again.networks_in_a_group(made, len(drawn), workers=workers)
        job = Job(made, drawn, cache, side_by_side=together, device=device)
        with _progress(made, job.networks) as report:
            train_here(job, workers=workers, report=report)
        compared = [again.compare_network(zoo, made.run(network), network) for network in made.finished(job.networks)]
    table = Table("network", "initial weights", "weights", "curves", "signatures", "outcome", "first loss", "final accuracy")
    for row in compared:
        parts = (row.initial_weights, row.weights, row.curves, row.signatures, row.outcome)
        words = [{True: "equal", False: "differ", None: "not at hand"}[part] for part in parts]
        table.add_row(str(row.network), *words, f"{row.loss_difference:.2%}", f"{row.accuracy_change:+.2f} points")
    print_table(table)
    console.print(f"{sum(row.identical for row in compared)} of {len(compared)} networks identical")
    for expectation in again.expectations(compared):
        console.print(expectation)
    mean, error = again.mean_change(compared)
    if error == error:
        console.print(f"mean change of the final accuracy there: {mean:+.2f} points (standard error {error:.2f})")
    if not again.reproduced(compared) or len(compared) < len(job.networks):
        console.print("[bold]not reproduced[/bold]")
        raise typer.Exit(1)


@app.command()
def tier(
    subset: Subset,
    out: Annotated[Path, typer.Option(help="the folder for <subset>/<version>/: the subset's tables and the tier")],
    name: Annotated[str, typer.Option("--tier", help="graphs, centralities or weights")] = "graphs",
    epochs: Annotated[int, typer.Option(min=1, help="the last epoch")] = 5,
    bits: Annotated[int, typer.Option(min=1, max=23, help="of mantissa, to which values are rounded")] = 12,
    root: Annotated[Path | None, typer.Option(help="the folder of the packed subset; as load by default")] = None,
    sample: Annotated[int | None, typer.Option(min=1, help="only this many networks, drawn; all by default")] = None,
    draw: Annotated[int, typer.Option(help="the seed that draws them")] = 0,
    images: ImageSource = None,
    workers: Workers = CORES,
    device: Annotated[str, typer.Option(help="where networks were trained side by side: cpu or cuda")] = CPU,
) -> None:
    """Make a tier of a packed subset again: train its networks for their first epochs, and compare them with what is stored.

    Interrupted, the same command goes on. The packed subset's tables stay what they are.
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
    made = again.first_epochs_plan(zoo, out, epochs, device=device)
    cache = out.resolve() / "images"
    made.bind(_same_images(zoo, images, cache))
    networks = zoo.network_ids if sample is None else drawn(zoo, sample, seed=draw)
    together = networks_in_a_group(made, len(networks), workers=workers)
    job = Job(made, networks, cache, side_by_side=together, device=device)
    with _progress(made, job.networks) as report:
        train_here(job, workers=workers, report=report)
    finished = made.finished(job.networks)
    compared = [again.compare(zoo, made, network, chosen, mantissa_bits=bits) for network in finished]
    table = Table("network", "losses equal to the last bit", "degree signatures, relative", f"{chosen} at hand, relative")
    for row in compared:
        arrays = "none" if row.arrays is None else f"{row.arrays:.1e}"
        table.add_row(str(row.network), f"{row.same_losses} of {row.epochs}", f"{row.signatures:.1e}", arrays)
    print_table(table)
    if len(finished) < len(job.networks):
        console.print("stopped before the last one: the same command goes on from here")
        raise typer.Exit(STOPPED)
    console.print(f"wrote {again.write_pack(zoo, made, out, finished, chosen, mantissa_bits=bits)}")


@app.command()
def bundle(
    subset: Subset,
    root: Annotated[Path | None, typer.Option(help="a folder of packs, read before what is bundled")] = None,
) -> None:
    """Write what the package bundles of a packed subset into the package: its tables, and tiers as the catalogue says. What
    is too large for the package goes to data/ of this clone.
    """
    from generation.bundle import bundle_subset, write_beside
    from nndynbench.storage.places import bundled_folder, find

    folders = [*(find(subset, root=root) if root is not None else []), *find(subset)]
    zoo = Packed(folders[0], also=folders[1:])
    beside = write_beside(zoo, Path(__file__).parents[1] / "data")
    written = Packed(bundle_subset(zoo, bundled_folder()))
    size = sum(facts.bytes for facts in written.manifest.files.values()) / 1e6
    console.print(f"bundled {written.folder}: {size:.1f} MB")
    if beside is not None:
        console.print(f"beside the package: {beside}")


@app.command()
def restore(
    subset: Subset,
    out: Out,
    root: Annotated[Path | None, typer.Option(help="the folder of the packed subset; as load by default")] = None,
    images: ImageSource = None,
    grid: GridName = None,
    device: Annotated[str, typer.Option(help="that trained it: cpu or cuda")] = CPU,
) -> None:
    """Put a packed subset's networks back into a folder of runs, to train and pack more networks beside them."""
    import nndynbench
    from generation.restore import plan_beyond
    from generation.restore import restore as put_back

    zoo = nndynbench.load(subset, root=root)
    made = plan_beyond(zoo, out, grid=grid, device=device)
    made.bind(_same_images(zoo, images, out.resolve() / "images"))
    restored = put_back(zoo, made)
    there = len(made.finished(made.order))
    trained = f"{there} of {len(made.order)} are trained"
    console.print(escape(f"restored {len(restored)} networks of {zoo} in {made.folder}; {trained}"))


@app.command("cut")
def cut_folder(
    folder: Annotated[Path, typer.Argument(help="such as DIR/images/cifar10")],
    into: Annotated[Path, typer.Option(help="where the parts go")],
    megabytes: Annotated[float, typer.Option(min=0.001, help="of a part, at most")] = 15.0,
) -> None:
    """Cut a folder into parts that are small enough to be carried to or from a borrowed machine."""
    from generation.parcels import cut

    console.print(f"{len(cut(folder, into, part_bytes=int(megabytes * 1e6)))} parts in {into}")


@app.command("join")
def join_folder(
    parts: Annotated[Path, typer.Argument(help="the folder that `cut` wrote")],
    into: Annotated[Path, typer.Option(help="where the folder that was cut comes back")],
) -> None:
    """Put a folder that was cut into parts together again."""
    from generation.parcels import join

    console.print(f"joined {join(parts, into)}")


@app.command()
def borrow(
    subset: Subset,
    out: Out,
    result: Annotated[Path, typer.Option(help="where the parts to carry home go")],
    seconds: Annotated[float, typer.Option(min=1, help="for training; packing comes on top")],
    parts: Annotated[Path | None, typer.Option(help="the images' parts; else as for train")] = None,
    side_by_side: Annotated[int, typer.Option(min=2, help="networks of a group")] = 48,
    device: Annotated[str, typer.Option(help="cuda, or cpu to try it")] = "cuda",
    networks: Networks = None,
    where: Where = None,
    workers: Workers = CORES,
    keep: Keep = KEPT_EPOCHS[-1],
    grid: GridName = None,
    precision: Annotated[str | None, typer.Option(help="float32, bfloat16 or tf32; the grid's by default")] = None,
) -> None:
    """Use a quarter of an hour of a GPU: train groups while another one fits, pack what ended, and cut it into parts.

    Networks of a bundled pack from the same kind of device, such as cifar10-vgg's of an H200, are put back first.
    """
    from generation.borrowed import earlier_pack, pack_light, train_while_groups_fit
    from generation.parcels import join
    from generation.restore import plan_beyond
    from generation.restore import restore as put_back

    cache = out.resolve() / "images"
    if parts is not None:
        join(parts, cache)
    options: dict[str, Any] = {"kept_epochs": tuple(range(keep + 1)), "precision": precision, "trainer": SIDE_BY_SIDE}
    made = subset_plan(subset, out, grid=grid, device=device, **options)
    earlier = None if grid is not None else earlier_pack(subset, device)
    if earlier is not None:
        made = plan_beyond(earlier, out, device=device)
    images = load_images(made.entry.images, cache=cache)
    made.bind(images)
    if earlier is not None:
        put_back(earlier, made)
    chosen = made.first(networks, where=where)
    job = Job(made, chosen, cache, side_by_side=side_by_side, device=device, describers=workers)
    with _progress(made, chosen) as report:
        found = train_while_groups_fit(job, images, seconds=seconds, report=report)
    console.print(
        f"{found.finished} of {found.networks} networks have ended; the longest group took {found.longest_group:.0f} seconds"
    )
    console.print(f"{len(pack_light(job, result))} parts in {result}")


@app.command("draw-grid")
def draw_grid(name: Annotated[str, typer.Argument(help="a grid with a [draw] section")]) -> None:
    """Draw the rows of a random grid into its CSV file."""
    from generation.grids.draw import draw_rows

    path = Path(__file__).parent / "grids" / f"{name}.csv"
    draw_rows(name).to_csv(path, index=False, lineterminator="\n")
    console.print(f"drew {path}")


@app.command()
def card(
    root: Annotated[Path | None, typer.Argument(help="a folder of packed subsets; the package's by default")] = None,
    out: Annotated[Path, typer.Option(help="the file to write")] = Path("DATASET_CARD.md"),
) -> None:
    """Write the data set's card and its Croissant file, their numbers taken from packed subsets; beside the package's own
    card also CITATION.cff and .zenodo.json.
    """
    from generation.card import dataset_card, packed_subsets
    from generation.card.croissant import CROISSANT_NAME, croissant_json
    from generation.card.repository import repository_files
    from nndynbench.storage.places import bundled_folder

    folder = root or bundled_folder()
    subsets = packed_subsets(folder)
    written = {out: dataset_card(subsets), folder / CROISSANT_NAME: croissant_json(subsets)}
    if root is None:
        written |= {out.parent / name: text for name, text in repository_files().items()}
    for path, text in written.items():
        path.write_text(text, encoding="utf-8")
        console.print(escape(f"wrote {path}"))


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
        size = f"{len(upload.files)} files, the card and the Croissant file, {upload.bytes / 1e6:.1f} MB"
        console.print(f"would publish {names} on {repo}: {size}")
        return
    console.print(f"published {names} on {repo} as commit {send(upload, repo)}")


def _same_images(zoo: Packed, source: str | None, cache: Path) -> Images:
    """The images that a packed subset was trained on; raises `OtherImagesError` for others."""
    found = load_images(zoo.manifest.images.name, source=source, cache=cache)
    if found.digest != zoo.manifest.images.digest:
        expected = zoo.manifest.images.digest
        raise OtherImagesError(f"{zoo} was trained on images with the digest {expected}, these have {found.digest}")
    return found


def _conclude(made: SubsetPlan, job: Job, outcome: Outcome, chosen: list[int], *, pack_at_end: bool) -> None:
    console.print(escape(f"{outcome.finished} of {len(job.networks)} networks trained in {made.folder}"))
    missing = len(chosen) - len(made.finished(chosen))
    if outcome.stopped and outcome.finished < len(job.networks):
        console.print("stopped before the last one: the same command goes on from here")
        raise typer.Exit(STOPPED)
    if missing:
        console.print(f"{missing} networks of other shards are not finished: the last shard packs")
    elif pack_at_end:
        _pack(made)


def _pack(made: SubsetPlan, **options: Any) -> None:
    """Pack with the options of `generation.pack.pack_subset`, and say what is missing."""
    from generation.card import write_card
    from generation.pack import pack_subset
    from nndynbench.storage.tables import SPLITS_FILE
    from nndynbench.subsets import catalogue

    # Two shards may end at the same moment.
    with locked(made.folder / "pack.lock"):
        packed = Packed(pack_subset(made, **options))
        if "into" not in options and made.entry.name in catalogue():
            write_card(packed.folder.parents[1])
    trained = f"{packed.manifest.networks} of {packed.manifest.networks_planned} networks"
    console.print(escape(f"packed {packed.folder}: {trained}"))
    for split, reason in json.loads((packed.folder / SPLITS_FILE).read_text(encoding="utf-8"))["left_out"].items():
        console.print(f"  without the split {split}: {reason}")
    if len(packed.devices) > 1:
        console.print(f"  trained on {len(packed.devices)} processors: {', '.join(packed.devices)}")


def _warn_of_slow_bfloat16(made: SubsetPlan, device: str) -> None:
    if device == CPU and made.network(made.order[0]).recipe["precision"] == "bfloat16" and not computes_bfloat16():
        console.print(
            "[yellow]this CPU lacks the instructions for bfloat16: training will take many times as long as in "
            "float32[/yellow] (--precision float32 makes another zoo, in another --out)"
        )


def _core_seconds(so_far: Progress) -> str:
    trained = len(so_far.epochs_of)
    each, left = so_far.mean_core_seconds, so_far.core_seconds_left
    return (
        f"one network costs {each:.3g} core-seconds (mean of {trained}), {trained} are trained, "
        f"{len(so_far.networks) - trained} are left: {(left or 0) / 3600:.1f} core-hours"
    )


def _summary(so_far: Progress) -> str:
    parts = [f"{60 * so_far.rate:.1f} epochs a minute"] if so_far.rate else []
    if so_far.epochs_left:
        parts.append(f"about {so_far.epochs_left:.0f} epochs left (time left: {duration(so_far.seconds_left)})")
    return ", ".join([*parts, so_far.accuracy_summary])


class BarAndWords(bars.Progress):
    """A bar, and a line of words below it, which a narrow terminal breaks."""

    words = ""

    def get_renderables(self) -> Iterator[RenderableType]:
        yield from super().get_renderables()
        yield self.words


@contextmanager
def _progress(made: SubsetPlan, networks: list[int]) -> Iterator[Report]:
    """A bar of networks, with rate, time left and accuracies; yields what takes in a network's record."""
    so_far, meter = folder_progress(made, networks), Meter()
    so_far.rate = None
    columns = ("{task.description}", bars.BarColumn(20), bars.MofNCompleteColumn(), bars.TimeElapsedColumn())
    with BarAndWords(*columns, console=console) as bar:
        task = bar.add_task(made.entry.name, total=len(networks), completed=len(so_far.epochs_of))
        said = time.monotonic()

        def report(record: Record) -> None:
            nonlocal said
            so_far.rate = meter.count(so_far.add(record))
            bar.words = _summary(so_far)
            bar.update(task, completed=len(so_far.epochs_of))
            # A log has no bar, which is drawn once, at the end.
            if not console.is_terminal and time.monotonic() - said > LOGGED_EVERY_SECONDS:
                said = time.monotonic()
                console.print(f"{len(so_far.epochs_of)} of {len(networks)} networks trained: {_summary(so_far)}")

        yield report


def main() -> None:
    """Run a command; a scheduler's request to end is a Ctrl-C: training stops at the end of the epoch."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    run(app, "python -m generation")


if __name__ == "__main__":
    main()
