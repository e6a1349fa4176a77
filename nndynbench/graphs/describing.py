"""What a network is, from itself: the layers whose weights are its graph's edges, and the shapes of their tensors."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from nndynbench.arrays import copied
from nndynbench.graphs.architecture import TENSOR, Architecture, architecture
from nndynbench.graphs.derived import TENSORS, unwrapped
from nndynbench.graphs.layered import NotRepresentableError
from nndynbench.graphs.naming import no_layers_bias, part_of_a_weight, renamed
from nndynbench.graphs.weights import Weights, WeightsLike, tensors

if TYPE_CHECKING:
    import numpy as np

WEIGHT, BIAS = ".weight", ".bias"

# What torch's layers call their weights: weight, in_proj_weight, weight_ih_l0.
WEIGHT_NAME = re.compile(r"(?:.*\.)?(?:\w+_)?weight(?:_(?:ih|hh|hr)_l\d+(?:_reverse)?)?")

# The weights of recurrent layers among them: no layer hands on to the next by these.
RECURRENT = re.compile(r".*weight_(?:ih|hh|hr)_l\d+(?:_reverse)?")

# How embeddings are called, whose weights have the shape of a linear layer's without a bias.
EMBEDDING = re.compile(r"(?i)(?:.*\.)?(?:[^.]*embed[^.]*|emb|wte|wpe)")

# Of a network that nothing was kept of but its curves and hyperparameters.
NO_WEIGHTS = architecture({"name": "no weights", "layers": [], "no_graph": "the runs were recorded without weights"})

# A conv or linear layer by itself: the name of the one layer that it is, see `nndynbench.graphs.from_module`.
LONE = "0."


def describe(network: WeightsLike, *, name: str | None = None, input_shape: tuple[int, ...] | None = None) -> Architecture:
    """The architecture of a torch module, or of a state dict of numbers in any form.

    A module's layers are those of `nndynbench.graphs.from_module`, which takes ``input_shape`` too. A state dict's are its
    weights of two axes or more, called ``NAME.weight`` and in their order: each must take what the one before it gives.
    Names in alphabetical order, as safetensors files have them, are taken by their numbers: 2 before 10.
    Where there is no such chain (also for recurrent layers, and weights in parts, such as weight_norm's),
    `Architecture.no_graph` says why; features are of the layers all the same.

    A state dict does not say what its layers are. A transposed conv is told by its bias, which has not as many values as
    the weight's first axis, an embedding by its name and its lack of a bias. Otherwise, where its shape fits those around
    it, a transposed conv is taken for a conv, and an embedding for a linear layer: give the module itself.

    Raises
    ------
    ValueError
        For a network without a weight of two axes or more.
    TypeError
        For what is neither a module nor a mapping of arrays.

    Examples
    --------
    >>> from nndynbench import graphs
    >>> graphs.describe(graphs.random_weights("digits-lenet", seed=0), name="mine").layer_sizes
    {'input': 1, 'conv1': 4, 'conv2': 8, 'fc1': 16, 'fc2': 12, 'fc3': 10}
    """
    found = _named_tensors(network)
    shapes = {key.removesuffix(WEIGHT): tuple(map(int, value.shape)) for key, value in _weights(found)}
    if not shapes:
        listed = ", ".join(list(found)[:10]) or "none"
        raise ValueError(f"the network has no weight of two axes or more, called such as conv1.weight (tensors: {listed})")
    no_graph = None
    if isinstance(network, Mapping):
        shapes = _by_number(shapes)
        no_graph = _in_parts(found) or _other_layers(found) or _broken_chain(shapes)
    else:
        from nndynbench.graphs.modules import from_module

        try:
            graph = from_module(network, input_shape=input_shape)  # type: ignore[arg-type]
            shapes = {layer: shapes[layer] for layer in graph.layers[1:]}
        except NotRepresentableError as reason:
            no_graph = str(reason)
    default = "state dict" if isinstance(network, Mapping) else type(unwrapped(network)).__name__
    description: dict[str, Any] = {
        "name": name or default,
        "layers": [{"kind": TENSOR, "name": layer, "shape": list(shape)} for layer, shape in shapes.items()],
    }
    return architecture(description | ({"no_graph": no_graph} if no_graph is not None else {}))


def snapshot(network: WeightsLike, described: Architecture) -> Weights:
    """Copies of a network's weights and biases now, as float32, under the names of its architecture's layers.

    Raises
    ------
    NamingError, ValueError
        For a network of another architecture, naming the layer.
    """
    import numpy as np

    found = _named_tensors(network)
    layers = described.weighted_layers
    found |= {f"{layer.name}{WEIGHT}": found[layer.name] for layer in layers if layer.name in found}
    if any(f"{layer.name}{WEIGHT}" not in found for layer in layers):
        found = renamed(found, described)
    taken: Weights = {}
    for layer in layers:
        for key, shape in ((f"{layer.name}{WEIGHT}", layer.weight_shape), (f"{layer.name}{BIAS}", layer.weight_shape[:1])):
            if key not in found:
                continue
            value: np.ndarray[Any, Any] = copied(found[key])
            if value.shape != shape and key.endswith(WEIGHT):
                raise ValueError(f"{key!r} has shape {value.shape}; the network was described with {shape}")
            taken[key] = value.astype(np.float32)
    return taken


def _named_tensors(network: WeightsLike) -> dict[str, Any]:
    return {f"{LONE}{key}" if key in TENSORS else str(key): value for key, value in tensors(network).items()}


def _weights(found: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    named = ((key, value) for key, value in found.items() if WEIGHT_NAME.fullmatch(key))
    return ((key, value) for key, value in named if len(getattr(value, "shape", ())) > 1)


def _in_parts(found: Mapping[str, Any]) -> str | None:
    """Why a state dict lacks weights of its network, or None where it holds them whole."""
    for key in found:
        if origin := part_of_a_weight(key):
            return f"{key!r} is a part of a weight under {origin}: give the module itself, or its weights whole"
    return None


def _other_layers(found: Mapping[str, Any]) -> str | None:
    """Why a weight is of no conv or linear layer, by its bias or its name, or None where all may be."""
    shapes = {key: tuple(map(int, value.shape)) for key, value in found.items() if hasattr(value, "shape")}
    for key, value in _weights(found):
        layer = key.removesuffix(WEIGHT)
        if key.endswith(WEIGHT) and (reason := no_layers_bias(f"{layer}.", shapes)):
            return f"{reason}; the rolled graph is defined for convs and linear layers"
        if len(value.shape) == 2 and f"{layer}{BIAS}" not in shapes and EMBEDDING.fullmatch(layer):
            return (
                f"{layer!r} is an embedding by its name: give the module itself, or architecture=, if it is a linear layer"
            )
    return None


def _by_number(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """Layers in alphabetical order, which says nothing of a network's, by the numbers in their names; others as they are."""
    if list(shapes) != sorted(shapes):
        return dict(shapes)
    return {layer: shapes[layer] for layer in sorted(shapes, key=_text_and_numbers)}


def _text_and_numbers(name: str) -> list[tuple[bool, int, str]]:
    """A name's parts, numbers by their value: "block10" comes after "block2"."""
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in re.split(r"(\d+)", name)]


def _broken_chain(shapes: Mapping[str, tuple[int, ...]]) -> str | None:
    """Why layers of these shapes do not follow each other, or None where they may."""
    before, nodes, positions = "", 0, False
    for layer, shape in shapes.items():
        if RECURRENT.fullmatch(layer):
            return f"{layer!r} is a recurrent layer's: the rolled graph is defined for convs and linear layers"
        inputs, is_conv = shape[1], len(shape) > 2
        flattened = positions and not is_conv
        if before and (inputs % nodes if flattened else inputs != nodes):
            return (
                f"{layer!r} takes {inputs} inputs, and {before!r} before it has {nodes} outputs: the state dict is no chain "
                "of layers in its order; give the module itself, or architecture="
            )
        before, nodes, positions = layer, shape[0], is_conv
    return None
