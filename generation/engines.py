"""Where networks are trained: on this machine, in one-thread processes side by side."""

from __future__ import annotations

import os
import queue
import signal
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from generation.images import load_images
from generation.plan import SubsetPlan
from generation.training import Record, train_network

Report = Callable[[Record], None]

POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Outcome:
    """How a call to `train_here` ended: networks finished by it, and whether something stopped it before the last."""

    finished: int
    stopped: bool


def train_here(
    plan: SubsetPlan,
    networks: list[int],
    *,
    image_cache: Path,
    workers: int,
    time_limit: float | None = None,
    report: Report = lambda record: None,
) -> Outcome:
    """Train networks in ``workers`` processes of one thread each; one-thread processes beat every fused form on a CPU.

    ``report`` is called in this process with a network's record after each of its epochs. At ``time_limit`` seconds, or
    on Ctrl-C, every process stops at the end of the epoch it is in; a second Ctrl-C stops at once. Nothing is lost
    either way: `generation.runs` holds the state of every epoch.
    """
    # Spawned, not forked: torch's threads and a fork do not mix.
    context = get_context("spawn")
    stop, records = context.Event(), context.Queue()
    deadline = None if time_limit is None else time.time() + time_limit
    finished = 0
    with ProcessPoolExecutor(
        max_workers=workers,
        mp_context=context,
        initializer=_start_worker,
        initargs=(plan, image_cache, stop, records, deadline, os.getpid()),
    ) as pool:
        waiting: set[Future[bool]] = {pool.submit(_train_one, network) for network in networks}
        interrupted = False
        while waiting:
            try:
                _pass_on(records, report)
                for future in [future for future in waiting if future.done()]:
                    waiting.remove(future)
                    finished += future.result()
            except KeyboardInterrupt:
                if interrupted:
                    for process in list(pool._processes.values()):
                        process.kill()
                    raise
                interrupted = True
                stop.set()
        _pass_on(records, report)
    return Outcome(finished, stopped=interrupted or (deadline is not None and time.time() >= deadline))


def _pass_on(records: Any, report: Report) -> None:
    try:
        report(records.get(timeout=POLL_SECONDS))
        while True:
            report(records.get_nowait())
    except queue.Empty:
        return


# What a worker process holds for all of its networks.
_worker: dict[str, Any] = {}


def _start_worker(
    plan: SubsetPlan, image_cache: Path, stop: Any, records: Any, deadline: float | None, parent: int
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    images = load_images(plan.entry.images, cache=image_cache)
    _worker.update(plan=plan, images=images, stop=stop, records=records, deadline=deadline, parent=parent)


def _should_stop() -> bool:
    # A worker whose parent was killed would otherwise train on, unseen.
    late = _worker["deadline"] is not None and time.time() >= _worker["deadline"]
    return bool(_worker["stop"].is_set() or late or os.getppid() != _worker["parent"])


def _train_one(network: int) -> bool:
    plan: SubsetPlan = _worker["plan"]
    run = plan.run(network)
    if run.finished or _should_stop():
        return False
    with run.locked() as ours:
        if not ours or run.finished:
            return False
        return train_network(
            plan.network(network), _worker["images"], run, stop=_should_stop, report=_worker["records"].put
        )
