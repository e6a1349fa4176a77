"""Architectures as data: the chain of layers from which both torch modules and graphs are made.

``architectures.toml`` beside this file holds one entry per architecture; a file of one's own may hold another.
`architecture` reads an entry, expands residual stages into their convs, and works out every layer's shapes. Any other
network is described only by the shapes of its layers' tensors (`nndynbench.graphs.describe`).
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from numbers import Integral
from os import PathLike
from pathlib import Path
from typing import Any

from nndynbench.errors import NndynbenchError
from nndynbench.names import check_name

BOTTLENECK_EXPANSION = 4

# The kind of a conv or fully connected layer of which only the shape of its weight tensor is known.
TENSOR = "tensor"

# The numbers in a layer's entry, by its kind, and the least that each may be.
NUMBERS: Mapping[str, Mapping[str, int]] = {
    "conv": {"filters": 1, "kernel": 1, "stride": 1, "padding": 0},
    "max-pool": {"kernel": 1, "stride": 1, "padding": 0},
    "fc": {"units": 1},
    "basic-blocks": {"blocks": 1, "filters": 1, "stride": 1},
    "bottlenecks": {"blocks": 1, "filters": 1, "stride": 1},
}

KINDS = (*NUMBERS, "average-pool", "dropout", TENSOR)

# The numbers that the entry of a conv or a pooling layer may leave out.
WITH_DEFAULTS = {"conv": ("stride", "padding"), "max-pool": ("padding",)}

# The facts in an architecture's entry.
FACTS = ("family", "input_shape", "classes", "initialisation", "layers", "no_graph")


DEFAULT_INITIALISATION = {"conv": "pytorch", "fc": "pytorch", "bias": "pytorch"}

# How weights may be drawn, see `nndynbench.graphs.random_weights`; the last one takes any deviation in place of 0.01.
RULES = ("pytorch", "kaiming-normal-fan-in", "kaiming-normal-fan-out", "zero", "normal-0.01")
NORMAL = "normal-"


class ArchitectureError(NndynbenchError, ValueError):
    """A description of an architecture cannot be read; the message names the file, the layer and what is wrong.

    Examples
    --------
    >>> from nndynbench import graphs
    >>> try:
    ...     graphs.architecture({"name": "mine", "layers": [{"kind": "tensor", "name": "fc1"}]})
    ... except graphs.ArchitectureError as error:
    ...     print(error)
    a description: mine: lacks 'shape'
    """


@dataclass(frozen=True)
class Layer:
    """One layer of an architecture.

    ``kind`` is "conv", "max-pool", "average-pool", "fc" or "dropout". Shapes are (channels, height, width), and
    (units,) from the second fully connected layer on.

    Examples
    --------
    >>> from nndynbench.graphs import architecture
    >>> conv1 = architecture("digits-lenet").weighted_layers[0]
    >>> conv1.kind, conv1.weight_shape, conv1.has_bias
    ('conv', (4, 1, 3, 3), True)
    """

    kind: str
    name: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    kernel: int = 1
    stride: int = 1
    padding: int = 0
    batch_norm: bool = False
    shape: tuple[int, ...] = ()
    """The shape of the weight tensor, where only this is known."""

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """Shape of the layer's weight tensor, as torch stores it; empty for layers without weights."""
        if self.shape:
            return self.shape
        if self.kind == "conv":
            return (self.output_shape[0], self.input_shape[0], self.kernel, self.kernel)
        if self.kind == "fc":
            return (self.output_shape[0], math.prod(self.input_shape))
        return ()

    @property
    def has_bias(self) -> bool:
        return self.kind in ("conv", "fc") and not self.batch_norm


