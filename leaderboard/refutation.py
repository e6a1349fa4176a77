"""Which rows are refuted: a maintainer ran the method of a row from outside, and it did not give what the row claims.

A refutation is about the row (a method on a subset under a protocol), whatever its file holds now. Else one changed byte
would undo it. It stands until a maintainer takes its record out of ``standing.json``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from leaderboard.check import Accepted
from leaderboard.shown import number
from leaderboard.standing import AuditScore, StandingRecord, by_file
from nndynbench.protocols.metrics import METRICS
from nndynbench.protocols.protocol import find_protocol
from nndynbench.submissions import SubmissionFacts, submission_path
from nndynbench.submissions.admission import is_bundled

# By how many widths of the claim's interval the fresh one must lie beyond it. Fresh zoos differ more than intervals say, and
# honest scores lie beyond, too: of the bundled methods', the furthest by 0.56 widths (docs/submitting.md).
WIDTHS_BEYOND = 1.0


def refutations(accepted: Iterable[Accepted], records: Sequence[StandingRecord]) -> dict[Path, str]:
    """Why rows are refuted, by the paths of their files; those that are not are left out."""
    known = by_file(records)
    found = {a.path: row_refutation(a.submission, known) for a in accepted}
    return {path: reason for path, reason in found.items() if reason is not None}


def row_refutation(submission: SubmissionFacts, records: Mapping[str, Sequence[StandingRecord]]) -> str | None:
    """Why a row is refuted, by the records `by_file`; None if it is not."""
    own = records.get(submission_path(submission).as_posix(), ())
    return next((reason for record in own if (reason := refutation(record, submission))), None)


def refutation(record: StandingRecord, submission: SubmissionFacts) -> str | None:
    """How a record of a row refutes it; None if it does not. Of a bundled method, whose code is at hand, a bad score on
    fresh networks tells about the subset.
    """
    if is_bundled(submission):
        return None
    if record.standing == "refuted":
        return record.reason or "not reproduced"
    first = find_protocol(submission.protocol).metrics[0]
    refuting = [score for score in record.scores if score.metric == first and is_far_worse(score)]
    if not refuting:
        return None
    worst, label = max(refuting, key=shortfall), METRICS[first].label
    claimed, found = number(worst.claimed), number(worst.fresh)
    return f"{label} {claimed} is claimed at budget {worst.budget}, and a fresh zoo gave {found}"


def is_worse(score: AuditScore) -> bool:
    """Whether a fresh score lies on the worse side of the claim's interval, or has no value."""
    worse = "below" if METRICS[score.metric].direction > 0 else "above"
    return score.fresh is None or score.place == worse


def is_far_worse(score: AuditScore) -> bool:
    """Whether a fresh score lies so far beyond the claim's interval that it refutes the claim. One without a value does not:
    the fresh zoo may be why, such as one in which all networks end low.
    """
    return score.claimed is not None and shortfall(score) > WIDTHS_BEYOND


def shortfall(score: AuditScore) -> float:
    """How far the fresh interval lies beyond the claim's on the worse side, in widths of the claim's."""
    if score.fresh is None or score.claimed_interval is None:
        return 0.0
    low, high = score.claimed_interval
    fresh_low, fresh_high = score.fresh_interval or (score.fresh, score.fresh)
    beyond = low - fresh_high if METRICS[score.metric].direction > 0 else fresh_low - high
    return beyond / max(high - low, 1e-6)  # numbers here have six decimals
