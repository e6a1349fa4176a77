"""The rolled graph of a user's own torch module: a CNN whose layers follow each other, with or without shortcuts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nndynbench.graphs.layered import LayeredGraph, NodeTensors
from nndynbench.graphs.rolled import rolled_block
from nndynbench.graphs.weights import as_array

if TYPE_CHECKING:
    from torch import fx, nn

# Modules whose parameters act on each channel alone: no edges.
CHANNELWISE = ("BatchNorm", "InstanceNorm", "GroupNorm", "LayerNorm", "PReLU", "SyncBatchNorm")

# How two branches may join: as a shortcut that is added to what it bypasses.
ADDITIONS = ("add", "add_", "iadd")


class NotRepresentableError(ValueError):
    """A module with a layer that the rolled graph has no place for; the message names the layer and says why."""


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
        linear layer whose inputs are no multiple of the channels before it; and where torch.fx cannot follow the input.
    """
    layers = list(_main_path(model))
    if not layers:
        raise NotRepresentableError("the module has no conv or linear layer on the way from its input to its output")
    tensors: dict[str, NodeTensors] = {}
    blocks = []
    nodes = int(layers[0][1].weight.shape[1])
    for name, module in layers:
        if name in tensors:
            raise NotRepresentableError(f"{name!r} is used twice: a layer of the graph has one place")
        weight = as_array(module.weight)
        tensors[name] = NodeTensors(weight, None if module.bias is None else as_array(module.bias))
        if weight[0].size % nodes:
            raise NotRepresentableError(f"{name!r} has {weight[0].size} inputs, no multiple of the {nodes} nodes before it")
        blocks.append(rolled_block(weight, weight.shape, nodes, dtype))
        nodes = len(weight)
    return LayeredGraph(tuple(blocks), ("input", *tensors), tensors=tensors)


def _main_path(model: nn.Module) -> Iterator[tuple[str, Any]]:
    """The conv and linear modules between the input and the output, by name, without those of shortcuts."""
    from torch import fx

    try:
        traced = fx.symbolic_trace(model)
    except Exception as reason:  # whatever a user's forward raises when fx runs it
        raise NotRepresentableError(f"torch.fx cannot follow the input through the module: {reason}") from reason
    modules = dict(traced.named_modules())
    # Per value in the module's flow of data: the layers on the way to it.
    paths: dict[fx.Node, tuple[str, ...]] = {}
    for node in traced.graph.nodes:
        sources = [source for source in node.all_input_nodes if source in paths]
        if node.op == "placeholder":
            paths[node] = ()
        elif node.op == "output":
            if len(sources) != 1:
                raise NotRepresentableError(f"the module returns {len(sources)} values made from its input, not one")
            yield from ((name, modules[name]) for name in paths[sources[0]])
        elif node.op == "call_module" and sources:
            paths[node] = paths[sources[0]] + _layer(str(node.target), modules[str(node.target)])
        elif sources and not _is_size(node):
            for source in node.all_input_nodes:
                if source.op == "get_attr" and _attribute(traced, str(source.target)).ndim > 1:
                    raise NotRepresentableError(f"{source.target!r} is used in a function: only modules' weights are layers")
            paths[node] = _joined(node, [paths[source] for source in sources])


def _layer(name: str, module: nn.Module) -> tuple[str, ...]:
    """The module's name if it is a layer of the graph, nothing if it is none."""
    kind = type(module).__name__
    if kind in ("Conv1d", "Conv2d", "Conv3d"):
        if module.groups != 1:
            raise NotRepresentableError(f"{name!r} is a conv of {module.groups} groups: its filters do not see all channels")
        return (name,)
    if kind == "Linear":
        return (name,)
    if any(True for _ in module.parameters()) and not kind.startswith(CHANNELWISE):
        raise NotRepresentableError(f"{name!r} is a {kind}: the rolled graph is defined for convs and linear layers")
    return ()


def _joined(node: fx.Node, branches: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """What leads to the value of a function: its one input's layers, or the longer branch of a shortcut's addition."""
    function = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))
    longest = max(branches, key=len)
    others = [branch for branch in branches if branch != longest]
    if not others:
        return longest
    if function not in ADDITIONS:
        raise NotRepresentableError(
            f"{node.name!r} joins {len(branches)} branches by {function}: only shortcuts that are added are represented"
        )
    for branch in others:
        if len(branch) == len(longest):
            raise NotRepresentableError(
                f"{node.name!r} adds two branches of equally many layers, ending in {longest[-1]!r} and {branch[-1]!r}: "
                "neither is the shortcut"
            )
    return longest


def _attribute(module: Any, path: str) -> Any:
    for name in path.split("."):
        module = getattr(module, name)
    return module


def _is_size(node: fx.Node) -> bool:
    """Whether the node is a shape or one of its numbers, which no data flows through."""
    if node.op == "call_method":
        return node.target in ("size", "dim", "numel")
    name = getattr(node.target, "__name__", "")
    return name == "getattr" and node.args[1] in ("shape", "ndim", "device", "dtype")
