"""The tests that .ci/run skips are listed with the reason; a test that is skipped for another reason fails there."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.skips import COMPLETE, LISTED, LOWEST, allowed, judge

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CI = (ROOT / ".ci" / "run").read_text(encoding="utf-8")

# Reasons for which .ci/run skips no test: it installs the browser and what drives it.
FAILS_THERE = {
    "no Chromium is installed: apt-get install chromium",
    "needs playwright, from the extra test",
    "needs axe-playwright-python",
}


def skipped(reason: str) -> pytest.TestReport:
    return pytest.TestReport("a test", ("", 0, ""), {}, "skipped", ("file", 1, f"Skipped: {reason}"), "call")


@pytest.mark.parametrize("where", [COMPLETE, LOWEST])
def test_a_skip_for_a_listed_reason_is_one(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNDYNBENCH_SKIPS", where)
    report = skipped("runs for minutes: set NNDYNBENCH_SLOW=1")
    judge(report)
    assert report.outcome == "skipped"


@pytest.mark.parametrize("reason", [*sorted(FAILS_THERE), "could not import 'torch': No module named 'torch'", "not today"])
def test_a_skip_for_another_reason_is_a_failure_there(reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    report = skipped(reason)
    monkeypatch.delenv("NNDYNBENCH_SKIPS", raising=False)
    judge(report)
    assert report.outcome == "skipped"
    monkeypatch.setenv("NNDYNBENCH_SKIPS", COMPLETE)
    judge(report)
    assert report.outcome == "failed"
    assert reason in str(report.longrepr)


def test_the_lowest_environment_lacks_torch_and_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNDYNBENCH_SKIPS", LOWEST)
    report = skipped("could not import 'torch': No module named 'torch'")
    judge(report)
    assert report.outcome == "skipped"


def reasons() -> Iterator[str]:
    """Every reason that the tests give for a skip, with "…" for what is filled in. Missing packages have pytest's reason."""
    for file in (ROOT / "tests").rglob("*.py"):
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            name = ast.unparse(call.func) if isinstance(call, ast.Call) else ""
            if name not in ("pytest.skip", "pytest.mark.skip", "pytest.mark.skipif", "pytest.importorskip"):
                continue
            keywords = {keyword.arg: keyword.value for keyword in call.keywords}
            if name == "pytest.importorskip" and "reason" not in keywords:
                continue
            reason = keywords.get("reason") or (call.args[0] if name == "pytest.skip" else None)
            if isinstance(reason, ast.JoinedStr):
                yield "".join(part.value if isinstance(part, ast.Constant) else "…" for part in reason.values)
            else:
                yield ast.literal_eval(reason)


def test_the_list_is_what_the_tests_say() -> None:
    written = set(reasons()) - FAILS_THERE
    patterns = allowed(LOWEST)
    assert [reason for reason in written if not any(re.fullmatch(pattern, reason) for pattern in patterns)] == []
    own = [pattern for pattern in patterns if not pattern.startswith("could not import")]
    assert [pattern for pattern in own if not any(re.fullmatch(pattern, reason) for reason in written)] == []


def test_ci_runs_both_environments_with_the_list() -> None:
    assert re.findall(r"NNDYNBENCH_SKIPS=(\w+)", CI) == [COMPLETE, LOWEST]
    assert LISTED.keys() == {COMPLETE, LOWEST}


def test_the_lowest_environment_has_the_lowest_declared_versions() -> None:
    lines = (ROOT / "constraints-lowest.txt").read_text(encoding="utf-8").splitlines()
    pinned = dict(line.split("==") for line in lines if not line.startswith("#"))
    pinned = {canonicalize_name(name): Version(version) for name, version in pinned.items()}
    for requirement in map(Requirement, PROJECT["dependencies"]):
        [bound] = [Version(part.version) for part in requirement.specifier if part.operator == ">="]
        lowest = pinned[canonicalize_name(requirement.name)]
        assert lowest.release[: len(bound.release)] == bound.release, f"{requirement} but {lowest}"
        assert lowest in requirement.specifier
