"""Tensors under names of somebody else's, under the architecture's own."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import permutations
from typing import Any

from nndynbench.errors import NndynbenchError
from nndynbench.graphs.architecture import Architecture, Layer, architecture
from nndynbench.graphs.weights import WeightsLike, tensors

# Where training code puts the state dict in a checkpoint that holds more.
STATE_KEYS = (
    *("state_dict", "model_state_dict", "net_state_dict", "model_state", "model", "module", "network", "net", "weights"),
    *("params", "state"),
)

# What else training code keeps tensors of a network's shapes for.
NO_STATES = re.compile(r"(?i)optim|sched|scaler|ema|teacher|average|rng|exp_avg|momentum|grad")

# Types of floating-point numbers, as numpy and torch call them, that norms and centralities are computed of.
FLOATING = ("float16", "bfloat16", "float32", "float64", "float128", "longdouble")

# So many tensors are listed in an error.
LISTED = 20

# Of how many numbers in names every order is tried: k numbers have k! of them.
MOST_TRIED = 5

# What is left of a weight that is computed from others when it is used.
PARTS = {
    "weight_norm": re.compile(r"(^|[./])weight_[gv]$"),
    "spectral_norm or pruning": re.compile(r"(^|[./])weight_orig$"),
    "a parametrization (weight_norm, spectral_norm, …)": re.compile(r"(^|[./])parametrizations[./]weight[./]original\d*$"),
}

# How the names of weights begin that are no layers of the graph: shortcuts' and those beside the network.
BESIDE = ("shortcut", "downsample", "skip", "proj", "identity", "bypass", "aux", "ema", "teacher")


class NamingError(NndynbenchError, ValueError):
    """Tensors that cannot be told to be this architecture's, or not which of its layers.

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

    A layer's weight is, first, the tensor of its name, whatever prefix the names of all tensors, or of all layers, share
    (``module.``, ``_orig_mod.``, …). Where a layer has none of its name and shape, it and all others of its shape are
    matched in the order of the names, which must differ in numbers alone (``features.3.weight`` before
    ``features.10.weight``): whoever counts convs from 0 has another layer's name on some of them. Tensors that are no
    weights of layers are left out: those of fewer axes (batch norm's), buffers, and shortcuts by name (``downsample``,
    ``shortcut``, …). A checkpoint that holds its state dict under a usual key (``state_dict``, ``model``, …) may be given
    whole.

    Raises
    ------
    NamingError
        Saying which layer has no tensor or could have several, which layers' weights are left over (then it is another
        network), which weight's bias is not of its outputs (then it is a transposed conv's), and which tensors hold no
        floating-point values or only parts of a weight (weight_norm, spectral_norm).

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
    """The tensors by name: under a usual key, directly, or in the one place below that holds matrices."""
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
    """The mappings in a checkpoint that hold tensors of two or more axes, by where they are."""
    if any(len(getattr(value, "shape", ())) > 1 for value in checkpoint.values()):
        return {place or "(the file itself)": checkpoint}
    found: dict[str, Mapping[str, Any]] = {}
    for key, value in checkpoint.items():
        if isinstance(value, Mapping) and not NO_STATES.search(str(key)):
            found |= _states(value, f"{place}.{key}".removeprefix("."))
    return found


def _contents(checkpoint: Mapping[str, Any]) -> str:
    """What a checkpoint holds, in words: ``epoch (int), optimizer (dict of 2: state, param_groups)``."""
    return _listing(f"{key} ({_kind(value)})" for key, value in checkpoint.items()) or "it is empty"


def _kind(value: Any) -> str:
    if hasattr(value, "shape"):
        return f"{tuple(value.shape)} {_dtype(value)}"
    if isinstance(value, Mapping):
        return f"{type(value).__name__} of {len(value)}: {_listing(map(str, value), 5)}" if value else "empty dict"
    return type(value).__name__


def _dtype(tensor: Any) -> str:
    return str(getattr(tensor, "dtype", "unknown")).removeprefix("torch.")


def _listing(parts: Iterable[str], most: int = LISTED) -> str:
    listed = list(parts)
    return ", ".join(listed[:most]) + (f" and {len(listed) - most} more" if len(listed) > most else "")


def _without_common_prefix(found: dict[str, Any]) -> dict[str, Any]:
    """The tensors without what the names of all of two axes or more begin with; others may stand beside these."""
    while matrices := [key for key, value in found.items() if len(value.shape) > 1]:
        first = {key.partition(".")[0] for key in matrices}
        if len(first) > 1 or not all("." in key for key in matrices):
            break
        found = {key.removeprefix(f"{min(first)}."): value for key, value in found.items()}
    return found


def _with_and_without_prefixes(names: Iterable[str]) -> list[dict[str, str]]:
    """By name: the names as they are, and without the parts that all of them begin with, one after the other."""
    ways = [{name: name for name in names}]
    while len({name.partition(".")[0] for name in ways[-1].values()}) == 1 and all("." in n for n in ways[-1].values()):
        ways.append({name: rest.partition(".")[2] for name, rest in ways[-1].items()})
    return ways


