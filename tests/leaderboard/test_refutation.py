"""Rows that did not give what they claim when a maintainer ran them."""

from __future__ import annotations

import datetime
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import nndynbench as nb
from leaderboard.__main__ import app
from leaderboard.board import views
from leaderboard.check import SUBMISSIONS, Accepted, check
from leaderboard.comment import comment
from leaderboard.page import BoardContent, build_site
from leaderboard.refutation import is_far_worse, is_worse, refutations, shortfall
from leaderboard.standing import AuditScore, add_record, name_of, read_records
from leaderboard.store import Store
from nndynbench.protocols.protocol import find_protocol
from nndynbench.submissions import submissions_of, write_submission
from nndynbench.subsets import Subset

FILE = "digits-lenet.regression-folds.json"
OUTSIDE: dict[str, Any] = {
    "authors": ["Ada"],
    "licence": "MIT",
    "code": "https://example.org/mine",
    "commit": "abcdef0",
    "seeds": [0],
}


@pytest.fixture
def folder(tmp_path: Path, digits: Subset) -> Path:
    """Two methods from outside, of which `mine` is the better."""
    for method, name in (("validation-accuracy", "mine"), ("training-loss", "other")):
        result = nb.evaluate(method, digits, protocol="regression-folds", budgets=[1, 3])
        for submission in submissions_of(result, method=name, **OUTSIDE):
            write_submission(submission, tmp_path / "submissions")
    return tmp_path / "submissions"


def audited(path: Path, fresh: float | None, *, metric: str = "r2") -> None:
    """Record an audit that gave this score where (0.8, 0.9) is the claim's interval."""
    score = AuditScore(budget=3, metric=metric, claimed=0.85, claimed_interval=(0.8, 0.9), fresh=fresh)
    add_record(path, "audited", zoo_seed=5, networks=240, draws=1, scores=[score])


def edited(path: Path) -> None:
    """Change a file by its description alone."""
    path.write_text(json.dumps(json.loads(path.read_text()) | {"description": "said in other words"}))


def rows(folder: Path, at_hand: dict[str, Subset]) -> dict[str, Any]:
    """Each method's entry under regression-folds, as the board has it."""
    accepted = [a for path in sorted(folder.glob("*/*.json")) if isinstance(a := check(path, at_hand), Accepted)]
    made = views(accepted, at_hand, read_records(folder))
    [view] = [view for view in made if view.protocol.name == "regression-folds" and view.entries]
    return {entry.submission.method: entry for entry in view.entries}


def test_a_row_from_outside_that_a_fresh_zoo_refutes_has_no_rank_and_is_shown_as_refuted(
    folder: Path, at_hand: dict[str, Subset]
) -> None:
    before = rows(folder, at_hand)
    assert (before["mine"].ranks[3], before["other"].ranks[3]) == (1, 2)
    add_record(folder / "mine" / FILE, "rerun")
    audited(folder / "mine" / FILE, 0.4)
    after = rows(folder, at_hand)
    assert (after["mine"].ranks, after["other"].ranks[3]) == ({}, 1)
    assert (after["mine"].kind, after["mine"].standing) == ("refuted", "refuted")
    assert after["mine"].refuted == "R² 0.850 is claimed at budget 3, and a fresh zoo gave 0.400"
    assert (after["other"].kind, after["other"].refuted) == ("method", None)


def test_a_refutation_outlives_any_change_of_the_file_until_its_record_is_taken_away(
    folder: Path, at_hand: dict[str, Subset], tmp_path: Path
) -> None:
    path = folder / "mine" / FILE
    audited(path, 0.4)
    edited(path)
    entry = rows(folder, at_hand)["mine"]
    assert (entry.standing, entry.ranks) == ("refuted", {})
    report = comment([check(path, at_hand)], folder, store=Store(tmp_path))
    assert (
        f"- mine/{FILE}: the row was refuted, and has no rank until a maintainer takes that record away: R² 0.850" in report
    )
    [row] = [line for line in report.splitlines() if line.startswith("| mine | digits-lenet | regression-folds |")]
    assert "| – |" in row
    (folder.parent / "standing.json").unlink()
    assert rows(folder, at_hand)["mine"].standing == "self-reported"


def test_the_page_keeps_showing_what_refuted_a_row(folder: Path, at_hand: dict[str, Subset], tmp_path: Path) -> None:
    path = folder / "mine" / FILE
    audited(path, 0.4)
    edited(path)
    accepted = check(path, at_hand)
    assert isinstance(accepted, Accepted)
    records = read_records(folder)
    digits = {"digits-lenet": at_hand["digits-lenet"]}
    content = BoardContent(views([accepted], digits, records), [accepted], digits, records)
    site = build_site(tmp_path / "site", content).parent
    page = " ".join((site / "methods" / "mine.html").read_text(encoding="utf-8").split())
    assert "refuted: R² 0.850 is claimed at budget 3, and a fresh zoo gave 0.400" in page
    assert "(the file has changed since)" in page
    assert '"kind":"refuted"' in (site / "data" / "digits-lenet.regression-folds.js").read_text(encoding="utf-8")


