"""`nndynbench.pack`: recorded runs become a zoo that is read, split, scored and checked like those of the catalogue."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import nndynbench as nb
from nndynbench.cli import app
from nndynbench.names import UnknownNameError
from nndynbench.own_run import NotGivenError
from nndynbench.packing import check_own_name
from nndynbench.recording.recorder import DivergedWarning, FractionWarning
from nndynbench.storage.files import DamagedFileError
from nndynbench.storage.places import NotAtHandError
from nndynbench.subsets.loading import names_at_hand
from nndynbench.subsets.plateau import PlateauError
from nndynbench.subsets.splits import SplitError
from nndynbench.subsets.targets import TargetError

OFFICIAL = nb.load("digits-lenet")

# 24 networks of digits-lenet, spread over its grid.
CHOSEN = OFFICIAL.network_ids[::10]


def record(folder: Path, network: int, *, epochs: int = 5, **options: Any) -> nb.Recorder:
    """A network of digits-lenet as somebody would have recorded it."""
    history = OFFICIAL.history(network, epochs)
    facts = OFFICIAL.networks.loc[network]
    hyperparameters = {"learning_rate": facts["learning_rate"], "dropout": facts["dropout"], "seed": int(facts["seed"])}
    options = {"hyperparameters": hyperparameters, "architecture": "digits-lenet", **options}
    recorder = nb.Recorder(folder, history.weights(0), **options)
    for epoch, row in history.curves.iterrows():
        curves = {name: float(row[name]) for name in ("train_loss", "train_accuracy", "validation_accuracy")}
        recorder.epoch(weights=history.weights(int(str(epoch))), **curves)
    recorder.finish(test_accuracy=float(facts["final_accuracy"]))
    return recorder


def rewritten(folder: Path, row: int, values: dict[str, Any]) -> dict[str, Any]:
    """A run of three epochs in ``runs/a``, with other values in a row of its record, which is returned."""
    record(folder / "runs" / "a", CHOSEN[0], epochs=3)
    path = folder / "runs" / "a" / "run.json"
    content: dict[str, Any] = json.loads(path.read_text())
    content["epochs"][row] |= values
    path.write_text(json.dumps(content))
    return content


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for network in CHOSEN:
        record(folder / f"network-{network:03d}", network)
    return folder


@pytest.fixture(scope="module")
def root(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("zoo")
    nb.pack(runs, name="my-zoo", out=folder)
    return folder


@pytest.fixture
def zoo(root: Path) -> nb.Subset:
    return nb.load("my-zoo", root=root)


class TestAPackIsReadAsASubset:
    def test_networks_are_the_runs_in_order(self, zoo: nb.Subset) -> None:
        official = OFFICIAL.networks.loc[CHOSEN].reset_index(drop=True)
        for column in ("learning_rate", "dropout", "seed", "final_accuracy", "diverged"):
            np.testing.assert_array_equal(zoo.networks[column], official[column])
        assert list(zoo.networks["run"]) == [f"network-{network:03d}" for network in CHOSEN]

    def test_signatures_features_and_curves_are_those_of_the_official_pack(self, zoo: nb.Subset) -> None:
        for row, network in enumerate(CHOSEN[:8]):
            own, official = zoo.history(row, 5), OFFICIAL.history(network, 5)
            for centrality in ("degree", "eigenvector"):
                # The bundled weights are rounded to 12 bits, the bundled signatures are not.
                np.testing.assert_allclose(own.signature(centrality), official.signature(centrality), rtol=1e-2, atol=1e-3)
            unrolled = {"representation": "unrolled", "sign": "positive"}
            assert own.signature("degree", **unrolled).shape == official.signature("degree", **unrolled).shape
            pd.testing.assert_frame_equal(own.curves[list(nb.columns.CURVES)], official.curves[list(nb.columns.CURVES)])
            assert own.graph(3).layers == official.graph(3).layers
            kept = official.features.loc[:5, "l2_norm"]
            np.testing.assert_allclose(own.features["l2_norm"], kept, rtol=1e-3)

    def test_labels_are_cut_at_the_median_or_at_a_threshold(self, zoo: nb.Subset, runs: Path, tmp_path: Path) -> None:
        assert zoo.manifest.threshold == zoo.networks["final_accuracy"].median()
        cut = nb.pack(runs, name="my-zoo", out=tmp_path, threshold=90)
        assert list(cut.networks["label"]) == list((cut.networks["final_accuracy"] >= 90).astype(int))

    def test_runs_that_share_the_lowest_accuracy_are_low_where_they_are_most(self, tmp_path: Path) -> None:
        for run in range(30):
            recorder = nb.Recorder(tmp_path / f"runs/{run:02d}", hyperparameters={"learning_rate": 0.001 * (1 + run)})
            recorder.epoch(validation_accuracy=50)
            recorder.finish(test_accuracy=10 if run < 17 else 30 + run)
        packed = nb.pack(tmp_path / "runs", name="my-zoo", out=tmp_path / "zoo")
        assert packed.networks["label"].tolist() == [0] * 17 + [1] * 13
        assert packed.manifest.threshold == 47
        assert "17 of 30 runs ended at 10%, the lowest accuracy: labels are high from the next, 47%" in packed.manifest.notes
        assert sorted(network for _, test in packed.split("folds") for network in test) == packed.network_ids

    def test_splits_test_every_network_once(self, zoo: nb.Subset) -> None:
        tested = [network for _, test in zoo.split("folds") for network in test]
        assert sorted(tested) == zoo.network_ids

    def test_its_files_are_checked(self, runs: Path, tmp_path: Path) -> None:
        packed = nb.pack(runs, name="my-zoo", out=tmp_path)
        path = packed.folder / "curves.parquet"
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(DamagedFileError, match=r"curves\.parquet is damaged"):
            nb.load("my-zoo", root=tmp_path).curves  # noqa: B018

    def test_a_pack_that_is_there_is_replaced(self, runs: Path, tmp_path: Path) -> None:
        nb.pack(runs, name="my-zoo", out=tmp_path)
        assert nb.pack(runs, name="my-zoo", out=tmp_path, threshold=90).manifest.threshold == 90

    def test_workers_read_the_pack_that_took_the_place_of_another(self, runs: Path, tmp_path: Path) -> None:
        given = [nb.read_run(runs / f"network-{network:03d}") for network in CHOSEN[:3]]
        lost = pickle.dumps(nb.pack(given[1:], name="my-zoo", out=tmp_path).history(0, 1))
        for chosen in (given, given[::-1]):
            packed = nb.pack(chosen, name="my-zoo", out=tmp_path)
            subset, history = pickle.loads(pickle.dumps((packed, packed.history(0, 1))))
            assert subset.checksum == packed.checksum
            pd.testing.assert_frame_equal(history.curves, packed.history(0, 1).curves)
        with pytest.raises(
            DamagedFileError, match=r"the networks in .* have changed since it was opened: load my-zoo 1\.0\.0"
        ):
            pickle.loads(lost)

    def test_methods_are_scored_on_it(self, zoo: nb.Subset) -> None:
        result = nb.evaluate("degree-linear", zoo, protocol="regression-folds", budgets=2)
        assert sorted(result.predictions["network"]) == zoo.network_ids

    def test_it_becomes_a_data_set(self, zoo: nb.Subset) -> None:
        pytest.importorskip("datasets")
        assert zoo.to_datasets().num_rows == len(CHOSEN)


class TestNames:
    def test_the_catalogues_names_are_refused(self, runs: Path, tmp_path: Path) -> None:
        with pytest.raises(nb.PackError, match="digits-lenet is a subset of the catalogue"):
            nb.pack(runs, name="digits-lenet", out=tmp_path)

    @pytest.mark.parametrize("name", ["../zoo", "a/b", "", ".hidden", "zoo.", "zoo ", "a" * 101])
    def test_a_name_that_no_folder_should_have_is_refused(self, name: str, runs: Path, tmp_path: Path) -> None:
        with pytest.raises(nb.PackError, match="cannot be the name of a pack"):
            nb.pack(runs, name=name, out=tmp_path)

    @pytest.mark.parametrize("name", ["con", "NUL", "aux.runs", "Com1", "lpt9.1.0"])
    def test_a_name_that_windows_takes_for_a_device_is_refused(self, name: str, runs: Path, tmp_path: Path) -> None:
        with pytest.raises(nb.PackError, match=f"'{name}' cannot be the name of a pack: Windows treats it as a device"):
            nb.pack(runs, name=name, out=tmp_path)

    @pytest.mark.parametrize("name", ["Digits-LeNet", "My-Zoo"])
    def test_a_name_that_differs_from_another_in_its_case_alone_is_refused(
        self, name: str, runs: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "my-zoo").mkdir()
        with pytest.raises(nb.PackError, match=f"{name} differs from {name.lower()} only in case"):
            nb.pack(runs, name=name, out=tmp_path)

    @pytest.mark.parametrize("name", ["console", "com10", "a", "null.zoo", "zoo_1.0"])
    def test_names_that_every_system_keeps_are_taken(self, name: str, tmp_path: Path) -> None:
        check_own_name(name, beside=tmp_path)

    def test_own_packs_are_listed_below_their_root_alone(self, root: Path) -> None:
        assert nb.subsets(root=root).loc["my-zoo", "networks"] == len(CHOSEN)
        assert "my-zoo" not in nb.subsets().index
        assert names_at_hand(root) == ["my-zoo"]

    def test_an_unknown_name_is_guessed_among_them(self, root: Path) -> None:
        with pytest.raises(UnknownNameError, match="did you mean 'my-zoo'"):
            nb.load("my-zo", root=root)
        with pytest.raises(NotAtHandError, match=r"my-zoo 2\.0\.0"):
            nb.load("my-zoo", version="2.0.0", root=root)

    def test_a_version_is_three_numbers(self, runs: Path, tmp_path: Path) -> None:
        with pytest.raises(nb.PackError, match="three numbers"):
            nb.pack(runs, name="my-zoo", out=tmp_path, version="latest")


class TestWhatIsMissing:
    def test_a_run_without_an_outcome_is_left_out_and_named(self, tmp_path: Path) -> None:
        for network in CHOSEN[:3]:
            record(tmp_path / "runs" / str(network), network, epochs=1)
        nb.Recorder(tmp_path / "runs" / "unfinished", OFFICIAL.history(0, 1).weights(0), architecture="digits-lenet")
        packed = nb.pack(tmp_path / "runs", name="my-zoo", out=tmp_path / "zoo")
        assert (packed.manifest.networks, packed.manifest.networks_planned) == (3, 4)
        assert packed.manifest.notes[0] == "1 of 4 runs have no outcome and are left out: unfinished"

    def test_no_run_with_an_outcome_is_an_error(self, tmp_path: Path) -> None:
        nb.Recorder(tmp_path / "run")
        with pytest.raises(nb.PackError, match=r"no run has an outcome \(runs given: 1\)"):
            nb.pack(tmp_path, name="my-zoo", out=tmp_path / "zoo")

    def test_fewer_epochs_and_snapshots_are_taken_with_what_it_costs(self, tmp_path: Path) -> None:
        runs = tmp_path / "runs"
        for network in CHOSEN[:3]:
            record(runs / f"whole-{network}", network, epochs=4)
        record(runs / "few", CHOSEN[3], epochs=2)
        record(runs / "parts", CHOSEN[4], epochs=4, keep=[0, 1, 2, 4])
        packed = nb.pack(runs, name="my-zoo", out=tmp_path / "zoo")
        few, parts = (packed.networks.index[packed.networks["run"] == name][0] for name in ("few", "parts"))

        signature = packed.history(few, 4).signature("degree")
        np.testing.assert_array_equal(signature[1], signature[3])
        missing = packed.history(parts, 4).signature("degree")
        assert np.isnan(missing[2]).all()
        assert np.isfinite(missing[[0, 1, 3]]).all()
        assert any("trained fewer epochs than 4" in note and "few" in note for note in packed.manifest.notes)
        assert any("no snapshot of epoch 3" in note and "parts" in note for note in packed.manifest.notes)

    def test_snapshots_end_where_none_were_kept(self, tmp_path: Path) -> None:
        for network in CHOSEN[:3]:
            record(tmp_path / "runs" / str(network), network, epochs=4, keep=[0, 1, 2])
        packed = nb.pack(tmp_path / "runs", name="my-zoo", out=tmp_path / "zoo")
        assert packed.history(0, 4).curves.shape[0] == 4
        with pytest.raises(NotAtHandError, match="its runs kept snapshots of these epochs: 0 to 2"):
            packed.history(0, 4).weights(4)

    def test_the_epochs_that_were_kept_are_named_one_by_one(self, tmp_path: Path) -> None:
        record(tmp_path / "run", CHOSEN[0], epochs=4, keep=[1, 3])
        packed = nb.pack(tmp_path / "run", name="my-zoo", out=tmp_path / "zoo")
        with pytest.raises(NotAtHandError, match="its runs kept snapshots of these epochs: 1, 3"):
            packed.history(0, 4).weights(2)

    def test_runs_without_a_snapshot_of_epoch_0_have_no_distance_from_it(self, tmp_path: Path) -> None:
        for network in CHOSEN[:3]:
            record(tmp_path / "runs" / str(network), network, epochs=2, keep=[1, 2])
        packed = nb.pack(tmp_path / "runs", name="my-zoo", out=tmp_path / "zoo")
        features = packed.history(0, 2).features
        assert features["distance_from_initial"].isna().all()
        assert np.isfinite(features["l2_norm"]).all()
        with pytest.raises(NotAtHandError, match=r"no features of epoch 0.*epochs: \[1, 2\]"):
            nb.columns.layer_distances(packed.history(0, 2))
        assert any(note.startswith("no run has a snapshot of epoch 0") for note in packed.manifest.notes)

    def test_what_epoch_0_is_needed_for_is_noted_where_it_is_missing(self, tmp_path: Path) -> None:
        record(tmp_path / "runs" / "without", CHOSEN[0], epochs=2, keep=[1, 2])
        record(tmp_path / "runs" / "with", CHOSEN[1], epochs=2, keep=[0, 1, 2])
        packed = nb.pack(tmp_path / "runs", name="my-zoo", out=tmp_path / "zoo")
        assert np.isnan(packed.history(1, 2).features["distance_from_initial"]).all()
        [said] = [note for note in packed.manifest.notes if "no snapshot of epoch 0" in note]
        assert said.endswith("and so are distances from the initialisation, of every epoch: without")

    def test_a_usual_name_that_the_bar_does_not_know_is_noted(self, tmp_path: Path) -> None:
        for run in range(2):
            recorder = nb.Recorder(tmp_path / "runs" / f"{run}", hyperparameters={"lr": 0.1, "wd": 0.0, "weight_decay": 0.0})
            recorder.epoch(validation_accuracy=40.0)
            recorder.finish(test_accuracy=50.0 + run)
        notes = nb.pack(tmp_path / "runs", name="my-zoo", out=tmp_path / "zoo").manifest.notes
        assert [note for note in notes if "the bar knows" in note] == [
            "the bar knows the meaning of learning_rate, not of lr, and is weaker without it: rename it in the runs"
        ]

    def test_a_run_that_ended_between_two_kept_epochs_has_no_signature_from_then_on(self, tmp_path: Path) -> None:
        for network in CHOSEN[:3]:
            record(tmp_path / "runs" / f"whole-{network}", network, keep=[0, 1, 3, 5])
        record(tmp_path / "runs" / "few", CHOSEN[3], epochs=2, keep=[0, 1, 3, 5])
        packed = nb.pack(tmp_path / "runs", name="my-zoo", out=tmp_path / "zoo")
        [few] = packed.networks.index[packed.networks["run"] == "few"]
        signature = packed.history(few, 5).signature("degree", epochs=[1, 3, 5])
        assert np.isfinite(signature).all(axis=1).tolist() == [True, False, False]
        assert np.isfinite(packed.history(few, 5).features["distance_from_initial"]).all()
        assert any("no snapshot of epoch 2" in note and "few" in note for note in packed.manifest.notes)

    @pytest.mark.parametrize("weights", [None, {"fc.weight": np.ones((1, 4), np.float32)}], ids=["none", "one output"])
    def test_chance_is_unknown_without_classes_and_with_one_output(self, weights: Any, tmp_path: Path) -> None:
        recorder = nb.Recorder(tmp_path / "run", weights)
        recorder.epoch(weights=weights, train_loss=0.7, validation_accuracy=50.0)
        with pytest.warns(DivergedWarning):
            recorder.epoch(weights=weights, train_loss=float("nan"), validation_accuracy=50.0)
        recorder.finish(test_accuracy=50.0)
        packed = nb.pack(tmp_path / "run", name="my-zoo", out=tmp_path / "zoo")
        with pytest.raises(TargetError, match="the number of classes is unknown"):
            packed.target("late_validation_accuracy")
        with pytest.raises(PlateauError, match="the number of classes is unknown"):
            packed.on_plateau(1)

    def test_a_run_that_diverged_before_its_first_snapshot_has_none(self, tmp_path: Path) -> None:
        lost = nb.Recorder(
            tmp_path / "runs" / "0-lost", OFFICIAL.history(0, 1).weights(0), architecture="digits-lenet", keep=[1]
        )
        with pytest.warns(DivergedWarning):
            lost.epoch(weights=OFFICIAL.history(0, 1).weights(1), train_loss=float("nan"))
        lost.finish(test_accuracy=10.0)
        for network in CHOSEN[:3]:
            record(tmp_path / "runs" / f"network-{network}", network, epochs=1, keep=[1])
        packed = nb.pack(tmp_path / "runs", name="my-zoo", out=tmp_path / "zoo")
        assert packed.networks["diverged"].tolist() == [True, False, False, False]
        assert np.isnan(packed.history(0, 1).signature("degree")).all()
        assert np.isfinite(packed.history(1, 1).signature("degree")).all()
        assert any("no snapshot of epoch 0" in note and "0-lost" in note for note in packed.manifest.notes)

    def test_a_hyperparameter_that_some_runs_lack_is_missing_there(self, tmp_path: Path) -> None:
        record(tmp_path / "runs" / "0", CHOSEN[0], epochs=1, hyperparameters={"learning_rate": 0.1})
        record(tmp_path / "runs" / "1", CHOSEN[1], epochs=1, hyperparameters={"learning_rate": 0.1, "momentum": 0.9})
        packed = nb.pack(tmp_path / "runs", name="my-zoo", out=tmp_path / "zoo")
        assert np.isnan(packed.networks.loc[0, "momentum"])
        assert "have no hyperparameter momentum" in packed.manifest.notes[0]

    def test_a_curve_that_was_not_measured_in_an_epoch_is_missing_there(self, tmp_path: Path) -> None:
        for run in range(12):
            recorder = nb.Recorder(tmp_path / "runs" / f"{run:02d}", hyperparameters={"learning_rate": 0.01 * (1 + run)})
            recorder.epoch(train_loss=2.0, validation_accuracy=40.0 + run)
            measured = {"unmeasured": ["validation_accuracy"]} if run == 3 else {"validation_accuracy": 45.0 + run}
            recorder.epoch(train_loss=1.0, **measured)  # type: ignore[arg-type]
            recorder.finish(test_accuracy=50.0 + run)
        packed = nb.pack(tmp_path / "runs", name="my-zoo", out=tmp_path / "zoo")
        assert any("have no validation_accuracy in some epochs" in note and "03" in note for note in packed.manifest.notes)
        np.testing.assert_array_equal(packed.history(3, 2).curves["validation_accuracy"], [43.0, np.nan])
        result = nb.evaluate("validation-accuracy", packed, protocol="regression-folds", budgets=2)
        assert np.isfinite(result.predictions["prediction"]).all()

    def test_runs_of_curves_alone_are_a_pack(self, tmp_path: Path) -> None:
        for run in range(12):
            recorder = nb.Recorder(tmp_path / "runs" / f"{run:02d}", hyperparameters={"learning_rate": 0.01 * (1 + run)})
            recorder.epoch(validation_accuracy=40.0 + run)
            recorder.finish(test_accuracy=50.0 + run)
        packed = nb.pack(tmp_path / "runs", name="my-zoo", out=tmp_path / "zoo")
        assert packed.tiers == ["networks"]
        result = nb.evaluate("validation-accuracy", packed, protocol="regression-folds", budgets=1)
        assert np.isfinite(result.predictions["prediction"]).all()
        with pytest.raises(TargetError, match=r"my-zoo 1\.0\.0 has no late_accuracy; subsets at hand that have it"):
            nb.evaluate("validation-accuracy", packed, protocol="seeds", budgets=1)
        pytest.importorskip("torch")
        with pytest.raises(NotAtHandError, match=r"the graphs tier of my-zoo 1\.0\.0 is not at hand: its runs have none"):
            packed.to_torch()

    def test_a_plateau_that_cannot_be_told_is_an_error(self, tmp_path: Path) -> None:
        for run in range(3):
            recorder = nb.Recorder(tmp_path / "curves" / f"{run}", hyperparameters={"learning_rate": 0.01 * (1 + run)})
            recorder.epoch(train_loss=2.0, validation_accuracy=40.0 + run)
            recorder.finish(test_accuracy=50.0 + run)
        with pytest.raises(PlateauError, match="the number of classes is unknown"):
            nb.pack(tmp_path / "curves", name="my-zoo", out=tmp_path / "zoo").on_plateau(1)
        weights = OFFICIAL.history(0, 1).weights(0)
        recorder = nb.Recorder(
            tmp_path / "run", weights, architecture="digits-lenet", hyperparameters={"learning_rate": 0.1}
        )
        recorder.epoch(weights=weights, validation_accuracy=40.0)
        recorder.finish(test_accuracy=50.0)
        with pytest.raises(PlateauError, match=r"network 0 has no training loss up to epoch 1 \(networks without one: 1\)"):
            nb.pack(tmp_path / "run", name="my-zoo", out=tmp_path / "zoo").on_plateau(1)

    def test_runs_that_share_a_name_are_packed_as_given_and_told_apart(self, tmp_path: Path) -> None:
        for place, accuracy in (("a/s0", 50.0), ("b/s0", 60.0), ("s1", 70.0)):
            recorder = nb.Recorder(tmp_path / place, hyperparameters={"learning_rate": 0.1})
            recorder.epoch(validation_accuracy=40.0)
            recorder.finish(test_accuracy=accuracy)
        given = [nb.read_run(tmp_path / place) for place in ("s1", "b/s0", "a/s0")]
        packed = nb.pack(given, name="my-zoo", out=tmp_path / "zoo")
        folders = [(tmp_path / place).as_posix() for place in ("b/s0", "a/s0")]
        assert packed.networks["run"].tolist() == ["s1", *folders]
        assert packed.networks["final_accuracy"].tolist() == [70.0, 60.0, 50.0]
        with pytest.raises(nb.PackError, match=r"the run in .*b/s0 is given twice"):
            nb.pack([*given, given[1]], name="my-zoo", out=tmp_path / "zoo")


class TestTwins:
    def test_runs_of_equal_hyperparameters_are_on_one_side(self, tmp_path: Path) -> None:
        for network in CHOSEN:
            rate = {"learning_rate": 0.1 * (network // 20), "seed": network}
            record(tmp_path / "runs" / f"{network:03d}", network, epochs=1, hyperparameters=rate)
        packed = nb.pack(tmp_path / "runs", name="my-zoo", out=tmp_path / "zoo")
        twins = packed.networks["configuration"]
        assert twins.nunique() == len(CHOSEN) // 2
        assert packed.manifest.hyperparameters == ["learning_rate"]
        for train, test in packed.split("folds"):
            assert not set(twins[train]) & set(twins[test])

    @pytest.mark.parametrize("seed", ["first", 2**63, 2**127, -(2**64)])
    def test_a_seed_that_is_no_number_of_a_table_is_a_text(self, seed: int | str, tmp_path: Path) -> None:
        """Such as numpy's ``SeedSequence().entropy``, which has 128 bits."""
        for place, each in enumerate((seed, 7)):
            hyperparameters = {"learning_rate": 0.1, "seed": each}
            record(tmp_path / "runs" / str(place), CHOSEN[place], epochs=1, hyperparameters=hyperparameters)
        packed = nb.pack(tmp_path / "runs", name="my-zoo", out=tmp_path / "zoo")
        assert packed.networks["seed"].tolist() == [str(seed), "7"]
        assert packed.networks["configuration"].tolist() == [0, 0]

    def test_blocked_is_by_the_column_that_one_names(self, tmp_path: Path) -> None:
        for position, network in enumerate(CHOSEN[:9]):
            augmentation = {"learning_rate": 0.1, "augmentation": ("none", "flips", "crops")[position % 3], "seed": network}
            record(tmp_path / "runs" / f"{network:03d}", network, epochs=1, hyperparameters=augmentation)
        packed = nb.pack(tmp_path / "runs", name="my-zoo", out=tmp_path / "zoo", blocked="augmentation")
        tested = [set(packed.networks.loc[test, "augmentation"]) for _, test in packed.split("blocked")]
        assert tested == [{"crops"}, {"flips"}, {"none"}]
        for other in ("optimiser", "seed", "final_accuracy", "run"):  # splitting by the seed would part twins
            with pytest.raises(
                nb.PackError, match=f"no run has the hyperparameter '{other}' .*: learning_rate, augmentation"
            ):
                nb.pack(tmp_path / "runs", name="my-zoo", out=tmp_path / "zoo", blocked=other)


