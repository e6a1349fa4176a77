"""Every subset trains on its real images: one epoch or more of real networks, from the images to a loaded subset."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import nndynbench as nb
from generation.engines import Job
from generation.engines.here import train_here
from generation.images import Images, load_images
from generation.pack import pack_subset
from generation.plan import subset_plan
from generation.training import train_network
from generation.training.plan import NetworkPlan
from nndynbench.subsets.catalogue import catalogue

pytestmark = pytest.mark.images

PAPERS = [name for name, entry in catalogue().items() if entry.paper is not None]

SMALL = """
regime = "reduced"
[settings]
training_images = 256
validation_images = 200
batch_size = 64
epochs = {epochs}
[product]
learning_rate = {rates}
dropout = [0.0, 0.5]
"""


@pytest.fixture(scope="module")
def image_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("images")


def real_images(name: str, images_folder: Path, cache: Path) -> Images:
    source = images_folder / {"cifar10": "cifar10", "imagenet": "tiny-imagenet"}[name]
    return load_images(name, source=source, cache=cache)


def few(images: Images, count: int = 200) -> Images:
    """The same images with few in each half: evaluating on all of them would take longer than the epoch."""
    validation, test = ((pixels[:count], labels[:count]) for pixels, labels in (images.validation, images.test))
    return replace(images, validation=validation, test=test)


def small_grid(folder: Path, *, epochs: int, rates: list[float]) -> str:
    path = folder / "small.toml"
    path.write_text(SMALL.format(epochs=epochs, rates=rates), encoding="utf-8")
    return str(path)


def test_there_are_eight_subsets_of_the_papers() -> None:
    assert len(PAPERS) == 8


@pytest.mark.parametrize("subset", PAPERS)
def test_a_network_of_every_subset_trains_an_epoch_on_real_images(
    subset: str, images_folder: Path, image_cache: Path, tmp_path: Path
) -> None:
    made = subset_plan(subset, tmp_path, grid=small_grid(tmp_path, epochs=1, rates=[0.01]), kept_epochs=(0, 1))
    images = few(real_images(made.entry.images, images_folder, image_cache))
    made.bind(images)
    network = made.order[0]
    made.run(network).folder.mkdir()
    assert train_network(made.network(network), images, made.run(network))
    record = made.run(network).record()
    assert record is not None
    assert not record.diverged
    chance_loss = np.log(10 if made.entry.images == "cifar10" else 100)
    # Residual networks start with large logits.
    assert 0.5 * chance_loss < record.epochs[0].train_loss < 5 * chance_loss
    before, after = made.run(network).read_snapshot(0), made.run(network).read_snapshot(1)
    assert before is not None
    assert after is not None
    assert all((before[name] != after[name]).any() for name in before if name.endswith("weight"))
    loaded = nb.Subset(pack_subset(made)).history(network, 1)
    assert loaded.graph(1).number_of_nodes == loaded.centrality("degree").shape[1]


def test_four_lenets_train_on_cifar10_and_are_read_at_every_tier(
    images_folder: Path, image_cache: Path, tmp_path: Path
) -> None:
    made = subset_plan("cifar10-lenet", tmp_path, grid=small_grid(tmp_path, epochs=2, rates=[0.01, 0.02]))
    made.bind(real_images("cifar10", images_folder, image_cache))
    assert train_here(Job(made, made.order, image_cache), workers=2).finished == 4
    pack_subset(made)
    zoo = nb.load("cifar10-lenet", root=tmp_path)
    assert zoo.tiers == ["networks", "centralities", "graphs", "weights"]
    history = zoo.history(zoo.network_ids[0], 2)
    assert history.signature("degree", representation="unrolled", sign="pos-neg").shape == (2, 10)
    assert history.weights(2)["conv1.weight"].shape == (6, 3, 5, 5)


@pytest.mark.slow
def test_a_lenet_passes_60_percent_in_15_epochs(images_folder: Path, image_cache: Path, tmp_path: Path) -> None:
    images = real_images("cifar10", images_folder, image_cache)
    made = subset_plan("cifar10-lenet", tmp_path)
    grid = made.grid.networks
    network = int(grid.index[(grid["learning_rate"] == 0.01) & (grid["dropout"] == 0)][0])
    planned = made.network(network)
    shortened = NetworkPlan(planned.subset, network, planned.architecture, planned.recipe | {"epochs": 15})
    run = made.run(network)
    run.folder.mkdir(parents=True)
    assert train_network(shortened, images, run)
    record = run.record()
    assert record is not None
    assert record.final_accuracy > 60
