"""Renames tensors from other people's names to the architecture's own."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import permutations
from typing import Any

from nndynbench.errors import NndynbenchError
from nndynbench.graphs.architecture import Architecture, Layer, architecture
from nndynbench.graphs.weights import WeightsLike, tensors
from nndynbench.names import first_of

# The keys under which training code puts the state dict in a checkpoint that holds more.
STATE_KEYS = (
    *("state_dict", "model_state_dict", "net_state_dict", "model_state", "model", "module", "network", "net", "weights"),
    *("params", "state"),
)

# Other things for which training code keeps tensors of a network's shapes.
NO_STATES = re.compile(r"(?i)optim|sched|scaler|ema|teacher|average|rng|exp_avg|momentum|grad")

# Types of floating-point numbers, as numpy and torch call them, from which norms and centralities can be computed.
FLOATING = ("float16", "bfloat16", "float32", "float64", "float128", "longdouble")

# How many tensors an error lists.
LISTED = 20

# Up to how many numbers in names every order is tried: k numbers have k! orders.
MOST_TRIED = 5

# The stored parts of a weight that is computed from other tensors when it is used.
PARTS = {
    "weight_norm": re.compile(r"(^|[./])weight_[gv]$"),
    "spectral_norm or pruning": re.compile(r"(^|[./])weight_orig$"),
    "a parametrization (weight_norm, spectral_norm, …)": re.compile(r"(^|[./])parametrizations[./]weight[./]original\d*$"),
}

# How the names of weights begin that are not layers of the graph: shortcuts, and networks beside the network.
BESIDE = ("shortcut", "downsample", "skip", "proj", "identity", "bypass", "aux", "ema", "teacher")


class NamingError(NndynbenchError, ValueError):
    """Tensors cannot be matched to this architecture, or to its layers.

    Examples
    --------
    >>> from nndynbench.graphs import NamingError, renamed
    >>> try:
    ...     renamed({"epoch": 5}, "digits-lenet")
    ... except NamingError as error:
    ...     print(error)
    the checkpoint holds no weights: epoch (int)
    """


def renamed(weights: WeightsLike, name: str | Architecture) -> dict[str, Any]:
    """The weights (and biases, where there are any) of an architecture's layers, under its own names.

    A layer's weight is the tensor of the same name, if there is one of the right shape. Prefixes that all tensors or all
    layers share (``module.``, ``_orig_mod.``, …) are ignored. Otherwise, all layers of that shape are matched in the order
    of the tensors' names, which may differ only in numbers (``features.3.weight`` before ``features.10.weight``). All layers
    of the shape are matched together, since code that counts convs from 0 has some under the name of another layer. Tensors
    that are not weights of layers are left out: those with fewer axes (batch norm), buffers, and shortcuts by name
    (``downsample``, ``shortcut``, …). A checkpoint with its state dict under a usual key (``state_dict``, ``model``, …) may
    be passed whole.

    Raises
    ------
    NamingError
        If a layer has no tensor, or could have several; if weights of layers are left over (then it is another network); if
        a weight's bias does not fit its outputs (then it is a transposed conv); or if tensors hold no floating-point values,
        or only parts of a weight (weight_norm, spectral_norm). The message says which.

    Examples
    --------
    >>> import nndynbench
    >>> weights = nndynbench.load("digits-lenet").history(100, budget=5).weights(5)
    >>> theirs = {f"module.{name}": tensor for name, tensor in weights.items()}
    >>> sorted(nndynbench.graphs.renamed(theirs, "digits-lenet")) == sorted(weights)
    True
    """
    described = architecture(name)
    found = _without_common_prefix(_state(tensors(weights)))
    _check_whole(found)
    shapes = {key: tuple(value.shape) for key, value in found.items()}
    layers = described.weighted_layers
    ways = _with_and_without_prefixes([layer.name for layer in layers])
    by_shape: dict[tuple[int, ...], list[Layer]] = defaultdict(list)
    for layer in layers:
        by_shape[layer.weight_shape].append(layer)
    stems: dict[str, str] = {}
    for shape, alike in by_shape.items():
        named = ({layer.name: f"{way[layer.name]}." for layer in alike} for way in ways)
        own = next((own for own in named if all(shapes.get(f"{stem}weight") == shape for stem in own.values())), None)
        if own is not None:
            stems |= own
            continue
        for layer, key in zip(alike, _matched(shapes, alike, described), strict=True):
            stems[layer.name] = key.removesuffix("weight")
    ours = {}
    for layer in layers:
        stem = stems[layer.name]
        ours[f"{layer.name}.weight"] = _floating(f"{stem}weight", found)
        if layer.has_bias and f"{stem}bias" in shapes:
            if reason := no_layers_bias(stem, shapes):
                raise NamingError(f"{reason}; {described.name} has the layer {layer.name}")
            ours[f"{layer.name}.bias"] = _floating(f"{stem}bias", found)
    _check_none_left(shapes, {f"{stem}weight" for stem in stems.values()}, described)
    return ours


def _state(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """The tensors by name: under a usual key, directly, or in the only place below that holds matrices."""
    for key in STATE_KEYS:
        if isinstance(inner := checkpoint.get(key), Mapping) and _states(inner):
            return _state(inner)
    states = _states(checkpoint)
    if len(states) > 1:
        raise NamingError(f"the checkpoint holds several sets of weights: {', '.join(states)}. Save one of them by itself")
    if not states:
        raise NamingError(f"the checkpoint holds no weights: {_contents(checkpoint)}")
    [state] = states.values()
    return {str(key): value for key, value in state.items() if hasattr(value, "shape")}


def _states(checkpoint: Mapping[str, Any], place: str = "") -> dict[str, Mapping[str, Any]]:
    """The mappings in a checkpoint that hold tensors of two or more axes, by their place in it."""
    if any(len(getattr(value, "shape", ())) > 1 for value in checkpoint.values()):
        return {place or "(the file itself)": checkpoint}
    found: dict[str, Mapping[str, Any]] = {}
    for key, value in checkpoint.items():
        if isinstance(value, Mapping) and not NO_STATES.search(str(key)):
            found |= _states(value, f"{place}.{key}".removeprefix("."))
    return found


def _contents(checkpoint: Mapping[str, Any]) -> str:
    """What a checkpoint holds, in words: ``epoch (int), optimizer (dict of 2: state, param_groups)``."""
    return first_of((f"{key} ({_kind(value)})" for key, value in checkpoint.items()), LISTED) or "it is empty"


def _kind(value: Any) -> str:
    if hasattr(value, "shape"):
        return f"{tuple(value.shape)} {_dtype(value)}"
    if isinstance(value, Mapping):
        return f"{type(value).__name__} of {len(value)}: {first_of(value, 5)}" if value else "empty dict"
    return type(value).__name__


def _dtype(tensor: Any) -> str:
    return str(getattr(tensor, "dtype", "unknown")).removeprefix("torch.")


def _without_common_prefix(found: dict[str, Any]) -> dict[str, Any]:
    """The tensors without the prefix that all names of tensors with two axes or more share; other tensors may lack it."""
    while matrices := [key for key, value in found.items() if len(value.shape) > 1]:
        first = {key.partition(".")[0] for key in matrices}
        if len(first) > 1 or not all("." in key for key in matrices):
            break
        found = {key.removeprefix(f"{min(first)}."): value for key, value in found.items()}
    return found


def _with_and_without_prefixes(names: Iterable[str]) -> list[dict[str, str]]:
    """Ways to write the names: as they are, and without the prefixes that all of them share, one more each time."""
    ways = [{name: name for name in names}]
    while len({name.partition(".")[0] for name in ways[-1].values()}) == 1 and all("." in n for n in ways[-1].values()):
        ways.append({name: rest.partition(".")[2] for name, rest in ways[-1].items()})
    return ways


def _check_whole(found: Iterable[str]) -> None:
    """Raise if a weight is in parts, none of which is the weight."""
    for key in found:
        if origin := part_of_a_weight(key):
            raise NamingError(
                f"{key!r} is a part of a weight under {origin}, which is not supported: remove it from the module "
                "(remove_weight_norm, remove_spectral_norm, prune.remove, remove_parametrizations) and save the weights"
            )


def part_of_a_weight(key: str) -> str | None:
    """The kind of weight that a tensor of this name is a part of; None if it is not a part."""
    return next((origin for origin, pattern in PARTS.items() if pattern.search(key)), None)


def no_layers_bias(stem: str, shapes: Mapping[str, tuple[int, ...]]) -> str | None:
    """Why the bias shows that the weight at ``stem`` is not of a conv or linear layer; None if it may be one."""
    weight, bias = shapes[f"{stem}weight"], shapes.get(f"{stem}bias", shapes[f"{stem}weight"][:1])
    if bias == weight[:1]:
        return None
    what = "is a transposed conv's" if len(weight) > 2 and len(bias) == 1 else "is not that of a conv or linear layer"
    return f"'{stem}weight' {what}: its shape is {weight}, and that of its bias {bias}, not {weight[:1]}"


def _check_none_left(shapes: Mapping[str, tuple[int, ...]], taken: set[str], described: Architecture) -> None:
    """Raise if other weights of layers are left over."""
    left = [key for key, shape in shapes.items() if key not in taken and len(shape) > 1 and _is_layers_weight(key)]
    if left:
        raise NamingError(
            f"the checkpoint has weights that {described.name} has no layer for: {', '.join(left)}. Either they "
            "are from another network, or they are not layers of this one (shortcuts, other heads): then leave them out"
        )


def _is_weight(key: str) -> bool:
    return key.split(".")[-1] == "weight"


def _is_layers_weight(key: str) -> bool:
    return _is_weight(key) and not any(word.startswith(BESIDE) for word in re.split(r"[^a-z]+", key.lower()))


def _floating(key: str, found: Mapping[str, Any]) -> Any:
    """The tensor of this name, if it has floating-point values."""
    tensor = found[key]
    if getattr(tensor, "is_meta", False):
        raise NamingError(f"{key!r} is on the meta device: it has a shape but no values")
    kind = _dtype(tensor)
    if kind not in FLOATING:
        raise NamingError(
            f"{key!r} has values of type {kind}: weights must be real floating-point numbers of 16 bits or more. Save them "
            "as float32"
        )
    return tensor


def _matched(shapes: Mapping[str, tuple[int, ...]], wanting: list[Layer], described: Architecture) -> list[str]:
    """The weights of one shape, one for each of the layers of this shape, in the layers' order."""
    names, shape = ", ".join(layer.name for layer in wanting), wanting[0].weight_shape
    alike = [key for key in shapes if shapes[key] == shape]
    candidates = [key for key in alike if _is_weight(key)]
    if len(candidates) > len(wanting):
        candidates = [key for key in candidates if _is_layers_weight(key)]
    if len(candidates) != len(wanting):
        others = [key for key in alike if not _is_weight(key)]
        raise NamingError(
            f"{described.name} has {len(wanting)} layer(s) of shape {shape} ({names}), but not every one has a tensor of "
            f"its name; the checkpoint has {len(candidates)} tensor(s) of this shape"
            f"{': ' if candidates else ''}{', '.join(candidates)}"
            + (f" (also of this shape, but not named NAME.weight: {first_of(others, LISTED)})" if others else "")
            + ("" if candidates or others else f". It holds {_shown(shapes)}")
        )
    order = _in_order(candidates, wanting, shapes, described) if len({*map(_pattern, candidates)}) == 1 else None
    if order is None:
        raise NamingError(
            f"which of {', '.join(candidates)} are the layers {names} of {described.name}? All have shape {shape}, and "
            f"their names do not give the order: rename them to {names}"
        )
    return order


