"""Graphs in the types that people use: converted, or refused in one sentence."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pandas as pd
import pytest
import scipy.sparse

import nndynbench as nb
from nndynbench.centralities import degree, eigenvector_centrality, moments
from nndynbench.features import neural_persistence, norms, weight_statistics
from nndynbench.graphs import LayeredGraph

PATH = nx.path_graph(3)
MATRIX = nx.to_numpy_array(PATH)
# The path of three nodes has a known solution: eigenvalue √2.
SOLVED = [0.5, 0.5**0.5, 0.5]


def tensor(values):
    return pytest.importorskip("torch").tensor(values)


ADJACENCIES = {
    "array": lambda: MATRIX,
    "float32": lambda: MATRIX.astype(np.float32),
    "float16": lambda: MATRIX.astype(np.float16),
    "longdouble": lambda: MATRIX.astype(np.longdouble),
    "big-endian": lambda: MATRIX.astype(">f8"),
    "whole numbers": lambda: MATRIX.astype(int),
    "unsigned": lambda: MATRIX.astype(np.uint8),
    "booleans": lambda: MATRIX.astype(bool),
    "lists": lambda: MATRIX.tolist(),
    "tuples of arrays": lambda: tuple(MATRIX),
    "np.matrix": lambda: np.asmatrix(MATRIX),
    "frame": lambda: pd.DataFrame(MATRIX),
    "frame of booleans": lambda: pd.DataFrame(MATRIX.astype(bool)),
    "networkx": lambda: PATH,
    "networkx with names": lambda: nx.relabel_nodes(PATH, dict(enumerate("abc"))),
    "networkx multigraph": lambda: nx.MultiGraph(PATH),
    "sparse array": lambda: scipy.sparse.csr_array(MATRIX),
    "sparse matrix": lambda: scipy.sparse.coo_matrix(MATRIX),
    "sparse booleans": lambda: scipy.sparse.csc_array(MATRIX.astype(bool)),
    "tensor": lambda: tensor(MATRIX),
    "tensor that trains": lambda: tensor(MATRIX).requires_grad_(),
    "tensor of bfloat16": lambda: tensor(MATRIX).bfloat16(),
    "tensor of whole numbers": lambda: tensor(MATRIX).int(),
}


@pytest.mark.parametrize("given", ADJACENCIES.values(), ids=ADJACENCIES)
def test_an_adjacency_matrix_of_any_type_is_read(given):
    np.testing.assert_allclose(eigenvector_centrality(given()), SOLVED, atol=1e-6)
    np.testing.assert_allclose(degree(given()), [1, 2, 1])


CHAIN = [np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]])]
BLOCKS = {
    "arrays": lambda: CHAIN,
    "tuple": lambda: tuple(CHAIN),
    "lists": lambda: [block.tolist() for block in CHAIN],
    "whole numbers": lambda: [block.astype(int) for block in CHAIN],
    "longdouble": lambda: [block.astype(np.longdouble) for block in CHAIN],
    "frames": lambda: [pd.DataFrame(block) for block in CHAIN],
    "tensors": lambda: [tensor(block) for block in CHAIN],
    "mixed": lambda: [tensor(CHAIN[0]), CHAIN[1].tolist()],
    "a layered graph": lambda: LayeredGraph(tuple(CHAIN), ("input", "a", "b")),
    "a layered graph of lists": lambda: LayeredGraph([block.tolist() for block in CHAIN], ["input", "a", "b"]),
}


@pytest.mark.parametrize("given", BLOCKS.values(), ids=BLOCKS)
def test_blocks_of_any_type_are_read(given):
    np.testing.assert_allclose(degree(given()), [1, 2, 10, 3, 4])
    np.testing.assert_allclose(eigenvector_centrality(given()), eigenvector_centrality(CHAIN), atol=1e-9)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda: np.ones((2, 3)), r"an adjacency matrix must be square with two axes, not of shape \(2, 3\)"),
        (lambda: scipy.sparse.csr_array(np.ones((2, 3))), r"must be square with two axes, not of shape \(2, 3\)"),
        (lambda: [[1.0, 2.0]], r"must be square with two axes, not of shape \(1, 2\)"),
        (lambda: np.ones(3), r"must be square with two axes, not of shape \(3,\)"),
        (lambda: np.ones((2, 3, 3)), r"must be square with two axes, not of shape \(2, 3, 3\)"),
        (lambda: np.ones((0, 0)), r"must be square with two axes, not of shape \(0, 0\)"),
        (lambda: 3.0, r"must be square with two axes, not of shape \(\)"),
        (list, "no blocks were given: a graph must be a sequence of blocks"),
        (lambda: nx.Graph(), "the graph has no nodes"),
        (lambda: nx.DiGraph([(0, 1)]), "not symmetric"),
        (lambda: [np.ones((2, 3)), np.ones((4, 3))], r"a block of shape \(4, 3\) follows one of \(2, 3\): it must have 2"),
        (lambda: [np.ones((2, 2, 3)), np.ones((3, 4, 2))], "must have the same leading axes"),
        (lambda: [np.ones((0, 3))], r"a block must have the shape \(n_out, n_in\), each at least 1, not \(0, 3\)"),
        (lambda: "graph", "expected an array of real numbers, got str of <U5; a graph must be"),
        (lambda: None, "expected an array of real numbers, got NoneType of object; a graph must be"),
        (lambda: MATRIX.astype(complex), "expected an array of real numbers, got .* of complex128; a graph must be"),
        (lambda: MATRIX.astype(object), "expected an array of real numbers, got .* of object; a graph must be"),
        (lambda: [[0, 1], [1]], "expected an array of numbers, got list: .*; a graph must be"),
        (lambda: scipy.sparse.csr_array(MATRIX.astype(complex)), "of complex128 has no real weights"),
        (lambda: pd.DataFrame({"a": ["x"]}), "expected an array of real numbers, got DataFrame of object"),
        (lambda: np.ma.masked_equal(MATRIX, 0), "a masked array has entries without values"),
        (lambda: tensor(MATRIX).to_sparse(), "this tensor is sparse"),
        (lambda: tensor(MATRIX).to("meta"), "this tensor is on the meta device, without values"),
    ],
)
def test_what_is_no_graph_is_refused_in_a_sentence(given, message):
    for function in (eigenvector_centrality, degree):
        if function is degree and "symmetric" in message:
            continue
        with pytest.raises((TypeError, ValueError), match=message) as refused:
            function(given())
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("tolerance", [0, -1e-9, np.nan])
def test_a_tolerance_that_is_not_positive_is_refused(tolerance):
    with pytest.raises(ValueError, match="tolerance must be positive"):
        eigenvector_centrality(MATRIX, tolerance=tolerance)


@pytest.mark.parametrize("function", [moments, weight_statistics])
def test_numbers_of_any_type_are_summarised(function):
    values = [1.0, 2.0, 4.0, 8.0]
    expected = function(np.array(values))
    for given in (values, tuple(values), np.longdouble(values), pd.Series(values), tensor(values).requires_grad_()):
        np.testing.assert_allclose(function(given), expected)
    np.testing.assert_allclose(function([True, False, True]), function([1.0, 0.0, 1.0]))
    for wrong, message in [
        ("values", "expected an array of real numbers"),
        (None, "expected an array of real numbers"),
        (np.array([1j]), "expected an array of real numbers"),
        ([], "one"),
        ([["a"], 1], "expected an array of numbers"),
    ]:
        with pytest.raises((TypeError, ValueError), match=message):
            function(wrong)


def test_moments_are_of_vectors():
    with pytest.raises(ValueError, match=r"moments need vectors .* not the shape \(\)"):
        moments(3.0)


def test_layers_features_take_what_weights_are_held_in():
    weight = np.arange(6.0).reshape(2, 3)
    np.testing.assert_allclose(norms(tensor(weight).requires_grad_(), weight.tolist()), norms(weight, weight))
    assert neural_persistence(weight.tolist(), largest=5.0) == neural_persistence(weight, largest=5.0)
    with pytest.raises(ValueError, match=r"a layer of shape \(2, 3\) cannot have initial weights of shape \(3, 2\)"):
        norms(weight, weight.T)
    with pytest.raises(ValueError, match="two axes or more"):
        neural_persistence([1.0], largest=1.0)


def test_a_layered_graph_says_how_many_layers_it_wants():
    with pytest.raises(ValueError, match="2 blocks need 3 layers, not 2"):
        LayeredGraph(tuple(CHAIN), ("input", "a"))


@pytest.mark.parametrize("name", [None, 3, ("digits-lenet",)])
def test_an_architecture_that_is_no_name_is_refused_with_the_valid_ones(name):
    with pytest.raises(ValueError, match=r"unknown architecture .*valid: .*digits-lenet"):
        nb.graphs.architecture(name)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (lambda tensor: tensor.tolist(), None),
        (lambda tensor: tensor.astype(np.longdouble), None),
        (lambda tensor: tensor.astype(complex), "'conv1.weight' cannot be read: .*complex128"),
        (lambda tensor: "text", "'conv1.weight' cannot be read"),
        (lambda tensor: None, "'conv1.weight' cannot be read"),
        (lambda tensor: tensor[:, :, :2], "'conv1.weight' has shape"),
    ],
)
def test_a_graphs_weights_are_converted_or_named(value, message):
    weights = nb.graphs.random_weights("digits-lenet", seed=0)
    changed = weights | {"conv1.weight": value(weights["conv1.weight"])}
    for make in (nb.graphs.rolled, nb.graphs.unrolled):
        if message is None:
            np.testing.assert_allclose(make(changed, "digits-lenet").degree(), make(weights, "digits-lenet").degree())
        else:
            with pytest.raises(ValueError, match=message):
                make(changed, "digits-lenet")
