"""Record a run of Hugging Face's Trainer: ``Trainer(…, callbacks=[RecordRun("runs/first", …)])``."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from nndynbench.adapters.metrics import EpochCurves, in_step
from nndynbench.recording import Recorder
from nndynbench.recording.record import RunError
from nndynbench.stopping import StopEarly

CURVES = {"train_loss": "loss", "validation_accuracy": "eval_accuracy"}
SETTING = "Set logging_strategy='epoch' to log the loss in every epoch, and eval_strategy='epoch' for evaluation metrics."


class RecordRun(TrainerCallback):
    """Records a run's curves and early snapshots; end it with ``recorder.finish(test_accuracy=…)``.

    Parameters
    ----------
    folder, hyperparameters
        As `nndynbench.Recorder` takes them; ``options`` are its other arguments. By default hyperparameters are the learning
        rate, the weight decay, the batch size and the seed of the training arguments.
    curves
        The Trainer's log of each curve, whose last value in each epoch is taken. A run has the curves of its first epoch, so
        set ``logging_strategy="epoch"``: by default the Trainer logs every 500 steps. An epoch is recorded once what the
        Trainer logs at its end, and its evaluation, are there.
    fractions
        Whether accuracies are logged from 0 to 1.
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
        self.recorder: Recorder | None = None
        self._opening = folder, hyperparameters, options
        self._curves = EpochCurves(curves, fractions=fractions, setting=SETTING)
        self._stop = stop
        self._logged: dict[str, Any] = {}
        self._has_ended = False  # an epoch that is not recorded yet

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: Any = None, **_: Any
    ) -> None:
        if self._stop is not None and args.world_size > 1:
            raise RunError(
                "stop= ends only the process that records, and the others would wait for it: train in one process"
            )
        self._has_ended = False
        if state.is_world_process_zero:
            folder, hyperparameters, options = self._opening
            own = {
                "learning_rate": args.learning_rate,
                "weight_decay": args.weight_decay,
                "batch_size": args.train_batch_size,
                "seed": args.seed,
            }
            given = own if hyperparameters is None else hyperparameters
            self.recorder = Recorder(folder, model, hyperparameters=given, **in_step(options, int(state.epoch or 0)))

    def on_epoch_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._record(control)
        self._logged = {}

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> None:
        self._logged.update(logs or {})
        if not control.should_evaluate:
            self._record(control)

    def on_epoch_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        # If epochs are evaluated, one of which less than half was trained was cut short by max_steps, and is not recorded.
        is_cut = (
            args.eval_strategy == "epoch"
            and self.recorder is not None
            and round(state.epoch or 0) != self.recorder.epochs + 1
        )
        self._has_ended = not is_cut
        # The loss of the epoch's last steps, and its evaluation, are logged after this.
        if not control.should_log and not control.should_evaluate:
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
        self._record(control)

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._record(control)

    def _record(self, control: TrainerControl) -> None:
        """Record the epoch that has ended, if there is one that is not recorded yet."""
        if not self._has_ended or self.recorder is None or self.recorder.finished:
            return
        self._has_ended = False
        self._curves.record(self.recorder, self._logged)
        if self._stop is not None and self._stop.ends(self.recorder):
            control.should_training_stop = True
