"""`compare`: methods × budgets from stored results, each beside the bar."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

import nndynbench as nb
from nndynbench import plots
from nndynbench.cli.tables import comparison_tables, said_of_draws
from nndynbench.protocols import find_method, find_protocol
from nndynbench.protocols.budgets import shared_budgets
from nndynbench.protocols.comparison import frame_of
from nndynbench.protocols.stored import StoredResults
from nndynbench.sources import code_and_time, deciding_code
from nndynbench.subsets import BudgetError

FAILING = """
from sklearn.dummy import DummyRegressor
from sklearn.pipeline import make_pipeline
import nndynbench as nb

def broken(history):
    raise RuntimeError("no such feature")

METHODS = {"broken": nb.Method(description="", source="", reads=set(),
                               regressor=make_pipeline(nb.Columns([broken]), DummyRegressor()))}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def compared(digits: nb.Subset, folder: Path) -> nb.Comparison:
    failing = folder / "failing.py"
    failing.write_text(FAILING)
    methods = ["constant", "validation-accuracy", "bar", str(failing)]
    return nb.compare(methods, digits, protocol="regression-folds", budgets=[1, 2], results=folder, jobs=1)


def test_it_has_a_row_per_method_budget_and_metric(compared: nb.Comparison) -> None:
    keys = compared.rows[["method", "budget", "metric"]]
    assert not keys.duplicated().any()
    assert len(keys) == 3 * 2 * 5
    assert compared.table().columns.tolist() == [("digits-lenet", 1), ("digits-lenet", 2)]


def test_scores_are_those_of_evaluate(digits: nb.Subset, compared: nb.Comparison) -> None:
    rows = compared.rows.query("method == 'validation-accuracy' and budget == 2")
    ours = rows.set_index("metric")[["value", "low", "high"]]
    theirs = nb.evaluate("validation-accuracy", digits, protocol="regression-folds", budgets=2).scores.set_index("metric")
    pd.testing.assert_frame_equal(ours, theirs[["value", "low", "high"]])


def test_the_bar_gains_nothing_over_itself_and_beats_a_constant(compared: nb.Comparison) -> None:
    rows = compared.rows.set_index("method")
    assert (rows.loc["bar", "gain"] == 0).all()
    r2 = rows[rows["metric"] == "r2"]
    assert (r2.loc["constant", "gain_high"] < 0).all()
    assert (r2.loc["constant", "added"].abs() < 0.01).all()
    assert rows[rows["metric"] != "r2"]["added"].isna().all()


def test_a_method_that_fails_is_listed_with_its_reason_and_stops_no_other(compared: nb.Comparison) -> None:
    [(name, reason)] = compared.failures.items()
    assert name.endswith("failing.py")
    assert "no such feature" in reason


def test_each_subset_on_which_a_method_fails_is_listed(digits: nb.Subset, folder: Path, compared: nb.Comparison) -> None:
    both = nb.compare([str(folder / "failing.py")], [digits, "digits-lenet-half"], budgets=1, results=folder, jobs=1)
    assert [name.rpartition("failing.py on ")[2] for name in both.failures] == ["digits-lenet", "digits-lenet-half"]
    assert set(both.rows["method"]) == {"bar"}


def test_methods_of_which_none_does_the_task_are_refused_at_once(digits: nb.Subset, folder: Path) -> None:
    fitted: list[str] = []
    options = {"protocol": "classification", "results": folder, "progress": lambda name, *_: fitted.append(name)}
    said = "failing.py: the method has only a regressor, but classification is a classification protocol"
    with pytest.raises(ValueError, match=f"none of the methods can be compared under classification: .*{said}"):
        nb.compare([str(folder / "failing.py")], digits, **options)
    assert fitted == []


def test_of_several_methods_one_that_does_not_do_the_task_is_listed(digits: nb.Subset, folder: Path) -> None:
    both = nb.compare(
        ["constant", str(folder / "failing.py")], digits, protocol="classification", budgets=1, results=folder, jobs=1
    )
    assert [name.endswith("failing.py") for name in both.failures] == [True]
    assert "constant" in set(both.rows["method"])


def test_what_is_named_twice_is_compared_once(digits: nb.Subset, folder: Path, compared: nb.Comparison) -> None:
    twice = nb.compare(["constant", "constant"], [digits, digits], budgets=[1, 1], results=folder, jobs=1)
    assert twice.rows.groupby(["method", "metric"]).size().eq(1).all()


def test_what_has_no_interval_is_shown_with_its_value_and_says_why(compared: nb.Comparison) -> None:
    bounds = [column for column in compared.rows if column.endswith(("low", "high"))]
    rows = compared.rows.assign(undefined="no interval: here is one group", **dict.fromkeys(bounds, np.nan))
    console = Console(width=2000, record=True, file=StringIO())
    console.print(*comparison_tables(replace(compared, rows=rows), "r2"))
    shown = console.export_text()
    assert all(f"{value:z.3f}".replace("-", "−") in shown for value in rows.loc[rows["metric"] == "r2", "value"])
    assert "no interval: here is one group" in shown
    assert "nan" not in shown
    assert "()" not in shown


def test_it_is_written_as_csv_and_json(compared: nb.Comparison, tmp_path: Path) -> None:
    table = pd.read_csv(compared.save(tmp_path / "comparison.csv"))
    assert table["value"].tolist() == pytest.approx(compared.rows["value"].tolist())
    written = json.loads(compared.save(tmp_path / "comparison.json").read_text(encoding="utf-8"))
    pd.testing.assert_frame_equal(frame_of(written["rows"]), compared.rows, check_dtype=False)
    assert (written["protocol"], written["failures"]) == (compared.protocol.name, compared.failures)
    assert written["regimes"] == compared.regimes == {"digits-lenet": "full"}
    with pytest.raises(ValueError, match=r"\.csv or \.json, not as '.*\.xlsx'"):
        compared.save(tmp_path / "comparison.xlsx")


