"""The audit: submitted methods on a zoo that did not exist when they were submitted."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

import nndynbench as nb
from leaderboard.__main__ import _audit_table, app
from leaderboard.audit import audit, audited_subsets, draw_zoo, submissions_to_audit, train_fresh_zoo
from leaderboard.check import SUBMISSIONS, Accepted, check
from leaderboard.standing import AuditScore, add_record, audits_of, read_records
from nndynbench.citing import citation
from nndynbench.names import UnknownNameError
from nndynbench.protocols import MethodError
from nndynbench.protocols.protocol import find_protocol
from nndynbench.subsets import SplitError, Subset

HALF = "digits-lenet-half"


@pytest.fixture
def accepted(submitted: Path, at_hand: dict[str, Subset]) -> Accepted:
    outcome = check(submitted / "degree-linear" / "digits-lenet.regression-folds.json", at_hand)
    assert isinstance(outcome, Accepted)
    return outcome


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Takes the half as wide subset for the fresh zoo, since training takes minutes. Holds the seeds that were asked for."""
    asked: list[int] = []
    monkeypatch.setattr(
        "leaderboard.audit.train_fresh_zoo", lambda drawn, *_, **__: asked.append(drawn.seed) or nb.load(HALF)
    )
    return asked


def audited(submissions: Path, *words: str) -> Result:
    return CliRunner(env={"COLUMNS": "300"}).invoke(app, ["audit", *words, "--submissions", str(submissions)])


def test_on_the_same_zoo_fresh_and_claimed_are_equal_with_their_intervals(accepted: Accepted, digits: nb.Subset) -> None:
    scores = audit(accepted, digits)
    assert {score.budget for score in scores} == {1, 3}
    assert [score.fresh for score in scores] == pytest.approx([score.claimed for score in scores], abs=1e-9)
    for score in scores:
        assert score.claimed_interval == pytest.approx(score.fresh_interval, abs=2e-6)
        assert score.place == "inside"


def test_on_another_zoo_they_are_the_methods_scores_there(accepted: Accepted) -> None:
    half = nb.load(HALF)
    there = nb.evaluate("degree-linear", half, protocol="regression-folds", budgets=3).scores.set_index("metric")
    scores = audit(accepted, half, budgets=[3])
    assert {score.metric: score.fresh for score in scores} == pytest.approx(there["value"].to_dict())
    low = {score.metric: score.fresh_interval[0] for score in scores if score.fresh_interval}
    assert low == pytest.approx(there["low"].to_dict(), abs=1e-6)
    assert all(score.fresh != score.claimed for score in scores)


