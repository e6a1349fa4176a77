"""Describes a network from itself: the layers whose weights are the edges of its graph, and their tensors' shapes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
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

# The weights of recurrent layers among them: these do not connect one layer to the next.
RECURRENT = re.compile(r".*weight_(?:ih|hh|hr)_l\d+(?:_reverse)?")

# The numbers in names, with what separates them: Keras and Haiku count dense, dense_1, dense_2.
NUMBER = re.compile(r"[_.-]?\d+")

# The names of embeddings, whose weights have the shape of those of a linear layer without a bias.
EMBEDDING = re.compile(r"(?i)(?:.*\.)?(?:[^.]*embed[^.]*|emb|wte|wpe)")

# The architecture of a network of which only curves and hyperparameters were kept.
NO_WEIGHTS = architecture({"name": "no weights", "layers": [], "no_graph": "the runs were recorded without weights"})

# What to do where a state dict does not tell the order of its layers.
GIVE_THE_ORDER = "give the module itself, or architecture=, or their order: nndynbench.graphs.describe(weights, order=[…])"

# The prefix of the only layer, if the network is a conv or linear layer by itself; see `nndynbench.graphs.from_module`.
LONE = "0."


def describe(
    network: WeightsLike,
    *,
    name: str | None = None,
    input_shape: tuple[int, ...] | None = None,
    order: Sequence[str] | None = None,
) -> Architecture:
    """The architecture of a torch module, or of a state dict with arrays or tensors of any kind.

    A module's layers are those of `nndynbench.graphs.from_module`, which takes ``input_shape`` too. The layers of a state
    dict are its weights of two axes or more, called ``NAME.weight``, in their order. Each layer must take as inputs the
    outputs of the one before it. Names in alphabetical order, as in safetensors files, are sorted by their numbers: 2 before
    10. ``order`` names the layers of a state dict from the input to the output, if its own order is another one; weights
    that it leaves out, such as those of shortcuts, are no layers. If there is no such chain, or if the order of layers of
    one shape is not known, `Architecture.no_graph` says why, also for recurrent layers and for weights in parts, such as
    those of weight_norm. The layers still have features, but the number of classes counts as unknown (0): the last layer
    need not be the output.

    A state dict does not say what kinds of layers it has. A transposed conv is recognised by a bias whose length differs
    from the weight's first axis, an embedding by its name and its lack of a bias. If that fails and the shape fits its
    neighbours, a transposed conv is taken for a conv, and an embedding for a linear layer. To be sure, pass the module
    itself.

    Raises
    ------
    ValueError
        If the network has no weight of two axes or more; for an ``order`` that is not of its layers.
    TypeError
        For anything that is neither a module nor a mapping of arrays.

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
        raise ValueError(
            f"the network has no weight of two axes or more with a name such as conv1.weight (tensors: {listed})"
            f"{_said_of_whole_checkpoint(found)}"
        )
    no_graph = None
    if order is not None:
        shapes = _in_order(shapes, order, is_module=not isinstance(network, Mapping))
        no_graph = _in_parts(found) or _broken_chain(shapes)
    elif isinstance(network, Mapping):
        # A module's own state dict is in the order in which its layers were made, and says so by its metadata.
        is_sorted = list(shapes) == sorted(shapes) and not hasattr(network, "_metadata")
        shapes = _by_number(shapes) if is_sorted else shapes
        no_graph = _in_parts(found) or _other_layers(found) or _broken_chain(shapes)
        no_graph = no_graph or (_unsure_order(shapes) if is_sorted else None)
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
    return architecture(description | ({} if no_graph is None else {"no_graph": no_graph, "classes": 0}))


def same_network(one: Architecture, other: Architecture) -> bool:
    """Whether both have the same layers. Why they are no graph may be said in other words by other versions of torch."""
    layers, others = (list(each.layer_shapes.items()) for each in (one, other))
    return one == other or ((one.no_graph is None) == (other.no_graph is None) and layers == others)


