"""Small copies of public zoos in their published layouts: read as runs, packed and scored."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import nndynbench as nb
from nndynbench.importing import model_zoo_runs, small_cnn_zoo_runs
from nndynbench.importing.records import ZooLayoutError
from nndynbench.own_run import NotGivenError

# The network of the Small CNN Zoo: three convs of 16 filters, a mean over all positions, ten units. 4,970 parameters.
LAYERS = [("conv2d", (3, 3, 1, 16)), ("conv2d_1", (3, 3, 16, 16)), ("conv2d_2", (3, 3, 16, 16)), ("dense", (16, 10))]
STEPS = (0, 1, 2, 3, 10, 20)


def written_small_cnn_zoo(folder: Path, runs: int = 12) -> Path:
    """An image set of the Small CNN Zoo, as published, of ``runs`` runs with random weights."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    layout, end = [], 0
    for name, shape in LAYERS:
        for part, own in (("kernel", shape), ("bias", shape[-1:])):
            start, end = end, end + int(np.prod(own))
            layout.append({"varname": f"sequential/{name}/{part}:0", "start_idx": start, "end_idx": end, "shape": str(own)})
    pd.DataFrame(layout).to_csv(folder / "layout.csv", index=False)
    rows = []
    for run in range(runs):
        rate, accuracy = 10 ** rng.uniform(-4, -1), rng.uniform(0.2, 0.6)
        for step in STEPS:
            rows.append(
                {
                    "step": step,
                    "modeldir": f"/zoo/permanent/run-{run:05d}",
                    "train_loss": 2.3 / (1 + step),
                    "train_accuracy": accuracy * step / 20,
                    "test_loss": 2.3 / (1 + step),
                    "test_accuracy": accuracy * step / 20,
                    "config.learning_rate": rate,
                    "config.optimizer": ("adam", "sgd", "rmsprop")[run % 3],
                    "config.random_seed": 42,
                    "config.dataset": "cifar10",
                }
            )
    pd.DataFrame(rows).to_csv(folder / "metrics.csv.gz", index=False)
    np.save(folder / "weights.npy", rng.normal(size=(len(rows), end)).astype(np.float32))
    return folder


class TestSmallCnnZoo:
    def test_its_network_has_4970_parameters(self, tmp_path: Path) -> None:
        [run] = small_cnn_zoo_runs(written_small_cnn_zoo(tmp_path / "cifar10"), runs=1)
        assert run.architecture.layer_sizes == {"input": 1, "conv2d": 16, "conv2d_1": 16, "conv2d_2": 16, "dense": 10}
        assert sum(values.size for values in run.weights[0].values()) == 4970

    def test_a_snapshot_is_a_row_of_the_weights_in_torchs_layout(self, tmp_path: Path) -> None:
        folder = written_small_cnn_zoo(tmp_path / "cifar10")
        row = np.load(folder / "weights.npy")[len(STEPS) + 2]  # the second run's step 2
        _, run = small_cnn_zoo_runs(folder, runs=2)
        assert list(run.weights) == [0, 1, 2, 3]
        first = row[: 3 * 3 * 16].reshape(3, 3, 1, 16)
        np.testing.assert_array_equal(run.weights[2]["conv2d.weight"][5, 0], first[:, :, 0, 5])
        np.testing.assert_array_equal(run.weights[2]["dense.bias"], row[-10:])

    def test_curves_are_of_one_epoch_a_step_and_the_outcome_is_the_last(self, tmp_path: Path) -> None:
        folder = written_small_cnn_zoo(tmp_path / "cifar10")
        metrics = pd.read_csv(folder / "metrics.csv.gz")
        [run] = small_cnn_zoo_runs(folder, runs=1)
        assert list(run.curves.index) == [1, 2, 3]
        assert run.curves["validation_accuracy"].isna().all()
        assert run.test_accuracy == pytest.approx(100 * metrics["test_accuracy"][len(STEPS) - 1])
        assert set(run.hyperparameters) == {"learning_rate", "optimizer"}

    def test_it_is_packed_and_scored(self, tmp_path: Path) -> None:
        runs = small_cnn_zoo_runs(written_small_cnn_zoo(tmp_path / "cifar10", runs=20))
        zoo = nb.pack(runs, name="small-cnn-cifar10", out=tmp_path / "zoo", blocked="optimizer")
        assert any("have no validation_accuracy" in note for note in zoo.manifest.notes)
        assert len(zoo.split("blocked")) == 3
        result = nb.evaluate("degree-linear", zoo, protocol="regression-folds", budgets=3)
        assert np.isfinite(result.predictions["prediction"]).all()

    def test_a_run_that_diverged_ends_there(self, tmp_path: Path) -> None:
        folder = written_small_cnn_zoo(tmp_path / "cifar10", runs=4)
        metrics = pd.read_csv(folder / "metrics.csv.gz")
        metrics.loc[len(STEPS) + 2 : 2 * len(STEPS) - 1, "train_loss"] = np.nan  # the second run's, from step 2 on
        metrics.to_csv(folder / "metrics.csv.gz", index=False)
        zoo = nb.pack(small_cnn_zoo_runs(folder), name="small-cnn-cifar10", out=tmp_path / "zoo")
        assert zoo.networks["diverged"].tolist() == [False, True, False, False]
        assert zoo.networks["epochs_trained"].tolist() == [3, 1, 3, 3]

    def test_what_is_missing_is_named(self, tmp_path: Path) -> None:
        folder = written_small_cnn_zoo(tmp_path / "cifar10", runs=1)
        pd.read_csv(folder / "metrics.csv.gz").drop(columns="step").to_csv(folder / "metrics.csv.gz", index=False)
        with pytest.raises(ZooLayoutError, match=r"metrics\.csv\.gz has no column step"):
            next(small_cnn_zoo_runs(folder))
        (folder / "layout.csv").unlink()
        (folder / "metrics.csv.gz").unlink()
        with pytest.raises(ZooLayoutError, match=r"it has no metrics\.csv\.gz"):
            next(small_cnn_zoo_runs(folder))


