"""A library, a GPU or images that are missing: one line, at once, that names the remedy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXTRAS = {"generation": ["torch", "torchvision", "datasets"], "leaderboard": ["jinja2", "vl_convert"], "cluster": ["ray"]}


def told(*command: str, without: list[str] = [], folder: Path, **environment: str) -> str:  # noqa: B006
    """The one line with which a command fails in an environment without some libraries."""
    (folder / "sitecustomize.py").write_text(f"import sys\nsys.modules.update(dict.fromkeys({without!r}))\n")
    places = os.pathsep.join([str(folder), str(ROOT)])
    whole = {**os.environ, "PYTHONPATH": places, **environment}
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, env=whole, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        (["generation", "train", "digits-lenet", "--out", "zoo"], "generation"),
        (["generation", "--help"], "generation"),
        (["leaderboard", "build", "--out", "site"], "leaderboard"),
    ],
)
def test_with_the_core_alone_the_missing_extra_is_named(command: list[str], extra: str, tmp_path: Path) -> None:
    missing = [module for modules in EXTRAS.values() for module in modules]
    said = told(*command, without=missing, folder=tmp_path)
    assert f"is not installed; it comes with the extra {extra}: pip install 'nndynbench[{extra}]'" in said


def test_a_gpu_that_is_not_there_is_said_at_once(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    train = ["generation", "train", "digits-lenet", "--out", "zoo", "--device"]
    said = told(*train, "cuda", folder=tmp_path, CUDA_VISIBLE_DEVICES="")
    assert said.startswith("error: --device cuda: there is no GPU here")
    assert "leave --device out" in said
    assert "error: --device gpu: torch has no such device here" in told(*train, "gpu", folder=tmp_path)
    assert not (tmp_path / "zoo").exists()


@pytest.mark.parametrize("where", [{"NNDYNBENCH_IMAGES": "/nowhere"}, {"NNDYNBENCH_IMAGES": "", "HF_HUB_OFFLINE": "1"}])
def test_images_that_are_not_there_are_named_with_where_they_may_be(where: dict[str, str], tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("datasets")
    own = {"HF_HOME": str(tmp_path / "hub"), **where}
    said = told("generation", "train", "cifar10-lenet", "--out", "zoo", folder=tmp_path, **own)
    assert said.startswith("error: ")
    assert "give their folder with --images, or set NNDYNBENCH_IMAGES to one that holds cifar10/ and tiny-imagenet/" in said


@pytest.mark.parametrize(
    "command",
    [
        ["nndynbench", "evaluate", "constant", "--subset", "digits-lenet", "--root", ""],
        ["nndynbench", "evaluate", "constant", "--subset="],
        ["nndynbench", "reproduce", "table2", "--out", ""],
        ["generation", "plan", "digits-lenet", "--grid", ""],
        ["leaderboard", "build", "--out", ""],
    ],
)
def test_an_empty_value_is_refused_and_not_taken_for_the_current_folder(command: list[str], tmp_path: Path) -> None:
    if command[0] == "generation":
        pytest.importorskip("torch")
    option = [part for part in command if part.startswith("--")][-1].removesuffix("=")
    assert told(*command, folder=tmp_path).startswith(f"error: {option} is empty: give a value, or leave it out")


def test_an_empty_grid_is_said_at_once(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (tmp_path / "none.toml").write_text('regime = "full"\n[product]\nlearning_rate = []\ndropout = [0.0]\n')
    said = told("generation", "train", "digits-lenet", "--out", "zoo", "--grid", "none.toml", folder=tmp_path)
    assert said.startswith("error: grid 'none' has no networks: [product] has no values for learning_rate; give ")
    (tmp_path / "queue.toml").write_text("")
    said = told("generation", "queue", "--out", "zoo", "--queue", "queue.toml", folder=tmp_path)
    assert said.startswith("error: queue.toml has no zoos: add a section [[zoos]] for each, with subset")


def test_no_subset_with_the_networks_that_a_protocol_needs_is_said_at_once(tmp_path: Path) -> None:
    said = told("nndynbench", "compare", "--root", "nowhere", folder=tmp_path)
    assert said.startswith("error: no subset at hand has the networks for regression-folds: name one with --subset")
