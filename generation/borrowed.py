"""Uses a borrowed GPU for a quarter of an hour: trains networks of one subset side by side, group after group as long as
another one fits, then makes a light pack of those that ended, in parts that can be carried home.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from generation.device import device_kind
from generation.engines import Job, Report
from generation.images import Images
from generation.pack import Selection, pack_subset
from generation.parcels import cut
from generation.plan import SIDE_BY_SIDE, PlanMismatchError, SubsetPlan
from generation.retrain import kind_of_devices, trainer_of
from nndynbench.storage.manifest import TierName
from nndynbench.storage.places import NotAtHandError
from nndynbench.subsets.loading import load
from nndynbench.subsets.subset import Subset

# What travels home: about as much as the package bundles of a deep architecture's subset, without weights.
LIGHT_EPOCHS = (1, 2, 3, 4, 5)
LIGHT_BITS = 8
LIGHT: dict[TierName, Selection] = {
    tier: Selection(epochs=LIGHT_EPOCHS, mantissa_bits=LIGHT_BITS) for tier in ("centralities", "graphs")
}
PART_BYTES = 15_000_000


@dataclass(frozen=True)
class Finding:
    """What the time was enough for: how many networks ended, of how many, and the seconds that the longest group took."""

    finished: int
    networks: int
    longest_group: float


def train_while_groups_fit(
    job: Job,
    images: Images,
    *,
    seconds: float,
    report: Report = lambda record: None,
    clock: Callable[[], float] = time.monotonic,
) -> Finding:
    """Train a job's groups to their ends, in this process, within ``seconds``.

    A group is begun only if it would end in time by taking as long as the longest so far. One that runs out of time all the
    same is stopped, and its networks are not packed.
    """
    until, longest = clock() + seconds, 0.0
    for unit in job.units():
        start = clock()
        if start + longest > until:
            break
        job.train(unit, images, stop=lambda: clock() > until, report=report)
        longest = max(longest, clock() - start)
    return Finding(len(job.networks) - len(job.unfinished()), len(job.networks), longest)


def pack_light(job: Job, into: Path, *, version: str | None = None, part_bytes: int = PART_BYTES) -> list[Path]:
    """Pack what ended, with centralities and graphs of epochs 1 to 5 at 8 bits, and cut the pack into parts in ``into``."""
    folder = pack_subset(job.plan, version=version, tiers=LIGHT, into=job.plan.folder.parents[1] / "light")
    return cut(folder.parent, into, part_bytes=part_bytes)


def cut_states(job: Job, into: Path, *, part_bytes: int = PART_BYTES) -> list[Path]:
    """Cut the subset's folder with the runs as they are into parts in ``into``, for a loan in which no network has ended:
    joined below the ``--out`` of another, they are what that goes on from.
    """
    return cut(job.plan.folder.parent, into, part_bytes=part_bytes)


def check_asked(earlier: Subset, plan: SubsetPlan, *, keep: int | None, precision: str | None) -> None:
    """Check that the options asked for agree with the plan of the earlier pack that networks join; None asks for nothing.

    Raises
    ------
    PlanMismatchError
        Naming the option, its value and that of the earlier pack.
    """
    trained = {plan.network(network).recipe["precision"] for network in plan.order}
    for option, asked, there in (("keep", keep, {max(plan.kept_epochs)}), ("precision", precision, trained)):
        if asked is not None and {asked} != there:
            raise PlanMismatchError(
                f"new networks join those of {earlier}, trained with --{option} {', '.join(map(str, sorted(there)))}: "
                f"--{option} {asked} would make another zoo, which needs a --grid of its own"
            )


def earlier_pack(subset: str, device: str) -> Subset | None:
    """The pack at hand that networks trained here join: one trained side by side on this kind of device; or None."""
    try:
        zoo = load(subset, offline=True)
    except NotAtHandError:
        return None
    return zoo if trainer_of(zoo) == SIDE_BY_SIDE and kind_of_devices(zoo) == device_kind(device) else None
