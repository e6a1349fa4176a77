"""The rolled graph (paper, section 3.1): a node per input channel, conv filter and fully connected unit."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nndynbench.graphs.architecture import Architecture, architecture
from nndynbench.graphs.layered import LayeredGraph, NodeTensors
from nndynbench.graphs.norms import row_norms
from nndynbench.graphs.weights import WeightsLike, layer_bias, layer_weight

FloatArray = npt.NDArray[np.floating[Any]]


def rolled(weights: WeightsLike, name: str | Architecture, *, dtype: npt.DTypeLike = np.float64) -> LayeredGraph:
    """Turn a snapshot's weights into its rolled graph.

    The edge between a conv filter and one of its input channels weighs the L2 norm of the k×k slice between them; between
    fully connected units it weighs |w|; the first fully connected layer after a conv is taken channel by channel, as the
    L2 norm over the channel's positions. Biases, batch norm and shortcuts are no edges.

    ``weights`` are tensors by the architecture's names (also a torch state dict) or a torch module. Tensors with further
    axes in front, the same for all, stack snapshots into a graph whose blocks are stacks. ``dtype`` is that of the blocks;
    norms are summed in float64 whichever it is.

    Raises
    ------
    ValueError
        Naming the tensor, when a layer's weights are missing or have another shape than the architecture's.
    """
    described = architecture(name)
    layers = described.weighted_layers
    tensors = {
        layer.name: NodeTensors(layer_weight(weights, layer, stacked=True), layer_bias(weights, layer, stacked=True))
        for layer in layers
    }
    return LayeredGraph(
        blocks=tuple(
            rolled_block(tensors[layer.name].weight, layer.weight_shape, layer.input_shape[0], dtype) for layer in layers
        ),
        layers=("input", *tensors),
        tensors=tensors,
    )


def rolled_block(weight: FloatArray, shape: tuple[int, ...], inputs: int, dtype: npt.DTypeLike = np.float64) -> FloatArray:
    """The (..., outputs, inputs) block of one layer's weights, a tensor of ``shape`` (outputs, …) or a stack of them: L2
    norms over whatever lies between an output and one of its ``inputs`` (channels, or units).
    """
    stack = weight.shape[: weight.ndim - len(shape)]
    slices = weight.reshape(*stack, shape[0], inputs, -1)
    length = slices.shape[-1]
    if length == 1:
        return np.asarray(np.abs(slices[..., 0]), dtype)
    return np.asarray(row_norms(slices.reshape(-1, length)).reshape(slices.shape[:-1]), dtype)
