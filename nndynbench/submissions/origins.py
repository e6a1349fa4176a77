"""Whose a method is: all files of a method from outside have the same authors and the same code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

from nndynbench.submissions.files import RefusedError, quoted, read_submission
from nndynbench.submissions.schema import SubmissionFacts


class Origin(NamedTuple):
    """Whose a method is, and where its code is."""

    authors: tuple[str, ...]
    code: str


def origin_of(submission: SubmissionFacts) -> Origin:
    return Origin(tuple(submission.authors), submission.code)


def origins_in(folder: Path, *, but: Collection[Path] = ()) -> dict[Path, Origin]:
    """The origins of a method's files in its folder, without some of them; what is no submission has none."""
    found = {}
    for path in sorted(set(folder.iterdir()) - set(but)) if folder.is_dir() else []:
        try:
            found[path] = origin_of(read_submission(path))
        except RefusedError:
            continue
    return found


def other_origin(method: str, origin: Origin, deciding: Mapping[Path, Origin]) -> str:
    """How an origin differs from that of the files that decide; empty if it agrees with most of them, or if none decides."""
    counts = Counter(deciding.values())
    if all(counts[origin] > count for other, count in counts.items() if other != origin):
        return ""
    path, other = next((path, other) for path, other in deciding.items() if other != origin)
    what, theirs = ("code", other.code) if other.authors == origin.authors else ("authors", ", ".join(other.authors))
    return f"{method} has other {what} in {quoted(path.name)} ({quoted(theirs)})"
