"""The rolled graph (paper, section 3.1): a node per input channel, conv filter and fully connected unit."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from nndynbench.graphs.architecture import Architecture, Layer, architecture
from nndynbench.graphs.layered import LayeredGraph


def rolled(weights: Mapping[str, npt.ArrayLike], name: str | Architecture) -> LayeredGraph:
    """Turn a snapshot's weights into its rolled graph.

    The edge between a conv filter and one of its input channels weighs the L2 norm of the k×k slice between them; between
    fully connected units it weighs |w|; the first fully connected layer after a conv is taken channel by channel, as the
    L2 norm over the channel's positions. Biases, batch norm and shortcuts are no edges. Blocks are float64.

    Raises
    ------
    ValueError
        Naming the tensor, when a layer's weights are missing or have another shape than the architecture's.
    """
    described = architecture(name)
    layers = described.weighted_layers
    return LayeredGraph(
        blocks=tuple(rolled_block(layer_weight(weights, layer), layer) for layer in layers),
        layers=("input", *(layer.name for layer in layers)),
    )


def rolled_block(weight: npt.NDArray[np.floating], layer: Layer) -> npt.NDArray[np.float64]:
    """The (outputs, inputs) block of one layer's weight tensor, which may be a stack with further axes in front."""
    stack = weight.shape[: weight.ndim - len(layer.weight_shape)]
    slices = weight.reshape(*stack, layer.output_shape[0], layer.input_shape[0], -1).astype(np.float64, copy=False)
    if slices.shape[-1] == 1:
        return np.abs(slices[..., 0])
    return np.sqrt(np.einsum("...k,...k->...", slices, slices))


def layer_weight(weights: Mapping[str, npt.ArrayLike], layer: Layer) -> npt.NDArray[np.floating]:
    """The layer's weight tensor, checked against the architecture's shape."""
    tensor = f"{layer.name}.weight"
    if tensor not in weights:
        raise ValueError(f"the weights have no {tensor!r} (they have: {', '.join(weights)})")
    weight = np.asarray(weights[tensor])
    if weight.shape != layer.weight_shape:
        raise ValueError(f"{tensor!r} has shape {weight.shape}; the architecture says {layer.weight_shape}")
    return weight
