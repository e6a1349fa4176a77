"""Trains on this machine: on its CPU in one-thread processes, faster there than one module of many networks, or in groups
on its GPU.
"""

from __future__ import annotations

import queue
import signal
import threading
import time
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing import get_context
from types import FrameType
from typing import Any

from generation.device import CPU
from generation.engines.job import BUSY_SECONDS, Job, Outcome, Report, TrainingFailedError, Unit
from generation.engines.processes import deaf_to_interrupts, worker_processes
from generation.record import Record

POLL_SECONDS = 0.2


def train_here(job: Job, *, workers: int, time_limit: float | None = None, report: Report = lambda record: None) -> Outcome:
    """Do a job on this machine, in ``workers`` processes on its CPU or in one on a GPU.

    ``report`` is called in this process with a network's record after each of its epochs. At ``time_limit`` seconds, on
    Ctrl-C, or at a SIGTERM to any of them, every process stops at the end of the epoch it is in; a second Ctrl-C stops at
    once. Nothing is lost either way: `generation.runs` holds the state of every epoch. Networks that another process is
    training are waited for, and taken over should it die.

    Raises
    ------
    TrainingFailedError
        If the disk is full, once all other processes have stopped at the end of their epoch; if a process was killed, which
        ends the others at once.
    """
    deadline = None if time_limit is None else time.time() + time_limit
    with _Workers(job, workers if job.device == CPU else 1, deadline, report) as pool:
        while units := job.units():
            pool.work(units)
            if pool.stopped:
                break
            if job.unfinished():
                pool.rest(BUSY_SECONDS)
        return Outcome(len(job.networks) - len(job.unfinished()), pool.stopped)


class _Workers:
    """The worker processes of one call to `train_here`, and what passes between them and this one."""

    def __init__(self, job: Job, workers: int, deadline: float | None, report: Report) -> None:
        context = get_context("spawn")
        self.deadline, self.report, self.interrupted = deadline, report, False
        self.stop = context.Event()
        self.receiving, self.sending = context.Pipe(duplex=False)
        self.records: queue.SimpleQueue[Record] = queue.SimpleQueue()
        self.pool = worker_processes(workers, _start_worker, job, self.stop, self.sending, context.Lock(), deadline)
        # In a thread of its own: after half a record, of a process that was killed, it waits until no process can write.
        self.reading = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> _Workers:
        self.reading.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop.set()
        ending = threading.Thread(target=self.pool.shutdown, kwargs={"cancel_futures": True})
        ending.start()
        try:
            while ending.is_alive():
                try:
                    self._pass_on(wait=POLL_SECONDS)
                except KeyboardInterrupt:
                    self._interrupted()
        finally:
            self.sending.close()
        self.reading.join()
        self._pass_on(wait=0)

    @property
    def stopped(self) -> bool:
        return bool(self.interrupted or self.stop.is_set() or (self.deadline is not None and time.time() >= self.deadline))

    def work(self, units: list[Unit]) -> None:
        """Have all units done; returns early, with every process idle, when told to stop."""
        with deaf_to_interrupts():
            waiting: set[Future[None]] = {self.pool.submit(_train, unit) for unit in units}
        while waiting:
            try:
                self._pass_on(wait=POLL_SECONDS)
                for done in [future for future in waiting if future.done()]:
                    waiting.remove(done)
                    done.result()
            except KeyboardInterrupt:
                self._interrupted()
            except BrokenProcessPool as error:
                # A process that is asked to end while it imports torch dies of it; this one was asked too.
                if self.interrupted:
                    return
                raise TrainingFailedError(
                    "a worker process was killed (out of memory? try fewer --workers): run the command again to continue"
                ) from error

    def rest(self, seconds: float) -> None:
        try:
            self.stop.wait(seconds)
        except KeyboardInterrupt:
            self._interrupted()

    def _interrupted(self) -> None:
        if self.interrupted:
            self.pool.kill()
            raise KeyboardInterrupt
        self.interrupted = True
        self.stop.set()

    def _read(self) -> None:
        """Take what the processes report, until each has ended and this one's end of the pipe is closed too."""
        with suppress(EOFError, OSError):
            while True:
                self.records.put(self.receiving.recv())

    def _pass_on(self, *, wait: float) -> None:
        try:
            self.report(self.records.get(timeout=wait) if wait else self.records.get_nowait())
            while True:
                self.report(self.records.get_nowait())
        except queue.Empty:
            return


# What a worker process holds for all of its units.
_worker: dict[str, Any] = {}


def _start_worker(job: Job, stop: Any, sending: Any, one_at_a_time: Any, deadline: float | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _worker.update(job=job, stop=stop, sending=sending, one_at_a_time=one_at_a_time, deadline=deadline, asked_to_end=False)
    signal.signal(signal.SIGTERM, _asked_to_end)


def _asked_to_end(signum: int, frame: FrameType | None) -> None:
    # A plain flag: the event's lock may be held by what the signal interrupts.
    _worker["asked_to_end"] = True


def _should_stop() -> bool:
    if _worker["asked_to_end"]:
        _worker["stop"].set()
    late = _worker["deadline"] is not None and time.time() >= _worker["deadline"]
    return bool(_worker["stop"].is_set() or late)


def _report(record: Record) -> None:
    with _worker["one_at_a_time"]:
        _worker["sending"].send(record)


def _train(unit: Unit) -> None:
    job: Job = _worker["job"]
    # Images are loaded here, not when the process starts: an error there would be lost with the process.
    if "images" not in _worker:
        _worker["images"] = job.images()
    job.train(unit, _worker["images"], stop=_should_stop, report=_report)
