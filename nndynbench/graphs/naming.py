"""Tensors under names of somebody else's, under the architecture's own."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from nndynbench.graphs.architecture import Architecture, Layer, architecture
from nndynbench.graphs.weights import WeightsLike, as_array, tensors

# Where training code puts the state dict in a checkpoint that holds more.
STATE_KEYS = ("state_dict", "model_state_dict", "model_state", "model", "network", "net", "weights", "params")


class NamingError(ValueError):
    """Tensors that cannot be told to be this architecture's, or not which of its layers."""


def renamed(weights: WeightsLike, name: str | Architecture) -> dict[str, Any]:
    """The weights (and biases, where there are any) of an architecture's layers, under its own names.

    A layer's weight is, first, the tensor of its name, whatever prefix all names share (``module.``, ``_orig_mod.``, …).
    Where a layer has none of its name and shape, it and all others of its shape are matched in the order of the names,
    which must differ in numbers alone (``features.3.weight`` before ``features.10.weight``): whoever counts convs from 0 has
    another layer's name on some of them. Tensors of other shapes are left out. A checkpoint that holds its state dict under
    a usual key (``state_dict``, ``model``, …) may be given whole.

    Raises
    ------
    NamingError
        Saying which layer has no tensor or could have several.
    """
    described = architecture(name)
    found = _without_common_prefix(_state(tensors(weights)))
    shapes = {key: tuple(as_array(value).shape) for key, value in found.items()}
    layers = described.weighted_layers
    by_shape: dict[tuple[int, ...], list[Layer]] = defaultdict(list)
    for layer in layers:
        by_shape[layer.weight_shape].append(layer)
    stems: dict[str, str] = {}
    for shape, alike in by_shape.items():
        if all(shapes.get(f"{layer.name}.weight") == shape for layer in alike):
            stems |= {layer.name: layer.name for layer in alike}
            continue
        candidates = [key for key in found if shapes[key] == shape]
        for layer, key in zip(alike, _in_order(candidates, alike, described), strict=True):
            stems[layer.name] = key.removesuffix("weight").removesuffix(".")
            found.setdefault(f"{stems[layer.name]}.weight", found[key])
    ours = {}
    for layer in layers:
        stem = stems[layer.name]
        ours[f"{layer.name}.weight"] = found[f"{stem}.weight"]
        if layer.has_bias and shapes.get(f"{stem}.bias") == layer.weight_shape[:1]:
            ours[f"{layer.name}.bias"] = found[f"{stem}.bias"]
    return ours


def _state(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    for key in STATE_KEYS:
        if isinstance(checkpoint.get(key), Mapping):
            return _state(checkpoint[key])
    return {str(key): value for key, value in checkpoint.items() if hasattr(value, "shape")}


def _without_common_prefix(found: dict[str, Any]) -> dict[str, Any]:
    while found and len({key.partition(".")[0] for key in found}) == 1 and all("." in key for key in found):
        found = {key.partition(".")[2]: value for key, value in found.items()}
    return found


def _in_order(candidates: list[str], wanting: list[Layer], described: Architecture) -> list[str]:
    """The candidates, one for each of the layers of their shape, in the layers' order."""
    names, shape = ", ".join(layer.name for layer in wanting), wanting[0].weight_shape
    if len(candidates) != len(wanting):
        raise NamingError(
            f"{described.name} has {len(wanting)} layer(s) of shape {shape} ({names}), not all of which a tensor is named "
            f"after; the checkpoint has {len(candidates)} tensor(s) of it{': ' if candidates else ''}{', '.join(candidates)}"
        )
    if len({re.sub(r"\d+", "#", key) for key in candidates}) > 1:
        raise NamingError(
            f"which of {', '.join(candidates)} are the layers {names} of {described.name}? All have shape {shape}, and "
            f"their names do not say the order: rename them to {names}"
        )
    return sorted(candidates, key=lambda key: [int(number) for number in re.findall(r"\d+", key)])
