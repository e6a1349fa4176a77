"""Eigenvector centrality against dense eigendecompositions and networkx, also where it is barely defined, or not at all."""

from __future__ import annotations

from itertools import pairwise

import networkx
import numpy as np
import pytest
import scipy.linalg
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from nndynbench.centralities import ConvergenceWarning, eigenvector_centrality, principal_pair
from nndynbench.graphs import random_weights, rolled, unrolled
from tests.graphs.trained import initial, trained

DEEP = ["cifar10-lenet", "cifar10-resnet32", "cifar10-vgg"]


def adjacency(blocks) -> np.ndarray:
    """The dense symmetric matrix of a chain of blocks."""
    sizes = [blocks[0].shape[1], *(len(block) for block in blocks)]
    first = np.cumsum([0, *sizes])
    matrix = np.zeros((first[-1], first[-1]))
    for position, block in enumerate(blocks):
        rows, columns = slice(*first[position + 1 : position + 3]), slice(*first[position : position + 2])
        matrix[rows, columns] = block
        matrix[columns, rows] = block.T
    return matrix


def by_decomposition(matrix: np.ndarray) -> tuple[float, np.ndarray]:
    values, vectors = np.linalg.eigh(matrix)
    vector = vectors[:, -1]
    return values[-1], vector * (-1 if vector.sum() < 0 else 1)


@st.composite
def chains(draw: st.DrawFn, *, signed: bool = False) -> list[np.ndarray]:
    """Blocks between one to six layers of one to six nodes; values may repeat, be 0, or span magnitudes."""
    sizes = draw(st.lists(st.integers(1, 6), min_size=2, max_size=6))
    random = np.random.default_rng(draw(st.integers(0, 10_000)))
    scale = draw(st.sampled_from([1e-12, 1.0, 1e20]))
    blocks = []
    for inputs, outputs in pairwise(sizes):
        block = random.random((outputs, inputs)) - (0.5 if signed else 0.0)
        if draw(st.booleans()):
            block = np.round(block, 1)
        if draw(st.booleans()):
            block[random.random(block.shape) < 0.4] = 0
        blocks.append(scale * block)
    return blocks


@pytest.mark.parametrize("signed", [False, True])
@given(data=st.data())
@settings(max_examples=150)
def test_it_solves_the_eigenvalue_problem_of_the_whole_matrix(signed, data):
    blocks = data.draw(chains(signed=signed))
    matrix = adjacency(blocks)
    value, vector, residual = principal_pair(blocks)
    assert residual <= 1e-12
    assert value == pytest.approx(np.linalg.eigvalsh(matrix)[-1], rel=1e-9, abs=0)
    assert np.linalg.norm(vector) == pytest.approx(1, rel=1e-12)
    np.testing.assert_allclose(matrix @ vector, value * vector, atol=1e-10 * max(value, 1e-300))
    assert vector.sum() >= -1e-12  # 0, up to rounding, if its halves cancel
    assert signed or vector.min() >= 0


@given(blocks=chains())
@settings(max_examples=100)
def test_a_connected_graphs_vector_is_the_dense_one(blocks):
    blocks = [block + 0.01 * max(block.max(), 1e-20) for block in blocks]
    np.testing.assert_allclose(eigenvector_centrality(blocks), by_decomposition(adjacency(blocks))[1], atol=1e-9)


@pytest.mark.parametrize("name", DEEP)
@pytest.mark.parametrize("snapshot", [initial, trained])
def test_real_networks_rolled_graphs_agree_with_the_dense_decomposition(name, snapshot):
    pytest.importorskip("torch")
    blocks = rolled(snapshot(name), name).blocks
    value, vector, residual = principal_pair(blocks)
    dense_value, dense_vector = by_decomposition(adjacency(blocks))
    assert residual <= 1e-12
    assert value == pytest.approx(dense_value, rel=1e-12)
    np.testing.assert_allclose(vector, dense_vector, atol=1e-9)


@pytest.mark.parametrize("sign", ["positive", "negative"])
@pytest.mark.parametrize("epoch", [0, 1, 15])
def test_the_zoos_unrolled_subgraphs_agree_with_the_dense_decomposition(digits, sign, epoch):
    for network in digits.network_ids[5::80]:
        graph = unrolled(digits.history(network, budget=15).weights(epoch), "digits-lenet").subgraph(sign)
        dense_vector = by_decomposition(graph.to_scipy().toarray())[1]
        np.testing.assert_allclose(graph.eigenvector_centrality(), dense_vector, atol=1e-9)


