"""Worker processes of one thread each, which die with the process that started them."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

from nndynbench.processes import end_with_parent


class WorkerPool(ProcessPoolExecutor):
    """A pool that can be ended at once. The standard library ends the processes of a broken pool by SIGTERM, at which these
    do not end.
    """

    killed = False

    @property
    def dead(self) -> bool:
        """Whether a process was killed, by this one or another: what it was writing may be half written."""
        return self.killed or bool(self._broken)

    def kill(self) -> None:
        self.killed = True
        for process in list((self._processes or {}).values()):
            process.kill()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Like the standard library's, but a broken pool is killed: dead processes may have left its queues locked."""
        if self.dead:
            self.kill()
        super().shutdown(wait, cancel_futures=cancel_futures)


def worker_processes(workers: int, initialise: Callable[..., object], *arguments: Any) -> WorkerPool:
    """A pool whose processes first call ``initialise``. Spawned, not forked: torch's threads and a fork do not mix.

    If a scheduler asks all processes to end, these work on until this one, which is asked too, has no more work for them.
    ``initialise`` may install another handler of SIGTERM.
    """
    return WorkerPool(workers, get_context("spawn"), initializer=_start, initargs=(initialise, *arguments))


@contextmanager
def deaf_to_interrupts() -> Iterator[None]:
    """Processes started within this context ignore Ctrl-C, which a terminal sends to them too, from their first moment on:
    before they could set that up themselves.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _start(initialise: Callable[..., object], *arguments: Any) -> None:
    end_with_parent()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    initialise(*arguments)