class TestBadInput:
    def test_a_best_outcome_below_one_percent_is_refused_where_it_is_far_below_chance(self, tmp_path: Path) -> None:
        for run in range(12):
            recorder = nb.Recorder(tmp_path / f"runs/{run:02d}", hyperparameters={"learning_rate": 0.01 * (1 + run)})
            with pytest.warns(FractionWarning, match=r"epoch 1 .* is 0\.4%: if it is a fraction, multiply it by 100"):
                recorder.epoch(validation_accuracy=0.4)
            recorder.finish(test_accuracy=0.5 + run / 100)
        for classes in (None, 2, 19):
            with pytest.raises(nb.PackError, match=r"ends at 0\.61%, so accuracies seem to be fractions: .* classes="):
                nb.pack(tmp_path / "runs", name="my-zoo", out=tmp_path / "zoo", classes=classes)
        packed = nb.pack(tmp_path / "runs", name="my-zoo", out=tmp_path / "zoo", classes=50)
        assert packed.manifest.chance == 2.0
        assert "the best run ends at 0.61%: if accuracies are fractions, record them in percent" in packed.manifest.notes

    def test_how_many_classes_there_are_is_asked_for_where_the_network_does_not_tell(self, tmp_path: Path) -> None:
        recorder = nb.Recorder(tmp_path / "run", hyperparameters={"learning_rate": 0.01})
        recorder.epoch(train_loss=2.0, validation_accuracy=40.0)
        recorder.finish(test_accuracy=50.0)
        packed = nb.pack(tmp_path / "run", name="my-zoo", out=tmp_path / "zoo")
        assert packed.manifest.chance == 0
        assert any("how many classes there are is not known" in note for note in packed.manifest.notes)
        said = nb.pack(tmp_path / "run", name="my-zoo", out=tmp_path / "zoo", classes=10)
        assert (said.manifest.chance, said.architecture.classes) == (10, 10)
        assert not any("classes" in note for note in said.manifest.notes)
        assert said.on_plateau(1).tolist() == [False]
        for classes in (1, 2.5, True):
            with pytest.raises(nb.PackError, match=f"classes must be .* at least 2, not {classes}"):
                nb.pack(tmp_path / "run", name="my-zoo", out=tmp_path / "zoo", classes=classes)  # type: ignore[arg-type]

    def test_why_a_network_is_no_graph_may_be_said_in_other_words(self, tmp_path: Path) -> None:
        weights = {"a.weight": np.ones((3, 4), np.float32), "b.weight": np.ones((5, 7), np.float32)}

        def recorder(run: int, why: str, **options: Any) -> nb.Recorder:
            told = replace(nb.graphs.describe(weights), no_graph=why)
            hyperparameters = {"learning_rate": 0.1 + run}
            return nb.Recorder(
                tmp_path / f"runs/{run}", weights, architecture=told, hyperparameters=hyperparameters, **options
            )

        for run in range(2):
            recorder(run, f"as torch 2.{run} says").epoch(weights=weights, train_loss=1.0)
            recorder(run, f"as torch 2.{run + 5} says", resume=True).finish(test_accuracy=50.0 + run)
        assert nb.pack(tmp_path / "runs", name="my-zoo", out=tmp_path / "zoo").manifest.networks == 2

    def test_a_run_may_lack_a_hyperparameter_that_others_lack(self, tmp_path: Path) -> None:
        for run in range(12):
            own = {"learning_rate": 0.01 * (1 + run)} | ({"momentum": 0.9} if run % 2 else {})
            recorder = nb.Recorder(tmp_path / f"runs/{run:02d}", hyperparameters=own)
            recorder.epoch(validation_accuracy=40.0 + run)
            recorder.finish(test_accuracy=50.0 + run)
        packed = nb.pack(tmp_path / "runs", name="my-zoo", out=tmp_path / "zoo")
        new = nb.Recorder(tmp_path / "new", hyperparameters={"learning_rate": 0.05})
        new.epoch(validation_accuracy=45.0)
        assert nb.predict(new, packed, method="learning-rate", budget=1).outside == ()

    @pytest.mark.parametrize("first", ["with", "without"])
    def test_runs_with_and_without_biases_are_refused(self, first: str, tmp_path: Path) -> None:
        weight, bias = {"fc.weight": np.ones((3, 4), np.float32)}, {"fc.bias": np.ones(3, np.float32)}
        given = [weight | bias, weight] if first == "with" else [weight, weight | bias]
        for place, weights in zip("ab", given, strict=True):
            recorder = nb.Recorder(tmp_path / "runs" / place, weights)
            recorder.epoch(weights=weights, train_loss=1.0)
            recorder.finish(test_accuracy=50.0)
        with pytest.raises(nb.PackError, match=r"a and .*b have different architectures: .*fc\.bias"):
            nb.pack(tmp_path / "runs", name="my-zoo", out=tmp_path / "zoo")

    def test_a_text_with_a_value_for_each_of_many_runs_is_not_blocked_by(self, tmp_path: Path) -> None:
        for run in range(130):
            recorder = nb.Recorder(tmp_path / f"runs/{run:03d}", hyperparameters={"policy": f"p{run}"})
            recorder.epoch(validation_accuracy=50.0)
            recorder.finish(test_accuracy=20.0 + run / 2)
        packed = nb.pack(tmp_path / "runs", name="my-zoo", out=tmp_path / "zoo", blocked="policy")
        with pytest.raises(SplitError, match="130 values of policy, and a fold for each"):
            packed.split("blocked")

    def test_runs_of_different_architectures_are_refused_with_the_two(self, tmp_path: Path) -> None:
        record(tmp_path / "runs" / "a", CHOSEN[0], epochs=1)
        other = nb.graphs.random_weights("digits-lenet@0.5", seed=0)
        half = nb.Recorder(tmp_path / "runs" / "b", other, hyperparameters={"learning_rate": 0.1})
        half.epoch(weights=other, train_loss=1.0)
        half.finish(test_accuracy=50.0)
        with pytest.raises(
            nb.PackError, match=r"runs/a and .*runs/b have different architectures: digits-lenet \(conv1 4×1"
        ):
            nb.pack(tmp_path / "runs", name="my-zoo", out=tmp_path / "zoo")
        assert not (tmp_path / "zoo" / "my-zoo" / "1.0.0").exists()

    def test_a_text_among_numbers_is_named(self, tmp_path: Path) -> None:
        record(tmp_path / "runs" / "a", CHOSEN[0], epochs=1, hyperparameters={"learning_rate": 0.1})
        record(tmp_path / "runs" / "b", CHOSEN[1], epochs=1, hyperparameters={"learning_rate": "high"})
        with pytest.raises(nb.PackError, match=r"learning_rate is text in some runs \('high'\) and a number in others"):
            nb.pack(tmp_path / "runs", name="my-zoo", out=tmp_path / "zoo")

    def test_curves_that_are_wrong_are_named_with_their_file(self, tmp_path: Path) -> None:
        rewritten(tmp_path, 1, {"train_loss": "low"})
        with pytest.raises(NotGivenError, match=r"runs/a/run\.json .* train_loss .*'low' in row 2 \(epoch 2\)"):
            nb.pack(tmp_path / "runs", name="my-zoo", out=tmp_path / "zoo")

    @pytest.mark.parametrize(
        ("row", "column", "value", "says"),
        [
            (1, "validation_accuracy", "high", r"validation_accuracy .*'high' in row 2 \(epoch 2\)"),
            (1, "validation_accuracy", None, r"validation_accuracy .*nan.* in row 2 \(epoch 2\)"),
            (0, "epoch", [1], r"\[1\] in row 1 for the epoch"),
            (2, "train_loss", 10**400, r"train_loss in row 3 is a number beyond 1e\+100"),
            (2, "seconds", 10**400, r"seconds in row 3 is a number beyond 1e\+100"),
        ],
    )
    def test_a_record_written_by_hand_is_named_with_what_is_wrong_in_it(
        self, row: int, column: str, value: object, says: str, tmp_path: Path
    ) -> None:
        rewritten(tmp_path, row, {column: value})
        with pytest.raises(nb.NndynbenchError, match=rf"(?s)runs/a/run\.json .*{says}"):
            nb.pack(tmp_path / "runs", name="my-zoo", out=tmp_path / "zoo")

    @pytest.mark.parametrize("seconds", [None, "long"])
    def test_seconds_that_are_no_number_count_as_not_measured(self, seconds: object, tmp_path: Path) -> None:
        record = rewritten(tmp_path, 1, {"seconds": seconds})
        packed = nb.pack(tmp_path / "runs", name="my-zoo", out=tmp_path / "zoo")
        assert packed.networks["seconds"][0] == record["epochs"][0]["seconds"] + record["epochs"][2]["seconds"]
        assert packed.networks["best_accuracy"][0] == max(row["validation_accuracy"] for row in record["epochs"])

    @pytest.mark.parametrize("name", ["device", "network", "fold", "blocked_fold", "holdout", "label", "late_accuracy"])
    def test_a_column_of_the_tables_cannot_be_a_hyperparameter(self, name: str, tmp_path: Path) -> None:
        record(tmp_path / "runs" / "a", CHOSEN[0], epochs=1, hyperparameters={name: 1})
        with pytest.raises(nb.PackError, match=f"hyperparameters cannot be named like columns of a pack's tables: {name}"):
            nb.pack(tmp_path / "runs", name="my-zoo", out=tmp_path / "zoo")

    @pytest.mark.parametrize("given", [["runs/a", "runs/b"], {"a": None}, 3, None])
    def test_what_are_no_runs_is_refused(self, given: Any, tmp_path: Path) -> None:
        with pytest.raises(
            nb.PackError, match=r"runs must be a folder, or several runs as nndynbench\.read_run reads them, not "
        ):
            nb.pack(given, name="my-zoo", out=tmp_path)

    @pytest.mark.parametrize("threshold", [float("nan"), float("inf"), -1, 101, 0.6, "50", True])
    def test_a_threshold_that_is_no_percentage_is_refused_and_the_earlier_pack_stays(
        self, threshold: Any, runs: Path, tmp_path: Path
    ) -> None:
        given = [nb.read_run(runs / f"network-{CHOSEN[0]:03d}")]
        earlier = nb.pack(given, name="my-zoo", out=tmp_path)
        with pytest.raises(nb.PackError, match=r"the pack: threshold must be (in percent|a number)"):
            nb.pack(given, name="my-zoo", out=tmp_path, threshold=threshold)
        assert nb.load("my-zoo", root=tmp_path).checksum == earlier.checksum


