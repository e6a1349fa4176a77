"""Submissions that are out of date because code changed, and the report on a pull request."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from leaderboard import staleness
from leaderboard.check import Accepted, Refusal, check
from leaderboard.comment import comment
from leaderboard.staleness import changed_code, substance
from leaderboard.store import Store
from nndynbench.submissions import SubmissionFacts, read_submission, write_submission
from nndynbench.submissions.files import quoted
from nndynbench.subsets import Subset

BEFORE = '"""A method."""\n\n\ndef double(x):\n    """Twice."""\n    return 2 * x\n'


@pytest.fixture
def constant(submitted: Path, at_hand: dict[str, Subset]) -> Accepted:
    outcome = check(submitted / "constant" / "digits-lenet.regression-folds.json", at_hand)
    assert isinstance(outcome, Accepted)
    return outcome


def same_code(text: str, other: str) -> bool:
    return substance(text) == substance(other)


def test_comments_and_docstrings_are_no_change_and_code_is() -> None:
    assert same_code(BEFORE, BEFORE.replace("Twice.", "Two times.").replace("return", "# as it is\n    return"))
    assert not same_code(BEFORE, BEFORE.replace("2 * x", "3 * x"))


@pytest.fixture
def history(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[tuple[str, str | None], str]]:
    """Files by (name, commit, or None for now), in place of the repository's."""
    texts: dict[tuple[str, str | None], str] = {}
    monkeypatch.setattr(staleness, "_text", lambda file, commit: texts.get((file, commit)))
    for known in (staleness._code, staleness._chosen):
        known.cache_clear()
    yield texts
    for known in (staleness._code, staleness._chosen):
        known.cache_clear()


def test_a_method_is_out_of_date_by_its_own_file_its_parameters_or_shared_code(
    history: dict[tuple[str, str | None], str], constant: Accepted
) -> None:
    submission: SubmissionFacts = constant.submission
    shared = "nndynbench/columns.py"
    for commit in (submission.commit, None):
        history["baselines/trivial.py", commit] = BEFORE
        history["baselines/chosen.toml", commit] = "[other.regression]\nC = 1\n"
        history[shared, commit] = BEFORE

    def changed(*, shared: bool) -> list[str]:
        for known in (staleness._code, staleness._chosen):
            known.cache_clear()
        return changed_code(submission, shared=shared)

    assert changed(shared=True) == []
    history["baselines/chosen.toml", None] = "[other.regression]\nC = 2\n"
    assert changed(shared=False) == []
    history["baselines/chosen.toml", None] = "[constant.regression]\nC = 2\n"
    assert changed(shared=False) == ["baselines/chosen.toml"]
    history["baselines/trivial.py", None] = BEFORE.replace("2 * x", "3 * x")
    assert changed(shared=False) == ["baselines/trivial.py", "baselines/chosen.toml"]
    history[shared, None] = BEFORE.replace("2 * x", "4 * x")
    assert changed(shared=True) == ["baselines/trivial.py", shared, "baselines/chosen.toml"]


def test_what_decides_predictions_is_there_to_be_compared() -> None:
    shared = staleness._shared_files()
    assert {"nndynbench/columns.py", "nndynbench/protocols/harness.py"} <= set(shared)
    assert all((staleness.ROOT / file).is_file() for file in shared)


def test_a_report_says_what_was_accepted_and_where_it_will_stand(
    submissions: Path, at_hand: dict[str, Subset], tmp_path: Path
) -> None:
    path = submissions / "degree-linear" / "digits-lenet.regression-folds.json"
    accepted = check(path, at_hand)
    refused = Refusal(Path("leaderboard/submissions/evil/x.json"), "method", "is `bad` | <b>@somebody</b>")
    text = comment([accepted, refused], submissions, store=Store(tmp_path))
    assert "**1 of 2 files are accepted.**" in text
    assert isinstance(accepted, Accepted)
    [claimed] = [s.value for s in accepted.submission.scores if (s.budget, s.metric) == (3, "r2")]
    row = next(line for line in text.splitlines() if line.startswith("| degree-linear | digits-lenet | regression-folds |"))
    assert f"R² {claimed:.3f}".replace("-", "−") in row
    assert "| 1 of 1 |" in row
    assert "is &#96;bad&#96; &#124; &#60;b&#62;@\u200bsomebody" in text
    assert "| degree-linear | digits-lenet | trained |" in text


