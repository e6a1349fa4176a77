"""The records of how far submissions were verified."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from leaderboard.__main__ import app
from leaderboard.audit import audited_subsets
from leaderboard.check import SUBMISSIONS, Accepted, check_all, submission_files
from leaderboard.page.audits import audit_rows_of, audit_verdict, worst
from leaderboard.rerun import self_reported
from leaderboard.standing import AuditScore, add_record, audits_of, by_file, name_of, read_records
from nndynbench.protocols import find_protocol
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


def test_a_row_that_names_the_first_version_of_a_finished_subset_counts() -> None:
    path = SUBMISSIONS / "constant" / "digits-lenet.regression-folds.json"
    facts = read_submission(path).facts
    earlier = facts.model_copy(update={"subset": facts.subset.model_copy(update={"version": "0.1.0"})})
    assert self_reported([Accepted(path, earlier, "", None)], []) != []


def test_every_subset_that_can_be_audited_was() -> None:
    audited = {
        Path(record.file).name.partition(".")[0] for record in read_records(SUBMISSIONS) if record.zoo_seed is not None
    }
    assert audited == set(audited_subsets())


def test_the_check_counts_what_is_self_reported(submissions: Path) -> None:
    of_one = str(submissions / FINISHED)
    before = CliRunner().invoke(app, ["check", of_one, "--bundled", "--submissions", str(submissions)])
    assert "self-reported submissions of bundled methods on finished subsets: 1; run check --rerun" in " ".join(
        before.output.split()
    )
    add_record(submissions / FINISHED, "rerun")
    after = CliRunner().invoke(app, ["check", of_one, "--bundled", "--submissions", str(submissions)])
    assert "self-reported" not in after.output


def test_a_record_is_found_from_whichever_folder_one_stands_in(submissions: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir((submissions / FINISHED).parent)
    add_record(Path(Path(FINISHED).name), "rerun")
    monkeypatch.chdir(submissions)
    assert [record.file for record in read_records(Path("."))] == [FINISHED]


def test_an_audit_at_another_budget_keeps_the_scores_of_the_first(submissions: Path) -> None:
    def score(budget: int) -> AuditScore:
        return AuditScore(budget=budget, metric="r2", claimed=0.0, fresh=float(budget), claimed_interval=(0, 0))

    def audited(zoo_seed: int, *budgets: int) -> list[int]:
        facts = {"zoo_seed": zoo_seed, "networks": 240, "draws": 1, "scores": [score(budget) for budget in budgets]}
        return [score.budget for score in add_record(submissions / FINISHED, "audited", **facts).scores]

    assert audited(5, 1, 2) == [1, 2]
    assert audited(5, 2, 3) == [1, 2, 3]
    assert audited(6, 1) == [1]  # another zoo


def test_an_audit_on_another_zoo_replaces_none_and_the_worst_is_shown(submissions: Path, at_hand: dict[str, Subset]) -> None:
    path = submissions / FINISHED

    def add(zoo_seed: int, **fresh: float | None) -> None:
        scores = [AuditScore(budget=1, metric=metric, claimed=0.9, fresh=value) for metric, value in fresh.items()]
        add_record(path, "audited", zoo_seed=zoo_seed, networks=240, draws=1, scores=scores)

    add(5, r2=0.5, mae=9.0, kendall_tau=None)
    add(6, r2=0.91, mae=12.0, kendall_tau=0.3)
    add_record(path, "rerun")
    assert [record.zoo_seed for record in audits_of(path, read_records(submissions))] == [5, 6]
    [outcome] = check_all([path], below=submissions)
    assert isinstance(outcome, Accepted)
    on_the_page = audit_rows_of([outcome], by_file(read_records(submissions)))
    assert [audit.record.zoo_seed for audit in on_the_page] == [5, 6]
    shown = {metric: score.fresh for (_, metric), score in worst(on_the_page).items()}
    assert shown == {"r2": 0.5, "mae": 12.0, "kendall_tau": 0.3}
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    add(7, r2=0.9)  # of other content: no earlier record goes
    assert {record.zoo_seed for record in read_records(submissions)} == {None, 5, 6, 7}
    assert [record.zoo_seed for record in audits_of(path, read_records(submissions))] == [7]


def test_a_row_is_self_reported_again_when_its_file_changes(submissions: Path, at_hand: dict[str, Subset]) -> None:
    path = submissions / FINISHED
    add_record(path, "rerun")
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    [outcome] = check_all([path], below=submissions)
    assert isinstance(outcome, Accepted)
    assert self_reported([outcome], read_records(submissions)) == [outcome]


def test_the_findings_say_what_the_fresh_zoo_of_seeds_gave() -> None:
    said = " ".join((SUBMISSIONS.parents[1] / "docs" / "findings.md").read_text(encoding="utf-8").split())
    audits = {
        record.file.partition("/")[0]: {score.budget: score for score in record.scores if score.metric == "r2_within"}
        for record in read_records(SUBMISSIONS)
        if record.zoo_seed is not None and record.code is None and "/digits-lenet-seeds." in record.file
    }
    bar, beside = (
        [f"{audits[name][budget].fresh:.3f}" for budget in (1, 3, 5)] for name in ("bar", "bar-and-layer-distance")
    )
    assert f"at 1, 3 and 5 epochs, the bar has {bar[0]}, {bar[1]} and {bar[2]}" in said
    assert f"the bar with distances has {beside[0]}, {beside[1]} and {beside[2]}" in said
    places = [score.place for own in audits.values() for score in own.values()]
    counts = {place: places.count(place) for place in ("inside", "above", "below")}
    assert f"Of the {len(places)} scores of the {len(audits)} methods audited there, {counts['inside']} lie inside" in said
    assert f"intervals, {counts['above']} above and {counts['below'] or 'none'} below" in said


def test_the_documents_count_what_every_fresh_zoo_gave() -> None:
    said = (SUBMISSIONS.parents[1] / "docs" / "submitting.md").read_text(encoding="utf-8")
    for subset in audited_subsets():
        verdicts: list[str] = []
        for record in read_records(SUBMISSIONS):
            _, _, file = record.file.partition("/")
            if record.zoo_seed is not None and record.code is None and file.startswith(f"{subset}."):
                first = find_protocol(file.split(".")[1]).metrics[0]
                verdicts += [audit_verdict(score) for score in record.scores if score.metric == first]
        counts = [verdicts.count(each) for each in ("inside", "outside: better", "outside: worse")]
        assert f"| `{subset}` | {' | '.join(map(str, [sum(counts), *counts]))} |" in said
