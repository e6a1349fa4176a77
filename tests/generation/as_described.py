"""An architecture's module with every rectifier before its pool, as in its description."""

from __future__ import annotations

from torch.nn import MaxPool2d, Module, ReLU, Sequential


def as_described(model: Sequential) -> Sequential:
    """The same layers with the same weights, but rectifying first where `build_module` pools first."""
    layers: list[Module] = list(model)
    pools = [position for position, layer in enumerate(layers) if isinstance(layer, MaxPool2d)]
    for position in pools:
        assert isinstance(layers[position + 1], ReLU)
        layers[position], layers[position + 1] = ReLU(), layers[position]
    return Sequential(*layers)
