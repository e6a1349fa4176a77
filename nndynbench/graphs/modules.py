"""The rolled graph of a user's own torch module: a CNN whose layers follow each other, with or without shortcuts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nndynbench.arrays import copied
from nndynbench.graphs.architecture import input_beside
from nndynbench.graphs.derived import TENSORS, DerivedWeightError, current_tensor, in_evaluation_mode, unwrapped
from nndynbench.graphs.layered import LayeredGraph, NodeTensors, NotRepresentableError
from nndynbench.graphs.rolled import rolled_blocks, slices_between
from nndynbench.graphs.tracing import UntraceableError, trace

if TYPE_CHECKING:
    from torch import fx, nn

# Modules whose parameters act on each channel separately: no edges.
CHANNELWISE = ("BatchNorm", "InstanceNorm", "GroupNorm", "LayerNorm", "RMSNorm", "PReLU", "SyncBatchNorm")

# How two branches may join: as a shortcut that is added to what it bypasses.
ADDITIONS = ("add", "add_", "iadd")

# The functions by which a parameter or buffer with one value per channel may scale or shift.
# Functions in which a vector of parameters is a layer of one node.
PRODUCTS = ("matmul", "mv", "dot", "inner", "vdot", "outer", "ger", "addmv", "einsum", "tensordot", "linear")
ARITHMETIC = (*ADDITIONS, "sub", "sub_", "isub", "mul", "mul_", "imul", "div", "div_", "truediv", "itruediv")

CONCATENATIONS = ("cat", "concat", "concatenate", "stack", "hstack", "vstack", "dstack")

# Functions, by name without underscores, that leave each value in its place, or scale, shift or replace it there.
IN_PLACE = frozenset(
    (
        *("add", "iadd", "sub", "isub", "rsub", "mul", "imul", "div", "idiv", "truediv", "itruediv", "divide"),
        *("multiply", "subtract", "neg", "negative", "pos", "pow", "ipow"),
        *("abs", "absolute", "square", "sqrt", "rsqrt", "reciprocal", "exp", "exp2", "expm1", "log", "log1p", "log2"),
        *("sin", "cos", "atan", "erf", "sign", "round", "floor"),
        *("ceil", "clamp", "clampmin", "clampmax", "clip", "maximum", "minimum", "nantonum", "lerp", "addcmul"),
        *("addcdiv", "where", "eq", "ne", "lt", "le", "gt", "ge"),
        *("relu", "relu6", "leakyrelu", "rrelu", "prelu", "elu", "selu", "celu", "gelu", "silu", "mish", "hardswish"),
        *("hardtanh", "hardsigmoid", "hardshrink"),
        *("sigmoid", "expit", "logsigmoid", "tanh", "tanhshrink", "softplus", "softsign", "softshrink", "threshold"),
        *("softmax", "logsoftmax", "softmin"),
        *("dropout", "dropout1d", "dropout2d", "dropout3d", "alphadropout", "featurealphadropout", "stochasticdepth"),
        *("batchnorm", "instancenorm", "groupnorm", "layernorm", "rmsnorm", "localresponsenorm", "normalize"),
        *("identity", "clone", "contiguous", "detach", "to", "float", "double", "half", "bfloat16", "type", "typeas"),
        *("cpu", "cuda", "requiresgrad"),
    )
)

# Those among them, and modules, after which a layer and the next one are still one linear map.
LINEAR = re.compile(r"(?:i?mul|multiply|i?(?:true)?div|divide|neg|identity|clone|contiguous|detach|to|\w*dropout\w*)")

# The files of torch.nn.modules whose modules do so too, except GLU, which is in one of them.
IN_PLACE_FILES = ("activation", "batchnorm", "dropout", "instancenorm", "normalization")

# Functions and modules, by name without underscores, whose number says on how many of the last axes they act.
POOLING = re.compile(r"(?:adaptive|fractional)?(?:max|avg|lp)pool([123])d")
PADDING = re.compile(r"(?:zero|constant|reflection|replication|circular)pad([123])d")
RESIZING = re.compile(r"interpolate|upsample|upsampling(?:nearest|bilinear)2d")

# Functions that take only a shape from a tensor.
NEW_TENSORS = re.compile(r"new_\w+|(?:zeros|ones|empty|full|rand|randn|randint)_like")


class Axis(NamedTuple):
    """The axis of a value along which a layer's ``size`` nodes lie, and how many axes come before it (None: unknown) and
    after.

    ``flattened``: each node's positions lie along it too. ``merged``: it holds one value, made from all nodes.
    """

    size: int
    before: int | None
    behind: int = 0
    flattened: bool = False
    merged: bool = False

    def offset(self, dim: int) -> int | None:
        """How far after this axis a dim is (0: it is this axis, negative: before it), or None if that is unknown."""
        if dim < 0:
            return self.behind + 1 + dim
        return None if self.before is None else dim - self.before


class Path(NamedTuple):
    """The layers on the way to a value, the axis of the last layer's nodes, and what moved or merged these, if anything.

    ``joined``: the layers that take the values of the layer before them as they are, or scaled. ``is_linear``: so would the
    next one.
    """

    layers: tuple[str, ...] = ()
    axis: Axis = Axis(0, None)
    moved_by: str | None = None
    joined: frozenset[str] = frozenset()
    is_linear: bool = False


def from_module(
    model: nn.Module, *, dtype: npt.DTypeLike = np.float64, input_shape: tuple[int, ...] | None = None
) -> LayeredGraph:
    """The rolled graph (see `nndynbench.graphs.rolled`) of a torch module's weights.

    torch.fx follows the input through the module. The convs and linear layers that it meets, in this order, are the layers
    of the graph, named as in the module. Where branches meet in an addition, the one with more layers is the network; the
    others are shortcuts, which are not edges. Normalisation, activations, pooling, dropout and reshaping are not layers. The
    first axis is assumed to be the batch, and ``view(-1, n)`` after a conv to flatten all of its positions. A conv or linear
    layer by itself is the only layer, ``0``.

    The graph is a copy of the weights that the next pass in evaluation mode would use, also if weight_norm, spectral_norm,
    pruning or a parametrization computes them; the module is left as it is. The network is found within DataParallel,
    torch.compile, AveragedModel and the like. Arguments of its forward that have defaults keep them. ``input_shape`` is the
    shape of one input, (channels, height, width). It is needed only if the forward computes with sizes that no usual image
    has.

    Raises
    ------
    NotRepresentableError
        If the graph cannot represent the module; names the layer and the reason. This is so for grouped and transposed
        convs; for recurrent, attention and quantised layers; for low-rank branches beside a layer (LoRA); for weights that
        are used without a module, more than once, without values (lazy, meta), or with other types than floating-point
        numbers of 16 bits or more; for branches with equally many layers, or that are concatenated or multiplied; for
        modules with several inputs; for a layer whose inputs are not the nodes before it (for a linear layer after a conv:
        all their positions, flattened from dim 1), or come after something that may move these nodes (transpose, split,
        average); and if torch.fx cannot follow the input.
    TypeError
        For anything that is not a torch module.

    Examples
    --------
    >>> from torch import nn
    >>> from nndynbench.graphs import from_module
    >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 30 * 30, 10))
    >>> graph = from_module(model)
    >>> graph.layers, graph.number_of_nodes
    (('input', '0', '3'), 17)
    """
    from torch import jit, nn

    network = unwrapped(model)
    if not isinstance(network, nn.Module):
        raise TypeError(
            f"from_module takes a torch module, not {type(model).__name__}; for weights by name, use graphs.rolled"
        )
    if isinstance(network, jit.ScriptModule):
        raise NotRepresentableError(
            "the module is compiled by torch.jit, which keeps no code to follow: pass the module that it was made from"
        )
    with in_evaluation_mode(network):
        layers = list(_main_path(network, input_shape))
        if not layers:
            raise NotRepresentableError("the module has no conv or linear layer on the way from its input to its output")
        tensors: dict[str, NodeTensors] = {}
        for name, module in layers:
            if name in tensors:
                raise NotRepresentableError(f"{name!r} is used twice: a layer of the graph has only one place")
            tensors[name] = _tensors(name, module)
    nodes = int(next(iter(tensors.values())).weight.shape[1])
    slices = []
    for weight, _ in tensors.values():
        slices.append(slices_between(weight, weight.shape, nodes))
        nodes = len(weight)
    return LayeredGraph(rolled_blocks(slices, dtype=dtype), (input_beside(tensors), *tensors), tensors=tensors)


def _tensors(name: str, layer: Any) -> NodeTensors:
    """Copies of a layer's weight and bias, as its next pass would use them."""
    found = []
    for part in TENSORS:
        try:
            tensor = current_tensor(layer, part)
            if tensor is not None and not tensor.is_floating_point():
                raise TypeError(f"its {part} has values of {str(tensor.dtype).removeprefix('torch.')}: dequantise it first")
            found.append(None if tensor is None else copied(tensor))
        except (DerivedWeightError, TypeError) as reason:
            raise NotRepresentableError(
                f"{name!r} is a {type(layer).__name__} without readable weights: {reason}"
            ) from reason
    weight, bias = found
    if weight is None:
        raise NotRepresentableError(f"{name!r} is a {type(layer).__name__} without a weight")
    return NodeTensors(weight, bias)


