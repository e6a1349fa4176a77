"""Skips that are failures: if `NNDYNBENCH_SKIPS` is set, a test may be skipped for the reasons in skips.toml only."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

import pytest

LISTED = tomllib.loads((Path(__file__).parent / "skips.toml").read_text(encoding="utf-8"))
COMPLETE, LOWEST = "complete", "lowest"


def allowed(where: str) -> list[str]:
    """The reasons for which tests are skipped in the "complete" or the "lowest" environment, as regular expressions."""
    return LISTED[COMPLETE] if where == COMPLETE else [*LISTED[COMPLETE], *LISTED[LOWEST]]


def judge(report: pytest.TestReport | pytest.CollectReport) -> None:
    """If ``NNDYNBENCH_SKIPS`` names an environment, make a skip for a reason that is not listed a failure."""
    where = os.environ.get("NNDYNBENCH_SKIPS")
    if not where or report.outcome != "skipped" or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    reason = reason.removeprefix("Skipped: ")
    if not any(re.fullmatch(pattern, reason, flags=re.DOTALL) for pattern in allowed(where)):
        report.outcome = "failed"
        report.longrepr = f"skipped for a reason that tests/skips.toml does not list: {reason}"
