"""Submissions with older words, from before a word changed, are understood."""

from __future__ import annotations

import json
from pathlib import Path

from nndynbench.submissions import read_submission, write_submission
from nndynbench.submissions.beside import submissions_folder


def test_a_submission_says_reads_and_older_ones_that_say_tier_are_read(tmp_path: Path) -> None:
    newer = submissions_folder() / "bar" / "digits-lenet.regression-folds.json"
    content = json.loads(newer.read_text(encoding="utf-8"))
    assert content["reads"] == ["curves", "hyperparameters"]
    content["tier"] = content.pop("reads")
    content["predictions"]["epochs"] = content["predictions"].pop("budget")
    for score in content["scores"]:
        score["epochs"] = score.pop("budget")
    older = tmp_path / "bar" / newer.name
    older.parent.mkdir()
    older.write_text(json.dumps(content), encoding="utf-8")
    assert read_submission(older) == read_submission(newer)
    again = write_submission(read_submission(older), tmp_path / "again")
    assert json.loads(again.read_text(encoding="utf-8")) == json.loads(newer.read_text(encoding="utf-8"))
