"""The unrolled graph as the reference code builds it: github.com/pindapuj/NN_Code, nn_homology/nn_graph.py.

Two quirks are not part of the paper's definition, and change the numbers of edges and the degrees:

1. A tap on padding counts as input position (0, 0) of its channel, with weight 0. So every output whose window reaches the
   padding gains an edge of weight 0 to position (0, 0) of each channel. If the output has a real edge to that position, the
   two are one edge, with the weight of whichever tap comes last in the kernel.
2. A pooling layer that is followed by a conv (not by a fully connected layer) links the positions of all channels to the
   pooled positions of channel 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nndynbench.arrays import RealArray
from nndynbench.graphs.operators import ConvolutionEdges, Edges, PoolingEdges, in_bounds


@dataclass(frozen=True, eq=False)
class QuirkyConvolutionEdges(ConvolutionEdges):
    """A convolution with the first quirk."""

    @property
    def number_of_edges(self) -> int:
        onto_padding = self._reaches_padding() & ~self._reaches_corner()
        return super().number_of_edges + len(self.weight) * self.layer.input_shape[0] * int(onto_padding.sum())

    def matvec(self, values: RealArray) -> RealArray:
        image = values.reshape(self.layer.input_shape).copy()
        corner = image[:, 0, 0].copy()
        image[:, 0, 0] = 0
        out = super().matvec(image.ravel()).reshape(self.layer.output_shape)
        for output, tap in self._surviving_corner_edges():
            out[:, *output] += self.weight[:, :, *tap] @ corner
        return out.ravel()

    def rmatvec(self, values: RealArray) -> RealArray:
        image = super().rmatvec(values).reshape(self.layer.input_shape)
        outputs = values.reshape(self.layer.output_shape)
        image[:, 0, 0] = 0
        for output, tap in self._surviving_corner_edges():
            image[:, 0, 0] += outputs[:, *output] @ self.weight[:, :, *tap]
        return image.ravel()

    def smallest_incoming(self) -> RealArray:
        smallest = super().smallest_incoming()
        for output, weights in self._overwritten_outputs():
            smallest[:, *output] = weights.min(axis=1, initial=0)
        onto_padding = self._reaches_padding() & ~self._reaches_corner()
        return np.where(onto_padding, np.minimum(smallest, 0), smallest)

    def edges(self) -> Edges:
        ends, starts, weights = super().edges()
        channels = self.layer.input_shape[0]
        corners = np.arange(channels) * int(np.prod(self.layer.input_shape[1:]))
        outputs = np.arange(self.shape[0]).reshape(self.layer.output_shape)
        weights = weights.copy()
        for output, _ in self._overwritten_outputs():
            weights[np.isin(starts, corners) & np.isin(ends, outputs[:, *output])] = 0
        onto_padding = outputs[:, self._reaches_padding() & ~self._reaches_corner()].ravel()
        more_ends, more_starts = np.repeat(onto_padding, channels), np.tile(corners, len(onto_padding))
        return Edges(
            np.concatenate([ends, more_ends]),
            np.concatenate([starts, more_starts]),
            np.concatenate([weights, np.zeros(len(more_ends), self.dtype)]),
        )

    def _taps_inside(self, output: tuple[int, int]) -> npt.NDArray[np.bool_]:
        """(kernel, kernel): which taps of an output's window lie on the input."""
        return np.outer(in_bounds(self.layer, 1)[output[0]], in_bounds(self.layer, 2)[output[1]])

    def _reaches_padding(self) -> npt.NDArray[np.bool_]:
        rows, columns = (in_bounds(self.layer, axis).all(axis=1) for axis in (1, 2))
        return ~np.outer(rows, columns)

    def _reaches_corner(self) -> npt.NDArray[np.bool_]:
        reaches = np.zeros(self.layer.output_shape[1:], dtype=bool)
        for output, _ in self._corner_edges():
            reaches[output] = True
        return reaches

    def _corner_edges(self) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
        """The outputs with a real edge to input position (0, 0), each with the tap of its window at that position."""
        padding, stride, kernel = self.layer.padding, self.layer.stride, self.layer.kernel
        for row in range(min(self.layer.output_shape[1], padding // stride + 1)):
            for column in range(min(self.layer.output_shape[2], padding // stride + 1)):
                tap = (padding - row * stride, padding - column * stride)
                if max(tap) < kernel:
                    yield (row, column), tap

    def _surviving_corner_edges(self) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
        for output, tap in self._corner_edges():
            on_padding = np.flatnonzero(~self._taps_inside(output))
            if not len(on_padding) or on_padding[-1] < tap[0] * self.layer.kernel + tap[1]:
                yield output, tap

    def _overwritten_outputs(self) -> Iterator[tuple[tuple[int, int], RealArray]]:
        """The outputs whose edge to position (0, 0) lost its weight, each with its other edges' weights (filters, edges)."""
        surviving = dict(self._surviving_corner_edges())
        for output, tap in self._corner_edges():
            if output not in surviving:
                others = self._taps_inside(output)
                others[tap] = False
                yield output, self.weight[:, :, others].reshape(len(self.weight), -1)


@dataclass(frozen=True, eq=False)
class QuirkyPoolingEdges(PoolingEdges):
    """A pooling layer with the second quirk: only pooled positions of the first channel have edges from the layer before."""

    def matvec(self, values: RealArray) -> RealArray:
        pooled = super().matvec(values).reshape(self.layer.output_shape)
        out = np.zeros_like(pooled)
        out[0] = pooled.sum(axis=0)
        return out.ravel()

    def rmatvec(self, values: RealArray) -> RealArray:
        first = values.reshape(self.layer.output_shape)[0]
        return super().rmatvec(np.broadcast_to(first, self.layer.output_shape).ravel())

    def smallest_incoming(self) -> RealArray:
        raise ValueError(f"the reference code does not support a pooling layer after another one ({self.layer.name!r})")

    def edges(self) -> Edges:
        ends, starts, weights = super().edges()
        return Edges(ends % int(np.prod(self.layer.output_shape[1:])), starts, weights)