def _main_path(model: nn.Module, input_shape: tuple[int, ...] | None) -> Iterator[tuple[str, Any]]:
    """The conv and linear modules between the input and the output, by name, without those of shortcuts."""
    from torch import nn

    whole = nn.Sequential(model) if is_layer(model) else model
    try:
        graph = trace(whole, is_layer, input_shape)
    except UntraceableError as reason:
        raise NotRepresentableError(str(reason)) from reason
    modules = dict(whole.named_modules())
    paths: dict[fx.Node, Path] = {}
    # Parameters and buffers, and what is computed only from them, by the name of the first one.
    stored: dict[fx.Node, str] = {}
    for node in graph.nodes:
        sources = [source for source in node.all_input_nodes if source in paths]
        beside = [stored[source] for source in node.all_input_nodes if source in stored]
        if node.op == "placeholder":
            paths[node] = Path()
        elif node.op == "get_attr":
            stored[node] = str(node.target)
        elif node.op == "output":
            if len(sources) != 1:
                raise NotRepresentableError(f"the module returns {len(sources)} values made from its input, not one")
            _check_one_input(node)
            yield from ((name, modules[name]) for name in paths[sources[0]].layers)
        elif node.op == "call_module" and sources:
            name = str(node.target)
            if len(sources) > 1:
                kind = type(modules[name]).__name__
                raise NotRepresentableError(f"{name!r} is a {kind} of {len(sources)} values: a layer has one input")
            paths[node] = _through(paths[sources[0]], name, modules[name])
        elif sources and not _is_size(node):
            for name in beside:
                if not _acts_by_channel(node, attrgetter(name)(whole)):
                    raise NotRepresentableError(f"{name!r} is used in a function: only modules' weights are layers")
            paths[node] = _behind(node, paths)
            if _writes_to_its_input(node):
                paths[node.args[0]] = paths[node]
        elif beside:
            stored[node] = beside[0]


