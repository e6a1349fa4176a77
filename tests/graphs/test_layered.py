"""A layered graph's names, node attributes, subgraphs and conversions."""

from __future__ import annotations

import sys

import networkx
import numpy as np
import pytest

from nndynbench.graphs import LayeredGraph, random_weights, rolled, unrolled
from nndynbench.names import UnknownNameError


@pytest.fixture(scope="module")
def weights(digits) -> dict[str, np.ndarray]:
    """A trained network's weights."""
    return digits.history(digits.network_ids[3], budget=5).weights(5)


@pytest.fixture(scope="module")
def graph(weights) -> LayeredGraph:
    return rolled(weights, "digits-lenet")


def test_nodes_are_numbered_layer_after_layer(graph):
    assert [graph.nodes(layer) for layer in graph.layers[:3]] == [range(1), range(1, 5), range(5, 13)]
    assert graph.node_names[5] == "conv2/0"
    assert len(graph.node_names) == graph.number_of_nodes


def test_an_unknown_layer_is_an_error_that_lists_the_layers(graph):
    with pytest.raises(UnknownNameError, match=r"unknown layer 'conv3'.*input, conv1, conv2, fc1, fc2, fc3"):
        graph.nodes("conv3")


def test_a_graph_is_shown_in_ascii_which_every_console_has(graph):
    assert str(graph).startswith("LayeredGraph(input 1 -> conv1 4 -> ")
    assert str(graph).isascii()


def test_a_filters_attributes_are_its_flattened_weights_and_its_bias(graph, weights):
    attributes = graph.node_attributes("conv2")
    assert attributes.shape == (8, 4 * 3 * 3 + 1)
    assert np.array_equal(attributes[2, :-1], weights["conv2.weight"][2].ravel())
    assert attributes[2, -1] == weights["conv2.bias"][2]


def test_a_units_attributes_are_its_incoming_weights_and_its_bias(graph, weights):
    assert np.array_equal(graph.node_attributes("fc2")[:, :-1], weights["fc2.weight"])
    assert np.array_equal(graph.node_attributes("fc2")[:, -1], weights["fc2.bias"])


def test_filters_without_bias_have_their_weights_alone():
    resnet = rolled(random_weights("cifar10-resnet32", seed=0), "cifar10-resnet32")
    assert resnet.node_attributes("layer1.0.conv1").shape == (16, 16 * 9)


def test_every_position_of_an_unrolled_filter_has_the_filters_attributes(weights):
    attributes = unrolled(weights, "digits-lenet").node_attributes("conv1")
    assert attributes.shape == (4 * 8 * 8, 10)
    assert np.array_equal(attributes[64:128], np.tile(attributes[64], (64, 1)))
    assert np.array_equal(attributes[64, :-1], weights["conv1.weight"][1].ravel())


def test_inputs_and_pooled_positions_have_no_attributes(weights):
    graph = unrolled(weights, "digits-lenet")
    assert graph.node_attributes("input").shape == (64, 0)
    assert graph.node_attributes("pool1").shape == (64, 0)


def test_a_graph_made_of_blocks_alone_says_that_it_has_no_attributes(graph):
    with pytest.raises(ValueError, match="made only from blocks"):
        LayeredGraph(graph.blocks, graph.layers).node_attributes("conv1")


def test_blocks_that_do_not_fit_each_other_are_an_error_that_names_the_layer():
    with pytest.raises(ValueError, match="block 'b' has input size 3, but the layer before it has size 2"):
        LayeredGraph((np.ones((2, 2)), np.ones((2, 3))), ("input", "a", "b"))


def test_networkx_has_the_same_nodes_edges_and_attributes(graph):
    converted = graph.to_networkx()
    assert converted.number_of_nodes() == graph.number_of_nodes
    assert converted.number_of_edges() == graph.number_of_edges
    assert networkx.is_bipartite(converted)
    assert converted.nodes[6]["layer"] == "conv2"
    assert converted.nodes[6]["name"] == "conv2/1"
    assert converted.nodes[6].keys() == {"layer", "name"}
    assert converted.edges[6, 2]["weight"] == graph.blocks[1][1, 1]
    degrees = [degree for _, degree in sorted(converted.degree(weight="weight"))]
    np.testing.assert_allclose(graph.degree(), degrees, rtol=1e-12)


