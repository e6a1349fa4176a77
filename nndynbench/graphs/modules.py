"""The rolled graph of a user's own torch module: a CNN whose layers follow each other, with or without shortcuts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nndynbench.graphs.layered import LayeredGraph, NodeTensors
from nndynbench.graphs.rolled import rolled_blocks, slices_between
from nndynbench.graphs.weights import as_array

if TYPE_CHECKING:
    from torch import fx, nn

# Modules whose parameters act on each channel alone: no edges.
CHANNELWISE = ("BatchNorm", "InstanceNorm", "GroupNorm", "LayerNorm", "RMSNorm", "PReLU", "SyncBatchNorm")

# How two branches may join: as a shortcut that is added to what it bypasses.
ADDITIONS = ("add", "add_", "iadd")

# By what a parameter or buffer of one value a channel may scale or shift.
ARITHMETIC = (*ADDITIONS, "sub", "sub_", "isub", "mul", "mul_", "imul", "div", "div_", "truediv", "itruediv")

CONCATENATIONS = ("cat", "concat", "concatenate", "stack", "hstack", "vstack", "dstack")

# After these, where a layer's nodes stand among the next one's inputs cannot be told.
REARRANGEMENTS = (
    *("permute", "transpose", "transpose_", "swapaxes", "swapdims", "movedim", "moveaxis", "t", "flip", "roll", "rot90"),
    *("chunk", "split", "tensor_split", "unbind", "select", "narrow", "index_select", "gather", "take", "einsum"),
    *("repeat", "repeat_interleave", "tile", "unfold", "fold", "glu", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle"),
)
REARRANGING_MODULES = ("PixelShuffle", "PixelUnshuffle", "ChannelShuffle", "GLU", "Fold", "Unfold")


class NotRepresentableError(ValueError):
    """A module with a layer that the rolled graph has no place for; the message names the layer and says why."""


class Path(NamedTuple):
    """The layers on the way to a value, and what has rearranged the last one's nodes since, if anything has."""

    layers: tuple[str, ...] = ()
    rearranged_by: str | None = None


def from_module(model: nn.Module, *, dtype: npt.DTypeLike = np.float64) -> LayeredGraph:
    """The rolled graph (see `nndynbench.graphs.rolled`) of a torch module's weights.

    torch.fx follows the input through the module. Its convs and linear layers, in this order, are the graph's layers, named
    as in the module. Where branches meet in an addition, the one with more layers is the network and the others are
    shortcuts, which are no edges. Normalisation, activations, pooling, dropout and reshaping are no layers.

    Raises
    ------
    NotRepresentableError
        Naming the layer and why, for: grouped and transposed convs, recurrent and attention layers, weights used without
        a module or more than once, branches of equally many layers, branches that are concatenated or multiplied, a
        layer whose inputs are not the nodes before it (a linear layer's after a conv: a multiple of them), or come after
        these were rearranged (transposed, shuffled, split); and where torch.fx cannot follow the input.
    """
    layers = list(_main_path(model))
    if not layers:
        raise NotRepresentableError("the module has no conv or linear layer on the way from its input to its output")
    tensors: dict[str, NodeTensors] = {}
    slices = []
    nodes, positions_follow = int(layers[0][1].weight.shape[1]), False
    for name, module in layers:
        if name in tensors:
            raise NotRepresentableError(f"{name!r} is used twice: a layer of the graph has one place")
        weight = as_array(module.weight)
        tensors[name] = NodeTensors(weight, None if module.bias is None else as_array(module.bias))
        inputs, is_conv = weight.shape[1], weight.ndim > 2
        if inputs != nodes and (is_conv or not positions_follow):
            raise NotRepresentableError(f"{name!r} has {inputs} inputs, not the {nodes} nodes before it")
        if inputs % nodes:
            raise NotRepresentableError(f"{name!r} has {inputs} inputs, no multiple of the {nodes} nodes before it")
        slices.append(slices_between(weight, weight.shape, nodes))
        nodes, positions_follow = len(weight), is_conv
    first = "input"
    while first in tensors:
        first += "_"
    return LayeredGraph(rolled_blocks(slices, dtype=dtype), (first, *tensors), tensors=tensors)