def test_what_was_trained_under_a_reduced_protocol_is_named_so(compared: nb.Comparison) -> None:
    [full] = comparison_tables(compared, "r2")
    [reduced] = comparison_tables(replace(compared, regimes={"digits-lenet": "reduced"}), "r2")
    assert "on digits-lenet:" in str(full.title)
    assert "on digits-lenet (reduced regime):" in str(reduced.title)


def test_how_many_draws_a_score_is_the_mean_over_is_shown_where_rows_differ(compared: nb.Comparison) -> None:
    [same] = comparison_tables(compared, "r2")
    assert "draws" not in [column.header for column in same.columns]
    assert said_of_draws(compared, "r2") == (
        "each score, gain and addition is from one draw of the folds, the same for all methods"
    )
    draws = compared.rows["draws"].where(compared.rows["method"] != "bar", 10)
    ten = replace(compared, rows=compared.rows.assign(draws=draws))
    [table] = comparison_tables(ten, "r2")
    shown = {column.header: list(column.cells) for column in table.columns}
    assert dict(zip(shown["method"], shown["draws"], strict=True))["[bold]bar[/bold]"] == "10"
    assert set(shown["draws"]) == {"1", "10"}
    assert said_of_draws(ten, "r2").endswith("gains and additions pair the draws that both methods have")
    last = compared.rows["budget"] == compared.rows["budget"].max()
    [varied] = comparison_tables(replace(compared, rows=compared.rows.assign(draws=draws.where(last, 1))), "r2")
    assert "1, 10" in list(next(column for column in varied.columns if column.header == "draws").cells)


def test_its_plot_is_a_picture(compared: nb.Comparison, tmp_path: Path) -> None:
    assert plots.comparison_over_budget(compared, tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_a_protocol_whose_budgets_no_subset_has_is_refused_with_those_that_it_has(digits: nb.Subset) -> None:
    late = replace(find_protocol("regression-folds"), budgets="98-99")
    with pytest.raises(BudgetError, match="98"):
        shared_budgets([digits], late)


def test_stored_results_are_not_fitted_again(digits: nb.Subset, folder: Path, compared: nb.Comparison) -> None:
    files = {path: path.stat().st_mtime_ns for path in folder.rglob("*.json")}
    again = nb.compare(["constant", "bar"], digits, protocol="regression-folds", budgets=[1, 2], results=folder, jobs=1)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.json")} == files
    expected = compared.rows[compared.rows["method"].isin(["constant", "bar"])]
    key = ["method", "budget", "metric"]
    pd.testing.assert_frame_equal(
        again.rows.sort_values(key, ignore_index=True), expected.sort_values(key, ignore_index=True), check_dtype=False
    )


def test_a_missing_budget_alone_is_fitted_and_joined(digits: nb.Subset, folder: Path, compared: nb.Comparison) -> None:
    chosen = compared.protocol
    found = StoredResults(folder).result("validation-accuracy", [digits], chosen, [1, 2, 3])
    assert found.scores["budget"].unique().tolist() == [1, 2, 3]
    order = found.facts.order_seed
    fresh = nb.evaluate("validation-accuracy", digits, protocol=chosen, budgets=[1, 2, 3], order_seed=order)
    pd.testing.assert_frame_equal(found.predictions, fresh.predictions, check_dtype=False)


@pytest.mark.parametrize(
    ("module", "decides"),
    [
        ("moments.py", True),
        ("rolled.py", True),
        ("architectures.toml", True),
        ("harness.py", True),
        ("history.py", True),
        ("plots.py", False),
    ],
)
def test_a_change_of_what_makes_columns_and_fits_is_another_result(
    module: str, decides: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    code_and_time.cache_clear()
    before, read = deciding_code("predictions"), Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read(path) + (b"\n" if path.name == module else b""))
    code_and_time.cache_clear()
    changed = deciding_code("predictions")
    code_and_time.cache_clear()
    assert (changed != before) == decides


def test_a_changed_method_file_is_another_result(digits: nb.Subset, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text((Path(__file__).parents[2] / "baselines" / "trivial.py").read_text())
    before = find_method(f"{path}:constant").fingerprint
    path.write_text(path.read_text() + "\n# changed\n")
    assert find_method(f"{path}:constant").fingerprint != before


NAMED_ALIKE = """
from sklearn.dummy import DummyRegressor
import nndynbench as nb
METHODS = {"mine": nb.Method(description="", source="", reads=set(),
                             regressor=DummyRegressor(strategy="constant", constant=VALUE))}
"""


def test_methods_of_one_name_in_two_files_are_told_apart(digits: nb.Subset, folder: Path, tmp_path: Path) -> None:
    files = [str(tmp_path / "first.py"), str(tmp_path / "second.py")]
    for value, file in zip(("10.0", "90.0"), files, strict=True):
        Path(file).write_text(NAMED_ALIKE.replace("VALUE", value))
    both = nb.compare(files, digits, protocol="regression-folds", budgets=1, results=folder, jobs=1)
    assert set(both.rows["method"]) == {"bar", *files}
    assert not both.rows[["method", "budget", "metric"]].duplicated().any()
    assert len(list(comparison_tables(both, "r2", bold=set(files)))) >= 1
