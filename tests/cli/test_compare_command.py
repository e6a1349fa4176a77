"""The commands ``compare``, ``reproduce`` and ``predict``: what they print and write."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file
from typer.testing import CliRunner

import nndynbench as nb
from nndynbench.cli import app
from nndynbench.cli.evaluation import said_of_few_submissions
from nndynbench.cli.prediction import named_value
from nndynbench.names import UnknownNameError
from nndynbench.protocols import find_protocol, harness, stored
from nndynbench.protocols.stored import StoredResults
from nndynbench.submissions.beside import submissions_folder
from nndynbench.subsets import catalogue, catalogue_entry
from tests.cli.test_evaluate_command import MEAN
from tests.protocols.test_comparison import FAILING


def run(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_compare_prints_every_method_beside_the_bar_and_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = replace(catalogue_entry("cifar10-vgg"), name="cifar10-of-tomorrow")
    whole = catalogue() | {planned.name: planned}
    monkeypatch.setattr(sys.modules["nndynbench.subsets"], "catalogue", lambda: whole)
    where = ("--results", tmp_path, "--out", tmp_path, "--jobs", "1")
    methods = ("--method", "constant", "--method", "bar", "--method", "hyperparameters")
    output = run("compare", "--subset", "digits-lenet", "--budgets", "1", *methods, *where)
    assert "regression-folds on digits-lenet: R²" in output
    assert output.index("hyperparameters") < output.index("constant")
    assert "gain over the bar" in output
    assert "cifar10-of-tomorrow" in output.partition("not at hand: ")[2]
    for suffix in ("csv", "json", "png"):
        assert (tmp_path / f"compare.digits-lenet.regression-folds.{suffix}").stat().st_size > 0


def test_a_method_that_fails_is_said_why_and_the_bar_stands_alone(tmp_path: Path) -> None:
    failing = tmp_path / "failing.py"
    failing.write_text(FAILING.replace("no such feature", "no [column] in [/data/x.csv]"))
    where = ("--results", tmp_path, "--out", tmp_path, "--jobs", "1")
    output = run("compare", "--subset", "digits-lenet", "--budgets", "1", "--method", failing, *where)
    assert "no [column] in [/data/x.csv]" in output
    assert "regression-folds on digits-lenet: R²" in output


@pytest.mark.parametrize("protocol", ["regression-folds", "trained"])
def test_what_evaluate_has_fitted_is_not_fitted_again(
    protocol: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (file := tmp_path / "mine.py").write_text(MEAN)
    asked = ("--subset", "digits-lenet", "--protocol", protocol, "--out", tmp_path)
    for budgets in ("1", "1,2", "2"):
        run("evaluate", file, *asked, "--budgets", budgets)
    of_bar = Path("bar") / "digits-lenet.regression-folds.json"
    (board := tmp_path / "board" / of_bar).parent.mkdir(parents=True)
    shutil.copy(submissions_folder() / of_bar, board)
    fitted: list[str] = []

    def watched(method: str, *arguments: Any, **options: Any) -> nb.Result:
        fitted.append(method)
        return nb.evaluate(method, *arguments, **options)

    monkeypatch.setattr(stored, "evaluate", watched)
    where = ("--results", tmp_path, "--submissions", tmp_path / "board", "--jobs", "1")
    assert "mean" in run("compare", "--method", file, *asked, "--budgets", "1,2", *where)
    assert fitted == []
    file.write_text(MEAN.replace("DummyRegressor()", "DummyRegressor(strategy='median')"))
    run("compare", "--method", file, *asked, "--budgets", "1,2", *where)
    assert fitted == [str(file)]


def test_a_method_file_that_changes_while_it_is_fitted_is_stored_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (file := tmp_path / "mine.py").write_text(MEAN)

    def changed_meanwhile(*arguments: Any, **options: Any) -> nb.Result:
        result = harness.evaluate(*arguments, **options)
        file.write_text(MEAN.replace("DummyRegressor()", "DummyRegressor(strategy='median')"))
        return result

    monkeypatch.setattr(sys.modules["nndynbench.protocols"], "evaluate", changed_meanwhile)
    asked = ("--subset", "digits-lenet", "--budgets", "1", "--out", tmp_path)
    run("evaluate", file, *asked)
    zoo, protocol = nb.load("digits-lenet"), find_protocol("regression-folds")
    assert not StoredResults(tmp_path).holds(str(file), [zoo], protocol, [1])
    file.write_text(MEAN)
    assert StoredResults(tmp_path).holds(str(file), [zoo], protocol, [1])


@pytest.mark.parametrize(("others", "said"), [((), True), (("curve-bar",), False)])
def test_an_installed_package_says_that_it_has_no_submissions_but_the_bars(
    others: tuple[str, ...], said: bool, tmp_path: Path
) -> None:
    for name in ("bar", *others):
        (tmp_path / name).mkdir()
    assert ("--submissions leaderboard/submissions" in said_of_few_submissions(tmp_path)) == said


def test_a_dash_of_the_table_has_its_reason_below(tmp_path: Path) -> None:
    where = ("--results", tmp_path, "--out", tmp_path, "--jobs", "1")
    subsets = ("--subset", "digits-lenet-half", "--subset", "digits-lenet")
    output = run("compare", *subsets, "--protocol", "transfer", "--budgets", "1", "--method", "constant", *where)
    _, reasons = output.split("–: no value")
    assert reasons.count("a rank correlation is not defined: all predictions are equal") == 2
    assert "why it has no value" in reasons


def test_reproduce_table5_takes_the_options_of_the_other_tables(tmp_path: Path) -> None:
    output = run("reproduce", "table5", "--results", tmp_path, "--root", tmp_path, "--out", tmp_path)
    assert "all equal to the paper's" in output
    assert "119,714,496" in (tmp_path / "table5.csv").read_text()


def test_a_metric_that_the_protocol_has_not_is_refused_before_anything_is_fitted(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown metric of regression-folds 'r3' \(valid: r2, "):
        run("compare", "--subset", "digits-lenet", "--metric", "r3", "--results", tmp_path, "--out", tmp_path)
    assert not any(tmp_path.iterdir())


def test_reproduce_table2_prints_ours_and_the_papers_contradictions(tmp_path: Path) -> None:
    output = run("reproduce", "table2", "--results", tmp_path, "--out", tmp_path)
    assert "9.2 to 96.0" in output
    assert "the paper: LeNet's accuracies are 9.4 to 73.8 in Table 2" in output
    assert (tmp_path / "table2.csv").is_file()


def test_predict_prints_the_accuracy_its_interval_and_the_probability(digits: nb.Subset, tmp_path: Path) -> None:
    history = digits.history(100, 2)
    for epoch in (1, 2):
        weights = {name: np.ascontiguousarray(tensor) for name, tensor in history.weights(epoch).items()}
        save_file(weights, tmp_path / f"epoch_{epoch}.safetensors")
    output = run("predict", tmp_path, "--subset", "digits-lenet", "--budget", "2")
    assert "predicted final accuracy" in output
    assert "probability of 40% or more" in output
    assert "warning" not in output


@pytest.mark.parametrize(("text", "value"), [("dropout=0.2", ("dropout", 0.2)), ("optimiser=adam", ("optimiser", "adam"))])
def test_hyperparameters_are_given_by_name(text: str, value: tuple[str, object]) -> None:
    assert named_value(text) == value
    with pytest.raises(ValueError, match="a hyperparameter must be NAME=VALUE, not 'dropout'"):
        named_value("dropout")