class TestCommands:
    @pytest.fixture(autouse=True)
    def _here(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)

    def said(self, *arguments: str) -> str:
        done = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
        assert done.exit_code == 0, done.output
        return done.output

    def test_a_folder_is_packed_and_said(self, runs: Path) -> None:
        said = self.said("pack", str(runs), "--name", "my-zoo", "--out", "zoo", "--blocked", "dropout")
        assert "packed 24 of 24 runs" in said.replace("\n", " ")
        assert "regime own" in self.said("info", "my-zoo", "--root", "zoo")

    def test_each_split_that_is_left_out_is_said_with_the_reason(self) -> None:
        for number in range(12):  # 4 configurations, with 3 seeds each
            recorder = nb.Recorder(f"runs/{number:02d}", hyperparameters={"learning_rate": number % 4, "seed": number})
            recorder.epoch(validation_accuracy=50.0 + number)
            recorder.finish(test_accuracy=60.0 + number)
        said = self.said("pack", "runs", "--name", "my-zoo", "--out", "zoo").splitlines()
        assert "  the split folds is left out: 4 configurations: 5 folds need 5" in said
        assert "  the split blocked is left out: 4 learning rates: bands of 4 need at least 8" in said
        assert "  the split sample_folds is left out: 6 high and 6 low networks: a class needs at least 15" in said

    def test_its_texts_are_shown_as_they_are_also_in_brackets(self) -> None:
        for rate in range(1, 15):
            recorder = nb.Recorder(f"runs/{rate:02d}", hyperparameters={"[b]rate": rate % 7})
            recorder.epoch(validation_accuracy=50.0 + rate)
            recorder.finish(test_accuracy=60.0 + rate)
        summary = "rates [draft] of [/b] runs"
        self.said("pack", "runs", "--name", "my-zoo", "--out", "zoo", "--summary", summary, "--blocked", "[b]rate")
        shown = self.said("info", "my-zoo", "--root", "zoo")
        assert summary in shown
        assert "7 values of [b]rate" in shown
        assert summary in self.said("list", "--root", "zoo")
        predicted = self.said("predict", "runs/01", "--subset", "my-zoo", "--root", "zoo", "--method", "validation-accuracy")
        assert f"on my-zoo: {summary})" in predicted.replace("\n", " ")
        assert "(87%, from validation-accuracy's errors" in predicted  # 14 errors hold 13 in 15

    @pytest.mark.parametrize(
        ("command", "says"),
        [
            (("list",), "my-zoo"),
            (("info", "my-zoo"), "split folds: 5 fold(s)"),
            (("export", "my-zoo", "--out", "networks.csv"), "wrote networks.csv"),
            (("curves", "my-zoo"), "curves/my-zoo.png"),
            (("verify",), "files checked"),
            (("evaluate", "constant", "--subset", "my-zoo", "--protocol", "regression-folds"), "constant on my-zoo"),
        ],
        ids=lambda value: value[0] if isinstance(value, tuple) else None,
    )
    def test_a_command_works_on_it(self, command: tuple[str, ...], says: str, root: Path) -> None:
        assert says in self.said(*command, "--root", str(root))


