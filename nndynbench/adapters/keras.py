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
    with each other.
    """
    found = describe(weights_of(model))
    for name, layer in _layers(model):
        connects = any(len(values.shape) > 1 for values in layer.weights)
        if connects and not isinstance(layer, (*LAYERS, keras.layers.PReLU)) and found.no_graph is None:
            what = f"{name!r} is a {type(layer).__name__}: the rolled graph is defined for convs and linear layers"
            found = replace(found, no_graph=what)
    return found


def _layers(model: Any, within: str = "") -> Iterator[tuple[str, Any]]:
    for layer in model.layers:
        name = f"{within}{layer.name}"
        yield from _layers(layer, f"{name}.") if hasattr(layer, "layers") else ((name, layer),)
