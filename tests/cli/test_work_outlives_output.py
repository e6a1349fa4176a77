"""What was computed is on disk before it is shown, whatever becomes of the output. An ended command leaves no process."""

from __future__ import annotations

import os
import re
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

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux")


def shell(line: str, *, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        line, shell=True, executable="/bin/bash", cwd=cwd, capture_output=True, text=True, errors="replace", check=False,
        env={**os.environ, **environment},
    )  # fmt: skip


def shell_status(line: str) -> int:
    return subprocess.run(line, shell=True, capture_output=True, check=False).returncode


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


@pytest.mark.parametrize("encoding", ["cp1252", "cp437", "cp932", "latin-1", "ascii"])
def test_output_is_in_any_encoding(tmp_path: Path, encoding: str) -> None:
    done = shell(f"{NNDYNBENCH} {' '.join(EVALUATE)}", cwd=tmp_path, PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    assert "constant on digits-lenet" in done.stdout
    assert len(list((tmp_path / "results").glob("constant.*"))) == 2
    if encoding != "cp932":  # which has the minus sign; where it is lacking, no question mark stands for it
        assert re.search(r"-0\.\d{3} \(-", done.stdout)
    assert "?" not in done.stdout


# A file system of three pages, in a name space of its own: an empty file fits in, a result does not.
SMALL_DISK = "unshare --mount --map-root-user sh -c 'mount -t tmpfs -o size={} none results && {}'"
CAN_MOUNT = shell_status(SMALL_DISK.format("12k", "true").replace("results", "/mnt")) == 0


@pytest.mark.skipif(not CAN_MOUNT, reason="needs permission to mount a file system")
def test_a_result_for_which_the_disk_is_too_full_is_put_elsewhere(tmp_path: Path) -> None:
    for folder in ("results", "temporary"):
        (tmp_path / folder).mkdir()
    told = "; status=$?; ls results >&2; exit $status"
    evaluate = f"{NNDYNBENCH} {' '.join(EVALUATE)}"
    done = shell(SMALL_DISK.format("12k", evaluate + told), cwd=tmp_path, TMPDIR=str(tmp_path / "temporary"))
    assert done.returncode == 1, done.stderr
    [saved] = (tmp_path / "temporary").glob("constant.*.json")
    warning, *left = done.stderr.splitlines()
    assert warning.startswith(
        "warning: results/constant.digits-lenet.regression-folds.json could not be written ([Errno 28]"
    )
    assert warning.endswith(f"saved as {saved} instead")
    assert left == []
    assert f"result: {saved} " in done.stdout
    assert f"{read_result(saved).scores.set_index('metric').loc['mae', 'value']:.3f}" in done.stdout


@pytest.mark.skipif(not CAN_MOUNT, reason="needs permission to mount a file system")
def test_an_earlier_result_stays_where_the_disk_has_no_room_for_another(tmp_path: Path) -> None:
    for folder in ("results", "temporary"):
        (tmp_path / folder).mkdir()
    one = f"{NNDYNBENCH} {' '.join(EVALUATE)}"
    another = one.replace("evaluate constant", "evaluate learning-rate").replace("--budgets 1", "--budgets 2")
    fill = "mv results/constant.digits-lenet.regression-folds.json results/learning-rate.digits-lenet.regression-folds.json"
    measure = "cat results/learning-rate.digits-lenet.regression-folds.json | md5sum >> sums"
    script = f"{one} && {fill} && rm results/*.png && {measure}; head -c 1M /dev/zero > results/fill; {another}; {measure}"
    done = shell(SMALL_DISK.format("200k", script), cwd=tmp_path, TMPDIR=str(tmp_path / "temporary"))
    before, after = (tmp_path / "sums").read_text().splitlines()
    assert before == after, done.stderr
    [saved] = (tmp_path / "temporary").glob("learning-rate.*.json")
    assert set(read_result(saved).scores["budget"]) == {2}


def test_scores_are_shown_also_where_the_result_can_be_written_nowhere(tmp_path: Path) -> None:
    done = shell(f"ulimit -f 4; {NNDYNBENCH} {' '.join(EVALUATE)}", cwd=tmp_path)
    assert done.returncode == 2
    assert "the bar's R²" in done.stdout
    assert done.stderr.startswith(
        "error: the result could not be written anywhere, so the output above is all that is left of it: [Errno 27]"
    )


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
    """The processes of a group that are still running."""
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
    # If a shell has put the tests into the background, they ignore Ctrl-C, and so would what they start.
    ended = subprocess.Popen(
        [*command, *arguments], cwd=tmp_path, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    try:
        wait_until(lambda: len(list(tmp_path.glob("*.started"))) == jobs)
        os.kill(ended.pid, number)
        statuses = {signal.SIGINT: (1, 130)}.get(number, (-number,))  # depends on typer's version
        assert ended.wait(PATIENCE_SECONDS) in statuses
        wait_until(lambda: not group_members(ended.pid))
    finally:
        for pid in group_members(ended.pid):
            os.kill(pid, signal.SIGKILL)


def test_what_evaluate_saved_is_what_it_printed(tmp_path: Path) -> None:
    done = shell(f"{NNDYNBENCH} {' '.join(EVALUATE)}", cwd=tmp_path)
    scores = read_result(tmp_path / "results" / "constant.digits-lenet.regression-folds.json").scores.set_index("metric")
    assert f"{scores.loc['mae', 'value']:.3f}" in done.stdout