@dataclass(frozen=True)
class Architecture:
    """A chain of layers. ``entries`` are the layers as described, with whole residual stages; modules are built from them.
    ``layers`` are the same, expanded into single convs, pools and fully connected layers; graphs are built from them.

    Examples
    --------
    >>> from nndynbench.graphs import architecture
    >>> architecture("digits-lenet").layer_sizes
    {'input': 1, 'conv1': 4, 'conv2': 8, 'fc1': 16, 'fc2': 12, 'fc3': 10}
    """

    name: str
    family: str
    input_shape: tuple[int, int, int]
    classes: int
    initialisation: Mapping[str, str]
    entries: tuple[Mapping[str, Any], ...]
    layers: tuple[Layer, ...]
    no_graph: str | None = None
    """Why the weights are not a graph, if they are none; curves, hyperparameters and features can still be used."""

    @property
    def description(self) -> dict[str, Any]:
        """All that `architecture` needs to make the same architecture again, as plain JSON."""
        return {
            "name": self.name,
            "family": self.family,
            "input_shape": list(self.input_shape),
            "classes": self.classes,
            "initialisation": dict(self.initialisation),
            "layers": [dict(entry) for entry in self.entries],
        } | ({"no_graph": self.no_graph} if self.no_graph is not None else {})

    @property
    def weighted_layers(self) -> tuple[Layer, ...]:
        """The conv and fully connected layers, in order: those whose weights are the graph's edges."""
        return tuple(layer for layer in self.layers if layer.kind in ("conv", "fc"))

    @property
    def input_layer(self) -> str:
        """The name of the graph's first layer: "input", unless another layer is called so."""
        return input_beside(layer.name for layer in self.layers)

    @property
    def layer_sizes(self) -> dict[str, int]:
        """Nodes of each layer of the rolled graph: ``{"input": 3, "conv1": 6, …}``."""
        layers = self.weighted_layers
        if not layers:
            return {}
        return {self.input_layer: layers[0].input_shape[0], **{layer.name: layer.output_shape[0] for layer in layers}}

    @property
    def layer_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each layer's weight tensor, as torch stores it: ``{"conv1": (6, 3, 5, 5), …}``."""
        return {layer.name: layer.weight_shape for layer in self.weighted_layers}

    @property
    def layers_in_words(self) -> str:
        """The layers with their weights' shapes, for messages: "conv1 6×3×5×5, …"."""
        named = (f"{name} {'×'.join(map(str, shape))}" for name, shape in self.layer_shapes.items())
        return ", ".join(named) or "no weights"

    @property
    def projections(self) -> tuple[Layer, ...]:
        """The convs of projection shortcuts, which are not edges of the graph; each stage of bottlenecks has one."""
        convs = {layer.name: layer for layer in self.layers}
        stages = [entry for entry in self.entries if entry["kind"] == "bottlenecks"]
        return tuple(
            replace(
                convs[f"{stage['name']}.0.conv3"],
                name=f"{stage['name']}.0.downsample.0",
                input_shape=convs[f"{stage['name']}.0.conv1"].input_shape,
                stride=stage["stride"],
            )
            for stage in stages
        )

    def batch_norm_of(self, conv: Layer) -> str:
        """The name of the batch norm after a conv; in a network of bottlenecks, the name that torchvision uses."""
        if not self.projections:
            return f"{conv.name}_norm"
        stem, _, last = conv.name.rpartition(".")
        own = "1" if stem.endswith("downsample") else last.replace("conv", "bn")
        return f"{stem}.{own}" if stem else own

    def with_input_shape(self, shape: tuple[int, int, int]) -> Architecture:
        """The same layers over inputs of another shape (channels, height, width).

        Raises
        ------
        ValueError
            For inputs that are too small for the layers; names the layer at which nothing is left.
        """
        return replace(self, input_shape=shape, layers=tuple(_chain(self.entries, shape)))


def architecture_names() -> list[str]:
    """The names of all architectures that the package describes, such as ``cifar10-vgg``.

    Examples
    --------
    >>> from nndynbench import graphs
    >>> "cifar10-vgg" in graphs.architecture_names()
    True
    """
    return list(_descriptions())


def architecture(name: str | PathLike[str] | Mapping[str, Any] | Architecture, *, width: float = 1.0) -> Architecture:
    """Return the architecture called ``name``.

    ``width`` scales the filters of every conv and the units of every hidden fully connected layer (rounded, at least 1). The
    name may also give the width: ``architecture("digits-lenet@0.5")``. Instead of a name, ``name`` may be a path that ends
    in ``.toml``, of a file of one's own with one entry like those of ``nndynbench/graphs/architectures.toml``; or a mapping,
    as `Architecture.description` returns it; or an `Architecture`, which is returned as it is.

    Raises
    ------
    UnknownNameError
        For a name that is not described, and for a file whose initialisation is not a rule for drawing weights.
    ArchitectureError
        For a file or mapping that does not describe an architecture; names it and what is wrong.
    ValueError
        For a width that is not positive.

    Examples
    --------
    >>> from nndynbench import graphs
    >>> graphs.architecture("cifar10-lenet").classes
    10
    """
    if isinstance(name, Architecture):
        return name
    if isinstance(name, Mapping):
        facts = {key: value for key, value in name.items() if key != "name"}
        return _built(str(name.get("name", "unnamed")), facts, width, where="a description")
    text = str(name)
    if match := re.fullmatch(r"(.+)@([0-9]+(?:\.[0-9]+)?)", text):
        text, width = match[1], float(match[2])
    if not width > 0:
        raise ValueError(f"width must be positive, not {width!r}")
    if text.endswith(".toml"):
        from nndynbench.storage.files import user_path

        return _from_file(user_path(text), width)
    check_name(text, _descriptions(), what="architecture")
    known = _expanded(text, width)
    # The mappings are the caller's own: what is written into them changes no other architecture.
    return replace(known, initialisation=dict(known.initialisation), entries=tuple(map(dict, known.entries)))


