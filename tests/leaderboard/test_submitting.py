"""docs/submitting.md as a newcomer follows it: from a method to a row on the built page, in three commands."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sklearn.dummy import DummyRegressor
from typer.testing import CliRunner

import nndynbench as nb
from leaderboard.__main__ import app as leaderboard
from leaderboard.check import Refusal, _key, check
from leaderboard.dates import changed_dates
from leaderboard.facts import board_facts
from leaderboard.refresh import Task, expected_seconds, out_of_date, submit_all, submit_bundled, tasks
from leaderboard.standing import AuditScore, add_record, audits_of, read_records
from nndynbench.cli import app as nndynbench
from nndynbench.names import UnknownNameError
from nndynbench.protocols import find_protocol, method_names, stored
from nndynbench.submissions import RefusedError, read_submission, submissions_of
from nndynbench.submissions.files import parsed
from nndynbench.subsets import Subset, catalogue

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
GUIDE = (ROOT / "docs" / "submitting.md").read_text(encoding="utf-8")
SUBMISSION = Path("leaderboard/submissions/edge-entropy/digits-lenet.regression-folds.json")
ABOUT = ("--author", "Ada", "--code", "https://example.org", "--commit", "1234567", "--licence", "MIT")


def run(*command: str) -> str:
    """What `nndynbench …` or `python -m leaderboard …` prints in the current folder."""
    chosen, arguments = (nndynbench, command[1:]) if command[0] == "nndynbench" else (leaderboard, command[3:])
    return CliRunner(env={"COLUMNS": "400"}).invoke(chosen, arguments, catch_exceptions=False).stdout


def test_a_newcomers_method_becomes_a_row_in_three_commands(
    tmp_path: Path, at_hand: dict[str, Subset], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _, method = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    (tmp_path / "edge_entropy.py").write_text(method)
    [commands] = re.findall(r"```sh\n(.*?)```", GUIDE, flags=re.DOTALL)
    evaluate, submit, build = (shlex.split(line) for line in commands.strip().splitlines())
    assert (evaluate[0], submit[0], build[:3]) == ("nndynbench", "nndynbench", ["python", "-m", "leaderboard"])

    run(*evaluate)
    printed = run(*submit)
    copy = f"cp -r {tmp_path / 'leaderboard' / 'submissions' / 'edge-entropy'} leaderboard/submissions/"
    assert f"propose it, in a clone of your own fork of the project:\n  {copy}\n" in printed
    assert "it states: by Ada Lovelace; code https://example.org/ada/edge-entropy at 4f2a9c1, licensed under MIT;" in printed
    assert f"python -m leaderboard check {SUBMISSION}\n  git switch -c edge-entropy && git add " in printed
    assert "git push -u origin edge-entropy\nthen open a pull request" in printed
    # A newcomer's clone has all other submissions too; here the reference rows are taken from there.
    run(*build, "--submissions", "leaderboard/submissions", "--jobs", "1")

    view = (tmp_path / "site" / "data" / "digits-lenet.regression-folds.js").read_text()
    entries = json.loads(view.removeprefix("window.receiveView(").removesuffix(");\n"))["entries"]
    [entry] = [entry for entry in entries if entry["kind"] != "reference"]
    claimed = {(str(s.budget), s.metric): s.value for s in read_submission(tmp_path / SUBMISSION).scores}
    assert entry["method"] == "edge-entropy"
    assert set(entry["scores"]) == {"1", "2", "3", "4", "5"}
    assert entry["scores"]["5"]["mae"][0] == pytest.approx(claimed["5", "mae"], abs=1e-6)
    assert (tmp_path / "site" / "methods" / "edge-entropy.html").is_file()

    tampered = tmp_path / SUBMISSION
    tampered.write_text(tampered.read_text().replace('"metric":"mae","value":2', '"metric":"mae","value":1', 1))
    outcome = check(tampered, at_hand)
    assert isinstance(outcome, Refusal)
    assert outcome.field == "scores: mae at budget 1"


def test_a_result_that_was_changed_is_not_submitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run("nndynbench", "evaluate", "constant", "--subset", "digits-lenet", "--budgets", "2", "--out", ".")
    path = tmp_path / "constant.digits-lenet.classification.json"
    result = json.loads(path.read_text())
    result["scores"][0]["value"] = 0.99
    path.write_text(json.dumps(result))
    with pytest.raises(RefusedError, match=r"^scores: accuracy at budget 2: 0.99 is claimed, but the predictions give 0\."):
        run("nndynbench", "submit", path.name, *ABOUT, "--method", "mine")
    assert not (tmp_path / "leaderboard").exists()


def test_nobody_licenses_their_code_without_naming_the_licence(tmp_path: Path) -> None:
    about = ["--author", "Ada", "--code", "https://example.org", "--commit", "1234567"]
    refused = CliRunner().invoke(nndynbench, ["submit", str(tmp_path / "result.json"), *about])
    assert refused.exit_code == 2
    assert "Missing option '--licence'" in refused.output


def test_from_inside_a_clone_the_submission_is_written_into_the_clones_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, digits: nb.Subset
) -> None:
    clone = tmp_path / "clone"
    (inside := clone / "my" / "methods").mkdir(parents=True)
    (clone / "leaderboard").mkdir()
    shutil.copy(ROOT / "leaderboard" / "board.toml", clone / "leaderboard")
    saved = nb.evaluate("constant", digits, protocol="regression-folds", budgets=1).save(tmp_path / "result.json")
    for folder, elsewhere in ((inside, ()), (clone, ()), (tmp_path, ("--to", str(clone / "leaderboard" / "submissions")))):
        monkeypatch.chdir(folder)
        printed = run("nndynbench", "submit", str(saved), *ABOUT, "--method", "mine", *elsewhere)
        (clone / "leaderboard" / "submissions" / "mine" / "digits-lenet.regression-folds.json").unlink()
        assert f"propose it, in {clone}, which must be a clone of your own fork of the project:\n  python -m" in printed
        assert "cp -r" not in printed


def test_everything_that_is_wrong_with_what_is_typed_is_told_at_once_in_words(digits: nb.Subset) -> None:
    result = nb.evaluate("constant", digits, protocol="regression-folds", budgets=1)
    typed = {"code": "example.org/ada/x", "commit": "main", "method": "Mine"}
    with pytest.raises(RefusedError) as refused:
        submissions_of(result, authors=["Ada"], licence="MIT", seeds=[0], **typed)
    assert str(refused.value).split("; ") == [
        "method: must be lower-case letters and digits, joined by single - or _, such as edge-entropy, not 'Mine'",
        "code: must be an https address, such as https://github.com/ada/x, not 'example.org/ada/x'",
        "commit: must be 7 to 64 hexadecimal digits (git rev-parse HEAD), not 'main'",
    ]


def test_what_is_no_result_file_is_told_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("METHODS = {}")
    with pytest.raises(ValueError, match=r"mine\.py is a method file, not a result file: evaluate it first \(nndynb"):
        run("nndynbench", "submit", str(tmp_path / "mine.py"), *ABOUT)
    with pytest.raises(FileNotFoundError, match=r"there is no file .*nothing\.json"):
        run("nndynbench", "submit", str(tmp_path / "nothing.json"), *ABOUT)


def test_whoever_submits_a_bundled_method_is_told_that_it_must_be_rerun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run("nndynbench", "evaluate", "constant", "--subset", "digits-lenet", "--budgets", "2", "--out", ".")
    about = ["--author", "Ada", "--code", "baselines/trivial.py", "--commit", "1234567", "--licence", "MIT"]
    printed = run("nndynbench", "submit", "constant.digits-lenet.classification.json", *about)
    assert "takes the file once a maintainer has rerun it" in printed
    assert "git add" not in printed


def test_a_draft_with_other_budgets_is_replaced_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    printed = []
    for folder, budgets in (("a", "1,2"), ("a", "1,2"), ("b", "5")):
        asked = ["--protocol", "regression-folds", "--budgets", budgets, "--out", folder]
        run("nndynbench", "evaluate", "constant", "--subset", "digits-lenet", *asked)
        printed.append(
            run("nndynbench", "submit", f"{folder}/constant.digits-lenet.regression-folds.json", *ABOUT, "--method", "mine")
        )
    assert [text.count("the earlier file there") for text in printed] == [0, 0, 1]
    assert "the earlier file there had the budgets 1, 2; it is replaced by this one, with 5" in printed[2]
    assert "--description" not in printed[0]


def test_whoever_submits_a_bare_estimator_is_asked_for_a_description(tmp_path: Path, digits: Subset) -> None:
    bare = nb.evaluate(DummyRegressor(), digits, protocol="regression-folds", budgets=1, name="mean")
    saved = bare.save(tmp_path / "mean.json")
    about = (str(saved), *ABOUT, "--to", str(tmp_path / "board"))
    asked = "as the description: say in one line what the method does, with --description"
    assert asked in run("nndynbench", "submit", *about)
    assert asked not in run("nndynbench", "submit", *about, "--description", "the mean (of all networks)")


def test_bundled_methods_are_submitted_by_one_command(tmp_path: Path, at_hand: dict[str, Subset]) -> None:
    todo = tasks(methods=["constant"], subset_names=["digits-lenet"], protocol_names=["classification", "trained"])
    assert [str(task) for task in todo] == ["constant on digits-lenet, classification"]
    [path] = submit_bundled(todo[0], tmp_path / "submissions", tmp_path / "results").files
    assert [path] == todo[0].files(tmp_path / "submissions")
    outcome = check(path, at_hand)
    assert not isinstance(outcome, Refusal)
    assert outcome.draft is None
    assert outcome.submission.code == "baselines/trivial.py"
    assert outcome.submission.budgets == list(range(1, 11))


def test_transfer_is_submitted_by_tested_subset(tmp_path: Path, at_hand: dict[str, Subset]) -> None:
    names = ["digits-lenet-half", "digits-lenet"]
    [task] = tasks(methods=["training-loss"], subset_names=names, protocol_names=["transfer"])
    result = submit_bundled(task, tmp_path / "submissions", tmp_path / "results")
    assert len(result.files) == 2, result.failure
    for path in result.files:
        outcome = check(path, at_hand)
        assert not isinstance(outcome, Refusal), str(outcome)
        [other] = outcome.submission.trained_on
        assert {other.name, outcome.submission.subset.name} == set(names)


REFRESH = ("python", "-m", "leaderboard", "refresh", "--missing", "--submissions", "submissions", "--results", "results")
CHOSEN = ("--subset", "digits-lenet", "--protocol", "classification", "--protocol", "regression", "--budgets", "1,3")
QUICK = ("--method", "constant", "--method", "training-loss")


def test_refresh_makes_right_what_is_missing_or_outdated_and_touches_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "4 of 4 tasks to do" in run(*REFRESH, *CHOSEN, *QUICK)
    right = {path: path.read_bytes() for path in (tmp_path / "submissions").rglob("*.json")}
    assert len(right) == 4
    outside = tmp_path / "submissions" / "mine" / "digits-lenet.classification.json"
    outside.parent.mkdir()
    outside.write_text("of somebody else")
    assert "0 of 4 tasks to do" in run(*REFRESH, *CHOSEN, *QUICK)

    # As if the subset had been packed again under the same version, and a run had been interrupted. Doing one budget again
    # leaves the others as they are.
    repacked, interrupted, one_budget, untouched = sorted(right)
    checksum = read_submission(repacked).subset.checksum
    repacked.write_text(repacked.read_text().replace(checksum, "0" * 64))
    interrupted.unlink()
    run(*REFRESH[:4], *REFRESH[5:], *CHOSEN[:4], "--budgets", "1", "--method", one_budget.parent.name)
    before = untouched.stat().st_mtime_ns
    printed = run(*REFRESH, *CHOSEN, *QUICK)
    assert "2 of 4 tasks to do" in printed
    assert "2 of 2, about 0 min left" in printed
    again = {path: path.read_bytes() for path in right}
    assert {path: read_submission(path).predictions for path in right} == {
        path: parsed(content).predictions for path, content in right.items()
    }
    assert again[untouched] == right[untouched]
    assert untouched.stat().st_mtime_ns == before
    assert outside.read_text() == "of somebody else"


def test_the_references_and_what_adds_to_them_are_submitted_under_all_draws_of_the_folds() -> None:
    named = board_facts().drawn_again
    assert named <= set(method_names())
    assert {method for reference in board_facts().references for method in reference.methods[:2]} <= named
    found = {(task.method, task.protocol.name): task.draws for task in tasks(subset_names=["digits-lenet"])}
    assert {draws for (method, _), draws in found.items() if method not in named} == {1}
    assert {p: found["bar", p] for p in ("regression-folds", "classification", "regression", "blocked")} == {
        "regression-folds": 5,
        "classification": 10,
        "regression": 1,
        "blocked": 1,
    }
    asked = tasks(methods=["constant"], subset_names=["digits-lenet"], draws=7)
    assert {task.protocol.name: task.draws for task in asked} == {
        "regression-folds": 5,
        "late-folds": 5,
        "classification": 7,
        "regression": 1,
        "blocked": 1,
    }
    with pytest.raises(ValueError, match="not 0"):
        tasks(draws=0)


def test_the_best_of_the_first_view_are_submitted_under_all_draws_there_alone() -> None:
    found = {
        (task.subsets[0].name, task.protocol.name): task.draws
        for task in tasks(methods=["bar-and-degree"], subset_names=["cifar10-lenet-diverse", "digits-lenet"])
    }
    assert {view for view, draws in found.items() if draws > 1} == {("cifar10-lenet-diverse", "regression-folds")}
    views = board_facts().drawn_again_on
    assert all(methods <= set(method_names()) - board_facts().drawn_again for methods in views.values())
    assert all(subset in catalogue() and find_protocol(protocol).draws > 1 for subset, protocol in views)


def training_loss_under(draws: int) -> Task:
    [task] = tasks(
        methods=["training-loss"],
        subset_names=["digits-lenet"],
        protocol_names=["regression-folds"],
        chosen_budgets=[2],
        draws=draws,
    )
    return task


def test_a_submission_of_fewer_draws_is_topped_up(tmp_path: Path, at_hand: dict[str, Subset]) -> None:
    folder, results = tmp_path / "submissions", tmp_path / "results"
    [path] = submit_bundled(training_loss_under(1), folder, results).files
    first = read_submission(path)
    assert out_of_date(training_loss_under(1), folder) is None
    assert out_of_date(training_loss_under(2), folder) == "fewer draws of the folds"
    submit_bundled(training_loss_under(2), folder, results)
    assert out_of_date(training_loss_under(2), folder) is None
    second = read_submission(path)
    assert (first.predictions.draw, second.order_seed) == (None, first.order_seed)
    kept = [place for place, draw in enumerate(second.predictions.draw) if draw == 0]
    assert [second.predictions.prediction[place] for place in kept] == first.predictions.prediction
    assert not isinstance(check(path, at_hand), Refusal)


def test_an_audit_stays_when_draws_are_added_to_what_was_audited(tmp_path: Path) -> None:
    one, two = training_loss_under(1), training_loss_under(2)
    folder, results = tmp_path / "submissions", tmp_path / "results"
    [path] = submit_bundled(one, folder, results).files
    fresh = AuditScore(budget=2, metric="r2", claimed=0.0, fresh=0.5, claimed_interval=(0, 0), fresh_interval=(0.4, 0.6))
    earlier = AuditScore(budget=2, metric="kendall_tau", claimed=0.5, fresh=0.4)  # as earlier files may claim
    for seed, score in ((5, fresh), (6, fresh.model_copy(update={"fresh": 0.1}))):
        add_record(path, "audited", zoo_seed=seed, networks=240, draws=1, scores=[score, earlier])
    submit_bundled(two, folder, results)
    record, other = audits_of(path, read_records(folder))
    assert (record.standing, record.zoo_seed, record.networks, record.draws) == ("audited", 5, 240, 1)
    assert (other.zoo_seed, [score.fresh for score in other.scores]) == (6, [0.1])
    [score] = record.scores
    assert (score.fresh, score.fresh_interval) == (0.5, (0.4, 0.6))
    scored = nb.evaluate("training-loss", "digits-lenet", protocol="regression-folds", budgets=2, draws=2)
    [now] = scored.scores.query("metric == 'r2'").to_dict("records")
    assert score.claimed == pytest.approx(now["value"])
    assert score.claimed_interval == pytest.approx((now["low"], now["high"]), abs=1e-6)


def test_an_audit_ends_when_what_was_audited_is_fitted_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, results = tmp_path / "submissions", tmp_path / "results"
    [path] = submit_bundled(training_loss_under(1), folder, results).files
    add_record(path, "audited", zoo_seed=5)
    monkeypatch.setattr("leaderboard.refresh.changed_code", lambda *_, **__: ["baselines/curves.py"])
    submit_bundled(training_loss_under(2), folder, tmp_path / "others")
    assert audits_of(path, read_records(folder)) == []


def test_one_budget_again_keeps_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def at(budgets: list[int]) -> Task:
        return replace(training_loss_under(1), budgets=tuple(budgets))

    folder = tmp_path / "submissions"
    [path] = submit_bundled(at([1, 2]), folder, tmp_path / "results").files
    path.write_text(re.sub(r'"seconds": ?[0-9.e-]+', '"seconds": 1000.0', path.read_text()))
    before = read_submission(path)
    fitted = []

    def watched(*arguments: Any, **options: Any) -> nb.Result:
        fitted.append(tuple(options["budgets"]))
        return nb.evaluate(*arguments, **options)

    monkeypatch.setattr(stored, "evaluate", watched)
    submit_bundled(at([2, 3]), folder, tmp_path / "other-results")
    assert fitted == [(2, 3)]
    after = read_submission(path)
    assert (after.budgets, after.order_seed) == ([1, 2, 3], before.order_seed)
    assert after.seconds >= 1000
    assert after.predictions.prediction[: len(before.predictions.prediction)] == before.predictions.prediction
    # Once the code has changed, earlier predictions are not kept.
    monkeypatch.setattr("leaderboard.refresh.changed_code", lambda *_, **__: ["baselines/trivial.py"])
    submit_bundled(at([2]), folder, tmp_path / "third-results")
    assert read_submission(path).budgets == [2]


def test_draws_are_added_to_what_is_submitted_which_is_not_fitted_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = training_loss_under(1), training_loss_under(2)
    folder = tmp_path / "submissions"
    [path] = submit_bundled(one, folder, tmp_path / "results").files
    before = read_submission(path)
    fitted = []

    def watched(*arguments: Any, **options: Any) -> nb.Result:
        fitted.append(options["draws"])
        return nb.evaluate(*arguments, **options)

    monkeypatch.setattr(stored, "evaluate", watched)
    submit_bundled(two, folder, tmp_path / "other-results")
    assert fitted == [(1,)]
    after = read_submission(path)
    assert after.order_seed == before.order_seed
    first = [value for value, draw in zip(after.predictions.prediction, after.predictions.draw, strict=True) if draw == 0]
    assert first == before.predictions.prediction
    # Once the code has changed, everything is fitted anew.
    monkeypatch.setattr("leaderboard.refresh.changed_code", lambda *_, **__: ["baselines/trivial.py"])
    submit_bundled(two, folder, tmp_path / "third-results")
    assert fitted[1:] == [(0, 1)]


def test_refresh_does_the_quickest_first_by_the_seconds_of_earlier_submissions(tmp_path: Path) -> None:
    names = ["digits-lenet"]
    todo = tasks(
        methods=["constant", "training-loss"], subset_names=names, protocol_names=["regression"], chosen_budgets=[1]
    )
    for task, seconds in zip(todo, (90.0, 3.0), strict=True):
        [path] = submit_bundled(task, tmp_path / "submissions", tmp_path / "results").files
        path.write_text(re.sub(r'"seconds": [0-9.]+', f'"seconds": {seconds}', path.read_text()))
    # The submission tests one network in five, but a task counts all networks of the subset.
    assert expected_seconds(todo, tmp_path / "submissions") == pytest.approx([450, 15])
    done = [result.task.method for result, _ in submit_all(todo, tmp_path / "submissions", tmp_path / "results")]
    assert done == ["training-loss", "constant"]


def test_a_method_that_fails_stops_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    broken = next(task for task in tasks(methods=["constant"], subset_names=["digits-lenet"], protocol_names=["blocked"]))
    broken = replace(broken, budgets=(99,))
    sound = replace(broken, budgets=(1,))
    results = [result for result, _ in submit_all([broken, sound], tmp_path / "submissions", tmp_path / "results")]
    assert sorted(len(result.files) for result in results) == [0, 1]
    [failure] = [result.failure for result in results if not result.files]
    assert "99" in failure


def test_a_name_that_is_unknown_is_an_error_and_no_empty_list() -> None:
    with pytest.raises(UnknownNameError, match="digits-lenet-half"):
        tasks(subset_names=["digits-lenet-hafl"])
    with pytest.raises(UnknownNameError, match="regression-folds"):
        tasks(protocol_names=["regression-fold"])


def test_the_workflow_checks_and_builds_with_commands_that_exist() -> None:
    workflow = (ROOT / ".github" / "workflows" / "leaderboard.yml").read_text(encoding="utf-8")
    commands = re.findall(r"run: python -m leaderboard (\w+)", workflow)
    assert set(commands) == {"check", "build"}
    help_text = run("python", "-m", "leaderboard", "--help")
    assert all(command in help_text for command in commands)


STAND_IN, OF_ADA = "constant/digits-lenet.regression-folds.json", "ada-net/digits-lenet.regression-folds.json"
PullRequest = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def pull_request(tmp_path: Path, submissions: Path) -> PullRequest:
    """Runs the script by which the workflow checks a pull request, in a clone whose board has one file, of Ada's method.
    What it does to the folder of submissions is given.
    """
    workflow = pytest.importorskip("yaml").safe_load((ROOT / ".github" / "workflows" / "leaderboard.yml").read_text())
    [script] = [step["run"] for step in workflow["jobs"]["check"]["steps"] if "--report" in step.get("run", "")]
    clone, runner = tmp_path / "clone", tmp_path / "runner"
    board = clone / "leaderboard" / "submissions"
    (board / OF_ADA).parent.mkdir(parents=True)
    runner.mkdir()
    path = [str(Path(sys.executable).parent), os.environ["PATH"]]
    environment = os.environ | {"PATH": os.pathsep.join(path), "PYTHONPATH": str(ROOT), "RUNNER_TEMP": str(runner)}

    def git(*words: str) -> None:
        about = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
        subprocess.run(["git", *about, *words], cwd=clone, check=True, capture_output=True)

    def check_it(change: Callable[[Path], object], *, maintainer: bool) -> subprocess.CompletedProcess[str]:
        facts = json.loads((submissions / "training-loss" / Path(OF_ADA).name).read_text())
        facts |= {"method": "ada-net", "authors": ["Ada"], "code": "https://example.org/ada"}
        (board / OF_ADA).write_text(json.dumps(facts))
        git("init")
        git("add", ".")
        git("commit", "-m", "the board")
        change(board)
        git("add", "--force", ".")
        git("commit", "-m", "a pull request")
        given = environment | {"MAINTAINER": str(maintainer).lower()}
        command = ["bash", "-eo", "pipefail", "-c", script]
        return subprocess.run(command, cwd=clone, env=given, capture_output=True, text=True, check=False)

    return check_it


@pytest.mark.parametrize(
    ("maintainer", "recorded", "code", "said"),
    [
        (False, False, 1, "this file was neither rerun nor audited"),
        (True, False, 1, "this file was neither rerun nor audited"),
        (False, True, 1, "leaderboard/standing.json is written by maintainers alone"),
        (True, True, 0, "1 of 1 submissions accepted"),
    ],
)
def test_a_pull_request_adds_a_bundled_methods_file_only_with_a_maintainers_record(
    maintainer: bool, recorded: bool, code: int, said: str, pull_request: PullRequest, submissions: Path
) -> None:
    def with_a_bundled_methods_file(board: Path) -> None:
        (board / STAND_IN).parent.mkdir()
        added = Path(shutil.copy(submissions / STAND_IN, board / STAND_IN))
        if recorded:
            add_record(added, "rerun")

    done = pull_request(with_a_bundled_methods_file, maintainer=maintainer)
    assert done.returncode == code, done.stderr
    assert said in " ".join(done.stdout.split())


def by_mallory(board: Path) -> None:
    (board / OF_ADA).write_text((board / OF_ADA).read_text().replace('"Ada"', '"Mallory"'))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (by_mallory, "ada-net has other authors in digits-lenet.regression-folds.json (Ada): choose another name"),
        (lambda board: (board / OF_ADA).unlink(), "rows are taken down by maintainers alone"),
    ],
)
def test_nobody_but_a_maintainer_takes_a_method_over_or_down(
    change: Callable[[Path], object], said: str, pull_request: PullRequest
) -> None:
    done = pull_request(change, maintainer=False)
    assert done.returncode == 1, done.stderr
    assert said in " ".join(done.stdout.split())


@pytest.mark.parametrize("change", [by_mallory, lambda board: (board / OF_ADA).unlink()])
def test_a_maintainer_may_do_both(change: Callable[[Path], object], pull_request: PullRequest) -> None:
    done = pull_request(change, maintainer=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_an_earlier_version_of_a_baseline_predicted_does_not_come_back(tmp_path: Path, submissions: Path) -> None:
    old = Path(shutil.copytree(submissions, tmp_path / "checkout" / "submissions")) / STAND_IN
    add_record(old, "audited", zoo_seed=5)  # as when it was the board's
    new = submissions / STAND_IN
    new.write_text(new.read_text() + "\n")
    done = CliRunner(env={"COLUMNS": "400"}).invoke(leaderboard, ["check", str(old), "--before", str(submissions)])
    assert done.exit_code == 1
    assert "file: replaces a row of a method in baselines/, which a maintainer does" in done.stdout
    assert CliRunner().invoke(leaderboard, ["check", str(old)]).exit_code == 0


def test_scores_that_a_pull_request_brings_along_are_not_believed(pull_request: PullRequest) -> None:
    def forged(board: Path) -> None:
        path = board / "mine" / Path(OF_ADA).name
        path.parent.mkdir()
        facts = json.loads((board / OF_ADA).read_text()) | {"method": "mine"}
        facts["scores"][0]["value"] += 0.5
        path.write_text(json.dumps(facts))
        del facts["predictions"]
        kept = board.parents[1] / "results" / "scores" / f"{_key(hashlib.sha256(path.read_bytes()).hexdigest())}.json"
        kept.parent.mkdir(parents=True)
        kept.write_text(json.dumps({"trained_on": [], **facts}))

    done = pull_request(forged, maintainer=False)
    assert done.returncode == 1, done.stderr
    assert "is claimed, but the predictions give" in done.stdout


def test_the_report_is_posted_on_a_forks_pull_request_which_is_said_to_change_other_files(tmp_path: Path) -> None:
    workflow = pytest.importorskip("yaml").safe_load(
        (ROOT / ".github" / "workflows" / "leaderboard-comment.yml").read_text()
    )
    [script] = [step["run"] for step in workflow["jobs"]["comment"]["steps"] if "run" in step]
    (tmp_path / "report.md").write_text("**1 of 1 file is accepted.**" + "x" * 70_000)
    (tmp_path / "gh").write_text(
        'case "$*" in\n'
        "  *head=ada:row*) echo 7 ;;\n"
        "  *pulls/7/files*) printf 'leaderboard/check.py\\nleaderboard/submissions/a/b.json\\n' ;;\n"
        '  "pr comment 7 --body-file said.md"*) cp said.md posted.md ;;\n'
        "  *) exit 1 ;;\n"
        "esac\n"
    )
    (tmp_path / "gh").chmod(0o755)
    (tmp_path / "gh").write_text("#!/bin/sh\n" + (tmp_path / "gh").read_text())
    given = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "GH_REPO": "o/r", "HEAD": "abc", "FROM": "ada:row"}
    subprocess.run(["bash", "-eo", "pipefail", "-c", script], cwd=tmp_path, env=os.environ | given, check=True)
    posted = (tmp_path / "posted.md").read_text()
    assert posted.startswith("**This pull request also changes other files than submissions")
    assert "1 of 1 file is accepted" in posted
    assert len(posted) < 65_536


def test_a_rows_date_is_that_of_the_merge_not_its_authors(tmp_path: Path) -> None:
    def git(*words: str, when: str = "2026-01-02T00:00:00Z") -> None:
        environment = os.environ | {"GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when}
        about = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
        subprocess.run(["git", *about, *words], cwd=tmp_path, check=True, capture_output=True, env=environment)

    git("init", "-b", "main")
    git("commit", "--allow-empty", "-m", "base")
    git("switch", "-c", "theirs")
    (tmp_path / "row.json").write_text("{}")
    git("add", ".")
    git("commit", "-m", "row", when="2099-01-01T00:00:00Z")
    git("switch", "main")
    git("merge", "--no-ff", "-m", "merged", "theirs")
    assert changed_dates(tmp_path) == {tmp_path / "row.json": datetime.date(2026, 1, 2)}


def test_an_audit_outlives_an_interruption_while_draws_are_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    folder, results = tmp_path / "submissions", tmp_path / "results"
    [path] = submit_bundled(training_loss_under(1), folder, results).files
    add_record(path, "audited", zoo_seed=5)
    with monkeypatch.context() as patched:
        patched.setattr("leaderboard.audit._claimed", interrupted)
        with pytest.raises(KeyboardInterrupt):
            submit_bundled(training_loss_under(2), folder, results)
    submit_bundled(training_loss_under(2), folder, results)
    assert [record.zoo_seed for record in audits_of(path, read_records(folder))] == [5]


def test_whoever_takes_the_name_of_anothers_method_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run("nndynbench", "evaluate", "constant", "--subset", "digits-lenet", "--budgets", "2", "--out", ".")
    about = [
        "constant.digits-lenet.classification.json",
        "--code",
        "https://example.org",
        "--commit",
        "1234567",
        "--licence",
        "MIT",
    ]
    submit = ["nndynbench", "submit", *about, "--method", "mine", "--author"]
    assert [("has other" in run(*submit, author)) for author in ("Ada", "Ada", "Mallory")] == [False, False, True]
    assert json.loads((tmp_path / "leaderboard/submissions/mine" / "digits-lenet.classification.json").read_text())


def test_what_other_shared_code_predicted_is_fitted_anew_where_that_code_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two, folder, fitted = training_loss_under(2), tmp_path / "submissions", []
    submit_bundled(two, folder, tmp_path / "results")

    def watched(*arguments: Any, **options: Any) -> nb.Result:
        fitted.append(options["draws"])
        return nb.evaluate(*arguments, **options)

    def changed(submission: Any, *, shared: bool) -> list[str]:
        return ["nndynbench/columns.py"] if shared else []

    monkeypatch.setattr(stored, "evaluate", watched)
    monkeypatch.setattr("leaderboard.refresh.changed_code", changed)
    submit_bundled(two, folder, tmp_path / "other-results", shared=True)
    assert fitted == [(0, 1)]
