"""Standard initial weights, drawn without torch: the initialisation that the trainer uses too."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from nndynbench.graphs.architecture import (
    DEFAULT_INITIALISATION,
    NORMAL,
    Architecture,
    Layer,
    architecture,
    check_rule,
)
from nndynbench.graphs.weights import Weights

# The initial values of batch norm.
BATCH_NORM = {"weight": 1.0, "bias": 0.0, "running_mean": 0.0, "running_var": 1.0}


def random_weights(name: str | Architecture, *, seed: int, scale: float = 1.0) -> Weights:
    """Draw a network's initial weights by its architecture's rule (``initialisation`` in architectures.toml).

    Returns ``{"conv1.weight": float32 array, "conv1.bias": …}`` for every conv and fully connected layer, shaped as torch
    stores them. ``scale`` multiplies all of them. The rules are: "pytorch", PyTorch's default (uniform within ±1/√fan_in,
    biases too); "kaiming-normal-fan-in" and "-fan-out", N(0, 2/fan); "normal-σ", N(0, σ²); and "zero".

    Raises
    ------
    UnknownNameError
        For an architecture with another rule.

    Examples
    --------
    >>> from nndynbench import graphs
    >>> graphs.random_weights("cifar10-lenet", seed=0)["conv1.weight"].shape
    (6, 3, 5, 5)
    """
    described = architecture(name)
    return _drawn(_random(seed, scale), described, described.weighted_layers, scale)


def initial_weights(name: str | Architecture, *, seed: int, scale: float = 1.0) -> Weights:
    """All floating-point tensors of a network at epoch 0, from which the trainer starts.

    These are the weights of `random_weights`, then those of projection shortcuts, drawn after them by the rule for convs,
    and those of batch norm (weight and variance 1, bias and mean 0).

    Examples
    --------
    >>> from nndynbench import graphs
    >>> "conv1.bias" in graphs.initial_weights("cifar10-lenet", seed=0)
    True
    """
    random = _random(seed, scale)
    described = architecture(name)
    weights = _drawn(random, described, described.weighted_layers, scale)
    weights |= _drawn(random, described, described.projections, scale)
    for conv in (*described.layers, *described.projections):
        if conv.batch_norm:
            norm, channels = described.batch_norm_of(conv), conv.output_shape[0]
            for part, value in BATCH_NORM.items():
                weights[f"{norm}.{part}"] = np.full(channels, value, np.float32)
    return weights


def _random(seed: int, scale: float) -> np.random.Generator:
    """The generator of a seed; raises ValueError for an invalid seed or scale."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ValueError(f"seed must be a whole number of at least 0, not {seed!r}")
    if isinstance(scale, bool) or not isinstance(scale, (int, float, np.number)) or not math.isfinite(scale):
        raise ValueError(f"scale must be a finite number, not {scale!r}")
    return np.random.default_rng(seed)


def _drawn(random: np.random.Generator, described: Architecture, layers: Iterable[Layer], scale: float) -> Weights:
    weights: Weights = {}
    for layer in layers:
        fan_in = math.prod(layer.weight_shape[1:])
        weight = _draw(random, _rule(described, layer.kind), layer.weight_shape, fan_in, _fan_out(layer))
        weights[f"{layer.name}.weight"] = weight * np.float32(scale)
        if layer.has_bias:
            bias = _draw(random, _rule(described, "bias"), layer.weight_shape[:1], fan_in, fan_in)
            weights[f"{layer.name}.bias"] = bias * np.float32(scale)
    return weights


def _rule(described: Architecture, kind: str) -> str:
    """The rule by which weights of a kind of layer, or biases, are drawn; PyTorch's if the architecture has none."""
    rule = described.initialisation.get(kind, DEFAULT_INITIALISATION[kind])
    return check_rule(rule, what=f"initialisation of {kind} in {described.name}")


def _fan_out(layer: Layer) -> int:
    return layer.weight_shape[0] * math.prod(layer.weight_shape[2:])


def _draw(
    random: np.random.Generator, rule: str, shape: tuple[int, ...], fan_in: int, fan_out: int
) -> npt.NDArray[np.float32]:
    if rule == "zero":
        return np.zeros(shape, dtype=np.float32)
    if rule == "pytorch":
        bound = 1 / math.sqrt(fan_in)
        return random.uniform(-bound, bound, shape).astype(np.float32)
    if rule.startswith(NORMAL):
        deviation = float(rule.removeprefix(NORMAL))
    else:
        deviation = math.sqrt(2 / {"kaiming-normal-fan-in": fan_in, "kaiming-normal-fan-out": fan_out}[rule])
    return (deviation * random.standard_normal(shape)).astype(np.float32)
