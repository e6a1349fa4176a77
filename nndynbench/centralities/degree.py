"""Weighted degree (paper, section 2.1): the sum of the weights of a node's edges."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from nndynbench.centralities.inputs import GraphLike, as_graph

if TYPE_CHECKING:
    from nndynbench.graphs.operators import Block


def degree(graph: GraphLike) -> npt.NDArray[np.float64]:
    """Weighted degree of every node, shape (..., nodes); NaN where an edge of the node is NaN.

    ``graph`` is what `eigenvector_centrality` takes; of an adjacency matrix, the sums of its rows.

    Signed blocks give signed sums. Where a weight of an unrolled conv is not finite, nodes at the border of its maps may be
    NaN though their edges are finite: the padding is multiplied by it too.

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
    # A block at a time: what its rows' sums have read is still in the cache for its columns'.
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