def _check_one_input(output: fx.Node) -> None:
    """Raise if a network's output is made from several arguments of its forward: only one would be the graph's input."""
    todo, seen = [output], set[Any]()
    while todo:
        node = todo.pop()
        if node not in seen:
            seen.add(node)
            todo += [] if _is_size(node) else node.all_input_nodes
    inputs = [str(node.target) for node in output.graph.nodes if node.op == "placeholder" and node in seen]
    if len(inputs) > 1:
        raise NotRepresentableError(
            f"the module has {len(inputs)} inputs, {', '.join(inputs)}: the graph has one input layer"
        )


def is_layer(module: Any) -> bool:
    """Whether it is a conv or linear layer, or a subclass that computes the same (also one with parametrisations)."""
    from torch import nn

    kind = next((kind for kind in (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear) if isinstance(module, kind)), None)
    methods = ("forward", "_conv_forward")
    return kind is not None and all(getattr(type(module), name, None) is getattr(kind, name, None) for name in methods)


def _through(path: Path, name: str, module: nn.Module) -> Path:
    """The path after a module."""
    kind, file = type(module).__name__, type(module).__module__
    if is_layer(module):
        return _through_layer(path, name, module)
    path = path._replace(is_linear=path.is_linear and LINEAR.fullmatch(kind.lower()) is not None)
    if any(True for _ in module.parameters()) and not kind.startswith(CHANNELWISE):
        raise NotRepresentableError(f"{name!r} is a {kind}: the rolled graph is defined for convs and linear layers")
    if file.startswith("torch.ao."):
        raise NotRepresentableError(f"{name!r} is a {kind} of {file}: quantised modules have no weights that can be read")
    if file.removeprefix("torch.nn.modules.") in IN_PLACE_FILES and kind != "GLU":
        kind = "Identity"
    attributes = {"Flatten": ("start_dim", "end_dim"), "Unflatten": ("dim", "unflattened_size")}.get(kind, ())
    return _moved(path, name, kind, [getattr(module, attribute) for attribute in attributes])