def _check_whole(found: Iterable[str]) -> None:
    """Raise where a weight is in parts: none of them is the weight."""
    for key in found:
        if origin := part_of_a_weight(key):
            raise NamingError(
                f"{key!r} is a part of a weight under {origin}, which is not supported: remove it from the module "
                "(remove_weight_norm, remove_spectral_norm, prune.remove, remove_parametrizations) and save the weights"
            )


def part_of_a_weight(key: str) -> str | None:
    """What a tensor of this name is a part of a weight for; None where it is none."""
    return next((origin for origin, pattern in PARTS.items() if pattern.search(key)), None)


def no_layers_bias(stem: str, shapes: Mapping[str, tuple[int, ...]]) -> str | None:
    """Why the weight at ``stem`` is no conv's or linear layer's, as its bias says; None where it may be one."""
    weight, bias = shapes[f"{stem}weight"], shapes.get(f"{stem}bias", shapes[f"{stem}weight"][:1])
    if bias == weight[:1]:
        return None
    what = "is a transposed conv's" if len(weight) > 2 and len(bias) == 1 else "is no conv's or linear layer's"
    return f"'{stem}weight' {what}: its shape is {weight}, and that of its bias {bias}, not {weight[:1]}"


def _check_none_left(shapes: Mapping[str, tuple[int, ...]], taken: set[str], described: Architecture) -> None:
    """Raise where other weights of layers are left over."""
    left = [key for key, shape in shapes.items() if key not in taken and len(shape) > 1 and _is_layers_weight(key)]
    if left:
        raise NamingError(
            f"the checkpoint has weights that {described.name} has no layer for: {', '.join(left)}. It is another "
            "network's, or these are no layers of it (shortcuts, other heads): then leave them out"
        )


def _is_weight(key: str) -> bool:
    return key.split(".")[-1] == "weight"


def _is_layers_weight(key: str) -> bool:
    return _is_weight(key) and not any(word.startswith(BESIDE) for word in re.split(r"[^a-z]+", key.lower()))


def _floating(key: str, found: Mapping[str, Any]) -> Any:
    """The tensor of this name, if it has floating-point values."""
    tensor = found[key]
    if getattr(tensor, "is_meta", False):
        raise NamingError(f"{key!r} is on the meta device: it has a shape and no values")
    kind = _dtype(tensor)
    if kind not in FLOATING:
        raise NamingError(
            f"{key!r} has values of type {kind}: weights are real floating-point numbers of 16 bits or more. Save them as "
            "float32"
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
            f"{described.name} has {len(wanting)} layer(s) of shape {shape} ({names}), not all of which a tensor is named "
            f"after; the checkpoint has {len(candidates)} tensor(s) of it{': ' if candidates else ''}{', '.join(candidates)}"
            + (f" (no name of a weight, which ends in '.weight': {_listing(others)})" if others else "")
            + ("" if candidates or others else f". It holds {_shown(shapes)}")
        )
    order = _in_order(candidates, wanting, shapes, described) if len({*map(_pattern, candidates)}) == 1 else None
    if order is None:
        raise NamingError(
            f"which of {', '.join(candidates)} are the layers {names} of {described.name}? All have shape {shape}, and "
            f"their names do not say the order: rename them to {names}"
        )
    return order


def _in_order(
    candidates: list[str], wanting: list[Layer], shapes: Mapping[str, tuple[int, ...]], described: Architecture
) -> list[str] | None:
    """Names that differ in numbers alone, in the order that these say; None where they do not.

    Of several numbers, any may count first (blocks, or the convs in them). It is told by the shapes of all tensors named in
    this way, whose order is the architecture's, else by the layers' own names, if theirs count alike from left to right.
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
    return _listing(f"{key} {shape}" for key, shape in shapes.items() if len(shape) > 1) or "no tensor of two axes or more"


def _pattern(key: str) -> str:
    return re.sub(r"\d+", "#", key)


def _numbers(key: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", key))


def _varying(numbers: Iterable[tuple[int, ...]]) -> list[int]:
    """The places of the numbers that are not the same in all names, without those that only repeat another one's count."""
    places: dict[tuple[int, ...], int] = {}
    for place, values in enumerate(zip(*numbers, strict=False)):
        if len(ranked := {value: rank for rank, value in enumerate(sorted({*values}))}) > 1:
            places.setdefault(tuple(ranked[value] for value in values), place)
    return list(places.values())


def _ranks(names: list[str]) -> list[tuple[int, ...]]:
    """By name, how many values each number that varies has below its own."""
    numbers = [_numbers(name) for name in names]
    values = {place: sorted({each[place] for each in numbers}) for place in _varying(numbers)}
    return [tuple(below.index(each[place]) for place, below in values.items()) for each in numbers]
