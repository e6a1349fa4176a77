"""Numbers in the types that people hold, torch's tensors among them, become numpy arrays. Nothing here imports torch."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

FloatArray: TypeAlias = npt.NDArray[np.float64]
RealArray: TypeAlias = npt.NDArray[np.floating[Any]]
"""Of any width: 16, 32 or 64 bits."""

# Types of whole numbers, as torch calls them.
TORCH_WHOLE = ("bool", "uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64")

# Below this, squares of predictions and their sums stay finite. No percentage, and no real classifier's score, comes near.
LARGEST_NUMBER = 1e100


def as_array(tensor: Any) -> npt.NDArray[Any]:
    """Numbers as a numpy array: a torch tensor from any device, an array, nested lists, or a frame. They are copied only if
    numpy cannot share the memory. Whole numbers and booleans become float64.

    Raises
    ------
    TypeError
        For anything but a dense array of real numbers, saying what it is.
    """
    if hasattr(tensor, "detach"):
        tensor = _of_torch(tensor)
    try:
        array = np.asarray(tensor)
    except (TypeError, ValueError) as reason:
        raise TypeError(f"expected an array of numbers, got {type(tensor).__name__}: {reason}") from reason
    if np.ma.is_masked(tensor):
        raise TypeError("a masked array has entries without values: fill them first")
    if array.dtype.kind not in "biuf":
        raise TypeError(f"expected an array of real numbers, got {type(tensor).__name__} of {array.dtype}")
    # The smallest integer has no absolute value among the integers.
    return array.astype(np.float64) if array.dtype.kind in "biu" else array


def _of_torch(tensor: Any) -> npt.NDArray[Any]:
    kind = str(tensor.dtype).removeprefix("torch.")
    if (
        tensor.is_quantized
        or "float8" in kind
        or "float4" in kind
        or not (tensor.is_floating_point() or kind in TORCH_WHOLE)
    ):
        raise TypeError(f"a tensor of {kind} does not hold real numbers of 16 bits or more: convert it to float32")
    if "sparse" in str(tensor.layout) or tensor.is_meta:
        kind = "on the meta device, without values" if tensor.is_meta else f"sparse ({tensor.layout})"
        raise TypeError(f"weights must be dense, with values; this tensor is {kind}")
    tensor = tensor.detach().cpu()
    array: npt.NDArray[Any] = (tensor.float() if kind == "bfloat16" else tensor).resolve_neg().numpy()
    return array


def copied(tensor: Any) -> npt.NDArray[Any]:
    """As `as_array`, but in memory of its own, since training may go on to change the original."""
    return np.array(as_array(tensor))
