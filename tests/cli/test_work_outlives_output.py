"""What was computed is on disk before it is shown, whatever becomes of the output; a command that is ended leaves nobody."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from nndynbench.protocols import read_result
from tests.patience import PATIENCE_SECONDS

NNDYNBENCH = Path(sys.executable).with_name("nndynbench")
EVALUATE = ("evaluate", "constant", "--subset", "digits-lenet", "--protocol", "regression-folds", "--budgets", "1")

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="is about Linux")


def shell(line: str, *, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        line, shell=True, executable="/bin/bash", cwd=cwd, capture_output=True, text=True, errors="replace", check=False,
        env={**os.environ, **environment},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("output", "status"),
    [
        ("", 0),
        (">&-", 0),  # nobody wants to see it
        (">/dev/full", 1),
        (">/dev/full 2>&1", 1),
        (">/dev/full 2>&-", 1),
        ("| true; exit ${PIPESTATUS[0]}", 1),
    ],
)
def test_a_result_is_saved_whatever_becomes_of_the_output(tmp_path: Path, output: str, status: int) -> None:
    done = shell(f"{NNDYNBENCH} {' '.join(EVALUATE)} {output}", cwd=tmp_path)
    assert done.returncode == status, done.stderr
    assert len(list((tmp_path / "results").glob("constant.*"))) == 2
    assert "Traceback" not in done.stderr
    if output == ">/dev/full":
        assert done.stderr == "error: the output could not be written: [Errno 28] No space left on device\n"


@pytest.mark.parametrize("encoding", ["cp437", "cp932", "latin-1", "ascii"])
def test_output_is_in_any_encoding(tmp_path: Path, encoding: str) -> None:
    done = shell(f"{NNDYNBENCH} {' '.join(EVALUATE)}", cwd=tmp_path, PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    assert "constant on digits-lenet" in done.stdout
    assert len(list((tmp_path / "results").glob("constant.*"))) == 2


def test_a_folder_that_cannot_be_written_to_is_an_error_before_anything_is_fitted(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file")
    done = shell(f"{NNDYNBENCH} {' '.join(EVALUATE)}", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    long = "+".join(f"--subset digits-lenet{width}" for width in ("", "-half", "-double")).replace("+", " ")
    name = "m" * 240
    (tmp_path / "mine.py").write_text(
        f"from sklearn.dummy import DummyRegressor\nimport nndynbench as nb\n"
        f"METHODS = {{'{name}': nb.Method(description='', source='', reads=set(), regressor=DummyRegressor())}}\n"
    )
    done = shell(f"{NNDYNBENCH} evaluate mine.py {long} --protocol transfer --budgets 1 --out longer", cwd=tmp_path)
    assert done.returncode == 2
    assert "File name too long" in done.stderr


SLOW = """
import os, pathlib, time
from sklearn.base import BaseEstimator, RegressorMixin
import nndynbench as nb

class Slow(RegressorMixin, BaseEstimator):
    def fit(self, X, y):
        pathlib.Path(f"{os.getpid()}.started").touch()
        time.sleep(600)

METHODS = {name: nb.Method(description="", source="", reads=set(), regressor=Slow()) for name in ("one", "two")}
"""


def group_members(group: int) -> list[int]:
    """The processes of a group that are not over."""
    members = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended meanwhile
            state, _, its_group = stat.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state != "Z":
                members.append(int(stat.parent.name))
    return members


def wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_command_that_is_ended_leaves_no_process(tmp_path: Path, number: signal.Signals, jobs: int) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    command = [NNDYNBENCH, "compare", "--method", "slow.py:one", "--method", "slow.py:two"]
    arguments = ["--subset", "digits-lenet", "--budgets", "1", "--jobs", str(jobs)]
    ended = subprocess.Popen([*command, *arguments], cwd=tmp_path, start_new_session=True)
    try:
        wait_until(lambda: len(list(tmp_path.glob("*.started"))) == jobs)
        os.kill(ended.pid, number)
        statuses = {signal.SIGINT: (1, 130)}.get(number, (-number,))  # by typer's version
        assert ended.wait(PATIENCE_SECONDS) in statuses
        wait_until(lambda: not group_members(ended.pid))
    finally:
        for pid in group_members(ended.pid):
            os.kill(pid, signal.SIGKILL)


def test_what_evaluate_saved_is_what_it_printed(tmp_path: Path) -> None:
    done = shell(f"{NNDYNBENCH} {' '.join(EVALUATE)}", cwd=tmp_path)
    scores = read_result(tmp_path / "results" / "constant.digits-lenet.regression-folds.json").scores.set_index("metric")
    assert f"{scores.loc['mae', 'value']:.3f}" in done.stdout
