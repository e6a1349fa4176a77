"""What users give about a run: tables with one error each are refused with the file, the row and the column."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import nndynbench as nb
from nndynbench.given import NotGivenError, checked_curves, checked_hyperparameters

EPOCHS = 3


@pytest.fixture
def curves(digits: nb.Subset) -> pd.DataFrame:
    return digits.history(digits.network_ids[100], EPOCHS).curves[["train_loss", "train_accuracy", "validation_accuracy"]]


def as_column(curves: pd.DataFrame) -> pd.DataFrame:
    return curves.rename_axis("epoch").reset_index()


@pytest.mark.parametrize(
    "given",
    [
        lambda curves: curves,
        as_column,
        lambda curves: as_column(curves).to_dict("list"),
        lambda curves: as_column(curves).astype({"epoch": float}),
        lambda curves: curves.assign(note="text that nobody reads", seconds=np.nan),
        lambda curves: pd.concat([curves, curves.iloc[-1:].set_axis([4]) * np.nan]),  # after the budget
        lambda curves: curves.astype(str),
    ],
)
def test_a_row_an_epoch_is_taken_however_it_is_held(curves, given):
    checked = checked_curves(given(curves), EPOCHS, classes=10)
    pd.testing.assert_frame_equal(checked, curves.rename_axis("epoch"), check_dtype=False, check_index_type=False)


def test_a_file_is_read_and_named(curves, tmp_path):
    as_column(curves).to_csv(tmp_path / "log.csv", index=False)
    assert len(checked_curves(tmp_path / "log.csv", EPOCHS, classes=10)) == EPOCHS
    as_column(curves).assign(train_loss=["0.5", "diverged", "0.4"]).to_csv(tmp_path / "log.csv", index=False)
    with pytest.raises(
        NotGivenError,
        match=r"in .*log\.csv have values for train_loss that are not finite numbers: 'diverged' in row 2 \(epoch 2",
    ):
        checked_curves(str(tmp_path / "log.csv"), EPOCHS, classes=10)
    (tmp_path / "log.csv").write_bytes(b"")
    with pytest.raises(NotGivenError, match=r"log\.csv are not a CSV table"):
        checked_curves(tmp_path / "log.csv", EPOCHS, classes=10)


def in_one_cell(column: str, value: object):
    def broken(curves: pd.DataFrame) -> pd.DataFrame:
        changed = curves.astype(object)
        changed.loc[2, column] = value
        return changed

    return broken


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda c: pd.concat([c, c.iloc[1:2]]), "have epoch 2 in rows 2, 4: give one row per epoch"),
        (
            lambda c: pd.concat([c[["train_loss"]], c[["train_accuracy", "validation_accuracy"]]]),
            "have epoch 1 in rows 1, 4.*merge rows",
        ),
        (lambda c: c.iloc[[0, 2, 1]], "have epoch 2 in row 3, after epoch 3: sort them"),
        (lambda c: c.drop(index=2), r"lack epoch 2 \(they have 1, 3\)"),
        (lambda c: c.iloc[:0], r"lack epoch 1, 2, 3 \(they have none\)"),
        (lambda c: c.reset_index(drop=True), "neither a column nor an index named epoch"),
        (lambda c: c.set_axis(["a", "b", "c"]), "have 'a' in row 1 for the epoch"),
        (lambda c: c.set_axis([1, 1.5, 2]), "have .*1.5.* in row 2 for the epoch"),
        (lambda c: c.set_axis([1, 2, np.nan]), "have nan in row 3 for the epoch"),
        (lambda c: c.set_axis([-1, 1, 2]), "have .*-1.* in row 1 for the epoch"),
        (lambda c: pd.concat({7: c}), "more than one value per row for the epoch"),
        (lambda c: c.drop(columns="train_loss"), r"lack train_loss \(they have train_accuracy, validation_accuracy\)"),
        (lambda c: pd.concat([c, c[["train_loss"]]], axis=1), "several columns named train_loss"),
        (in_one_cell("train_loss", np.nan), r"values for train_loss that are not finite numbers: nan in row 2 \(epoch 2\)"),
        (in_one_cell("train_loss", np.inf), r"values for train_loss that are not finite numbers: inf in row 2 \(epoch 2\)"),
        (
            in_one_cell("train_accuracy", "91%"),
            r"values for train_accuracy that are not finite numbers: '91%' in row 2 \(epoch 2\)",
        ),
        (
            in_one_cell("train_accuracy", None),
            r"values for train_accuracy that are not finite numbers: None in row 2 \(epoch 2\)",
        ),
        (in_one_cell("validation_accuracy", 101), r"outside 0 to 100 for validation_accuracy.*: 101 in row 2 \(epoch 2\)"),
        (in_one_cell("validation_accuracy", -1), r"outside 0 to 100 for validation_accuracy.*: -1 in row 2"),
        (lambda c: c.assign(train_accuracy=c["train_accuracy"] / 100), "train_accuracy: give percent, not fractions"),
        (lambda c: c.assign(train_accuracy=True), r"True in row 1 \(epoch 1\) for train_accuracy: values must be numbers"),
        (
            lambda c: in_one_cell("train_accuracy", True)(c),
            r"True in row 2 \(epoch 2\) for train_accuracy: values must be numbers",
        ),
        (
            lambda c: in_one_cell("train_accuracy", 1 + 2j)(c),
            r"1\+2j\) in row 2 \(epoch 2\) for train_accuracy: values must be numbers",
        ),
        (in_one_cell("train_loss", b"1"), r"b'1' in row 2 \(epoch 2\) for train_loss: values must be numbers"),
        (lambda c: c.assign(train_loss=pd.Timestamp("2026-01-01")), "Timestamp.* for train_loss: values must be numbers"),
        (in_one_cell("train_loss", -0.5), r"below 0 for train_loss, which is a mean cross-entropy: -0\.5 in row 2"),
        (lambda c: [1, 2, 3], "curves must be a table, a mapping of columns or a CSV file, not list"),
        (lambda c: c["train_loss"], "curves must be a table, a mapping of columns or a CSV file, not Series"),
    ],
)
def test_what_is_no_row_an_epoch_of_finite_percent_is_refused_and_placed(curves, broken, message):
    with pytest.raises(NotGivenError, match=message):
        checked_curves(broken(curves), EPOCHS, classes=10)


def test_of_many_classes_an_accuracy_below_1_percent_is_one(curves):
    low = curves.assign(train_accuracy=0.5, validation_accuracy=0.5)
    assert (checked_curves(low, EPOCHS, classes=200)["train_accuracy"] == 0.5).all()


@pytest.mark.parametrize("kind", [dict, pd.Series])
def test_hyperparameters_are_a_value_for_every_column_of_the_grid(digits, kind):
    given = kind({"learning_rate": np.float32(0.005), "dropout": 0})
    assert checked_hyperparameters(given, digits) == {"learning_rate": np.float32(0.005), "dropout": 0}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"learning_rate": True, "dropout": 0.2}, "learning_rate must be a number in digits-lenet, not True"),
        ({"learning_rate": np.nan, "dropout": 0.2}, "learning_rate must be a finite number, not nan"),
        ({"learning_rate": [0.1], "dropout": 0.2}, r"learning_rate must be a number in digits-lenet, not \[0.1\]"),
        ([0.1, 0.2], "a mapping from names to values, not list"),
        (pd.DataFrame({"learning_rate": [0.1], "dropout": [0.2]}), "a mapping from names to values, not DataFrame"),
    ],
)
def test_hyperparameters_that_are_no_such_values_are_refused(digits, given, message):
    with pytest.raises(NotGivenError, match=message):
        checked_hyperparameters(given, digits)


def test_a_text_that_no_network_of_the_subset_has_is_refused():
    diverse = nb.load("cifar10-lenet-diverse")
    row = diverse.networks.iloc[0]
    given = {name: row[name] for name in diverse.manifest.hyperparameters}
    assert checked_hyperparameters(given, diverse) == given
    with pytest.raises(ValueError, match=r"unknown optimiser of cifar10-lenet-diverse 'sdg'; did you mean 'sgd'"):
        checked_hyperparameters(given | {"optimiser": "sdg"}, diverse)
