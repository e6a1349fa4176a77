"""Neural persistence of a layer (Rieck et al. 2019, ICLR, algorithm 1)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nndynbench.arrays import as_array


def neural_persistence(tensor: npt.NDArray[np.floating], *, largest: float) -> float:
    """Normalised neural persistence of one layer, between 0 and 1.

    The layer is seen as a complete bipartite graph between its outputs and everything that enters one of them (for a conv
    layer, the taps of a filter). The edges have weights |w| / ``largest``, where ``largest`` is the largest absolute weight
    of the network. Vertices are born at 1. As edges are added from heavy to light, components merge at the edges of the
    maximum spanning tree, so the weights of these edges are the deaths. The result is the 2-norm of the persistences 1 − w,
    divided by √(n − 1) for n vertices. It is NaN for non-finite weights.

    Examples
    --------
    >>> import numpy as np
    >>> from nndynbench.features import neural_persistence
    >>> neural_persistence(np.array([[1.0, 0.5]]), largest=1.0)  # two edges: persistences 0 and 0.5, of three vertices
    0.35355339059327373
    """
    tensor = as_array(tensor)
    if tensor.ndim < 2 or not tensor.size:
        raise ValueError(f"a layer's tensor must have two axes or more and not be empty; its shape is {tensor.shape}")
    if not np.isfinite(tensor).all() or not np.isfinite(largest):
        return float("nan")
    matrix = np.abs(tensor.astype(np.float64)).reshape(len(tensor), -1)
    deaths = _spanning_weights(matrix / largest if largest > 0 else matrix)
    return float(np.linalg.norm(1.0 - deaths) / np.sqrt(sum(matrix.shape) - 1))


def _spanning_weights(weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The weights of a maximum spanning tree's edges, in a complete bipartite graph (outputs, inputs).

    Kruskal's algorithm takes heavy edges first, so a tree of only heavy edges is also one of all edges. A tree has an edge
    at every vertex, so the edges that are at least as heavy as some vertex's heaviest edge are tried first. In most layers
    these are few, and connect the graph. Sorting all edges takes ten times as long.
    """
    lightest = min(weights.max(axis=0).min(), weights.max(axis=1).min())
    found = _tree_of(weights, weights >= lightest)
    return found if len(found) == sum(weights.shape) - 1 else _tree_of(weights, np.ones(weights.shape, dtype=bool))


def _tree_of(weights: npt.NDArray[np.float64], edges: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """The weights of a maximum spanning forest of some edges."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import minimum_spanning_tree

    outputs, inputs = weights.shape
    ends = np.nonzero(edges)
    # scipy takes a missing entry for "no edge": costs are shifted to lie in [1, 2], so that no edge has cost 0.
    offsets = np.concatenate([[0], np.cumsum(np.count_nonzero(edges, axis=1)), np.full(inputs, len(ends[0]))])
    costs = csr_array(
        (2.0 - weights[ends], (ends[1] + outputs).astype(np.int32), offsets.astype(np.int32)), shape=(outputs + inputs,) * 2
    )
    return np.asarray(2.0 - minimum_spanning_tree(costs).data)
