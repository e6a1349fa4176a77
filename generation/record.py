"""A network's record as its run keeps it: what training has found so far, and at the end its outcome.

Only this module reads and writes it: ``network.json`` of a finished network, and the text beside every state of one that is
being trained.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Strict, ValidationError

from nndynbench.errors import first_problem

# What a record says of how a network ended, by the networks table's columns. Late accuracy is there if the grid has late
# epochs.
LATE_OUTCOME = "late_accuracy"
OUTCOMES = ("seed", "epochs_trained", "stopped_early", "diverged", "final_accuracy", "final_accuracy_all", "best_accuracy")


class _Kept(BaseModel):
    # NaN and infinity are written as Python's json does: a feature of exploding weights may be infinite.
    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="constants")


class EpochRow(_Kept):
    """A row of the curves: mean loss of the epoch's batches, accuracies in percent, and how long it took."""

    epoch: int
    train_loss: float
    train_accuracy: float
    validation_accuracy: float
    seconds: float


class Record(_Kept):
    """What is known of a network while it trains."""

    network: int
    seed: Annotated[int, Strict()]  # a numpy integer would pass through a float, and lose its last digits
    device: str
    """All devices that trained it, in order."""
    epochs: list[EpochRow] = []
    signatures: dict[int, dict[str, list[float]]] = {}
    """By epoch and "representation/sign/centrality": the five moments."""
    features: dict[int, list[list[float]]] = {}
    """By kept epoch: a row per layer."""
    diverged: bool = False
    late_accuracies: list[float] = []
    """Accuracies on the test half, in percent, after each of the late epochs, if the grid has some."""
    core_seconds: float | None = None
    """The processor time; unknown for networks trained side by side."""


class FinishedRecord(Record):
    """What is known of a network that has ended."""

    diverged: bool
    epochs_trained: int
    stopped_early: bool
    final_accuracy: float
    final_accuracy_all: float
    best_accuracy: float
    late_accuracy: float | None = None
    weights_dropped: bool = False
    """Whether its weights were removed when it ended."""
    restored_from: str | None = None
    """The version of the pack that it was put back from."""

    @property
    def outcomes(self) -> dict[str, Any]:
        """The columns of the networks table that say how it ended."""
        columns = (*OUTCOMES, LATE_OUTCOME) if self.late_accuracy is not None else OUTCOMES
        return {column: getattr(self, column) for column in columns}


class _StateFacts(_Kept):
    epoch: int
    record: Record


def written_record(record: Record) -> str:
    """A record as JSON."""
    return record.model_dump_json(exclude_defaults=True)


def read_finished_record(text: str | bytes) -> FinishedRecord:
    """A finished network's record from JSON; raises ValueError, in a line, for anything else."""
    try:
        return FinishedRecord.model_validate_json(text)
    except ValidationError as invalid:
        raise ValueError(first_problem(invalid)) from invalid


def written_state_facts(epoch: int, record: Record) -> str:
    """The text beside a state's arrays, as JSON."""
    return _StateFacts(epoch=epoch, record=record).model_dump_json(exclude_defaults=True)


def read_state_facts(text: str | bytes) -> tuple[int, Record]:
    """A state's epoch and the record so far, from JSON; raises ValueError, in a line, for anything else."""
    try:
        facts = _StateFacts.model_validate_json(text)
    except ValidationError as invalid:
        raise ValueError(first_problem(invalid)) from invalid
    return facts.epoch, facts.record
