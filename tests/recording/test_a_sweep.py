"""The whole way: a sweep of an architecture that no catalogue has becomes a zoo, and by that zoo runs are stopped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import nndynbench as nb
from nndynbench.cli import app

pytest.importorskip("lightning")

from nndynbench.adapters.lightning import RecordRun
from tests.recording.lightning_runs import trained

NETWORKS, EPOCHS = 40, 2


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 small CNNs, with learning rates from 0.00003 to 0.3."""
    folder = tmp_path_factory.mktemp("sweep")
    for run, rate in enumerate(np.geomspace(3e-5, 0.3, NETWORKS)):
        recording = RecordRun(folder / f"{run:02d}", hyperparameters={"learning_rate": float(rate), "seed": run})
        trained(recording, learning_rate=float(rate), seed=run, epochs=EPOCHS)
    return folder


@pytest.fixture(scope="module")
def zoo(sweep: Path, tmp_path_factory: pytest.TempPathFactory) -> nb.Subset:
    root = tmp_path_factory.mktemp("zoo")
    nb.pack(sweep, name="my-zoo", out=root)
    return nb.load("my-zoo", root=root)


def test_the_architecture_is_in_no_catalogue(zoo: nb.Subset) -> None:
    assert zoo.architecture.name not in nb.graphs.architecture_names()
    assert len(zoo.networks) == NETWORKS
    assert zoo.networks["final_accuracy"].max() > 60 > 30 > zoo.networks["final_accuracy"].min()


def test_compare_prints_the_bar_the_papers_methods_and_gains(
    zoo: nb.Subset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    methods = [part for name in ("degree-linear", "eigenvector-linear") for part in ("--method", name)]
    options = ["--subset", "my-zoo", "--root", str(zoo.folder.parents[1]), "--budgets", str(EPOCHS), "--jobs", "1"]
    done = CliRunner().invoke(app, ["compare", *options, *methods], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    assert "gain over the bar" in done.output
    for method in ("bar", "degree-linear", "eigenvector-linear"):
        assert any(method in line and "to" in line for line in done.output.splitlines())


def test_a_forty_first_run_is_predicted_while_it_trains(zoo: nb.Subset, tmp_path: Path) -> None:
    recording = RecordRun(tmp_path / "run", hyperparameters={"learning_rate": 0.01, "seed": NETWORKS})
    trained(recording, learning_rate=0.01, seed=NETWORKS, epochs=EPOCHS)
    predicted = nb.predict(tmp_path / "run", zoo, method="validation-accuracy")
    outcome = nb.read_run(tmp_path / "run").test_accuracy
    assert (predicted.method, predicted.budget) == ("validation-accuracy", EPOCHS)
    assert predicted.low <= outcome <= predicted.high


def test_a_run_that_will_come_to_nothing_is_stopped(zoo: nb.Subset, tmp_path: Path) -> None:
    stop = nb.StopEarly(zoo, at_least=60, below=0.1, method="validation-accuracy", budgets=[1])
    slow = RecordRun(tmp_path / "slow", hyperparameters={"learning_rate": 3e-5, "seed": NETWORKS}, stop=stop)
    trained(slow, learning_rate=3e-5, seed=NETWORKS, epochs=EPOCHS)
    good = RecordRun(tmp_path / "good", hyperparameters={"learning_rate": 0.01, "seed": NETWORKS}, stop=stop)
    trained(good, learning_rate=0.01, seed=NETWORKS, epochs=EPOCHS)
    assert (nb.read_run(tmp_path / "slow").epochs, nb.read_run(tmp_path / "good").epochs) == (1, EPOCHS)
    replay = stop.replay()
    assert replay.networks == NETWORKS
    assert 0 < replay.saved <= NETWORKS
