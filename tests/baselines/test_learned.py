"""Methods with a learned network: renamed hidden units change no prediction, and fitting again gives the same numbers."""

from __future__ import annotations

import numpy as np
import pytest

import nndynbench as nb
from leaderboard.refresh import tasks
from nndynbench.protocols.method import baselines_folder
from nndynbench.protocols.scripts import load_script

LEARNED = baselines_folder() / "learned.py"

pytest.importorskip("torch")


@pytest.mark.parametrize("rounds", [0, 2])
def test_a_networks_hidden_units_may_be_renamed(rounds: int) -> None:
    import torch

    torch.manual_seed(0)
    blocks = [torch.randn(3, 2, 5, 4), torch.randn(3, 2, 6, 5)]
    renamed = torch.randperm(5)
    model = load_script(LEARNED, alone=True).graph_network(2, rounds)
    with torch.no_grad():
        ours = model(blocks)
        theirs = model([blocks[0][:, :, renamed], blocks[1][:, :, :, renamed]])
        others = model([blocks[0][:, :, renamed], blocks[1]])
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    assert not np.allclose(ours, others, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["graph-network", "node-sets", "learned-probes"])
def test_a_learned_method_passes_the_check(name: str) -> None:
    assert nb.check_method(name).reads == ("weights",)


def test_blocks_are_those_of_the_snapshots_and_what_training_has_changed(digits: nb.Subset) -> None:
    histories = digits.histories([100, 137], 3)
    stacked = load_script(LEARNED, alone=True).blocks_of(histories)
    early, late = (np.asarray(histories[1].graph(epoch).blocks[2]) for epoch in (0, 3))
    np.testing.assert_allclose(stacked[2][1, 0], late, rtol=1e-6)
    np.testing.assert_allclose(stacked[2][1, 1], late - early, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("subset", ["digits-lenet", "cifar10-lenet"])
def test_what_networks_say_of_probes_is_what_their_modules_say(subset: str) -> None:
    import torch

    from generation.architectures import build_module, initialise, snapshot

    learned, modules = load_script(LEARNED, alone=True), [build_module(subset) for _ in range(2)]
    for seed, module in enumerate(modules):
        initialise(module, subset, seed=seed)
    layers = ["conv1", "conv2", "fc1", "fc2", "fc3"]
    weights = list(map(snapshot, modules))
    arrays = [np.stack([own[f"{layer}.{part}"] for own in weights]) for layer in layers for part in ("weight", "bias")]
    convs = [array for array in arrays[::2] if array.ndim == 5]
    channels, *side = nb.graphs.architecture(subset).input_shape
    assert [learned.side_of(convs, arrays[2 * len(convs)])] * 2 == side
    images = torch.randn(3, channels, *side, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        ours = learned.run_through(list(map(torch.from_numpy, arrays)), images)
        theirs = torch.stack([module.eval()(images) for module in modules])
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_probes_are_refused_for_what_is_no_lenet(digits: nb.Subset) -> None:
    learned, history = load_script(LEARNED, alone=True), digits.history(100, 3)
    assert len(learned.weights_of([history])) == 10

    class Residual:
        epochs, layer_sizes = 3, {"input": 3, "conv1": 16}

        def weights(self, epoch: int) -> dict[str, np.ndarray]:
            return {"conv1.weight": np.zeros(1), "blocks.0.conv1.weight": np.zeros(1)}

    with pytest.raises(ValueError, match="LeNets alone"):
        learned.weights_of([Residual()])


def test_what_needs_torch_is_fitted_where_it_is_named_alone() -> None:
    named = {task.method for task in tasks(methods=["node-sets"], subset_names=["digits-lenet"])}
    among_all = {task.method for task in tasks(subset_names=["digits-lenet"])}
    assert named == {"node-sets"}
    assert not {"graph-network", "node-sets", "learned-probes"} & among_all