def _in_order(
    candidates: list[str], wanting: list[Layer], shapes: Mapping[str, tuple[int, ...]], described: Architecture
) -> list[str] | None:
    """Names that differ only in numbers, in the order of these; None if the numbers do not give an order.

    If there are several numbers, any of them may count first (blocks, or the convs in them). The shapes of all tensors with
    such names decide, since their order is the architecture's. If they do not, the layers' own names do, if these count in
    the same way from left to right.
    """
    numbers = {key: _numbers(key) for key in shapes if _pattern(key) == _pattern(candidates[0]) and len(shapes[key]) > 1}
    shapes_in_order = [layer.weight_shape for layer in described.weighted_layers]
    expected = [shape for shape in shapes_in_order if shape in {shapes[key] for key in numbers}]
    possible, fitting = [], []
    counting = _varying(numbers.values())
    if len(counting) > MOST_TRIED:
        return None
    for places in permutations(counting):
        everything = sorted(numbers, key=lambda key: [numbers[key][place] for place in places])
        order = [key for key in everything if key in candidates]
        possible.append(order)
        if [shapes[key] for key in everything] == expected:
            fitting.append(order)
    for orders in (possible, fitting):
        if orders and all(order == orders[0] for order in orders):
            return orders[0]
    from_left = possible[0]
    counts_alike = _ranks(from_left) == _ranks([layer.name for layer in wanting])
    return from_left if counts_alike and from_left in (fitting or possible) else None


def _shown(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """The tensors of two axes or more, with their shapes."""
    axes = (f"{key} {shape}" for key, shape in shapes.items() if len(shape) > 1)
    return first_of(axes, LISTED) or "no tensor of two axes or more"


def _pattern(key: str) -> str:
    return re.sub(r"\d+", "#", key)


def _numbers(key: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", key))


def _varying(numbers: Iterable[tuple[int, ...]]) -> list[int]:
    """The places of the numbers that differ between names, without numbers that only repeat the count of another."""
    places: dict[tuple[int, ...], int] = {}
    for place, values in enumerate(zip(*numbers, strict=False)):
        if len(ranked := {value: rank for rank, value in enumerate(sorted({*values}))}) > 1:
            places.setdefault(tuple(ranked[value] for value in values), place)
    return list(places.values())


def _ranks(names: list[str]) -> list[tuple[int, ...]]:
    """By name, how many smaller values each varying number has."""
    numbers = [_numbers(name) for name in names]
    values = {place: sorted({each[place] for each in numbers}) for place in _varying(numbers)}
    return [tuple(below.index(each[place]) for place, below in values.items()) for each in numbers]