def _through_layer(path: Path, name: str, layer: Any) -> Path:
    """The path after a conv or linear layer, whose inputs must be the nodes before it."""
    from torch.nn.parameter import is_lazy

    if is_lazy(layer.weight) or layer.weight.is_meta:
        state = "not initialised: run the module once" if is_lazy(layer.weight) else "on the meta device: load them"
        raise NotRepresentableError(f"{name!r} has weights without values, {state}")
    if getattr(layer, "groups", 1) != 1:
        raise NotRepresentableError(f"{name!r} is a conv of {layer.groups} groups: its filters do not see all channels")
    size, inputs, *kernel = layer.weight.shape
    if path.layers:
        _check_inputs(path, name, inputs, len(kernel))
    joined = path.joined | {name} if path.is_linear else path.joined
    axis = Axis(size, 1 if kernel else path.axis.before, len(kernel))
    return Path((*path.layers, name), axis, joined=joined, is_linear=True)


def _check_inputs(path: Path, name: str, inputs: int, positions: int) -> None:
    """Raise if a layer that slides along this many axes of positions does not act on the nodes at the end of a path."""
    axis, last = path.axis, path.layers[-1]
    if path.moved_by:
        raise NotRepresentableError(
            f"{path.moved_by!r} may move or merge the nodes of {last!r} on their way to {name!r}: their places "
            "among its inputs are not known"
        )
    if axis.behind and not positions:
        raise NotRepresentableError(
            f"{name!r} acts on the positions of {last!r}, not on its nodes: flatten these from dim 1 before it, or pool them"
        )
    if inputs != axis.size and not axis.flattened:
        raise NotRepresentableError(f"{name!r} has {inputs} inputs, not the {axis.size} nodes before it")
    if inputs % axis.size:
        raise NotRepresentableError(f"{name!r} has {inputs} inputs, not a multiple of the {axis.size} nodes before it")
    if axis.behind != positions:
        raise NotRepresentableError(
            f"{name!r} slides along {positions} axes of positions, but the nodes of {last!r} have {axis.behind}"
        )


def _behind(node: fx.Node, paths: Mapping[fx.Node, Path]) -> Path:
    """The path after a function or method."""
    from torch.fx.node import map_arg

    joined = _joined(node, [paths[source] for source in node.all_input_nodes if source in paths])
    is_linear = joined.is_linear and LINEAR.fullmatch(_function(node).replace("_", "")) is not None
    joined = joined._replace(is_linear=is_linear)
    arguments, options = map_arg((node.args[1:], node.kwargs), lambda other: _known_size(other, paths))
    return _moved(joined, node.name, _function(node), arguments, options)


