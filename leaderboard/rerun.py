"""Rerunning a submitted method of ``baselines/`` on the same subset, protocol and budgets, compared score by score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

from leaderboard.check import Accepted
from leaderboard.standing import StandingRecord, best_records, name_of
from nndynbench.protocols import evaluate
from nndynbench.protocols.results import joined
from nndynbench.storage.versions import is_unfinished
from nndynbench.submissions import SubmissionFacts, submissions_of
from nndynbench.submissions.admission import is_bundled
from nndynbench.subsets import load
from nndynbench.subsets.catalogue import read_as

# Another machine's sums round differently, and an iterative learner stops elsewhere: scores may move by this much.
RERUN_TOLERANCE = 1e-3


class NoRerunError(ValueError):
    """A submission whose code is not in ``baselines/``: nothing of a stranger is executed here."""


@dataclass(frozen=True)
class Rerun:
    """The largest difference between a submitted and a rerun score, and where it is."""

    difference: float
    where: str

    @property
    def reproduced(self) -> bool:
        return self.difference <= RERUN_TOLERANCE


def rerun(accepted: Accepted) -> Rerun:
    """Run a submission's method again and compare its scores.

    Raises
    ------
    NoRerunError
        For a method that is not bundled.
    """
    submission = accepted.submission
    if not is_bundled(submission):
        raise NoRerunError(f"{submission.method} is no method of baselines/: only those are executed")
    references = [submission.subset, *submission.trained_on]
    subsets = [load(reference.name, version=reference.version) for reference in references]
    parts = [
        evaluate(
            submission.method,
            subsets,
            protocol=submission.protocol,
            budgets=budgets,
            sealed=True,
            order_seed=submission.order_seed,
            draws=draws,
        )
        for draws, budgets in _budgets_by_draws(accepted).items()
    ]
    again = reduce(joined, parts)
    made = submissions_of(
        again,
        authors=submission.authors,
        licence=submission.licence,
        code=submission.code,
        commit=submission.commit,
        seeds=submission.seeds,
    )
    [same] = [other for other in made if other.subset.name == submission.subset.name]
    claimed = _scores(submission)
    differences = {key: _difference(claimed[key], value) for key, value in _scores(same).items() if key in claimed}
    worst = max(differences, key=lambda key: differences[key])
    return Rerun(differences[worst], f"{worst[2]} at budget {worst[0]}")


def self_reported(accepted: Sequence[Accepted], records: list[StandingRecord]) -> list[Accepted]:
    """The submissions of bundled methods on finished subsets that were neither rerun nor audited as they are now."""
    known = best_records(records)
    own = (a for a in accepted if is_bundled(a.submission) and (name_of(a.path), a.sha256) not in known)
    return [a for a in own if not is_unfinished(read_as(a.submission.subset.name, a.submission.subset.version))]


def _budgets_by_draws(accepted: Accepted) -> dict[int, list[int]]:
    """The submission's budgets, by the number of draws of the folds that it has there."""
    found: dict[int, list[int]] = {}
    for budget, draws in accepted.draws().items():
        found.setdefault(draws, []).append(budget)
    return found


def _scores(submission: SubmissionFacts) -> dict[tuple[int, str | None, str], float | None]:
    return {(score.budget, score.trained_on, score.metric): score.value for score in submission.scores}


def _difference(claimed: float | None, again: float | None) -> float:
    if claimed is None or again is None:
        return 0.0 if claimed is again else float("inf")
    return abs(claimed - again) / max(1.0, abs(again))
