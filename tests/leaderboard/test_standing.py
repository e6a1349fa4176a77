"""What is recorded of how far the submissions were verified."""

from __future__ import annotations

import hashlib
from pathlib import Path

from typer.testing import CliRunner

from leaderboard.__main__ import app
from leaderboard.audit import audited_subsets
from leaderboard.check import SUBMISSIONS, Accepted, check_all, submission_files
from leaderboard.rerun import self_reported
from leaderboard.standing import add_record, name_of, read_records
from nndynbench.submissions import read_submission
from nndynbench.subsets import Subset

FINISHED = "constant/digits-lenet.regression-folds.json"


def test_every_row_of_a_bundled_method_on_a_finished_subset_was_rerun_or_audited() -> None:
    read = ((path, path.read_bytes()) for path in submission_files())
    on_the_board = [
        Accepted(path, read_submission(path).facts, hashlib.sha256(content).hexdigest(), None) for path, content in read
    ]
    left = self_reported(on_the_board, read_records(SUBMISSIONS))
    assert [name_of(a.path) for a in left] == [], "run `python -m leaderboard check --rerun --missing`"


def test_every_subset_that_can_be_audited_was() -> None:
    audited = {
        Path(record.file).name.partition(".")[0] for record in read_records(SUBMISSIONS) if record.zoo_seed is not None
    }
    assert audited == set(audited_subsets())


def test_the_check_counts_what_is_self_reported(submissions: Path) -> None:
    of_one = str(submissions / FINISHED)
    before = CliRunner().invoke(app, ["check", of_one, "--submissions", str(submissions)])
    assert "1 of bundled methods on finished subsets are self-reported" in " ".join(before.output.split())
    add_record(submissions / FINISHED, "rerun")
    after = CliRunner().invoke(app, ["check", of_one, "--submissions", str(submissions)])
    assert "self-reported" not in after.output


def test_a_row_is_self_reported_again_when_its_file_changes(submissions: Path, at_hand: dict[str, Subset]) -> None:
    path = submissions / FINISHED
    add_record(path, "rerun")
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    [outcome] = check_all([path], below=submissions)
    assert isinstance(outcome, Accepted)
    assert self_reported([outcome], read_records(submissions)) == [outcome]
