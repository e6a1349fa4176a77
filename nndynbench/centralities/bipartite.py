"""A chain of blocks as one bipartite graph: layers 0, 2, 4, … (even) against layers 1, 3, 5, … (odd)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from nndynbench.arrays import RealArray

if TYPE_CHECKING:
    from nndynbench.graphs.operators import Block


# Up to how many entries it pays to write out the whole matrix, with the zeros between the blocks: it then stays in the
# processor's cache, and one product costs less than the calls for each block.
WRITTEN_OUT = 1 << 16


class Bipartite:
    """The biadjacency matrix of a chain of blocks, from odd layers (columns) to even layers (rows), as its two products.

    Blocks may be stacks: arrays (..., n_out, n_in) with the same leading axes. Each product reads each weight once.
    """

    def __init__(self, blocks: Sequence[Block]) -> None:
        self.blocks = blocks
        self.stack: tuple[int, ...] = blocks[0].shape[:-2]
        self.dtype = np.result_type(np.float32, *(block.dtype for block in blocks))
        sizes = [blocks[0].shape[-1], *(block.shape[-2] for block in blocks)]
        self.even_size, self.odd_size = sum(sizes[0::2]), sum(sizes[1::2])
        starts = [0, 0]
        self.places: list[slice] = []
        for position, size in enumerate(sizes):
            start = starts[position % 2]
            self.places.append(slice(start, start + size))
            starts[position % 2] += size
        self.number_of_weights = sum(block.shape[-1] * block.shape[-2] for block in blocks)
        self._matrix = self._written_out() if self.even_size * self.odd_size <= WRITTEN_OUT else None

    def to_even(self, odd: RealArray) -> RealArray:
        """Weighted sums over the even nodes' neighbours, (..., odd nodes) to (..., even nodes)."""
        if self._matrix is not None:
            return _forward(self._matrix, odd)
        return self._products(odd, target=0)

    def to_odd(self, even: RealArray) -> RealArray:
        """Weighted sums over the odd nodes' neighbours, (..., even nodes) to (..., odd nodes)."""
        if self._matrix is not None:
            return _backward(self._matrix, even)
        return self._products(even, target=1)

    def multiply(self, both: RealArray) -> RealArray:
        """Weighted sums over all nodes' neighbours, in the order even nodes, odd nodes."""
        even, odd = both[..., : self.even_size], both[..., self.even_size :]
        return np.concatenate([self.to_even(odd), self.to_odd(even)], axis=-1)

    def extremes(self) -> tuple[RealArray, RealArray]:
        """Each graph's smallest and largest weight, shapes (...,); NaN if a weight is NaN.

        A pair of nodes without an edge has weight 0; an operator counts as having such pairs.
        """
        # A block at a time: what is read once is still in the cache for the second reading.
        smallest, largest = zip(*map(_extremes, self.blocks), strict=True)
        return np.asarray(np.min(smallest, axis=0)), np.asarray(np.max(largest, axis=0))

    def emptied(self, graphs: npt.NDArray[np.bool_]) -> Bipartite:
        """The same, but with all weights 0 in some graphs of the stack, given as a mask (...,)."""
        return Bipartite([np.where(graphs[..., None, None], 0, block) for block in self.blocks])  # type: ignore[arg-type]

    def interleave(self, even: RealArray, odd: RealArray) -> RealArray:
        """Both sides' values as one array over all nodes, layer after layer."""
        sides = (even, odd)
        return np.concatenate([sides[i % 2][..., place] for i, place in enumerate(self.places)], axis=-1)

    def _products(self, values: RealArray, target: int) -> RealArray:
        """For each layer of the target side, the sum of what comes from the layer before it and the layer after it."""
        out = np.empty((*self.stack, (self.even_size, self.odd_size)[target]), self.dtype)
        for position in range(target, len(self.places), 2):
            here = out[..., self.places[position]]
            if position:
                here[...] = _forward(self.blocks[position - 1], values[..., self.places[position - 1]])
            if position < len(self.blocks):
                behind = _backward(self.blocks[position], values[..., self.places[position + 1]])
                if position:
                    here += behind
                else:
                    here[...] = behind
        return out

    def _written_out(self) -> RealArray | None:
        matrix = np.zeros((*self.stack, self.even_size, self.odd_size), self.dtype)
        for position, block in enumerate(self.blocks):
            if not isinstance(block, np.ndarray):
                return None
            near, far = self.places[position], self.places[position + 1]
            if position % 2:
                matrix[..., far, near] = block
            else:
                matrix[..., near, far] = np.swapaxes(block, -1, -2)
        return matrix


def _extremes(block: Block) -> tuple[RealArray, RealArray]:
    if isinstance(block, np.ndarray):
        return block.min(axis=(-2, -1)), block.max(axis=(-2, -1))
    return np.minimum(block.weight.min(), 0), block.weight.max()


def _forward(block: Block, inputs: RealArray) -> RealArray:
    product: RealArray = np.matvec(block, inputs) if isinstance(block, np.ndarray) else block.matvec(inputs)
    return product


def _backward(block: Block, outputs: RealArray) -> RealArray:
    product: RealArray = np.vecmat(outputs, block) if isinstance(block, np.ndarray) else block.rmatvec(outputs)
    return product
