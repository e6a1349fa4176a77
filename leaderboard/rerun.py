"""Reruns a submitted method on the same subset, protocol and budgets, and compares it score by score."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from leaderboard.check import Accepted
from leaderboard.standing import StandingRecord, best_records, name_of
from nndynbench.errors import NndynbenchError
from nndynbench.protocols import evaluate
from nndynbench.protocols.protocol import find_protocol
from nndynbench.protocols.results import together
from nndynbench.protocols.scoring import Case
from nndynbench.storage.versions import is_unfinished
from nndynbench.submissions.admission import is_bundled
from nndynbench.submissions.recomputation import CaseKey, cases_by_budget
from nndynbench.subsets import load
from nndynbench.subsets.catalogue import read_as

# On another machine, sums round differently and iterative learners stop elsewhere: scores may differ by this much.
RERUN_TOLERANCE = 1e-3


class NoRerunError(NndynbenchError, ValueError):
    """A submission whose code is neither in ``baselines/`` nor given: strangers' code is not executed unasked."""


@dataclass(frozen=True)
class Rerun:
    """The largest difference between a submitted and a rerun score, and where it is.

    ``claimed``: what the submission says that its method reads. ``read``: what the method read.
    """

    difference: float
    where: str
    claimed: frozenset[str] = frozenset()
    read: frozenset[str] = frozenset()

    @property
    def reproduced(self) -> bool:
        return self.difference <= RERUN_TOLERANCE and self.read == self.claimed

    @property
    def fault(self) -> tuple[str, str]:
        """The field of the submission that was not reproduced, and how it differs."""
        if difference := other_inputs(self.claimed, self.read):
            return "reads", difference
        return "scores", f"differs by {self.difference:.3g} when rerun: {self.where}"


def other_inputs(claimed: Collection[str], read: Collection[str]) -> str | None:
    """How what a submission says that its method reads differs from what it read when it ran here; None if it does not."""
    if set(claimed) == set(read):
        return None
    said, found = (", ".join(sorted(names)) or "nothing" for names in (claimed, read))
    return f"says {said}, but the method read {found} when rerun"


def rerun(accepted: Accepted, *, code: str | None = None, pick: Callable[[int], int] = secrets.randbelow) -> Rerun:
    """Run a submission's method again, and compare its scores and what it reads.

    Parameters
    ----------
    accepted
        The submission.
    code
        The file (``FILE.py[:NAME]``) of a method that is not bundled. It is executed, so whoever reruns it must have read it
        and trust it.
    pick
        Of several draws of the folds at a budget, one is run again. This chooses it, given how many there are: by default by
        chance, so that nobody can know it when submitting.

    Raises
    ------
    NoRerunError
        For a method that is not bundled, without its file.
    """
    submission = accepted.submission
    if code is None and not is_bundled(submission):
        raise NoRerunError(f"{submission.method} is not a method in baselines/: give its file with --code FILE.py[:NAME]")
    references = [submission.subset, *submission.trained_on]
    subsets = [load(reference.name, version=reference.version) for reference in references]
    tested, protocol, under = subsets[0], find_protocol(submission.protocol), _draws_to_run(accepted, pick)
    results = [
        evaluate(
            code or submission.method,
            subsets,
            name=submission.method,
            protocol=protocol.name,
            budgets=[budget for budget in under if under[budget] == draw],
            sealed=True,
            order_seed=submission.order_seed,
            draws=[draw],
        )
        for draw in dict.fromkeys(under.values())
    ]
    parts = [result.predictions for result in results]
    again = together([part[part["subset"] == tested.name] for part in parts])
    there = accepted.predictions({subset.name: subset for subset in subsets})
    claimed, found = (_scores(cases_by_budget(table, tested, protocol), under) for table in (there, again))
    differences = {key: _difference(claimed[key], value) for key, value in found.items()}
    worst = max(differences, key=lambda key: differences[key])
    (budget, _), metric = worst
    read = frozenset(name for result in results for name in result.facts.reads)
    return Rerun(differences[worst], f"{metric} at budget {budget}", frozenset(submission.reads), read)


def refused_name(accepted: Accepted, known: Mapping[tuple[str, str], StandingRecord]) -> str | None:
    """Why a submission may not stand under a bundled method's name; None if it may, or has a name of its own.

    ``known`` holds the `best_records` of its folder. Anybody can write that a file is of a method in ``baselines/``. That it
    is so is known of a file that was rerun or audited.
    """
    if not is_bundled(accepted.submission) or (name_of(accepted.path), accepted.sha256) in known:
        return None
    method = accepted.submission.method
    return (
        f"{method} is a method in baselines/, and this file was neither rerun nor audited: "
        "submit your own method under another name; a maintainer runs check --rerun, or accepts it with --bundled"
    )


def self_reported(accepted: Sequence[Accepted], records: list[StandingRecord]) -> list[Accepted]:
    """The submissions of bundled methods on finished subsets that, as they are now, were neither rerun nor audited."""
    known = best_records(records)
    own = (a for a in accepted if is_bundled(a.submission) and (name_of(a.path), a.sha256) not in known)
    return [a for a in own if not is_unfinished(read_as(a.submission.subset.name, a.submission.subset.version))]


def _draws_to_run(accepted: Accepted, pick: Callable[[int], int]) -> dict[int, int]:
    """The draw of the folds that is run again, by budget: the same one at all budgets that have as many."""
    counts = accepted.draws()
    picked = {count: pick(count) for count in sorted(set(counts.values()))}
    return {budget: picked[count] for budget, count in counts.items()}


def _scores(found: Mapping[CaseKey, Case], under: Mapping[int, int]) -> dict[tuple[CaseKey, str], float | None]:
    """Scores by case and metric, under one draw of the folds at each budget; None where a metric has no value."""
    drawn = {key: case.of_draws([under[key[0]]]) for key, case in found.items()}
    return {(key, metric): case.value_or_none(metric) for key, case in drawn.items() for metric in case.protocol.metrics}


def _difference(claimed: float | None, again: float | None) -> float:
    if claimed is None or again is None:
        return 0.0 if claimed is again else float("inf")
    return abs(claimed - again) / max(1.0, abs(again))
