"""Rolled graphs against the definition, written as loops over every filter and channel, and against the paper's Table 5."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from nndynbench.graphs import architecture, architecture_names, random_weights, rolled
from nndynbench.paper import paper_table5
from tests.graphs.strategies import networks
from tests.graphs.trained import initial, trained

DEEP = ["cifar10-lenet", "cifar10-resnet32", "cifar10-vgg"]


def blocks_by_loops(weights, described) -> list[np.ndarray]:
    blocks = []
    for layer in described.weighted_layers:
        outputs, inputs = layer.output_shape[0], layer.input_shape[0]
        weight = np.asarray(weights[f"{layer.name}.weight"], np.float64)
        block = np.zeros((outputs, inputs))
        for i in range(outputs):
            for j in range(inputs):
                if layer.kind == "conv":
                    between = weight[i, j]
                else:
                    positions = weight.shape[1] // inputs
                    between = weight[i, j * positions : (j + 1) * positions]
                block[i, j] = np.sqrt(np.sum(between**2))
        blocks.append(block)
    return blocks


@given(networks())
@settings(max_examples=60)
def test_an_edge_weighs_the_norm_of_what_lies_between_its_ends(network):
    described, weights = network
    graph = rolled(weights, described)
    for block, expected in zip(graph.blocks, blocks_by_loops(weights, described), strict=True):
        np.testing.assert_allclose(block, expected, rtol=1e-14)


@pytest.mark.parametrize("name", DEEP)
@pytest.mark.parametrize("snapshot", [initial, trained])
def test_the_definition_holds_on_real_networks_before_and_after_training(name, snapshot):
    pytest.importorskip("torch")
    weights = snapshot(name)
    graph = rolled(weights, name)
    for block, expected in zip(graph.blocks, blocks_by_loops(weights, architecture(name)), strict=True):
        np.testing.assert_allclose(block, expected, rtol=1e-13)


@pytest.mark.parametrize("name", list(paper_table5()))
def test_sizes_are_those_of_table_5(name):
    graph = rolled(random_weights(name, seed=0), name)
    assert graph.number_of_nodes == paper_table5()[name]["rolled_nodes"]
    assert graph.number_of_edges == paper_table5()[name]["rolled_edges"]


def test_layers_are_the_input_and_every_layer_with_weights():
    graph = rolled(random_weights("cifar10-lenet", seed=0), "cifar10-lenet")
    assert graph.layers == ("input", "conv1", "conv2", "fc1", "fc2", "fc3")
    assert graph.layer_sizes == (3, 6, 16, 120, 84, 10)


def test_stacked_weights_give_each_snapshots_graph_side_by_side(digits):
    history = digits.history(digits.network_ids[0], budget=6)
    snapshots = [history.weights(epoch) for epoch in range(6)]
    stacked = {name: np.stack([weights[name] for weights in snapshots]) for name in snapshots[0]}
    together = rolled(stacked, "digits-lenet")
    assert together.stack == (6,)
    for number, weights in enumerate(snapshots):
        alone = rolled(weights, "digits-lenet")
        for block, expected in zip(together.blocks, alone.blocks, strict=True):
            assert np.array_equal(block[number], expected)
        np.testing.assert_array_equal(together.degree()[number], alone.degree())
        np.testing.assert_allclose(together.eigenvector_centrality()[number], alone.eigenvector_centrality(), atol=1e-11)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.longdouble, ">f4", ">f8"])
def test_blocks_may_have_any_floating_type(dtype):
    weights = random_weights("digits-lenet", seed=0)
    graph = rolled(weights, "digits-lenet", dtype=dtype)
    for block, expected in zip(graph.blocks, rolled(weights, "digits-lenet").blocks, strict=True):
        assert block.dtype == dtype
        np.testing.assert_allclose(block.astype(np.float64), expected, rtol=1e-3)


def test_whole_numbers_are_weights_too():
    weights = {name: np.full(tensor.shape, -128, np.int8) for name, tensor in random_weights("digits-lenet", seed=0).items()}
    assert (rolled(weights, "digits-lenet").blocks[-1] == 128).all()


def test_float32_blocks_are_the_rounded_float64_ones():
    weights = random_weights("cifar10-lenet", seed=0)
    single, double = rolled(weights, "cifar10-lenet", dtype=np.float32), rolled(weights, "cifar10-lenet")
    for block, expected in zip(single.blocks, double.blocks, strict=True):
        assert np.array_equal(block, expected.astype(np.float32))


@pytest.mark.parametrize("name", architecture_names())
def test_a_torch_module_and_its_state_dict_are_taken_as_they_are(name):
    torch = pytest.importorskip("torch")
    from generation.architectures import build_module, snapshot

    torch.manual_seed(0)
    if name == "imagenet-resnet50":
        pytest.importorskip("torchvision")
    model = build_module(name)
    expected = rolled(snapshot(model), name)
    for weights in (model, model.state_dict()):
        graph = rolled(weights, name)
        assert all(np.array_equal(ours, theirs) for ours, theirs in zip(graph.blocks, expected.blocks, strict=True))


def test_a_bfloat16_state_dict_is_read_exactly():
    torch = pytest.importorskip("torch")
    weights = {name: torch.from_numpy(value).bfloat16() for name, value in random_weights("digits-lenet", seed=0).items()}
    graph = rolled(weights, "digits-lenet")
    expected = rolled({name: value.float().numpy() for name, value in weights.items()}, "digits-lenet")
    assert np.array_equal(graph.blocks[0], expected.blocks[0])


def test_a_missing_tensor_is_named():
    weights = random_weights("digits-lenet", seed=0)
    del weights["conv2.weight"]
    with pytest.raises(ValueError, match=r"no 'conv2\.weight' \(they have: conv1\.weight"):
        rolled(weights, "digits-lenet")


def test_a_tensor_of_another_shape_is_named_with_both_shapes():
    weights = random_weights("digits-lenet", seed=0) | {"fc2.weight": np.zeros((16, 12), np.float32)}
    with pytest.raises(ValueError, match=r"'fc2\.weight' has shape \(16, 12\); the architecture says \(12, 16\)"):
        rolled(weights, "digits-lenet")


def test_stacks_of_different_sizes_are_an_error_that_names_the_layer():
    weights = random_weights("digits-lenet", seed=0)
    stacked = {name: np.stack([value] * (3 if "fc2" in name else 2)) for name, value in weights.items()}
    with pytest.raises(ValueError, match=r"stacks \(3,\) graphs, but the first block \(2,\)"):
        rolled(stacked, "digits-lenet")


def test_what_are_no_weights_at_all_is_an_error():
    with pytest.raises(TypeError, match="not list"):
        rolled([np.zeros(3)], "digits-lenet")
