"""Record a run of Hugging Face's Trainer: ``Trainer(…, callbacks=[RecordRun("runs/first", …)])``."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from nndynbench.adapters.metrics import curves_from
from nndynbench.recording import Recorder
from nndynbench.stopping import StopEarly

CURVES = {"train_loss": "loss", "validation_accuracy": "eval_accuracy"}


class RecordRun(TrainerCallback):
    """Keeps a run's curves and early snapshots; end it by ``recorder.finish(test_accuracy=…)``.

    Parameters
    ----------
    folder, hyperparameters
        As `nndynbench.Recorder` takes them; ``options`` are its others. By default hyperparameters are the learning rate,
        the weight decay, the size of a batch and the seed of the training arguments.
    curves
        Which of the Trainer's logs is which curve. An epoch that is evaluated is recorded then, any other at its end.
    fractions
        Whether accuracies are logged from 0 to 1.
    stop
        A rule that ends the training early: the run is then recorded as stopped.
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
        self.recorder: Recorder | None = None
        self._opening = folder, hyperparameters, options
        self._curves, self._fractions, self._stop = dict(curves), fractions, stop
        self._logged: dict[str, Any] = {}

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: Any = None, **_: Any
    ) -> None:
        if state.is_world_process_zero:
            folder, hyperparameters, options = self._opening
            own = {
                "learning_rate": args.learning_rate,
                "weight_decay": args.weight_decay,
                "batch_size": args.train_batch_size,
                "seed": args.seed,
            }
            given = own if hyperparameters is None else hyperparameters
            self.recorder = Recorder(folder, model, hyperparameters=given, **options)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> None:
        self._logged.update(logs or {})

    def on_epoch_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        # What the epoch's last steps lost is logged behind this, and so is its evaluation.
        if args.eval_strategy != "epoch":
            self._record(control)

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> None:
        self._logged.update(metrics or {})
        has_ended = self.recorder is not None and round(state.epoch or 0) == self.recorder.epochs + 1
        if args.eval_strategy == "epoch" and has_ended:
            self._record(control)

    def _record(self, control: TrainerControl) -> None:
        if self.recorder is None or self.recorder.finished:
            return
        self.recorder.epoch(**curves_from(self._logged, self._curves, fractions=self._fractions))
        if self._stop is not None and self._stop.ends(self.recorder):
            control.should_training_stop = True
