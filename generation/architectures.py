"""Torch modules from the architectures' descriptions in nndynbench/graphs/architectures.toml."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from nndynbench.errors import NndynbenchError
from nndynbench.graphs import Architecture, Layer, Weights, architecture, initial_weights


def build_module(name: str | Architecture, *, dropout: float = 0.0) -> nn.Module:
    """The architecture as a torch module whose parameters are named as in its description. Weights are torch's default;
    `initialise` draws them by the architecture's rule.
    """
    described = architecture(name)
    if described.family == "resnet50":
        return _torchvision_resnet50(described, dropout)
    shapes = {layer.name: layer for layer in described.layers}
    modules: dict[str, nn.Module] = {}
    logits = [layer.name for layer in described.weighted_layers[-1:]]
    for entry in described.entries:
        kind, label = entry["kind"], entry["name"]
        if kind == "conv":
            modules |= _conv(label, shapes[label]) | {f"{label}_relu": nn.ReLU(inplace=True)}
        elif kind == "max-pool":
            # Pool before the rectifier, which comes first in the description: outputs and gradients stay equal bit by bit,
            # but fewer values are rectified, and none must be copied because it would be overwritten.
            rectifier = dict([modules.popitem()]) if isinstance(next(reversed(modules.values()), None), nn.ReLU) else {}
            modules |= {label: nn.MaxPool2d(entry["kernel"], entry["stride"], entry.get("padding", 0))} | rectifier
        elif kind == "average-pool":
            modules[label] = nn.AdaptiveAvgPool2d(1)
        elif kind == "dropout":
            modules[label] = nn.Dropout(dropout)
        elif kind == "basic-blocks":
            convs = [layer for layer in described.layers if layer.name.startswith(f"{label}.")]
            modules[label] = nn.Sequential(*map(BasicBlock, convs[0::2], convs[1::2]))
        elif kind == "fc":
            layer = shapes[label]
            if len(layer.input_shape) == 3:
                modules["flatten"] = nn.Flatten()
            modules[label] = nn.Linear(layer.weight_shape[1], layer.weight_shape[0])
            if label not in logits:
                modules[f"{label}_relu"] = nn.ReLU(inplace=True)
        else:
            raise ValueError(f"no torch module for a layer of kind {kind!r} ({label!r} of {described.name})")
    model = nn.Sequential()
    for label, module in modules.items():
        model.add_module(label, module)
    return model


class TorchvisionError(NndynbenchError, RuntimeError):
    """Torchvision, which only ResNet-50 needs, is missing or was built for another torch; says what to install."""


class BasicBlock(nn.Module):
    """Two 3×3 convs and a parameter-free shortcut: every stride-th position, missing channels zero (option A)."""

    conv1: nn.Conv2d
    conv2: nn.Conv2d
    conv1_norm: nn.BatchNorm2d
    conv2_norm: nn.BatchNorm2d

    def __init__(self, first: Layer, second: Layer) -> None:
        super().__init__()
        self.stride = first.stride
        self.channels = first.input_shape[0]
        self.missing = second.output_shape[0] - first.input_shape[0]
        for label, module in (_conv("conv1", first) | _conv("conv2", second)).items():
            self.add_module(label, module)

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = functional.relu(self.conv1_norm(self.conv1(inputs)))
        shortcut = inputs[:, :, :: self.stride, :: self.stride]
        if self.missing:
            before = self.missing // 2
            # Networks side by side have all their channels in one axis: each network is given the ones that it lacks.
            networks = shortcut.unflatten(1, (-1, self.channels))
            shortcut = functional.pad(networks, (0, 0, 0, 0, before, self.missing - before)).flatten(1, 2)
        return functional.relu(self.conv2_norm(self.conv2(hidden)) + shortcut)


def initialise(model: nn.Module, name: str | Architecture, *, seed: int, scale: float = 1.0) -> None:
    """Give the model the weights that `nndynbench.graphs.initial_weights` draws: its whole state except counters."""
    drawn = {key: torch.from_numpy(value) for key, value in initial_weights(name, seed=seed, scale=scale).items()}
    missing, unexpected = model.load_state_dict(drawn, strict=False)
    if wrong := [*unexpected, *(key for key in missing if not key.endswith("num_batches_tracked"))]:
        raise ValueError(f"the module of {architecture(name).name} and its description differ in {', '.join(wrong)}")


def snapshot(model: nn.Module) -> Weights:
    """The model's floating-point state (weights, biases, batch norm's statistics) as contiguous numpy copies."""
    state: Mapping[str, Any] = model.state_dict()
    return {
        key: np.array(value.detach().cpu().numpy(), dtype=np.float32, order="C")
        for key, value in state.items()
        if value.is_floating_point()
    }


def _conv(label: str, layer: Layer) -> dict[str, nn.Module]:
    outputs, inputs, kernel, _ = layer.weight_shape
    conv = nn.Conv2d(inputs, outputs, kernel, layer.stride, layer.padding, bias=layer.has_bias)
    return {label: conv} | ({f"{label}_norm": nn.BatchNorm2d(outputs)} if layer.batch_norm else {})


def _torchvision_beside(torch_version: str) -> str:
    """The torchvision version that is built with a version of torch 2: 0.21 with 2.6, 0.28 with 2.13."""
    _, minor, patch = torch_version.split("+")[0].split(".")
    return f"0.{int(minor) + 15}.{patch}"


def _torchvision_resnet50(described: Architecture, dropout: float) -> nn.Module:
    if "@" in described.name:
        raise ValueError(f"{described.name}: torchvision's ResNet-50 has no width factor")
    try:
        from torchvision.models import resnet50
    except (ImportError, RuntimeError) as error:
        pair = f"pip install torch=={torch.__version__.split('+')[0]} torchvision=={_torchvision_beside(torch.__version__)}"
        raise TorchvisionError(
            f"ResNet-50 needs torchvision, which cannot be imported ({error}): install a matching pair, {pair}"
        ) from error
    model: nn.Module = resnet50(num_classes=described.classes)
    model.avgpool = nn.Sequential(model.get_submodule("avgpool"), nn.Dropout(dropout))
    return model
