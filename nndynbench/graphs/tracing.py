"""Follows the input through a torch module with torch.fx: within wrappers, with default arguments, with sizes.

Sizes of inputs are unknown at first. If a module computes with them (a loop over ``x.size()``, ``int(x.numel() / n)``), it
is traced again with the first usual image size that all its layers accept.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from nndynbench.errors import NndynbenchError
from nndynbench.graphs.derived import unwrapped

if TYPE_CHECKING:
    from torch import fx, nn

# Heights and widths of images to try, the usual ones first.
SIZES = (32, 28, 224, 64, 96, 16, 8, 48, 128, 299, 227, 256, 36, 40, 56, 112, *range(1, 65))

BATCH = 2


class UntraceableError(NndynbenchError, ValueError):
    """The input cannot be followed through a module; the message names the part and the reason."""


class SizeError(NndynbenchError, ValueError):
    """A layer does not accept an input of this size."""


def trace(module: nn.Module, is_layer: Callable[[Any], bool], input_shape: tuple[int, ...] | None = None) -> fx.Graph:
    """Record a module's forward pass in evaluation mode, its layers and torch's own modules as single steps.

    Raises
    ------
    UntraceableError
        If a forward cannot be followed; names the module and the reason.
    """
    if input_shape is not None:
        try:
            return _traced(module, is_layer, (BATCH, *_checked(input_shape)))
        except SizeError as reason:
            raise UntraceableError(f"an input of shape {input_shape} does not go through the module: {reason}") from reason
    try:
        return _traced(module, is_layer, None)
    except UntraceableError as unsized:
        for shape in _shapes(module, is_layer):
            try:
                return _traced(module, is_layer, shape)
            except SizeError:
                continue
            except UntraceableError:
                break
        raise unsized


def _checked(shape: Iterable[int]) -> tuple[int, ...]:
    try:
        sizes = tuple(operator.index(size) for size in shape)
    except TypeError:
        sizes = ()
    if not sizes or min(sizes) < 1 or isinstance(shape, str):
        raise UntraceableError(
            f"input_shape must be that of one input, such as (3, 32, 32), in whole numbers from 1 on, not {shape!r}"
        )
    return sizes


def _traced(module: nn.Module, is_layer: Callable[[Any], bool], shape: tuple[int, ...] | None) -> fx.Graph:
    tracer = _tracer(is_layer, shape)
    try:
        graph: fx.Graph = tracer.trace(module)
    except SizeError:
        raise
    except Exception as reason:  # whatever a user's forward raises when fx runs it
        inside = tracer.entered[-1] if tracer.entered else None
        part = f"{inside!r}, a {type(module.get_submodule(inside)).__name__}" if inside else "the module"
        first = next(iter(str(reason).splitlines()), type(reason).__name__)
        raise UntraceableError(
            f"torch.fx cannot follow the input through {part}: {first}. If its forward depends on values of the input, "
            "pass from_module a part that does not; if on its size, give input_shape=(channels, height, width)"
        ) from reason
    return graph


def _shapes(module: nn.Module, is_layer: Callable[[Any], bool]) -> Iterator[tuple[int, ...]]:
    """Shapes of inputs that the first layer may accept."""
    first = next((each for each in module.modules() if is_layer(each)), None)
    weight = getattr(first, "weight", None)
    if weight is None or 0 in weight.shape:
        return
    axes = weight.ndim - 2
    for size in SIZES if axes else (1,):
        yield (BATCH, weight.shape[1], *(size,) * axes)


def _tracer(is_layer: Callable[[Any], bool], shape: tuple[int, ...] | None) -> Any:
    from torch import fx

    class Tracer(fx.Tracer):
        """Enters wrappers, which torch.fx takes for single steps; passes no argument that has a default."""

        def __init__(self) -> None:
            super().__init__()
            # The modules whose forward is running, also if it was left by an error.
            self.entered: list[str] = []
            self.sizes = None if shape is None else _Sizes(shape, self)

        def is_leaf_module(self, module: nn.Module, name: str) -> bool:
            return is_layer(module) or super().is_leaf_module(module, name)

        def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: Any) -> Any:
            measuring = self.sizes is not None and self.sizes.measuring
            return attr_val if measuring else super().getattr(attr, attr_val, parameter_proxy_cache)

        def call_module(self, m: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
            # ``m.forward``, not ``forward``, which is m's call: users' hooks would get values that stand for tensors.
            if self.sizes is not None and self.sizes.measuring:
                return m.forward(*args, **kwargs)
            inner = unwrapped(m)
            if inner is not m:
                return inner(*args, **kwargs)
            self.entered.append(self.path_of_module(m))
            result = super().call_module(m, m.forward, args, kwargs)
            self.entered.pop()
            return result

        def create_args_for_root(self, root_fn: Any, is_module: bool, concrete_args: Any = None) -> Any:
            names, named = _wanted(root_fn)
            given = {name: self.create_proxy("placeholder", name, (), {}) for name in (*names, *named)}
            function = partial(root_fn, **{name: given[name] for name in named})
            return function, [self.root, *(given[name] for name in names)]

        def proxy(self, node: fx.Node) -> fx.Proxy:
            return super().proxy(node) if self.sizes is None else _sized_proxy(node, self)

        def create_proxy(self, kind: str, target: Any, args: Any, kwargs: Any, *rest: Any, **options: Any) -> Any:
            made = super().create_proxy(kind, target, args, kwargs, *rest, **options)
            if self.sizes is not None and kind != "output":
                self.sizes.record(made.node)
            return made

    return Tracer()


def _wanted(forward: Callable[..., Any]) -> tuple[list[str], list[str]]:
    """The arguments of a forward that have no default, and the first in any case: by position, and by name only."""
    parameters = list(inspect.signature(forward).parameters.values())[1:]
    positional = [each for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    names = [each.name for position, each in enumerate(positional) if not position or each.default is each.empty]
    if not positional and any(each.kind is each.VAR_POSITIONAL for each in parameters):
        names = ["input"]
    named = [each.name for each in parameters if each.kind is each.KEYWORD_ONLY and each.default is each.empty]
    return names, named


class _Sizes:
    """The sizes of all values on the way, by running each step on tensors without values."""

    def __init__(self, shape: tuple[int, ...], tracer: Any) -> None:
        from torch._subclasses.fake_tensor import FakeTensorMode

        self.shape, self.tracer = shape, tracer
        self.mode = FakeTensorMode(allow_non_fake_inputs=True)
        self.values: dict[Any, Any] = {}
        # While a step runs only for its size, the modules in it are not traced.
        self.measuring = False

    def record(self, node: fx.Node) -> None:
        import torch

        self.measuring = True
        try:
            with self.mode, torch.no_grad():
                self.values[node] = self._run(node)
        except Exception as reason:  # whatever a step raises for sizes that do not fit
            raise SizeError(f"{node.name}: {next(iter(str(reason).splitlines()), type(reason).__name__)}") from reason
        finally:
            self.measuring = False

    def _run(self, node: fx.Node) -> Any:
        import torch
        from torch.fx.node import map_arg

        if node.op == "placeholder":
            like = next((each for each in self.tracer.root.parameters() if each.is_floating_point()), torch.empty(0))
            return torch.empty(self.shape, dtype=like.dtype, device=like.device)
        if node.op == "get_attr":
            return operator.attrgetter(str(node.target))(self.tracer.root)
        arguments, options = map_arg((node.args, node.kwargs), self.values.__getitem__)
        if node.op == "call_method":
            return getattr(arguments[0], str(node.target))(*arguments[1:], **options)
        if node.op == "call_function":
            return node.target(*arguments, **options)  # type: ignore[operator]
        module = self.tracer.root.get_submodule(str(node.target))
        # Not the module itself: its hooks would put tensors without values into it.
        return module.forward(*arguments, **options)


def _sized_proxy(node: fx.Node, tracer: Any) -> fx.Proxy:
    from torch import fx

    class Sized(fx.Proxy):
        """A value whose sizes are numbers."""

        @property
        def shape(self) -> Any:
            return tracer.sizes.values[self.node].shape

        @property
        def ndim(self) -> int:
            return len(self.shape)

        def size(self, dim: int | None = None) -> Any:
            return self.shape if dim is None else self.shape[dim]

        def dim(self) -> int:
            return self.ndim

        def numel(self) -> int:
            return int(self.shape.numel())

        nelement = numel

        def __len__(self) -> int:
            return int(self.shape[0])

    return Sized(node, tracer)
