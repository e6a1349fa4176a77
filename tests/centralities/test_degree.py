"""Weighted degree against networkx and the matrix's sums."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from nndynbench.centralities import degree
from nndynbench.graphs import rolled, unrolled
from tests.graphs.strategies import networks
from tests.graphs.trained import initial, trained


@given(networks())
@settings(max_examples=50)
def test_it_is_the_adjacency_matrix_summed(network):
    graph = rolled(network[1], network[0])
    np.testing.assert_allclose(graph.degree(), graph.to_scipy().sum(axis=1), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("snapshot", [initial, trained])
def test_networkx_agrees_on_real_networks(snapshot):
    pytest.importorskip("torch")
    graph = rolled(snapshot("cifar10-lenet"), "cifar10-lenet")
    theirs = dict(graph.to_networkx().degree(weight="weight"))
    np.testing.assert_allclose(graph.degree(), [theirs[node] for node in range(graph.number_of_nodes)], rtol=1e-12)


def test_the_zoos_stored_degrees_are_those_of_its_weights(digits):
    history = digits.history(digits.network_ids[7], budget=5)
    derived = [rolled(history.weights(epoch), "digits-lenet").degree() for epoch in range(1, 6)]
    np.testing.assert_allclose(history.centrality("degree"), derived, rtol=1e-3)  # stored to 12 bits


def test_the_signed_degree_is_the_positive_less_the_negative(digits):
    graph = unrolled(digits.history(digits.network_ids[7], budget=5).weights(5), "digits-lenet")
    difference = graph.subgraph("positive").degree() - graph.subgraph("negative").degree()
    np.testing.assert_allclose(graph.degree(), difference, atol=1e-12)


def test_only_nodes_at_a_weight_that_is_nan_have_nan():
    block = np.ones((3, 2))
    block[1, 0] = np.nan
    assert np.array_equal(np.isnan(degree([block])), [True, False, False, True, False])
