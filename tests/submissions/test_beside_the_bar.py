"""The bar beside a result is from the leaderboard's submissions; its numbers are those that `compare` gets by fitting."""

from __future__ import annotations

import shutil
import zlib
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from sklearn.metrics import r2_score

import nndynbench as nb
from nndynbench.protocols import find_protocol
from nndynbench.submissions import beside
from tests.submitted import SUBMITTED

ROOT = Path(__file__).parents[2]
FOLDS = "regression-folds"


def test_turned_round_it_is_printed_whole_on_80_columns(digits: nb.Subset) -> None:
    rows = nb.beside_bar(nb.evaluate("constant", digits, protocol=FOLDS, budgets=[1, 3, 5]))
    with pd.option_context("display.width", 80, "display.max_columns", 0, "display.large_repr", "truncate"):
        shown = str(rows.T)
    assert "..." not in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert len(shown.splitlines()) == 1 + len(rows.columns)


def test_the_bar_is_the_one_that_is_submitted(digits: nb.Subset) -> None:
    rows = nb.beside_bar(nb.evaluate("constant", digits, protocol=FOLDS, budgets=[1, 5])).set_index("budget")
    submitted = beside.submitted("bar", [digits], find_protocol(FOLDS), SUBMITTED)
    assert submitted is not None
    drawn_first = submitted.predictions.query("draw == 0 and budget in [1, 5]")  # one draw is compared with the same draw
    expected = {budget: r2_score(own["truth"], own["prediction"]) for budget, own in drawn_first.groupby("budget")}
    assert rows["bar"].to_dict() == pytest.approx(expected, abs=1e-9)
    assert rows["gain"].to_dict() == pytest.approx((rows["value"] - rows["bar"]).to_dict())
    assert (rows["added"].abs() < 0.01).all()


def test_gain_and_added_are_those_of_compare(digits: nb.Subset, tmp_path: Path) -> None:
    ours = nb.beside_bar(nb.evaluate("training-loss", digits, protocol=FOLDS, budgets=5), [digits]).loc[0]
    compared = nb.compare(["training-loss"], digits, budgets=5, results=tmp_path, submissions=SUBMITTED, jobs=1)
    theirs = compared.rows.query("method == 'training-loss' and metric == 'r2'").iloc[0]
    names = [f"{name}{end}" for name in ("gain", "added") for end in ("", "_low", "_high")]
    assert ours[names].tolist() == pytest.approx(theirs[names].tolist(), abs=1e-12)


def test_every_protocol_has_its_bar_and_transfer_one_a_pair(digits: nb.Subset) -> None:
    for name in ("triage", "trained", "blocked"):
        assert nb.beside_bar(nb.evaluate("training-loss", digits, protocol=name, budgets=5))["bar"].notna().all()
    pair = [digits, nb.load("digits-lenet-half")]
    rows = nb.beside_bar(nb.evaluate("training-loss", pair, protocol="transfer", budgets=5), pair)
    assert set(rows["trained_on"]) == {"digits-lenet", "digits-lenet-half"}
    assert rows["bar"].notna().all()


def test_there_is_none_where_budget_subset_or_networks_are_not_the_submitted_ones(
    digits: nb.Subset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = nb.evaluate("constant", digits, protocol=FOLDS, budgets=[1, 15])
    rows = nb.beside_bar(result, [digits]).set_index("budget")
    assert rows["bar"].isna().to_dict() == rows["gain"].isna().to_dict() == {1: False, 15: True}
    shutil.copytree(SUBMITTED / "bar", tmp_path / "bar")
    path = tmp_path / "bar" / f"digits-lenet.{FOLDS}.json"
    path.write_text(path.read_text().replace(digits.checksum, "0" * 64))
    assert beside.submitted("bar", [digits], find_protocol(FOLDS), tmp_path) is None
    assert beside.submitted("bar", [digits], find_protocol(FOLDS), tmp_path / "elsewhere") is None
    monkeypatch.setattr(beside, "submissions_folder", lambda: tmp_path)
    assert nb.beside_bar(result, [digits])["bar"].isna().all()


def test_the_bar_travels_with_the_package_within_two_megabytes() -> None:
    packed = (zlib.compress(file.read_bytes()) for file in (SUBMITTED / "bar").glob("*.json"))  # as a wheel does
    assert sum(map(len, packed)) < 2e6
    assert '"leaderboard/submissions/bar" = "nndynbench/submissions/stored/bar"' in (ROOT / "pyproject.toml").read_text()


def test_a_result_of_other_networks_under_the_same_version_is_refused(digits: nb.Subset) -> None:
    result = nb.evaluate("constant", digits, protocol=FOLDS, budgets=1)
    [own] = result.facts.subsets
    others = (own.model_copy(update={"checksum": "0" * 64}),)
    other = replace(result, facts=result.facts.model_copy(update={"subsets": others}))
    with pytest.raises(ValueError, match=r"of other networks than the digits-lenet 1\.0\.0 in .*: give the subset that was"):
        nb.beside_bar(other)
