"""Unrolled graphs against matrices written out pixel by pixel, and against the paper's Table 5."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from nndynbench.graphs import architecture_names, random_weights, unrolled
from nndynbench.paper import paper_table5
from tests.graphs.pixelwise import described, published_adjacency, right_adjacency
from tests.graphs.strategies import networks

UNROLLED = [name for name, sizes in paper_table5().items() if "unrolled_nodes" in sizes]


def dense(adjacency) -> np.ndarray:
    return adjacency.toarray()


@given(networks())
@settings(max_examples=60)
def test_the_matrix_is_the_one_written_pixel_by_pixel(network):
    architecture, weights = network
    expected = right_adjacency(weights, architecture)
    graph = unrolled(weights, architecture)
    assert np.array_equal(dense(graph.to_scipy()), dense(expected))
    assert graph.number_of_edges * 2 == expected.nnz
    assert graph.number_of_nodes == expected.shape[0]


@given(networks())
@settings(max_examples=60)
def test_with_the_quirks_the_matrix_is_the_one_that_the_reference_code_builds(network):
    architecture, weights = network
    expected = published_adjacency(weights, architecture)
    graph = unrolled(weights, architecture, reference_quirks=True)
    assert np.array_equal(dense(graph.to_scipy()), dense(expected))
    assert graph.number_of_edges * 2 == expected.nnz


@pytest.mark.parametrize("quirks", [False, True])
@given(network=networks())
@settings(max_examples=40)
def test_products_are_those_of_the_matrix(quirks, network):
    architecture, weights = network
    graph = unrolled(weights, architecture, reference_quirks=quirks)
    random = np.random.default_rng(0)
    first = np.cumsum([0, *graph.layer_sizes])
    matrix = dense(graph.to_scipy())
    for position, block in enumerate(graph.blocks):
        if isinstance(block, np.ndarray):
            continue
        here = matrix[first[position + 1] : first[position + 2], first[position] : first[position + 1]]
        inputs, outputs = random.standard_normal(block.shape[1]), random.standard_normal(block.shape[0])
        np.testing.assert_allclose(block.matvec(inputs), here @ inputs, atol=1e-12)
        np.testing.assert_allclose(block.rmatvec(outputs), outputs @ here, atol=1e-12)


@pytest.mark.parametrize("quirks", [False, True])
@given(network=networks())
@settings(max_examples=40)
def test_degrees_of_the_signed_whole_and_of_both_subgraphs_are_the_matrix_sums(quirks, network):
    architecture, weights = network
    graph = unrolled(weights, architecture, reference_quirks=quirks)
    matrix = dense(graph.to_scipy())
    np.testing.assert_allclose(graph.degree(), matrix.sum(axis=1), atol=1e-12)
    np.testing.assert_allclose(graph.subgraph("positive").degree(), np.maximum(matrix, 0).sum(axis=1), atol=1e-12)
    np.testing.assert_allclose(graph.subgraph("negative").degree(), np.maximum(-matrix, 0).sum(axis=1), atol=1e-12)


@pytest.mark.parametrize("name", UNROLLED)
def test_sizes_are_those_of_table_5(name):
    paper, weights = paper_table5()[name], random_weights(name, seed=0)
    right, published = unrolled(weights, name), unrolled(weights, name, reference_quirks=True)
    assert right.number_of_nodes == published.number_of_nodes == paper["unrolled_nodes"]
    assert right.number_of_edges == paper["unrolled_edges_right"]
    assert published.number_of_edges == paper["unrolled_edges"]


def test_the_quirks_leave_a_network_without_padding_its_counts_and_change_its_pooled_degrees():
    weights = random_weights("cifar10-lenet", seed=0)
    right = unrolled(weights, "cifar10-lenet")
    published = unrolled(weights, "cifar10-lenet", reference_quirks=True)
    pooled = published.nodes("pool1")
    incoming = np.bincount(published.edges().ends, minlength=published.number_of_nodes)[pooled].reshape(6, -1)
    assert (incoming[0] == 24).all()
    assert (incoming[1:] == 0).all()
    assert not np.allclose(right.degree()[pooled], published.degree()[pooled])
    assert np.allclose(right.degree()[right.nodes("pool2")], published.degree()[published.nodes("pool2")])


def test_another_input_shape_gives_the_graph_over_those_inputs():
    fully_convolutional = described((2, 4, 4), {"kind": "conv", "name": "conv", "filters": 2, "kernel": 3, "padding": 1})
    weights = random_weights(fully_convolutional, seed=0)
    larger = unrolled(weights, fully_convolutional, (2, 6, 5))
    assert larger.layer_sizes == (60, 60)
    expected = right_adjacency(weights, fully_convolutional.with_input_shape((2, 6, 5)))
    assert np.array_equal(dense(larger.to_scipy()), dense(expected))


def test_an_input_shape_that_the_weights_do_not_fit_is_an_error_that_names_the_tensor():
    with pytest.raises(ValueError, match=r"fc1\.weight.*\(120, 400\).*\(120, 2704\)"):
        unrolled(random_weights("cifar10-lenet", seed=0), "cifar10-lenet", (3, 64, 64))


def test_an_input_too_small_is_an_error_that_names_the_layer():
    with pytest.raises(ValueError, match="pool2"):
        unrolled(random_weights("cifar10-lenet", seed=0), "cifar10-lenet", (3, 14, 14))


@pytest.mark.parametrize("name", [name for name in architecture_names() if "resnet" in name])
def test_shortcuts_and_average_pooling_are_an_error_that_names_the_layer(name):
    with pytest.raises(ValueError, match="'layer1'"):
        unrolled({}, name)


def test_float32_weights_stay_float32():
    weights = random_weights("digits-lenet", seed=0)
    graph = unrolled(weights, "digits-lenet", dtype=np.float32)
    assert {block.dtype for block in graph.blocks} == {np.dtype(np.float32)}
    np.testing.assert_allclose(graph.degree(), unrolled(weights, "digits-lenet").degree(), rtol=1e-4, atol=1e-5)
