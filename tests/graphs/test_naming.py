"""Weights under somebody else's names: mapped to the architecture's names, or refused."""

from __future__ import annotations

import re
from itertools import permutations

import numpy as np
import pytest

from nndynbench.graphs import NamingError, architecture, describe, naming, random_weights, renamed


@pytest.fixture
def lenet() -> dict[str, np.ndarray]:
    return random_weights("cifar10-lenet", seed=0)


def equal(ours, theirs) -> bool:
    return ours.keys() == theirs.keys() and all(np.array_equal(ours[name], theirs[name]) for name in ours)


def positional(name: str, template: str = "features.{}") -> dict[str, np.ndarray]:
    """The architecture's weights under names with numbers that are three apart, as in a torch Sequential."""
    weights = random_weights(name, seed=0)
    layers = architecture(name).weighted_layers
    numbers = {layer.name: template.format(3 * position) for position, layer in enumerate(layers)}
    return {numbers[key.rpartition(".")[0]] + "." + key.rpartition(".")[2]: value for key, value in weights.items()}


def test_the_architectures_own_names_stay(lenet):
    assert equal(renamed(lenet, "cifar10-lenet"), lenet)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.module.", "net.body."])
def test_a_prefix_that_all_names_share_is_dropped(lenet, prefix):
    assert equal(renamed({prefix + name: value for name, value in lenet.items()}, "cifar10-lenet"), lenet)


def test_a_prefix_is_dropped_also_where_other_tensors_stand_beside_the_network():
    # A LightningModule keeps the weights of its loss's classes.
    weights = {f"{name}.weight": np.full((4, 4), i, np.float32) for i, name in enumerate(["fc2", "fc1"])}
    theirs = {f"model.{key}": value for key, value in weights.items()} | {"criterion.weight": np.ones(4, np.float32)}
    assert equal(renamed(theirs, describe(weights)), weights)


@pytest.mark.parametrize("prefix", ["", "net.", "module.net.body."])
def test_layers_whose_names_share_a_prefix_are_found_by_their_names(prefix):
    # The numbers in the first names run against the order of the layers; the other names say no order at all.
    for names in (["fc2", "fc1"], ["hidden", "deeper"]):
        weights = {f"net.body.{name}.weight": np.full((4, 4), i, np.float32) for i, name in enumerate(names)}
        described = describe(weights)
        theirs = {f"{prefix}{key.removeprefix('net.body.')}": value for key, value in weights.items()}
        assert equal(renamed(theirs, described), weights)


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
    with pytest.raises(NamingError, match=r"2 tensor\(s\) of this shape: features\.9\.weight, spare\.weight"):
        renamed(theirs, "cifar10-lenet")


def test_names_of_equal_shape_that_do_not_say_the_order_are_refused():
    theirs = positional("cifar10-vgg")
    theirs["middle.weight"] = theirs.pop("features.15.weight")
    with pytest.raises(NamingError, match="their names do not give the order"):
        renamed(theirs, "cifar10-vgg")


def test_another_architectures_weights_are_refused(lenet):
    with pytest.raises(NamingError, match="cifar10-vgg has 1 layer"):
        renamed(lenet, "cifar10-vgg")


@pytest.mark.parametrize(
    ("theirs", "name", "left"),
    [
        (
            lambda: random_weights("cifar10-resnet44", seed=0),
            "cifar10-resnet32",
            r"layer1\.5\.conv1\.weight.*layer3\.6\.conv2",
        ),
        (
            lambda: random_weights("cifar10-vgg", seed=0) | {"conv8.weight": np.zeros((256, 256, 3, 3), np.float32)},
            "cifar10-vgg",
            r"conv8\.weight",
        ),
        (
            lambda: random_weights("cifar10-lenet", seed=0) | {"fc4.weight": np.zeros((10, 10), np.float32)},
            "cifar10-lenet",
            r"fc4\.weight",
        ),
        (
            lambda: positional("cifar10-lenet") | {"hidden.weight": np.zeros((84, 84), np.float32)},
            "cifar10-lenet",
            r"hidden\.weight",
        ),
    ],
)
def test_weights_of_layers_that_the_architecture_lacks_are_refused(theirs, name, left):
    with pytest.raises(NamingError, match=f"weights that {name} has no layer for: .*{left}"):
        renamed(theirs(), name)


def test_what_is_no_layer_is_still_left_out(lenet):
    more = {
        "norm.weight": np.zeros(6),
        "normalise.mean": np.zeros((1, 3, 1, 1)),
        "layer1.0.downsample.0.weight": np.zeros((16, 6, 1, 1)),
        "layer1.0.shortcut.0.weight": np.zeros((16, 6, 1, 1)),
        "aux_head.weight": np.zeros((10, 120)),
    }
    assert equal(renamed(lenet | more, "cifar10-lenet"), lenet)


def test_a_shortcut_of_a_layers_shape_is_no_candidate():
    theirs = positional("cifar10-lenet")
    assert equal(
        renamed(theirs | {"shortcut.weight": theirs["features.3.weight"]}, "cifar10-lenet"),
        random_weights("cifar10-lenet", seed=0),
    )


