"""How far a folder is: counted from its files, with a rate and a time left that follow from them."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from generation.plan import SubsetPlan, subset_plan
from generation.progress import Meter, duration, folder_progress
from generation.record import EpochRow, FinishedRecord, Record
from generation.runs import TrainingState
from tests.generation.small_runs import untrained_record, write_grid


@pytest.fixture
def plan(tmp_path: Path) -> SubsetPlan:
    """Four networks of at most ten epochs."""
    grid = write_grid(tmp_path / "small.toml", epochs=10, rates=(0.01, 0.02))
    made = subset_plan("digits-lenet", tmp_path, grid=grid)
    for network in made.order:
        made.run(network).folder.mkdir(parents=True)
    return made


def record(network: int, epochs: int, *, seconds: float = 2.0) -> Record:
    curve = [
        EpochRow(epoch=e + 1, train_loss=1.0, train_accuracy=10.0, validation_accuracy=10.0 * (e + 1), seconds=seconds)
        for e in range(epochs)
    ]
    return Record(network=network, seed=0, device="an abacus", epochs=curve)


def ended(network: int, epochs: int, accuracy: float, *, core_seconds: float | None = None) -> FinishedRecord:
    curve = record(network, epochs).epochs
    return untrained_record(network, accuracy, epochs=curve, epochs_trained=epochs, core_seconds=core_seconds)


def begin(plan: SubsetPlan, network: int, epochs: int, **facts: Any) -> None:
    state = TrainingState(epochs, {"w": np.zeros(3, np.float32)}, {}, record(network, epochs, **facts))
    plan.run(network).write_state(state)


def test_an_empty_folder_has_everything_left(plan: SubsetPlan) -> None:
    progress = folder_progress(plan)
    assert (progress.epochs_left, progress.rate, progress.seconds_left) == (40, None, None)
    assert progress.accuracy_summary == "no accuracies yet"


def test_networks_under_way_give_the_rate_and_finished_ones_the_length(plan: SubsetPlan) -> None:
    begin(plan, 1, 3)
    begin(plan, 2, 5, seconds=4.0)
    plan.run(0).finish(ended(0, 8, 76.0))
    progress = folder_progress(plan)
    assert progress.epochs_of == {0: 8}
    assert progress.begun == {1: 3, 2: 5}
    # Each takes as long as the finished one: 8 epochs for the waiting one, 5 and 3 more for those begun.
    assert progress.epochs_left == 8 + 5 + 3
    assert progress.rate == pytest.approx(1 / 2 + 1 / 4)
    assert progress.seconds_left == pytest.approx(16 / 0.75)
    assert progress.accuracy_summary == "accuracies 30.0 to 76.0%, median 50.0%"


def begin_group(plan: SubsetPlan, networks: list[int], *, seconds: float, between: float) -> None:
    """Two epochs of a group, whose states were written ``between`` seconds apart, the second just now."""
    for network in networks:
        for epoch in (1, 2):
            begin(plan, network, epoch, seconds=seconds / len(networks))
        first, second = sorted(plan.run(network).folder.glob("state-*"))
        written = second.stat().st_mtime - between
        os.utime(first, (written, written))


def test_groups_side_by_side_add_up_to_the_rate(plan: SubsetPlan) -> None:
    """Each group of two trains two epochs in 10 seconds, and records 5 seconds for each."""
    for group in ([0, 1], [2, 3]):
        begin_group(plan, group, seconds=10.0, between=10.0)
    progress = folder_progress(replace(plan, trainer="side by side"))
    assert progress.rate == pytest.approx(4 / 10, rel=1e-3)
    assert progress.seconds_left == pytest.approx(4 * 8 / 0.4, rel=1e-3)


def test_a_pause_between_two_epochs_does_not_count_as_training(plan: SubsetPlan) -> None:
    """Of a group that went on after an hour it is known only that it has at most all four networks."""
    begin_group(plan, [0, 1, 2, 3], seconds=10.0, between=3600.0)
    assert folder_progress(replace(plan, trainer="side by side")).rate == pytest.approx(4 / 10, rel=1e-3)


def test_a_group_whose_epoch_takes_minutes_is_being_trained_until_its_next_one(plan: SubsetPlan) -> None:
    begin_group(plan, [0, 1, 2, 3], seconds=120.0, between=120.0)
    for state in plan.folder.rglob("state-*"):
        os.utime(state, (state.stat().st_mtime - 280,) * 2)
    assert folder_progress(replace(plan, trainer="side by side")).rate == pytest.approx(4 / 120, rel=1e-3)


def test_a_network_left_lying_does_not_count_as_being_trained(plan: SubsetPlan) -> None:
    begin(plan, 1, 3)
    long_ago = time.time() - 3600
    for state in plan.run(1).folder.glob("state-*"):
        os.utime(state, (long_ago, long_ago))
    progress = folder_progress(plan)
    assert progress.begun == {1: 3}
    assert progress.rate is None


def test_only_the_chosen_networks_are_counted(plan: SubsetPlan) -> None:
    begin(plan, 1, 3)
    assert folder_progress(plan, [0, 3]).begun == {}


def test_each_epoch_is_counted_once(plan: SubsetPlan) -> None:
    progress = folder_progress(plan)
    assert progress.add(record(1, 1)) == 1
    assert progress.add(record(1, 2)) == 1
    assert progress.add(ended(1, 2, 50.0)) == 0


def test_a_network_costs_what_the_processor_gave_it_where_that_is_known(plan: SubsetPlan) -> None:
    progress = folder_progress(plan)
    progress.add(ended(0, 8, 76.0))
    assert (progress.mean_core_seconds, progress.core_seconds_left, progress.clock) == (8 * 2.0, 3 * 16.0, "")
    progress.add(ended(1, 8, 76.0, core_seconds=5.0))
    assert (progress.mean_core_seconds, progress.core_seconds_left, progress.clock) == (5.0, 2 * 5.0, "core-")


def test_a_rate_needs_some_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    meter = Meter()
    assert meter.count(1) is None
    now = 10.0
    assert meter.count(9) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("seconds", "told"), [(None, "unknown"), (20, "under a minute"), (300, "5 min"), (3600 * 3 + 300, "3 h 05 min")]
)
def test_durations_are_told_in_hours_and_minutes(seconds: float | None, told: str) -> None:
    assert duration(seconds) == told
