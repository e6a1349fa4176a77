"""Eigenvector centrality (paper, section 2.1), exact to rounding, without ever forming the adjacency matrix.

Edges run between consecutive layers, so the graph is bipartite. The principal eigenvector of such a graph follows from the
largest singular triplet of its biadjacency matrix: both singular vectors side by side, divided by √2. Power iteration would
oscillate between λ and −λ. Any other graph is passed as its adjacency matrix.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from nndynbench.arrays import RealArray
from nndynbench.centralities.bipartite import Bipartite
from nndynbench.centralities.inputs import Adjacency, GraphLike, as_graph
from nndynbench.centralities.krylov import Product, largest_pair, largest_triplet

if TYPE_CHECKING:
    from nndynbench.graphs.operators import Block

BoolArray: TypeAlias = npt.NDArray[np.bool_]

TOLERANCES = {np.dtype(np.float64): 1e-12, np.dtype(np.float32): 1e-6}

# How many weights of stacked graphs are worked on at a time: more no longer fit in the processor's cache.
WEIGHTS_AT_A_TIME = 1 << 20

# From how many weights on one product costs more than computing the residual.
MANY_WEIGHTS = 1 << 20

# The rounding error of the entries of a unit vector in float64.
ROUNDING = 1e-15

# As a share of the largest entry: a component of the graph that is part of the principal eigenvector has an entry above it.
SHARES = {np.dtype(np.float64): 1e-6, np.dtype(np.float32): 1e-4}


class ConvergenceWarning(RuntimeWarning):
    """An eigenvector was not found to the required tolerance; NaN is returned in its place.

    Examples
    --------
    >>> import warnings
    >>> import numpy as np
    >>> from nndynbench.centralities import eigenvector_centrality
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     values = eigenvector_centrality([np.random.default_rng(0).random((3, 4))], max_steps=1)
    >>> caught[0].category.__name__, bool(np.isnan(values).all())
    ('ConvergenceWarning', True)
    """


class PrincipalPair(NamedTuple):
    """The largest eigenvalue (...,), its unit eigenvector (..., nodes), and ‖Av − λv‖ / λ (...,).

    Examples
    --------
    >>> import numpy as np
    >>> from nndynbench.centralities import principal_pair
    >>> pair = principal_pair([np.ones((2, 8))])  # two nodes, each with an edge to eight
    >>> round(float(pair.value), 6), pair.vector.shape, bool(pair.residual < 1e-12)
    (4.0, (10,), True)
    """

    value: RealArray
    vector: RealArray
    residual: RealArray


def eigenvector_centrality(graph: GraphLike, *, tolerance: float | None = None, max_steps: int = 500) -> RealArray:
    """Eigenvector centrality of every node, shape (..., nodes): unit L2 norm, non-negative sum.

    ``graph`` is a `LayeredGraph`, or a sequence of blocks, which may be stacked. A graph that is not a chain of layers is
    passed as its symmetric adjacency matrix: a dense or scipy.sparse matrix, networkx graph, lists, a data frame, or a torch
    tensor. Centralities are computed in float32 or float64, whichever is nearest to the precision of the weights.
    ``tolerance`` is the relative residual to reach, by default 1e-12 in float64 and 1e-6 in float32. ``max_steps`` bounds
    the Krylov space.

    Non-finite weights give NaN. So does a graph that does not converge within ``max_steps``, with a `ConvergenceWarning`. If
    the largest eigenvalue is multiple (equal components), the result is the vector in its eigenspace that is reached from a
    uniform start. Nodes outside the heaviest component have 0. If all weights are zero, the vector is uniform. If the two
    largest eigenvalues lie close together, a small residual does not make the vector as exact; this may happen in signed
    graphs, and in graphs with loosely connected parts. See `principal_pair`.

    Raises
    ------
    ValueError
        For an adjacency matrix that is not symmetric or not square, blocks that do not fit each other, no steps at all, or a
        tolerance that is not positive.
    TypeError
        For anything that is not a graph, or has no real weights.

    Examples
    --------
    >>> import numpy as np
    >>> from nndynbench.centralities import eigenvector_centrality
    >>> eigenvector_centrality([np.array([[3.0, 4.0]])]).round(3)
    array([0.424, 0.566, 0.707])
    """
    return principal_pair(graph, tolerance=tolerance, max_steps=max_steps).vector


def principal_pair(graph: GraphLike, *, tolerance: float | None = None, max_steps: int = 500) -> PrincipalPair:
    """Largest eigenvalue of the graph with its eigenvector and relative residual; see `eigenvector_centrality`.

    Examples
    --------
    >>> import numpy as np
    >>> from nndynbench.centralities import principal_pair
    >>> round(float(principal_pair([np.array([[3.0, 4.0]])]).value), 6)
    5.0
    """
    if max_steps < 1:
        raise ValueError(f"max_steps must be at least 1, not {max_steps}")
    if tolerance is not None and not tolerance > 0:
        raise ValueError(f"tolerance must be positive, not {tolerance!r}")
    given = as_graph(graph)
    weights = given if isinstance(given, list) else [given]
    dtype = np.result_type(np.float32, *(part.dtype for part in weights))
    accepted = TOLERANCES[dtype] if tolerance is None else tolerance
    solve: Callable[..., PrincipalPair] = _of_stack if isinstance(given, list) else _of_adjacency
    pair = solve(given, accepted, max_steps)
    missed = pair.residual > accepted
    if missed.any():
        warnings.warn(
            f"no eigenvector found within {max_steps} steps for {np.sum(missed)} graph(s), "
            f"largest relative residual {pair.residual[missed].max():.1e}; NaN is returned instead",
            ConvergenceWarning,
            stacklevel=2,
        )
    return pair._replace(vector=np.where(missed[..., None], np.nan, pair.vector))


def _of_stack(blocks: Sequence[Block], tolerance: float, max_steps: int) -> PrincipalPair:
    """Solve stacked graphs a few at a time, so that what one product reads is still in the cache for the next."""
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
    signed, magnitude = smallest < 0, np.where(finite, np.maximum(-smallest, largest), 0)
    unit = _unit(magnitude, bipartite.dtype)
    to_even, to_odd = _in_units(bipartite.to_even, unit), _in_units(bipartite.to_odd, unit)
    value, even, odd, residual = largest_triplet(
        to_even,
        to_odd,
        _start(signed, bipartite.odd_size, bipartite.dtype),
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
    pair = PrincipalPair(_times(value, unit), bipartite.interleave(even, odd), residual)
    return _normalised(pair, finite=finite, empty=magnitude == 0, signed=signed)


def _unit(magnitude: RealArray, dtype: np.dtype[Any]) -> RealArray:
    """A unit per graph: 1, or the power of two below its largest weight, if that is so large or small that squares of sums
    leave the range of the precision.
    """
    within = np.finfo(dtype)
    fits = (magnitude == 0) | ((magnitude > within.tiny**0.25) & (magnitude < within.max**0.25))
    if fits.all():
        return np.ones_like(magnitude)
    return np.exp2(np.floor(np.log2(np.where(fits, 1, magnitude))))


def _in_units(product: Product, unit: RealArray) -> Product:
    """The product divided by the unit, half of it before and half after, so that sums stay in range too."""
    if (unit == 1).all():
        return product
    before = np.exp2(np.floor(np.log2(unit) / 2))[..., None]
    after = unit[..., None] / before
    return lambda vector: product(vector / before) / after


def _times(value: RealArray, unit: RealArray) -> RealArray:
    """The value times the unit; infinite if the eigenvalue itself is out of range."""
    with np.errstate(over="ignore"):
        return value * unit


def _of_adjacency(adjacency: Adjacency, tolerance: float, max_steps: int) -> PrincipalPair:
    values = adjacency if isinstance(adjacency, np.ndarray) else adjacency.data
    if not np.isfinite(values).all():
        return _unknown(adjacency.shape[-1])
    signed, magnitude = np.asarray(values.min(initial=0) < 0), np.abs(values).max(initial=0)
    dtype = np.result_type(adjacency.dtype, np.float32)
    differences: Any = adjacency - adjacency.T
    asymmetry = abs(differences).max()
    if asymmetry > TOLERANCES[dtype] * magnitude:
        raise ValueError(
            f"the adjacency matrix is not symmetric: entries that should be equal differ by up to {asymmetry:.3g}"
        )
    unit = _unit(np.asarray(magnitude), dtype)
    multiply = _in_units(lambda v: adjacency @ v, unit)
    start = _start(signed, adjacency.shape[-1], dtype)
    value, vector, residual = largest_pair(multiply, start, tolerance=tolerance, max_steps=max_steps)
    if not signed:
        vector = _heaviest_component(vector, multiply)
    pair = PrincipalPair(_times(value, unit), vector, residual)
    return _normalised(pair, finite=np.array(True), empty=np.asarray(magnitude == 0), signed=signed)


def _heaviest_component(vector: RealArray, multiply: Product) -> RealArray:
    """The principal eigenvector of a non-negative matrix, with exact zeros at nodes that no path joins to nodes with large
    entries. The entries there are a part of lighter components that has not converged to 0.
    """
    reached = np.abs(vector) > SHARES[vector.dtype] * np.abs(vector).max(axis=-1, keepdims=True)
    while True:
        further = reached | (multiply(reached.astype(vector.dtype)) > 0)
        if (further == reached).all():
            return np.where(reached, vector, 0)
        reached = further


def _start(signed: BoolArray, size: int, dtype: np.dtype[Any]) -> RealArray:
    """The uniform vector, to which no principal eigenvector of a non-negative graph is orthogonal. For signed graphs, where
    one may be, a fixed vector without any structure.
    """
    uniform = np.ones(size, dtype)
    if not signed.any():
        return np.broadcast_to(uniform, (*signed.shape, size))
    structureless = np.random.default_rng(size).standard_normal(size).astype(dtype)
    return np.where(signed[..., None], structureless, uniform)


def _normalised(pair: PrincipalPair, *, finite: BoolArray, empty: BoolArray, signed: BoolArray) -> PrincipalPair:
    """The pair with unit length and Perron's sign; uniform if all weights are 0, NaN if one is not finite."""
    value, vector, residual = pair
    norm = np.sqrt(np.vecdot(vector, vector))
    vector = vector / np.where(norm > 0, norm, 1)[..., None]
    vector[empty] = 1 / np.sqrt(vector.shape[-1])
    vector *= np.where(vector.sum(axis=-1, keepdims=True) < 0, -1, 1)
    vector[np.abs(vector) < ROUNDING] = 0.0
    if not signed.all():
        # The part of another component that has not converged to 0 may be negative.
        vector = np.where(signed[..., None], vector, np.maximum(vector, 0))
    if finite.all():
        return PrincipalPair(value, vector, residual)
    return PrincipalPair(
        np.where(finite, value, np.nan), np.where(finite[..., None], vector, np.nan), np.where(finite, residual, np.nan)
    )


def _unknown(nodes: int) -> PrincipalPair:
    return PrincipalPair(np.array(np.nan), np.full(nodes, np.nan), np.array(np.nan))
