"""A method's name belongs to whoever submitted it first: all its files have the same authors and the same code."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from leaderboard.__main__ import app
from leaderboard.check import SUBMISSIONS, Refusal, check
from leaderboard.facts import board_facts

NAMES = ("digits-lenet.regression-folds.json", "digits-lenet.classification.json", "digits-lenet.regression.json")
MADE_FROM = dict(zip(NAMES, ("training-loss", "training-loss", "degree-linear"), strict=True))

Submit = Callable[..., Path]


@pytest.fixture
def submit(submissions: Path) -> Submit:
    """Writes a file of the method ada-net, with the given facts."""

    def write(name: str, method: str = "ada-net", author: str = "Ada", code: str = "https://example.org/ada") -> Path:
        facts = json.loads((submissions / MADE_FROM[name] / name).read_text())
        path = submissions / method / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({**facts, "method": method, "authors": [author], "code": code}))
        return path

    return write


def refused(*files: Path, folder: Path | None = None) -> list[str]:
    """What the check of some files says of those that it refuses."""
    options = ["--submissions", str(folder), "--bundled"] if folder else []
    done = CliRunner(env={"COLUMNS": "4000"}).invoke(app, ["check", *map(str, files), *options])
    lines = [line for line in done.stdout.splitlines() if line.startswith("refused")]
    assert done.exit_code == bool(lines)
    return lines


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"author": "Mallory"}, "authors in digits-lenet.regression-folds.json (Ada)"),
        ({"code": "https://example.org/mallory"}, "code in digits-lenet.regression-folds.json (https://example.org/ada)"),
    ],
)
def test_nobody_adds_a_file_to_another_authors_method(other: dict[str, str], reason: str, submit: Submit) -> None:
    submit(NAMES[0])
    # Two files of a stranger are no majority beside one that is on the board.
    added = [submit(name, **other) for name in NAMES[1:]]
    lines = refused(*added)
    assert [
        f"{path}: method: ada-net has other {reason}: choose another name" in line
        for path, line in zip(added, lines, strict=True)
    ] == [True, True]


def test_nobody_replaces_one_of_several_files_of_another_author(submit: Submit) -> None:
    for name in NAMES:
        submit(name)
    assert len(refused(submit(NAMES[0], author="Mallory"))) == 1


def test_authors_add_files_and_change_all_of_their_own_alike(submit: Submit) -> None:
    submit(NAMES[0])
    assert refused(submit(NAMES[1])) == []
    assert refused(*(submit(name, author="Ada and Grace", code="https://example.org/new") for name in NAMES[:2])) == []


def test_of_all_files_those_are_refused_that_differ_from_most(submit: Submit, submissions: Path) -> None:
    submit(NAMES[0])
    stranger = submit(NAMES[1], author="Mallory")
    lines = refused(folder=submissions)
    assert len(lines) == 2, "neither of two is the majority"
    submit(NAMES[2])
    [line] = refused(folder=submissions)
    assert f"{stranger}: method: ada-net has other authors in" in line


def test_a_file_that_is_refused_for_another_reason_owns_no_name(submit: Submit) -> None:
    good, bad = submit(NAMES[0]), submit(NAMES[1], author="Mallory")
    bad.write_text(bad.read_text().replace('"format": 1', '"format": 2'))
    [line] = refused(good, bad)
    assert f"{bad}: format" in line
    assert refused(good) == []


def test_nobody_takes_the_name_of_a_method_that_was_withdrawn(submit: Submit, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = replace(board_facts(), withdrawn={"ada-net": "2026-11-30, at its author's wish"})
    monkeypatch.setattr("leaderboard.authors.board_facts", lambda: facts)
    for name in ("ada-net", "ada_net"):
        [line] = refused(submit(NAMES[0], method=name))
        assert "method: ada-net was withdrawn (2026-11-30, at its author's wish): choose another name" in line
    assert refused(submit(NAMES[0], method="grace-net")) == []


def test_the_files_of_every_method_on_the_board_have_one_origin() -> None:
    origins = defaultdict(set)
    for path in SUBMISSIONS.glob("*/*.json"):
        facts = json.loads(path.read_text(encoding="utf-8"))
        origins[facts["method"]].add((*facts["authors"], facts["code"]))
    assert set(origins) >= {"bar", "norms"}
    assert {method: found for method, found in origins.items() if len(found) > 1} == {}


@pytest.mark.parametrize("name", ["con", "nul", "com1"])
def test_no_method_has_a_name_that_windows_takes_for_a_device(name: str, submit: Submit) -> None:
    outcome = check(submit(NAMES[0], method=name))
    assert isinstance(outcome, Refusal)
    assert (outcome.field, "Windows treats this one as a device" in outcome.reason) == ("method", True)
    assert not isinstance(check(submit(NAMES[0], method=f"{name}structor")), Refusal)
