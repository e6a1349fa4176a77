"""`compare` beside the curves alone, taken from submissions or asked for by name, against numbers computed by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize_scalar
from sklearn.metrics import mean_absolute_error, r2_score

import nndynbench as nb
from nndynbench import comparing
from nndynbench.cli.tables import comparison_tables
from nndynbench.comparing import compare_results, submitted_results
from nndynbench.protocols.comparison import frame_of
from nndynbench.protocols.references import references, references_among
from nndynbench.protocols.stored import StoredResults
from nndynbench.report.ranking import most_adding
from nndynbench.submissions import read_submission
from tests.submitted import SUBMITTED, copied

FOLDS = "regression-folds"
CURVES, METHOD = "curve-bar", "weight-statistics"


def predictions(method: str, budget: int, truth: pd.Series) -> pd.DataFrame:
    """A method's submitted predictions under the first draw of the folds, by network, with the fold and the truth."""
    table = pd.DataFrame(read_submission(SUBMITTED / method / f"digits-lenet.{FOLDS}.json").predictions.columns())
    first = table["draw"] == 0 if "draw" in table else np.full(len(table), True)
    table = table[first & (table["budget"] == budget)].set_index("network").sort_index()
    return table.assign(truth=truth.loc[table.index])


@pytest.fixture(scope="module")
def compared(digits: nb.Subset, tmp_path_factory: pytest.TempPathFactory) -> nb.Comparison:
    submissions = copied(tmp_path_factory.mktemp("submissions"), "bar", CURVES, METHOD, "constant")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StoredResults, "fitted", fitted)
        return nb.compare(["constant"], digits, budgets=[1, 5], submissions=submissions, jobs=1)


def fitted(*arguments: object, **options: object) -> None:
    raise AssertionError("nothing may be fitted")


def cell(compared: nb.Comparison, method: str, metric: str, column: str, budget: int = 5) -> float:
    [row] = compared.rows.query("method == @method and metric == @metric and budget == @budget").to_dict("records")
    return row[column]


def test_any_method_can_stand_in_for_the_bar(digits: nb.Subset, compared: nb.Comparison) -> None:
    results = submitted_results([digits], FOLDS, SUBMITTED)
    both = {name: results[name] for name in (CURVES, METHOD)}
    beside = compare_results(both, [digits], FOLDS, metrics=["r2"], beside={"bar": CURVES})
    for column, over_curves in {"gain": "gain_over_curves", "added": "added_to_curves"}.items():
        for end in ("", "_low", "_high"):
            expected = cell(compared, METHOD, "r2", f"{over_curves}{end}")
            assert cell(beside, METHOD, "r2", f"{column}{end}") == pytest.approx(expected)
    assert "gain_over_curves" not in beside.rows


@pytest.mark.parametrize("budget", [1, 5])
def test_gain_over_the_curves_is_the_difference_of_the_scores(
    digits: nb.Subset, compared: nb.Comparison, budget: int
) -> None:
    truth = digits.networks["final_accuracy"]
    own, curves = (predictions(method, budget, truth) for method in (METHOD, CURVES))
    r2 = r2_score(own["truth"], own["prediction"]) - r2_score(own["truth"], curves["prediction"])
    assert cell(compared, METHOD, "r2", "gain_over_curves", budget) == pytest.approx(r2)
    error = [mean_absolute_error(table["truth"], table["prediction"]) for table in (curves, own)]
    assert cell(compared, METHOD, "mae", "gain_over_curves", budget) == pytest.approx(error[0] - error[1])
    low, high = (cell(compared, METHOD, "r2", f"gain_over_curves_{end}", budget) for end in ("low", "high"))
    assert low < r2 < high


def test_added_to_the_curves_is_of_a_blend_fitted_on_the_other_folds(digits: nb.Subset, compared: nb.Comparison) -> None:
    truth = digits.networks["final_accuracy"]
    own, curves = (predictions(method, 5, truth) for method in (METHOD, CURVES))
    blended = curves["prediction"].copy()
    for fold in own["fold"].unique():
        others, inside = own["fold"] != fold, own["fold"] == fold

        def error(w: float, others: pd.Series = others) -> float:
            mixed = (1 - w) * curves["prediction"] + w * own["prediction"]
            return float(((mixed - own["truth"])[others] ** 2).sum())

        w = minimize_scalar(error, bounds=(0, 1), method="bounded", options={"xatol": 1e-9}).x
        blended[inside] = ((1 - w) * curves["prediction"] + w * own["prediction"])[inside]
    added = r2_score(own["truth"], blended) - r2_score(own["truth"], curves["prediction"])
    assert cell(compared, METHOD, "r2", "added_to_curves") == pytest.approx(added, abs=1e-6)
    assert np.isnan(cell(compared, METHOD, "mae", "added_to_curves"))


