"""What the check accepts, and what it refuses: with the file, the field and the reason."""

from __future__ import annotations

import hashlib
import inspect
import json
import math
import os
import secrets
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, r2_score, roc_auc_score
from typer.testing import CliRunner

import leaderboard.check
import nndynbench as nb
from leaderboard.__main__ import app
from leaderboard.check import SUBMISSIONS, Accepted, Refusal, check, files_of, submission_files
from leaderboard.rerun import NoRerunError, Rerun, rerun
from leaderboard.standing import add_record, audits_of, read_records, unrecorded
from leaderboard.store import Store
from nndynbench.citing import citation
from nndynbench.protocols import MethodError
from nndynbench.protocols.results import joined
from nndynbench.storage import places
from nndynbench.submissions import json_schema, read_submission, submission_path, submissions_of, write_submission
from nndynbench.submissions.files import LARGEST_FILE, RefusedError, parsed
from nndynbench.subsets import Subset
from tests.leaderboard.conftest import BUNDLED

Tamper = Callable[..., Path]
runner = CliRunner(env={"COLUMNS": "400"})


def refusal(path: Path, at_hand: dict[str, Subset]) -> Refusal:
    outcome = check(path, at_hand)
    assert isinstance(outcome, Refusal), "it was accepted"
    return outcome


def test_every_real_submission_is_accepted(submitted: Path, at_hand: dict[str, Subset]) -> None:
    outcomes = [check(path, at_hand) for path in submission_files(submitted)]
    assert outcomes
    assert [str(outcome) for outcome in outcomes if isinstance(outcome, Refusal)] == []


def test_claimed_scores_are_those_of_scikit_learn_on_the_stored_labels(submitted: Path, digits: nb.Subset) -> None:
    submission = read_submission(submitted / "degree-svm" / "digits-lenet.classification.json")
    p = {name: np.array(column) for name, column in submission.predictions.columns().items()}
    truth = digits.networks["label"].loc[p["network"]].to_numpy()
    for budget in submission.budgets:
        at = p["budget"] == budget
        folds = [at & (p["fold"] == fold) for fold in range(5)]
        expected = {
            "accuracy": accuracy_score(truth[at], p["prediction"][at]),
            "balanced_accuracy": balanced_accuracy_score(truth[at], p["prediction"][at]),
            "roc_auc": np.mean([roc_auc_score(truth[fold], p["score"][fold]) for fold in folds]),
        }
        claimed = {score.metric: score.value for score in submission.scores if score.budget == budget}
        assert claimed == pytest.approx(expected, abs=1e-12)


def test_reading_and_writing_changes_nothing(submitted: Path, tmp_path: Path) -> None:
    for path in submission_files(submitted):
        written = write_submission(read_submission(path), tmp_path)
        assert written == tmp_path / submission_path(read_submission(path))
        assert written.read_bytes() == path.read_bytes()


def test_the_order_of_the_rows_does_not_matter(tampered: Tamper, at_hand: dict[str, Subset]) -> None:
    def reverse(facts: dict[str, Any]) -> None:
        facts["predictions"] = {name: column[::-1] for name, column in facts["predictions"].items()}

    assert isinstance(check(tampered(reverse), at_hand), Accepted)


DRAWN = "training-loss/digits-lenet.regression-folds.json"


@pytest.fixture
def drawn_again(submissions: Path, digits: Subset) -> Path:
    """A submission under one draw of the folds at budget 1, three at budget 3."""
    parts = [
        nb.evaluate("training-loss", digits, protocol="regression-folds", budgets=b, draws=d, order_seed=3)
        for b, d in ((1, 1), (3, 3))
    ]
    [submission] = submissions_of(joined(*parts), code="baselines/trivial.py", **BUNDLED)
    return write_submission(submission, submissions)


def test_draws_of_the_folds_stand_in_one_submission_at_each_budget_as_many_as_it_has(
    drawn_again: Path, digits: Subset, at_hand: dict[str, Subset]
) -> None:
    outcome = check(drawn_again, at_hand)
    assert isinstance(outcome, Accepted)
    table = outcome.predictions(at_hand)
    assert table.groupby("budget")["draw"].nunique().to_dict() == {1: 1, 3: 3}
    for draw, own in table.query("budget == 3").groupby("draw"):
        tested = {network: fold for fold, (_, test) in enumerate(digits.split("folds", draw)) for network in test}
        assert dict(zip(own["network"], own["fold"], strict=True)) == tested
    values = [r2_score(own["truth"], own["prediction"]) for _, own in table.query("budget == 3").groupby("draw")]
    [claimed] = [s.value for s in outcome.submission.scores if (s.budget, s.metric) == (3, "r2")]
    assert claimed == pytest.approx(np.mean(values))
    assert rerun(outcome).reproduced


