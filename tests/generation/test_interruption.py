"""Interruption is normal: whatever stops a training, the same command then ends as if it had never been stopped."""

from __future__ import annotations

import errno
import os
import random
import signal
import time
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from generation.engines import Job, TrainingFailedError
from generation.engines.here import train_here
from generation.images import Images
from generation.plan import SubsetPlan
from generation.runs import DamagedFileError
from generation.training import FinishedRecord, Record, train_network
from generation.training import network as trainer
from tests.generation.small_runs import begin, job, outcome, train_in_this_process
from tests.patience import PATIENCE_SECONDS

# Torch is imported once, by the server that all children are forked from.
context = get_context("forkserver")
context.set_forkserver_preload(["generation.engines.job"])

# Steps of an epoch of the small grid: 20 batches, and the files that the epoch writes.
STEPS_AN_EPOCH = 24

# Enough for two workers to import torch and to end.
SECONDS_TO_END = 120


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, digit_images: Images) -> dict[str, Any]:
    """What the small grid's networks become when nothing happens."""
    made = begin(tmp_path_factory.mktemp("undisturbed"), digit_images)
    train(made, digit_images)
    return outcome(made)


def train(made: SubsetPlan, images: Images, *, epochs_at_once: int | None = None) -> None:
    """Train all networks here; with ``epochs_at_once``, stop and resume each after so many epochs."""
    for network in made.order:
        for _ in range(made.grid.longest + 1):
            asked = 0

            def stop() -> bool:
                nonlocal asked
                asked += 1
                return epochs_at_once is not None and asked > epochs_at_once

            if train_network(made.network(network), images, made.run(network), stop=stop):
                break
        else:
            raise AssertionError(f"network {network} does not end, however often it goes on")


def train_all(job: Job, log: Path | None = None, dies_at: int | None = None) -> None:
    """What a child process does: train every unit, and note each epoch in the file ``log``. With ``dies_at`` it is killed
    after so many steps, see `dies_later`.
    """

    def report(record: Record) -> None:
        if log is not None and not isinstance(record, FinishedRecord):
            with log.open("a", encoding="utf-8") as file:
                print(record.network, len(record.epochs), file=file)

    if dies_at is not None:
        dies_later(dies_at)
    train_in_this_process(job, job.images(), report)


def dies_later(steps: int) -> None:
    """Kill this process after ``steps`` steps, in a way that nothing can catch. A step is a batch of training, a file's way
    to the disk, or its renaming, so no clock decides the moment.
    """
    left = steps

    def counted(function: Any) -> Any:
        def counting(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)

        return counting

    os.fsync, os.replace = counted(os.fsync), counted(os.replace)
    trainer.functional.cross_entropy = counted(trainer.functional.cross_entropy)


@pytest.mark.parametrize(
    ("subset", "optimiser"),
    [("digits-lenet", "momentum"), ("digits-lenet", "adam"), ("digits-lenet", "sgd"), ("digits-lenet-half", "momentum")],
)
def test_a_network_stopped_after_every_epoch_ends_as_one_never_stopped(
    tmp_path: Path, digit_images: Images, subset: str, optimiser: str
) -> None:
    grid = {"subset": subset, "optimiser": optimiser, "rates": (0.002,) if optimiser == "adam" else (0.02,)}
    never = begin(tmp_path / "never", digit_images, **grid)
    always = begin(tmp_path / "always", digit_images, **grid)
    train(never, digit_images)
    train(always, digit_images, epochs_at_once=1)
    assert outcome(always) == outcome(never)


def test_ten_kills_at_random_moments_leave_no_trace(tmp_path: Path, digit_images: Images) -> None:
    quiet = begin(tmp_path / "quiet", digit_images, epochs=12)
    killed = begin(tmp_path / "killed", digit_images, epochs=12)
    train(quiet, digit_images)
    moments = random.Random(0)
    for _ in range(10):
        # Kill it within two of the 24 epochs.
        child = context.Process(target=train_all, args=(job(killed), None, moments.randrange(1, 2 * STEPS_AN_EPOCH)))
        child.start()
        child.join(PATIENCE_SECONDS)
        assert child.exitcode == -signal.SIGKILL
    left = job(killed).unfinished()
    assert left
    for network_id in left:
        (killed.run(network_id).folder / "state-0003.safetensors.0123456789abcdef.partial").write_bytes(b"half")
    train_all(job(killed))
    assert outcome(killed) == outcome(quiet)
    assert not list(killed.folder.rglob("state-*")), "a finished network needs no state, nor what a kill left half written"


