"""The queue of zoos: its order, its end, its interruption, and the weights that it keeps."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import nndynbench as nb
from generation.engines import TrainingFailedError
from generation.images import Images
from generation.pack import pack_subset
from generation.plan import SubsetPlan, begun_plan, subset_plan
from generation.queue import read_queue, to_train
from generation.runs import NetworkRun, TrainingState
from generation.training import FinishedRecord, Record
from nndynbench.names import UnknownNameError
from nndynbench.storage.versions import is_unfinished
from nndynbench.subsets.catalogue import catalogue
from tests.generation.small_runs import begin, job, outcome, train_in_this_process, untrained_record, write_grid
from tests.generation.test_command_line import generation

QUEUE = """
[[zoos]]
subset = "digits-lenet"
grid = "{folder}/first.toml"
keep = 1

[[zoos]]
subset = "digits-lenet-double"
waits_for = "somebody to ask for it"

[[zoos]]
subset = "digits-lenet-half"
grid = "{folder}/second.toml"
keep = 0
weights_of = 0
"""


@pytest.fixture
def queue(tmp_path: Path) -> Path:
    """Two zoos of two networks each, and one that waits."""
    write_grid(tmp_path / "first.toml", epochs=2)
    write_grid(tmp_path / "second.toml", epochs=1)
    path = tmp_path / "queue.toml"
    path.write_text(QUEUE.format(folder=tmp_path), encoding="utf-8")
    return path


def test_the_projects_queue_names_every_unfinished_zoo_of_the_paper_and_no_finished_one() -> None:
    queued = [zoo.subset for zoo in read_queue()]
    assert len(queued) == len(set(queued))
    assert all(is_unfinished(catalogue()[name].version) for name in queued)
    of_the_paper = {entry.name for entry in catalogue().values() if entry.paper and is_unfinished(entry.version)}
    # What there is of VGG was trained on a GPU, so no CPU may go on with it.
    assert of_the_paper - {"cifar10-vgg"} <= set(queued)


def test_every_zoo_that_waits_for_nothing_can_be_planned(tmp_path: Path) -> None:
    assert all(made.order for _, made in to_train(read_queue(), tmp_path))


@pytest.mark.parametrize(
    ("text", "named"),
    [('[[zoos]]\nsubset = "mnist"', "subset 'mnist'"), ('[[zoos]]\nsubset = "digits-lenet"\nkeeps = 3', "'keeps'")],
)
def test_a_queue_of_what_does_not_exist_is_refused(tmp_path: Path, text: str, named: str) -> None:
    (tmp_path / "queue.toml").write_text(text, encoding="utf-8")
    with pytest.raises(UnknownNameError, match=named):
        read_queue(tmp_path / "queue.toml")


def test_the_queue_is_stopped_goes_on_and_packs_what_ended(tmp_path: Path, queue: Path) -> None:
    command = ("queue", "--out", tmp_path, "--queue", queue, "--workers", 1)
    assert "run the same command again to continue" in generation(*command, "--time-limit", 0, status=os.EX_TEMPFAIL)
    told = generation(*command)
    assert "somebody to ask for it" in told
    for subset in ("digits-lenet", "digits-lenet-half"):
        assert nb.load(subset, root=tmp_path).manifest.networks == 2
    assert not (tmp_path / "digits-lenet-double").exists()
    # No network is left, so nothing is trained or packed again.
    packed = (tmp_path / "digits-lenet" / "1.0.0" / "subset.json").stat().st_mtime_ns
    assert "2 of 2" in generation(*command)
    assert (tmp_path / "digits-lenet" / "1.0.0" / "subset.json").stat().st_mtime_ns == packed


def test_a_zoo_whose_packing_was_interrupted_is_packed(tmp_path: Path, queue: Path) -> None:
    command = ("queue", "--out", tmp_path, "--queue", queue, "--workers", 1)
    generation(*command)
    shutil.rmtree(tmp_path / "digits-lenet" / "1.0.0")
    generation(*command)
    assert nb.load("digits-lenet", root=tmp_path).manifest.networks == 2


def test_a_zoo_begun_side_by_side_goes_on_in_groups(tmp_path: Path, queue: Path) -> None:
    begun = ("train", "digits-lenet", "--out", tmp_path, "--grid", tmp_path / "first.toml", "--workers", 1, "--keep", 1)
    generation(*begun, "--side-by-side", 2, "--time-limit", 0, status=os.EX_TEMPFAIL)
    generation("queue", "--out", tmp_path, "--queue", queue, "--workers", 1)
    whole = tmp_path / "whole"
    generation(*begun[:3], whole, *begun[4:], "--side-by-side", 2)
    assert outcome(begun_plan("digits-lenet", tmp_path)) == outcome(begun_plan("digits-lenet", whole))


def test_a_zoo_goes_on_by_the_grid_that_it_was_begun_with(tmp_path: Path, queue: Path) -> None:
    assert "2 networks" in generation("queue", "--out", tmp_path, "--queue", queue, "--workers", 1)
    write_grid(tmp_path / "first.toml", epochs=7, rates=(0.1, 0.2, 0.3))
    assert len(read_queue(queue)[0].plan(tmp_path).order) == 2


def test_showing_the_queue_trains_nothing(tmp_path: Path, queue: Path) -> None:
    assert "0 of 2" in generation("queue", "--out", tmp_path, "--queue", queue, "--show")
    assert not (tmp_path / "digits-lenet").exists()


def networks_with_snapshots(made: SubsetPlan) -> list[int]:
    return [network for network in made.order if made.run(network).epochs_with_snapshots()]


def test_weights_of_none_leaves_tables_alone(tmp_path: Path, queue: Path) -> None:
    generation("queue", "--out", tmp_path, "--queue", queue, "--workers", 1)
    made = begun_plan("digits-lenet-half", tmp_path)
    assert networks_with_snapshots(made) == []
    subset = nb.load("digits-lenet-half", root=tmp_path)
    assert subset.tiers == ["networks"]
    assert sorted(set(subset.features.index.get_level_values("epoch"))) == [0, 1]


def test_the_first_of_each_label_to_end_keeps_its_weights(tmp_path: Path) -> None:
    made = subset_plan("digits-lenet", tmp_path)
    accuracies = {7: 10.0, 3: 12.0, 5: 80.0, 1: 90.0, 9: 11.0}
    for network, accuracy in accuracies.items():
        run = made.run(network)
        run.folder.mkdir(parents=True)
        run.write_snapshot(0, {"w": np.zeros(3, np.float32)})
        run.finish(untrained_record(network, accuracy))
        made.keep_weights_of(1, network)
    assert networks_with_snapshots(made) == sorted([7, 5], key=made.order.index)
    records = {network: made.run(network).record() for network in accuracies}
    assert [network for network, record in records.items() if record and record.weights_dropped] == [3, 1, 9]


@pytest.mark.parametrize("removed", range(6))
def test_what_a_kill_at_a_networks_end_left_is_removed_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, removed: int
) -> None:
    """The kill comes when ``removed`` of its three snapshots and two states are gone; at 5 none comes."""
    made = subset_plan("digits-lenet", tmp_path)
    first, second = made.order[:2]
    for network in (first, second):
        run = made.run(network)
        run.folder.mkdir(parents=True)
        for epoch in range(3):
            run.write_snapshot(epoch, {"w": np.zeros(3, np.float32)})
            run.write_state(TrainingState(epoch, {}, {}, Record(network=network, seed=0, device="")))
        run.finish(untrained_record(network, 90.0))
    made.run(first).tidy()
    ending, left, unlink = replace(job(made, 2), weights_of=1), [True] * removed, Path.unlink

    def until_it_is_killed(path: Path, missing_ok: bool = False) -> None:
        if path.suffix == ".safetensors" and not left:
            raise KeyboardInterrupt
        unlink(path, missing_ok)
        del left[: path.suffix == ".safetensors"]

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", until_it_is_killed)
        with suppress(KeyboardInterrupt):
            ending.conclude(second)
    assert ending.units() == []
    assert {path.name for path in made.run(second).folder.iterdir()} <= {"network.json", "lock"}
    assert made.run(first).epochs_with_snapshots() == [0, 1, 2]


def test_a_network_that_was_killed_while_its_weights_were_removed_is_packed_without_any(
    tmp_path: Path, digit_images: Images
) -> None:
    made = begin(tmp_path, digit_images, epochs=1)
    train_in_this_process(job(made), digit_images)
    first = made.run(made.order[0])
    weights = first.read_snapshot(1)
    assert weights is not None
    first.drop_snapshots()
    first.write_snapshot(1, weights)
    [arrays] = nb.load("digits-lenet", root=pack_subset(made).parents[1]).pack.arrays("weights")
    assert list(arrays.networks) == made.order[1:]


def test_of_two_that_end_at_once_one_keeps_its_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = subset_plan("digits-lenet", tmp_path)
    for network in (1, 3):
        made.run(network).folder.mkdir(parents=True)
        made.run(network).write_snapshot(0, {"w": np.zeros(3, np.float32)})
        made.run(network).finish(untrained_record(network, 90.0))
    drop, other = NetworkRun.drop_snapshots, threading.Thread(target=made.keep_weights_of, args=(1, 3))

    def while_the_other_looks(run: NetworkRun) -> None:
        if threading.current_thread() is threading.main_thread():
            other.start()
            other.join(1)
        drop(run)

    monkeypatch.setattr(NetworkRun, "drop_snapshots", while_the_other_looks)
    made.keep_weights_of(1, 1)
    other.join()
    assert len(networks_with_snapshots(made)) == 1


def test_a_pack_has_all_networks_and_the_weights_of_those_that_kept_them(tmp_path: Path, digit_images: Images) -> None:
    made = begin(tmp_path, digit_images, epochs=1)
    made = replace(made, entry=replace(made.entry, threshold=0.0))
    train_in_this_process(replace(job(made), weights_of=1), digit_images)
    subset = nb.load("digits-lenet", root=pack_subset(made).parents[1])
    [arrays] = subset.pack.arrays("weights")
    assert list(arrays.networks) == [made.order[0]]
    assert set(subset.features.index.get_level_values("network")) == set(made.order)
    assert not list(made.folder.rglob("state-*"))


def test_weights_of_few_need_a_threshold_that_is_known(tmp_path: Path, digit_images: Images) -> None:
    made = begin(tmp_path, digit_images, subset="digits-lenet-seeds", epochs=1)
    with pytest.raises(ValueError, match="cut at the median"):
        made.keep_weights_of(1, made.order[0])


def test_weights_of_few_are_refused_before_any_training_where_no_threshold_is_known(tmp_path: Path) -> None:
    grid = write_grid(tmp_path / "small.toml", epochs=1)
    train = ("train", "digits-lenet-seeds", "--out", tmp_path, "--grid", grid, "--workers", 1)
    with pytest.raises(ValueError, match=r"cut at the median.*leave out --weights-of"):
        generation(*train, "--weights-of", 1)
    assert not list(tmp_path.rglob("state-*"))
    assert not list(tmp_path.rglob("network.json"))


def test_a_network_of_a_group_drops_its_weights_when_it_ends_not_when_the_group_does(
    tmp_path: Path, digit_images: Images
) -> None:
    made = begin(tmp_path, digit_images, trainer="side by side", rates=(0.002, 1e30), dropouts=(0.0,), epochs=2)

    def full(record: Record) -> None:
        if isinstance(record, FinishedRecord):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    group = replace(job(made), side_by_side=2, weights_of=0)
    with pytest.raises(TrainingFailedError, match="No space left"):
        group.train(made.order, digit_images, stop=lambda: False, report=full)
    [diverged] = made.finished(made.order)
    assert made.run(diverged).epochs_with_snapshots() == []
