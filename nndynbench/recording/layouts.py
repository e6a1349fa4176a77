"""Converts weights as Keras and TensorFlow store them to the layout of torch, which everything else here reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from nndynbench.graphs import Weights


def from_channels_last(
    layers: Mapping[str, tuple[npt.NDArray[Any], npt.NDArray[Any] | None]],
) -> Weights:
    """``{"conv.weight": …, "conv.bias": …}`` from the kernels and biases of a chain of layers, by layer, in order.

    The kernel of a conv is (height, width, inputs, outputs), that of a dense layer (inputs, outputs). The first dense layer
    after a conv takes its positions one after the other, with all channels of each; torch takes its channels one after the
    other.

    Raises
    ------
    ValueError
        For a dense layer whose inputs are not a whole number of positions of the conv before it.
    """
    weights: Weights = {}
    channels = 0
    for name, (kernel, bias) in layers.items():
        outputs = kernel.shape[-1]
        if kernel.ndim > 2:
            taken = np.moveaxis(kernel, (-1, -2), (0, 1))
            channels = outputs
        else:
            if channels and kernel.shape[0] % channels:
                raise ValueError(f"{name} has {kernel.shape[0]} inputs, not a multiple of the {channels} channels before it")
            if channels:
                kernel = kernel.reshape(-1, channels, outputs).swapaxes(0, 1).reshape(-1, outputs)
            taken, channels = kernel.T, 0
        weights[f"{name}.weight"] = np.ascontiguousarray(taken, dtype=np.float32)
        if bias is not None:
            weights[f"{name}.bias"] = np.ascontiguousarray(bias, dtype=np.float32)
    return weights
