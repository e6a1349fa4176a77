"""What `check_method` says of a method file whose function draws, holds, takes along or returns what it had better not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sklearn.dummy import DummyRegressor

import nndynbench as nb
from nndynbench.protocols import MethodError, checking
from nndynbench.sealed.outside import is_cheap

METHOD_FILE = """
import threading
import numpy as np
import nndynbench as nb
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline

{more}

def own(history):
    loss = history.curves["train_loss"].iloc[-1]
    return {returned}

learner = make_pipeline(nb.Columns([own]), SimpleImputer(), LinearRegression())
METHODS = {{"own": nb.Method(description="", source="", reads={{"curves"}}, regressor=learner, protocols={protocols})}}
"""

seals = pytest.mark.skipif(not is_cheap(), reason="needs Linux, to fork sealed processes")


def method_file(folder: Path, returned: str, *, more: str = "", protocols: tuple[str, ...] = ()) -> str:
    path = folder / "own.py"
    path.write_text(METHOD_FILE.format(returned=returned, more=more, protocols=protocols))
    return str(path)


@seals
def test_a_method_that_holds_the_subset_is_refused_as_by_evaluate(digits: nb.Subset, tmp_path: Path) -> None:
    returned = "{'a': loss, 'b': ZOO.networks['final_accuracy'].iloc[0]}"
    method = method_file(tmp_path, returned, more="ZOO = nb.load('digits-lenet')")
    for ask in (nb.check_method, lambda method: nb.evaluate(method, digits, protocol="regression", budgets=1)):
        with pytest.raises(MethodError, match="it holds a subset, such as one in a global variable"):
            ask(method)


@seals
def test_why_a_method_cannot_be_sealed_is_remarked_on(tmp_path: Path) -> None:
    method = method_file(tmp_path, "{'a': loss + LOCK.locked()}", more="LOCK = threading.Lock()")
    [remark] = nb.check_method(method).remarks
    assert remark.startswith(
        "is fitted in the process that holds the subset, not in a sealed one, since it cannot be pickled"
    )


def test_a_file_that_reads_a_subset_when_it_is_executed_is_remarked_on(tmp_path: Path) -> None:
    table = "TABLE = nb.load('digits-lenet').networks['final_accuracy'].to_numpy()"
    for _ in range(2):  # also after the subset was read once
        [remark] = nb.check_method(method_file(tmp_path, "{'a': loss, 'b': TABLE[0]}", more=table)).remarks
        assert remark.startswith("the file reads digits-lenet when it is executed")


def test_a_column_that_is_mostly_missing_is_remarked_on(tmp_path: Path) -> None:
    returned = "{'a': loss, 'b': loss if int(loss * 1e6) % 5 == 0 else np.nan}"
    [remark] = nb.check_method(method_file(tmp_path, returned)).remarks
    said = r"regression: 1 of the 2 columns of own \(own\.py:\d+\) are NaN for more than half of 80 networks, such as 'b'"
    assert re.fullmatch(said, remark)


def test_that_values_of_a_slow_function_are_not_kept_is_remarked_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    method = method_file(tmp_path, "{'a': loss * Own.scale}", more="class Own:\n    scale = 2.0")
    assert nb.check_method(method).remarks == ()
    monkeypatch.setattr(checking, "SLOW_FIT", 0.0)
    [remark] = nb.check_method(method).remarks
    assert re.match(r"what own \(own\.py:\d+\) returns is computed anew in every fit, since it uses the class Own", remark)


@pytest.mark.parametrize("draw", ["np.random.default_rng().normal()", "DRAW().normal()"])
def test_a_function_that_draws_without_a_seed_is_stopped(tmp_path: Path, draw: str) -> None:
    """Whether its code shows that it does or not."""
    method = method_file(tmp_path, f"{{'a': loss, 'b': {draw}}}", more="DRAW = np.random.default_rng")
    with pytest.raises(MethodError, match="a second fit gives different predictions"):
        nb.check_method(method)


def test_an_evaluation_takes_what_its_fits_and_its_functions_take(digits: nb.Subset) -> None:
    # Of each 80 networks a fit takes 0.4 seconds, and the functions as much again. There are 5 budgets of 5 folds, and 3
    # inner folds for each of 2 choices.
    trials = {"regression": checking._Trial((), (0.8, 0.8), 0.4)}
    learner = DummyRegressor()
    method = nb.Method(description="", source="", reads=(), regressor=learner, choices={"strategy": ["mean", "median"]})
    networks = 240 / 80
    assert checking._expected_seconds(learner, trials, digits, (1, 2)) == pytest.approx(networks * (25 * 0.4 + 5 * 0.4))
    assert checking._expected_seconds(method, trials, digits, (1, 2)) == pytest.approx(networks * (25 * 7 * 0.4 + 5 * 0.4))


def test_it_estimates_how_long_an_evaluation_takes(tmp_path: Path) -> None:
    check = nb.check_method(method_file(tmp_path, "{'a': loss}"))
    assert check.evaluate_seconds is not None
    assert 0 < check.fit_seconds < check.evaluate_seconds
    assert nb.check_method(method_file(tmp_path, "{'a': loss}", protocols=("transfer",))).evaluate_seconds is None
