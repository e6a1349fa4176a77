"""A borrowed machine: what is carried there and back, in parts, and a quarter of an hour of its GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from generation.cli.options import CORES, GridName, Networks, Out, Precision, Subset, Version, Where, Workers
from generation.cli.training_bar import training_bar
from generation.engines import Job
from generation.images import load_images
from generation.plan import KEPT_EPOCHS, SIDE_BY_SIDE, PlanMismatchError, subset_plan
from nndynbench.cli.console import console


def cut_folder(
    folder: Annotated[Path, typer.Argument(help="the folder to cut, such as DIR/images/cifar10")],
    into: Annotated[Path, typer.Option(help="the folder for the parts")],
    megabytes: Annotated[float, typer.Option(min=0.001, help="the largest size of a part")] = 15.0,
) -> None:
    """Cut a folder into parts that are small enough to carry to or from a borrowed machine."""
    from generation.parcels import cut

    console.print(f"parts written to {into}: {len(cut(folder, into, part_bytes=int(megabytes * 1e6)))}")


def join_folder(
    parts: Annotated[Path, typer.Argument(help="the folder that `cut` wrote")],
    into: Annotated[Path, typer.Option(help="where to put the joined folder")],
) -> None:
    """Join the parts of the folders that were cut."""
    from generation.parcels import join

    console.print(f"joined {', '.join(map(str, join(parts, into)))}")


def borrow(
    subset: Subset,
    out: Out,
    result: Annotated[Path, typer.Option(help="the folder for the parts to carry home")],
    seconds: Annotated[float, typer.Option(min=1, help="seconds for training; packing takes extra time")],
    parts: Annotated[
        Path | None, typer.Option(help="the folder with the parts of the images; by default images are found as for train")
    ] = None,
    side_by_side: Annotated[int, typer.Option(min=2, help="how many networks to train as one group")] = 48,
    device: Annotated[str, typer.Option(help="cuda, or cpu for a trial")] = "cuda",
    networks: Networks = None,
    where: Where = None,
    workers: Workers = CORES,
    keep: Annotated[
        int | None, typer.Option(min=0, help="as for train; by default the earlier pack's value, if any")
    ] = None,
    grid: GridName = None,
    precision: Precision = None,
    version: Version = None,
) -> None:
    """Use a quarter of an hour of a GPU: train one group after another as long as the next one fits, pack the networks that
    ended, and cut the pack into parts; or the states, if none ended.

    If there is a bundled pack that was trained on the same kind of device (such as cifar10-vgg on an H200), its networks are
    put back first.
    """
    from generation.borrowed import check_asked, cut_states, earlier_pack, pack_light, train_while_groups_fit
    from generation.parcels import join
    from generation.restore import plan_beyond
    from generation.restore import restore as put_back

    cache = out.resolve() / "images"
    if parts is not None:
        join(parts, cache)
    kept = KEPT_EPOCHS if keep is None else tuple(range(keep + 1))
    options: dict[str, Any] = {"kept_epochs": kept, "precision": precision, "trainer": SIDE_BY_SIDE}
    made = subset_plan(subset, out, grid=grid, device=device, **options)
    earlier = None if grid is not None else earlier_pack(subset, device)
    if earlier is not None:
        try:
            made = plan_beyond(earlier, out, device=device)
        except PlanMismatchError as reason:
            own = f"or begin a set of its own with --grid {earlier.manifest.grid}"
            raise PlanMismatchError(f"{reason}; {own}") from reason
        check_asked(earlier, made, keep=keep, precision=precision)
    images = load_images(made.entry.images, cache=cache)
    made.bind(images)
    if earlier is not None:
        put_back(earlier, made)
    chosen = made.first(networks, where=where)
    job = Job(made, chosen, cache, side_by_side=side_by_side, device=device, describers=workers)
    with training_bar(made, chosen) as report:
        found = train_while_groups_fit(job, images, seconds=seconds, report=report)
    console.print(
        f"{found.finished} of {found.networks} networks have ended; the longest group took {found.longest_group:.0f} seconds"
    )
    ended = bool(made.finished(made.order))
    if not ended:
        console.print("no network has ended, so there is no pack: the parts hold the states, for another loan to go on from")
    written = pack_light(job, result, version=version) if ended else cut_states(job, result)
    console.print(f"parts written to {result}: {len(written)}")
