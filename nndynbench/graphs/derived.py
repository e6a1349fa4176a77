"""The weights that a torch module would use in its next pass in evaluation mode, and the module within its wrappers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from nndynbench.errors import NndynbenchError

if TYPE_CHECKING:
    from torch import nn

# Wrappers of training code by the names of their classes, and the attribute in which each keeps the network.
WRAPPERS: Mapping[str, str] = {
    "DataParallel": "module",
    "DistributedDataParallel": "module",
    "FullyShardedDataParallel": "module",
    "DeepSpeedEngine": "module",
    "OptimizedModule": "_orig_mod",
    "AveragedModel": "module",
    "ModelEma": "ema",
    "ModelEmaV2": "module",
    "ModelEmaV3": "module",
    "ModelEMA": "module",
    "EMA": "ema_model",
    "ExponentialMovingAverage": "module",
    "_FabricModule": "_original_module",
    "CheckpointWrapper": "_checkpoint_wrapped_module",
}

# What a layer's own tensors are called.
TENSORS = ("weight", "bias")


class DerivedWeightError(NndynbenchError, ValueError):
    """A weight is computed before each pass, in a way that is not known here."""


def unwrapped(module: Any) -> Any:
    """The network within the wrappers of training code (DataParallel, torch.compile, …); without a wrapper, the module."""
    while True:
        place = next((WRAPPERS[kind.__name__] for kind in type(module).__mro__ if kind.__name__ in WRAPPERS), None)
        inner = getattr(module, place, None) if place else None
        if not hasattr(inner, "state_dict"):
            return module
        module = inner


@contextmanager
def in_evaluation_mode(module: nn.Module) -> Iterator[None]:
    """All modules inside in evaluation mode and not compiled, and afterwards as they were; calls none of their methods."""
    modules = list(module.modules())
    before = [(each, each.training, each.__dict__.get("_compiled_call_impl")) for each in modules]
    try:
        for each, _, compiled in before:
            each.training = False
            if compiled is not None:
                each.__dict__["_compiled_call_impl"] = None
        yield
    finally:
        for each, training, compiled in before:
            each.training = training
            if compiled is not None:
                each.__dict__["_compiled_call_impl"] = compiled


def current_tensor(module: Any, name: str) -> Any:
    """A module's weight or bias as its next pass in evaluation mode would use it; None if there is none.

    Weights of the older hooks (weight_norm, spectral_norm, pruning) are computed again: the stored attribute is from the
    last pass, which may have been before the state was loaded. Parametrizations compute their weight whenever it is read.

    Raises
    ------
    DerivedWeightError
        For a weight that another hook computes; names the hook.
    """
    if name in module._parameters or name in getattr(module, "parametrizations", ()):
        return getattr(module, name)
    hooks = list(module._forward_pre_hooks.values())
    for hook in hooks:
        if name in (getattr(hook, "name", None), getattr(hook, "_tensor_name", None)):
            return _computed(hook, module)
    if name not in module._buffers and getattr(module, name, None) is not None and hooks:
        names = ", ".join(getattr(hook, "__qualname__", type(hook).__name__) for hook in hooks)
        raise DerivedWeightError(f"its {name} is computed before each pass by {names}: give it a plain {name} first")
    return getattr(module, name, None)


def _computed(hook: Any, module: Any) -> Any:
    """The weight that one of torch's own hooks would compute; the module stays as it is."""
    if hasattr(hook, "apply_mask"):
        return hook.apply_mask(module)
    if type(hook).__name__ == "SpectralNorm":
        return hook.compute_weight(module, do_power_iteration=False)
    if hasattr(hook, "compute_weight"):
        return hook.compute_weight(module)
    raise DerivedWeightError(f"it is computed before each pass by {type(hook).__name__}: give it plain weights first")


def module_tensors(module: Any) -> dict[str, Any]:
    """A module's state dict; weights and biases that are computed from other tensors are added under their own names."""
    inner = unwrapped(module)
    state = dict(inner.state_dict())
    if not hasattr(inner, "named_modules"):
        return state
    with in_evaluation_mode(inner):
        for place, each in inner.named_modules():
            parts = [part for part in TENSORS if part not in each._parameters and getattr(each, "_forward_pre_hooks", None)]
            parts += [part for part in TENSORS if part in getattr(each, "parametrizations", ())]
            for part in parts:
                if (tensor := current_tensor(each, part)) is not None:
                    state[f"{place}.{part}" if place else part] = tensor
    return state
