"""Features of real networks' layers, each against an independent computation."""

from __future__ import annotations

import networkx
import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from nndynbench.features import FEATURES, layer_features, neural_persistence, norms, weight_statistics
from nndynbench.graphs import architecture
from tests.graphs.trained import initial, trained

NETWORKS = ["digits-lenet", "cifar10-lenet"]


@pytest.fixture(scope="module", params=NETWORKS)
def features(request):
    pytest.importorskip("torch")
    name = request.param
    return name, layer_features(trained(name), initial(name), name)


def matrix(weights, layer) -> np.ndarray:
    """A layer's weights as (outputs, everything else)."""
    weight = np.asarray(weights[f"{layer}.weight"], np.float64)
    return weight.reshape(len(weight), -1)


def persistence_by_networkx(weights: np.ndarray, largest: float) -> float:
    """Rieck et al.'s algorithm on an explicit complete bipartite graph."""
    graph = networkx.Graph()
    for (output, input_), weight in np.ndenumerate(np.abs(weights) / largest if largest > 0 else np.abs(weights)):
        graph.add_edge(("output", output), ("input", input_), weight=weight)
    tree = networkx.maximum_spanning_tree(graph)
    persistences = [1 - weight for *_, weight in tree.edges(data="weight")]
    return np.linalg.norm(persistences) / np.sqrt(graph.number_of_nodes() - 1)


def test_there_is_a_row_per_conv_and_fully_connected_layer(features):
    name, table = features
    assert list(table.index) == [layer.name for layer in architecture(name).weighted_layers]
    assert tuple(table.columns) == FEATURES
    assert table.notna().all(axis=None)


def test_norms_are_those_of_a_singular_value_decomposition(features):
    name, table = features
    for layer, row in table.iterrows():
        values = scipy.linalg.svdvals(matrix(trained(name), layer))
        moved = matrix(trained(name), layer) - matrix(initial(name), layer)
        expected = [np.sqrt(np.sum(values**2)), np.sqrt(np.sum(moved**2)), values[0], np.sum(values**2) / values[0] ** 2]
        ours = row[["l2_norm", "distance_from_initial", "spectral_norm", "stable_rank"]].to_numpy(float)
        np.testing.assert_allclose(ours, expected, rtol=1e-9)


def test_statistics_are_those_of_the_sorted_weights(features):
    name, table = features
    for layer, row in table.iterrows():
        bias = np.asarray(trained(name)[f"{layer}.bias"], np.float64)
        for prefix, values in (("", matrix(trained(name), layer).ravel()), ("bias_", bias)):
            ordered = np.sort(values)
            expected = {
                "minimum": ordered[0],
                "quartile_1": at_share(ordered, 0.25),
                "median": at_share(ordered, 0.5),
                "quartile_3": at_share(ordered, 0.75),
                "maximum": ordered[-1],
                "mean": ordered.sum() / len(ordered),
                "standard_deviation": np.sqrt(np.sum((ordered - ordered.sum() / len(ordered)) ** 2) / len(ordered)),
            }
            assert {what: row[f"{prefix}{what}"] for what in expected} == pytest.approx(expected, rel=1e-9, abs=1e-12)


def at_share(ordered: np.ndarray, share: float) -> float:
    """What stands at a share of the way from the first number to the last, between two of them on the line."""
    place = share * (len(ordered) - 1)
    before = int(place)
    after = min(before + 1, len(ordered) - 1)
    return float(ordered[before] + (place - before) * (ordered[after] - ordered[before]))


def test_neural_persistence_is_that_of_an_explicit_spanning_tree(features):
    name, table = features
    layers = list(table.index)
    largest = max(np.abs(matrix(trained(name), layer)).max() for layer in layers)
    for layer in [layer for layer in layers if matrix(trained(name), layer).size < 11_000]:
        expected = persistence_by_networkx(matrix(trained(name), layer), largest)
        assert table.loc[layer, "neural_persistence"] == pytest.approx(expected, rel=1e-9)


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 1000), st.booleans())
@settings(max_examples=80)
def test_neural_persistence_takes_zero_and_equal_weights(outputs, inputs, seed, coarse):
    weights = np.random.default_rng(seed).standard_normal((outputs, inputs))
    if coarse:
        weights = np.round(weights)
    largest = float(np.abs(weights).max())
    expected = persistence_by_networkx(weights, largest)
    assert neural_persistence(weights, largest=largest) == pytest.approx(expected, abs=1e-9)


def test_where_heavy_edges_leave_a_layer_in_parts_the_heaviest_between_the_parts_counts() -> None:
    weights = np.array([[1.0, 0.9, 0.1], [0.2, 0.3, 0.8]])
    expected = persistence_by_networkx(weights, 1.0)
    assert neural_persistence(weights, largest=1.0) == pytest.approx(expected) == pytest.approx(np.sqrt(0.54) / 2)


def test_a_layer_of_zeros_has_no_rank_and_full_persistence():
    assert np.array_equal(norms(np.zeros((3, 4)), np.zeros((3, 4))), np.zeros(4))
    assert neural_persistence(np.zeros((3, 4)), largest=0.0) == pytest.approx(1)


def test_weights_that_are_not_finite_give_nan_in_their_own_layer_alone():
    weights = dict(initial("digits-lenet"))
    weights["fc2.weight"] = weights["fc2.weight"].copy()
    weights["fc2.weight"][0, 0] = np.inf
    table = layer_features(weights, initial("digits-lenet"), "digits-lenet")
    assert table.loc["fc2"].drop([name for name in table if name.startswith("bias_")]).isna().all()
    assert table.drop(index="fc2").drop(columns="neural_persistence").notna().all(axis=None)
    # Neural persistence is scaled by the largest weight of the network, which is unknown here.
    assert table["neural_persistence"].isna().all()


def test_layers_without_bias_have_nan_there():
    table = layer_features(initial("cifar10-resnet32"), initial("cifar10-resnet32"), "cifar10-resnet32")
    assert table.loc["conv1", "bias_mean"] != table.loc["conv1", "bias_mean"]
    assert np.isfinite(table.loc["fc", "bias_mean"])


def test_statistics_of_what_is_not_finite_are_nan():
    assert np.isnan(weight_statistics([1.0, np.nan])).all()


def test_a_torch_module_is_taken_as_it_is():
    pytest.importorskip("torch")
    from generation.architectures import build_module, snapshot

    model = build_module("digits-lenet")
    expected = layer_features(snapshot(model), snapshot(model), "digits-lenet")
    np.testing.assert_array_equal(layer_features(model, model, "digits-lenet"), expected)
