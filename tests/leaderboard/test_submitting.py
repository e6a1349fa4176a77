"""docs/submitting.md as a newcomer follows it: from a method to a row on the built page, in three commands."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from leaderboard.__main__ import app as leaderboard
from leaderboard.check import Refusal, check
from leaderboard.refresh import submit_bundled, tasks
from nndynbench.cli import app as nndynbench
from nndynbench.submissions import RefusedError, read_submission
from nndynbench.subsets import Subset

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "submitting.md").read_text(encoding="utf-8")
SUBMISSION = Path("leaderboard/submissions/my-method/digits-lenet.regression-folds.json")


def run(*command: str) -> str:
    """What `nndynbench …` or `python -m leaderboard …` prints in the current folder."""
    chosen, arguments = (nndynbench, command[1:]) if command[0] == "nndynbench" else (leaderboard, command[3:])
    return CliRunner(env={"COLUMNS": "400"}).invoke(chosen, arguments, catch_exceptions=False).stdout


def test_a_newcomers_method_becomes_a_row_in_three_commands(
    tmp_path: Path, at_hand: dict[str, Subset], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    [(name, method)] = re.findall(r"```python file=(\S+)\n(.*?)```", GUIDE, flags=re.DOTALL)
    (tmp_path / name).write_text(method)
    [commands] = re.findall(r"```sh\n(.*?)```", GUIDE, flags=re.DOTALL)
    evaluate, submit, build = (shlex.split(line) for line in commands.strip().splitlines())
    assert (evaluate[0], submit[0], build[:3]) == ("nndynbench", "nndynbench", ["python", "-m", "leaderboard"])

    run(*evaluate)
    printed = run(*submit)
    assert "a draft: digits-lenet 0.1.0 is below 1.0.0" in printed
    assert "git add leaderboard/submissions/my-method" in printed
    # The newcomer's clone has all submissions beside the new one; the new one alone is enough here.
    run(*build, "--submissions", "leaderboard/submissions", "--jobs", "1")

    view = (tmp_path / "site" / "data" / "digits-lenet.regression-folds.js").read_text()
    [entry] = json.loads(view.removeprefix("window.receiveView(").removesuffix(");\n"))["entries"]
    claimed = {(str(s.epochs), s.metric): s.value for s in read_submission(tmp_path / SUBMISSION).scores}
    assert entry["method"] == "my-method"
    assert set(entry["scores"]) == {"1", "2", "3", "4", "5"}
    assert entry["scores"]["5"]["mae"][0] == pytest.approx(claimed["5", "mae"], abs=1e-6)
    assert (tmp_path / "site" / "methods" / "my-method.html").is_file()

    tampered = tmp_path / SUBMISSION
    tampered.write_text(tampered.read_text().replace('"metric":"mae","value":2', '"metric":"mae","value":1', 1))
    outcome = check(tampered, at_hand)
    assert isinstance(outcome, Refusal)
    assert outcome.field == "scores: mae at budget 1"


def test_a_result_that_was_changed_is_not_submitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run("nndynbench", "evaluate", "constant", "--subset", "digits-lenet", "--epochs", "2", "--out", ".")
    path = tmp_path / "constant.digits-lenet.classification.json"
    result = json.loads(path.read_text())
    result["scores"][0]["value"] = 0.99
    path.write_text(json.dumps(result))
    about = ["--author", "Ada", "--code", "https://example.org", "--commit", "1234567", "--method", "mine"]
    with pytest.raises(RefusedError, match=r"^scores: accuracy at budget 2: 0.99 is claimed, the predictions give 0\."):
        run("nndynbench", "submit", path.name, *about)
    assert not (tmp_path / "leaderboard").exists()


def test_bundled_methods_are_submitted_by_one_command(tmp_path: Path, at_hand: dict[str, Subset]) -> None:
    todo = tasks(methods=["constant"], subset_names=["digits-lenet"], protocol_names=["classification", "trained"])
    assert [str(task) for task in todo] == ["constant on digits-lenet, classification"]
    [path] = submit_bundled(todo[0], tmp_path / "submissions", tmp_path / "results")
    assert [path] == todo[0].files(tmp_path / "submissions")
    outcome = check(path, at_hand)
    assert not isinstance(outcome, Refusal)
    assert outcome.draft is None
    assert outcome.submission.code == "baselines/trivial.py"
    assert outcome.submission.budgets == list(range(1, 11))


def test_transfer_is_submitted_by_tested_subset(tmp_path: Path, at_hand: dict[str, Subset]) -> None:
    names = ["digits-lenet-half", "digits-lenet"]
    [task] = tasks(methods=["training-loss"], subset_names=names, protocol_names=["transfer"])
    for path in submit_bundled(task, tmp_path / "submissions", tmp_path / "results"):
        outcome = check(path, at_hand)
        assert not isinstance(outcome, Refusal), str(outcome)
        [other] = outcome.submission.trained_on
        assert {other.name, outcome.submission.subset.name} == set(names)


def test_the_workflow_checks_and_builds_with_commands_that_exist() -> None:
    workflow = (ROOT / ".github" / "workflows" / "leaderboard.yml").read_text(encoding="utf-8")
    commands = re.findall(r"run: python -m leaderboard (\w+)", workflow)
    assert set(commands) == {"check", "build"}
    help_text = run("python", "-m", "leaderboard", "--help")
    assert all(command in help_text for command in commands)
