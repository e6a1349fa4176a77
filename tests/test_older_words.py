"""Files and calls with older words, from before a word changed, are understood."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sklearn.dummy import DummyRegressor

import nndynbench as nb
from nndynbench.protocols import comparison_file
from nndynbench.protocols.comparison import read_comparison
from nndynbench.submissions import read_submission, write_submission
from nndynbench.submissions.beside import submissions_folder


def test_a_method_may_still_say_tier() -> None:
    with pytest.deprecated_call(match="reads"):
        method = nb.Method(description="", source="", tier={"curves"}, regressor=DummyRegressor())
    assert method.reads == {"curves"}
    with pytest.deprecated_call(match="reads"):
        assert method.tier == {"curves"}


def test_budgets_may_still_be_called_epochs(digits: nb.Subset) -> None:
    with pytest.deprecated_call(match="budget"):
        assert digits.history(100, epochs=3).epochs == 3
    with pytest.deprecated_call(match="budget"):
        assert [history.epochs for history in digits.histories([0, 1], epochs=2)] == [2, 2]
    with pytest.deprecated_call(match="budgets"):
        result = nb.evaluate("constant", digits, protocol="regression", epochs=[1, 2])
    assert result.scores["budget"].unique().tolist() == [1, 2]
    with pytest.raises(TypeError, match="not both"):
        digits.history(100, budget=3, epochs=3)


def test_parts_of_the_networks_may_still_be_called_draws(digits: nb.Subset) -> None:
    asked: dict[str, Any] = {"beside": "constant", "budgets": 1, "sizes": [24]}
    with pytest.deprecated_call(match="parts"):
        old = nb.sample_efficiency("constant", digits, draws=1, **asked)
    pd.testing.assert_frame_equal(old, nb.sample_efficiency("constant", digits, parts=1, **asked))


@pytest.mark.parametrize("old", [("digits-lenet", "constant"), (["digits-lenet"], ["constant"])])
def test_subsets_may_still_come_first_in_compare(old: tuple[Any, Any], tmp_path: Path) -> None:
    options: dict[str, Any] = {"protocol": "regression", "budgets": 1, "results": tmp_path}
    rows = nb.compare("constant", "digits-lenet", **options).rows
    with pytest.warns(
        DeprecationWarning, match=r"compare\(\) now takes its arguments in the order \(methods, subsets\)"
    ) as told:
        pd.testing.assert_frame_equal(nb.compare(*old, **options).rows, rows)
    assert told[0].filename == __file__
    with pytest.deprecated_call(match="methods, subsets"):
        pd.testing.assert_frame_equal(nb.compare(old[0], methods=old[1], **options).rows, rows)
    with pytest.deprecated_call(match="methods, subsets"), pytest.raises(TypeError, match="each once"):
        nb.compare(*old, subsets="digits-lenet")


def test_no_method_is_called_like_a_subset() -> None:
    assert not {*nb.subsets().index} & {*nb.methods().index}


def test_a_submission_says_reads_and_older_ones_that_say_tier_are_read(tmp_path: Path) -> None:
    newer = submissions_folder() / "bar" / "digits-lenet.regression-folds.json"
    content = json.loads(newer.read_text(encoding="utf-8"))
    assert content["reads"] == ["curves", "hyperparameters"]
    content["tier"] = content.pop("reads")
    content["predictions"]["epochs"] = content["predictions"].pop("budget")
    for score in content["scores"]:
        score["epochs"] = score.pop("budget")
    older = tmp_path / "bar" / newer.name
    older.parent.mkdir()
    older.write_text(json.dumps(content), encoding="utf-8")
    assert read_submission(older) == read_submission(newer)
    again = write_submission(read_submission(older), tmp_path / "again")
    assert json.loads(again.read_text(encoding="utf-8")) == json.loads(newer.read_text(encoding="utf-8"))


def test_a_results_facts_may_still_be_read_as_a_dict(digits: nb.Subset) -> None:
    facts = nb.evaluate("constant", digits, protocol="regression", budgets=1, order_seed=1).facts
    with pytest.deprecated_call(match=r"facts\.method"):
        assert facts["method"] == "constant"
    with pytest.deprecated_call(match=r"facts\.reads"):
        assert facts["reads"] == []
    with pytest.deprecated_call(match=r"facts\.subsets"):
        assert facts["subsets"][0]["name"] == "digits-lenet"
    with pytest.deprecated_call(match=r"facts\.unsealed"):
        assert facts.get("unsealed") is None
    with pytest.deprecated_call(match=r"facts\.order_seed"):
        assert "order_seed" in facts


def test_a_result_and_a_comparison_that_say_tier_are_read(tmp_path: Path, digits: nb.Subset) -> None:
    path = nb.evaluate("constant", digits, protocol="regression", budgets=1).save(tmp_path / "constant.json")
    older = json.loads(path.read_text(encoding="utf-8"))
    older["tier"] = older.pop("reads")
    path.write_text(json.dumps(older).replace('"budget"', '"epochs"'), encoding="utf-8")
    assert nb.read_result(path).scores["budget"].tolist() == [1] * 5
    assert nb.read_result(path).facts.reads == ()

    compared = nb.compare(["constant"], digits, protocol="regression", budgets=1, results=tmp_path)
    path = compared.save(comparison_file(tmp_path, ["digits-lenet"], "regression"))
    path.write_text(
        path.read_text(encoding="utf-8").replace('"reads"', '"tier"').replace('"budget"', '"epochs"'), encoding="utf-8"
    )
    for column in ("reads", "budget"):
        assert read_comparison(path).rows[column].tolist() == compared.rows[column].tolist()
