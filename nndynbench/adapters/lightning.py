"""Record a run of PyTorch Lightning: ``Trainer(callbacks=[RecordRun("runs/first", …)])``."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from os import PathLike
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from nndynbench.adapters.metrics import ONE_RUN, CurvesWarning, EpochCurves, in_step, percent
from nndynbench.recording import Recorder
from nndynbench.recording.record import RunError
from nndynbench.stopping import StopEarly

CURVES = {"train_loss": "train_loss", "train_accuracy": "train_accuracy", "validation_accuracy": "validation_accuracy"}
SETTING = (
    "Set check_val_every_n_epoch=1 to log validation metrics in every epoch, and self.log(…, on_epoch=True) for training "
    "metrics."
)


class RecordRun(Callback):
    """Records a run's curves, early snapshots and outcome. ``recorder`` is the `nndynbench.Recorder`, once training has
    begun.

    Parameters
    ----------
    folder, hyperparameters
        As `nndynbench.Recorder` takes them; by default hyperparameters are the module's own ``hparams``. ``options`` are the
        recorder's other arguments.
    curves
        The metric that the module logs for each curve. A run has the curves of its first epoch.
    test_accuracy
        The metric from ``trainer.test`` that is the outcome.
    fractions
        Whether accuracies are logged from 0 to 1, as torchmetrics' are.
    network
        A function from the module to the network in it, if the network is only a part of the module.
    stop
        A rule that ends the training early; the run is then recorded as stopped.
    """

    def __init__(
        self,
        folder: str | PathLike[str],
        *,
        hyperparameters: Mapping[str, Any] | None = None,
        curves: Mapping[str, str] = CURVES,
        test_accuracy: str = "test_accuracy",
        fractions: bool = True,
        network: Callable[[LightningModule], Any] | None = None,
        stop: StopEarly | None = None,
        **options: Any,
    ) -> None:
        self.recorder: Recorder | None = None
        self._opening = folder, hyperparameters, options
        self._curves = EpochCurves(curves, fractions=fractions, setting=SETTING)
        self._test_accuracy, self._fractions = test_accuracy, fractions
        self._network, self._stop = network, stop
        self._before: dict[str, Any] = {}
        self._has_ended = False  # an epoch that is not recorded yet
        self._stops = False
        self._recorded: LightningModule | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # Not on_fit_start: the trainer does not know yet how many epochs it has behind it.
        if not trainer.is_global_zero:
            return
        if self.recorder is not None:
            if self.recorder.finished or self._recorded is not pl_module:
                raise RunError(ONE_RUN.format(self.recorder.folder))
            return
        folder, hyperparameters, options = self._opening
        given = dict(pl_module.hparams) if hyperparameters is None else hyperparameters
        network = pl_module if self._network is None else self._network(pl_module)
        self.recorder = Recorder(folder, network, hyperparameters=given, **in_step(options, trainer.current_epoch))
        self._recorded = pl_module

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._stops = self._record(trainer, is_last_chance=True)
        self._before = dict(trainer.callback_metrics)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        # Not when the epoch begins: a module's on_train_epoch_end may need a batch.
        trainer.should_stop |= self._stops

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._has_ended = True
        # What the module logs in its own on_train_epoch_end, which comes after this, is there when the next epoch begins.
        trainer.should_stop |= self._record(trainer, is_last_chance=False)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._record(trainer, is_last_chance=True)

    def _record(self, trainer: Trainer, *, is_last_chance: bool) -> bool:
        """Record the epoch that has ended, if there is one that is not recorded yet, once all its curves are logged. Return
        whether to stop.
        """
        metrics, stops = trainer.callback_metrics, False  # every process asks: some are computed by all of them together
        if self._has_ended and self.recorder is not None and not self.recorder.finished:
            # The trainer keeps a metric's tensor until it is logged anew, so an unchanged one is from an earlier epoch.
            logged = {name: value for name, value in metrics.items() if value is not self._before.get(name)}
            if is_last_chance or self._curves.are_in(logged, self.recorder):
                self._has_ended = False
                self._curves.record(self.recorder, logged)
                stops = self._stop is not None and self._stop.ends(self.recorder)
        if self._stop is None:
            return False
        # The first process alone records and judges; the others would wait forever for one that stopped without them.
        return bool(trainer.strategy.reduce_boolean_decision(stops, all=False))

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        logged = trainer.callback_metrics
        if self.recorder is None or self.recorder.finished:
            return
        if self._test_accuracy not in logged:
            there = ", ".join(logged) or "nothing"
            what = (
                f"{self._test_accuracy} was not logged in trainer.test, so the run has no outcome yet; logged were {there}"
            )
            warnings.warn(f"{self.recorder.folder}: {what}. Name its metric as test_accuracy=", CurvesWarning, stacklevel=2)
        else:
            accuracy = percent(float(logged[self._test_accuracy]), self._test_accuracy, fractions=self._fractions)
            self.recorder.finish(test_accuracy=accuracy)
