"""What leads the front page: only rows that were rerun or audited, beside references that were. And what methods see."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

import nndynbench as nb
from leaderboard.board import views
from leaderboard.check import Accepted
from leaderboard.page import BoardContent, build_site
from leaderboard.scores import Leading
from leaderboard.standing import AuditScore, StandingRecord, name_of
from leaderboard.store import Store
from nndynbench.submissions import read_submission, write_submission

FILE = "digits-lenet.regression-folds.json"
REFERENCES = ("bar", "curve-extrapolation")
BUDGET = 3


@pytest.fixture
def rows(submissions: Path, digits: nb.Subset) -> dict[str, Accepted]:
    """The references, a method that sees weights, and one from outside that says so and gives the labels back."""
    honest = read_submission(submissions / "degree-linear" / FILE)
    labels = [float(digits.networks["final_accuracy"].loc[network]) for network in honest.predictions.network]
    fields = {"method": "mine", "predictions": honest.predictions.model_copy(update={"prediction": labels})}
    write_submission(honest.model_copy(update=fields), submissions)
    found = {}
    for method in (*REFERENCES, "degree-linear", "mine"):
        path = submissions / method / FILE
        found[method] = Accepted(path, read_submission(path).facts, hashlib.sha256(path.read_bytes()).hexdigest(), None)
    return found


def test_a_method_is_said_to_see_what_any_of_its_submissions_read(
    rows: dict[str, Accepted], digits: nb.Subset, tmp_path: Path
) -> None:
    weights, bar = rows["degree-linear"], rows["bar"]
    assert (weights.submission.reads, bar.submission.reads) == (["weights"], ["hyperparameters"])
    other = bar.submission.model_copy(update={"method": "degree-linear"})
    own = [weights, replace(bar, submission=other)]
    build_site(tmp_path / "site", BoardContent(views=[], accepted=own, subsets={}, records=[]), store=Store(tmp_path))
    pages = {name: (tmp_path / "site" / "methods" / f"{name}.html").read_text() for name in ("degree-linear", "index")}
    assert "<dd>weights, hyperparameters</dd>" in pages["degree-linear"]
    assert "sees weights, hyperparameters<" in pages["index"]


def leading(
    rows: Mapping[str, Accepted],
    verified: tuple[str, ...],
    digits: nb.Subset,
    store: Store,
    *,
    rerun: tuple[str, ...] = (),
    fresh: float | None = 0.9,
) -> Mapping[str, Leading]:
    """What leads at the budget, by reference, if some methods' rows were audited and had this score on the fresh zoo, and
    others (or the same) were rerun.
    """
    scores = [AuditScore(budget=BUDGET, metric="r2", claimed=0.9, fresh=fresh, claimed_interval=(0.8, 0.95))]
    day = datetime.date(2026, 1, 1)
    records = [
        StandingRecord(file=name_of(a.path), sha256=a.sha256, standing="audited", date=day, scores=scores)
        for a in (rows[method] for method in verified)
    ]
    records += [
        StandingRecord(file=name_of(a.path), sha256=a.sha256, standing="rerun", date=day)
        for a in (rows[method] for method in rerun)
    ]
    made = views(list(rows.values()), {digits.name: digits}, records, store=store)
    [view] = [view for view in made if view.protocol.name == "regression-folds" and view.entries]
    return view.leading.get(BUDGET, {})


def test_a_self_reported_row_leads_nothing_however_good_it_says_it_is(
    rows: dict[str, Accepted], digits: nb.Subset, tmp_path: Path
) -> None:
    store = Store(tmp_path / "scores")
    assert leading(rows, (), digits, store) == {}
    found = leading(rows, (*REFERENCES, "degree-linear"), digits, store)
    assert {key: (best.method, best.compared) for key, best in found.items()} == {
        "bar": ("degree-linear", 1),
        "curves": ("degree-linear", 1),
    }
    # What was kept for other standings is not taken for these.
    rerun = leading(rows, (*REFERENCES, "degree-linear"), digits, store, rerun=("mine",))
    assert {best.method for best in rerun.values()} == {"mine"}


def test_an_audit_alone_lets_no_row_from_outside_lead(rows: dict[str, Accepted], digits: nb.Subset, tmp_path: Path) -> None:
    # Predictions that were moved a little towards the labels pass an audit: its interval is wide.
    everybody, store = (*REFERENCES, "degree-linear", "mine"), Store(tmp_path / "scores")
    assert {best.method for best in leading(rows, everybody, digits, store).values()} == {"degree-linear"}
    both = leading(rows, everybody, digits, store, rerun=("mine",))
    assert {best.method for best in both.values()} == {"mine"}


@pytest.mark.parametrize("fresh", [0.2, None])
def test_a_row_from_outside_that_is_worse_on_fresh_networks_leads_nothing(
    rows: dict[str, Accepted], digits: nb.Subset, tmp_path: Path, fresh: float | None
) -> None:
    everybody = (*REFERENCES, "degree-linear", "mine")
    found = leading(rows, everybody, digits, Store(tmp_path / "scores"), rerun=("mine",), fresh=fresh)
    assert {best.method for best in found.values()} == {"degree-linear"}  # whose code is at hand


def test_who_says_to_read_hyperparameters_alone_is_believed_once_the_code_was_run(
    submissions: Path, digits: nb.Subset, tmp_path: Path
) -> None:
    made = read_submission(submissions / "bar" / FILE)
    write_submission(made.model_copy(update={"method": "mine", "reads": ["hyperparameters"]}), submissions)
    path, day = submissions / "mine" / FILE, datetime.date(2026, 1, 1)
    own = Accepted(path, read_submission(path).facts, hashlib.sha256(path.read_bytes()).hexdigest(), None)

    def saved(*records: StandingRecord) -> float:
        made = views([own], {digits.name: digits}, list(records), store=Store(tmp_path / "scores"))
        [view] = [view for view in made if view.protocol.name == "triage" and view.entries]
        estimate = view.entries[0].scores[BUDGET].metrics["epochs_saved"]
        assert not isinstance(estimate, str)
        return estimate.value

    # A method that need not wait for the budget spends no epochs on the networks that it drops.
    rerun = StandingRecord(file=name_of(path), sha256=own.sha256, standing="rerun", date=day)
    assert saved() < saved(rerun)


def test_nothing_leads_beside_a_self_reported_reference(
    rows: dict[str, Accepted], digits: nb.Subset, tmp_path: Path
) -> None:
    found = leading(rows, ("curve-extrapolation", "degree-linear"), digits, Store(tmp_path / "scores"))
    assert list(found) == ["curves"]
