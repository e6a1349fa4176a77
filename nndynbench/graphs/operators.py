"""Blocks of edges. The convolutions and pooling of the unrolled graph are operators that are never written out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self, TypeAlias

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from nndynbench.arrays import RealArray
from nndynbench.graphs.architecture import Layer

Block: TypeAlias = "RealArray | EdgeOperator"
"""The edge weights between two layers of nodes: written out, or as an operator."""


class Edges(NamedTuple):
    """Edges one by one, three arrays of the same length: their ends' numbers, and their weights."""

    ends: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    weights: RealArray


@dataclass(frozen=True, eq=False)
class EdgeOperator(ABC):
    """Edge weights between the positions of one layer and the next, as a linear map of shape (n_out, n_in).

    ``weight`` holds the signed weights from which all edges take theirs.
    """

    layer: Layer
    weight: RealArray

    @property
    def shape(self) -> tuple[int, int]:
        return int(np.prod(self.layer.output_shape)), int(np.prod(self.layer.input_shape))

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.weight.dtype

    @property
    @abstractmethod
    def number_of_edges(self) -> int: ...

    @abstractmethod
    def matvec(self, values: RealArray) -> RealArray:
        """From values over the inputs (n_in,) to their weighted sums over the outputs (n_out,)."""

    @abstractmethod
    def rmatvec(self, values: RealArray) -> RealArray:
        """The transposed map, (n_out,) to (n_in,)."""

    @abstractmethod
    def smallest_incoming(self) -> RealArray:
        """The smallest signed weight among the edges entering each output, in the output's shape."""

    @abstractmethod
    def edges(self) -> Edges:
        """Every edge once, from output to input: the matrix written out, for small layers."""

    def subgraph(self, sign: str) -> Self:
        """The edges of one sign, "positive" or "negative", with absolute weights."""
        return replace(self, weight=np.maximum(self.weight if sign == "positive" else -self.weight, 0))

    def row_sums(self) -> RealArray:
        return self.matvec(np.ones(self.shape[1]))

    def column_sums(self) -> RealArray:
        return self.rmatvec(np.ones(self.shape[0]))


@dataclass(frozen=True, eq=False)
class ConvolutionEdges(EdgeOperator):
    """A convolution: edges from input to output positions, with the signed filter weight; none to padding."""

    @property
    def number_of_edges(self) -> int:
        height, width = (int(in_bounds(self.layer, axis).sum()) for axis in (1, 2))
        return self.layer.output_shape[0] * self.layer.input_shape[0] * height * width

    def matvec(self, values: RealArray) -> RealArray:
        return (self._filters @ _windows(values, self.layer).reshape(self._filters.shape[1], -1)).ravel()

    def rmatvec(self, values: RealArray) -> RealArray:
        spread = self._filters.T @ values.reshape(self.weight.shape[0], -1)
        kernel = self.layer.kernel
        return _overlap_add(spread.reshape(-1, kernel, kernel, *self.layer.output_shape[1:]), self.layer)

    def smallest_incoming(self) -> RealArray:
        smallest = self.weight.min(axis=1)
        rows, columns = in_bounds(self.layer, 1), in_bounds(self.layer, 2)
        out = np.empty(self.layer.output_shape, self.dtype)
        # Outputs that see the same part of the kernel share their minimum; there are few such parts.
        for row in np.unique(rows, axis=0):
            for column in np.unique(columns, axis=0):
                seen = smallest[:, row][:, :, column].min(axis=(1, 2))
                here = np.ix_((rows == row).all(axis=1), (columns == column).all(axis=1))
                out[:, here[0], here[1]] = seen[:, None, None]
        return out

    def edges(self) -> Edges:
        window_inputs, inside = _window_inputs(self.layer)
        outputs = np.arange(self.shape[0]).reshape(self.weight.shape[0], -1)
        rows = np.broadcast_to(outputs[:, None, :], (len(outputs), *window_inputs.shape))
        columns = np.broadcast_to(window_inputs, rows.shape)
        values = np.broadcast_to(self._filters[:, :, None], rows.shape)
        kept = np.broadcast_to(inside, rows.shape)
        return Edges(rows[kept], columns[kept], values[kept])

    @property
    def _filters(self) -> RealArray:
        return self.weight.reshape(len(self.weight), -1)


