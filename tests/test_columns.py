"""Histories as a table: columns by name, missing ones as NaN, texts as 0 and 1."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.linear_model import Ridge

import nndynbench as nb
from nndynbench.columns import _extrapolated


@pytest.fixture(scope="module")
def histories(digits: nb.Subset) -> list[nb.History]:
    return digits.histories(digits.network_ids[:20], 3)


def test_it_has_a_row_per_history_and_a_column_per_name(digits: nb.Subset, histories: list[nb.History]) -> None:
    table = nb.Columns([nb.columns.hyperparameters, nb.columns.curves]).fit_transform(histories)
    assert len(table) == 20
    assert {"learning_rate", "log10_learning_rate", "train_loss_1", "validation_accuracy_3", "epochs_run"} <= set(table)
    np.testing.assert_array_equal(table["learning_rate"], digits.networks["learning_rate"].iloc[:20])
    loss = digits.curves.loc[(digits.network_ids[7], 2), "train_loss"]
    assert table["train_loss_2"].iloc[7] == loss


def test_texts_seen_in_fitting_become_columns_of_0_and_1(histories: list[nb.History]) -> None:
    optimisers = dict(zip(histories, ["sgd", "adam", "sgd", "rprop"], strict=False))
    columns = nb.Columns([lambda history: {"optimiser": optimisers[history]}]).fit(histories[:3])
    table = columns.transform(histories[1:4])
    assert table.to_dict("list") == {"optimiser_adam": [1, 0, 0], "optimiser_sgd": [0, 1, 0]}
    assert columns.transform(histories[:1]).to_dict("list") == {"optimiser_adam": [0], "optimiser_sgd": [1]}


def test_each_optimiser_has_a_column_of_its_own_learning_rates() -> None:
    zoo = nb.load("cifar10-lenet-diverse")
    table = nb.Columns([nb.columns.hyperparameters]).fit_transform(zoo.histories(zoo.network_ids, 1))
    for optimiser in ("adam", "momentum", "sgd"):
        its_own = (zoo.networks["optimiser"] == optimiser).to_numpy()
        rates = np.where(its_own, np.log10(zoo.networks["learning_rate"]), np.nan)
        np.testing.assert_array_equal(table[f"log10_learning_rate_{optimiser}"], rates)


def test_a_name_that_a_history_lacks_is_missing(histories: list[nb.History]) -> None:
    known = histories[0]
    columns = nb.Columns([lambda history: {"a": 1.0} | ({"b": 2.0} if history is known else {})]).fit(histories[:2])
    table = columns.transform(histories[:2])
    assert table["b"].tolist()[0] == 2
    assert np.isnan(table["b"].tolist()[1])
    assert columns.transform(histories[1:2]).columns.tolist() == ["a", "b"]


def test_a_network_that_stopped_early_repeats_its_last_epoch(digits: nb.Subset) -> None:
    [stopped, *_] = digits.networks.index[digits.networks["epochs_trained"] == 11]
    columns = nb.columns.curves(digits.history(int(stopped), 14))
    assert columns["train_loss_14"] == columns["train_loss_11"] != columns["train_loss_10"]
    assert columns["epochs_run"] == 11


def test_last_features_are_those_at_the_budget(digits: nb.Subset) -> None:
    columns = nb.columns.last_features(digits.history(100, 4))
    expected = digits.features.loc[(100, 4)]
    assert columns["spectral_norm conv2"] == expected.loc["conv2", "spectral_norm"]


def test_layer_distances_are_those_of_the_weights(digits: nb.Subset) -> None:
    history = digits.history(100, 4)
    columns = nb.columns.layer_distances(history)
    initial = history.weights(0)
    for epoch in range(1, 5):
        for layer in ("conv1", "conv2", "fc1", "fc2", "fc3"):
            before, after = (
                np.asarray(weights[f"{layer}.weight"], np.float64) for weights in (initial, history.weights(epoch))
            )
            expected = np.log10(np.linalg.norm(after - before) / np.linalg.norm(before))
            # Bundled weights are rounded to 12 bits of mantissa; features were computed before rounding.
            assert columns[f"distance {layer} {epoch}"] == pytest.approx(expected, abs=0.01)
    assert len(columns) == 5 * 4


def test_a_network_that_stopped_early_repeats_its_last_distance(digits: nb.Subset) -> None:
    [stopped, *_] = digits.networks.index[digits.networks["epochs_trained"] == 11]
    columns = nb.columns.layer_distances(digits.history(int(stopped), 14))
    assert columns["distance fc1 14"] == columns["distance fc1 11"] != columns["distance fc1 10"]


@pytest.mark.filterwarnings("error")
def test_a_layer_that_begins_at_0_has_no_distance_relative_to_its_norm(tmp_path: Path) -> None:
    weights = {"fc1.weight": np.ones((2, 3), np.float32), "fc2.weight": np.zeros((2, 2), np.float32)}
    recorder = nb.Recorder(tmp_path / "run", weights)
    recorder.epoch(weights={name: tensor + 1 for name, tensor in weights.items()}, train_loss=1.0)
    columns = nb.columns.layer_distances(recorder.run.history(1))
    assert columns["distance fc1 1"] == pytest.approx(0)
    assert np.isnan(columns["distance fc2 1"])


def test_shapes_of_curves_are_what_they_say(digits: nb.Subset) -> None:
    history = digits.history(137, 4)
    shapes, curves = nb.columns.curve_shapes(history), history.curves
    losses, accuracies = curves["train_loss"].to_numpy(), curves["validation_accuracy"].to_numpy()
    below = np.arcsinh((np.log(10) - losses) / 0.002)
    assert shapes["below_chance_3"] == pytest.approx(below[2])
    assert shapes["below_chance_rise_3"] == pytest.approx(below[2] - below[1])
    assert shapes["gap_1"] == pytest.approx(curves["train_accuracy"].iloc[0] - accuracies[0])
    assert shapes["loss_sum"] == pytest.approx(losses.sum())
    assert shapes["loss_average"] == pytest.approx(losses[0] * 0.729 + losses[1] * 0.81 + losses[2] * 0.9 + losses[3])
    assert shapes["best_accuracy"] == accuracies.max()
    assert shapes["accuracy_sum"] == pytest.approx(accuracies.sum())
    assert shapes["train_loss_rise_2"] == pytest.approx(losses[1] - losses[0])
    assert shapes["validation_accuracy_rise_4"] == pytest.approx(accuracies[3] - accuracies[2])
    for form in SHAPES:
        assert shapes[f"{form}_loss"] == pytest.approx(drawn_on(losses, form), rel=1e-9)
        assert shapes[f"{form}_accuracy"] == pytest.approx(drawn_on(accuracies, form), rel=1e-9)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "layers",
    [
        {"fc.weight": (10, 8), "layer1.weight": (8, 3, 3, 3), "layer2.weight": (8, 8, 3, 3)},
        {"layer.weight": (8, 3), "output.weight": (1, 8)},
    ],
    ids=["in alphabetical order, the output is not the last layer", "one output"],
)
def test_a_loss_is_below_that_of_guessing_only_where_the_classes_are_known(
    tmp_path: Path, layers: dict[str, tuple[int, ...]]
) -> None:
    weights = {name: np.ones(shape, np.float32) for name, shape in layers.items()}
    recorder = nb.Recorder(tmp_path / "run", weights, keep=[0])
    recorder.epoch(weights=weights, train_loss=1.0, train_accuracy=50.0, validation_accuracy=50.0)
    shapes = nb.columns.curve_shapes(recorder.run.history(1))
    assert np.isnan(shapes["below_chance_1"])
    assert shapes["loss_sum"] == 1


SHAPES: dict[str, list[Callable[[np.ndarray], np.ndarray]]] = {
    "power": [lambda t, rate=rate: t**-rate for rate in (0.1, 0.25, 0.5, 1, 2)],
    "weibull": [
        lambda t, rate=rate, bend=bend: np.exp(-((rate * t) ** bend)) for rate in (0.03, 0.1, 0.3, 1) for bend in (0.5, 1, 2)
    ],
}


def drawn_on(curve: np.ndarray, form: str) -> float:
    """Oracle: scikit-learn's ridge regression on each shape, and the one with the least penalised error."""
    pull, epochs = 1e-4, np.arange(1.0, len(curve) + 1)
    fits = []
    for shape in SHAPES[form]:
        fit = Ridge(alpha=pull, solver="cholesky").fit(shape(epochs)[:, None], curve)
        error = np.sum((curve - fit.predict(shape(epochs)[:, None])) ** 2) + pull * fit.coef_[0] ** 2
        fits.append((error, fit.predict(shape(np.array([20.0]))[:, None])[0]))
    return float(min(fits)[1])


