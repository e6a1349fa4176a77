"""The way of a newcomer, in a virtual environment with only the built package and without a network: the README's file of 15
lines with one function is checked, scored beside the bar, compared and submitted, and becomes a row on the built page.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import nndynbench as nb

ROOT = Path(__file__).parents[2]
README, GUIDE = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/submitting.md"))
FOLDS = "regression-folds"


def has_every_graph(name: str) -> bool:
    manifest = nb.load(name).manifest
    tiers = [manifest.tiers[tier] for tier in ("graphs", "weights") if tier in manifest.tiers]
    return any(tier.networks == manifest.networks for tier in tiers)


# The subsets that anybody may submit to.
OPEN = [name for name in ("digits-lenet", "cifar10-lenet-diverse") if has_every_graph(name)]

NO_NETWORK = """
import socket

def refused(*_, **__):
    raise OSError("there is no network")

socket.getaddrinfo = socket.create_connection = refused
connect = socket.socket.connect
socket.socket.connect = lambda self, to: connect(self, to) if self.family == socket.AF_UNIX else refused()
"""


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what a clone has besides the package."""
    folder = tmp_path_factory.mktemp("clone")
    shutil.copytree(ROOT / "leaderboard", folder / "leaderboard", ignore=shutil.ignore_patterns("__pycache__"))
    _, method = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    (folder / "edge_entropy.py").write_text(method, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, clone: Path) -> Callable[..., str]:
    """Run a command as it stands in a document: in the clone, with the built package, libraries, and nothing else."""
    folder = tmp_path_factory.mktemp("environment")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    venv.create(folder / "venv", with_pip=False)
    [packages] = (folder / "venv").glob("lib/python*/site-packages")
    [wheel] = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(packages)
    libraries = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    (packages / "libraries.pth").write_text("\n".join(libraries), encoding="utf-8")
    (packages / "sitecustomize.py").write_text(NO_NETWORK, encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NNDYNBENCH", "PYTHON", "COV_"))}
    environment = {**kept, "HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache")}

    def run(command: str) -> str:
        program, *arguments = shlex.split(command)
        module = ["-m", program] if program == "nndynbench" else []
        whole = [folder / "venv" / "bin" / "python", *module, *arguments]
        done = subprocess.run(whole, cwd=clone, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "arning" not in done.stderr, done.stderr
        return done.stdout

    return run


def commands(document: str, language: str) -> list[str]:
    blocks = re.findall(rf"```{language}\n(.*?)```", document, flags=re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def test_the_package_is_the_built_one_and_finds_no_network(run: Callable[..., str]) -> None:
    where = run("python -c 'import nndynbench; print(nndynbench.__file__)'").strip()
    assert "site-packages" in where
    assert str(ROOT) not in where
    reached = 'import urllib.request as r\ntry: r.urlopen("https://example.org")\nexcept OSError as e: print(e)'
    assert "there is no network" in run(f"python -c '{reached}'")


def test_a_function_of_a_graph_becomes_a_row(run: Callable[..., str], clone: Path) -> None:
    check, evaluate = commands(README, "bash")
    assert "looked at weights" in run(check)
    again, submit, build = commands(GUIDE, "sh")
    assert again == evaluate
    assert "digits-lenet" in OPEN
    for subset in OPEN:
        printed = run(evaluate.replace("digits-lenet", subset))
        for words in (f"edge-entropy on {subset}", "the bar's R²", "gain over the bar", "added to the bar's R²"):
            assert words in printed
        assert "no bar is stored" not in printed
        assert "pull request" in run(submit.replace("digits-lenet", subset))
    compared = run("nndynbench compare --method edge_entropy.py --subset digits-lenet --budgets 5 --jobs 1")
    assert re.search(r"\bbar\b.*edge-entropy", compared, flags=re.DOTALL)
    run(build)
    for subset in OPEN:
        view = (clone / "site" / "data" / f"{subset}.{FOLDS}.js").read_text(encoding="utf-8")
        facts = json.loads(view.removeprefix("window.receiveView(").rstrip().removesuffix(");"))
        [row] = [entry for entry in facts["entries"] if entry["method"] == "edge-entropy"]
        assert row["reads"] == ["weights"]
        assert not row.get("draft")
        claimed = json.loads((clone / "leaderboard" / "submissions" / "edge-entropy" / f"{subset}.{FOLDS}.json").read_text())
        [r2] = [score["value"] for score in claimed["scores"] if (score["budget"], score["metric"]) == (5, "r2")]
        assert row["scores"]["5"]["r2"][0] == pytest.approx(r2, abs=1e-6)
