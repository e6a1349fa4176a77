"""Many machines: the same units of work as Ray tasks. All machines see the clone and the output folder at the same path."""

from __future__ import annotations

import secrets
import signal
import threading
import time
from pathlib import Path

import ray
from ray.exceptions import LocalRayletDiedError, NodeDiedError, OutOfMemoryError, RayError, RayTaskError, WorkerCrashedError

from generation.engines.job import BUSY_SECONDS, Job, Outcome, Report, TrainingFailedError, Unit

POLL_SECONDS = 1.0
# How often a unit is tried again whose machine or process died; a unit that always kills its own must end too.
RETRIES = 3
DEATHS = (LocalRayletDiedError, NodeDiedError, OutOfMemoryError, WorkerCrashedError)
REPOSITORY = Path(__file__).parents[2]


def train_with_ray(
    job: Job,
    *,
    address: str | None,
    gpus: float = 0.0,
    time_limit: float | None = None,
    report: Report = lambda record: None,
) -> Outcome:
    """Do a job on a Ray cluster (``address``; None starts one on this machine), each unit on one core and ``gpus`` GPUs.

    A unit whose machine or process dies is retried, up to `RETRIES` times, from the states that it left in the output
    folder. ``report`` is called with the record of every network that was finished. Ctrl-C and ``time_limit`` stop every
    unit at its epoch's end.

    Raises
    ------
    TrainingFailedError
        With the reason, if a unit died once more, or failed for another cause, such as a full disk; once all other units
        have stopped at the end of their epoch.
    """
    deadline = None if time_limit is None else time.time() + time_limit
    # A name of its own: a run that was killed leaves its stop file, and in a container the next one has the same process id.
    stop_file = job.plan.folder / f"stop-{secrets.token_hex(8)}"
    _connect(address)
    unit_task = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=RETRIES)(_train)
    held = ray.put(job)
    stopped = False
    failure: RayError | None = None
    seen = set(job.networks) - set(job.unfinished())
    try:
        while (units := job.units()) and not (stopped or failure):
            waiting = [unit_task.remote(held, unit, stop_file, deadline) for unit in units]
            while waiting:
                try:
                    done, waiting = ray.wait(waiting, timeout=POLL_SECONDS)
                    ray.get(done)
                    _report_finished(job, seen, report)
                except KeyboardInterrupt:
                    if stopped:
                        raise
                    stopped = True
                    stop_file.touch()
                except (RayTaskError, *DEATHS) as error:
                    failure = failure or error
                    stop_file.touch()
            stopped = stopped or (deadline is not None and time.time() >= deadline)
            if job.unfinished() and not (stopped or failure):
                try:
                    time.sleep(BUSY_SECONDS)
                except KeyboardInterrupt:
                    stopped = True
    finally:
        stop_file.unlink(missing_ok=True)
    if failure is not None:
        raise TrainingFailedError(_reason(failure)) from failure
    return Outcome(len(job.networks) - len(job.unfinished()), stopped)


def _connect(address: str | None) -> None:
    environment = {"env_vars": {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}}
    at_terminate = signal.getsignal(signal.SIGTERM)
    ray.init(address=address, runtime_env=environment, log_to_driver=False, ignore_reinit_error=True)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, at_terminate)  # Ray's own handler ends this process at once


def _reason(failure: RayError) -> str:
    if isinstance(failure, RayTaskError):
        return str(failure.cause)
    return (
        f"a unit's process was killed {RETRIES + 1} times (out of memory?): run the command again to continue; Ray says: "
        f"{str(failure).splitlines()[0]}"
    )


def _report_finished(job: Job, seen: set[int], report: Report) -> None:
    for network in job.networks:
        if network not in seen and (record := job.plan.run(network).record()) is not None:
            seen.add(network)
            report(record)


def _train(job: Job, unit: Unit, stop_file: Path, deadline: float | None) -> None:
    def stop() -> bool:
        return stop_file.exists() or (deadline is not None and time.time() >= deadline)

    job.train(unit, job.images(), stop=stop, report=lambda record: None)
