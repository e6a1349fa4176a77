"""Graphs for other tools: files written by networkx read back with the same numbers, and torch-geometric trains on them."""

from __future__ import annotations

import io
import json

import networkx as nx
import numpy as np
import pytest

from nndynbench.graphs import LayeredGraph, from_module, random_weights, rolled, unrolled

WEIGHTS = random_weights("digits-lenet", seed=0)


def of_blocks():
    graph = rolled(WEIGHTS, "digits-lenet")
    return LayeredGraph(graph.blocks, graph.layers)


def of_a_module():
    torch = pytest.importorskip("torch")
    return from_module(torch.nn.Sequential(torch.nn.Conv2d(1, 3, 3), torch.nn.Flatten(), torch.nn.Linear(12, 2)))


def diverged():
    weight = WEIGHTS["fc3.weight"].copy()
    weight[0, :2] = np.nan, np.inf
    return rolled(WEIGHTS | {"fc3.weight": weight}, "digits-lenet")


GRAPHS = {
    "rolled": lambda: rolled(WEIGHTS, "digits-lenet"),
    "float32": lambda: rolled(WEIGHTS, "digits-lenet", dtype=np.float32),
    "blocks alone": of_blocks,
    "a module": of_a_module,
    "positive": lambda: unrolled(WEIGHTS, "digits-lenet", (1, 8, 8)).subgraph("positive"),
    "signed": lambda: unrolled(WEIGHTS, "digits-lenet", (1, 8, 8)),
    "not finite": diverged,
}


def through_graphml(graph):
    return nx.parse_graphml("\n".join(nx.generate_graphml(graph)), node_type=int)


def through_gexf(graph):
    file = io.BytesIO()
    nx.write_gexf(graph, file)
    file.seek(0)
    return nx.read_gexf(file, node_type=int)


def through_gml(graph):
    return nx.parse_gml("\n".join(nx.generate_gml(graph)), label="id")


def through_json(graph):
    return nx.node_link_graph(json.loads(json.dumps(nx.node_link_data(graph))))


FORMATS = {"GraphML": through_graphml, "GEXF": through_gexf, "GML": through_gml, "JSON": through_json}


@pytest.mark.parametrize("through", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("make", GRAPHS.values(), ids=GRAPHS)
def test_a_file_holds_the_same_graph(through, make):
    graph = make()
    written = graph.to_networkx()
    read = through(written)
    assert sorted(read) == list(range(graph.number_of_nodes))
    assert read.number_of_edges() == written.number_of_edges()
    for one, other, weight in written.edges(data="weight"):
        np.testing.assert_equal(read.edges[one, other]["weight"], weight)
    assert {read.nodes[node]["layer"] for node in read} == set(graph.layers)


@pytest.mark.parametrize("through", FORMATS.values(), ids=FORMATS)
def test_attributes_are_numbers_of_their_own_in_any_file(through):
    graph = rolled(WEIGHTS, "digits-lenet")
    read = through(graph.to_networkx(attributes=True))
    node = graph.nodes("conv1")[1]
    expected = graph.node_attributes("conv1")[1]
    found = read.nodes[node]
    assert [found[f"attribute_{i}"] for i in range(len(expected))] == pytest.approx(expected.tolist(), rel=1e-12)


def test_values_are_pythons_own():
    graph = GRAPHS["float32"]().to_networkx(attributes=True)
    kinds = {type(value) for _, data in graph.nodes(data=True) for value in data.values()}
    kinds |= {type(value) for *_, value in graph.edges(data="weight")} | {type(node) for node in graph}
    assert kinds == {str, float, int}


@pytest.mark.parametrize("make", GRAPHS.values(), ids=GRAPHS)
def test_torch_geometrics_data_is_valid_and_in_float32_with_every_edge_twice(make):
    pytest.importorskip("torch_geometric")
    import torch

    graph = make()
    data = graph.to_torch_geometric()
    assert data.validate(raise_on_error=True)
    assert data.is_undirected()
    assert not data.has_self_loops()
    ends, starts, weights = graph.edges()
    assert data.num_edges == 2 * len(weights)
    assert (data.x.dtype, data.edge_weight.dtype, data.edge_index.dtype) == (torch.float32, torch.float32, torch.int64)
    assert data.x.shape[0] == data.num_nodes == graph.number_of_nodes
    both = set(map(tuple, data.edge_index.T.tolist()))
    assert both == {*zip(ends.tolist(), starts.tolist(), strict=True), *zip(starts.tolist(), ends.tolist(), strict=True)}


def test_torch_geometric_computes_the_degrees_and_trains_on_any_graph():
    pytest.importorskip("torch_geometric")
    import torch
    from torch_geometric.loader import DataLoader
    from torch_geometric.nn import GCNConv, global_mean_pool
    from torch_geometric.utils import scatter

    graphs = [rolled(random_weights("digits-lenet", seed=seed), "digits-lenet") for seed in range(4)]
    data = [graph.to_torch_geometric() for graph in graphs]
    degrees = scatter(data[0].edge_weight, data[0].edge_index[1], dim_size=data[0].num_nodes, reduce="sum")
    np.testing.assert_allclose(degrees.numpy(), graphs[0].degree(), rtol=1e-5)
    torch.manual_seed(0)
    one, other = GCNConv(data[0].num_features, 8), GCNConv(8, 1)
    for batch in DataLoader(data, batch_size=2):
        hidden = one(batch.x, batch.edge_index, batch.edge_weight).relu()
        answer = global_mean_pool(other(hidden, batch.edge_index, batch.edge_weight), batch.batch)
        assert answer.shape == (2, 1)
        answer.sum().backward()
    alone = of_blocks().to_torch_geometric()
    np.testing.assert_allclose(alone.x[:, 0].numpy(), of_blocks().degree(), rtol=1e-6)
