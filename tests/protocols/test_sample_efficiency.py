"""What a method has over a reference, by the number of networks that both are fitted on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.metrics import mean_absolute_error, r2_score
from typer.testing import CliRunner

import nndynbench as nb
from nndynbench.cli import app
from nndynbench.cli.efficiency import read_sizes
from nndynbench.storage.elsewhere import SavedElsewhereWarning
from nndynbench.submissions import RefusedError, submissions_of
from tests.oracles import drawn_whole, students_levels

QUICK = {"beside": "constant", "budgets": 5, "parts": 2}


class CountsNetworks(RegressorMixin, BaseEstimator):
    """Predicts how many networks it was fitted on."""

    def fit(self, X: list[nb.History], y: np.ndarray) -> CountsNetworks:
        self.count_ = len(X)
        return self

    def predict(self, X: list[nb.History]) -> np.ndarray:
        return np.full(len(X), float(self.count_))


def test_a_method_is_fitted_on_as_many_networks_as_were_asked_for(digits: nb.Subset) -> None:
    result = nb.evaluate(CountsNetworks(), digits, protocol="regression-folds", reference_networks=48)
    assert set(result.predictions["prediction"]) == {48.0}
    assert len(result.predictions) == len(digits.network_ids)


def test_smaller_parts_are_parts_of_larger_ones(digits: nb.Subset) -> None:
    fitted: dict[int, list[set[float]]] = {}

    class Remembers(CountsNetworks):
        def fit(self, X: list[nb.History], y: np.ndarray) -> CountsNetworks:
            fitted.setdefault(len(y), []).append(set(y))
            return super().fit(X, y)

    for size in (24, 96):
        nb.evaluate(Remembers(), digits, protocol="regression-folds", reference_networks=size, order_seed=7, sealed=False)
    assert len(fitted[24]) == len(fitted[96]) == 5
    for small, large in zip(fitted[24], fitted[96], strict=True):
        assert small <= large


def test_scores_are_means_over_parts_of_what_evaluate_gives(digits: nb.Subset) -> None:
    [row] = nb.sample_efficiency("training-loss", digits, sizes=[48], **QUICK).to_dict("records")
    parts = [
        nb.evaluate("training-loss", digits, protocol="regression-folds", order_seed=part, reference_networks=48).predictions
        for part in (0, 1)
    ]
    by_hand = [r2_score(table["truth"], table["prediction"]) for table in parts]
    assert by_hand[0] != by_hand[1]
    assert row["value"] == pytest.approx(np.mean(by_hand), abs=1e-12)


def test_the_gain_is_of_the_same_drawn_networks_and_positive_where_the_method_errs_less(digits: nb.Subset) -> None:
    """Oracle: scikit-learn's error of either side, over both parts, of all networks and of those of each resample."""
    asked: dict[str, Any] = {"protocol": "regression", "budgets": 5}
    [row] = nb.sample_efficiency("training-loss", digits, sizes=[48], beside="constant", parts=2, **asked).to_dict("records")
    [(_, tested)] = digits.split("holdout")

    def of_parts(method: str) -> list[pd.DataFrame]:
        unsealed = {**asked, "sealed": False, "reference_networks": 48}
        made = [nb.evaluate(method, digits, order_seed=part, **unsealed).predictions for part in (0, 1)]
        return [table.set_index("network").loc[tested] for table in made]

    ours, beside = of_parts("training-loss"), of_parts("constant")
    errors = [np.array([abs(part["truth"] - part["prediction"]) for part in parts]) for parts in (ours, beside)]
    own, other = (
        np.mean([mean_absolute_error(part["truth"], part["prediction"]) for part in parts]) for parts in (ours, beside)
    )
    rates = digits.networks.loc[tested, "learning_rate"].to_numpy()
    assert row["metric"] == "mae"
    assert row["gain"] == pytest.approx(other - own)
    assert row["gain"] > 0
    gained = [errors[1][:, drawn].mean() - errors[0][:, drawn].mean() for drawn in drawn_whole(rates)]
    interval = np.quantile(gained, students_levels(len(np.unique(rates))))
    assert (row["gain_low"], row["gain_high"]) == pytest.approx(tuple(interval))


def test_a_method_gains_nothing_over_itself(digits: nb.Subset) -> None:
    curve = nb.sample_efficiency("constant", digits, sizes=[48, None], **QUICK)
    assert curve["networks"].tolist() == [48, 192]
    assert (curve[["gain", "gain_low", "gain_high"]] == 0).all(axis=None)


@pytest.mark.parametrize(
    ("asked", "named"),
    [({"sizes": [0]}, "a size"), ({"parts": 0}, "parts"), ({"protocol": "transfer-apart"}, "tests on another subset")],
)
def test_what_cannot_be_asked_is_refused(digits: nb.Subset, asked: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        nb.sample_efficiency("constant", digits, **asked)


def test_a_result_of_few_networks_is_no_submission(digits: nb.Subset) -> None:
    result = nb.evaluate("constant", digits, protocol="regression-folds", reference_networks=48)
    facts = {"authors": ["A"], "licence": "MIT", "code": "https://example.org/a", "commit": "a" * 40, "seeds": [0]}
    with pytest.raises(RefusedError, match="not on 48"):
        submissions_of(result, **facts)


def test_the_command_writes_a_table_and_a_figure(tmp_path: Path) -> None:
    command = ["sample-efficiency", "training-loss", "--subset", "digits-lenet", "--beside", "constant"]
    command += ["--sizes", "48,all", "--budgets", "5", "--parts", "1", "--out", str(tmp_path)]
    CliRunner().invoke(app, command, catch_exceptions=False)
    table = pd.read_csv(tmp_path / "training-loss.digits-lenet.regression-folds.by-networks.csv")
    assert table["networks"].tolist() == [48, 192]
    assert (tmp_path / "training-loss.digits-lenet.regression-folds.by-networks.png").stat().st_size > 10_000


def test_a_table_that_cannot_be_written_after_the_fits_is_put_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (elsewhere := tmp_path / "elsewhere").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(elsewhere))
    (tmp_path / "constant.digits-lenet.regression-folds.by-networks.csv").mkdir()
    command = ["sample-efficiency", "constant", "--subset", "digits-lenet", "--beside", "constant"]
    command += ["--sizes", "48,all", "--budgets", "5", "--parts", "1", "--out", str(tmp_path)]
    with pytest.warns(SavedElsewhereWarning):
        assert CliRunner().invoke(app, command).exit_code == 1
    assert sorted(path.suffix for path in elsewhere.iterdir()) == [".csv", ".png"]


def test_sizes_that_are_no_numbers_are_named() -> None:
    assert read_sizes("48, all") == [48, None]
    with pytest.raises(ValueError, match="'48;96'"):
        read_sizes("48;96")