def test_two_processes_on_one_folder_train_every_epoch_once(
    tmp_path: Path, digit_images: Images, undisturbed: dict[str, Any]
) -> None:
    shared = begin(tmp_path, digit_images)
    logs = [tmp_path / "first.log", tmp_path / "second.log"]
    children = [context.Process(target=train_all, args=(job(shared), log)) for log in logs]
    for child in children:
        child.start()
    for child in children:
        child.join(PATIENCE_SECONDS)
        assert child.exitcode == 0
    lines = [line for log in logs if log.exists() for line in log.read_text().splitlines()]
    assert len(lines) == len(set(lines)) == 2 * 4
    assert outcome(shared) == undisturbed


def test_a_full_disk_is_a_clear_error_and_costs_the_epoch_under_way_alone(
    tmp_path: Path, digit_images: Images, undisturbed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    full = begin(tmp_path, digit_images)
    writes = 0

    def fsync(file: int) -> None:
        nonlocal writes
        writes += 1
        if writes > 5:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    first = full.order[0]
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fsync)
        with pytest.raises(TrainingFailedError, match=f"network {first}: .*No space left on device"):
            job(full).train([first], digit_images, stop=lambda: False, report=lambda record: None)
    assert full.run(first).latest_record() is not None
    assert not list(full.folder.rglob("*.partial"))
    train(full, digit_images)
    assert outcome(full) == undisturbed


# Longer than a pipe holds, like the record of a network of many epochs and layers.
LONG_DEVICE = "x" * 110_000


class FailsWhileAnotherReports(Job):
    """Three units: one has nothing to do, one fails at once, and one reports a long record when it is told to stop, which
    happens after the failure.
    """

    def units(self) -> list[list[int]]:
        return [[network] for network in self.networks]

    def images(self) -> None:  # type: ignore[override]
        """No unit looks at any."""

    def train(self, unit: list[int], images: Any, *, stop: Any, report: Any) -> None:
        idle, failing, reporting = self.networks
        if unit == [idle]:
            return
        if unit == [failing]:
            self.fail()
        while not stop():
            time.sleep(0.01)
        report(Record(network=reporting, seed=0, device=LONG_DEVICE))

    def fail(self) -> None:
        raise TrainingFailedError("the disk is full")