def test_the_signed_whole_reports_a_residual_and_agrees_with_the_dense_decomposition(digits):
    graph = unrolled(digits.history(digits.network_ids[0], budget=5).weights(5), "digits-lenet")
    value, vector, residual = graph.principal_pair()
    dense_value, dense_vector = by_decomposition(graph.to_scipy().toarray())
    assert 0 <= residual <= 1e-12
    assert value == pytest.approx(dense_value, rel=1e-12)
    np.testing.assert_allclose(np.abs(vector), np.abs(dense_vector), atol=1e-9)


def test_networkx_agrees(digits):
    graph = digits.history(digits.network_ids[2], budget=3).graph(3)
    theirs = networkx.eigenvector_centrality_numpy(graph.to_networkx(), weight="weight")
    np.testing.assert_allclose(graph.eigenvector_centrality(), [theirs[node] for node in sorted(theirs)], atol=1e-9)


def test_stacked_graphs_are_each_their_own(digits):
    history = digits.history(digits.network_ids[4], budget=15)
    alone = [history.graph(epoch).blocks for epoch in range(10)]
    stacked = [np.stack(parts).reshape(5, 2, *parts[0].shape) for parts in zip(*alone, strict=True)]
    vectors = eigenvector_centrality(stacked)
    assert vectors.shape[:2] == (5, 2)
    for number, blocks in enumerate(alone):
        np.testing.assert_allclose(vectors[number // 2, number % 2], eigenvector_centrality(blocks), atol=1e-11)


def test_large_stacks_are_worked_on_in_parts_with_the_same_result(digits, monkeypatch):
    history = digits.history(digits.network_ids[4], budget=10)
    stacked = [np.stack(parts) for parts in zip(*(history.graph(epoch).blocks for epoch in range(11)), strict=True)]
    together = eigenvector_centrality(stacked)
    monkeypatch.setattr("nndynbench.centralities.eigenvector.WEIGHTS_AT_A_TIME", 4 * 476)
    np.testing.assert_allclose(eigenvector_centrality(stacked), together, atol=1e-11)


def test_blocks_too_large_to_write_out_as_one_matrix_give_the_same(digits, monkeypatch):
    blocks = digits.history(digits.network_ids[4], budget=10).graph(10).blocks
    whole = eigenvector_centrality(blocks)
    monkeypatch.setattr("nndynbench.centralities.bipartite.WRITTEN_OUT", 0)
    np.testing.assert_allclose(eigenvector_centrality(blocks), whole, atol=1e-12)


def test_float32_weights_are_computed_in_float32_to_its_precision():
    weights = random_weights("cifar10-vgg", seed=0)
    single = rolled(weights, "cifar10-vgg", dtype=np.float32).eigenvector_centrality()
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, rolled(weights, "cifar10-vgg").eigenvector_centrality(), atol=1e-5)
    compressed = unrolled(random_weights("cifar10-lenet", seed=0), "cifar10-lenet", dtype=np.float32).subgraph("positive")
    exact = unrolled(random_weights("cifar10-lenet", seed=0), "cifar10-lenet").subgraph("positive")
    np.testing.assert_allclose(compressed.eigenvector_centrality(), exact.eigenvector_centrality(), atol=1e-4)


# Graphs that are not a chain of layers.


@given(size=st.integers(2, 12), seed=st.integers(0, 1000), sparse=st.booleans(), signed=st.booleans())
@settings(max_examples=80)
def test_any_symmetric_matrix_is_taken(size, seed, sparse, signed):
    random = np.random.default_rng(seed)
    matrix = random.random((size, size)) - (0.5 if signed else 0)
    matrix = np.triu(matrix, 1) + np.triu(matrix, 1).T
    value, vector, residual = principal_pair(scipy.sparse.csr_array(matrix) if sparse else matrix)
    assert residual <= 1e-12
    assert value == pytest.approx(np.linalg.eigvalsh(matrix)[-1], rel=1e-9)
    np.testing.assert_allclose(matrix @ vector, value * vector, atol=1e-9)


def test_a_graph_with_triangles_agrees_with_networkx():
    graph = networkx.karate_club_graph()
    theirs = networkx.eigenvector_centrality_numpy(graph, weight="weight")
    ours = eigenvector_centrality(networkx.to_scipy_sparse_array(graph, weight="weight"))
    np.testing.assert_allclose(ours, list(theirs.values()), atol=1e-9)


SMALL = np.array([[0, 1, 2], [1, 0, 3], [2, 3, 0.0]])


@pytest.mark.parametrize(
    ("dtype", "size"),
    [*((np.float64, size) for size in (1e-162, 1e155, 3e307)), *((np.float32, size) for size in (1e-24, 3e37))],
)
def test_the_size_of_a_matrixs_weights_does_not_change_the_vector(dtype, size):
    vector = eigenvector_centrality((SMALL * size).astype(dtype))
    np.testing.assert_allclose(vector, by_decomposition(SMALL)[1], atol=1e-9 if dtype == np.float64 else 1e-5)


@pytest.mark.parametrize("storage", ["lil", "dok", "csc", "coo", "csr"])
def test_any_sparse_format_is_taken(storage):
    matrix = scipy.sparse.csr_array(SMALL).asformat(storage)
    np.testing.assert_allclose(eigenvector_centrality(matrix), by_decomposition(SMALL)[1], atol=1e-9)


def test_the_algebraically_largest_eigenvalue_may_be_negative():
    pair = principal_pair(np.diag([-1.0, -2.0]))
    assert pair.value == -1
    np.testing.assert_allclose(pair.vector, [1, 0], atol=1e-12)


def test_a_matrix_that_is_not_symmetric_is_refused():
    for matrix in (np.array([[0, 1.0], [2, 0]]), scipy.sparse.csr_array([[0, 1.0], [2, 0]])):
        with pytest.raises(ValueError, match="not symmetric: entries that should be equal differ by up to 1"):
            eigenvector_centrality(matrix)


def test_a_chain_given_as_a_matrix_gives_the_same_as_its_blocks(digits):
    graph = digits.history(digits.network_ids[2], budget=3).graph(3)
    np.testing.assert_allclose(eigenvector_centrality(graph.to_scipy()), graph.eigenvector_centrality(), atol=1e-11)


# Where the vector is not unique, or there is none.


def test_nodes_outside_the_heaviest_component_have_exactly_0():
    heavy, light = np.full((3, 2), 2.0), np.full((3, 2), 1.9)
    blocks = [scipy.linalg.block_diag(heavy, light)]
    vector = eigenvector_centrality(blocks)
    assert (vector[[2, 3]] == 0).all()
    assert (vector[4 + 3 :] == 0).all()
    assert (vector[[0, 1, 4, 5, 6]] > 0).all()
    assert (eigenvector_centrality(adjacency(blocks))[[2, 3]] == 0).all()


@pytest.mark.parametrize(("dtype", "gap"), [(np.float64, 1e-5), (np.float32, 1e-2)])
def test_the_heaviest_component_is_found_where_all_weights_together_point_to_another(dtype, gap):
    light = np.abs(np.random.default_rng(0).standard_normal((1024, 1024)))
    light /= np.linalg.norm(light, 2)
    heavy = np.full((10, 1024), 1e-9)
    heavy[0, 0] = 1 + gap
    blocks = [block.astype(dtype) for block in (light, np.zeros((1024, 1024)), heavy)]
    value, vector, _ = principal_pair(blocks)
    assert value == pytest.approx(1 + gap, rel=1e-6)
    np.testing.assert_allclose(vector[[2048, 3072]], np.sqrt(0.5), rtol=1e-3)


@pytest.mark.parametrize(("dtype", "largest"), [(np.float64, 1e307), (np.float32, 3e37)])
def test_sums_of_the_largest_weights_stay_in_range_and_leave_the_rest_of_a_stack_alone(dtype, largest):
    fine = [np.random.default_rng(0).random(shape) for shape in ((30, 20), (10, 30))]
    stacked = [np.stack([block, np.full(block.shape, largest)]).astype(dtype) for block in fine]
    vectors = eigenvector_centrality(stacked)
    tolerance = 1e-9 if dtype == np.float64 else 1e-5
    np.testing.assert_allclose(vectors[0], by_decomposition(adjacency(fine))[1], atol=tolerance)
    uniform = by_decomposition(adjacency([np.ones_like(block) for block in fine]))[1]
    np.testing.assert_allclose(vectors[1], uniform, atol=tolerance)


def test_no_steps_at_all_are_refused():
    with pytest.raises(ValueError, match="max_steps must be at least 1, not 0"):
        eigenvector_centrality(SMALL, max_steps=0)


def test_equal_components_share_the_vector():
    vector = eigenvector_centrality([scipy.linalg.block_diag(np.ones((2, 2)), np.ones((2, 2)))])
    np.testing.assert_allclose(vector, 1 / np.sqrt(8), rtol=1e-12)


def test_dead_units_have_0():
    weights = random_weights("digits-lenet", seed=0)
    weights["fc1.weight"][3], weights["fc2.weight"][:, 3] = 0, 0
    graph = rolled(weights, "digits-lenet")
    assert graph.eigenvector_centrality()[graph.nodes("fc1")[3]] == 0


def test_weights_that_are_all_0_give_the_uniform_vector():
    np.testing.assert_allclose(eigenvector_centrality([np.zeros((3, 2)), np.zeros((4, 3))]), 1 / 3, rtol=1e-15)
    np.testing.assert_allclose(eigenvector_centrality(np.zeros((4, 4))), 1 / 2, rtol=1e-15)


@pytest.mark.parametrize(("dtype", "powers"), [(np.float32, (-120, -75, 66, 100)), (np.float64, (-900, -540, 520, 900))])
def test_exploding_and_vanishing_weights_have_the_vector_of_weights_near_1(digits, dtype, powers):
    blocks = [block.astype(dtype) for block in digits.history(100, 5).graph(5).blocks]
    expected = principal_pair(blocks)
    stacked = [np.stack([block, *(np.ldexp(block, power) for power in powers)]) for block in blocks]
    found = principal_pair(stacked)
    for row, power in enumerate((0, *powers)):
        np.testing.assert_allclose(found.vector[row], expected.vector, atol=1e-5 if dtype is np.float32 else 1e-11)
        np.testing.assert_allclose(found.value[row], np.ldexp(expected.value, power), rtol=1e-5)
        alone = principal_pair([np.ldexp(block, power) for block in blocks])
        np.testing.assert_allclose(alone.vector, expected.vector, atol=1e-5 if dtype is np.float32 else 1e-11)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_weight_that_is_not_finite_gives_nan_for_that_graph_alone(bad):
    stack = np.random.default_rng(0).random((3, 4, 5))
    alone = eigenvector_centrality([stack[2]])
    stack[1, 2, 2] = bad
    value, vector, residual = principal_pair([stack])
    assert np.isnan(vector[1]).all()
    assert np.isnan(value[1])
    assert np.isnan(residual[1])
    np.testing.assert_allclose(vector[2], alone, atol=1e-12)
    assert np.isnan(eigenvector_centrality([stack[1]])).all()
    assert np.isnan(eigenvector_centrality(adjacency([stack[1]]))).all()


def test_no_convergence_is_a_warning_and_nan_never_a_wrong_vector():
    blocks = [np.random.default_rng(0).random((2, 30, 20)), np.random.default_rng(1).random((2, 10, 30))]
    with pytest.warns(ConvergenceWarning, match=r"within 2 steps for 2 graph\(s\), largest relative residual"):
        value, vector, residual = principal_pair(blocks, max_steps=2)
    assert np.isnan(vector).all()
    assert (residual > 1e-12).all()
    assert (value > 0).all()


def test_a_signed_graph_whose_vector_is_orthogonal_to_the_uniform_one_is_found():
    blocks = [np.array([[3.0], [-3.0]])]
    value, vector, _ = principal_pair(blocks)
    assert value == pytest.approx(np.sqrt(18))
    np.testing.assert_allclose(np.abs(vector), [np.sqrt(1 / 2), 1 / 2, 1 / 2], rtol=1e-12)


def test_a_star_is_found_though_one_side_has_a_single_node():
    value, vector, _ = principal_pair([np.array([[3.0, 4.0]])])
    assert value == pytest.approx(5)
    np.testing.assert_allclose(vector, np.array([0.6, 0.8, 1]) / np.sqrt(2), rtol=1e-12)