@dataclass(frozen=True, eq=False)
class PoolingEdges(EdgeOperator):
    """A pooling layer: edges from every position to the pooled positions whose windows contain it.

    ``weight`` has the input's shape: all edges that leave a position have the same weight (see `unrolled`).
    """

    @property
    def number_of_edges(self) -> int:
        height, width = (int(in_bounds(self.layer, axis).sum()) for axis in (1, 2))
        return self.layer.input_shape[0] * height * width

    def matvec(self, values: RealArray) -> RealArray:
        windows = _windows(self.weight.ravel() * values, self.layer)
        return np.asarray(windows.sum(axis=(1, 2))).ravel()

    def rmatvec(self, values: RealArray) -> RealArray:
        kernel = self.layer.kernel
        pooled = values.reshape(self.layer.output_shape)[:, None, None]
        spread = np.broadcast_to(pooled, (len(pooled), kernel, kernel, *self.layer.output_shape[1:]))
        return self.weight.ravel() * _overlap_add(spread, self.layer)

    def smallest_incoming(self) -> RealArray:
        padded = _padded(self.weight.ravel(), self.layer, fill=np.inf)
        return np.asarray(_strided_windows(padded, self.layer).min(axis=(3, 4)))

    def edges(self) -> Edges:
        window_inputs, inside = _window_inputs(self.layer)
        channels = self.layer.input_shape[0]
        columns = window_inputs.reshape(channels, self.layer.kernel**2, -1)
        rows = np.broadcast_to(np.arange(self.shape[0]).reshape(channels, 1, -1), columns.shape)
        kept = inside.reshape(columns.shape)
        return Edges(rows[kept], columns[kept], self.weight.ravel()[columns[kept]])


def in_bounds(layer: Layer, axis: int) -> npt.NDArray[np.bool_]:
    """(outputs, kernel) along one axis: whether a tap of an output's window lies on an input, not on padding."""
    starts = np.arange(layer.output_shape[axis])[:, None] * layer.stride - layer.padding
    taps = starts + np.arange(layer.kernel)
    return (taps >= 0) & (taps < layer.input_shape[axis])


def _padded(values: RealArray, layer: Layer, fill: float) -> RealArray:
    image = values.reshape(layer.input_shape)
    if layer.padding == 0:
        return image
    around = ((0, 0), (layer.padding, layer.padding), (layer.padding, layer.padding))
    return np.pad(image, around, constant_values=fill)


def _strided_windows(padded: RealArray, layer: Layer) -> RealArray:
    windows = sliding_window_view(padded, (layer.kernel, layer.kernel), axis=(1, 2))
    return windows[:, :: layer.stride, :: layer.stride][:, : layer.output_shape[1], : layer.output_shape[2]]


def _windows(values: RealArray, layer: Layer) -> RealArray:
    """Each output's window of the input, (channels, kernel, kernel, height_out, width_out), 0 on padding."""
    return _strided_windows(_padded(values, layer, fill=0.0), layer).transpose(0, 3, 4, 1, 2)


def _overlap_add(windows: RealArray, layer: Layer) -> RealArray:
    """The transpose of `_windows`: windows summed back onto the input, flat."""
    channels, height, width = layer.input_shape
    padding, stride = layer.padding, layer.stride
    out = np.zeros((channels, height + 2 * padding, width + 2 * padding), windows.dtype)
    rows, columns = layer.output_shape[1:]
    for i in range(layer.kernel):
        for j in range(layer.kernel):
            out[:, i : i + stride * rows : stride, j : j + stride * columns : stride][:, :rows, :columns] += windows[:, i, j]
    return out[:, padding : padding + height, padding : padding + width].ravel()


def _window_inputs(layer: Layer) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Input index of every tap, (channels·kernel², outputs per channel), and whether the tap is on an input."""
    indices = np.arange(1.0, np.prod(layer.input_shape) + 1)
    taps = _windows(indices, layer).reshape(layer.input_shape[0] * layer.kernel**2, -1).astype(np.int64)
    return taps - 1, taps > 0
