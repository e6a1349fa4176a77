"""Long work tells how far it is: to a function, in a notebook, and in a pipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import nndynbench as nb
from nndynbench import progress


def test_a_function_is_told_after_each_fit(digits: nb.Subset) -> None:
    told: list[tuple[int, int]] = []
    nb.evaluate("constant", digits, protocol="regression-folds", budgets=1, progress=lambda *at: told.append(at))
    assert told == [(done, 5) for done in range(1, 6)]


def test_compare_tells_which_method_is_done(digits: nb.Subset, tmp_path: Path) -> None:
    told: list[tuple[int, int, str]] = []
    options: dict[str, Any] = {"protocol": "regression", "budgets": 1, "results": tmp_path, "jobs": 1}
    nb.compare(["constant"], digits, progress=lambda *at: told.append(at), **options)
    assert told == [(1, 2, "bar"), (2, 2, "constant")]


def test_anything_else_than_a_function_is_refused(digits: nb.Subset) -> None:
    with pytest.raises(ValueError, match="progress must be True, False or a function, not 'yes'"):
        nb.evaluate("constant", digits, protocol="regression", budgets=1, progress="yes")  # type: ignore[arg-type]


def test_in_a_pipe_a_line_after_the_first_piece_says_how_long_the_others_take(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = iter([0.0, 30.0, 31.0, 60.0, 90.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    with progress.progress_bar("fitting") as report:
        for done in (1, 2, 3, 4):
            report(done, 4)
    assert capsys.readouterr().err.splitlines() == [
        "fitting: 1 of 4, about 2 minutes left",
        "fitting: 3 of 4, about 20 seconds left",
    ]


def test_short_work_in_a_pipe_says_nothing(capsys: pytest.CaptureFixture[str], digits: nb.Subset) -> None:
    nb.evaluate("constant", digits, protocol="regression", budgets=1, progress=True)
    assert list(progress.tracked([1, 2], "counting")) == [1, 2]
    assert capsys.readouterr() == ("", "")


CELL = """
import nndynbench as nb
from nndynbench import progress
progress.DRAWN_EVERY_SECONDS = 0
nb.evaluate("constant", "digits-lenet", protocol="regression-folds", budgets=1, progress=True, name="<mine>")
"""


def test_in_a_notebook_a_bar_moves_and_goes_when_the_work_is_done(tmp_path: Path) -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    drawn: list[str] = []

    class Watched(nbclient.NotebookClient):  # type: ignore[misc, name-defined]
        def process_message(self, message: Any, *further: Any) -> Any:
            if "display_data" in message["msg_type"]:
                drawn.append(message["content"]["data"]["text/html"])
            return super().process_message(message, *further)

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    Watched(notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    begun, *moved, gone = drawn
    assert begun == "evaluating &lt;mine&gt; <progress></progress>"
    assert [text.partition(", about")[0] for text in moved] == [
        f'evaluating &lt;mine&gt; <progress value="{done}" max="5"></progress> {done} of 5' for done in range(1, 6)
    ]
    assert "left" in moved[0]
    assert gone == ""
    bar, result = notebook.cells[0].outputs
    assert bar["data"]["text/html"] == ""
    assert "Result(" in result["data"]["text/plain"]
