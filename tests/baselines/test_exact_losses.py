"""Exact losses are those of the network itself, over the images that it was trained and validated on."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch.nn import functional

import nndynbench as nb
from generation.architectures import build_module
from generation.images import Images, load_images
from generation.training.batches import normalised
from nndynbench.protocols.method import baselines_folder
from nndynbench.protocols.scripts import load_script

SAME_RECIPE = load_script(baselines_folder() / "same_recipe.py", alone=True)


@pytest.fixture(scope="module")
def seeds() -> nb.Subset:
    return nb.load("digits-lenet-seeds")


@pytest.fixture(scope="module")
def images() -> Images:
    return load_images("digits")


def test_the_images_are_those_that_the_zoo_was_trained_and_validated_on(images: Images) -> None:
    pixels, labels, training = SAME_RECIPE.digits()
    assert training == len(images.train[1])
    np.testing.assert_array_equal(pixels[:training], normalised(torch.from_numpy(np.array(images.train[0])), 16).numpy())
    np.testing.assert_array_equal(labels[:training], images.train[1])
    # Of the validation half, the order is of no account.
    validation = normalised(torch.from_numpy(np.array(images.validation[0])), 16).numpy()
    ours, theirs = (
        sorted((image.tobytes(), int(label)) for image, label in zip(*half, strict=True))
        for half in ((pixels[training:], labels[training:]), (validation, images.validation[1]))
    )
    assert ours == theirs


@pytest.mark.parametrize("network", [0, 700, 1535])
def test_losses_and_accuracies_are_those_of_the_module_with_these_weights(
    seeds: nb.Subset, images: Images, network: int
) -> None:
    history = seeds.history(network, 3)
    found = SAME_RECIPE.exact_losses(history)
    module = build_module("digits-lenet").eval()
    module.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in history.weights(3).items()})
    seen = int(history.hyperparameters["training_images"])
    for side, (pixels, labels) in {"train": images.train, "validation": images.validation}.items():
        count = seen if side == "train" else len(labels)
        truths = torch.from_numpy(np.array(labels[:count]))
        with torch.no_grad():
            outputs = module(normalised(torch.from_numpy(np.array(pixels[:count])), 16))
        assert found[f"exact_{side}_loss_3"] == pytest.approx(functional.cross_entropy(outputs, truths).item(), rel=1e-5)
        right = 100 * float((outputs.argmax(1) == truths).float().mean())
        assert found[f"exact_{side}_accuracy_3"] == pytest.approx(right, abs=0.3)


def test_the_exact_validation_accuracy_is_the_stored_one_but_for_the_rounding_of_weights(seeds: nb.Subset) -> None:
    ids = seeds.network_ids[::40]
    exact = [SAME_RECIPE.exact_losses(seeds.history(network, 1))["exact_validation_accuracy_1"] for network in ids]
    stored = [seeds.history(network, 1).curves["validation_accuracy"].iloc[0] for network in ids]
    assert np.mean(np.abs(np.subtract(exact, stored))) < 0.1


def test_other_images_are_refused() -> None:
    history = nb.load("cifar10-lenet-seeds").history(0, 1)
    with pytest.raises(ValueError, match="for LeNets on the digits"):
        SAME_RECIPE.exact_losses(history)