def test_a_reference_has_nothing_over_itself(compared: nb.Comparison) -> None:
    assert cell(compared, CURVES, "r2", "gain_over_curves") == cell(compared, CURVES, "r2", "added_to_curves") == 0
    gains = [cell(compared, "bar", "r2", "gain_over_curves"), -cell(compared, CURVES, "r2", "gain")]
    assert gains[0] == pytest.approx(gains[1])


def test_curves_that_nobody_asked_for_are_not_fitted(digits: nb.Subset, tmp_path: Path) -> None:
    (tmp_path / "submissions").mkdir()
    submissions = copied(tmp_path / "submissions", "bar", "constant")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StoredResults, "fitted", fitted)
        without = nb.compare(["constant"], digits, budgets=5, submissions=submissions, jobs=1)
    assert "gain_over_curves" not in without.rows
    asked = nb.compare(["curve-extrapolation"], digits, budgets=1, submissions=submissions, results=tmp_path, jobs=1)
    assert cell(asked, "curve-extrapolation", "r2", "gain_over_curves", 1) == 0


def test_what_is_written_and_shown_has_both_references(compared: nb.Comparison, tmp_path: Path) -> None:
    written = json.loads(compared.save(tmp_path / "compared.json").read_text(encoding="utf-8"))
    pd.testing.assert_frame_equal(frame_of(written["rows"]), compared.rows)
    assert "added_to_curves_high" in compared.save(tmp_path / "compared.csv").read_text().splitlines()[0]
    heads = [column.header for column in next(iter(comparison_tables(compared, "r2"))).columns]
    both = ["gain over the bar", "added to the bar", "gain over the curves alone", "added to the curves alone"]
    assert heads[-6:] == [*both, "draws", "reads"]
    assert "added to the curves alone" in str(compared)
    assert "added to the curves alone" in compared._repr_html_()


def test_a_comparison_without_the_curves_is_shown_without(compared: nb.Comparison) -> None:
    alone = replace(compared, rows=compared.rows[[column for column in compared.rows if "curves" not in column]])
    heads = [column.header for column in next(iter(comparison_tables(alone, "r2"))).columns]
    assert heads[-4:] == ["gain over the bar", "added to the bar", "draws", "reads"]
    assert "curves alone" not in str(alone)


def test_the_board_alone_is_compared_at_whatever_budgets_it_has(
    digits: nb.Subset, compared: nb.Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StoredResults, "fitted", fitted)
    monkeypatch.setattr(comparing, "in_processes", fitted)
    results = submitted_results([digits], FOLDS, copied(tmp_path, "bar", CURVES, METHOD))
    board = compare_results(results, [digits], FOLDS, metrics=["r2"])
    assert set(board.rows["method"]) == {"bar", CURVES, METHOD}
    assert set(board.rows["metric"]) == {"r2"}
    assert sorted(board.rows["budget"].unique()) == [1, 2, 3, 4, 5]
    for column in ("value", "gain", "added", "gain_over_curves", "added_to_curves_high"):
        assert cell(board, METHOD, "r2", column) == pytest.approx(cell(compared, METHOD, "r2", column))


def test_the_reference_is_the_first_of_its_methods_that_is_there() -> None:
    assert references_among(["curve-extrapolation", "curve-bar", "bar"]) == {"bar": "bar", "curves": "curve-bar"}
    assert references_among(["curve-extrapolation"]) == {"curves": "curve-extrapolation"}
    assert [reference.key for reference in references()] == ["bar", "curves"]


@pytest.mark.parametrize(
    ("reads", "bar", "curves"),
    [
        ({"weights"}, True, True),
        ({"weights", "curves"}, True, True),
        ({"weights", "curves", "hyperparameters"}, True, False),
        ({"weights", "hyperparameters"}, True, False),
        ({"curves", "hyperparameters"}, False, False),
        (set(), False, False),
    ],
)
def test_what_a_method_adds_is_the_weights_own_where_it_sees_no_more_than_the_reference(
    reads: set[str], bar: bool, curves: bool
) -> None:
    assert [reference.key for reference in references()] == ["bar", "curves"]
    assert [reference.allows_beside_weights(reads) for reference in references()] == [bar, curves]


def test_beside_curves_that_read_hyperparameters_to_tell_recipes_apart_no_other_hyperparameters_count() -> None:
    rows = {
        "within-curves": {"reads": "curves+hyperparameters", "added_to_curves": 0.0},
        "bar-and-layer-distance": {"reads": "curves+hyperparameters+weights", "added_to_curves": 0.2},
        "curve-bar-and-layer-distance": {"reads": "curves+weights", "added_to_curves": 0.1},
    }
    _, curves = references()
    assert most_adding(rows, curves) == ("curve-bar-and-layer-distance", 1)
