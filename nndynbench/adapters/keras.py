"""Record a run of Keras 3 on the torch backend: ``model.fit(…, callbacks=[RecordRun("runs/first", …)])``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from os import PathLike
from typing import Any

import keras

from nndynbench.adapters.metrics import ONE_RUN, EpochCurves, in_step
from nndynbench.graphs import Architecture, Weights, describe
from nndynbench.recording import Recorder
from nndynbench.recording.layouts import from_channels_last
from nndynbench.recording.record import RunError
from nndynbench.stopping import StopEarly

CURVES = {"train_loss": "loss", "train_accuracy": "accuracy", "validation_accuracy": "val_accuracy"}
LAYERS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D, keras.layers.Dense)
SETTING = "Set validation_freq=1 to log validation metrics in every epoch."


class RecordRun(keras.callbacks.Callback):
    """Records a run's curves and early snapshots; end it with ``recorder.finish(test_accuracy=…)``.

    Snapshots are of the conv and dense layers, in torch's layout and in the order in which the model lists them.

    Parameters
    ----------
    folder, hyperparameters
        As `nndynbench.Recorder` takes them; ``options`` are its other arguments.
    curves
        The log of each curve. A run has the curves of its first epoch.
    fractions
        Whether accuracies are logged from 0 to 1, as Keras logs its own.
    stop
        A rule that ends the training early; the run is then recorded as stopped.
    """

    def __init__(
        self,
        folder: str | PathLike[str],
        *,
        hyperparameters: Mapping[str, Any] | None = None,
        curves: Mapping[str, str] = CURVES,
        fractions: bool = True,
        stop: StopEarly | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        self.recorder: Recorder | None = None
        self._opening = folder, hyperparameters, options
        self._curves = EpochCurves(curves, fractions=fractions, setting=SETTING)
        self._stop = stop
        self._recorded: Any = None

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        if self.recorder is not None and (self.recorder.finished or self._recorded is not self.model):
            raise RunError(ONE_RUN.format(self.recorder.folder))

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        if self.recorder is None:  # ``epoch`` counts from 0: the training has so many behind it
            folder, hyperparameters, options = self._opening
            options = {"architecture": described(self.model), **in_step(options, epoch, is_sure=False)}
            self.recorder = Recorder(folder, weights_of(self.model), hyperparameters=hyperparameters, **options)
            self._recorded = self.model

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        if self.recorder is None or self.recorder.finished:
            return
        self._curves.record(self.recorder, logs or {}, weights=weights_of(self.model))
        if self._stop is not None and self._stop.ends(self.recorder):
            self.model.stop_training = True


def weights_of(model: Any) -> Weights:
    """A model's conv and dense weights by the names of its layers, in torch's layout. A layer of a model within the model is
    called ``MODEL.LAYER``.
    """
    kernels = {}
    for name, layer in _layers(model):
        if isinstance(layer, LAYERS):
            bias = keras.ops.convert_to_numpy(layer.bias) if layer.use_bias else None
            kernels[name] = (keras.ops.convert_to_numpy(layer.kernel), bias)
    return from_channels_last(kernels)


def described(model: Any) -> Architecture:
    """The architecture of a model's conv and dense layers. It has no graph if other layers have weights that connect values
    with each other, or if these layers do not follow each other as the model lists them.
    """
    weights = weights_of(model)
    # In the model's own order, which is known also where the names are in alphabetical order.
    found = describe(weights, order=[key.removesuffix(".weight") for key in weights if key.endswith(".weight")] or None)
    if found.no_graph is None and (reason := _broken_chain(model)):
        found = replace(found, no_graph=reason, classes=0)
    for name, layer in _layers(model):
        connects = any(len(values.shape) > 1 for values in layer.weights)
        if connects and not isinstance(layer, (*LAYERS, keras.layers.PReLU)) and found.no_graph is None:
            what = f"{name!r} is a {type(layer).__name__}: the rolled graph is defined for convs and linear layers"
            found = replace(found, no_graph=what, classes=0)
    return found


class _NoChainError(Exception):
    """Why a model's layers do not follow each other as it lists them."""


def _broken_chain(model: Any) -> str | None:
    """Why the conv and dense layers do not follow each other as the model lists them; None if they do, but for values that
    are added unchanged to later ones.
    """
    for name, layer in _layers(model):
        if getattr(layer, "groups", 1) != 1:
            return f"{name!r} is a conv of {layer.groups} groups: its filters do not see all channels"
        if isinstance(layer, keras.layers.Permute):
            return f"{name!r} is a Permute: it moves values, so the layer behind it does not see the nodes before it"
    try:
        called = _chain(model)
    except _NoChainError as reason:
        return str(reason)
    listed = tuple(name for name, layer in _layers(model) if isinstance(layer, LAYERS))
    if called != listed:
        return f"the layers are called in another order than the model lists them ({', '.join(listed)}), or not all of them"
    return None


def _chain(model: Any, within: str = "") -> tuple[str, ...]:
    """The conv and dense layers from a model's input to its output, by name."""
    if isinstance(model, keras.Sequential):
        return tuple(name for layer in model.layers for name in _called(layer, within))
    if not hasattr(model, "_nodes_by_depth"):
        own = tuple(f"{within}{name}" for name, layer in _layers(model) if isinstance(layer, LAYERS))
        if len(own) > 1:
            raise _NoChainError("the order in which a subclassed model calls its layers is not known; give architecture=")
        return own
    if len(model.inputs) > 1 or len(model.outputs) > 1:
        raise _NoChainError(
            f"the model has {len(model.inputs)} inputs and {len(model.outputs)} outputs: the graph has one each"
        )
    paths: dict[int, tuple[str, ...]] = {}
    for _, nodes in sorted(model._nodes_by_depth.items(), reverse=True):
        for node in nodes:
            path = _joined([paths[id(value)] for value in node.input_tensors], node.operation)
            added = _called(node.operation, within)
            if twice := set(path) & set(added):
                raise _NoChainError(f"{min(twice)!r} is used twice: a layer of the graph has only one place")
            paths |= {id(value): path + added for value in node.output_tensors}
    return paths[id(model.outputs[0])]


def _called(operation: Any, within: str) -> tuple[str, ...]:
    """The conv and dense layers that an operation is, or has in it."""
    name = f"{within}{operation.name}"
    if hasattr(operation, "layers"):
        return _chain(operation, f"{name}.")
    return (name,) if isinstance(operation, LAYERS) else ()


def _joined(branches: list[tuple[str, ...]], operation: Any) -> tuple[str, ...]:
    """The path to a value that is made from several: the longest, if the others are earlier values on it that are added."""
    longest = max(branches, key=len, default=())
    others = [branch for branch in branches if branch != longest]
    kind = type(operation).__name__
    if others and kind != "Add":
        raise _NoChainError(f"{operation.name!r} joins {len(branches)} branches by {kind}: only shortcuts are represented")
    for branch in others:
        if branch != longest[: len(branch)]:
            raise _NoChainError(f"{operation.name!r} adds a branch with a layer of its own, {branch[-1]!r}")
    return longest


def _layers(model: Any, within: str = "") -> Iterator[tuple[str, Any]]:
    for layer in model.layers:
        name = f"{within}{layer.name}"
        yield from _layers(layer, f"{name}.") if hasattr(layer, "layers") else ((name, layer),)
