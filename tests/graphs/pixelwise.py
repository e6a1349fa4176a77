"""Unrolled graphs written out pixel by pixel, with nothing but loops: the oracle for the operators.

`described` makes a chain of layers; `right_adjacency` follows the paper's definition, `published_edges` gives what the
reference code makes of it.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import scipy.sparse

from nndynbench.graphs import Architecture, Layer

Node = tuple[str, int, int, int]


def described(input_shape: tuple[int, int, int], *entries: dict[str, Any]) -> Architecture:
    """An architecture of one's own."""
    rules = {"conv": "pytorch", "fc": "pytorch", "bias": "pytorch"}
    return Architecture("one's own", "own", input_shape, 2, rules, entries, ()).with_input_shape(input_shape)


def right_adjacency(weights: dict[str, np.ndarray], architecture: Architecture) -> scipy.sparse.csr_array:
    """The signed adjacency matrix, (nodes, nodes), stored zeros included."""
    return _adjacency(_edges(weights, architecture, quirks=False), architecture)


def published_adjacency(weights: dict[str, np.ndarray], architecture: Architecture) -> scipy.sparse.csr_array:
    return _adjacency(_edges(weights, architecture, quirks=True), architecture)


def _edges(weights: dict[str, np.ndarray], architecture: Architecture, *, quirks: bool) -> dict[tuple[Node, Node], float]:
    """Every edge's weight; assigning twice overwrites, as networkx does in the reference code."""
    edges: dict[tuple[Node, Node], float] = {}
    layers = [layer for layer in architecture.layers if layer.kind != "dropout"]
    before = "input"
    for position, layer in enumerate(layers):
        weight = np.asarray(weights[f"{layer.name}.weight"], np.float64) if layer.weight_shape else None
        if layer.kind == "conv":
            for (channel, i, j), filter_, (row, column) in product(
                np.ndindex(layer.input_shape[0], layer.kernel, layer.kernel),
                range(layer.output_shape[0]),
                np.ndindex(layer.output_shape[1:]),
            ):
                source = _tap(layer, row, column, i, j)
                end = (layer.name, filter_, row, column)
                if source is not None:
                    edges[(before, channel, *source), end] = weight[filter_, channel, i, j]
                elif quirks:
                    edges[(before, channel, 0, 0), end] = 0.0
        elif layer.kind == "max-pool":
            onto_first = quirks and layers[position + 1].kind != "fc"
            incoming: dict[Node, float] = {}
            for (_, end), value in edges.items():
                incoming[end] = min(value, incoming.get(end, np.inf))
            for channel, i, j in np.ndindex(layer.input_shape[0], layer.kernel, layer.kernel):
                for row, column in np.ndindex(layer.output_shape[1:]):
                    source = _tap(layer, row, column, i, j)
                    if source is not None:
                        start = (before, channel, *source)
                        edges[start, (layer.name, 0 if onto_first else channel, row, column)] = incoming[start]
        else:
            shape = layer.input_shape if len(layer.input_shape) == 3 else (*layer.input_shape, 1, 1)
            for number, source in enumerate(np.ndindex(shape)):
                for unit in range(layer.output_shape[0]):
                    edges[(before, *source), (layer.name, unit, 0, 0)] = weight[unit, number]
        before = layer.name
    return edges


def _tap(layer: Layer, row: int, column: int, i: int, j: int) -> tuple[int, int] | None:
    """The input position under a kernel's tap at an output; None on padding."""
    y, x = row * layer.stride - layer.padding + i, column * layer.stride - layer.padding + j
    return (y, x) if 0 <= y < layer.input_shape[1] and 0 <= x < layer.input_shape[2] else None


def _adjacency(edges: dict[tuple[Node, Node], float], architecture: Architecture) -> scipy.sparse.csr_array:
    numbers: dict[Node, int] = {}
    shapes = {"input": architecture.input_shape}
    shapes |= {layer.name: layer.output_shape for layer in architecture.layers if layer.kind != "dropout"}
    for name, shape in shapes.items():
        for place in np.ndindex(shape if len(shape) == 3 else (*shape, 1, 1)):
            numbers[name, *place] = len(numbers)
    ends = np.array([(numbers[start], numbers[end]) for start, end in edges]).T
    values = np.array(list(edges.values()))
    both_ways = np.concatenate([ends, ends[::-1]], axis=1)
    return scipy.sparse.coo_array((np.tile(values, 2), both_ways), shape=(len(numbers),) * 2).tocsr()
