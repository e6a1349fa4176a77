"""How a network's record grows with every epoch, and decides when training ends."""

from __future__ import annotations

import numpy as np

from generation.record import EpochRow, FinishedRecord, Record
from generation.runs import NetworkRun, TrainingState
from generation.training.plan import NetworkPlan
from nndynbench.features import layer_features
from nndynbench.graphs import Weights, architecture
from nndynbench.signatures import snapshot_signatures

DEVICE_SEPARATOR = ", then "


def new_record(plan: NetworkPlan, device: str, initial: Weights) -> Record:
    """The record of a network at its initialisation."""
    record = Record(network=plan.network, seed=plan.seed, device=device)
    describe(plan, record, 0, initial, initial)
    return record


def resumed(record: Record, device: str) -> Record:
    """The record of a network that goes on on ``device``: it names all that trained it."""
    if device not in record.device.split(DEVICE_SEPARATOR):
        record.device += DEVICE_SEPARATOR + device
    return record


def add_epoch(record: Record, *, loss: float, accuracy: float, validation: float, seconds: float) -> None:
    """Add the next epoch's row of the curves: mean loss of its batches, accuracies in percent."""
    record.epochs.append(
        EpochRow(
            epoch=len(record.epochs) + 1,
            train_loss=loss,
            train_accuracy=accuracy,
            validation_accuracy=validation,
            seconds=round(seconds, 3),
        )
    )


def is_late(plan: NetworkPlan, epoch: int) -> bool:
    """Whether an epoch is one of the network's last, whose accuracies on the test half `add_late_accuracy` takes."""
    return epoch > int(plan.recipe["epochs"]) - int(plan.recipe["late_epochs"])


def add_late_accuracy(record: Record, accuracy: float) -> None:
    """Add a late epoch's accuracy on the test half, in percent: apart from the curves, which methods see."""
    record.late_accuracies.append(accuracy)


def describe(plan: NetworkPlan, record: Record, epoch: int, weights: Weights, initial: Weights) -> None:
    """Add a snapshot's signatures, and its features where they are kept, to the record."""
    kept = keeps(plan, record, epoch)
    if kept or plan.recipe["signatures"] == "every epoch":
        signatures = snapshot_signatures(weights, plan.architecture)
        described = {"/".join(key): values.tolist() for key, values in signatures.items()}
        record.signatures[epoch] = described
    if kept:
        table = layer_features(weights, initial, plan.architecture)
        record.features[epoch] = table.to_numpy().tolist()


def keep_epoch(plan: NetworkPlan, run: NetworkRun, state: TrainingState, initial: Weights) -> None:
    """Describe an epoch's snapshot in the state's record, and write what is kept of the epoch. The state is written last:
    only then does the epoch count.
    """
    describe(plan, state.record, state.epoch, state.weights, initial)
    if keeps(plan, state.record, state.epoch):
        run.write_snapshot(state.epoch, state.weights)
    run.write_state(state)


def keep_last(plan: NetworkPlan, run: NetworkRun, record: Record, initial: Weights) -> None:
    """Keep the last snapshot of a network that has diverged, the one from before, like any other network's last snapshot."""
    state = run.read_state()
    if state is not None:
        describe(plan, record, state.epoch, state.weights, initial)
        run.write_snapshot(state.epoch, state.weights)


def keeps(plan: NetworkPlan, record: Record, epoch: int) -> bool:
    """Whether an epoch's snapshot and features are kept: those asked for, the initialisation and the last."""
    return epoch == 0 or epoch in plan.kept_epochs or ended(plan, record)


def ended(plan: NetworkPlan, record: Record) -> bool:
    """Whether the network has diverged, trained all of its epochs, or run out of patience."""
    return record.diverged or len(record.epochs) >= plan.recipe["epochs"] or _out_of_patience(plan, record.epochs)


def chance(plan: NetworkPlan) -> float:
    """The accuracy of guessing, in percent: what a diverged network gets."""
    return 100 / architecture(plan.architecture).classes


def finished(plan: NetworkPlan, record: Record, *, test: float, both_halves: float) -> FinishedRecord:
    """An ended network's record with its outcome; the accuracies are ignored where it diverged."""
    trained = len(record.epochs)
    late = None
    if plan.recipe["late_epochs"]:
        late = chance(plan) if record.diverged else float(np.mean(record.late_accuracies))
    return FinishedRecord(
        **dict(record),
        epochs_trained=trained,
        stopped_early=not record.diverged and trained < plan.recipe["epochs"],
        final_accuracy=chance(plan) if record.diverged else test,
        final_accuracy_all=chance(plan) if record.diverged else both_halves,
        best_accuracy=max((row.validation_accuracy for row in record.epochs), default=chance(plan)),
        late_accuracy=late,
    )


def _out_of_patience(plan: NetworkPlan, epochs: list[EpochRow]) -> bool:
    """Whether the validation accuracy has not risen above its best for ``patience`` epochs in a row."""
    accuracies = [row.validation_accuracy for row in epochs]
    patience = plan.recipe["patience"]
    return bool(patience and len(accuracies) > patience and len(accuracies) - 1 - int(np.argmax(accuracies)) >= patience)
