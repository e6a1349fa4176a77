"""One name, one method: who may add and replace a method's files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from leaderboard.check import Accepted, Refusal
from leaderboard.facts import board_facts
from leaderboard.standing import name_of
from nndynbench.submissions.admission import folded, is_bundled
from nndynbench.submissions.origins import origin_of, origins_in, other_origin


def of_one_origin(outcomes: Iterable[Accepted | Refusal], *, before: Path | None = None) -> list[Accepted | Refusal]:
    """The outcomes of a check, with a refusal for each file whose method has other authors or other code in its other files.

    The method's files in ``before``, the folder of submissions as it was before a change, decide. Without that folder, its
    files decide that were not checked. If there are none, most of the checked files decide, and where no origin has more
    files than every other, all are refused. Nobody takes the name of a method that was withdrawn.

    Bundled methods are left out: their names belong to their code, and each file needs a rerun or an audit. But nothing
    replaces a file of theirs in ``before``: what an earlier version predicted may still have the record of an audit.
    """
    listed = list(outcomes)
    checked = {outcome.path.resolve() for outcome in listed}
    by_method: dict[Path, list[Accepted]] = defaultdict(list)
    refusals = {}
    for outcome in listed:
        if not isinstance(outcome, Accepted):
            continue
        if is_bundled(outcome.submission):
            if before is not None and (before / name_of(outcome.path)).is_file():
                reason = "replaces a row of a method in baselines/, which a maintainer does: change its code instead"
                refusals[outcome.path] = Refusal(outcome.path, "file", reason)
        elif why := _withdrawn(outcome.submission.method):
            refusals[outcome.path] = Refusal(outcome.path, "method", why)
        else:
            by_method[outcome.path.resolve().parent].append(outcome)
    for folder, own in by_method.items():
        origins = {accepted.path: origin_of(accepted.submission) for accepted in own}
        there = origins_in(folder, but=checked) if before is None else origins_in(before / folder.name)
        fixed = before is not None and there
        remedy = "or ask a maintainer to change it" if fixed else f"or change all files of your {folder.name} alike"
        for path, origin in origins.items():
            if differs := other_origin(folder.name, origin, there or origins):
                refusals[path] = Refusal(path, "method", f"{differs}: choose another name, {remedy}")
    return [refusals.get(outcome.path, outcome) for outcome in listed]


def _withdrawn(method: str) -> str | None:
    """Why a name may not be taken again; None if it may."""
    for name, why in board_facts().withdrawn.items():
        if folded(name) == folded(method):
            return f"{name} was withdrawn ({why}): choose another name, or ask a maintainer"
    return None
