"""The numbers that single methods compute, against definitions written out here."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from types import ModuleType

import networkx
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

import nndynbench as nb
from nndynbench.graphs import LayeredGraph
from nndynbench.protocols import find_method
from nndynbench.protocols.method import baselines_folder


def module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, baselines_folder() / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def test_the_n_cut_is_networkx_normalised_cut_of_a_clear_partition() -> None:
    modularity = module("modularity")
    count, random = modularity.CLUSTERS, np.random.default_rng(0)
    # As many tight groups of 3 + 3 nodes as there are clusters, with faint edges between them.
    block = np.kron(np.eye(count), np.ones((3, 3))) + random.uniform(0, 0.01, (3 * count, 3 * count))
    graph = LayeredGraph((block,), ("input", "fc1"))
    groups = [{*range(3 * g, 3 * g + 3), *range(3 * count + 3 * g, 3 * count + 3 * g + 3)} for g in range(count)]
    ours = graph.to_networkx()
    cuts, volumes = ([of(ours, group, weight="weight") for group in groups] for of in (networkx.cut_size, networkx.volume))
    expected = np.sum(np.divide(cuts, volumes))
    assert modularity.n_cut(graph)[0] == pytest.approx(expected, rel=1e-9)


def test_the_n_cut_is_the_same_whatever_the_rounding(digits: nb.Subset) -> None:
    graph = digits.history(137, budget=4).graph(4)
    random = np.random.default_rng(0)
    expected = module("modularity").n_cut(graph)
    for _ in range(5):
        blocks = tuple(block * (1 + 1e-15 * random.standard_normal(block.shape)) for block in graph.blocks)
        np.testing.assert_allclose(module("modularity").n_cut(replace(graph, blocks=blocks)), expected, rtol=1e-12)


def test_the_n_cut_of_an_exploded_network_is_missing() -> None:
    assert np.isnan(module("modularity").n_cut(LayeredGraph((np.full((4, 4), np.nan),), ("input", "fc1")))[0])


def test_grid_neighbours_average_the_five_nearest_cells(digits: nb.Subset) -> None:
    predictions = nb.evaluate("grid-neighbours", digits, protocol="regression", budgets=1).predictions
    [(train, test)] = digits.split("holdout")
    cells = digits.networks[["learning_rate", "dropout"]].assign(learning_rate=lambda grid: np.log(grid["learning_rate"]))
    scaled = (cells - cells.loc[train].mean()) / cells.loc[train].std(ddof=0)
    for network, predicted in predictions.set_index("network")["prediction"].items():
        squared = ((scaled.loc[train] - scaled.loc[network]) ** 2).sum(axis=1).nsmallest(5)
        weights = np.exp(-squared / (2 * 0.2**2))
        expected = np.average(digits.networks["final_accuracy"][weights.index], weights=weights)
        assert predicted == pytest.approx(expected), network
    assert len(test) == len(predictions)


def test_of_a_cell_far_beyond_the_grid_the_nearest_neighbour_is_said() -> None:
    np.testing.assert_allclose(module("grid_neighbours").fading(np.array([[50.0, 51.0, 90.0]])), [[1, 0, 0]], atol=1e-12)


@pytest.mark.parametrize(
    ("form", "curve"),
    [
        ("power", lambda t: 80 - 50 * t**-0.7),
        ("exponential", lambda t: 80 - 60 * np.exp(-0.3 * t)),
        ("logarithm", lambda t: 20 + 15 * np.log(t)),
    ],
)
def test_a_curve_of_a_known_form_is_drawn_further(form: str, curve: object) -> None:
    curves = module("learning_curves")
    drawn = curves.extrapolated(tuple(curve(np.arange(1.0, 11))))
    assert drawn[form] == pytest.approx(curve(float(curves.HORIZON)), abs=1.5)


@pytest.mark.parametrize("accuracies", [(10.0,), (10.0, 40.0), (10.0, 10.0, 10.0), (90.0, 10.0, 90.0)])
def test_any_curve_has_an_extrapolation_in_percent(accuracies: tuple[float, ...]) -> None:
    assert all(0 <= value <= 100 for value in module("learning_curves").extrapolated(accuracies).values())


def test_per_layer_degrees_are_the_moments_of_each_layers_nodes(digits: nb.Subset) -> None:
    history = digits.history(100, 2)
    columns = list(module("layers").per_layer_degree(history).values())
    layers = list(history.layer_sizes)
    assert len(columns) == len(layers) * 2 * 5
    graph = history.graph(2)
    start = graph.layer_sizes[0]
    conv1 = graph.degree()[start : start + graph.layer_sizes[1]]
    # Laid out by layer, then epoch, then moment: conv1 is the second layer, epoch 2 its second row.
    found = np.reshape(columns, (len(layers), 2, 5))[1, 1]
    # Stored centralities are rounded to 12 bits of mantissa.
    np.testing.assert_allclose(found, nb.centralities.moments(conv1), rtol=0, atol=5e-3)


def test_the_control_of_the_initialisation_sees_no_training(digits: nb.Subset) -> None:
    initialisation = nb.columns.initial_features
    early, late = (initialisation(digits.history(100, budget)) for budget in (1, 9))
    assert early.keys() == late.keys()
    assert all(early[key] == late[key] or np.isnan(early[key]) for key in early)


def test_relative_signatures_are_what_training_has_changed(digits: nb.Subset) -> None:
    since = module("chosen_signatures").since_initialisation("degree")(digits.history(137, budget=2))
    stored = digits.signatures.xs("rolled", level="representation").xs("degree", level="centrality").loc[137]
    initial, *trained = (stored.loc[epoch].to_numpy().ravel() for epoch in (0, 1, 2))
    expected = np.concatenate([100 * (values - initial) for values in trained])
    np.testing.assert_allclose(list(since.values()), expected, rtol=1e-12)


def test_growth_is_what_a_distance_has_gained_since_the_epoch_before(digits: nb.Subset) -> None:
    columns = module("layer_distance").distances_and_growth(digits.history(100, 4))
    assert columns["growth fc1 3"] == columns["distance fc1 3"] - columns["distance fc1 2"]
    assert len(columns) == 5 * 4 + 5 * 3


def test_choices_are_made_with_what_belongs_together_held_apart(digits: nb.Subset) -> None:
    chosen = clone(find_method("degree-tuned-svm").classifier)
    groups = pd.factorize(digits.networks["learning_rate"])[0]
    chosen.set_params(choices=[{"learner__C": [1, 10]}])
    chosen.fit(digits.histories(digits.network_ids, 1), digits.networks["label"].to_numpy(), groups=groups)
    for known, asked in chosen.search_.cv:
        assert not set(groups[known]) & set(groups[asked])
    assert len(chosen.search_.cv) == 3


def test_path_lengths_are_those_of_networkx(digits: nb.Subset) -> None:
    graph = digits.history(137, budget=3).graph(3)
    ours, size = graph.to_networkx(), graph.layer_sizes
    for _, _, facts in ours.edges(data=True):
        facts["length"] = 1 / facts["weight"]
    nodes = list(ours.nodes)
    inputs, outputs = nodes[: size[0]], nodes[-size[-1] :]
    reached = [networkx.single_source_dijkstra_path_length(ours, node, weight="length") for node in inputs]
    shortest = np.array([[found[node] for node in outputs] for found in reached])
    # A path in an undirected graph may go back a layer. It is rarely shorter for it, and never in this graph.
    found = module("graph_features").path_lengths(graph)
    np.testing.assert_allclose(found[:3], np.log([shortest.min(), shortest.mean(), shortest.max()]), rtol=1e-6)


def test_node_features_are_those_of_networkx(digits: nb.Subset) -> None:
    graph = digits.history(137, budget=3).graph(3)
    ours = graph.to_networkx()
    strength = dict(ours.degree(weight="weight"))
    beside = {
        node: sum(facts["weight"] * strength[other] for other, facts in ours[node].items()) / strength[node] for node in ours
    }
    found = module("graph_features").node_features(graph)
    for place, expected in enumerate((strength, beside)):
        moments = nb.centralities.moments(np.array(list(expected.values()))[None])[0]
        np.testing.assert_allclose(found[5 * place : 5 * place + 5], moments, rtol=1e-6)


def test_the_tail_of_a_power_law_has_its_exponent() -> None:
    values = np.sort(np.random.default_rng(0).pareto(2.0, 20_000) + 1)[::-1]
    assert module("graph_features").tail_exponent(values) == pytest.approx(3.0, abs=0.1)


def test_a_block_of_equal_singular_values_has_full_stable_rank_and_entropy() -> None:
    norm, rank, entropy = module("graph_features").spectrum(2 * np.eye(6))
    assert norm == pytest.approx(np.log(2))
    assert rank == pytest.approx(6)
    assert entropy == pytest.approx(1)
