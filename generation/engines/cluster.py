"""Many machines: the same units of work as Ray tasks. All machines see the clone and the output folder at the same path."""

from __future__ import annotations

import secrets
import time
from pathlib import Path

import ray
from ray.exceptions import RayTaskError

from generation.engines.job import BUSY_SECONDS, Job, Outcome, Report, TrainingFailedError, Unit

POLL_SECONDS = 1.0
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

    A unit whose machine dies is retried on another, from the states that it left in the output folder. ``report`` is
    called with the record of every network that was finished. Ctrl-C and ``time_limit`` stop every unit at its epoch's end.

    Raises
    ------
    TrainingFailedError
        With the reason, if a unit failed for another cause, such as a full disk.
    """
    deadline = None if time_limit is None else time.time() + time_limit
    # A name of its own: a run that was killed leaves its stop file, and in a container the next one has the same process id.
    stop_file = job.plan.folder / f"stop-{secrets.token_hex(8)}"
    environment = {"env_vars": {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}}
    ray.init(address=address, runtime_env=environment, log_to_driver=False, ignore_reinit_error=True)
    unit_task = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=-1)(_train)
    held = ray.put(job)
    stopped = False
    seen = set(job.networks) - set(job.unfinished())
    try:
        while (units := job.units()) and not stopped:
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
                except RayTaskError as error:
                    stop_file.touch()
                    raise TrainingFailedError(str(error.cause)) from error
            stopped = stopped or (deadline is not None and time.time() >= deadline)
            if job.unfinished() and not stopped:
                time.sleep(BUSY_SECONDS)
    finally:
        stop_file.unlink(missing_ok=True)
    return Outcome(len(job.networks) - len(job.unfinished()), stopped)


def _report_finished(job: Job, seen: set[int], report: Report) -> None:
    for network in job.networks:
        if network not in seen and (record := job.plan.run(network).record()) is not None:
            seen.add(network)
            report(record)


def _train(job: Job, unit: Unit, stop_file: Path, deadline: float | None) -> None:
    def stop() -> bool:
        return stop_file.exists() or (deadline is not None and time.time() >= deadline)

    job.train(unit, job.images(), stop=stop, report=lambda record: None)