def test_scipy_keeps_edges_of_weight_0():
    weights = random_weights("digits-lenet", seed=0)
    weights["fc1.weight"][:, :16] = 0
    graph = rolled(weights, "digits-lenet")
    adjacency = graph.to_scipy()
    assert adjacency.nnz == 2 * graph.number_of_edges
    assert (adjacency != adjacency.T).nnz == 0


def test_the_subgraphs_of_both_signs_add_up_to_the_signed_graph(weights):
    signed = unrolled(weights, "digits-lenet")
    positive, negative = signed.subgraph("positive").to_scipy(), signed.subgraph("negative").to_scipy()
    difference = positive.toarray() - negative.toarray()
    assert np.array_equal(difference, signed.to_scipy().toarray())
    assert positive.data.min() >= 0
    assert negative.data.min() >= 0


def test_a_subgraphs_conversions_have_the_edges_of_its_sign_alone(weights):
    signed = unrolled(weights, "digits-lenet")
    of_sign = {"positive": signed.edges().weights > 0, "negative": signed.edges().weights < 0}
    for sign, kept in of_sign.items():
        graph = signed.subgraph(sign)
        np.testing.assert_array_equal(graph.edges().weights, np.abs(signed.edges().weights[kept]))
        assert graph.to_networkx().number_of_edges() == kept.sum()
        assert graph.to_scipy().nnz == 2 * kept.sum()


def test_an_unrolled_graph_stays_as_it_is_when_its_weights_go_on_training(weights):
    trained = {name: tensor.astype(np.float64) for name, tensor in weights.items()}
    graph = unrolled(trained, "digits-lenet")
    before = graph.degree()
    for tensor in trained.values():
        tensor += 1
    np.testing.assert_array_equal(graph.degree(), before)


def test_an_unknown_sign_is_an_error(graph):
    with pytest.raises(UnknownNameError, match="unknown sign 'plus'"):
        graph.subgraph("plus")


def test_a_stack_has_centralities_but_no_single_list_of_edges(weights):
    stack = rolled({name: np.stack([value, value]) for name, value in weights.items()}, "digits-lenet")
    assert stack.degree().shape == stack.eigenvector_centrality().shape == (2, stack.number_of_nodes)
    assert stack.node_attributes("fc2").shape == (2, 12, 17)
    with pytest.raises(ValueError, match="stack"):
        stack.to_scipy()


def test_torch_geometrics_data_has_edges_both_ways_and_attributes(graph):
    pytest.importorskip("torch_geometric")
    data = graph.to_torch_geometric()
    assert data.num_nodes == graph.number_of_nodes
    assert data.edge_index.shape == (2, 2 * graph.number_of_edges)
    assert data.is_undirected()
    filters = graph.node_attributes("conv2")
    longest = data.x.shape[1]
    assert longest == filters.shape[1]
    assert np.array_equal(data.x[graph.nodes("conv2")].numpy(), filters)
    own = graph.node_attributes("fc2")
    assert np.array_equal(data.x[graph.nodes("fc2")].numpy(), np.pad(own, ((0, 0), (0, longest - own.shape[1]))))
    assert [data.layers[layer] for layer in data.layer[:2]] == ["input", "conv1"]


def test_without_torch_geometric_the_error_says_what_to_install(graph, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setitem(sys.modules, "torch_geometric.data", None)
    with pytest.raises(ImportError, match="pip install torch-geometric"):
        graph.to_torch_geometric()


def test_a_subgraph_keeps_edges_that_are_not_finite(weights):
    broken = weights["fc3.weight"].copy()
    broken[0, 0] = np.nan
    for sign in ("positive", "negative"):
        graph = unrolled(weights | {"fc3.weight": broken}, "digits-lenet").subgraph(sign)
        assert np.isnan(graph.edges().weights).sum() == 1
        degrees = graph.to_scipy().sum(axis=1)
        np.testing.assert_array_equal(np.isnan(degrees), np.isnan(graph.degree()))