@cache
def _descriptions() -> dict[str, dict[str, Any]]:
    return tomllib.loads(files("nndynbench.graphs").joinpath("architectures.toml").read_text(encoding="utf-8"))


@cache
def _expanded(name: str, width: float) -> Architecture:
    return _built(name, _descriptions()[name], width, where="architectures.toml")


def _from_file(path: Path, width: float) -> Architecture:
    try:
        described = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as reason:
        raise ArchitectureError(f"{path} is not valid TOML: {reason}") from reason
    if len(described) != 1 or not isinstance(next(iter(described.values())), dict):
        raise ArchitectureError(
            f"{path} must have exactly one table, named after the architecture, not {', '.join(described) or 'none'}"
        )
    [(name, facts)] = described.items()
    _check_initialisation(facts.get("initialisation", {}), where=f"{path}: {name}")
    if name in _descriptions():
        raise ArchitectureError(f"{path}: the package already describes an architecture named {name}: choose another name")
    return _built(name, facts, width, where=str(path))


def _check_initialisation(given: object, *, where: str) -> None:
    """Raise unless it says how convs, fully connected layers or biases are drawn."""
    if not isinstance(given, Mapping):
        raise ArchitectureError(
            f"{where}: initialisation must be a table of {', '.join(DEFAULT_INITIALISATION)}, not {given!r}"
        )
    for kind, rule in given.items():
        check_name(kind, DEFAULT_INITIALISATION, what=f"key of the initialisation in {where}:")
        check_rule(rule, what=f"initialisation of {kind} in {where}")


def check_rule(rule: object, *, what: str) -> str:
    """Return a rule by which weights may be drawn; raises `UnknownNameError` for any other, with the valid ones."""
    return rule if isinstance(rule, str) and _is_normal(rule) else check_name(rule, RULES, what=what)


def input_beside(layers: Iterable[str]) -> str:
    """What the layer of the input's nodes is called beside these: "input", with underscores if one has that name."""
    name, taken = "input", set(layers)
    while name in taken:
        name += "_"
    return name


def _is_normal(rule: str) -> bool:
    """Whether a rule is "normal-" followed by a deviation."""
    try:
        return rule.startswith(NORMAL) and 0 <= float(rule.removeprefix(NORMAL)) < math.inf
    except ValueError:
        return False


def _built(name: str, facts: Mapping[str, Any], width: float, *, where: str) -> Architecture:
    for fact in facts:
        check_name(fact, FACTS, what=f"key of {name} in {where}:")
    described = facts.get("layers")
    if not isinstance(described, (list, tuple)) or not all(isinstance(entry, Mapping) for entry in described):
        raise ArchitectureError(f"{where}: the layers of {name} must be a list of tables")
    try:
        entries = tuple(map(dict, described if width == 1 else _scaled(list(described), width)))
        initialisation = dict(facts.get("initialisation", DEFAULT_INITIALISATION))
        shape = tuple(facts.get("input_shape", ()))
        layers = tuple(_chain(entries, shape))
        units = next((layer.output_shape[0] for layer in reversed(layers) if layer.kind in ("conv", "fc")), 0)
    except (KeyError, TypeError, ValueError) as reason:
        what = f"lacks {reason}" if isinstance(reason, KeyError) else str(reason)
        raise ArchitectureError(f"{where}: {name}: {what}") from reason
    return Architecture(
        name=name if width == 1 else f"{name}@{width:g}",
        family=facts.get("family", name),
        input_shape=shape,
        classes=int(facts.get("classes", units)),
        initialisation=initialisation,
        entries=entries,
        layers=layers,
        no_graph=facts.get("no_graph"),
    )


def _scaled(entries: list[dict[str, Any]], width: float) -> Iterator[dict[str, Any]]:
    if known := [entry["name"] for entry in entries if entry["kind"] == TENSOR]:
        raise ValueError(f"only the shape of layer {known[0]!r} is known, so its width cannot be changed")
    last = max((i for i, entry in enumerate(entries) if entry["kind"] == "fc"), default=None)
    for i, entry in enumerate(entries):
        scaled = [key for key in ("filters", "units") if key in entry and i != last]
        sizes: dict[str, Any] = {key: max(1, round(entry[key] * width)) for key in scaled}
        yield {**entry, **sizes}


