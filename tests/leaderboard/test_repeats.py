"""Whose predictions a submission repeats, exactly or nearly."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leaderboard.repeats import are_nearly_same, repeated_by
from nndynbench.submissions import read_submission
from tests.submitted import copied

FOLDS = "digits-lenet.regression-folds.json"
CLASSES = "digits-lenet.classification.json"
Change = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some of the board's own submissions: the bar, and methods that add something to it."""
    folder = copied(tmp_path_factory.mktemp("board"), "bar", "bar-and-epoch-0", "bar-and-permuted-weight-statistics")
    return copied(folder, "bar", "degree-svm", protocol="classification")


def copy_of(board: Path, file: str, change: Change) -> dict[str, bool]:
    """What is said of a changed copy of the bar under another name: the methods that it repeats, and whether exactly."""
    path = written(board, file, change)
    return {facts.method: same for facts, same in repeated_by(read_submission(path), sorted(board.glob(f"*/{file}")))}


def written(board: Path, file: str, change: Change) -> Path:
    """A changed copy of the bar under another name."""
    facts = json.loads((board / "bar" / file).read_text())
    change(facts["predictions"])
    path = board / "mine" / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(facts | {"method": "mine"}))
    return path


def shuffled(predictions: dict[str, Any]) -> None:
    order = np.random.default_rng(0).permutation(len(predictions["network"]))
    for name, column in predictions.items():
        predictions[name] = [column[place] for place in order]


def noisy(scale: float) -> Change:
    def change(predictions: dict[str, Any]) -> None:
        noise = np.random.default_rng(0).normal(scale=scale, size=len(predictions["network"]))
        predictions["prediction"] = (np.array(predictions["prediction"]) + noise).tolist()

    return change


def rescaled(predictions: dict[str, Any]) -> None:
    predictions["prediction"] = (0.9 * np.array(predictions["prediction"]) + 5).tolist()


def other_at_one_budget(predictions: dict[str, Any]) -> None:
    last = max(predictions["budget"])
    predictions["prediction"] = [
        50 if budget == last else value
        for budget, value in zip(predictions["budget"], predictions["prediction"], strict=True)
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda _: None, {"bar": True}),
        (shuffled, {"bar": False}),
        (noisy(0.3), {"bar": False}),
        (rescaled, {"bar": False}),
        (other_at_one_budget, {"bar": False}),
        (noisy(3.0), {}),
    ],
    ids=["the same", "in another order", "noise", "another scale", "other at one budget", "much noise"],
)
def test_a_nearly_equal_copy_is_told_whatever_its_order_noise_or_scale(
    change: Change, said: dict[str, bool], board: Path
) -> None:
    assert copy_of(board, FOLDS, change) == said


def test_classes_that_are_flipped_hide_no_copy_of_the_scores(board: Path) -> None:
    def flipped(predictions: dict[str, Any]) -> None:
        predictions["prediction"][:3] = [1 - value for value in predictions["prediction"][:3]]

    assert copy_of(board, CLASSES, flipped) == {"bar": False}


def test_methods_that_add_different_things_to_the_bar_are_not_nearly_the_same(board: Path) -> None:
    one, other = (board / method / FOLDS for method in ("bar-and-epoch-0", "bar-and-permuted-weight-statistics"))
    assert not are_nearly_same(read_submission(one), read_submission(other))


def test_a_file_that_is_refused_for_its_columns_is_passed_over(board: Path) -> None:
    def short(predictions: dict[str, Any]) -> None:
        predictions["fold"].pop()

    path = written(board, FOLDS, short)
    assert list(repeated_by(read_submission(board / "bar" / FOLDS), [path])) == []