def test_one_draw_of_several_is_rerun_whichever_is_picked_and_chance_picks(
    drawn_again: Path, tampered: Tamper, at_hand: dict[str, Subset]
) -> None:
    def worse_in_the_last(facts: dict[str, Any]) -> None:
        made = facts["predictions"]
        made["prediction"] = [
            value + 1 if (budget, draw) == (3, 2) else value
            for value, budget, draw in zip(made["prediction"], made["budget"], made["draw"], strict=True)
        ]

    outcome = check(drawn_again, at_hand)
    assert isinstance(outcome, Accepted)
    tampered(worse_in_the_last, DRAWN)
    for draw in range(3):
        assert rerun(outcome, pick=lambda draws, draw=draw: draw % draws).reproduced is (draw != 2)
    assert inspect.signature(rerun).parameters["pick"].default is secrets.randbelow


def without_draw(facts: dict[str, Any], draw: int) -> None:
    kept = [place for place, other in enumerate(facts["predictions"]["draw"]) if other != draw]
    facts["predictions"] = {name: [column[place] for place in kept] for name, column in facts["predictions"].items()}


def test_a_draw_that_is_left_out_is_missing(drawn_again: Path, tampered: Tamper, at_hand: dict[str, Subset]) -> None:
    refused = refusal(tampered(lambda facts: without_draw(facts, 1), DRAWN), at_hand)
    assert "rows that are missing: 240" in refused.reason


@pytest.mark.parametrize(
    ("file", "draw"), [(DRAWN, 5), (DRAWN, 10_000_000), ("degree-linear/digits-lenet.regression.json", 1)]
)
def test_more_draws_than_a_protocol_has_are_refused(
    tampered: Tamper, at_hand: dict[str, Subset], file: str, draw: int
) -> None:
    def draw_again(facts: dict[str, Any]) -> None:
        facts["predictions"]["draw"] = [draw] * len(facts["predictions"]["fold"])

    refused = refusal(tampered(draw_again, file), at_hand)
    assert (refused.field, refused.reason.partition(" is not below ")[0]) == ("predictions.draw", str(draw))


def test_the_first_draw_may_be_named(tampered: Tamper, at_hand: dict[str, Subset]) -> None:
    def name_it(facts: dict[str, Any]) -> None:
        facts["predictions"]["draw"] = [0] * len(facts["predictions"]["fold"])

    for file in (DRAWN, "degree-linear/digits-lenet.regression.json"):
        assert isinstance(check(tampered(name_it, file), at_hand), Accepted)


def drop_row(facts: dict[str, Any]) -> None:
    for column in facts["predictions"].values():
        column.pop(7)


def repeat_row(facts: dict[str, Any]) -> None:
    for column in facts["predictions"].values():
        column.append(column[7])


