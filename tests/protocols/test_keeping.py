"""A result never replaces another one: the two are joined, or the other is kept under another name."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from joblib import Parallel, delayed

import nndynbench as nb
from nndynbench.protocols import Result, SubsetVersion, read_result, results, stored
from nndynbench.protocols.protocol import find_protocol
from nndynbench.protocols.results import budgets_and_draws, joined, keep
from nndynbench.protocols.stored import FittedElsewhereWarning, StoredResults
from tests.patience import PATIENCE_SECONDS


def constant(subset: nb.Subset | str, *epochs: int) -> Result:
    return nb.evaluate("constant", subset, protocol="regression-folds", budgets=epochs, order_seed=1)


def test_other_budgets_of_the_same_method_are_joined_in_order(digits: nb.Subset, tmp_path: Path) -> None:
    path, whole = tmp_path / "r.json", constant(digits, 1, 2, 3)
    assert keep(constant(digits, 3, 1), path).earlier is None
    kept = keep(constant(digits, 2), path)
    assert (kept.earlier, sorted(tmp_path.glob("*.json"))) == (None, [path])
    for found in (kept.result, read_result(path)):
        pd.testing.assert_frame_equal(found.scores, whole.scores)
        pd.testing.assert_frame_equal(found.predictions, whole.predictions, check_dtype=False)


def test_the_same_budget_again_replaces_itself_alone(digits: nb.Subset, tmp_path: Path) -> None:
    path, first = tmp_path / "r.json", constant(digits, 1, 2)
    keep(first, path)
    again = constant(digits, 2)
    again.predictions["prediction"] += 1.0
    predictions = keep(again, path).result.predictions
    assert (predictions["prediction"] - first.predictions["prediction"]).groupby(predictions["budget"]).mean().to_dict() == {
        1: pytest.approx(0),
        2: pytest.approx(1),
    }


OTHER = {
    "method": "another",
    "fingerprint": "another",
    "protocol": "another",
    "subsets": (SubsetVersion(name="digits-lenet", version="0.0.1", checksum="another"),),
    "libraries": {"numpy": "another"},
    "order_seed": 2,
}


@pytest.mark.parametrize("fact", OTHER)
def test_what_is_of_something_else_is_kept_under_another_name(digits: nb.Subset, tmp_path: Path, fact: str) -> None:
    path, result = tmp_path / "r.json", constant(digits, 1)
    for _ in range(2):
        keep(replace(result, facts=result.facts.model_copy(update={fact: OTHER[fact]})), path)
        kept = keep(result, path)
    assert kept.earlier == tmp_path / "r.3.json"
    facts = {file.name: getattr(read_result(file).facts, fact) for file in sorted(tmp_path.glob("*.json"))}
    assert facts == {
        "r.1.json": OTHER[fact],
        "r.2.json": getattr(result.facts, fact),
        "r.3.json": OTHER[fact],
        "r.json": getattr(result.facts, fact),
    }


@pytest.mark.parametrize("content", ["", "{}", '{"format": 1, "scores": [', "a diary"])
def test_a_file_that_is_no_result_is_kept(digits: nb.Subset, tmp_path: Path, content: str) -> None:
    path = tmp_path / "r.json"
    path.write_text(content)
    assert keep(constant(digits, 1), path).earlier == tmp_path / "r.1.json"
    assert (tmp_path / "r.1.json").read_text() == content


def test_budgets_that_several_processes_write_at_once_are_all_there(digits: nb.Subset, tmp_path: Path) -> None:
    results = [constant(digits, budget) for budget in range(1, 7)]
    Parallel(n_jobs=3)(delayed(keep)(result, tmp_path / "r.json") for result in results)
    assert sorted(set(read_result(tmp_path / "r.json").scores["budget"])) == [1, 2, 3, 4, 5, 6]


def test_two_that_fit_other_budgets_at_once_lose_nothing_and_have_one_order(
    digits: nb.Subset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    protocol, asked = find_protocol("regression-folds"), []
    results = StoredResults(tmp_path)
    found: list[Result] = []

    def fit(budgets: list[int]) -> None:
        found.append(results.fitted("constant", [digits], protocol, budgets))

    other = threading.Thread(target=fit, args=([2, 3],))

    def until_the_other_waits_or_has_written(*arguments: object, **named: object) -> Result:
        asked.append(named["budgets"])
        if len(asked) == 1:
            other.start()
            until = time.monotonic() + PATIENCE_SECONDS
            while other.is_alive() and not warned and time.monotonic() < until:
                time.sleep(0.01)
        return nb.evaluate(*arguments, **named)

    monkeypatch.setattr(stored, "evaluate", until_the_other_waits_or_has_written)
    with pytest.warns(FittedElsewhereWarning, match="another process is fitting .*constant") as warned:
        fit([1, 2])
    other.join()
    assert asked == [[1, 2], [3]]
    [path] = tmp_path.rglob("*.json")
    assert budgets_and_draws(read_result(path)) == {(1, 0), (2, 0), (3, 0)}
    assert {result.facts.order_seed for result in found} == {read_result(path).facts.order_seed}


def test_results_are_fitted_where_nothing_can_be_locked(
    digits: nb.Subset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*arguments: object, **named: object) -> None:
        raise OSError("no locks here")

    monkeypatch.setattr(stored, "locked", none)
    StoredResults(tmp_path).fitted("constant", [digits], find_protocol("regression-folds"), [1])
    assert StoredResults(tmp_path).holds("constant", [digits], find_protocol("regression-folds"), [1])


def test_a_result_is_kept_where_nothing_can_be_locked(
    digits: nb.Subset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*arguments: object, **named: object) -> None:
        raise PermissionError("no lock for you")

    monkeypatch.setattr(results, "locked", none)
    for budget in (1, 2):
        keep(constant(digits, budget), tmp_path / "r.json")
    assert budgets_and_draws(read_result(tmp_path / "r.json")) == {(1, 0), (2, 0)}


def test_why_one_of_two_joined_results_was_not_sealed_is_kept(digits: nb.Subset) -> None:
    first, second = constant(digits, 1), constant(digits, 2)
    apart = replace(first, facts=first.facts.model_copy(update={"sealed": False, "unsealed": "it holds a lock"}))
    for pair in ((apart, second), (second, apart)):
        assert joined(*pair).facts.unsealed == "it holds a lock"
