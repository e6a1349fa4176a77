"""Snapshots are read when they are asked for, and few of them stay in memory."""

from __future__ import annotations

import pickle
import weakref
from functools import partial

import numpy as np
import pytest

from nndynbench.graphs import SnapshotsOnDemand, Weights


def read(scale: float, epoch: int) -> Weights:
    return {"fc.weight": np.full((2, 3), scale * epoch, dtype=np.float32)}


def test_epochs_are_in_order_and_each_is_read_once_while_it_is_remembered() -> None:
    asked: list[int] = []
    snapshots = SnapshotsOnDemand([3, 0, 1], lambda epoch: asked.append(epoch) or read(1.0, epoch))
    assert list(snapshots) == [0, 1, 3]
    assert 1 in snapshots
    assert 2 not in snapshots
    assert asked == []
    assert [float(snapshots[epoch]["fc.weight"][0, 0]) for epoch in (3, 1, 3)] == [3.0, 1.0, 3.0]
    assert asked == [3, 1]


def test_an_epoch_without_a_snapshot_is_no_key() -> None:
    snapshots = SnapshotsOnDemand([1], partial(read, 1.0))
    with pytest.raises(KeyError):
        snapshots[2]
    assert snapshots.get(2) is None


def test_however_many_networks_are_read_few_snapshots_stay_in_memory() -> None:
    networks = [SnapshotsOnDemand(range(5), partial(read, float(network))) for network in range(20)]
    alive = [weakref.ref(snapshot["fc.weight"]) for network in networks for snapshot in network.values()]
    assert len(alive) == 100
    assert sum(array() is not None for array in alive) < 20


def test_they_can_be_pickled_where_reading_can() -> None:
    snapshots = pickle.loads(pickle.dumps(SnapshotsOnDemand([1, 2], partial(read, 0.5))))
    assert float(snapshots[2]["fc.weight"][0, 0]) == 1.0


def test_what_is_read_is_the_callers_own() -> None:
    snapshots = SnapshotsOnDemand([1], partial(read, 1.0))
    snapshots[1]["fc.weight"][:] = 0
    assert float(snapshots[1]["fc.weight"][0, 0]) == 1.0
