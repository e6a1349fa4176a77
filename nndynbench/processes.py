"""Runs work in processes of their own, which end with the process that started them."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing import connection, parent_process
from typing import Any, TypeVar

# How often a worker looks whether its parent is still there, in seconds.
LOOKS_EVERY = 0.5

Result = TypeVar("Result")


def in_processes(
    function: Callable[..., Result], arguments: Iterable[Sequence[Any]], *, jobs: int, in_order: bool = True
) -> Iterator[Result]:
    """Calls a function with each of these arguments, and yields what it returns as soon as it is there.

    ``jobs`` calls run at a time, each on one thread; -1 for one per core. With one job they run in this process.
    """
    from joblib import Parallel, delayed, parallel_config

    with parallel_config("loky", inner_max_num_threads=1, initializer=end_with_parent):
        calls = (delayed(function)(*each) for each in arguments)
        yield from Parallel(n_jobs=jobs, return_as="generator" if in_order else "generator_unordered")(calls)


def end_with_parent() -> None:
    """Have this process end when the one that started it does: otherwise it would go on working, unseen, for hours. It may
    end at any moment, since files are written whole.
    """

    def watch(parent: Any) -> None:
        if parent.sentinel is None:  # as in joblib's processes, but not on Windows, where a dead parent's number stays
            while os.getppid() == parent.pid:
                time.sleep(LOOKS_EVERY)
        else:
            connection.wait([parent.sentinel])
        os._exit(1)

    if (parent := parent_process()) is not None:
        threading.Thread(target=watch, args=(parent,), daemon=True).start()


def end_workers() -> None:
    """End the workers that `in_processes`, or joblib for a method, has started and keeps for more work."""
    loky = sys.modules.get("joblib.externals.loky.reusable_executor")
    executor = getattr(loky, "_executor", None)
    if executor is not None:
        executor.shutdown(wait=False, kill_workers=True)
