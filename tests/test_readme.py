"""Every snippet of the README runs. Its two commands for a fresh machine are run by .ci/run itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def snippets(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def shell_commands() -> list[str]:
    blocks = [block for block in snippets("sh") if "venv" not in block]
    return [line for block in blocks for line in block.strip().splitlines()]


def test_it_has_one_command_to_score_and_one_to_test() -> None:
    assert [block.startswith("python3 -m venv") for block in snippets("sh")] == [True, True, False]
    assert re.findall(r"<!-- command: (\w+) -->", README) == ["score", "test"]


@pytest.mark.parametrize("snippet", snippets("python"), ids=["load", "own-method"])
def test_a_python_snippet_runs_as_it_is(snippet: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(snippet, "README.md", "exec"), {"__name__": "__main__"})


def test_the_own_method_of_the_readme_takes_15_lines() -> None:
    [_, own] = snippets("python")
    body = [line for line in own.splitlines() if line.strip()]
    assert len(body) <= 15


def test_the_shell_snippets_run_in_order(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for command in shell_commands():
        assert command.startswith("python -m generation ")
        arguments = [sys.executable, *command.split()[1:]]
        done = subprocess.run(arguments, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "zoo" / "digits-lenet").is_dir()


def test_every_linked_file_exists() -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]+)\)", README)
    assert links
    for link in links:
        assert (ROOT / link).exists(), link
