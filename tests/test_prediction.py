"""`predict`: a run of one's own, from its checkpoints."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file
from sklearn.base import clone

import nndynbench as nb
from nndynbench.convert import CheckpointError
from nndynbench.prediction import Forecaster, Given, NotGivenError, given_of
from nndynbench.protocols import MethodError, find_method, find_protocol
from nndynbench.protocols.best_methods import NoMethodError, best_method, best_methods
from nndynbench.protocols.method import SEED, seeded
from nndynbench.recording.recorder import DivergedWarning
from nndynbench.subsets import BudgetError, SplitError

NETWORK, EPOCHS = 100, 3


@pytest.fixture(scope="module")
def half() -> nb.Subset:
    return nb.load("digits-lenet-half")


def written(folder: Path, digits: nb.Subset, *, scale: float = 1) -> Path:
    history = digits.history(NETWORK, EPOCHS)
    folder.mkdir()
    for epoch in range(EPOCHS + 1):
        weights = {name: np.ascontiguousarray(scale * tensor) for name, tensor in history.weights(epoch).items()}
        # The steps say that epoch 0 is the initialisation.
        save_file(weights, folder / f"epoch_{epoch}.safetensors", metadata={"global_step": str(18 * epoch)})
    return folder


@pytest.fixture(scope="module")
def run(digits: nb.Subset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("runs") / "run", digits)


@pytest.mark.parametrize("method", ["degree-linear", "weight-statistics", "per-layer-degree"])
def test_checkpoints_are_predicted_as_the_zoos_own_history(digits: nb.Subset, run: Path, method: str) -> None:
    ours = nb.predict(run, digits, method=method, budget=EPOCHS)
    regressor = seeded(clone(find_method(method).estimator(find_protocol("regression"))))
    known = digits.histories(digits.network_ids, EPOCHS)
    regressor.fit(known, digits.networks["final_accuracy"].to_numpy())
    # Stored weights are rounded to 12 bits of mantissa, and what else is stored was computed before rounding.
    assert ours.accuracy == pytest.approx(regressor.predict([digits.history(NETWORK, EPOCHS)])[0], abs=1.5)
    assert ours.outside == ()


@pytest.mark.parametrize("method", ["degree-forest", "degree-linear"])
def test_the_interval_holds_95_percent_of_the_errors(digits: nb.Subset, run: Path, method: str) -> None:
    # The second method predicts less than 0 and more than 100 for some networks.
    predicted = nb.predict(run, digits, method=method, budget=EPOCHS)
    tested = nb.evaluate(method, digits, protocol="regression-folds", budgets=EPOCHS, order_seed=SEED).predictions
    errors = np.sort(tested["truth"] - np.clip(tested["prediction"], 0, 100))
    # One more error is as likely to have any of n + 1 ranks, so it has one of the lowest 2.5% with a probability of 2.5%.
    ranks = np.array([0.025, 0.975]) * (len(errors) + 1)
    ends = np.interp(ranks, np.arange(1, len(errors) + 1), errors)
    assert (predicted.low, predicted.high) == pytest.approx(tuple(np.clip(predicted.accuracy + ends, 0, 100)))
    assert predicted.low < predicted.accuracy < predicted.high
    assert predicted.probability_high == pytest.approx(np.mean(predicted.accuracy + errors >= predicted.threshold))


def test_with_few_networks_an_interval_says_at_which_level_it_is(digits: nb.Subset) -> None:
    forecaster = Forecaster(digits, "constant", EPOCHS)
    forecaster.errors = np.array([-9.0, -4.0, 1.0, 2.0, 7.0, 8.0, 9.0, 9.5, 9.75])  # nine: they leave 2 in 10 outside
    predicted = forecaster.predict(Given(digits.history(NETWORK, EPOCHS), frozenset(), True))
    assert predicted.level == pytest.approx(0.8)
    assert (predicted.low, predicted.high) == pytest.approx((predicted.accuracy - 9, predicted.accuracy + 9.75))
    assert "(80% interval: " in str(predicted)


def test_a_hyperparameter_beyond_the_subsets_is_named(digits: nb.Subset, run: Path) -> None:
    given = {"learning_rate": 3.0, "dropout": 0.2}
    predicted = nb.predict(run, digits, method="hyperparameters", budget=EPOCHS, hyperparameters=given)
    assert [what for what in predicted.outside if "hyperparameter" in what] == [
        "hyperparameter learning_rate: 3 (the subset's: 0.0005 to 0.03)"
    ]
    blind = nb.predict(run, digits, method="degree-linear", budget=EPOCHS, hyperparameters=given)
    assert not [what for what in blind.outside if "hyperparameter" in what]


def test_a_run_unlike_the_subset_is_said_to_be(digits: nb.Subset, tmp_path: Path) -> None:
    predicted = nb.predict(written(tmp_path / "large", digits, scale=30), digits, method="degree-linear", budget=EPOCHS)
    assert any(line.startswith("mean of the degrees at epoch 3") for line in predicted.outside)


def test_what_a_method_reads_must_be_given(digits: nb.Subset, run: Path) -> None:
    with pytest.raises(
        ValueError, match=r"reads hyperparameters, but none were given for .*: give hyperparameters=, a value for"
    ):
        nb.predict(run, digits, method="hyperparameters", budget=EPOCHS)
    given = {"learning_rate": 0.005, "dropout": 0.2}
    assert 0 < nb.predict(run, digits, method="hyperparameters", budget=EPOCHS, hyperparameters=given).accuracy < 100


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"lr": 0.005, "dropout": 0.2}, "lack learning_rate"),
        ({"learning_rate": 0.005, "dropout": 0.2, "momentum": 0.9}, "has no hyperparameter momentum"),
        ({"learning_rate": "0,005", "dropout": 0.2}, "learning_rate must be a number in digits-lenet, not '0,005'"),
    ],
)
def test_hyperparameters_that_the_subset_has_not_are_refused(
    digits: nb.Subset, run: Path, given: dict, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        nb.predict(run, digits, method="hyperparameters", budget=EPOCHS, hyperparameters=given)


def test_curves_must_have_every_epoch_and_every_column(digits: nb.Subset, run: Path) -> None:
    curves = digits.history(NETWORK, EPOCHS).curves
    before = pd.concat([curves.iloc[:1].set_axis([0]), curves])
    whole, with_epoch_0 = (
        nb.predict(run, digits, method="training-loss", budget=EPOCHS, curves=given).accuracy for given in (curves, before)
    )
    assert whole == with_epoch_0
    with pytest.raises(ValueError, match=r"lack epoch 2, 3 \(they have 1\)"):
        nb.predict(run, digits, method="training-loss", budget=EPOCHS, curves=curves.iloc[:1])
    with pytest.raises(ValueError, match="lack validation_accuracy"):
        nb.predict(run, digits, method="training-loss", budget=EPOCHS, curves=curves.drop(columns="validation_accuracy"))


def test_what_comes_after_the_budget_is_not_read(digits: nb.Subset, tmp_path: Path) -> None:
    folder = written(tmp_path / "run", digits)
    (folder / "epoch_12.safetensors").write_bytes(b"cut short")
    assert nb.predict(folder, digits, method="degree-linear", budget=EPOCHS).accuracy > 0


@pytest.mark.parametrize("method", ["norms", "control-epoch-0"])
def test_features_need_the_initialisation(digits: nb.Subset, tmp_path: Path, method: str) -> None:
    folder = written(tmp_path / "run", digits)
    (folder / "epoch_0.safetensors").unlink()
    with pytest.raises(NotGivenError, match=r"compare with the initialisation: .* has no weights of epoch 0"):
        nb.predict(folder, digits, method=method, budget=EPOCHS)
    assert nb.predict(folder, digits, method="degree-linear", budget=EPOCHS).accuracy > 0


def test_a_network_of_the_subset_is_not_among_those_that_the_method_is_fitted_on(digits: nb.Subset) -> None:
    others = [network for network in digits.network_ids if network != NETWORK]
    truth = digits.networks.loc[others, "final_accuracy"].to_numpy()
    regressor = find_method("degree-linear").estimator(find_protocol("regression"))
    by_hand = clone(regressor).fit(digits.histories(others, EPOCHS), truth).predict([digits.history(NETWORK, EPOCHS)])
    predicted = nb.predict(digits.history(NETWORK, EPOCHS), digits, method="degree-linear", budget=EPOCHS)
    assert predicted.accuracy == pytest.approx(np.clip(by_hand[0], 0, 100))


def test_a_network_of_the_subset_is_known_as_such_also_from_a_folder_with_fewer_tiers(
    digits: nb.Subset, tmp_path: Path
) -> None:
    manifest = digits.manifest.model_copy(update={"tiers": {"networks": digits.manifest.tiers["networks"]}})
    folder = tmp_path / digits.name / digits.version
    folder.mkdir(parents=True)
    (folder / "subset.json").write_text(manifest.model_dump_json())
    for name in manifest.tiers["networks"].files:
        shutil.copy(digits.folder / name, folder)
    history = nb.load(digits.name, root=tmp_path).history(NETWORK, EPOCHS)
    predicted, expected = (
        nb.predict(given, digits, method="degree-linear") for given in (history, digits.history(NETWORK, EPOCHS))
    )
    assert predicted == expected


def test_a_missing_epoch_and_another_architecture_are_named(digits: nb.Subset, half: nb.Subset, run: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no checkpoint of epoch 4, 5 \(it has \[0, 1, 2, 3\]\)"):
        nb.predict(run, digits, budget=5)
    with pytest.raises(CheckpointError, match="epoch_1"):
        nb.predict(run, half, budget=EPOCHS)
    with pytest.raises(FileNotFoundError, match="is not a folder of checkpoints"):
        nb.predict(run / "nowhere", digits, method="degree-linear", budget=EPOCHS)


def test_a_history_must_be_a_whole_one_of_such_a_network(digits: nb.Subset, half: nb.Subset) -> None:
    history = digits.history(NETWORK, EPOCHS)
    with pytest.raises(BudgetError, match="the history ends at epoch 3, not at the budget of 5"):
        nb.predict(history, digits, budget=5)
    with pytest.raises(BudgetError):
        nb.predict(history, digits, budget=0)
    with pytest.raises(NotGivenError, match="the networks of digits-lenet-half have"):
        nb.predict(history, half, budget=EPOCHS)
    with pytest.raises(NotGivenError, match="a history has its own"):
        nb.predict(history, digits, budget=EPOCHS, hyperparameters={"nonsense": 1})


def test_a_classifier_cannot_predict_an_accuracy(digits: nb.Subset, run: Path) -> None:
    with pytest.raises((ValueError, MethodError), match="only a classifier"):
        nb.predict(run, digits, method="degree-svm", budget=EPOCHS)


class TestWhatIsGivenDecidesTheMethod:
    """It is the best on the board of those that read nothing else; `nndynbench.protocols.best_methods` lists them."""

    def test_the_board_in_short_is_of_bundled_methods(self) -> None:
        bundled = nb.methods()
        for best in best_methods():
            assert {*best.reads} == {*filter(None, bundled.loc[best.name, "reads"].split(", "))}
            assert "regression" in bundled.loc[best.name, "tasks"]

    @pytest.mark.parametrize("given", [{"weights"}, {"curves"}, {"hyperparameters"}, {"weights", "curves"}])
    def test_the_best_of_those_that_read_what_is_given_is_taken(self, given: set[str]) -> None:
        chosen = next(best for best in best_methods() if best.name == best_method(given, initialisation=True))
        able = [best.rank for best in best_methods() if best.reads and set(best.reads) <= given]
        assert chosen.rank == min(able)

    def test_without_the_initialisation_none_is_taken_that_needs_it(self) -> None:
        chosen = best_method({"weights"}, initialisation=False)
        assert not next(best for best in best_methods() if best.name == chosen).needs_initialisation

    def test_nothing_given_is_an_error(self, digits: nb.Subset) -> None:
        with pytest.raises(NoMethodError, match="nothing is given to predict from"):
            nb.predict(None, digits)

    def test_the_answer_names_the_method(self, digits: nb.Subset) -> None:
        weights = {epoch: digits.history(NETWORK, 1).weights(epoch) for epoch in (1,)}
        predicted = nb.predict(weights, digits, budget=1)
        assert predicted.method == best_method({"weights"}, initialisation=False)
        assert f"by {predicted.method} after 1 epoch" in str(predicted)


class TestOtherForms:
    def test_snapshots_in_memory_are_predicted_as_the_history(self, digits: nb.Subset) -> None:
        history = digits.history(NETWORK, EPOCHS)
        snapshots = {epoch: history.weights(epoch) for epoch in range(EPOCHS + 1)}
        ours = nb.predict(snapshots, digits, method="degree-linear", budget=EPOCHS)
        assert ours.accuracy == pytest.approx(nb.predict(history, digits, method="degree-linear").accuracy, abs=1.5)
        del snapshots[2]
        with pytest.raises(NotGivenError, match=r"no weights of epoch 2 \(it has \[0, 1, 3\]\)"):
            nb.predict(snapshots, digits, budget=EPOCHS)

    def test_curves_alone_are_enough_for_a_method_that_reads_nothing_else(self, digits: nb.Subset) -> None:
        history = digits.history(NETWORK, EPOCHS)
        alone = nb.predict(None, digits, method="training-loss", budget=EPOCHS, curves=history.curves)
        with_weights = nb.predict(history, digits, method="training-loss")
        assert alone.accuracy == pytest.approx(with_weights.accuracy, abs=1.5)  # the history's network is left out
        with pytest.raises(ValueError, match=r"has no weights of epoch 1 \(it has \[\]\)"):
            nb.predict(None, digits, method="degree-linear", budget=EPOCHS, curves=history.curves)

    def test_a_method_that_reads_weights_says_which_snapshots_a_run_lacks(self, digits: nb.Subset, tmp_path: Path) -> None:
        history = digits.history(NETWORK, EPOCHS)
        recorder = nb.Recorder(tmp_path / "run", history.weights(0), architecture="digits-lenet", keep=[0, 1, 3])
        for epoch, row in history.curves.iterrows():
            recorder.epoch(weights=history.weights(int(epoch)), **row.to_dict())
        asked = nb.predict(recorder, digits, method="layer-distance", budget=EPOCHS)
        assert "the run has no snapshot of epoch 2" in asked.outside
        blind = nb.predict(recorder, digits, method="training-loss", budget=EPOCHS)
        assert not any("snapshot" in what for what in blind.outside)

    def test_a_recorded_run_gives_all_that_it_has(self, digits: nb.Subset, tmp_path: Path) -> None:
        history = digits.history(NETWORK, EPOCHS)
        recorder = nb.Recorder(
            tmp_path / "run",
            history.weights(0),
            architecture="digits-lenet",
            hyperparameters={**history.hyperparameters, "seed": 7, "augmentation": "none"},
        )
        with pytest.raises(BudgetError, match="no epoch yet"):
            nb.predict(recorder, digits)
        for epoch, row in history.curves.iterrows():
            curves = {name: float(row[name]) for name in nb.columns.CURVES}
            recorder.epoch(weights=history.weights(int(str(epoch))), **curves)
        for method in ("degree-linear", "training-loss", "learning-rate"):
            alike = [nb.predict(run, digits, method=method) for run in (recorder, recorder.run, tmp_path / "run")]
            assert alike[0] == alike[1] == alike[2]
            assert alike[0].budget == EPOCHS
            assert alike[0].outside[0] == "hyperparameter augmentation: the subset has none of this name"
        ours, expected = (nb.predict(given, digits, method="degree-linear").accuracy for given in (recorder, history))
        assert ours == pytest.approx(expected, abs=2)

    def test_a_run_that_ended_in_its_first_epoch_has_all_snapshots_that_it_can_have(
        self, digits: nb.Subset, tmp_path: Path
    ) -> None:
        weights = digits.history(NETWORK, 1).weights(0)
        recorder = nb.Recorder(tmp_path / "run", weights, architecture="digits-lenet")
        with pytest.warns(DivergedWarning):
            recorder.epoch(weights=weights, train_loss=float("nan"))
        run = recorder.finish(test_accuracy=10.0)
        with pytest.raises(BudgetError, match="the run has ended without an epoch"):
            nb.predict(run, digits)
        given = given_of(run, digits, EPOCHS)
        assert (given.reads, given.without_snapshot) == ({"weights"}, ())
        assert np.isnan(given.history.signature("degree")).all()

    def test_a_curve_that_some_epoch_lacks_is_not_given(self, digits: nb.Subset, tmp_path: Path) -> None:
        history = digits.history(NETWORK, 2)
        recorder = nb.Recorder(tmp_path / "run", history.weights(0), architecture="digits-lenet")
        first, second = ({name: float(row[name]) for name in nb.columns.CURVES} for _, row in history.curves.iterrows())
        recorder.epoch(weights=history.weights(1), **first)
        del second["validation_accuracy"]
        recorder.epoch(weights=history.weights(2), unmeasured=["validation_accuracy"], **second)
        said = nb.predict(recorder, digits, method="degree-linear", budget=2).outside
        assert said[0] == "validation_accuracy: in the subset's curves, but not in every epoch of the run"
        with pytest.raises(
            NotGivenError, match=r"reads curves, but those of .*run cannot be used \(validation_accuracy: in the"
        ):
            nb.predict(recorder, digits, method="training-loss", budget=2)
        assert nb.predict(recorder, digits, method="training-loss", budget=1).budget == 1

    def test_a_recorded_run_of_another_network_is_refused(self, digits: nb.Subset, tmp_path: Path) -> None:
        recorder = nb.Recorder(tmp_path / "run", nb.graphs.random_weights("digits-lenet@0.5", seed=0))
        recorder.epoch(weights=nb.graphs.random_weights("digits-lenet@0.5", seed=0), train_loss=1.0)
        with pytest.raises(NotGivenError, match=r"has the layers conv1 2×1×3×3.* have conv1 4×1×3×3"):
            nb.predict(recorder, digits)

    def test_a_network_with_other_kernels_is_refused(self, digits: nb.Subset, tmp_path: Path) -> None:
        weights = nb.graphs.random_weights("digits-lenet", seed=0)
        weights["conv1.weight"] = np.ones((4, 1, 5, 5), np.float32)
        recorder = nb.Recorder(tmp_path / "run", weights)
        recorder.epoch(weights=weights, train_loss=1.0)
        for run in (recorder, recorder.run.history(1)):
            with pytest.raises(NotGivenError, match=r"has the layers conv1 4×1×5×5.* have conv1 4×1×3×3"):
                nb.predict(run, digits, budget=1)

    def test_hyperparameters_that_do_not_fit_are_said_to_a_method_that_reads_them(
        self, digits: nb.Subset, tmp_path: Path
    ) -> None:
        recorder = nb.Recorder(tmp_path / "run", hyperparameters={"learning_rate": 0.01})
        recorder.epoch(train_loss=2.3, train_accuracy=10, validation_accuracy=10)
        with pytest.raises(
            NotGivenError, match=r"cannot be used \(hyperparameters lack dropout \(given: learning_rate\)\): give"
        ):
            nb.predict(recorder, digits, method="hyperparameters")


class TestStopping:
    def test_a_run_is_not_judged_by_curves_that_were_not_measured(self, digits: nb.Subset, tmp_path: Path) -> None:
        recorder = nb.Recorder(tmp_path / "run")
        recorder.epoch(train_loss=2.3, train_accuracy=10, validation_accuracy=10)
        recorder.epoch(train_loss=2.3, train_accuracy=10, unmeasured=["validation_accuracy"])
        for method in ("validation-accuracy", None):
            assert nb.StopEarly(digits, at_least=90, method=method, budgets=[2]).probability(recorder) is None

    def test_too_few_networks_are_an_error_before_any_training(self, tmp_path: Path) -> None:
        for run in range(4):
            recorder = nb.Recorder(tmp_path / f"runs/{run}", hyperparameters={"learning_rate": 0.1 + run})
            recorder.epoch(validation_accuracy=50.0)
            recorder.finish(test_accuracy=50.0 + run)
        with pytest.raises(SplitError, match="5 folds need 5"):
            nb.StopEarly(nb.pack(tmp_path / "runs", name="few", out=tmp_path / "zoo"), at_least=60)

    def test_a_run_that_learns_nothing_is_stopped_and_one_that_learns_is_not(
        self, digits: nb.Subset, tmp_path: Path
    ) -> None:
        stop = nb.StopEarly(digits, at_least=90, method="validation-accuracy", budgets=[2])
        told = {}
        for name, network in (("worst", digits.networks["final_accuracy"].idxmin()), ("best", 100)):
            history = digits.history(int(network), 2)
            recorder = nb.Recorder(tmp_path / name)
            for epoch in (1, 2):
                row = {column: float(history.curves.loc[epoch, column]) for column in nb.columns.CURVES}
                recorder.epoch(**row)
                told[name, epoch] = stop(recorder)
        assert told == {("worst", 1): False, ("worst", 2): True, ("best", 1): False, ("best", 2): False}

    def test_the_replay_counts_what_is_saved_and_lost(self, digits: nb.Subset) -> None:
        replay = nb.StopEarly(digits, at_least=90, method="validation-accuracy", budgets=[1, 3]).replay()
        options: dict[str, Any] = {"protocol": "regression-folds", "budgets": [1, 3], "order_seed": SEED}
        tested = nb.evaluate("validation-accuracy", digits, **options).predictions.set_index("network")
        stopped_at = {}
        for budget in (1, 3):
            judged = tested[tested["budget"] == budget]
            for network, own in judged.iterrows():
                others = judged[judged["fold"] != own["fold"]]
                ends_at = np.clip(own["prediction"], 0, 100) + (others["truth"] - others["prediction"])
                if (ends_at >= 90).mean() < 0.05 and digits.networks.loc[network, "epochs_trained"] > budget:
                    stopped_at.setdefault(network, budget)
        facts = digits.networks[["epochs_trained", "final_accuracy"]]
        stopped, kept = facts.loc[list(stopped_at)], facts.drop(index=list(stopped_at))
        assert set(stopped_at.values()) == {1, 3}
        assert replay == nb.Replay(
            networks=240,
            stopped=len(stopped),
            trained=facts["epochs_trained"].sum(),
            saved=stopped["epochs_trained"].sum() - sum(stopped_at.values()),
            reaching=(facts["final_accuracy"] >= 90).sum(),
            lost=(stopped["final_accuracy"] >= 90).sum(),
            best=facts["final_accuracy"].max(),
            best_kept=kept["final_accuracy"].max(),
        )

    def test_where_all_are_stopped_none_is_the_best_of_those_that_go_on(self) -> None:
        replay = nb.Replay(
            networks=4, stopped=4, trained=40, saved=36, reaching=0, lost=0, best=61.5, best_kept=float("nan")
        )
        assert str(replay).endswith("lost: 0 of 0 that reach the accuracy; none goes on (best of all: 61.5%)")

    def test_nothing_is_stopped_below_a_probability_of_0(self, digits: nb.Subset) -> None:
        replay = nb.StopEarly(digits, at_least=90, below=0, method="validation-accuracy", budgets=[1]).replay()
        assert (replay.stopped, replay.saved, replay.lost) == (0, 0, 0)

    @pytest.mark.parametrize(("options", "says"), [({"at_least": 200}, "percent"), ({"at_least": 90, "below": 5}, "probab")])
    def test_what_is_no_percentage_or_probability_is_refused(self, digits: nb.Subset, options: dict, says: str) -> None:
        with pytest.raises(ValueError, match=says):
            nb.StopEarly(digits, **options)
