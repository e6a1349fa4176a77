"""Converts graphs of common types (blocks, adjacency matrices, networkx graphs) to what centralities compute with."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from numbers import Real
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nndynbench.arrays import RealArray, as_array

if TYPE_CHECKING:
    import networkx
    import scipy.sparse

    from nndynbench.graphs.layered import LayeredGraph
    from nndynbench.graphs.operators import Block

Adjacency: TypeAlias = "RealArray | scipy.sparse.csr_array[Any]"
GraphLike: TypeAlias = "Sequence[Block] | LayeredGraph | Adjacency | npt.ArrayLike | networkx.Graph[Any]"

# The precisions of computation: whole numbers and longer floats become float64, shorter floats float32.
PRECISIONS = (np.dtype(np.float64), np.dtype(np.float32))

WHAT_GRAPHS_ARE = "a graph must be a sequence of blocks (n_out, n_in), a square adjacency matrix, or a networkx graph"


def as_graph(graph: GraphLike) -> list[Block] | Adjacency:
    """A graph as a list of its blocks, or as its adjacency matrix, dense or sparse, in float64 or float32.

    Lists, data frames, torch tensors, networkx graphs (by their edges' ``weight``, or 1 without one), whole numbers and
    booleans are converted.

    Raises
    ------
    TypeError
        For anything that is not a graph.
    ValueError
        For blocks that do not fit each other, or a matrix that is not square.
    """
    blocks = getattr(graph, "blocks", graph)
    if isinstance(blocks, (list, tuple)) and (not blocks or _depth(blocks) > 2):
        return as_blocks(blocks)
    return _adjacency(graph)


def as_blocks(blocks: Sequence[Any]) -> list[Block]:
    """Blocks as arrays of float64 or float32, or as operators. Blocks that are so already are returned as they are.

    Raises
    ------
    TypeError
        For anything that is not an array of real numbers.
    ValueError
        For no blocks, or blocks that do not fit each other.
    """
    return _checked_blocks(list(map(as_block, blocks)))


def as_block(block: Any) -> Block:
    """One block, converted as by `as_blocks`."""
    if _is_block(block):
        return block  # type: ignore[no-any-return]
    array: RealArray = _numbers(block)
    if array.ndim < 2:
        raise ValueError(f"a block must have the shape (n_out, n_in), not {array.shape}")
    return array


def _is_block(part: Any) -> bool:
    """Whether it can be used as it is: an array of a usual precision, or an operator."""
    if isinstance(part, np.ndarray):
        return part.ndim >= 2 and part.dtype in PRECISIONS and not isinstance(part, np.ma.MaskedArray)
    return hasattr(part, "matvec") and hasattr(part, "row_sums")


def _depth(part: Any) -> int:
    """How many axes nested lists have, with those of arrays and tensors in them."""
    if isinstance(part, (list, tuple)):
        return 1 + (_depth(part[0]) if part else 0)
    return int(getattr(part, "ndim", 2 if _is_block(part) else 0))


def _checked_blocks(blocks: list[Any]) -> list[Block]:
    if not blocks:
        raise ValueError(f"no blocks were given: {WHAT_GRAPHS_ARE}")
    for block in blocks:
        if len(block.shape) < 2 or 0 in block.shape[-2:]:
            raise ValueError(f"a block must have the shape (n_out, n_in), each at least 1, not {tuple(block.shape)}")
    for before, block in pairwise(blocks):
        if block.shape[-1] != before.shape[-2]:
            raise ValueError(
                f"a block of shape {block.shape} follows one of {before.shape}: it must have {before.shape[-2]} columns, "
                "one for each row of that block"
            )
        if block.shape[:-2] != before.shape[:-2]:
            raise ValueError(f"blocks of shapes {before.shape} and {block.shape} must have the same leading axes")
    return blocks


def _adjacency(graph: Any) -> Adjacency:
    if hasattr(graph, "adjacency") and hasattr(graph, "number_of_nodes"):
        from networkx import to_scipy_sparse_array

        if not graph.number_of_nodes():
            raise ValueError("the graph has no nodes")
        for start, end, weight in graph.edges(data="weight", default=1):
            if not isinstance(weight, Real):
                raise TypeError(f"the edge from {start!r} to {end!r} has the weight {weight!r}, which is not a real number")
        graph = to_scipy_sparse_array(graph, weight="weight")
    if hasattr(graph, "tocsr"):
        from scipy.sparse import csr_array

        matrix = csr_array(graph)
        matrix = matrix.astype(_precision(matrix.dtype))
    else:
        matrix = _numbers(graph)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.shape[0]:
        raise ValueError(
            f"an adjacency matrix must be square with two axes, not of shape {tuple(matrix.shape)}; pass blocks "
            "between layers as a list, even a single one"
        )
    return matrix  # type: ignore[no-any-return]


def _numbers(part: Any) -> Any:
    if hasattr(part, "matvec"):
        return part
    try:
        array = as_array(part)
    except TypeError as reason:
        raise TypeError(f"{reason}; {WHAT_GRAPHS_ARE}") from reason
    return array.astype(_precision(array.dtype), copy=False)


def _precision(dtype: np.dtype[Any]) -> np.dtype[Any]:
    if dtype.kind not in "biuf":
        raise TypeError(f"an adjacency matrix of {dtype} has no real weights; {WHAT_GRAPHS_ARE}")
    if dtype.kind in "biu" or dtype.itemsize >= 8:
        return np.dtype(np.float64)
    return dtype if dtype in PRECISIONS else np.dtype(np.float32)