@pytest.mark.parametrize("ending", [".kernel", "/weight", ".w"])
def test_names_that_do_not_end_in_weight_are_listed(lenet, ending):
    theirs = {name.replace(".weight", ending): value for name, value in lenet.items()}
    with pytest.raises(NamingError, match=f"also of this shape, but not named NAME.weight: conv1{ending}"):
        renamed(theirs, "cifar10-lenet")


@pytest.mark.parametrize(
    ("endings", "origin"),
    [
        (["weight_g", "weight_v"], "weight_norm"),
        (["parametrizations.weight.original0", "parametrizations.weight.original1"], "a parametrization"),
        (["parametrizations.weight.original"], "a parametrization"),
        (["weight_orig", "weight_u"], "spectral_norm or pruning"),
    ],
)
def test_parts_of_a_weight_are_never_taken_for_it(lenet, endings, origin):
    theirs = dict(lenet)
    weight = theirs.pop("fc2.weight")
    theirs |= {f"fc2.{ending}": weight for ending in endings}
    with pytest.raises(NamingError, match=rf"'fc2\.{endings[0]}' is a part of a weight under {origin}.*not supported"):
        renamed(theirs, "cifar10-lenet")


def resnet32_as(template: str) -> dict[str, np.ndarray]:
    """ResNet-32's weights under names of stages, blocks and convs, in the order of these names."""
    weights = {
        re.sub(
            r"layer(\d)\.(\d)\.conv(\d)",
            lambda found: template.format(stage=found[1], block=found[2], conv=found[3]),
            name,
        ): value
        for name, value in random_weights("cifar10-resnet32", seed=0).items()
    }
    return dict(sorted(weights.items()))


@pytest.mark.parametrize("template", ["stage{stage}.block{block}.conv{conv}", "blocks.{stage}{block}.body.{conv}"])
def test_blocks_that_count_before_their_convs_are_in_order(template):
    assert equal(renamed(resnet32_as(template), "cifar10-resnet32"), random_weights("cifar10-resnet32", seed=0))


@pytest.mark.parametrize("template", ["conv{conv}.stage{stage}.block{block}", "stage{stage}.conv{conv}.block{block}"])
def test_convs_that_count_before_their_blocks_are_refused(template):
    with pytest.raises(NamingError, match="their names do not give the order"):
        renamed(resnet32_as(template), "cifar10-resnet32")


def test_numbers_that_repeat_another_ones_count_are_not_tried_apart(monkeypatch):
    monkeypatch.setattr(
        naming, "permutations", lambda places: permutations(places) if len(places) < 4 else pytest.fail("all")
    )
    template = "stage{stage}.block{block}.conv{conv}." * 4
    assert equal(renamed(resnet32_as(template), "cifar10-resnet32"), random_weights("cifar10-resnet32", seed=0))


def test_of_names_with_many_numbers_not_every_order_is_tried(monkeypatch):
    monkeypatch.setattr(naming, "permutations", lambda places: pytest.fail(f"{len(places)}! orders"))
    weights = random_weights("cifar10-resnet32", seed=0)
    layers = [name for name in weights if ".conv" in name and name.endswith(".weight")]
    theirs = {name: value for name, value in weights.items() if name not in layers}
    numbers = {
        name: ".".join(f"{(position + 1) * step % 31}" for step in range(1, 10)) for position, name in enumerate(layers)
    }
    theirs |= {f"conv.{numbers[name]}.weight": weights[name] for name in layers}
    with pytest.raises(NamingError, match="their names do not give the order"):
        renamed(theirs, "cifar10-resnet32")


@pytest.mark.parametrize("template", ["block{block}.conv{conv}", "conv{conv}.block{block}"])
def test_shapes_tell_which_number_counts_first(template):
    weights = random_weights("cifar10-vgg", seed=0)
    places = [(1, 1), (2, 1), (2, 2), (3, 1), (3, 2), (4, 1), (4, 2)]
    names = {f"conv{i}": template.format(block=block, conv=conv) for i, (block, conv) in enumerate(places, start=1)}
    theirs = {
        f"{names.get(name.partition('.')[0], name.partition('.')[0])}.{name.partition('.')[2]}": value
        for name, value in weights.items()
    }
    assert equal(renamed(theirs, "cifar10-vgg"), weights)


@pytest.mark.parametrize("kind", [np.complex64, np.int8, np.bool_])
def test_weights_that_are_no_real_numbers_are_refused(lenet, kind):
    with pytest.raises(NamingError, match=rf"'fc1\.weight' has values of type {np.dtype(kind).name}"):
        renamed(lenet | {"fc1.weight": lenet["fc1.weight"].astype(kind)}, "cifar10-lenet")


def test_weights_on_the_meta_device_are_refused(lenet):
    torch = pytest.importorskip("torch")
    with pytest.raises(NamingError, match=r"'fc1\.weight' is on the meta device"):
        renamed(lenet | {"fc1.weight": torch.empty(120, 400, device="meta")}, "cifar10-lenet")


def test_a_transposed_conv_of_a_convs_shape_is_none(lenet):
    theirs = {**lenet, "conv2.bias": lenet["conv2.bias"][:6]}
    with pytest.raises(NamingError, match=r"'conv2\.weight' is a transposed conv's: .* its bias \(6,\), not \(16,\)"):
        renamed(theirs, "cifar10-lenet")
