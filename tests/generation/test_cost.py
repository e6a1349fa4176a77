"""The cost that is estimated before a grid is trained, against what training it takes."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")

from generation.cost import MEASURED_STEPS, Speed, _few_steps, _random_images, core_seconds, disk
from generation.images import SIZES, Images
from generation.pack import pack_subset
from generation.plan import subset_plan
from generation.training.network import Training, one_core
from nndynbench.graphs import random_weights
from tests.generation.small_runs import begin, job, train_in_this_process, write_grid
from tests.generation.test_command_line import generation


def test_core_seconds_count_every_step_image_and_description(tmp_path: Path) -> None:
    """By hand: 4 epochs of 20 steps of 16 images; 250 images evaluated after each, and 750 more at the end; 5 snapshots."""
    made = subset_plan("digits-lenet", tmp_path, grid=write_grid(tmp_path / "small.toml"))
    assert core_seconds(made, 0, Speed({16: 1.0}, 0.0, 0.0)) == pytest.approx(4 * 20)
    assert core_seconds(made, 0, Speed({16: 0.0}, 1.0, 0.0)) == pytest.approx(4 * 250 + 750)
    assert core_seconds(made, 0, Speed({16: 0.0}, 0.0, 1.0)) == pytest.approx(5)


def test_late_epochs_cost_the_test_half_and_kept_epochs_alone_are_described(tmp_path: Path) -> None:
    """By hand: 20 epochs of 10,000 images; 20 validations, 5 late epochs and 3 at the end of 5,000."""
    made = subset_plan("cifar10-lenet-seeds", tmp_path, kept_epochs=tuple(range(6)))
    batch = made.network(3).recipe["batch_size"]
    assert core_seconds(made, 3, Speed({32: 1.0, 128: 1.0}, 0.0, 0.0)) == pytest.approx(20 * -(-10_000 // batch))
    assert core_seconds(made, 3, Speed({32: 0.0}, 1.0, 0.0)) == pytest.approx(28 * 5_000)
    assert core_seconds(made, 3, Speed({32: 0.0}, 0.0, 1.0)) == pytest.approx(21)
    digits = subset_plan("digits-lenet-seeds", tmp_path, kept_epochs=tuple(range(6)))
    assert core_seconds(digits, 3, Speed({12: 0.0}, 0.0, 1.0)) == pytest.approx(7)


def test_a_batch_between_two_measured_ones_costs_what_lies_between() -> None:
    assert Speed({32: 1.0, 96: 3.0}, 0.0, 0.0).of_step(64) == pytest.approx(2.0)


def test_disk_is_what_the_runs_take(tmp_path: Path, digit_images: Images) -> None:
    made = begin(tmp_path, digit_images, epochs=2)
    train_in_this_process(job(made), digit_images)
    found = sum(path.stat().st_size for path in made.folder.rglob("snapshot-*"))
    headers = 1000 * len(list(made.folder.rglob("snapshot-*")))
    assert found - headers < disk(made, made.order).snapshots < found
    weights = sum(array.nbytes for array in random_weights("digits-lenet", seed=0).values())
    assert disk(made, made.order, weights_of=0).snapshots == 0
    assert disk(made, made.order).training == 2 * 2 * weights
    # Of networks that drop their weights, each has three snapshots until it ends.
    assert disk(made, made.order, weights_of=0).training == 2 * 2 * weights + 3 * weights


def test_disk_for_the_pack_is_what_its_arrays_take(tmp_path: Path, digit_images: Images) -> None:
    made = begin(tmp_path, digit_images, epochs=2)
    train_in_this_process(job(made), digit_images)
    files = list(pack_subset(made).glob("*.h5"))
    found = sum(path.stat().st_size for path in files)
    assert found - 10_000 * len(files) < disk(made, made.order).pack < found
    assert disk(made, made.order, weights_of=0).pack == 0


def test_rates_at_which_networks_diverge_are_measured_over_all_steps(tmp_path: Path) -> None:
    made = subset_plan("digits-lenet", tmp_path, grid=write_grid(tmp_path / "wild.toml", rates=(1e30,)))
    with one_core(made.entry.architecture):
        training = Training(_few_steps(made.network(0), 16), _random_images(made, 16 * MEASURED_STEPS))
        assert training.epoch(1) is not None


def test_the_sizes_of_the_images_are_theirs(digit_images: Images) -> None:
    halves = {len(digit_images.validation[1]), len(digit_images.test[1])}
    assert (len(digit_images.train[1]), halves) == (SIZES["digits"][0], {SIZES["digits"][1]})


def test_the_plan_says_what_it_costs_and_status_what_it_cost(tmp_path: Path) -> None:
    grid = write_grid(tmp_path / "small.toml", epochs=1)
    told = generation("plan", "digits-lenet", "--grid", grid, "--keep", 0, "--weights-of", 0)
    assert "core-hours on this machine" in told
    assert "0.0 MB for snapshots, 0.0 MB for the pack" in told
    generation("train", "digits-lenet", "--out", tmp_path, "--grid", grid, "--workers", 1, "--networks", 1, "--no-pack")
    assert "(mean of 1); trained: 1; left: 1 (" in generation("status", "digits-lenet", "--out", tmp_path)
