"""One name, one method: all files of a method from outside have the same authors and the same code."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from leaderboard.check import Accepted, Refusal
from nndynbench.submissions.admission import is_bundled
from nndynbench.submissions.origins import origin_of, origins_in, other_origin


def of_one_origin(outcomes: Iterable[Accepted | Refusal], *, before: Path | None = None) -> list[Accepted | Refusal]:
    """The outcomes of a check, with a refusal for each file whose method has other authors or other code in its other files.

    The method's files in ``before``, the folder of submissions as it was before a change, decide. Without that folder, its
    files decide that were not checked. If there are none, most of the checked files decide, and where no origin has more
    files than every other, all are refused. Bundled methods are left out: their names belong to their code, and each file
    needs a rerun or an audit.
    """
    listed = list(outcomes)
    checked = {outcome.path.resolve() for outcome in listed}
    by_method: dict[Path, list[Accepted]] = defaultdict(list)
    for outcome in listed:
        if isinstance(outcome, Accepted) and not is_bundled(outcome.submission):
            by_method[outcome.path.resolve().parent].append(outcome)
    refusals = {}
    for folder, own in by_method.items():
        origins = {accepted.path: origin_of(accepted.submission) for accepted in own}
        there = origins_in(folder, but=checked) if before is None else origins_in(before / folder.name)
        fixed = before is not None and there
        remedy = "or ask a maintainer to change it" if fixed else f"or change all files of your {folder.name} alike"
        for path, origin in origins.items():
            if differs := other_origin(folder.name, origin, there or origins):
                refusals[path] = Refusal(path, "method", f"{differs}: choose another name, {remedy}")
    return [refusals.get(outcome.path, outcome) for outcome in listed]
