"""One name, one method: all files of a method from outside have the same authors and the same code."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import NamedTuple

from leaderboard.check import Accepted, Refusal
from nndynbench.submissions import RefusedError, SubmissionFacts, read_submission
from nndynbench.submissions.admission import is_bundled
from nndynbench.submissions.files import quoted


class Origin(NamedTuple):
    """Whose a method is, and where its code is."""

    authors: tuple[str, ...]
    code: str


def of_one_origin(outcomes: Iterable[Accepted | Refusal]) -> list[Accepted | Refusal]:
    """The outcomes of a check, with a refusal for each file whose method has other authors or other code in its other files.

    Files of the method that were not checked were on the board before: they decide. If there are none, most of the checked
    files decide, and where no origin has more files than every other, all are refused. Bundled methods are left out: their
    names belong to their code, and each file needs a rerun or an audit.
    """
    listed = list(outcomes)
    checked = {outcome.path.resolve() for outcome in listed}
    by_method: dict[Path, list[Accepted]] = defaultdict(list)
    for outcome in listed:
        if isinstance(outcome, Accepted) and not is_bundled(outcome.submission):
            by_method[outcome.path.resolve().parent].append(outcome)
    refusals = {}
    for folder, own in by_method.items():
        origins = {accepted.path: _origin(accepted.submission) for accepted in own}
        deciding = _on_the_board(folder, checked) or origins
        for path, origin in origins.items():
            if reason := _refused(folder.name, origin, deciding):
                refusals[path] = Refusal(path, "method", reason)
    return [refusals.get(outcome.path, outcome) for outcome in listed]


def _origin(submission: SubmissionFacts) -> Origin:
    return Origin(tuple(submission.authors), submission.code)


def _on_the_board(folder: Path, checked: Collection[Path]) -> dict[Path, Origin]:
    """The origins of a method's files that were not checked; one that is no submission has none."""
    found = {}
    for path in sorted(set(folder.iterdir()) - set(checked)):
        try:
            found[path] = _origin(read_submission(path))
        except RefusedError:
            continue
    return found


def _refused(method: str, origin: Origin, deciding: dict[Path, Origin]) -> str | None:
    """Why a file of this origin is refused beside those that decide; None if it agrees with most of them."""
    counts = Counter(deciding.values())
    if all(counts[origin] > count for other, count in counts.items() if other != origin):
        return None
    path, other = next((path, other) for path, other in deciding.items() if other != origin)
    what, theirs = ("code", other.code) if other.authors == origin.authors else ("authors", ", ".join(other.authors))
    return (
        f"{method} has other {what} in {quoted(path.name)} ({quoted(theirs)}): choose another name, "
        f"or change all files of your {method} alike"
    )
