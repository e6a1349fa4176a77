"""Methods with a learned network: the same whatever hidden units are called, and fitted to the same numbers again."""

from __future__ import annotations

import numpy as np
import pytest

import nndynbench as nb
from nndynbench.protocols.method import baselines_folder
from nndynbench.protocols.scripts import load_script

LEARNED = baselines_folder() / "learned" / "graph_network.py"

pytest.importorskip("torch")


@pytest.mark.parametrize("rounds", [0, 2])
def test_a_networks_hidden_units_may_be_renamed(rounds: int) -> None:
    import torch

    torch.manual_seed(0)
    blocks = [torch.randn(3, 2, 5, 4), torch.randn(3, 2, 6, 5)]
    renamed = torch.randperm(5)
    model = load_script(LEARNED, alone=True).network(2, rounds)
    with torch.no_grad():
        ours = model(blocks)
        theirs = model([blocks[0][:, :, renamed], blocks[1][:, :, :, renamed]])
        others = model([blocks[0][:, :, renamed], blocks[1]])
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    assert not np.allclose(ours, others, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["graph-network", "node-sets"])
def test_a_learned_method_passes_the_check(name: str) -> None:
    assert nb.check_method(f"{LEARNED}:{name}").reads == ("weights",)


def test_blocks_are_those_of_the_snapshots_and_what_training_has_changed(digits: nb.Subset) -> None:
    histories = digits.histories([100, 137], 3)
    stacked = load_script(LEARNED, alone=True).blocks_of(histories)
    early, late = (np.asarray(histories[1].graph(epoch).blocks[2]) for epoch in (0, 3))
    np.testing.assert_allclose(stacked[2][1, 0], late, rtol=1e-6)
    np.testing.assert_allclose(stacked[2][1, 1], late - early, rtol=1e-4, atol=1e-6)
