"""Whatever takes a path takes the path that the user means: in the home folder, relative, or with any characters."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from typer import Typer
from typer.testing import CliRunner

import nndynbench as nb
from leaderboard.__main__ import app as leaderboard
from nndynbench.cli import app as command_line
from nndynbench.cli.console import console
from nndynbench.convert import convert
from nndynbench.plots import learning_curves, score_over_budget
from nndynbench.protocols import find_protocol, read_result
from nndynbench.protocols.stored import StoredResults
from nndynbench.storage.places import bundled_folder

FACTS = ["--author=A", "--code=https://example.org/x", "--commit=abcdef1", "--licence=MIT", "--method=mine"]
FOLDERS = ["~/done :x: [red]", "up/../größe 测试 drive:a 100%d", "~notme"]


@pytest.fixture(params=FOLDERS)
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder as a user names it; the current folder is empty."""
    (tmp_path / "here" / "up").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(console, "width", 1000)
    return str(request.param)


@pytest.fixture
def meant(folder: str, tmp_path: Path) -> Path:
    """The path that the user means by it."""
    return Path(os.path.abspath(tmp_path / ("home" if folder.startswith("~/") else "here") / folder.removeprefix("~/")))


@pytest.fixture(scope="session")
def result(digits: nb.Subset) -> nb.Result:
    return nb.evaluate("degree-linear", digits, protocol="regression-folds", budgets=1)


def told(app: Typer, *arguments: str) -> str:
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_functions_write_and_read_where_the_path_says(
    folder: str, meant: Path, digits: nb.Subset, result: nb.Result
) -> None:
    writers: dict[str, Callable[[str], object]] = {
        "curves.csv": lambda path: nb.export(digits, "curves", path),
        "result.json": result.save,
        "plot.png": lambda path: score_over_budget([result], path),
        "curves.png": lambda path: learning_curves(digits, path),
    }
    for name, write in writers.items():
        write(f"{folder}/{name}")
    assert {path.name for path in meant.iterdir()} == writers.keys()
    assert read_result(f"{folder}/result.json").scores.equals(result.scores)


def test_results_are_stored_where_the_path_says(folder: str, meant: Path, digits: nb.Subset) -> None:
    StoredResults(Path(folder)).fitted("constant", [digits], find_protocol("regression-folds"), [1])
    assert list(meant.glob("digits-lenet-*/regression-folds/constant.*.json"))
    assert StoredResults(meant).holds("constant", [digits], find_protocol("regression-folds"), [1])


def test_checkpoints_are_converted_and_predicted_where_the_path_says(folder: str, meant: Path, digits: nb.Subset) -> None:
    history = digits.history(100, budget=2)
    (meant / "run").mkdir(parents=True)
    for epoch in (1, 2):
        save_file(
            {name: np.array(value) for name, value in history.weights(epoch).items()},
            meant / f"run/epoch_{epoch}.safetensors",
        )
    convert(f"{folder}/run", "digits-lenet", f"{folder}/out")
    assert (meant / "out" / "graphs.h5").is_file()
    predicted = nb.predict(f"{folder}/run", digits, method="degree-linear", budget=2)
    assert 0 <= predicted.accuracy <= 100


def test_subsets_are_found_where_the_path_says(folder: str, meant: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(bundled_folder() / "digits-lenet-half", meant / "digits-lenet-half")
    assert nb.load("digits-lenet-half", root=folder).folder.resolve().is_relative_to(meant)
    assert nb.subsets(root=folder).loc["digits-lenet-half", "networks"] > 0
    monkeypatch.setenv("NNDYNBENCH_HOME", folder)
    assert nb.load("digits-lenet-half").folder.resolve().is_relative_to(meant)


def test_commands_read_and_write_where_the_path_says_and_print_it(folder: str, meant: Path, result: nb.Result) -> None:
    shutil.copytree(bundled_folder() / "digits-lenet-half", meant / "zoo" / "digits-lenet-half")
    shown = str(Path(folder).parent / Path(folder).name) if not folder.startswith("~/") else str(meant)
    assert f"files checked in {shown}/zoo" in told(command_line, "verify", "digits-lenet-half", f"--root={folder}/zoo")
    saved = result.save(f"{folder}/result.json")
    assert f"plot: {shown}/a.png" in told(command_line, "plot", str(saved), f"--out={folder}/a.png")
    assert (meant / "a.png").is_file()
    told(command_line, "curves", "digits-lenet", "--out", f"{folder}/curves")
    assert (meant / "curves" / "digits-lenet.png").is_file()
    assert f"{shown}/board/mine" in told(command_line, "submit", f"{folder}/result.json", *FACTS, "--to", f"{folder}/board")
    assert "1 of 1" in told(leaderboard, "check", f"--submissions={folder}/board", "--drafts")
    assert "1 of 1" in told(leaderboard, "check", f"{folder}/board/mine/digits-lenet.regression-folds.json", "--drafts")


def test_a_submission_is_known_by_its_place_from_inside_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, result: nb.Result
) -> None:
    saved = result.save(tmp_path / "result.json")
    told(command_line, "submit", str(saved), *FACTS, "--to", str(tmp_path / "board"))
    monkeypatch.chdir(tmp_path / "board" / "mine")
    for name in ("{}", "./{}", "../mine/{}"):
        assert "1 of 1" in told(leaderboard, "check", name.format("digits-lenet.regression-folds.json"), "--drafts")


def test_a_folder_of_submissions_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"the folder of submissions .*nowhere does not exist"):
        CliRunner().invoke(leaderboard, ["check", "--submissions", str(tmp_path / "nowhere")], catch_exceptions=False)


def test_submissions_are_read_where_the_path_says(folder: str, meant: Path, digits: nb.Subset, tmp_path: Path) -> None:
    for name in ("bar", "constant"):
        (meant / name).mkdir(parents=True)
        board = Path(__file__).parents[1] / "leaderboard" / "submissions"
        shutil.copy(board / name / "digits-lenet.regression-folds.json", meant / name)
    nb.compare(["constant"], digits, budgets=5, submissions=folder, results=tmp_path / "results", jobs=1)
    assert not (tmp_path / "results").exists()  # nothing was fitted
