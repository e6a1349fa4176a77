"""A snapshot's weights: which objects are accepted as weights, and how a layer's tensors are read from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

from nndynbench.arrays import RealArray, as_array
from nndynbench.graphs.architecture import Layer
from nndynbench.graphs.derived import module_tensors

Weights: TypeAlias = dict[str, npt.NDArray[np.float32]]


@runtime_checkable
class TorchModule(Protocol):
    """The part of a torch module that is used here; nothing here imports torch."""

    def state_dict(self) -> Mapping[str, Any]: ...


WeightsLike: TypeAlias = Mapping[str, Any] | TorchModule


def tensors(weights: WeightsLike) -> Mapping[str, Any]:
    """The tensors by name: a mapping (also a torch state dict) as it is, a torch module's as its next pass uses them."""
    if isinstance(weights, Mapping):
        return weights
    if isinstance(weights, TorchModule):
        return module_tensors(weights)
    raise TypeError(f"weights must be a mapping from names to tensors, or a torch module, not {type(weights).__name__}")


def layer_weight(weights: WeightsLike, layer: Layer, *, stacked: bool = False) -> RealArray:
    """The layer's weight tensor, checked against the architecture's shape; ``stacked`` allows further axes in front.

    Raises
    ------
    ValueError
        If the tensor is missing or has another shape; names it.
    """
    return _tensor(weights, f"{layer.name}.weight", layer.weight_shape, stacked)


def layer_bias(weights: WeightsLike, layer: Layer, *, stacked: bool = False) -> RealArray | None:
    """The layer's bias, shape (outputs,), or None if the architecture or the weights have none."""
    name = f"{layer.name}.bias"
    if not layer.has_bias or name not in tensors(weights):
        return None
    return _tensor(weights, name, layer.weight_shape[:1], stacked)


def _tensor(weights: WeightsLike, name: str, shape: tuple[int, ...], stacked: bool) -> RealArray:
    found = tensors(weights)
    if name not in found:
        raise ValueError(f"the weights have no {name!r} (they have: {', '.join(map(str, found)) or 'none'})")
    try:
        tensor = as_array(found[name])
    except TypeError as reason:
        raise ValueError(f"{name!r} cannot be read: {reason}") from reason
    own = tensor.shape[-len(shape) :] if stacked else tensor.shape
    if own != shape:
        raise ValueError(f"{name!r} has shape {tensor.shape}; the architecture says {shape}")
    return tensor
