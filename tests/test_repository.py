"""How the project is kept: workflows and issue forms are valid, and CONTRIBUTING.md names what exists."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted(path for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("vendor.github-workflows", WORKFLOWS),
        ("vendor.github-issue-forms", FORMS),
        ("vendor.github-issue-config", [ROOT / ".github" / "ISSUE_TEMPLATE" / "config.yml"]),
    ],
)
def test_it_is_valid_by_its_schema(schema: str, files: list[Path]) -> None:
    pytest.importorskip("check_jsonschema")
    assert files
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def steps(workflow: Path) -> list[dict[str, Any]]:
    jobs = yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"]
    return [step for job in jobs.values() for step in job["steps"]]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_a_job_may_read_unless_it_says_more_and_ends_by_itself(workflow: Path) -> None:
    content = yaml.safe_load(workflow.read_text(encoding="utf-8"))
    assert content["permissions"] == {"contents": "read"}
    assert all("timeout-minutes" in job for job in content["jobs"].values())


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_run_what_is_in_the_repository(workflow: Path) -> None:
    text = workflow.read_text(encoding="utf-8")
    for extras in re.findall(r'-e "\.\[([\w,]+)\]"', text):
        declared = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
        assert all(re.search(rf"^{extra} = \[", declared, flags=re.MULTILINE) for extra in extras.split(","))
    for constraints in re.findall(r"-c (constraints[\w-]*\.txt)", text):
        assert (ROOT / constraints).is_file()
    for folder in re.findall(r"--ignore=(\S+)", text):
        assert (ROOT / folder).is_dir()


def test_every_workflow_is_explained_and_no_badge_says_that_one_passes() -> None:
    for workflow in WORKFLOWS:
        assert f"`{workflow.name}`" in CONTRIBUTING
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "badge" not in readme


def test_nothing_is_tracked_that_git_is_told_to_ignore() -> None:
    """Commands believe what they find in results/, such as kept scores: nothing there may come from a pull request."""
    if not (ROOT / ".git").exists():
        pytest.skip("a shallow clone or an archive has no history to look into")
    listed = ["git", "ls-files", "--cached", "--ignored", "--exclude-per-directory=.gitignore"]
    assert subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout == ""


def test_every_path_that_contributing_names_exists() -> None:
    named = set(re.findall(r"`((?:nndynbench|generation|baselines|tests|docs|\.github|\.ci)/[\w./-]*)`", CONTRIBUTING))
    assert len(named) > 20
    assert sorted(path for path in named if not (ROOT / path).exists()) == []


def test_every_commit_that_contributing_names_is_one() -> None:
    named = re.findall(r"\| `([0-9a-f]{7})` \|", CONTRIBUTING)
    assert len(named) == 10
    git = ["git", "-C", str(ROOT)]
    if subprocess.run([*git, "rev-parse", "--is-shallow-repository"], capture_output=True, text=True).stdout != "false\n":
        pytest.skip("a shallow clone or an archive has no history to look into")
    unknown = [c for c in named if subprocess.run([*git, "cat-file", "-e", c], capture_output=True).returncode]
    assert unknown == []


def test_line_ends_stay_as_they_are_on_every_system() -> None:
    """Submissions and packs are known by their SHA-256; git for Windows would write them with other line ends."""
    named = "leaderboard/submissions/bar/digits-lenet.regression.json"
    git = ["git", "-C", str(ROOT), "check-attr", "text", "--", named]
    if not (ROOT / ".git").exists():
        pytest.skip("an archive has no attributes of files")
    assert subprocess.run(git, capture_output=True, text=True, check=True).stdout == f"{named}: text: unset\n"
