"""Weights under somebody else's names, mapped to the architecture's or refused."""

from __future__ import annotations

import re

import numpy as np
import pytest

from nndynbench.graphs import NamingError, architecture, random_weights, renamed


@pytest.fixture
def lenet() -> dict[str, np.ndarray]:
    return random_weights("cifar10-lenet", seed=0)


def equal(ours, theirs) -> bool:
    return ours.keys() == theirs.keys() and all(np.array_equal(ours[name], theirs[name]) for name in ours)


def positional(name: str, template: str = "features.{}") -> dict[str, np.ndarray]:
    """The architecture's weights under numbered names, three apart, as in a torch Sequential."""
    weights = random_weights(name, seed=0)
    layers = architecture(name).weighted_layers
    numbers = {layer.name: template.format(3 * position) for position, layer in enumerate(layers)}
    return {numbers[key.rpartition(".")[0]] + "." + key.rpartition(".")[2]: value for key, value in weights.items()}


def test_the_architectures_own_names_stay(lenet):
    assert equal(renamed(lenet, "cifar10-lenet"), lenet)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.module.", "net.body."])
def test_a_prefix_that_all_names_share_is_dropped(lenet, prefix):
    assert equal(renamed({prefix + name: value for name, value in lenet.items()}, "cifar10-lenet"), lenet)


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model"])
def test_a_checkpoint_that_holds_more_is_looked_into(lenet, key):
    assert equal(renamed({"epoch": 3, "optimizer": {"state": {}}, key: lenet}, "cifar10-lenet"), lenet)


def test_numbered_layers_are_matched_by_shape_and_by_number():
    # Sorted as text, features.15 would come before features.6.
    shuffled = dict(sorted(positional("cifar10-vgg").items()))
    assert equal(renamed(shuffled, "cifar10-vgg"), random_weights("cifar10-vgg", seed=0))


def test_other_tensors_are_left_out(lenet):
    more = lenet | {"norm.running_mean": np.zeros(6), "steps": np.array(3)}
    assert equal(renamed(more, "cifar10-lenet"), lenet)


def test_a_differently_named_last_layer_of_a_resnet_is_found_by_its_shape():
    weights = random_weights("cifar10-resnet32", seed=0)
    theirs = {name.replace("fc.", "linear."): value for name, value in weights.items()}
    assert equal(renamed(theirs, "cifar10-resnet32"), weights)


@pytest.mark.parametrize(("name", "first"), [("cifar10-vgg", 0), ("cifar10-vgg", 2), ("cifar10-resnet32", 1)])
def test_whoever_counts_from_another_number_has_the_same_layers(name, first):
    weights = random_weights(name, seed=0)
    counted = r"conv(\d+)(?=\.weight|\.bias)" if name == "cifar10-vgg" else r"(?<=layer\d\.)(\d+)"
    shift = first - (1 if name == "cifar10-vgg" else 0)
    theirs = {
        re.sub(counted, lambda found: found[0].replace(found[1], str(int(found[1]) + shift)), k): v
        for k, v in weights.items()
    }
    assert theirs.keys() != weights.keys()
    assert equal(renamed(theirs, name), weights)


def test_a_missing_layer_is_named_with_its_shape(lenet):
    del lenet["fc2.weight"]
    with pytest.raises(NamingError, match=r"1 layer\(s\) of shape \(84, 120\) \(fc2\).*has 0 tensor"):
        renamed(lenet, "cifar10-lenet")


def test_more_candidates_than_layers_are_listed():
    theirs = positional("cifar10-lenet") | {"spare.weight": np.zeros((84, 120), np.float32)}
    with pytest.raises(NamingError, match=r"2 tensor\(s\) of it: features\.9\.weight, spare\.weight"):
        renamed(theirs, "cifar10-lenet")


def test_names_of_equal_shape_that_do_not_say_the_order_are_refused():
    theirs = positional("cifar10-vgg")
    theirs["middle.weight"] = theirs.pop("features.15.weight")
    with pytest.raises(NamingError, match="their names do not say the order"):
        renamed(theirs, "cifar10-vgg")


def test_another_architectures_weights_are_refused(lenet):
    with pytest.raises(NamingError, match="cifar10-vgg has 1 layer"):
        renamed(lenet, "cifar10-vgg")
