"""Weighted degree (paper, section 2.1): the sum of the weights of a node's edges."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from nndynbench.centralities.inputs import GraphLike, as_graph

if TYPE_CHECKING:
    from nndynbench.graphs.operators import Block


def degree(graph: GraphLike) -> npt.NDArray[np.float64]:
    """Weighted degree of every node, shape (..., nodes); NaN if an edge of the node is NaN.

    ``graph`` may be anything that `eigenvector_centrality` takes; for an adjacency matrix, the degrees are its row sums.

    Signed blocks give signed sums. If a weight of an unrolled conv is not finite, nodes at the border of its maps may be NaN
    although their edges are finite, since the weight is multiplied by the padding too.

    Examples
    --------
    >>> import numpy as np
    >>> from nndynbench.centralities import degree
    >>> degree([np.array([[1.0, 2.0]])])
    array([1., 2., 3.])
    """
    blocks = as_graph(graph)
    if not isinstance(blocks, list):
        return np.asarray(blocks.sum(axis=1), dtype=np.float64).ravel()
    # A block at a time: what is read for the row sums is still in the cache for the column sums.
    incoming, outgoing = zip(*((_row_sums(block), _column_sums(block)) for block in blocks), strict=True)
    inner = [arriving + leaving for arriving, leaving in zip(incoming[:-1], outgoing[1:], strict=True)]
    return np.concatenate([outgoing[0], *inner, incoming[-1]], axis=-1)


def _row_sums(block: Block) -> npt.NDArray[np.float64]:
    if isinstance(block, np.ndarray):
        return np.asarray(np.matvec(block, np.ones(block.shape[-1])))
    return np.asarray(block.row_sums())


def _column_sums(block: Block) -> npt.NDArray[np.float64]:
    if isinstance(block, np.ndarray):
        return np.asarray(np.vecmat(np.ones(block.shape[-2]), block))
    return np.asarray(block.column_sums())