def snapshot(network: WeightsLike, described: Architecture) -> Weights:
    """Copies of a network's current weights and biases in float32, under the names of its architecture's layers.

    Raises
    ------
    NamingError, ValueError
        For a network of another architecture; names the layer.
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
            # In C order, which safetensors takes for granted: channels_last and transposed arrays have another.
            taken[key] = np.ascontiguousarray(value, dtype=np.float32)
    return taken


def _named_tensors(network: WeightsLike) -> dict[str, Any]:
    return {f"{LONE}{key}" if key in TENSORS else str(key): value for key, value in tensors(network).items()}


def _said_of_whole_checkpoint(found: Mapping[str, Any]) -> str:
    """What to pass instead, where a mapping holds state dicts and is none itself; empty where it holds none."""
    inside = next((key for key, value in found.items() if isinstance(value, Mapping) and any(_weights(value))), None)
    return "" if inside is None else f": this is a whole checkpoint, so pass the state dict in it, content[{inside!r}]"


def _weights(found: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    named = ((key, value) for key, value in found.items() if WEIGHT_NAME.fullmatch(key))
    return ((key, value) for key, value in named if len(getattr(value, "shape", ())) > 1)


def _in_parts(found: Mapping[str, Any]) -> str | None:
    """Why a state dict lacks weights of its network, or None if it holds them whole."""
    for key in found:
        if origin := part_of_a_weight(key):
            return f"{key!r} is a part of a weight under {origin}: give the module itself, or its weights whole"
    return None


def _other_layers(found: Mapping[str, Any]) -> str | None:
    """Why some weight belongs to no conv or linear layer, by its bias or its name, or None if all may."""
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


def _in_order(shapes: Mapping[str, tuple[int, ...]], order: Sequence[str], *, is_module: bool) -> dict[str, tuple[int, ...]]:
    """The layers that ``order`` names."""
    if is_module:
        raise ValueError("order= is for state dicts: a module tells the order of its layers")
    if isinstance(order, str) or not order or len({*order}) < len(order) or not {*order} <= {*shapes}:
        raise ValueError(f"order must name layers of the state dict, each once, not {order!r} (it has {', '.join(shapes)})")
    return {layer: shapes[layer] for layer in order}


def _by_number(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """Layers in alphabetical order, sorted by the numbers in their names."""
    return {layer: shapes[layer] for layer in sorted(shapes, key=_text_and_numbers)}


def _unsure_order(shapes: Mapping[str, tuple[int, ...]]) -> str | None:
    """Why layers in alphabetical order may follow each other in another one; None if their names or shapes tell the order.

    Layers of one shape could change places, so only numbers in their names tell which is first.
    """
    first: dict[tuple[int, ...], str] = {}
    for layer, shape in shapes.items():
        other = first.setdefault(shape, layer)
        if NUMBER.sub("", other) != NUMBER.sub("", layer):
            return (
                f"{other!r} and {layer!r} have one shape, and the names are in alphabetical order, as in safetensors files: "
                f"which comes first is not known; {GIVE_THE_ORDER}"
            )
    return None


def _text_and_numbers(name: str) -> list[tuple[bool, int, str]]:
    """The parts of a name for sorting, numbers by their value: "block10" comes after "block2"."""
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in re.split(r"(\d+)", name)]


def _broken_chain(shapes: Mapping[str, tuple[int, ...]]) -> str | None:
    """Why layers of these shapes do not follow each other, or None if they may."""
    before, nodes, positions = "", 0, False
    for layer, shape in shapes.items():
        if RECURRENT.fullmatch(layer):
            return f"{layer!r} is a recurrent layer's: the rolled graph is defined for convs and linear layers"
        inputs, is_conv = shape[1], len(shape) > 2
        flattened = positions and not is_conv
        if before and (inputs % nodes if flattened else inputs != nodes):
            return (
                f"{layer!r} takes {inputs} inputs, and {before!r} before it has {nodes} outputs: the state dict, in its "
                f"order, is not a chain of layers; {GIVE_THE_ORDER}"
            )
        before, nodes, positions = layer, shape[0], is_conv
    return None
