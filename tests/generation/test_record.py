"""A network's record: what an older version wrote is read, number for number, and what is no record is refused."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from generation.record import EpochRow, Record, read_finished_record, read_state_facts, written_record, written_state_facts

ROW = {"epoch": 1, "train_loss": 0.1 + 0.2, "train_accuracy": 100 / 3, "validation_accuracy": 1e-320, "seconds": 0.25}

# The content of network.json from before records had types.
OLDER: dict[str, Any] = {
    "network": 7,
    "seed": 2**63 + 1,
    "device": "an abacus, then a slide rule",
    "epochs": [ROW],
    "features": {"0": [[1.0, float("inf")], [float("nan"), -0.0]]},
    "signatures": {"0": {"rolled//degree": [1.5e300, -2.0, 0.0, float("-inf"), 1.0]}},
    "diverged": False,
    "epochs_trained": 1,
    "stopped_early": True,
    "final_accuracy": 200 / 3,
    "final_accuracy_all": 10.0,
    "best_accuracy": 1e-320,
    "late_accuracies": [50.0, 60.0],
    "late_accuracy": 55.0,
    "core_seconds": 1.125,
    "weights_dropped": True,
}


def test_a_record_that_was_written_before_records_had_types_is_read_to_the_last_bit() -> None:
    found = read_finished_record(json.dumps(OLDER))
    assert found.epochs == [EpochRow(**ROW)]
    assert (found.network, found.seed, found.device, found.weights_dropped) == (7, 2**63 + 1, OLDER["device"], True)
    assert found.features[0][0] == [1.0, math.inf]
    assert [math.isnan(found.features[0][1][0]), math.copysign(1, found.features[0][1][1])] == [True, -1.0]
    assert found.signatures == {0: OLDER["signatures"]["0"]}
    # Compared by repr, since NaN is not equal to NaN.
    assert repr(json.loads(written_record(found))) == repr({fact: OLDER[fact] for fact in json.loads(written_record(found))})
    assert json.loads(written_record(found)).keys() == OLDER.keys()


def test_a_state_keeps_the_record_so_far() -> None:
    facts = ("network", "seed", "device", "epochs", "features", "signatures", "late_accuracies", "core_seconds")
    older = json.dumps({"epoch": 1, "record": {fact: OLDER[fact] for fact in facts}})
    epoch, record = read_state_facts(older)
    assert (epoch, record.late_accuracies) == (1, [50.0, 60.0])
    assert repr(read_state_facts(written_state_facts(epoch, record))) == repr((epoch, record))


def test_what_a_network_found_is_no_others_to_change() -> None:
    first, second = (Record(network=network, seed=0, device="") for network in (1, 2))
    first.epochs.append(EpochRow(**ROW))
    assert second.epochs == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"final_accuracy": "high"}, "final_accuracy: Input should be a valid number"),
        ({"final_acuracy": 1.0}, "final_acuracy: Extra inputs are not permitted"),
        ({"epochs": [{"epoch": 1}]}, r"epochs\.0\.train_loss: Field required"),
    ],
)
def test_what_is_no_record_is_refused_by_the_fact(change: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_finished_record(json.dumps(OLDER | change))