def test_a_rerun_that_differs_is_recorded_of_a_method_from_outside_if_asked(
    folder: Path, at_hand: dict[str, Subset], tmp_path: Path
) -> None:
    code, path = tmp_path / "mine.py", folder / "mine" / FILE
    code.write_text(
        "import nndynbench as nb\n"
        "from sklearn.dummy import DummyRegressor\n"
        "METHODS = {'mine': nb.Method(description='mean', source='', reads={'curves'}, regressor=DummyRegressor())}\n"
    )
    command = ["check", str(path), "--rerun", "--code", str(code)]
    done = CliRunner(env={"COLUMNS": "400"}).invoke(app, command)
    assert done.exit_code == 1
    assert "record that with --refute" in done.output
    assert read_records(folder) == []  # the fault may be the maintainer's
    done = CliRunner(env={"COLUMNS": "400"}).invoke(app, [*command, "--refute"])
    assert "recorded in standing.json: the row is refuted" in done.output
    [record] = read_records(folder)
    assert (record.standing, record.file, record.code) == (
        "refuted",
        name_of(path),
        hashlib.sha256(code.read_bytes()).hexdigest(),
    )
    edited(path)
    add_record(path, "rerun")  # of other content: it undoes nothing
    assert rows(folder, at_hand)["mine"].standing == "refuted"


@pytest.mark.parametrize(
    ("fresh", "interval", "worse", "far_worse"),
    [
        (0.82, None, False, False),
        (0.95, None, False, False),
        (0.75, (0.7, 0.79), True, False),  # beyond by less than the claim's interval is wide
        (0.6, (0.5, 0.69), True, True),
        (None, None, True, False),  # the fresh zoo may be why
    ],
)
def test_a_score_refutes_if_it_lies_beyond_the_claim_by_more_than_that_is_uncertain(
    fresh: float | None, interval: tuple[float, float] | None, worse: bool, far_worse: bool
) -> None:
    score = AuditScore(
        budget=3, metric="r2", claimed=0.85, claimed_interval=(0.8, 0.9), fresh=fresh, fresh_interval=interval
    )
    assert (is_worse(score), is_far_worse(score)) == (worse, far_worse)


def test_an_error_is_worse_where_it_is_larger() -> None:
    def error(fresh: float) -> bool:
        return is_far_worse(AuditScore(budget=3, metric="mae", claimed=5, claimed_interval=(4, 6), fresh=fresh))

    assert (error(1.0), error(7.9), error(8.1)) == (False, False, True)


def test_the_rule_refutes_no_audited_score_of_the_projects_own_methods() -> None:
    scores = [
        score
        for record in read_records(SUBMISSIONS)
        if record.standing == "audited" and record.code is None
        for score in record.scores
        if score.metric == find_protocol(record.file.split(".")[1]).metrics[0]
    ]
    assert [score for score in scores if is_far_worse(score)] == []
    said = " ".join((SUBMISSIONS.parents[1] / "docs" / "submitting.md").read_text(encoding="utf-8").split())
    furthest = f"{max(map(shortfall, scores)):.2f}"
    assert f"None of the {len(scores)} scores below does; the worst lies {furthest} widths beyond." in said


def test_no_record_refutes_a_bundled_method_whose_code_is_at_hand(submissions: Path, at_hand: dict[str, Subset]) -> None:
    path = submissions / "degree-linear" / FILE
    audited(path, 0.1)
    accepted = check(path, at_hand)
    assert isinstance(accepted, Accepted)
    assert refutations([accepted], read_records(submissions)) == {}


def test_a_row_from_outside_that_was_worse_on_fresh_networks_leads_nothing_when_its_file_changes(
    folder: Path, at_hand: dict[str, Subset]
) -> None:
    from leaderboard.board import _may_lead
    from leaderboard.standing import best_records, by_file, reruns

    path = folder / "mine" / FILE

    def may_lead() -> bool:
        accepted, records = check(path, at_hand), read_records(folder)
        assert isinstance(accepted, Accepted)
        return _may_lead(accepted, best_records(records), reruns(records), by_file(records))

    add_record(path, "rerun", date=datetime.date(2026, 1, 1))
    assert may_lead()
    audited(path, 0.78)  # worse, but no refutation
    assert not may_lead()
    edited(path)
    add_record(path, "rerun")
    assert not may_lead()
    assert rows(folder, at_hand)["mine"].standing == "rerun"
