"""What the command line tells: version, help, methods, protocols, a check, citations, and which subsets are not at hand."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

import nndynbench as nb
from nndynbench.cli import app
from nndynbench.protocols import methods, protocols
from nndynbench.subsets import catalogue_entry


def output(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == 0, done.output
    return done.output


def test_the_version_is_the_installed_one() -> None:
    assert output("--version").strip() == f"nndynbench {version('nndynbench')}"


@pytest.mark.parametrize("command", [[], ["evaluate"], ["reproduce"], ["reproduce", "claims"]], ids=" ".join)
def test_h_is_help_everywhere(command: list[str]) -> None:
    assert output(*command, "-h") == output(*command, "--help")


def test_methods_are_listed_with_what_they_look_at_and_do() -> None:
    said = output("methods")
    for name, row in methods().iterrows():
        line = next(line for line in said.splitlines() if line.split()[1:2] == [name])
        assert row["tasks"] in line
        assert (row["reads"] or "nothing") in line


def test_the_methods_of_a_file_are_listed(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "import nndynbench as nb\nfrom sklearn.dummy import DummyRegressor\n"
        'METHODS = {"mine": nb.Method(description="[a] mean", source="", reads=(), regressor=DummyRegressor())}\n'
    )
    said = output("methods", str(file))
    assert "[a] mean" in said
    assert re.search(r"mine .* nothing .* regression", said)


def test_protocols_are_listed_with_their_metrics() -> None:
    said = output("protocols")
    for name, protocol in protocols().items():
        line = next(line for line in said.splitlines() if line.split()[1:2] == [name])
        assert ", ".join(protocol.metrics) in line


def test_check_says_what_a_method_did() -> None:
    assert re.match(
        r"constant: fits, predicts and predicts the same again; .* looked at nothing", output("check", "constant")
    )
    assert "remark reads nothing of any network" in output("check", "constant")
    assert "remark" not in output("check", "degree-linear")
    assert "tasks regression" in output("check", "degree-linear", "--budgets", "1,3")


def test_check_of_a_file_says_what_comes_next_and_how_long_it_takes(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "import nndynbench as nb\nfrom sklearn.linear_model import Ridge\nfrom sklearn.pipeline import make_pipeline\n"
        "own = make_pipeline(nb.Signature('degree'), Ridge())\n"
        'METHODS = {"mine": nb.Method(description="", source="", reads={"weights"}, regressor=own)}\n'
    )
    said = output("check", str(file))
    assert f"next: nndynbench evaluate {file} --subset digits-lenet" in said
    assert re.search(r"\((about \d+|a few) seconds or more: here a fit on 60 networks took", said)


def test_cite_prints_package_version_and_paper(digits: nb.Subset) -> None:
    said = output("cite", "digits-lenet")
    keys = re.findall(r"^@\w+\{(.+),$", said, flags=re.MULTILINE)
    assert keys == ["nndynbench", f"nndynbench-digits-lenet-{digits.version}", "vahedian2021convolutional"]
    assert said.count("{") == said.count("}")


def test_cite_without_a_subset_prints_package_and_paper() -> None:
    assert re.findall(r"^@", output("cite"), flags=re.MULTILINE) == ["@", "@"]


@pytest.mark.usefixtures("nothing_bundled")
def test_a_subset_that_is_not_at_hand_shows_its_facts_the_papers_ranges_and_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NNDYNBENCH_OFFLINE", "1")
    said = output("info", "cifar10-resnet44")
    entry = catalogue_entry("cifar10-resnet44")
    for fact in (entry.summary, entry.grid, "not at hand", "16 to 120", "9.9 to 89.8%", "40%"):
        assert fact in said
    assert "python -m generation train cifar10-resnet44" in said
    assert "python -m generation plan cifar10-resnet44" in said
