"""`predict`: a run of one's own, from its checkpoints."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file
from sklearn.base import clone

import nndynbench as nb
from nndynbench.convert import CheckpointError
from nndynbench.prediction import NotGivenError
from nndynbench.protocols import MethodError, find_method, find_protocol
from nndynbench.protocols.method import SEED, seeded
from nndynbench.subsets import BudgetError

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
    # Stored weights are rounded to 12 bits of mantissa, and what is stored of them was computed before.
    assert ours.accuracy == pytest.approx(regressor.predict([digits.history(NETWORK, EPOCHS)])[0], abs=1.5)
    assert ours.outside == ()


def test_the_interval_holds_95_percent_of_the_errors(digits: nb.Subset, run: Path) -> None:
    predicted = nb.predict(run, digits, budget=EPOCHS)
    assert 0 <= predicted.low < predicted.accuracy < predicted.high <= 100
    assert 0 <= predicted.probability_high <= 1
    tested = nb.evaluate("degree-forest", digits, protocol="regression-folds", budgets=EPOCHS, order_seed=SEED).predictions
    errors = tested["truth"] - tested["prediction"]
    assert predicted.probability_high == pytest.approx(np.mean(predicted.accuracy + errors >= predicted.threshold))


def test_a_run_unlike_the_subset_is_said_to_be(digits: nb.Subset, tmp_path: Path) -> None:
    predicted = nb.predict(written(tmp_path / "large", digits, scale=30), digits, budget=EPOCHS)
    assert any(line.startswith("mean of the degrees at epoch 3") for line in predicted.outside)


def test_what_a_method_reads_must_be_given(digits: nb.Subset, run: Path) -> None:
    with pytest.raises(ValueError, match="reads hyperparameters, and none were given"):
        nb.predict(run, digits, method="hyperparameters", budget=EPOCHS)
    given = {"learning_rate": 0.005, "dropout": 0.2}
    assert 0 < nb.predict(run, digits, method="hyperparameters", budget=EPOCHS, hyperparameters=given).accuracy < 100


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"lr": 0.005, "dropout": 0.2}, "lack learning_rate"),
        ({"learning_rate": 0.005, "dropout": 0.2, "momentum": 0.9}, "has no hyperparameter momentum"),
        ({"learning_rate": "0,005", "dropout": 0.2}, "learning_rate is a number in digits-lenet, not '0,005'"),
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
    assert nb.predict(folder, digits, budget=EPOCHS).accuracy > 0


@pytest.mark.parametrize("method", ["norms", "control-epoch-0"])
def test_features_need_the_initialisation(digits: nb.Subset, tmp_path: Path, method: str) -> None:
    folder = written(tmp_path / "run", digits)
    (folder / "epoch_0.safetensors").unlink()
    with pytest.raises(NotGivenError, match=r"compare with the initialisation: .* has no weights of epoch 0"):
        nb.predict(folder, digits, method=method, budget=EPOCHS)
    assert nb.predict(folder, digits, budget=EPOCHS).accuracy > 0


def test_a_network_of_the_subset_is_not_among_those_that_the_method_is_fitted_on(digits: nb.Subset) -> None:
    others = [network for network in digits.network_ids if network != NETWORK]
    truth = digits.networks.loc[others, "final_accuracy"].to_numpy()
    regressor = find_method("degree-linear").estimator(find_protocol("regression"))
    by_hand = clone(regressor).fit(digits.histories(others, EPOCHS), truth).predict([digits.history(NETWORK, EPOCHS)])
    predicted = nb.predict(digits.history(NETWORK, EPOCHS), digits, method="degree-linear", budget=EPOCHS)
    assert predicted.accuracy == pytest.approx(np.clip(by_hand[0], 0, 100))


def test_a_missing_epoch_and_another_architecture_are_named(digits: nb.Subset, half: nb.Subset, run: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no checkpoint of epoch 4, 5 \(it has \[0, 1, 2, 3\]\)"):
        nb.predict(run, digits, budget=5)
    with pytest.raises(CheckpointError, match="epoch_1"):
        nb.predict(run, half, budget=EPOCHS)
    with pytest.raises(FileNotFoundError, match="no folder of checkpoints"):
        nb.predict(run / "nowhere", digits, budget=EPOCHS)


def test_a_history_must_be_a_whole_one_of_such_a_network(digits: nb.Subset, half: nb.Subset) -> None:
    history = digits.history(NETWORK, EPOCHS)
    with pytest.raises(BudgetError, match="the history ends at epoch 3, not at the budget of 5"):
        nb.predict(history, digits, budget=5)
    with pytest.raises(NotGivenError, match="those of digits-lenet-half have"):
        nb.predict(history, half, budget=EPOCHS)
    with pytest.raises(NotGivenError, match="a history has its own"):
        nb.predict(history, digits, budget=EPOCHS, hyperparameters={"nonsense": 1})


def test_a_classifier_cannot_predict_an_accuracy(digits: nb.Subset, run: Path) -> None:
    with pytest.raises((ValueError, MethodError), match="classifier alone"):
        nb.predict(run, digits, method="degree-svm", budget=EPOCHS)