def in_predictions(column: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(facts: dict[str, Any]) -> None:
        facts["predictions"][column][7] = value

    return change


def fact(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(facts: dict[str, Any]) -> None:
        facts[name] = value

    return change


def score_off_by(difference: float) -> Callable[[dict[str, Any]], None]:
    def change(facts: dict[str, Any]) -> None:
        facts["scores"][0]["value"] += difference

    return change


def flip_prediction(facts: dict[str, Any]) -> None:
    facts["predictions"]["prediction"][7] = 1 - facts["predictions"]["prediction"][7]


TAMPERINGS = [
    (score_off_by(2e-9), "scores: accuracy at budget 1", "is claimed, but the predictions give"),
    (score_off_by(-0.1), "scores: accuracy at budget 1", "is claimed, but the predictions give"),
    (flip_prediction, "scores: accuracy at budget 1", "is claimed, but the predictions give"),
    (lambda f: f["scores"].pop(0), "scores: accuracy at budget 1", "is missing"),
    (lambda f: f["scores"].append(f["scores"][0]), "scores.6", "appears twice"),
    (lambda f: f["scores"].append({"budget": 1, "metric": "mae", "value": 1.0}), "scores.6", "is not a score of"),
    (lambda f: f["scores"][0].update(value=None), "scores: accuracy at budget 1", "no value is claimed"),
    (drop_row, "predictions", "rows that are missing: 1"),
    (repeat_row, "predictions", "rows that are repeated: 1"),
    (in_predictions("network", 999_999), "predictions.network", "digits-lenet 1.0.0 has no network 999999"),
    (in_predictions("fold", 17), "predictions", "rows that are missing: 1"),
    (in_predictions("prediction", 0.5), "predictions.prediction", "must be 0 or 1, not 0.5"),
    (in_predictions("prediction", True), "predictions.prediction.7", "not True"),
    (in_predictions("score", math.nan), "file", "holds NaN"),
    (in_predictions("score", math.inf), "file", "holds Infinity"),
    (in_predictions("score", "1"), "predictions.score.7", "not '1'"),
    (in_predictions("score", None), "predictions.score.7", "not None"),
    (in_predictions("score", [[]]), "predictions.score.7", "not a list"),
    (lambda f: f["predictions"].pop("score"), "predictions.score", "is missing"),
    (lambda f: f["predictions"]["score"].pop(), "predictions", "its columns differ in length"),
    (lambda f: f["predictions"].update(truth=[1]), "predictions.truth", "is not a field of a submission"),
    (lambda f: f["subset"].update(checksum="0" * 64), "subset.checksum", "digits-lenet 1.0.0 has "),
    (lambda f: f["subset"].update(version="9.0.0"), "subset.name", "9.0.0"),
    (fact("protocol", "trained"), "file", "belongs at degree-svm/digits-lenet.trained.json"),
    (fact("budgets", [1, 3, 99]), "budgets", "99 is not a budget of digits-lenet"),
    (fact("budgets", [1, 1, 3]), "budgets", "contains the same value twice"),
    (fact("budgets", [1]), "predictions", "rows that are not in the split"),
    (fact("stars", 5), "stars", "is not a field of a submission"),
    (lambda f: f.pop("licence"), "licence", "is missing"),
    (fact("licence", "GPL3"), "licence", "must be an SPDX expression such as Apache-2.0 or MIT: Unknown license: 'gpl3'"),
    (fact("licence", "Apache 2.0"), "licence", "must be an SPDX expression"),
    (fact("method", "../../etc/passwd"), "method", "must be lower-case letters"),
    (fact("method", "CON.txt"), "method", "must be lower-case letters"),
    (fact("method", "other"), "file", "belongs at other/digits-lenet.classification.json"),
    (lambda f: f["subset"].update(name="../digits-lenet"), "subset.name", "should match pattern"),
    (fact("code", "javascript:alert(1)"), "code", "must be an https address"),
    (fact("code", 'https://a.org/"><script>'), "code", "must be an https address"),
    (fact("code", "baselines/../../secret.py"), "code", "must be an https address"),
    (fact("description", "two\nlines"), "description", "must be one line of printable characters"),
    (fact("description", "\u202eright to left"), "description", "must be one line of printable characters"),
    (fact("description", "\ud800"), "description", "valid string"),
    (fact("authors", ["\u3164"]), "authors.0", "must have no letter that nobody sees"),
    *[
        (fact("authors", [f"Ada{letter}"]), "authors.0", "must have no letter that nobody sees")
        for letter in ("\u1160", "\ufe0f", "\u180b", "\U000e0100", "\U0001d159", "\U00016fe4")
    ],
    (fact("description", "zero\u200bwidth"), "description", "must be one line of printable characters"),
    (fact("description", "…"), "description", "must have a letter or a digit"),
    (fact("description", "a" + 5 * "\u0336"), "description", "must not have five marks on one letter"),
    (fact("description", "x" * 301), "description", "at most 300 characters"),
    (fact("authors", []), "authors", "at least 1 item"),
    (fact("seconds", -1), "seconds", "greater than or equal to 0"),
    (fact("reads", ["weights", "labels"]), "reads.1", "not 'labels'"),
    (fact("format", 2), "format", "not 2"),
]


@pytest.mark.parametrize(("change", "field", "reason"), TAMPERINGS, ids=[f"{f}-{r}"[:60] for _, f, r in TAMPERINGS])
def test_a_tampered_copy_is_refused(
    change: Callable[[dict[str, Any]], Any], field: str, reason: str, tampered: Tamper, at_hand: dict[str, Subset]
) -> None:
    path = tampered(change)
    refused = refusal(path, at_hand)
    assert refused.path == path
    assert refused.field == field
    assert reason in refused.reason
    assert str(refused).isprintable()


def test_a_score_may_be_off_by_less_than_a_billionth(tampered: Tamper, at_hand: dict[str, Subset]) -> None:
    assert isinstance(check(tampered(score_off_by(5e-10)), at_hand), Accepted)


def test_a_regression_has_no_scores_of_classes(tampered: Tamper, at_hand: dict[str, Subset]) -> None:
    path = tampered(
        lambda f: f["predictions"].update(score=f["predictions"]["prediction"]), "degree-linear/digits-lenet.regression.json"
    )
    assert refusal(path, at_hand).field == "predictions.score"


def test_predictions_of_regression_folds_are_submitted_as_such(submissions: Path, at_hand: dict[str, Subset]) -> None:
    old = submissions / "degree-linear" / "digits-lenet.regression-folds.json"
    new = old.with_name("digits-lenet.trained.json")
    new.write_text(old.read_text().replace('"protocol": "regression-folds"', '"protocol": "trained"'))
    refused = refusal(new, at_hand)
    assert (refused.field, refused.reason) == (
        "protocol",
        "trained is scored from the predictions for regression-folds: submit those",
    )


CONTENTS = [
    (b"", "is not JSON"),
    (b"[]", "valid dictionary"),
    (b"\xff\xfe{}", "is not JSON in UTF-8"),
    (b"[" * 200_000, "is nested too deeply"),
    (b'{"a":' * 200_000, "is nested too deeply"),
    (b'{"format": 1, "format": 1}', "appears twice"),
    (b'{"seconds": ' + b"9" * 5000 + b"}", "is not JSON"),
    (b" " * (LARGEST_FILE + 1), f"at most {LARGEST_FILE} are allowed"),
    (b"cos\nsystem\n(S'touch executed'\ntR.", "is not JSON"),
]


@pytest.mark.parametrize(("content", "reason"), CONTENTS, ids=[reason for _, reason in CONTENTS])
def test_what_is_no_submission_is_refused(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "mine" / "digits-lenet.classification.json"
    path.parent.mkdir()
    path.write_bytes(content)
    outcome = check(path)
    assert isinstance(outcome, Refusal)
    assert reason in str(outcome)
    assert len(str(outcome)) < 2000


def test_a_link_is_not_followed(submissions: Path, at_hand: dict[str, Subset]) -> None:
    path = submissions / "degree-svm" / "digits-lenet.classification.json"
    secret = submissions.parent / "secret.json"
    shutil.move(path, secret)
    os.symlink(secret, path)
    assert refusal(path, at_hand).reason == "is not a regular file"


@pytest.mark.parametrize("place", ["zz/degree-svm", "degree-svm/degree-svm", "."])
def test_a_copy_elsewhere_takes_no_row(place: str, submissions: Path) -> None:
    """A copy used to be read as the row that its folder and file name say, and to replace that row."""
    name = "digits-lenet.classification.json"
    (submissions / place).mkdir(parents=True, exist_ok=True)
    shutil.copy(submissions / "degree-svm" / name, submissions / place / name)
    files = len(submission_files(submissions))
    for arguments in (["check", "--bundled"], ["check", str(submissions / place / name)]):
        done = runner.invoke(app, [*arguments, "--submissions", str(submissions)])
        assert done.exit_code == 1
        assert f"{place}/{name}: file: belongs at degree-svm/{name}" in done.stdout.replace("/./", "/").replace(
            f"{submissions}/{name}", f"./{name}"
        )
        assert f"{files - 1} of {files}" in done.stdout or "0 of 1" in done.stdout


def test_a_folder_that_is_a_link_is_refused(submissions: Path, tmp_path: Path, at_hand: dict[str, Subset]) -> None:
    elsewhere = Path(shutil.move(submissions / "degree-svm", tmp_path / "elsewhere"))
    (submissions / "degree-svm").symlink_to(elsewhere)
    assert refusal(submissions / "degree-svm" / "digits-lenet.classification.json", at_hand).reason == (
        "is in a folder that is a symbolic link"
    )
    assert runner.invoke(app, ["check", "--bundled", "--submissions", str(submissions)]).exit_code == 1


def test_everything_in_the_folder_is_checked(submissions: Path) -> None:
    for stray in ("index.html", "degree-svm/run.py", ".hidden/x.json"):
        (submissions / stray).parent.mkdir(exist_ok=True)
        (submissions / stray).write_text("{}")
    done = runner.invoke(app, ["check", "--bundled", "--submissions", str(submissions)])
    assert done.exit_code == 1
    assert done.stdout.count("refused") == 3
    files = len(submission_files(submissions))
    assert f"{files - 3} of {files} submissions accepted" in done.stdout


def test_what_finder_leaves_beside_submissions_is_none(submissions: Path) -> None:
    files = submission_files(submissions)
    for folder in (submissions, submissions / "degree-svm"):
        (folder / ".DS_Store").write_bytes(b"\0")
    assert submission_files(submissions) == files
    assert ".DS_Store" not in {path.name for path in files_of(["degree-svm"], submissions)}


@pytest.mark.parametrize("remembers", [False, True])
def test_the_checksum_is_of_what_was_scored_whatever_is_written_meanwhile(
    remembers: bool, submissions: Path, at_hand: dict[str, Subset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, store = submissions / "degree-svm" / "digits-lenet.classification.json", Store(tmp_path / "store")
    if remembers:
        check(path, at_hand, store)
    right, read = path.read_bytes(), leaderboard.check.content_of

    def replaced_when_read(path: Path) -> bytes:
        content = read(path)
        path.write_text("{}")
        return content

    monkeypatch.setattr(leaderboard.check, "content_of", replaced_when_read)
    outcome = check(path, at_hand, store)
    assert isinstance(outcome, Accepted)
    assert outcome.sha256 == hashlib.sha256(right).hexdigest()


OUTSIDE = {"method": "mine", "authors": ["Ada"], "code": "https://example.org/mine"}


def as_mine(path: Path) -> Path:
    mine = path.parents[1] / "mine" / path.name
    mine.parent.mkdir()
    return Path(shutil.move(path, mine))


def test_an_outside_method_waits_for_version_1(
    tampered: Tamper, digits: nb.Subset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unfinished = tmp_path / "home" / "digits-lenet" / "0.9.0"
    shutil.copytree(digits.folder, unfinished)
    manifest = unfinished / "subset.json"
    manifest.write_text(manifest.read_text().replace(f'"version": "{digits.version}"', '"version": "0.9.0"'))
    monkeypatch.setenv("NNDYNBENCH_HOME", str(tmp_path / "home"))

    def change(facts: dict[str, Any]) -> None:
        facts["subset"]["version"] = "0.9.0"
        facts.update(OUTSIDE)

    mine = as_mine(tampered(change))
    done = runner.invoke(app, ["check", str(mine)])
    assert done.exit_code == 1
    assert "method: digits-lenet 0.9.0 is below 1.0.0 and does not accept outside submissions yet" in done.stdout
    assert runner.invoke(app, ["check", str(mine), "--drafts"]).exit_code == 0


@pytest.mark.parametrize("version", ["1.0.0", "0.1.0"])
def test_digits_lenet_is_open_and_its_first_versions_name_is_read_as_its_own(version: str, tampered: Tamper) -> None:
    def change(facts: dict[str, Any]) -> None:
        facts["subset"]["version"] = version
        facts.update(OUTSIDE)

    assert runner.invoke(app, ["check", str(as_mine(tampered(change)))]).exit_code == 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"code": "https://example.org/other"}, "degree-svm is the name of a method in baselines/signatures.py"),
        (
            {"method": "degree_svm", "code": "https://example.org/x"},
            "degree_svm is the name of a method in baselines/signatures.py",
        ),
        ({"code": "baselines/nothing.py"}, "degree-svm is the name of a method in baselines/signatures.py"),
        ({"code": "baselines/trivial.py"}, "degree-svm is the name of a method in baselines/signatures.py"),
        ({"method": "mine"}, "mine is not a method in baselines/"),
    ],
)
def test_nobody_takes_a_bundled_methods_name_or_code(change: dict[str, str], reason: str, tampered: Tamper) -> None:
    path = tampered(lambda f: f.update(change))
    right = path.parents[1] / change.get("method", "degree-svm") / path.name
    right.parent.mkdir(exist_ok=True)
    shutil.move(path, right)
    outcome = check(right)
    assert isinstance(outcome, Refusal)
    assert (outcome.field, outcome.reason) == ("method", reason)


@pytest.mark.parametrize(
    "author", [*citation().authors, "the  NNDynBench-Maintainers.", "nndyn\u2011bench team", "nndyn\uff42e\u0301nch"]
)
def test_nobody_else_takes_the_projects_name_for_an_authors(author: str, tampered: Tamper) -> None:
    outcome = check(as_mine(tampered(lambda f: f.update(OUTSIDE | {"authors": ["Ada", author]}))))
    assert isinstance(outcome, Refusal)
    assert (outcome.field, "names this project's authors" in outcome.reason) == ("authors.1", True)


def test_no_method_takes_the_page_that_lists_all(tampered: Tamper) -> None:
    outcome = check(tampered(lambda facts: facts.update(method="index", code="https://example.org/mine")))
    assert isinstance(outcome, Refusal)
    assert outcome.field == "method"
    assert "must be another name" in outcome.reason


def test_the_json_schema_describes_the_files(submitted: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json_schema()
    for path in submission_files(submitted):
        jsonschema.validate(json.loads(path.read_text()), schema)
    with pytest.raises(jsonschema.ValidationError, match="stars"):
        jsonschema.validate({**json.loads(path.read_text()), "stars": 5}, schema)


def test_a_bundled_method_is_rerun_and_a_stranger_is_not(submitted: Path, tampered: Tamper, at_hand: Any) -> None:
    own = check(submitted / "degree-svm" / "digits-lenet.classification.json", at_hand)
    assert isinstance(own, Accepted)
    assert rerun(own).reproduced
    path = tampered(lambda f: f.update(OUTSIDE))
    (path.parents[1] / "mine").mkdir()
    foreign = check(Path(shutil.move(path, path.parents[1] / "mine" / path.name)), at_hand)
    assert isinstance(foreign, Accepted)
    with pytest.raises(NoRerunError, match="mine is not a method in baselines/"):
        rerun(foreign)


def test_a_method_from_outside_is_rerun_with_its_file_which_the_record_names(
    submissions: Path, digits: nb.Subset, tmp_path: Path
) -> None:
    code = tmp_path / "mine.py"
    code.write_text(
        "import nndynbench as nb\n"
        "from sklearn.dummy import DummyRegressor\n"
        "METHODS = {'mine': nb.Method(description='mean', source='', reads=set(), regressor=DummyRegressor())}\n"
    )
    result = nb.evaluate(str(code), digits, protocol="regression-folds", budgets=[1, 3])
    [made] = submissions_of(result, **{**BUNDLED, "authors": ["Ada"]}, method="mine", code="https://example.org/mine")
    path = write_submission(made, submissions)

    def checked(*options: str) -> tuple[int, str]:
        done = runner.invoke(app, ["check", str(path), *options])
        return done.exit_code, done.output

    code_option = ("--rerun", "--code", str(code))
    assert "not rerun" in checked("--rerun")[1]
    assert read_records(submissions) == []
    assert checked("--code", str(code))[0] == 2
    assert checked(*code_option)[0] == 0
    [record] = read_records(submissions)
    assert (record.file, record.code) == (
        "mine/digits-lenet.regression-folds.json",
        hashlib.sha256(code.read_bytes()).hexdigest(),
    )

    # A step towards the labels is more than a rerun's tolerance.
    labels = digits.networks["final_accuracy"].loc[made.predictions.network]
    moved = [p + 0.03 * (label - p) for p, label in zip(made.predictions.prediction, labels, strict=True)]
    nearer = made.model_copy(update={"predictions": made.predictions.model_copy(update={"prediction": moved})})
    outcome = Accepted(write_submission(nearer, submissions), nearer.facts, "", None)
    assert not rerun(outcome, code=str(code)).reproduced


def test_a_submission_that_names_an_earlier_version_is_rerun_on_the_same_networks(at_hand: dict[str, Subset]) -> None:
    older = check(SUBMISSIONS / "degree-svm" / "digits-lenet.classification.json", at_hand)
    assert isinstance(older, Accepted)
    assert older.submission.subset.version == "0.1.0" != at_hand["digits-lenet"].version
    assert rerun(older).reproduced


def test_another_methods_predictions_are_not_reproduced(submitted: Path, at_hand: dict[str, Subset]) -> None:
    posing = check(submitted / "bar" / "digits-lenet.regression-folds.json", at_hand)
    assert isinstance(posing, Accepted)
    constant = {"method": "constant", "code": "baselines/trivial.py"}
    as_constant = replace(posing, submission=posing.submission.model_copy(update=constant))
    assert not rerun(as_constant).reproduced


def test_a_method_that_reads_something_else_than_its_file_says_is_not_reproduced(
    tampered: Tamper, at_hand: dict[str, Subset]
) -> None:
    file = "training-loss/digits-lenet.classification.json"
    outcome = check(tampered(lambda facts: facts.update(reads=["weights"]), file), at_hand)
    assert isinstance(outcome, Accepted)
    found = rerun(outcome)
    assert (found.difference, found.reproduced) == (pytest.approx(0, abs=1e-12), False)
    assert found.fault == ("reads", "says weights, but the method read curves when rerun")


def test_a_bundled_methods_file_needs_a_record_of_that_very_file(submissions: Path) -> None:
    path = submissions / "degree-svm" / "digits-lenet.classification.json"

    def checked(*options: str) -> tuple[int, str]:
        done = runner.invoke(app, ["check", str(path), *options])
        return done.exit_code, done.stdout

    for options in ((), ("--drafts",)):
        code, said = checked(*options)
        assert (code, "method: degree-svm is a method in baselines/, and this file was neither rerun" in said) == (1, True)
    assert checked("--bundled")[0] == 0
    add_record(path, "rerun")
    assert checked()[0] == 0
    path.write_text(path.read_text() + "\n")
    assert checked()[0] == 1
    assert checked("--rerun")[0] == 0
    assert checked()[0] == 0


def test_other_predictions_under_a_bundled_name_are_refused_when_rerun_and_in_the_report(
    tampered: Tamper, submissions: Path, tmp_path: Path
) -> None:
    path = tampered(
        lambda facts: facts.update(method="constant", reads=[]), "training-loss/digits-lenet.classification.json"
    )
    posing = Path(shutil.move(path, submissions / "constant" / path.name))
    done = runner.invoke(app, ["check", str(posing), "--rerun", "--report", str(tmp_path / "report.md")])
    assert done.exit_code == 1
    assert "scores: differs by" in done.stdout
    assert read_records(submissions) == []
    assert "**0 of 1 file is accepted.**" in (tmp_path / "report.md").read_text(encoding="utf-8")


def test_a_record_ends_with_the_file_that_it_is_about(submissions: Path) -> None:
    path = submissions / "degree-svm" / "digits-lenet.classification.json"
    assert unrecorded([path]) == [path]
    add_record(path, "audited", zoo_seed=5)
    assert runner.invoke(app, ["check", str(path), "--rerun"]).exit_code == 0
    assert {record.standing for record in read_records(submissions)} == {"rerun", "audited"}
    [found] = audits_of(path, read_records(submissions))
    assert found.zoo_seed == 5
    # With --missing, a recorded submission is left alone until its file changes.
    again = ["check", str(path), "--rerun", "--missing"]
    assert "0 of 0 submissions" in runner.invoke(app, again).output
    path.write_text(path.read_text() + " ")
    assert unrecorded([path]) == [path]
    assert "1 of 1 submissions" in runner.invoke(app, again).output


def test_what_another_process_reran_meanwhile_is_left_alone(submissions: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (submissions / name / "digits-lenet.regression-folds.json" for name in ("bar", "degree-linear"))
    ran: list[Path] = []

    def meanwhile(accepted: Accepted, **_: Any) -> Rerun:
        ran.append(accepted.path)
        add_record(second, "rerun")
        return Rerun(0.0, "")

    monkeypatch.setattr("leaderboard.rerun.rerun", meanwhile)
    result = runner.invoke(app, ["check", str(first), str(second), "--rerun", "--missing"])
    assert (ran, result.exit_code) == ([first], 0)


# Addresses that Chromium's `new URL` refuses, or shows as another address.
UNREADABLE = [
    *("https://1.2.3.4.5/x", "https://1.2.3.256/x", "https://09.1/x", "https://a.1/x", "https://0x/x", "https://a.0xg1/x"),
    *("https://xn--/x", "https://xn--a.org/x", "https://a..b/x", "https://.org/x", "https://-a.org/x", "https://a-.org/x"),
    *("https://a.org./x", "https://localhost", "https://a.org/%", "https://a.org/%zz", "https://a.org/100%"),
    *("https://", "https:///x", "https://a.org:99999/x", "https://u@a.org/x", "http://a.org/x", "https://A.org/x"),
    *("baselines/../x.py", "baselines/a/b.py", "baselines/.py", "baselines/x.py\n"),
]


@pytest.mark.parametrize("code", UNREADABLE)
def test_an_address_that_a_browser_may_not_read_is_refused(code: str, tampered: Tamper) -> None:
    outcome = check(tampered(lambda f: f.update(code=code)))
    assert isinstance(outcome, Refusal)
    assert outcome.field == "code"


@pytest.mark.parametrize(
    "code", ["https://github.com/a/b@1.0", "https://a-b.c-d.co.uk", "https://x.org/~u/a%20b_c+d.py", "https://4chan.org/"]
)
def test_ordinary_addresses_are_taken(code: str, tampered: Tamper) -> None:
    assert not isinstance(check(as_mine(tampered(lambda f: f.update(OUTSIDE | {"code": code})))), Refusal)


def test_a_file_of_repeated_names_is_refused_at_once() -> None:
    names = [f'"{number}": 0' for number in range(300_000)]
    for content in ("{" + ",".join([*names, names[-1]]) + "}", "{" + ",".join(['"a": 0'] * 500_000) + "}"):
        with pytest.raises(RefusedError, match="appears twice"):
            parsed(content.encode())


def test_of_many_errors_the_first_is_named(tampered: Tamper) -> None:
    path = tampered(lambda f: f["predictions"].update(network=["x"] * 500_000, prediction=[None] * 500_000))
    outcome = check(path)
    assert isinstance(outcome, Refusal)
    assert (outcome.field, "(and 1 more)" in outcome.reason) == ("predictions.network.0", True)


@pytest.mark.parametrize(
    ("sources", "reason"),
    [
        (["digits-lenet"], "digits-lenet is the tested subset"),
        (["digits-lenet-half", "digits-lenet-half"], "digits-lenet-half appears twice"),
    ],
)
def test_transfer_from_the_tested_subset_or_from_one_twice_is_refused(
    sources: list[str], reason: str, tampered: Tamper, at_hand: dict[str, Subset]
) -> None:
    trained_on = [{"name": s, "version": at_hand[s].version, "checksum": at_hand[s].checksum} for s in sources]
    path = tampered(lambda f: f.update(protocol="transfer", trained_on=trained_on))
    outcome = refusal(path.rename(path.with_name("digits-lenet.transfer.json")), at_hand)
    assert (outcome.field, outcome.reason) == (f"trained_on.{len(sources) - 1}.name", reason)


def test_another_version_that_lies_in_the_cache_is_not_what_a_file_is_scored_by(
    tampered: Tamper, at_hand: dict[str, Subset], digits: nb.Subset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Path(shutil.copytree(digits.folder, tmp_path / "home" / "digits-lenet" / "9.9.9")) / "subset.json"
    other.write_text(other.read_text().replace(f'"version": "{digits.version}"', '"version": "9.9.9"'))
    monkeypatch.setattr(places, "default_home", lambda: tmp_path / "home")
    refused = refusal(tampered(lambda facts: facts["subset"].update(version="9.9.9")), at_hand)
    assert refused.field == "subset.name"
    assert "not 9.9.9" in refused.reason


def test_a_method_that_fails_when_rerun_stops_no_other(submissions: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (submissions / name / "digits-lenet.regression-folds.json" for name in ("bar", "degree-linear"))

    def fails(accepted: Accepted, **_: Any) -> Rerun:
        if accepted.path == first:
            raise MethodError("out of memory")
        return Rerun(0.0, "", frozenset(accepted.submission.reads), frozenset(accepted.submission.reads))

    monkeypatch.setattr("leaderboard.rerun.rerun", fails)
    done = CliRunner(env={"COLUMNS": "400"}).invoke(app, ["check", str(first), str(second), "--rerun"])
    assert done.exit_code == 1
    assert "method: failed when it was rerun: out of memory" in done.stdout
    assert [record.file for record in read_records(submissions)] == [f"degree-linear/{second.name}"]
