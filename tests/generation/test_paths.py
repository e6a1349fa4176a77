"""Every option of generation that takes a path takes the path that the user means: in the home folder, relative, or with
any characters.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest.importorskip("torch")

from typer.testing import CliRunner

import nndynbench as nb
from generation.cli import app
from generation.grids import read_grid
from generation.images import load_images
from generation.plan import begun_plan, subset_plan
from nndynbench.storage.places import bundled_folder
from tests.generation.small_runs import write_grid

# All oddities in one path; tests/test_paths.py tests each by itself.
FOLDERS = ["~/größe 测试 drive:a 100%d/../done :x: [red]"]


@pytest.fixture(params=FOLDERS)
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder as a user names it; the current folder is empty."""
    (tmp_path / "here").mkdir()
    (tmp_path / "home" / "größe 测试 drive:a 100%d").mkdir(parents=True)  # ".." leads out of a folder that exists
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return str(request.param)


@pytest.fixture
def meant(folder: str, tmp_path: Path) -> Path:
    """The path that the user means by it."""
    return Path(os.path.abspath(tmp_path / ("home" if folder.startswith("~/") else "here") / folder.removeprefix("~/")))


def told(*arguments: str) -> str:
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return " ".join(done.output.split())


def test_a_subset_is_trained_packed_and_carried_where_the_paths_say(folder: str, meant: Path) -> None:
    write_grid(meant / "my grid.toml", epochs=1)
    grid, zoo, again = f"{folder}/my grid.toml", f"{folder}/zoo", f"{folder}/again"
    assert "; networks: 2" in told("plan", "digits-lenet", "--grid", grid, "--no-costs")
    train = ("train", "digits-lenet", "--grid", grid, "--workers", "1", "--keep", "1")
    assert "2 of 2 networks" in told(*train, "--out", zoo)
    assert nb.load("digits-lenet", root=meant / "zoo").manifest.grid == "my grid"
    assert "2 of 2 networks trained" in told("status", "digits-lenet", "--out", zoo)
    assert "packed" in told("pack", "digits-lenet", "--out", zoo, "--version", "1.0.1")
    assert (meant / "zoo/digits-lenet/1.0.1/subset.json").is_file()
    assert "2 of 2 networks are identical" in told(
        "retrain", "digits-lenet", "--root", zoo, "--workers", "1", "--sample", "2"
    )
    told("tier", "digits-lenet", "--root", zoo, "--out", f"{folder}/tier", "--epochs", "1", "--workers", "1")
    assert (meant / "tier/digits-lenet/1.0.1/graphs.h5").is_file()
    assert "runs: 2; 2 of 2 are trained now" in told(
        "restore", "digits-lenet", "--root", zoo, "--out", again, "--grid", grid
    )
    assert begun_plan("digits-lenet", meant / "again").finished([0, 1]) == [0, 1]
    told("cut", f"{zoo}/images", "--into", f"{folder}/parts", "--megabytes", "0.1")
    told("join", f"{folder}/parts", "--into", f"{folder}/joined")
    assert {path.name for path in (meant / "joined/images").iterdir()} == {
        path.name for path in (meant / "zoo/images").iterdir()
    }
    told("card", zoo, "--out", f"{folder}/CARD.md")
    assert (meant / "CARD.md").is_file()
    (meant / "queue.toml").write_text('[[zoos]]\nsubset = "digits-lenet"\n', encoding="utf-8")
    assert "2 of 2" in told("queue", "--queue", f"{folder}/queue.toml", "--out", zoo, "--show")


def test_what_is_published_is_looked_for_where_the_path_says(
    folder: str, meant: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("huggingface_hub")
    monkeypatch.setattr("generation.publish.published_versions", lambda *_, **__: {})
    meant.parent.mkdir(parents=True, exist_ok=True)
    meant.symlink_to(bundled_folder(), target_is_directory=True)
    assert "would publish" in told("publish", folder, "--repo", "somebody/zoo", "--dry-run")


def test_functions_read_and_write_where_the_path_says(folder: str, meant: Path) -> None:
    write_grid(meant / "small.toml", epochs=1)
    assert len(read_grid(f"{folder}/small.toml").networks) == 2
    images = load_images("digits", cache=Path(folder))
    assert (meant / "digits").is_dir()
    made = subset_plan("digits-lenet", Path(folder), grid=f"{folder}/small.toml")
    made.bind(images)
    assert begun_plan("digits-lenet", meant).order == made.order