def test_a_fresh_score_is_the_mean_over_as_many_draws_as_its_record_says(
    accepted: Accepted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leaderboard.audit.DRAWS", 2)
    half = nb.load(HALF)
    there = nb.evaluate("degree-linear", half, protocol="regression-folds", budgets=3, draws=2).scores.set_index("metric")
    scores = audit(accepted, half, budgets=[3])
    assert {score.metric: score.fresh for score in scores} == pytest.approx(there["value"].to_dict())


@pytest.mark.parametrize(
    ("fresh", "interval", "place"),
    [
        (0.5, (0.4, 0.6), "inside"),
        (0.6, (0.4, 0.6), "inside"),
        (0.61, (0.4, 0.6), "above"),
        (0.39, (0.4, 0.6), "below"),
        (None, (0.4, 0.6), None),
        (0.5, None, None),
    ],
)
def test_where_a_fresh_score_lies_from_the_claims_interval(
    fresh: float | None, interval: tuple[float, float] | None, place: str | None
) -> None:
    score = AuditScore(budget=1, metric="r2", claimed=0.5, fresh=fresh, claimed_interval=interval)
    assert score.place == place


def test_the_table_of_an_audit_writes_numbers_with_a_minus_sign(accepted: Accepted) -> None:
    score = AuditScore(budget=1, metric="r2", claimed=-0.25, claimed_interval=(-0.5, 0.1), fresh=-0.0001)
    cells = [list(column.cells) for column in _audit_table(accepted, [score], 240).columns]
    assert cells[2:4] == [["−0.250 (−0.500 to 0.100)"], ["0.000"]]


def test_a_method_from_outside_is_audited_by_its_file(accepted: Accepted, digits: nb.Subset, tmp_path: Path) -> None:
    code = tmp_path / "mean.py"
    code.write_text(
        "import nndynbench as nb\n"
        "from sklearn.dummy import DummyRegressor\n"
        "METHODS = {'mean': nb.Method(description='mean', source='', reads=set(), regressor=DummyRegressor())}\n"
    )
    with pytest.raises(MethodError, match="says weights, but the method read nothing when rerun"):
        audit(accepted, digits, code=str(code))
    reads_nothing = replace(accepted, submission=accepted.submission.model_copy(update={"reads": []}))
    r2 = next(score for score in audit(reads_nothing, digits, code=str(code)) if score.metric == "r2")
    assert r2.fresh == pytest.approx(0, abs=0.02)
    assert r2.claimed != r2.fresh


def test_an_audit_compares_every_metric_of_the_protocol_whichever_is_claimed(accepted: Accepted, digits: nb.Subset) -> None:
    every = audit(accepted, digits, budgets=[3])
    one = [score for score in accepted.submission.scores if score.metric != "r2"]
    fewer = replace(accepted, submission=accepted.submission.model_copy(update={"scores": one}))
    assert audit(fewer, digits, budgets=[3]) == every
    assert {score.metric for score in every} == set(find_protocol("regression-folds").metrics)


def test_what_comes_with_scikit_learn_can_be_audited_and_cifar_cannot(submitted: Path) -> None:
    assert audited_subsets() == ["digits-lenet", "digits-lenet-half", "digits-lenet-double", "digits-lenet-seeds"]
    with pytest.raises(UnknownNameError, match="subset to audit"):
        submissions_to_audit(["degree-linear"], "cifar10-lenet", submitted)


def test_all_of_a_method_is_audited_but_transfer_the_quickest_first(submissions: Path) -> None:
    shutil.copy(SUBMISSIONS / "degree-linear" / "digits-lenet.transfer.json", submissions / "degree-linear")
    chosen = submissions_to_audit(["training-loss", "degree-linear"], "digits-lenet", submissions)
    assert sorted((a.submission.method, a.submission.protocol) for a in chosen) == [
        ("degree-linear", "regression"),
        ("degree-linear", "regression-folds"),
        ("training-loss", "classification"),
        ("training-loss", "regression-folds"),
    ]
    seconds = [a.submission.seconds for a in chosen]
    assert seconds == sorted(seconds)
    [one] = submissions_to_audit(["degree-linear"], "digits-lenet", submissions, protocols=["regression"])
    assert one.submission.protocol == "regression"


def test_a_zoo_is_drawn_once_and_knows_what_was_submitted_before(submissions: Path, tmp_path: Path) -> None:
    drawn = draw_zoo("digits-lenet", tmp_path / "zoo", submissions)
    again = draw_zoo("digits-lenet", tmp_path / "zoo", submissions)
    assert again == drawn
    assert draw_zoo("digits-lenet", tmp_path / "other", submissions).seed != drawn.seed
    assert len(drawn.submissions) == len(list(submissions.glob("*/digits-lenet.*.json")))
    [before] = submissions_to_audit(["degree-linear"], "digits-lenet", submissions, protocols=["regression"])
    assert drawn.is_later_than(before)
    before.path.write_text(before.path.read_text() + "\n")
    [after] = submissions_to_audit(["degree-linear"], "digits-lenet", submissions, protocols=["regression"])
    assert not drawn.is_later_than(after)


def test_the_seed_is_written_down_before_the_first_network_is_trained(
    submissions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object, **__: object) -> Subset:
        raise KeyboardInterrupt

    monkeypatch.setattr("leaderboard.audit.train_fresh_zoo", killed)
    audited(submissions, "degree-linear", "--zoo", str(tmp_path / "zoo"))
    seed = json.loads((tmp_path / "zoo" / "digits-lenet.audit.json").read_text())["seed"]
    monkeypatch.setattr("leaderboard.audit.train_fresh_zoo", lambda *_, **__: nb.load(HALF))
    assert audited(submissions, "degree-linear", "--zoo", str(tmp_path / "zoo")).exit_code == 0
    assert {record.zoo_seed for record in read_records(submissions)} == {seed}


def test_one_zoo_answers_several_methods_and_what_is_audited_on_it_is_left_alone(
    submissions: Path, tmp_path: Path, trained: list[int]
) -> None:
    zoo = ["--zoo", str(tmp_path / "zoo")]
    first = audited(submissions, "degree-linear", "--protocol", "regression", *zoo)
    assert "1 of 1 submissions to audit" in first.output
    done = audited(submissions, "degree-linear", "training-loss", *zoo)
    assert "3 of 4 submissions to audit" in done.output
    assert "0 of 4 submissions to audit" in audited(submissions, "degree-linear", "training-loss", *zoo).output
    records = read_records(submissions)
    assert len(records) == 4
    assert {record.zoo_seed for record in records} == set(trained)
    assert len(trained) == 2
    [record] = audits_of(submissions / "degree-linear" / "digits-lenet.regression.json", records)
    assert (record.standing, record.networks, record.draws, record.budgets) == ("audited", 240, 1, {1, 3})
    assert all(score.claimed_interval and score.fresh_interval for score in record.scores)
    assert "4 of 4 submissions to audit" in audited(submissions, "degree-linear", "training-loss").output


def test_a_submission_that_changed_after_the_zoo_was_drawn_is_not_audited_on_it(
    submissions: Path, tmp_path: Path, trained: list[int]
) -> None:
    draw_zoo("digits-lenet", tmp_path / "zoo", submissions)
    path = submissions / "degree-linear" / "digits-lenet.regression.json"
    path.write_text(path.read_text() + "\n")
    done = audited(submissions, "degree-linear", "--zoo", str(tmp_path / "zoo"))
    assert done.exit_code == 1
    assert "was submitted after the zoo was drawn" in done.output
    assert [record.file for record in read_records(submissions)] == ["degree-linear/digits-lenet.regression-folds.json"]


def test_a_method_that_fails_on_the_fresh_zoo_stops_no_other(
    submissions: Path, tmp_path: Path, trained: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(accepted: Accepted, *rest: object, **options: object) -> list[AuditScore]:
        if accepted.submission.protocol == "regression":
            raise SplitError("too few high networks")
        return audit(accepted, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("leaderboard.audit.audit", fails)
    done = audited(submissions, "degree-linear", "--zoo", str(tmp_path / "zoo"))
    assert done.exit_code == 1
    assert "too few high networks" in done.output
    assert [record.file for record in read_records(submissions)] == ["degree-linear/digits-lenet.regression-folds.json"]


def test_a_trial_is_not_recorded(submissions: Path, trained: list[int]) -> None:
    done = audited(submissions, "degree-linear", "--networks", "40")
    assert done.exit_code == 0
    assert "degree-linear, regression-folds" in done.output
    assert read_records(submissions) == []


def test_a_record_is_about_the_content_that_was_audited(submissions: Path) -> None:
    path = submissions / "degree-linear" / "digits-lenet.regression.json"
    add_record(path, "audited", sha256="0" * 64, zoo_seed=5)
    assert audits_of(path, read_records(submissions)) == []


def test_what_is_wrong_with_the_code_is_said_before_anything_is_trained(
    tmp_path: Path, accepted: Accepted, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = accepted.path.read_text().replace(f'"method": "{accepted.submission.method}"', '"method": "outside"')
    content = content.replace(f'"code": "{accepted.submission.code}"', '"code": "https://example.org/outside"')
    content = content.replace(citation().authors[0], "Ada")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / accepted.path.name).write_text(content)
    monkeypatch.setattr("leaderboard.audit.train_fresh_zoo", lambda *_, **__: pytest.fail("training began"))
    assert "give its file with --code" in str(audited(tmp_path, "outside").exception)


def test_a_method_that_is_not_submitted_cannot_be_audited(tmp_path: Path) -> None:
    done = audited(tmp_path, "nobody")
    assert isinstance(done.exception, ValueError)
    assert "nobody has no submission on digits-lenet to audit" in str(done.exception)


def test_a_zoo_that_is_whole_is_read_and_one_of_another_seed_is_never_taken_for_it(
    submissions: Path, digits: nb.Subset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(digits.folder, tmp_path / "digits-lenet" / digits.version)
    facts = json.loads((folder / "subset.json").read_text())
    (folder / "subset.json").write_text(json.dumps(facts | {"zoo_seed": 7}))
    drawn = draw_zoo("digits-lenet", tmp_path, submissions)
    trained: list[object] = []

    def train(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        trained.append(command)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr("leaderboard.audit.subprocess.run", train)
    assert train_fresh_zoo(drawn.model_copy(update={"seed": 7}), tmp_path).folder == folder
    assert trained == []
    with pytest.raises(RuntimeError, match="packed no zoo of that seed"):
        train_fresh_zoo(drawn.model_copy(update={"seed": 8}), tmp_path)
    assert len(trained) == 1


@pytest.mark.slow
def test_another_seed_gives_another_zoo_and_training_goes_on(
    tmp_path: Path, submissions: Path, accepted: Accepted, digits: nb.Subset
) -> None:
    pytest.importorskip("torch")
    drawn = draw_zoo("digits-lenet", tmp_path, submissions).model_copy(update={"seed": 7})
    zoo = train_fresh_zoo(drawn, tmp_path, networks=40)
    assert zoo.manifest.zoo_seed == 7
    assert len(zoo.networks) == 40
    ours = digits.networks.loc[zoo.networks.index]
    assert (ours["learning_rate"] == zoo.networks["learning_rate"]).all()
    assert (ours["seed"] != zoo.networks["seed"]).all()
    assert (ours["final_accuracy"] != zoo.networks["final_accuracy"]).any()
    assert all(score.fresh is not None for score in audit(accepted, zoo))
    again = train_fresh_zoo(drawn, tmp_path, networks=40)
    assert (again.networks["final_accuracy"] == zoo.networks["final_accuracy"]).all()
