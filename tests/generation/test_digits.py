"""digits-lenet regenerates on any machine: the same bits twice there, and the bundled networks again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from typer.testing import CliRunner  # noqa: E402

import nndynbench as nb  # noqa: E402
from generation.cli import app  # noqa: E402
from generation.device import device_name  # noqa: E402
from generation.images import load_images  # noqa: E402
from generation.pack import pack_subset  # noqa: E402
from generation.plan import subset_plan  # noqa: E402
from generation.training import train_network  # noqa: E402
from tests.generation.small_runs import job, train_in_this_process  # noqa: E402

NETWORKS = 4


@pytest.fixture(scope="module")
def retrained(tmp_path_factory: pytest.TempPathFactory) -> tuple[nb.Subset, nb.Subset]:
    """The first networks trained by the command, in worker processes, and once more in this process."""
    once, twice = tmp_path_factory.mktemp("once"), tmp_path_factory.mktemp("twice")
    command = ["train", "digits-lenet", "--out", str(once), "--networks", str(NETWORKS)]
    done = CliRunner().invoke(app, command, catch_exceptions=False)
    assert f"{NETWORKS} of {NETWORKS} networks trained" in done.stdout.replace("\n", " ")
    made, images = subset_plan("digits-lenet", twice), load_images("digits", cache=twice / "images")
    made.bind(images)
    train_in_this_process(job(made, NETWORKS), images)
    pack_subset(made)
    return nb.load("digits-lenet", root=once), nb.load("digits-lenet", root=twice)


def test_training_twice_gives_the_same_bits(retrained: tuple[nb.Subset, nb.Subset]) -> None:
    once, twice = retrained
    assert once.network_ids == twice.network_ids
    for network in once.network_ids:
        first, second = once.history(network, 11), twice.history(network, 11)
        for epoch in range(11):
            before, after = first.weights(epoch), second.weights(epoch)
            assert all((before[name] == after[name]).all() for name in before)
    columns = ["train_loss", "train_accuracy", "validation_accuracy"]
    assert (once.curves[columns] == twice.curves[columns]).all(axis=None)


def test_retraining_gives_the_bundled_networks(digits: nb.Subset, retrained: tuple[nb.Subset, nb.Subset]) -> None:
    """They do on the kind of processor that trained the bundled ones; elsewhere rounding grows into other weights."""
    subset = retrained[0]
    bundled = digits.networks.loc[subset.network_ids]
    assert (subset.networks["seed"] == bundled["seed"]).all()
    if set(bundled["device"]) != {device_name()}:
        pytest.skip(f"the bundled networks were trained on {bundled['device'].iloc[0]}, this machine has {device_name()}")
    assert (subset.networks["final_accuracy"] == bundled["final_accuracy"]).all()
    for network in subset.network_ids:
        ours, theirs = subset.history(network, 10).weights(10), digits.history(network, 10).weights(10)
        for name in ours:
            np.testing.assert_allclose(ours[name], theirs[name], rtol=2**-12)


def test_a_freshly_trained_subset_is_read_at_every_tier(retrained: tuple[nb.Subset, nb.Subset]) -> None:
    subset = retrained[0]
    assert subset.tiers == ["networks", "centralities", "graphs", "weights"]
    assert subset.manifest.networks == NETWORKS
    assert subset.manifest.networks_planned == 240
    history = subset.history(subset.network_ids[0], 5)
    assert history.signature("degree").shape == (5, 5)
    np.testing.assert_allclose(history.centrality("degree")[4], history.graph(5).degree(), rtol=1e-5)
    np.testing.assert_array_equal(history.graph(5).blocks[-1], np.abs(history.weights(5)["fc3.weight"]).astype(np.float64))


def test_splits_that_four_networks_cannot_fill_are_left_out_with_the_reason(
    retrained: tuple[nb.Subset, nb.Subset],
) -> None:
    with pytest.raises(ValueError, match=r"no split 'sample_folds': .* a class needs at least 15"):
        retrained[0].split("sample_folds")


def test_training_leaves_the_arithmetic_of_its_process_as_it_was(tmp_path: Path) -> None:
    made = subset_plan("digits-lenet", tmp_path)
    with made.run(0).locked():
        train_network(made.network(0), load_images("digits"), made.run(0), stop=lambda: True)
    assert np.float64(5e-324) / 1 > 0
    assert torch.tensor(1e-40) * 1 > 0
