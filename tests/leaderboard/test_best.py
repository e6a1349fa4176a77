"""The board in short: which method `nndynbench predict` takes for what is known of a run."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from sklearn.metrics import r2_score

import nndynbench as nb
from leaderboard.best import mean_ranks, needs_initialisation, write_best
from nndynbench.protocols.best_methods import BEST_FILE
from tests.submitted import SUBMITTED, copied


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three methods' submissions on two subsets."""
    for subset in ("digits-lenet", "digits-lenet-half"):
        copied(tmp_path, "degree-linear", "validation-accuracy", "constant", subset=subset)
    return tmp_path


def _r2_at_5(path: Path) -> float:
    """What a submission claims."""
    scores = json.loads(path.read_text())["scores"]
    [value] = [s["value"] for s in scores if s["metric"] == "r2" and (s.get("budget") or s.get("epochs")) == 5]
    return float(value)


def test_methods_are_ranked_by_their_r2_on_all_subsets(folder: Path) -> None:
    values = {}
    for path in folder.glob("*/*.json"):
        values[path.parent.name, path.name.partition(".")[0]] = _r2_at_5(path)
    ranks = mean_ranks(folder)
    for method in ("degree-linear", "validation-accuracy", "constant"):
        own = [
            1 + sum(value > values[method, subset] for (_, other), value in values.items() if other == subset)
            for subset in ("digits-lenet", "digits-lenet-half")
        ]
        assert ranks.loc[method, "rank"] == sum(own) / 2


def test_a_method_with_more_draws_of_the_folds_is_ranked_by_the_first_as_all_others_are(folder: Path) -> None:
    """Oracle: scikit-learn's R² of the first draw. The bar's second draw is made perfect, which must not help it."""
    zoo = nb.load("digits-lenet")
    path = folder / "bar" / "digits-lenet.regression-folds.json"
    path.parent.mkdir()
    submission = json.loads((SUBMITTED / "bar" / path.name).read_text())
    rows = pd.DataFrame(submission["predictions"])
    rows.loc[rows["draw"] > 0, "prediction"] = (
        zoo.networks["final_accuracy"].loc[rows["network"]].to_numpy()[rows["draw"] > 0]
    )
    path.write_text(json.dumps(submission | {"predictions": rows.to_dict("list")}))
    for other in folder.glob("*/digits-lenet-half.*"):
        other.unlink()
    first = rows[(rows["draw"] == 0) & (rows["budget"] == 5)]
    value = r2_score(zoo.networks["final_accuracy"].loc[first["network"]], first["prediction"])
    others = {name: _r2_at_5(folder / name / path.name) for name in ("degree-linear", "validation-accuracy", "constant")}
    assert mean_ranks(folder).loc["bar", "rank"] == 1 + sum(other > value for other in others.values())


def test_a_method_that_is_not_on_every_subset_has_no_rank(folder: Path) -> None:
    (folder / "constant" / "digits-lenet.regression-folds.json").unlink()
    assert sorted(mean_ranks(folder).index) == ["degree-linear", "validation-accuracy"]


def test_a_bundled_methods_name_with_other_code_is_not_chosen_from(folder: Path) -> None:
    path = folder / "constant" / "digits-lenet.regression-folds.json"
    facts = json.loads(path.read_text())
    path.write_text(json.dumps(facts | {"code": "https://example.org/constant"}))
    assert sorted(mean_ranks(folder).index) == ["degree-linear", "validation-accuracy"]


@pytest.mark.parametrize(("method", "needs"), [("degree-linear", False), ("norms", True), ("validation-accuracy", False)])
def test_what_reads_the_initialisation_is_found_by_asking(method: str, needs: bool) -> None:
    assert needs_initialisation(method) is needs


@pytest.mark.parametrize("made", [True, False])
def test_without_submissions_nothing_is_written(made: bool, tmp_path: Path) -> None:
    folder = tmp_path / "submissions"
    if made:
        folder.mkdir()
    (tmp_path / BEST_FILE).write_text("what was chosen before")
    with pytest.raises(FileNotFoundError, match="submission"):
        write_best(tmp_path, folder)
    assert (tmp_path / BEST_FILE).read_text() == "what was chosen before"