def _moved(path: Path, by: str, kind: str, arguments: Sequence[Any] = (), options: Mapping[str, Any] | None = None) -> Path:
    """The path after something of this kind that is not a layer and is called ``by``."""
    if not path.layers or path.moved_by:
        return path
    axis = _axis_behind(path.axis, kind.replace("_", "").lower(), arguments, options or {})
    if axis is None:
        return path._replace(moved_by=by)
    return path._replace(axis=axis, moved_by=by if axis.merged else None)


def _axis_behind(axis: Axis, kind: str, arguments: Sequence[Any], options: Mapping[str, Any]) -> Axis | None:
    """Where the nodes are after the function or module of this name, or None if that is not known."""
    if kind in IN_PLACE:
        return axis
    if pooling := POOLING.fullmatch(kind):
        return axis if int(pooling[1]) == axis.behind else None
    if padding := PADDING.fullmatch(kind):
        return axis if int(padding[1]) <= axis.behind else None
    if RESIZING.fullmatch(kind):
        return axis if axis.behind else None
    if kind not in RULES:
        return None
    named = {{"axis": "dim", "input": "self"}.get(key, key): value for key, value in options.items()}
    named.pop("self", None)
    try:
        return RULES[kind](axis, *arguments, **named)
    except (TypeError, ValueError):  # arguments that the rule does not know: tensors as sizes, names of dims
        return None


def _flattened(axis: Axis, start_dim: int = 0, end_dim: int = -1) -> Axis | None:
    start, end = axis.offset(start_dim), axis.offset(end_dim)
    if start is None:
        # Two axes are not changed by it; with more, the next layer has other inputs than these nodes.
        return axis if (start_dim, end_dim) == (1, -1) else None
    if end != axis.behind or start < 0:
        return None
    return axis._replace(behind=start, flattened=axis.flattened or (start == 0 and axis.behind > 0))


def _reshaped(axis: Axis, *shape: Any) -> Axis | None:
    _, nodes, *positions = shape[0] if len(shape) == 1 else shape
    if not positions:
        held = axis.behind > 0 or axis.flattened
        fits = not isinstance(nodes, int) or nodes in (-1, axis.size) or (held and nodes % axis.size == 0)
        return axis._replace(before=1, behind=0, flattened=held) if fits else None
    is_one_batch = axis.before == 1 or all(size == 1 for size in positions)
    return Axis(axis.size, 1, len(positions)) if nodes == axis.size and is_one_batch else None


def _unflattened(axis: Axis, dim: int, sizes: Sequence[Any]) -> Axis | None:
    return _reshaped(axis, -1, *sizes) if axis.offset(dim) == 0 or (axis.before is None and dim == 1) else None


def _reduced(axis: Axis, dim: Any = None, keepdim: bool = False, **_: Any) -> Axis | None:
    if dim is None:
        return None
    if not keepdim:
        return _dropped(axis, dim)
    offsets = _offsets(axis, dim)
    return axis._replace(merged=axis.merged or 0 in offsets or None in offsets)


def _squeezed(axis: Axis, dim: Any = None) -> Axis | None:
    return axis._replace(behind=0) if dim is None else _dropped(axis, dim)


def _dropped(axis: Axis, dim: Any) -> Axis | None:
    """The axis without these axes of positions; None if one of them is not such an axis."""
    offsets = _offsets(axis, dim)
    are_positions = all(offset is not None and offset > 0 for offset in offsets)
    return axis._replace(behind=axis.behind - len(offsets)) if offsets and are_positions else None


def _offsets(axis: Axis, dim: Any) -> list[int | None]:
    return [axis.offset(each) for each in (dim if isinstance(dim, (tuple, list)) else (dim,))]


def _unsqueezed(axis: Axis, dim: int) -> Axis | None:
    wider = axis._replace(behind=axis.behind + 1)
    offset = wider.offset(dim)
    return wider if offset and offset > 0 else None


def _indexed(axis: Axis, taken: Any) -> Axis | None:
    """Selecting positions leaves the channels where they are: x[:, :, 0, 0]."""
    if axis.before != 1 or not isinstance(taken, tuple) or len(taken) < 2 or any(part != slice(None) for part in taken[:2]):
        return None
    if not all(part is None or isinstance(part, (int, slice)) for part in taken):
        return None
    added, dropped = (sum(isinstance(part, kind) for part in taken) for kind in (type(None), int))
    return axis._replace(behind=axis.behind + added - dropped)