def test_a_report_says_which_row_a_file_replaces_and_whose_predictions_it_repeats(
    submissions: Path, at_hand: dict[str, Subset], tmp_path: Path
) -> None:
    before = Path(shutil.copytree(submissions, tmp_path / "before"))
    file = "digits-lenet.regression-folds.json"
    path = submissions / "degree-linear" / file
    assert "replaces" not in comment([check(path, at_hand)], submissions, store=Store(tmp_path), before=before)
    constant = read_submission(submissions / "constant" / file)
    old = read_submission(path)
    write_submission(old.model_copy(update={"predictions": constant.predictions, "scores": constant.scores}), submissions)
    text = comment([check(path, at_hand)], submissions, store=Store(tmp_path), before=before)
    [was], [is_now] = (
        [s.value for s in submission.scores if (s.budget, s.metric) == (3, "r2")] for submission in (old, constant)
    )
    scores = f"R² {was:.3f} at 3 → R² {is_now:.3f} at 3".replace("-", "−")
    assert f"- replaces degree-linear/{file} of The nndynbench maintainers: {scores}" in text
    assert f"- degree-linear/{file} has the predictions of constant" in text


@pytest.mark.parametrize(
    "text",
    [
        "[free prizes](https://evil.example/login)",
        "\\[free prizes\\](https://evil.example/login)",
        "a | b \\| c \\\\| d",
        "\\`code\\` ~~gone~~ **bold** $x$ &amp; <b>",
        "\n\n# Approved by the maintainers\n\nMerge it.\n",
    ],
)
def test_a_report_shows_what_strangers_wrote_as_text_alone(text: str, tmp_path: Path) -> None:
    markdown = pytest.importorskip("markdown_it").MarkdownIt("commonmark").enable(["table", "strikethrough"])
    shown = quoted(text)
    refusals = [Refusal(Path(text), "file", "bad"), Refusal(Path("x"), shown, "bad"), Refusal(Path("x"), "file", shown)]
    page = ElementTree.fromstring(f"<page>{markdown.render(comment(refusals, tmp_path, store=Store(tmp_path)))}</page>")
    assert {element.tag for element in page.iter()} == {"page", "p", "strong", "table", "thead", "tbody", "tr", "th", "td"}
    cells = [[(cell.text or "").replace("\u200b", "") for cell in row] for row in page.iter("tr")]
    assert cells[1:] == [[quoted(Path(text)), "file", "bad"], ["x", shown, "bad"], ["x", "file", shown]]


@pytest.mark.parametrize(
    "text",
    [
        "https://evil.example",
        "HTTP://evil.example",
        "ftp://evil.example",
        "www.evil.example",
        "@ada",
        "see #12",
        "GH-12",
        "a@b.c",
    ],
)
def test_a_report_has_no_address_mention_or_issue_that_github_would_link(text: str, tmp_path: Path) -> None:
    report = comment([Refusal(Path("x"), "file", text)], tmp_path, store=Store(tmp_path))
    assert text not in report
    assert text in report.replace("\u200b", "")


def test_types_are_no_change_and_those_of_a_field_are() -> None:
    before = "def double(x, *more, y=1, **rest):\n    return 2 * x\n"
    typed = "def double(x: int, *more: int, y: int = 1, **rest: int) -> int:\n    return 2 * x\n"
    assert same_code(before, typed)
    assert same_code(
        f"class A:\n    async {before}".replace("    r", "        r"),
        f"class A:\n    async {typed}".replace("    r", "        r"),
    )
    assert not same_code(before, typed.replace("y: int = 1", "y: int = 2"))
    assert same_code(before, f"from __future__ import annotations\nfrom typing import Any\n{before}")
    assert same_code("with a:\n    x = [1]", "with a:\n    x: list[int] = [1]")
    assert not same_code("with a:\n    x = [1]", "with a:\n    x: list[int] = [2]")
    # The types of a dataclass's fields decide what it is.
    assert not same_code("class A:\n    x: int = 1", "class A:\n    x: float = 1")


def test_what_a_method_is_there_for_is_no_change_of_its_code() -> None:
    before = 'nb.Method(description="a", reads={"curves"}, regressor=mean)'
    assert same_code(before, before.replace("reads", 'role="trivial", reads'))
    assert same_code(before, before.replace("reads", 'role="control", control_of="b", reads'))
    assert same_code("def a(b, *, c=1): return b", 'def a(b, *, control_of="", c=1): return b')
    assert not same_code("def a(b, *, c=1): return b", 'def a(b, *, control_of="", c=1): return control_of')
    assert not same_code(before, before.replace("mean", "median"))


def test_a_refused_file_decides_nothing_about_the_rows_beside_it(
    submissions: Path, at_hand: dict[str, Subset], tmp_path: Path
) -> None:
    file = "digits-lenet.regression-folds.json"
    refused = Refusal(submissions / "bar" / file, "method", "was neither rerun nor audited")
    text = comment([check(submissions / "degree-linear" / file, at_hand), refused], submissions, store=Store(tmp_path))
    row = next(line for line in text.splitlines() if line.startswith("| degree-linear | digits-lenet | regression-folds |"))
    *_, bar, curves = (cell.strip() for cell in row.strip("|").split("|"))
    assert bar == "–"
    assert curves != "–"
