"""Worker processes of one thread each, which die with the process that started them."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import connection, get_context, parent_process
from typing import Any


def worker_processes(workers: int, initialise: Callable[..., object] | None = None, *arguments: Any) -> ProcessPoolExecutor:
    """A pool whose processes first call ``initialise``. Spawned, not forked: torch's threads and a fork do not mix."""
    return ProcessPoolExecutor(workers, get_context("spawn"), initializer=_start, initargs=(initialise, *arguments))


@contextmanager
def deaf_to_interrupts() -> Iterator[None]:
    """Processes that are started within ignore Ctrl-C from their first moment on, before they could say so themselves: a
    terminal sends it to them too.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _start(initialise: Callable[..., object] | None, *arguments: Any) -> None:
    threading.Thread(target=_die_with_parent, daemon=True).start()
    if initialise is not None:
        initialise(*arguments)


def _die_with_parent() -> None:
    # A worker whose parent was killed would otherwise train on unseen, or wait for work for ever. Files are written whole,
    # so it may end at any moment.
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
