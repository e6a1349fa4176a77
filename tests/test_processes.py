"""A worker process ends with the process that started it, however that one ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.patience import PATIENCE_SECONDS

STARTS = """
import sys
import time
from multiprocessing import get_context

import joblib

import works

if __name__ == "__main__":
    get_context(sys.argv[1]).Process(target=works.work).start()
    time.sleep(600)
"""

WORKS = """
import time
from nndynbench.processes import end_with_parent

def work():
    end_with_parent()
    print("works", flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("start", ["spawn", "loky"])  # one is handed a sentinel, as both are on Windows, the other none
def test_a_worker_ends_when_its_parent_is_killed(start: str, tmp_path: Path) -> None:
    (tmp_path / "starts.py").write_text(STARTS)
    (tmp_path / "works.py").write_text(WORKS)
    parent = subprocess.Popen([sys.executable, "starts.py", start], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    assert parent.stdout.readline() == "works\n"
    parent.kill()
    assert parent.communicate(timeout=PATIENCE_SECONDS)[0] == ""  # which ends with the last process that may print