@settings(max_examples=20)
@given(curve=st.lists(st.floats(0, 100), min_size=2, max_size=8))
@pytest.mark.parametrize("form", SHAPES)
def test_a_curve_is_drawn_to_epoch_20_by_the_shape_that_fits_best(form: str, curve: list[float]) -> None:
    values = np.array(curve)
    assert _extrapolated(values, form) == pytest.approx(drawn_on(values, form), rel=1e-9, abs=1e-6)


@pytest.mark.parametrize(
    ("form", "curve"),
    [("power", lambda t: 80 - 50 * t**-0.5), ("weibull", lambda t: 60 - 50 * np.exp(-0.3 * t))],
)
def test_a_curve_of_a_known_shape_is_drawn_to_epoch_20(form: str, curve: Any) -> None:
    drawn = _extrapolated(curve(np.arange(1.0, 9)), form)
    assert drawn == pytest.approx(curve(20.0), abs=1)


@pytest.mark.parametrize("form", ["power", "weibull"])
def test_a_curve_of_one_epoch_stands_where_it_is(form: str) -> None:
    assert _extrapolated(np.array([12.5]), form) == 12.5


def test_it_is_a_scikit_learn_transformer(histories: list[nb.History]) -> None:
    columns = nb.Columns([nb.columns.curves])
    pd.testing.assert_frame_equal(clone(columns).fit(histories).transform(histories), columns.fit_transform(histories))


def test_a_name_that_two_functions_return_is_refused(histories: list[nb.History]) -> None:
    with pytest.raises(ValueError, match=r"two functions return a column named '.*conv"):
        nb.Columns([nb.columns.initial_features, nb.columns.last_features]).fit(histories)


def test_truths_are_numbers_whether_or_not_some_are_missing(histories: list[nb.History]) -> None:
    known = dict(zip(histories, [True, None, False, True], strict=False))
    columns = nb.Columns([lambda history: {"left": known[history]}]).fit(histories[:3])
    assert columns.transform(histories[2:4]).to_dict("list") == {"left": [0.0, 1.0]}
    assert np.isnan(columns.transform(histories[1:2])["left"].iloc[0])