def written_model_zoo(folder: Path, runs: int = 10, epochs: int = 3) -> Path:
    """A zoo of Schürholt et al., as Ray Tune leaves one, of ``runs`` runs with random weights."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    for run in range(runs):
        own = folder / f"NN_tune_trainable_{run:05d}_lr=0.{run}"
        configuration = {
            "seed": run,
            "optim::lr": 0.1 * rng.uniform(),
            "model::nlin": "tanh",
            "dataset::dump": "/zoo/data.pt",
        }
        lines = []
        for epoch in range(epochs + 1):
            state = {
                "module_list.0.weight": torch.tensor(rng.normal(size=(8, 1, 5, 5)), dtype=torch.float32),
                "module_list.0.bias": torch.zeros(8),
                "module_list.3.weight": torch.tensor(rng.normal(size=(6, 8, 5, 5)), dtype=torch.float32),
                "module_list.9.weight": torch.tensor(rng.normal(size=(10, 36)), dtype=torch.float32),
            }
            place = own / f"checkpoint_{epoch:06d}"
            place.mkdir(parents=True)
            torch.save(state, place / "checkpoints")
            accuracies = {"train_acc": 0.2 * epoch, "test_acc": 0.1 + 0.02 * run + 0.1 * epoch}
            lines.append(json.dumps({"training_iteration": epoch, "train_loss": 2.3 / (epoch + 1), **accuracies}))
        (own / "result.json").write_text("\n".join(lines) + "\n")
        (own / "params.json").write_text(json.dumps(configuration))
    return folder


class TestModelZoo:
    def test_a_run_is_its_checkpoints_and_results(self, tmp_path: Path) -> None:
        [run] = model_zoo_runs(written_model_zoo(tmp_path / "mnist", runs=1), runs=1)
        assert list(run.weights) == [0, 1, 2, 3]
        assert run.architecture.layer_sizes["module_list.9"] == 10
        assert run.curves["train_accuracy"].tolist() == pytest.approx([20, 40, 60])
        assert run.test_accuracy == pytest.approx(40)
        assert set(run.hyperparameters) == {"seed", "optim.lr", "model.nlin"}

    @pytest.mark.parametrize(
        ("file", "old", "new"), [("params.json", "}", ""), ("result.json", '"train_acc": 0.4', '"train_acc": null')]
    )
    def test_what_is_not_valid_is_named_with_the_runs_folder(self, file: str, old: str, new: str, tmp_path: Path) -> None:
        folder = written_model_zoo(tmp_path / "mnist", runs=1)
        [path] = folder.glob(f"*/{file}")
        path.write_text(path.read_text().replace(old, new))
        with pytest.raises(ZooLayoutError, match=f"{re.escape(path.parent.name)} has a .* that is not valid"):
            next(model_zoo_runs(folder))

    def test_a_seed_may_be_of_any_size(self, tmp_path: Path) -> None:
        folder = written_model_zoo(tmp_path / "mnist", runs=1)
        [path] = folder.glob("*/params.json")
        path.write_text(path.read_text().replace('"seed": 0', f'"seed": {2**127}'))
        assert next(model_zoo_runs(folder)).hyperparameters["seed"] == 2**127

    def test_it_is_packed(self, tmp_path: Path) -> None:
        zoo = nb.pack(model_zoo_runs(written_model_zoo(tmp_path / "mnist")), name="mnist-zoo", out=tmp_path / "zoo")
        assert zoo.manifest.hyperparameters == ["optim.lr", "model.nlin"]
        assert np.isfinite(zoo.history(3, 3).signature("degree")).all()

    @pytest.mark.parametrize(("first", "epochs"), [(1, 0), (2, 1), (3, 2)])
    def test_a_run_that_diverged_ends_there(self, first: int, epochs: int, tmp_path: Path) -> None:
        folder = written_model_zoo(tmp_path / "mnist", runs=4)
        path = sorted(folder.glob("*/result.json"))[1]
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        path.write_text(
            "".join(
                json.dumps({**line, "train_loss": float("nan")} if line["training_iteration"] >= first else line) + "\n"
                for line in lines
            )
        )
        zoo = nb.pack(model_zoo_runs(folder), name="mnist-zoo", out=tmp_path / "zoo")
        assert zoo.networks["diverged"].tolist() == [False, True, False, False]
        assert zoo.networks["epochs_trained"].tolist() == [3, epochs, 3, 3]
        degrees = zoo.history(1, 3).signature("degree")
        assert np.isfinite(degrees).all(axis=1).tolist() == [epoch <= epochs for epoch in (1, 2, 3)]

    def test_an_accuracy_that_is_no_number_was_not_measured(self, tmp_path: Path) -> None:
        folder = written_model_zoo(tmp_path / "mnist", runs=1)
        [path] = folder.glob("*/result.json")
        path.write_text(path.read_text().replace('"train_acc": 0.4', '"train_acc": NaN'))
        [run] = model_zoo_runs(folder)
        assert (run.epochs, run.record.diverged) == (3, False)
        np.testing.assert_allclose(run.curves["train_accuracy"], [20, np.nan, 60])

    def test_a_run_whose_outcome_is_no_number_has_none(self, tmp_path: Path) -> None:
        folder = written_model_zoo(tmp_path / "mnist", runs=3)
        path = sorted(folder.glob("*/result.json"))[0]
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        lines[-1]["test_acc"] = float("nan")
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        zoo = nb.pack(model_zoo_runs(folder), name="mnist-zoo", out=tmp_path / "zoo")
        assert (zoo.manifest.networks, zoo.manifest.networks_planned) == (2, 3)

    def test_curves_that_are_wrong_are_named_with_the_runs_folder(self, tmp_path: Path) -> None:
        folder = written_model_zoo(tmp_path / "mnist", runs=1)
        path = next(folder.glob("*/result.json"))
        path.write_text(path.read_text().replace('"train_acc": 0.4', '"train_acc": 40'))
        with pytest.raises(NotGivenError, match=rf"the curves in {path.parent} .*outside 0 to 100 for train_accuracy"):
            nb.pack(model_zoo_runs(folder), name="mnist-zoo", out=tmp_path / "zoo")

    def test_a_checkpoint_that_would_have_to_be_unpickled_is_refused(self, tmp_path: Path) -> None:
        torch = pytest.importorskip("torch")
        folder = written_model_zoo(tmp_path / "mnist", runs=1)
        path = next(folder.glob("*/checkpoint_000000/checkpoints"))
        torch.save({"weight": torch.zeros(2, 2), "run": Path.home}, path)
        with pytest.raises(nb.NndynbenchError, match="checkpoint_000000/checkpoints"):
            next(model_zoo_runs(folder))

    def test_what_is_missing_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(ZooLayoutError, match=r"none of its folders has a result\.json"):
            next(model_zoo_runs(tmp_path))
        folder = written_model_zoo(tmp_path / "mnist", runs=1)
        path = next(folder.glob("*/result.json"))
        path.write_text(path.read_text() + "cut sho")
        with pytest.raises(ZooLayoutError, match=r"result\.json, line 5, is not a valid entry"):
            next(model_zoo_runs(folder))
