"""Eigenvector centrality (paper, section 2.1), exact to rounding, without ever forming the adjacency matrix.

Edges run between consecutive layers, so the graph is bipartite. The principal eigenvector of such a graph is the largest
singular triplet of its biadjacency matrix, both vectors side by side over √2; power iteration would oscillate between λ
and −λ. Any other graph is given as its adjacency matrix.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from nndynbench.centralities.bipartite import Bipartite
from nndynbench.centralities.krylov import Product, largest_pair, largest_triplet

if TYPE_CHECKING:
    import scipy.sparse

    from nndynbench.graphs.operators import Block

FloatArray = npt.NDArray[np.floating[Any]]
Adjacency: TypeAlias = "npt.NDArray[np.floating[Any]] | scipy.sparse.csr_array[np.floating[Any]]"

TOLERANCES = {np.dtype(np.float64): 1e-12, np.dtype(np.float32): 1e-6}

# Weights of stacked graphs that are worked on at a time: more no longer fit in the processor's cache.
WEIGHTS_AT_A_TIME = 1 << 20

# Weights from which one product costs more than a look at the residual.
MANY_WEIGHTS = 1 << 20

# Of the entries of a unit vector in float64.
ROUNDING = 1e-15

# Of the largest entry: a component of the graph that has a share in the principal eigenvector has an entry above this.
SHARE = 1e-6


class ConvergenceWarning(RuntimeWarning):
    """An eigenvector was not found to the asked tolerance; NaN stands in its place."""


class PrincipalPair(NamedTuple):
    """The largest eigenvalue (...,), its unit eigenvector (..., nodes), and ‖Av − λv‖ / λ (...,)."""

    value: FloatArray
    vector: FloatArray
    residual: FloatArray


def eigenvector_centrality(
    graph: Sequence[Block] | Adjacency, *, tolerance: float | None = None, max_steps: int = 500
) -> FloatArray:
    """Eigenvector centrality of every node, shape (..., nodes): unit L2 norm, non-negative sum.

    ``graph`` is a sequence of blocks, which may be stacked, or the symmetric adjacency matrix of a graph that is no chain
    of layers, dense or scipy.sparse. Computed in the precision of its weights. ``tolerance`` is the relative residual to
    reach, by default 1e-12 in float64 and 1e-6 in float32; ``max_steps`` bounds the Krylov space.

    Non-finite weights give NaN. So does a graph that does not converge within ``max_steps``, with a
    `ConvergenceWarning`. Where the largest eigenvalue is multiple (equal components) the vector is the one in its
    eigenspace reached from a start that is uniform within each layer; nodes outside the heaviest component have 0. A graph
    whose weights are all zero gives the uniform vector. In signed graphs the two largest eigenvalues may lie close, so that
    a small residual does not make the vector as exact: see `principal_pair`.
    """
    return principal_pair(graph, tolerance=tolerance, max_steps=max_steps).vector


def principal_pair(
    graph: Sequence[Block] | Adjacency, *, tolerance: float | None = None, max_steps: int = 500
) -> PrincipalPair:
    """Largest eigenvalue of the graph with its eigenvector and relative residual; see `eigenvector_centrality`."""
    weights = graph if isinstance(graph, Sequence) else [graph]
    dtype = np.result_type(np.float32, *(part.dtype for part in weights))
    accepted = TOLERANCES[dtype] if tolerance is None else tolerance
    if isinstance(graph, Sequence):
        pair = _of_stack(graph, accepted, max_steps)
    else:
        pair = _of_adjacency(graph, accepted, max_steps)
    missed = pair.residual > accepted
    if missed.any():
        warnings.warn(
            f"no eigenvector within {max_steps} steps for {np.sum(missed)} graph(s), "
            f"largest relative residual {pair.residual[missed].max():.1e}; NaN returned in its place",
            ConvergenceWarning,
            stacklevel=2,
        )
    return pair._replace(vector=np.where(missed[..., None], np.nan, pair.vector))


def _of_stack(blocks: Sequence[Block], tolerance: float, max_steps: int) -> PrincipalPair:
    """Stacked graphs a few at a time, so that what one product reads is still in the cache for the next."""
    stack = blocks[0].shape[:-2]
    count = int(np.prod(stack))
    weights = sum(block.shape[-1] * block.shape[-2] for block in blocks)
    at_a_time = max(1, WEIGHTS_AT_A_TIME // weights)
    if count <= 1 or not stack:
        return _of_blocks(blocks, tolerance, max_steps)
    flat = [block.reshape(count, *block.shape[-2:]) for block in blocks]  # type: ignore[union-attr]  # arrays alone stack
    pairs = [
        _of_blocks([block[first : first + at_a_time] for block in flat], tolerance, max_steps)
        for first in range(0, count, at_a_time)
    ]
    return PrincipalPair(*(np.concatenate(parts).reshape(*stack, *parts[0].shape[1:]) for parts in zip(*pairs, strict=True)))


def _of_blocks(blocks: Sequence[Block], tolerance: float, max_steps: int) -> PrincipalPair:
    bipartite = Bipartite(blocks)
    smallest, largest = bipartite.extremes()
    finite = np.isfinite(smallest) & np.isfinite(largest)
    if not finite.all():
        if not bipartite.stack:
            return _unknown(bipartite.even_size + bipartite.odd_size)
        bipartite = bipartite.emptied(~finite)
    to_even: Product = bipartite.to_even
    to_odd: Product = bipartite.to_odd
    unit = _unit(np.where(finite, np.maximum(-smallest, largest), 0), bipartite.dtype)
    if (unit != 1).any():
        to_even, to_odd = _in_units(to_even, unit), _in_units(to_odd, unit)
    if bipartite.is_written_out or (smallest < 0).any() or (unit != 1).any():
        start = _start(smallest < 0, bipartite.odd_size, bipartite.dtype)
    else:
        start = _start_by_layer(bipartite, tolerance)
    value, even, odd, residual = largest_triplet(
        to_even,
        to_odd,
        start,
        bipartite.even_size,
        tolerance=tolerance,
        max_steps=max_steps,
        every_step=bipartite.number_of_weights >= MANY_WEIGHTS,
    )
    incomplete = smallest == 0
    if incomplete.any():
        both = np.concatenate([even, odd], axis=-1)
        both = np.where(incomplete[..., None], _heaviest_component(both, bipartite.multiply), both)
        even, odd = np.split(both, [bipartite.even_size], axis=-1)
    return _normalised(value * unit, bipartite.interleave(even, odd), residual, finite)


def _unit(magnitude: FloatArray, dtype: np.dtype[Any]) -> FloatArray:
    """Per graph 1, or where its largest weight is so large or small that squares of sums leave the precision's range, the
    power of two below that weight.
    """
    within = np.finfo(dtype)
    fits = (magnitude == 0) | ((magnitude > within.tiny**0.25) & (magnitude < within.max**0.25))
    if fits.all():
        return np.ones_like(magnitude)
    return np.exp2(np.floor(np.log2(np.where(fits, 1, magnitude))))


def _in_units(product: Product, unit: FloatArray) -> Product:
    return lambda vector: product(vector) / unit[..., None]


def _of_adjacency(adjacency: Adjacency, tolerance: float, max_steps: int) -> PrincipalPair:
    values = adjacency if isinstance(adjacency, np.ndarray) else adjacency.data
    if not np.isfinite(values).all():
        return _unknown(adjacency.shape[-1])
    signed = np.asarray(values.min(initial=0.0) < 0)
    start = _start(signed, adjacency.shape[-1], np.result_type(adjacency.dtype, np.float32))
    value, vector, residual = largest_pair(lambda v: adjacency @ v, start, tolerance=tolerance, max_steps=max_steps)
    if not signed:
        vector = _heaviest_component(vector, lambda v: adjacency @ v)
    return _normalised(value, vector, residual, np.array(True))


def _heaviest_component(vector: FloatArray, multiply: Product) -> FloatArray:
    """The principal eigenvector of a non-negative matrix with exact zeros at the nodes that no path joins to those where it
    is large: what is left there is the part of lighter components that has not converged away.
    """
    reached = np.abs(vector) > SHARE * np.abs(vector).max(axis=-1, keepdims=True)
    while True:
        further = reached | (multiply(reached.astype(vector.dtype)) > 0)
        if (further == reached).all():
            return np.where(reached, vector, 0)
        reached = further


def _start(signed: npt.NDArray[np.bool_], size: int, dtype: np.dtype[Any]) -> FloatArray:
    """Uniform, which no principal eigenvector of a non-negative graph is orthogonal to; for signed graphs, where one may
    be, a fixed vector without any structure.
    """
    uniform = np.ones(size, dtype)
    if not signed.any():
        return np.broadcast_to(uniform, (*signed.shape, size))
    structureless = np.random.default_rng(size).standard_normal(size).astype(dtype)
    return np.where(signed[..., None], structureless, uniform)


def _start_by_layer(bipartite: Bipartite, tolerance: float) -> FloatArray:
    """For non-negative graphs: uniform within each layer, in the proportions of the graph of layers. It spares some steps.

    No layer has so little that the residual could be small before its share is found, should it be the principal one.
    """
    _, vectors = np.linalg.eigh(bipartite.of_layers())
    by_node = np.abs(vectors[..., -1]) / np.sqrt(bipartite.sizes)
    by_node = np.maximum(by_node, np.sqrt(tolerance) * by_node.max(axis=-1, keepdims=True))
    return np.repeat(by_node[..., 1::2], bipartite.sizes[1::2], axis=-1).astype(bipartite.dtype)


def _normalised(value: FloatArray, vector: FloatArray, residual: FloatArray, finite: npt.NDArray[np.bool_]) -> PrincipalPair:
    """To unit length and Perron's sign; uniform where all weights are 0, NaN where one is not finite."""
    norm = np.sqrt(np.vecdot(vector, vector))
    vector = vector / np.where(norm > 0, norm, 1)[..., None]
    vector[~(value > 0)] = 1 / np.sqrt(vector.shape[-1])
    vector *= np.where(vector.sum(axis=-1, keepdims=True) < 0, -1, 1)
    vector[np.abs(vector) < ROUNDING] = 0.0
    if finite.all():
        return PrincipalPair(value, vector, residual)
    return PrincipalPair(
        np.where(finite, value, np.nan), np.where(finite[..., None], vector, np.nan), np.where(finite, residual, np.nan)
    )


def _unknown(nodes: int) -> PrincipalPair:
    return PrincipalPair(np.array(np.nan), np.full(nodes, np.nan), np.array(np.nan))
