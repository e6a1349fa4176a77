"""The check's report on some files, as a comment on a pull request: what is accepted, and where each row will stand."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from leaderboard.board import Entry, View, views
from leaderboard.check import Accepted, Refusal, check_all, submission_files, subsets_at_hand
from leaderboard.facts import board_facts
from leaderboard.refutation import refutations, row_refutation
from leaderboard.repeats import repeated_by
from leaderboard.shown import estimate
from leaderboard.standing import StandingRecord, by_file, name_of, read_records
from leaderboard.store import Store
from nndynbench.numbers import NOTHING, written
from nndynbench.protocols.metrics import METRICS
from nndynbench.protocols.protocol import find_protocol
from nndynbench.submissions import RefusedError, SubmissionFacts, read_submission
from nndynbench.submissions.files import quoted

# What Markdown, or what GitHub adds to it, reads as more than text.
SPECIAL = frozenset("\\`*_[]|<>&~$")
# What begins an address, a mention or a reference to an issue: with a space of no width after it, it begins none.
BEGINS_A_LINK = re.compile(r"(?i)https?:|ftp:|www|\bgh-|[@#]")
NO_WIDTH = "\u200b"


def comment(
    outcomes: Sequence[Accepted | Refusal],
    submissions: Path,
    *,
    store: Store,
    before: Path | None = None,
    jobs: int = 1,
) -> str:
    """The report as Markdown: which of a change's files are accepted, how they rank among all in the folder, whose
    predictions they repeat or nearly repeat, which of their rows were refuted, and which rows of ``before``, the folder as
    it was before the change, they replace.
    """
    accepted = [outcome for outcome in outcomes if isinstance(outcome, Accepted)]
    refused = [outcome for outcome in outcomes if isinstance(outcome, Refusal)]
    lines = [f"**{len(accepted)} of {len(outcomes)} {'file is' if len(outcomes) == 1 else 'files are'} accepted.**"]
    if refused:
        lines += ["", "| refused | field | reason |", "|---|---|---|"]
        lines += [f"| {_cell(quoted(r.path, longest=300))} | {_cell(r.field)} | {_cell(r.reason)} |" for r in refused]
    if accepted:
        records = read_records(submissions)
        lines += ["", *_rows(accepted, refused, submissions, records, store, jobs)]
        warnings = [
            *_replaced(accepted, before),
            *_refuted(accepted, records),
            *_repeated(accepted, submissions, records),
        ]
        lines += ["", *warnings] if warnings else []
    return "\n".join(lines) + "\n"


def _replaced(accepted: Sequence[Accepted], before: Path | None) -> Iterator[str]:
    """A line for each row that a file replaces: the row's authors, and its scores before and after."""
    if before is None:
        return
    for a in accepted:
        old = before / name_of(a.path)
        if old.is_file() and hashlib.sha256(old.read_bytes()).hexdigest() != a.sha256:
            with suppress(RefusedError):
                earlier = read_submission(old).facts
                scores = " → ".join(_first_score(facts) for facts in (earlier, a.submission))
                yield f"- replaces {_cell(name_of(a.path))} of {_cell(', '.join(earlier.authors))}: {_cell(scores)}"


def _refuted(accepted: Sequence[Accepted], records: list[StandingRecord]) -> Iterator[str]:
    """A line for each file whose row was refuted, be it with other content."""
    for path, reason in refutations(accepted, records).items():
        said = "the row was refuted, and has no rank until a maintainer takes that record away"
        yield f"- {_cell(name_of(path))}: {said}: {_cell(reason)}"


def _first_score(facts: SubmissionFacts) -> str:
    """The protocol's first metric at the last budget, as a submission claims it."""
    metric, budget = find_protocol(facts.protocol).metrics[0], max(facts.budgets)
    claimed = (score.value for score in facts.scores if (score.metric, score.budget) == (metric, budget))
    value = next(claimed, None)
    return f"{METRICS[metric].label} {NOTHING if value is None else written(value)} at {budget}"


def _repeated(accepted: Sequence[Accepted], submissions: Path, records: list[StandingRecord]) -> Iterator[str]:
    """Lines for each file whose predictions are those of other methods' files, or nearly so."""
    known = by_file(records)
    for a in accepted:
        others = list(repeated_by(read_submission(a.path), sorted(submissions.glob(f"*/{a.path.name}"))))
        for exactly, how in ((True, "has"), (False, "nearly has")):
            same = [
                f"{facts.method} (refuted)" if row_refutation(facts, known) else facts.method
                for facts, is_same in others
                if is_same == exactly
            ]
            if same:
                yield f"- {_cell(name_of(a.path))} {how} the predictions of {_cell(', '.join(same))}"


def _rows(
    accepted: Sequence[Accepted],
    refused: Sequence[Refusal],
    submissions: Path,
    records: list[StandingRecord],
    store: Store,
    jobs: int,
) -> Iterator[str]:
    new = {(a.submission.method, a.submission.subset.name, a.submission.protocol): a for a in accepted}
    names = {a.path.name for a in accepted}
    left_out = {outcome.path.resolve() for outcome in refused}
    others = [path for path in submission_files(submissions) if path.name in names and path.resolve() not in left_out]
    beside = [o for o in check_all(others, store=store, jobs=jobs) if isinstance(o, Accepted)]
    together = {(a.submission.method, a.path.name): a for a in (*beside, *accepted)}
    references = board_facts().references
    yield f"| method | subset | protocol | epochs | score | rank | {' | '.join(f'added to {r.name}' for r in references)} |"
    yield "|" + "---|" * (6 + len(references))
    for view in views(list(together.values()), subsets_at_hand(), records, store=store, jobs=jobs):
        for entry in view.entries:
            if (entry.submission.method, view.subset, view.protocol.fitted.name) in new:
                yield _row(view, entry, [r.key for r in references])


def _row(view: View, entry: Entry, references: Sequence[str]) -> str:
    budget, metric = max(entry.scores), view.protocol.metrics[0]
    scores = entry.scores[budget]
    ranked = sum(budget in other.ranks for other in view.entries)
    rank = f"{entry.ranks[budget]} of {ranked}" if budget in entry.ranks else NOTHING
    source = f", from {entry.trained_on}" if entry.trained_on else ""
    draft = " (draft)" if entry.draft else ""
    cells = [
        f"{entry.submission.method}{draft}",
        view.subset,
        f"{view.protocol.name}{source}",
        str(budget),
        f"{METRICS[metric].label} {estimate(scores.metrics[metric])}",
        rank,
        *(estimate(scores.added.get(key)) for key in references),
    ]
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(text: str) -> str:
    """A text escaped for one cell of a table: nothing that a stranger wrote becomes a link, a mention or HTML."""
    unlinked = BEGINS_A_LINK.sub(lambda found: found.group() + NO_WIDTH, text)
    return "".join(f"&#{ord(c)};" if c in SPECIAL else c for c in unlinked)