class DiesWhileAnotherTrains(FailsWhileAnotherReports):
    """One unit's process is killed, as if memory were short; the other is never told to stop."""

    def fail(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class DiesInTheMiddleOfARecord(FailsWhileAnotherReports):
    """One unit's process is killed when half of a long record is written; the other is never told to stop."""

    def train(self, unit: list[int], images: Any, *, stop: Any, report: Any) -> None:
        if unit == [self.networks[1]]:
            Connection._send = write_half_and_die  # type: ignore[attr-defined]
            report(Record(network=unit[0], seed=0, device=LONG_DEVICE))
        while not stop():
            time.sleep(0.01)


def write_half_and_die(connection: Connection, content: bytes) -> None:
    if len(content) > len(LONG_DEVICE):
        os.write(connection.fileno(), content[: len(content) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
    os.write(connection.fileno(), content)


def note_the_end(job: Job, found: Path) -> None:
    """Do a job with two workers, and note how it failed and whether the long record was reported."""
    devices: list[str] = []
    try:
        train_here(job, workers=2, report=lambda record: devices.append(record.device))
    except TrainingFailedError as error:
        found.write_text(f"{error}; reported: {devices == [LONG_DEVICE]}", encoding="utf-8")


def end_of(job: Job, tmp_path: Path) -> str:
    """What `note_the_end` notes, in a process of its own that is killed if it hangs."""
    child = context.Process(target=note_the_end, args=(job, tmp_path / "found"))
    child.start()
    child.join(SECONDS_TO_END)
    hangs = child.is_alive()
    child.kill()
    assert not hangs
    return (tmp_path / "found").read_text(encoding="utf-8")


def test_a_unit_that_fails_while_another_reports_ends_the_command_and_loses_no_record(
    tmp_path: Path, digit_images: Images
) -> None:
    made = begin(tmp_path, digit_images, rates=(0.01, 0.02, 0.03), dropouts=(0.0,))
    job = FailsWhileAnotherReports(made, made.order, tmp_path / "images")
    assert end_of(job, tmp_path) == "the disk is full; reported: True"


@pytest.mark.parametrize("dies", [DiesWhileAnotherTrains, DiesInTheMiddleOfARecord])
def test_a_process_that_is_killed_ends_the_command_which_says_so(
    tmp_path: Path, digit_images: Images, dies: type[Job]
) -> None:
    made = begin(tmp_path, digit_images, rates=(0.01, 0.02, 0.03), dropouts=(0.0,))
    job = dies(made, made.order, tmp_path / "images")
    assert end_of(job, tmp_path).startswith("a worker process was killed")


def begun(made: SubsetPlan, images: Images, *, epochs: int) -> Path:
    """Train the first network for some epochs; returns its folder."""
    network, asked = made.order[0], 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > epochs

    assert not train_network(made.network(network), images, made.run(network), stop=stop)
    return made.run(network).folder


def test_a_network_that_goes_on_on_another_processor_names_both_once(
    tmp_path: Path, digit_images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = begin(tmp_path, digit_images)
    run = made.run(made.order[0])
    for processor in ("an abacus", "a slide rule", "an abacus"):
        monkeypatch.setattr("generation.training.network.device_name", lambda name=processor: name)
        begun(made, digit_images, epochs=1)
    assert run.latest_record().device == "an abacus, then a slide rule"


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("how", ["one bit flipped", "cut short", "empty"])
@pytest.mark.parametrize("states", [1, 2], ids=["the newest", "both"])
def test_a_damaged_state_falls_back_to_the_epoch_before(
    tmp_path: Path,
    digit_images: Images,
    undisturbed: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
    how: str,
    states: int,
) -> None:
    damaged = begin(tmp_path, digit_images)
    folder = begun(damaged, digit_images, epochs=3)
    for state in sorted(folder.glob("state-*.safetensors"))[-states:]:
        if how == "one bit flipped":
            damage(state)
        else:
            state.write_bytes(state.read_bytes()[: 1000 if how == "cut short" else 0])
    train(damaged, digit_images)
    assert outcome(damaged) == undisturbed
    assert caplog.text.count("is damaged") == states
    assert "continuing from the epoch before" in caplog.text


def test_a_damaged_first_snapshot_is_drawn_again(tmp_path: Path, digit_images: Images, undisturbed: dict[str, Any]) -> None:
    damaged = begin(tmp_path, digit_images)
    damage(begun(damaged, digit_images, epochs=2) / "snapshot-0000.safetensors")
    train(damaged, digit_images)
    assert outcome(damaged) == undisturbed


def test_a_damaged_final_record_says_what_to_do(tmp_path: Path, digit_images: Images) -> None:
    made = begin(tmp_path, digit_images, epochs=1)
    train(made, digit_images)
    run = made.run(made.order[0])
    (run.folder / "network.json").write_text('{"network": 0, "epo', encoding="utf-8")
    with pytest.raises(DamagedFileError, match=r"remove .* and train it again"):
        run.record()


def test_a_network_that_diverges_late_keeps_its_last_snapshot(tmp_path: Path, digit_images: Images) -> None:
    from dataclasses import replace

    from generation.training.network import Training

    made = begin(tmp_path, digit_images)
    network = replace(made.network(made.order[0]), kept_epochs=(0,))
    run = made.run(made.order[0])
    honest = Training.epoch
    try:
        # No learning rate is certain to diverge late, so divergence is simulated.
        Training.epoch = lambda self, epoch: honest(self, epoch) if epoch < 3 else None  # type: ignore[method-assign]
        assert train_network(network, digit_images, run)
    finally:
        Training.epoch = honest  # type: ignore[method-assign]
    record = run.record()
    assert record is not None
    assert (record.diverged, record.epochs_trained, record.final_accuracy) == (True, 2, 10.0)
    assert sorted(record.features) == [0, 2]
    assert run.read_snapshot(2) is not None
