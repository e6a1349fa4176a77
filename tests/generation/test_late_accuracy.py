"""Late accuracy: a network's mean accuracy on the test half over its last epochs, which no curve shows before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("torch")

import torch

import nndynbench as nb
from generation.architectures import build_module
from generation.grids import read_grid
from generation.grids.draw import draw_rows
from generation.images import Images
from generation.pack import pack_subset
from generation.plan import SubsetPlan, subset_plan
from generation.training import train_network
from nndynbench.storage.places import NotAtHandError
from tests.generation.small_runs import job, outcome, train_in_this_process

GRID = """
regime = "diverse"
rows = "rows.csv"
seeds = {seeds}

[settings]
batch_size = 16
training_images = 320
epochs = 4
patience = 0
augmentation = false
signatures = "kept epochs"
{more}
"""

# At the second recipe's rate, weights are infinite after a step or two.
RATES = (0.02, 1e20)


def begin(folder: Path, images: Images, *, more: str = "late_epochs = 2", seeds: int = 2, keep: int = 1) -> SubsetPlan:
    folder.mkdir(exist_ok=True)
    rows = pd.DataFrame({"configuration": range(len(RATES)), "learning_rate": RATES, "dropout": 0.2})
    rows.to_csv(folder / "rows.csv", index=False)
    (folder / "seeds.toml").write_text(GRID.format(seeds=seeds, more=more), encoding="utf-8")
    made = subset_plan("digits-lenet", folder, grid=str(folder / "seeds.toml"), kept_epochs=tuple(range(keep + 1)))
    made.bind(images)
    for network in made.order:
        made.run(network).folder.mkdir(exist_ok=True)
    return made


def accuracy_of_snapshot(made: SubsetPlan, network: int, epoch: int, images: Images) -> float:
    """The oracle: the accuracy of the kept snapshot, loaded into a torch module, on the test half."""
    weights = made.run(network).read_snapshot(epoch)
    assert weights is not None
    model = build_module("digits-lenet").eval()
    model.load_state_dict({name: torch.from_numpy(values) for name, values in weights.items()})
    pixels, labels = images.test
    with torch.no_grad():
        outputs = model(torch.from_numpy(np.asarray(pixels, dtype=np.float32)) * (2 / images.brightest) - 1)
    return 100 * float((outputs.argmax(1).numpy() == labels).mean())


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, digit_images: Images) -> SubsetPlan:
    made = begin(tmp_path_factory.mktemp("late"), digit_images, keep=4)
    train_in_this_process(job(made), digit_images)
    return made


def test_late_accuracy_is_the_mean_of_the_last_epochs_on_the_test_half(trained: SubsetPlan, digit_images: Images) -> None:
    record = trained.run(0).record()
    assert record is not None
    late = [accuracy_of_snapshot(trained, 0, epoch, digit_images) for epoch in (3, 4)]
    assert record.late_accuracies == pytest.approx(late)
    assert record.late_accuracy == pytest.approx(np.mean(late))
    assert record.final_accuracy == pytest.approx(late[-1])


def test_a_diverged_network_has_chance(trained: SubsetPlan) -> None:
    record = trained.run(1).record()
    assert record is not None
    assert record.diverged
    assert record.late_accuracy == 10.0


def test_it_is_a_column_of_the_networks_and_in_no_curve(trained: SubsetPlan, tmp_path: Path) -> None:
    subset = nb.load("digits-lenet", root=pack_subset(trained, into=tmp_path).parents[1])
    assert subset.networks["late_accuracy"].tolist() == [trained.run(n).record().late_accuracy for n in range(4)]  # type: ignore[index]
    assert list(subset.curves) == ["train_loss", "train_accuracy", "validation_accuracy", "seconds"]
    assert "late_accuracy" not in subset.history(0, 4).hyperparameters
    assert subset.networks["configuration"].tolist() == [0, 1, 0, 1]


def test_without_late_epochs_the_same_networks_lack_it(trained: SubsetPlan, tmp_path: Path, digit_images: Images) -> None:
    """Looking at the test half changes no bit of training."""
    plain = begin(tmp_path, digit_images, more="", keep=4)
    train_in_this_process(job(plain), digit_images)
    found, expected = outcome(plain), outcome(trained)
    for network in map(str, plain.order):
        expected[network].pop("late_accuracies", None)
        assert expected[network].pop("late_accuracy") is not None
    assert found == expected


def test_interrupted_before_each_epoch_it_is_the_same(trained: SubsetPlan, tmp_path: Path, digit_images: Images) -> None:
    made = begin(tmp_path, digit_images, keep=4)
    asked = 0

    def every_second_time() -> bool:
        nonlocal asked
        asked += 1
        return asked % 2 == 0

    begun = (train_network(made.network(0), digit_images, made.run(0), stop=every_second_time) for _ in range(20))
    assert any(begun)
    assert made.run(0).record().late_accuracies == trained.run(0).record().late_accuracies  # type: ignore[index]


@pytest.mark.parametrize("more", ["late_epochs = 5", "late_epochs = 2\npatience = 3"])
def test_late_epochs_that_training_may_not_reach_are_refused(tmp_path: Path, digit_images: Images, more: str) -> None:
    settings = GRID.replace("patience = 0\n", "") if "patience" in more else GRID
    (tmp_path / "rows.csv").write_text("configuration,learning_rate,dropout\n0,0.01,0.0\n", encoding="utf-8")
    (tmp_path / "late.toml").write_text(settings.format(seeds=1, more=more), encoding="utf-8")
    with pytest.raises(ValueError, match=r"late_epochs = \d needs patience = 0 and at least as many epochs"):
        read_grid(str(tmp_path / "late.toml"))


def test_only_kept_epochs_have_signatures_and_others_come_from_weights(
    tmp_path: Path, digit_images: Images, trained: SubsetPlan
) -> None:
    made = begin(tmp_path / "few", digit_images, keep=1)
    train_in_this_process(job(made), digit_images)
    subset = nb.load("digits-lenet", root=pack_subset(made).parents[1])
    assert sorted(set(subset.signatures.loc[0].index.get_level_values("epoch"))) == [0, 1, 4]
    assert subset.history(0, 1).signature("degree").shape == (1, 5)
    with pytest.raises(NotAtHandError, match="holds epochs 0, 1 and 4 of this network, not 2"):
        subset.history(0, 2).signature("degree")
    whole = nb.load("digits-lenet", root=pack_subset(trained, into=tmp_path / "whole").parents[1])
    np.testing.assert_array_equal(subset.history(0, 1).signature("degree"), whole.history(0, 4).signature("degree")[:1])


def test_seeds_are_passes_over_the_first_rows() -> None:
    seeds, diverse = read_grid("cifar10-seeds"), read_grid("diverse")
    assert len(seeds.networks) == 40 * 12
    assert (seeds.networks["configuration"] == [*range(40)] * 12).all()
    same = [seeds.recipe(network) | {"late_epochs": 0} == diverse.recipe(network) for network in range(40)]
    assert all(same)


@pytest.mark.parametrize("name", ["diverse", "digits-seeds"])
def test_drawn_rows_are_those_of_their_draw(name: str) -> None:
    drawn = draw_rows(name)
    written = read_grid(name).networks.head(len(drawn))
    pd.testing.assert_frame_equal(drawn, written.reset_index(drop=True), check_dtype=False)


def test_the_features_table_has_the_epochs_that_the_catalogue_names(trained: SubsetPlan, tmp_path: Path) -> None:
    few = replace(trained, entry=replace(trained.entry, features=[0, 1, 2]))
    subset = nb.load("digits-lenet", root=pack_subset(few, into=tmp_path).parents[1])
    assert sorted(set(subset.features.index.get_level_values("epoch"))) == [0, 1, 2]
    assert sorted(set(subset.signatures.loc[0].index.get_level_values("epoch"))) == [0, 1, 2, 3, 4]