def test_runs_without_weights_are_scored_beside_the_bar(tmp_path: Path) -> None:
    for network in CHOSEN:
        facts, curves = OFFICIAL.networks.loc[network], OFFICIAL.history(network, 5).curves
        hyperparameters = {"learning_rate": facts["learning_rate"], "dropout": facts["dropout"]}
        recorder = nb.Recorder(tmp_path / "runs" / str(network), hyperparameters=hyperparameters)
        for _, row in curves.iterrows():
            recorder.epoch(**{name: float(row[name]) for name in ("train_loss", "train_accuracy", "validation_accuracy")})
        recorder.finish(test_accuracy=float(facts["final_accuracy"]))
    nb.pack(tmp_path / "runs", name="curves-alone", out=tmp_path / "zoo")
    zoo = nb.load("curves-alone", root=tmp_path / "zoo")
    compared = nb.compare(["curve-bar"], zoo, protocol="regression-folds", budgets=2, results=tmp_path / "results")
    assert {"bar", "curve-bar"} <= set(compared.rows.dropna(subset="value")["method"])


def test_networks_that_are_no_graph_have_no_tiers_of_graphs(tmp_path: Path) -> None:
    weights = {"a.weight": np.ones((3, 4), np.float32), "b.weight": np.ones((5, 7), np.float32)}
    for run in range(2):
        recorder = nb.Recorder(tmp_path / f"runs/{run}", weights, hyperparameters={"learning_rate": 0.1 + run})
        recorder.epoch(weights=weights, train_loss=1.0)
        recorder.finish(test_accuracy=50.0 + run)
    packed = nb.pack(tmp_path / "runs", name="my-zoo", out=tmp_path / "zoo")
    assert packed.tiers == ["networks", "weights"]
    pytest.importorskip("torch")
    with pytest.raises(NotAtHandError, match="the graphs tier of my-zoo"):
        packed.to_torch("graphs")