def _padded(axis: Axis, pad: Sequence[Any], *_: Any, **__: Any) -> Axis | None:
    return axis if len(pad) <= 2 * axis.behind else None


# What functions and modules, by name without underscores and with torch's arguments, do to the axis of the nodes.
RULES: dict[str, Callable[..., Axis | None]] = {
    **dict.fromkeys(("mean", "sum", "amax", "amin", "prod", "logsumexp", "std", "var"), _reduced),
    "norm": lambda axis, p=2, dim=None, keepdim=False, **_: _reduced(axis, dim, keepdim),
    **dict.fromkeys(("view", "reshape"), _reshaped),
    "flatten": _flattened,
    "unflatten": _unflattened,
    "squeeze": _squeezed,
    "unsqueeze": _unsqueezed,
    "getitem": _indexed,
    "pad": _padded,
}


def _joined(node: fx.Node, branches: Sequence[Path]) -> Path:
    """The path to the value of a function: that of its only input, or the longer branch where a shortcut is added."""
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
        own = longest.layers[_shared(branch.layers, longest.layers) :]
        if branch.layers != longest.layers[: len(branch.layers)] and longest.joined.issuperset(own[1:]):
            raise NotRepresentableError(
                f"{node.name!r} adds {' and '.join(map(repr, own))}, which have no activation between them, to "
                f"{branch.layers[-1]!r}: together they are one linear layer, such as a change of low rank (LoRA); merge "
                "them, and give the weights as a state dict"
            )
    alike = [branch for branch in branches if branch.layers == longest.layers]
    # One value made from all nodes scales or shifts every node alike: x / x.norm(dim=1, keepdim=True).
    alike = [branch for branch in alike if not branch.axis.merged] or alike
    moved_by = next((branch.moved_by for branch in alike if branch.moved_by), None)
    same = all(branch.axis == alike[0].axis for branch in alike)
    return alike[0]._replace(moved_by=moved_by or (None if same else node.name))


def _shared(layers: Sequence[str], others: Sequence[str]) -> int:
    """How many layers two paths share from their beginnings."""
    return next((place for place, (one, other) in enumerate(zip(layers, others, strict=False)) if one != other), len(layers))


def _function(node: fx.Node) -> str:
    return node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))


def _writes_to_its_input(node: fx.Node) -> bool:
    """Whether it is a method such as ``add_``, which writes its result into its input."""
    return node.op == "call_method" and str(node.target).endswith("_") and not str(node.target).endswith("__")


def _known_size(node: fx.Node, paths: Mapping[fx.Node, Path]) -> Any:
    """The number of a layer's nodes if the node is the size of their axis (``x.shape[1]``), else the node."""
    source: Any = node.args[0] if node.args else None
    if _function(node) == "getitem" and source not in paths:
        source = source.args[0] if isinstance(source, type(node)) and _is_size(source) else None
    elif _function(node) != "size":
        return node
    path, dim = paths.get(source, Path()), node.args[-1]
    if not path.layers or path.moved_by or path.axis.flattened or not isinstance(dim, int):
        return node
    return path.axis.size if path.axis.offset(dim) == 0 else node


def _acts_by_channel(node: fx.Node, values: Any) -> bool:
    """Whether a parameter or buffer has one value per channel (or one for all) and scales or shifts by it."""
    one_axis = values.ndim == 0 or values.numel() == max(values.shape)
    by_channel = values.ndim <= 1 and _function(node) not in PRODUCTS
    return by_channel or (one_axis and _function(node) in ARITHMETIC)


def _is_size(node: fx.Node) -> bool:
    """Whether the node is a shape, one of its numbers, or a new tensor of that shape: no data flows through these."""
    function = _function(node)
    if function == "getattr":
        return node.args[1] in ("shape", "ndim", "device", "dtype")
    return function in ("size", "dim", "numel") or NEW_TENSORS.fullmatch(function) is not None
