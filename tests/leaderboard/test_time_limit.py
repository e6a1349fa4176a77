"""A method that never returns is stopped, and costs no other submission its record."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import leaderboard.rerun
import nndynbench as nb
from leaderboard.__main__ import app
from leaderboard.check import Accepted
from leaderboard.rerun import Rerun
from leaderboard.standing import read_records
from leaderboard.time_limit import time_limit
from nndynbench.protocols import MethodError
from tests.submitted import copied

FILE = "digits-lenet.regression-folds.json"
NEVER = """
import os, time
from pathlib import Path
import nndynbench as nb
from sklearn.base import BaseEstimator, RegressorMixin

class Never(RegressorMixin, BaseEstimator):
    def fit(self, histories, accuracies):
        Path({noted!r}).write_text(str(os.getpid()))
        while True:
            try:
                time.sleep(0.1)
            except BaseException:
                pass

METHODS = {{"mine": nb.Method(description="never", source="", reads=set(), regressor=Never())}}
"""
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no alarm that stops what runs")
runner = CliRunner(env={"COLUMNS": "400"})


@pytest.fixture
def board(tmp_path: Path) -> Path:
    (tmp_path / "submissions").mkdir()
    return copied(tmp_path / "submissions", "constant", "training-loss")


@pytest.fixture
def never(board: Path, tmp_path: Path) -> tuple[Path, Path, Path]:
    """The submission of a method from outside, its code, which never returns, and where that notes its process."""
    facts = json.loads((board / "constant" / FILE).read_text())
    path, code, noted = board / "mine" / FILE, tmp_path / "never.py", tmp_path / "process"
    path.parent.mkdir()
    path.write_text(json.dumps(facts | {"method": "mine", "authors": ["Ada"], "code": "https://example.org/mine"}))
    code.write_text(NEVER.format(noted=str(noted)))
    return path, code, noted


def assert_gone(process: int) -> None:
    for _ in range(100):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail("the sealed process still runs")


def test_a_rerun_is_stopped_with_its_sealed_process_and_says_so(never: tuple[Path, Path, Path]) -> None:
    path, code, noted = never
    done = runner.invoke(app, ["check", str(path), "--rerun", "--code", str(code), "--minutes", "0.2"])
    assert done.exit_code == 1
    assert "failed when it was rerun: it was stopped after 0.2 minutes: --minutes gives it more" in done.output
    assert read_records(path.parents[1]) == []
    assert_gone(int(noted.read_text()))


def test_an_audit_is_stopped_with_its_sealed_process_and_says_so(
    never: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, code, noted = never
    monkeypatch.setattr("leaderboard.audit.train_fresh_zoo", lambda *_, **__: nb.load("digits-lenet-half"))
    words = ["audit", "mine", "--code", str(code), "--minutes", "0.2", "--submissions", str(path.parents[1])]
    done = runner.invoke(app, words)
    assert done.exit_code == 1
    assert "it was stopped after 0.2 minutes" in done.output
    assert read_records(path.parents[1]) == []
    assert_gone(int(noted.read_text()))


def test_an_interrupted_rerun_keeps_the_records_of_what_was_done(board: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (board / method / FILE for method in ("constant", "training-loss"))
    run = leaderboard.rerun.rerun

    def until_the_second(accepted: Accepted, **options: Any) -> Rerun:
        if accepted.path == second:
            raise KeyboardInterrupt
        return run(accepted, **options)

    monkeypatch.setattr("leaderboard.rerun.rerun", until_the_second)
    assert runner.invoke(app, ["check", str(first), str(second), "--rerun"]).exit_code != 0
    assert [record.file for record in read_records(board)] == [f"constant/{FILE}"]


def test_what_ends_in_time_is_not_stopped_later() -> None:
    with time_limit(0.005):
        pass
    time.sleep(0.5)
    with pytest.raises(MethodError, match=r"stopped after 0\.005 minutes"), time_limit(0.005):
        time.sleep(5)
    with time_limit(0):
        time.sleep(0.1)
