"""One reader, wherever a network is stored: it prefers what is stored, and computes the rest from that."""

from __future__ import annotations

import numpy as np
import pytest

import nndynbench as nb
from nndynbench.centralities import degree
from nndynbench.graphs import architecture
from nndynbench.own_run import NotGivenError, OwnRun
from nndynbench.signatures import CENTRALITIES, SnapshotSignature, snapshot_signatures
from nndynbench.subsets.history import History
from nndynbench.subsets.reader import Reader

EPOCHS = range(4)


@pytest.fixture(scope="module")
def stored(digits: nb.Subset) -> History:
    return digits.history(100, 3)


@pytest.fixture(scope="module")
def in_memory(stored: History) -> History:
    return History(Reader(OwnRun("digits-lenet", {epoch: stored.weights(epoch) for epoch in EPOCHS})), 3)


@pytest.fixture
def squared(monkeypatch: pytest.MonkeyPatch) -> str:
    """A centrality that no pack has, added in the one place where centralities are defined."""
    monkeypatch.setitem(CENTRALITIES, "squared degree", lambda blocks: degree(blocks) ** 2)
    return "squared degree"


def test_memory_is_read_as_a_pack_is(stored: History, in_memory: History) -> None:
    for epoch in EPOCHS:
        for ours, theirs in zip(in_memory.graph(epoch).blocks, stored.graph(epoch).blocks, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    for name in CENTRALITIES:
        np.testing.assert_allclose(in_memory.centrality(name), stored.centrality(name), rtol=1e-12)
        # A pack's signatures and features were computed before its weights were rounded to 12 bits.
        np.testing.assert_allclose(in_memory.signature(name), stored.signature(name), rtol=5e-3, atol=1e-3)
    assert list(in_memory.features.index) == list(stored.features.index)
    np.testing.assert_allclose(in_memory.features["l2_norm"], stored.features["l2_norm"], rtol=2.0**-12)
    assert in_memory.layer_sizes == stored.layer_sizes


def test_what_memory_lacks_is_named() -> None:
    run = History(Reader(OwnRun("digits-lenet", {2: nb.graphs.random_weights("digits-lenet", seed=0)})), 2)
    with pytest.raises(NotGivenError, match=r"the run has no weights of epoch 1 \(it has \[2\]\)"):
        run.graph(1)
    with pytest.raises(NotGivenError, match="features, which compare with the initialisation"):
        _ = run.features


@pytest.mark.parametrize("name", ["digits-lenet", "cifar10-lenet-diverse"])
def test_a_new_centrality_is_derived_where_packs_lack_it(name: str, squared: str) -> None:
    history = nb.load(name).history(7, 3)
    expected = [CENTRALITIES[squared](history.graph(epoch).blocks) for epoch in (1, 2, 3)]
    np.testing.assert_array_equal(history.centrality(squared), expected)
    np.testing.assert_array_equal(history.signature(squared), nb.centralities.moments(np.stack(expected)))


def test_a_new_centrality_is_a_column_of_new_packs(stored: History, squared: str) -> None:
    weights = stored.weights(1)
    assert SnapshotSignature("rolled", "", squared) in snapshot_signatures(weights, "digits-lenet")
    reader = Reader(OwnRun("digits-lenet", {1: weights}))
    np.testing.assert_array_equal(
        reader.snapshot("centralities", 1)[squared], np.float32(CENTRALITIES[squared](stored.graph(1).blocks))
    )


def test_node_attributes_come_with_graphs_that_follow_from_weights(stored: History) -> None:
    graph = stored.graph(2)
    weights = stored.weights(2)
    expected = np.concatenate([weights["fc3.weight"], weights["fc3.bias"][:, None]], axis=1)
    np.testing.assert_array_equal(graph.node_attributes("fc3"), expected)


def test_a_graph_is_its_callers_own(stored: History) -> None:
    first = stored.graph(1)
    before = first.blocks[0].copy()
    first.blocks[0][:] = 0  # type: ignore[index]
    np.testing.assert_array_equal(stored.graph(1).blocks[0], before)
    assert architecture("digits-lenet").layer_sizes == stored.layer_sizes


@pytest.mark.parametrize("epoch", [0, 1])
def test_weights_are_their_callers_own(stored: History, epoch: int) -> None:
    before = stored.weights(epoch)["conv1.weight"].copy()
    stored.weights(epoch)["conv1.weight"][:] = 0  # as a method would do to leave a note for the next fold
    np.testing.assert_array_equal(stored.weights(epoch)["conv1.weight"], before)