def _chain(entries: Iterable[Mapping[str, Any]], shape: tuple[int, ...]) -> Iterator[Layer]:
    given = shape
    names: set[str] = set()
    for entry in entries:
        _check_entry(entry, shape)
        if entry["name"] in names:
            raise ValueError(f"two layers are named {entry['name']!r}: each layer needs a name of its own")
        names.add(entry["name"])
        for layer in _layers_of(entry, shape):
            shape = layer.output_shape
            if min(shape) < 1:
                raise ValueError(f"an input of shape {given} is too small: {layer.name!r} would have the shape {shape}")
            yield layer


def _check_entry(entry: Mapping[str, Any], shape: tuple[int, ...]) -> None:
    """Raise if there can be no layer of this kind, or none after nodes of this shape; names the layer."""
    kind, name = entry["kind"], entry["name"]
    check_name(kind, KINDS, what=f"kind of layer {name!r}:")
    for key, least in NUMBERS.get(kind, {}).items():
        if key not in entry and key not in WITH_DEFAULTS.get(kind, ()):
            raise ValueError(f"layer {name!r} lacks {key}")
        value = entry.get(key, least)
        if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
            raise ValueError(f"layer {name!r} has {value!r} for {key}, which must be a whole number of at least {least}")
    if shape and len(shape) != 3 and kind not in ("fc", "dropout", TENSOR):
        raise ValueError(
            f"layer {name!r} is of kind {kind!r}, which slides along height and width, but the shape before it is {shape}"
        )
    if kind == "conv":
        for key in entry:
            check_name(key, ("kind", "name", *NUMBERS[kind], "batch_norm"), what=f"key of layer {name!r}:")


def _layers_of(entry: Mapping[str, Any], shape: tuple[int, ...]) -> Iterator[Layer]:
    kind, name = entry["kind"], entry["name"]
    if kind == TENSOR:
        own = tuple(entry["shape"])
        nodes = (shape[0],) if shape else own[1:2]
        yield Layer("conv" if len(own) > 2 else "fc", name, nodes, own[:1], shape=own)
    elif not shape:
        raise ValueError(f"layer {name!r} is of kind {kind!r}, which needs the input_shape (channels, height, width)")
    elif kind == "conv":
        yield _conv(name, shape, **{key: value for key, value in entry.items() if key not in ("kind", "name")})
    elif kind == "max-pool":
        kernel, stride, padding = entry["kernel"], entry["stride"], entry.get("padding", 0)
        out = (shape[0], *(_positions(size, kernel, stride, padding) for size in shape[1:]))
        yield Layer(kind, name, shape, out, kernel=kernel, stride=stride, padding=padding)
    elif kind == "average-pool":
        yield Layer(kind, name, shape, (shape[0], 1, 1))
    elif kind == "fc":
        yield Layer(kind, name, shape, (entry["units"],))
    elif kind == "dropout":
        yield Layer(kind, name, shape, shape)
    else:
        for block in range(entry["blocks"]):
            stride = entry["stride"] if block == 0 else 1
            for layer in _residual_block(kind, f"{name}.{block}", shape, entry["filters"], stride):
                yield layer
                shape = layer.output_shape


def _residual_block(kind: str, name: str, shape: tuple[int, ...], filters: int, stride: int) -> Iterator[Layer]:
    # torchvision puts a bottleneck's stride on its 3×3 conv; names follow torchvision too.
    if kind == "basic-blocks":
        convs = [(filters, 3, stride), (filters, 3, 1)]
    else:
        convs = [(filters, 1, 1), (filters, 3, stride), (BOTTLENECK_EXPANSION * filters, 1, 1)]
    for i, (outputs, kernel, step) in enumerate(convs, start=1):
        layer = _conv(f"{name}.conv{i}", shape, outputs, kernel, stride=step, padding=kernel // 2, batch_norm=True)
        yield layer
        shape = layer.output_shape


def _conv(
    name: str, shape: tuple[int, ...], filters: int, kernel: int, stride: int = 1, padding: int = 0, batch_norm: bool = False
) -> Layer:
    out = (filters, *(_positions(size, kernel, stride, padding) for size in shape[1:]))
    return Layer("conv", name, shape, out, kernel=kernel, stride=stride, padding=padding, batch_norm=batch_norm)


def _positions(size: int, kernel: int, stride: int, padding: int) -> int:
    return (size + 2 * padding - kernel) // stride + 1