def _main_path(model: nn.Module) -> Iterator[tuple[str, Any]]:
    """The conv and linear modules between the input and the output, by name, without those of shortcuts."""
    from torch import fx

    class Tracer(fx.Tracer):
        def is_leaf_module(self, module: nn.Module, name: str) -> bool:
            return _is_layer(module) or super().is_leaf_module(module, name)

    try:
        traced = fx.GraphModule(model, Tracer().trace(model))
    except Exception as reason:  # whatever a user's forward raises when fx runs it
        raise NotRepresentableError(f"torch.fx cannot follow the input through the module: {reason}") from reason
    modules = dict(traced.named_modules())
    paths: dict[fx.Node, Path] = {}
    # Parameters and buffers, and what is computed of them alone: by the name of the first one.
    stored: dict[fx.Node, str] = {}
    for node in traced.graph.nodes:
        sources = [source for source in node.all_input_nodes if source in paths]
        beside = [stored[source] for source in node.all_input_nodes if source in stored]
        if node.op == "placeholder":
            paths[node] = Path()
        elif node.op == "get_attr":
            stored[node] = str(node.target)
        elif node.op == "output":
            if len(sources) != 1:
                raise NotRepresentableError(f"the module returns {len(sources)} values made from its input, not one")
            yield from ((name, modules[name]) for name in paths[sources[0]].layers)
        elif node.op == "call_module" and sources:
            paths[node] = _through(paths[sources[0]], str(node.target), modules[str(node.target)])
        elif sources and not _is_size(node):
            for name in beside:
                if not _acts_by_channel(node, _attribute(traced, name)):
                    raise NotRepresentableError(f"{name!r} is used in a function: only modules' weights are layers")
            joined = _joined(node, [paths[source] for source in sources])
            paths[node] = joined._replace(rearranged_by=node.name) if _rearranges(node) else joined
        elif beside:
            stored[node] = beside[0]


def _is_layer(module: nn.Module) -> bool:
    """Whether it is a conv or linear layer, or a subclass that computes what it does (also one with parametrisations)."""
    from torch import nn

    kind = next((kind for kind in (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear) if isinstance(module, kind)), None)
    methods = ("forward", "_conv_forward")
    return kind is not None and all(getattr(type(module), name, None) is getattr(kind, name, None) for name in methods)


def _through(path: Path, name: str, module: nn.Module) -> Path:
    """The path behind a module."""
    kind = type(module).__name__
    if _is_layer(module):
        if getattr(module, "groups", 1) != 1:
            raise NotRepresentableError(f"{name!r} is a conv of {module.groups} groups: its filters do not see all channels")
        if path.layers and path.rearranged_by:
            raise NotRepresentableError(
                f"{path.rearranged_by!r} rearranges what {path.layers[-1]!r} gives to {name!r}: where its nodes then stand "
                "among the inputs cannot be told"
            )
        return Path((*path.layers, name))
    if any(True for _ in module.parameters()) and not kind.startswith(CHANNELWISE):
        raise NotRepresentableError(f"{name!r} is a {kind}: the rolled graph is defined for convs and linear layers")
    return path._replace(rearranged_by=name) if kind in REARRANGING_MODULES else path


def _joined(node: fx.Node, branches: Sequence[Path]) -> Path:
    """What leads to the value of a function: its one input's layers, or the longer branch of a shortcut's addition."""
    function = _function(node)
    parts = node.args[0] if function in CONCATENATIONS and node.args else branches
    count = len(parts) if isinstance(parts, (tuple, list)) else len(branches)
    longest = max(branches, key=lambda branch: len(branch.layers))
    others = [branch for branch in branches if branch.layers != longest.layers]
    if (others and function not in ADDITIONS) or (function in CONCATENATIONS and count > 1):
        raise NotRepresentableError(
            f"{node.name!r} joins {count} branches by {function}: only shortcuts that are added are represented"
        )
    for branch in others:
        if len(branch.layers) == len(longest.layers):
            raise NotRepresentableError(
                f"{node.name!r} adds two branches of equally many layers, ending in {longest.layers[-1]!r} and "
                f"{branch.layers[-1]!r}: neither is the shortcut"
            )
    return longest


def _function(node: fx.Node) -> str:
    return node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))


def _rearranges(node: fx.Node) -> bool:
    function = _function(node)
    if function == "getitem":
        # Taking a position leaves the channels where they are: x[:, :, 0, 0].
        taken = node.args[1] if isinstance(node.args[1], tuple) else (node.args[1],)
        return len(taken) < 2 or any(part != slice(None) for part in taken[:2])
    if function == "getattr":
        return node.args[1] in ("T", "mT", "H", "mH")
    return function in REARRANGEMENTS


def _acts_by_channel(node: fx.Node, values: Any) -> bool:
    """Whether a parameter or buffer has one value a channel (or one for all) and scales or shifts by it."""
    one_axis = values.ndim == 0 or values.numel() == max(values.shape)
    return values.ndim <= 1 or (one_axis and _function(node) in ARITHMETIC)


def _attribute(module: Any, path: str) -> Any:
    for name in path.split("."):
        module = getattr(module, name)
    return module


def _is_size(node: fx.Node) -> bool:
    """Whether the node is a shape or one of its numbers, which no data flows through."""
    if node.op == "call_method":
        return node.target in ("size", "dim", "numel")
    return _function(node) == "getattr" and node.args[1] in ("shape", "ndim", "device", "dtype")
