"""Reruns a submitted method of ``baselines/`` on the same subset, protocol and budgets, and compares it score by score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    """A submission whose code is not in ``baselines/``: strangers' code is not executed here."""


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

    Of several draws of the folds at a budget, one is run again, picked by the file's checksum.

    Raises
    ------
    NoRerunError
        For a method that is not bundled.
    """
    submission = accepted.submission
    if not is_bundled(submission):
        raise NoRerunError(f"{submission.method} is not a method in baselines/: only those are rerun")
    references = [submission.subset, *submission.trained_on]
    subsets = [load(reference.name, version=reference.version) for reference in references]
    tested, protocol, under = subsets[0], find_protocol(submission.protocol), _draws_to_run(accepted)
    parts = [
        evaluate(
            submission.method,
            subsets,
            protocol=protocol.name,
            budgets=[budget for budget in under if under[budget] == draw],
            sealed=True,
            order_seed=submission.order_seed,
            draws=[draw],
        ).predictions
        for draw in dict.fromkeys(under.values())
    ]
    again = together([part[part["subset"] == tested.name] for part in parts])
    there = accepted.predictions({subset.name: subset for subset in subsets})
    claimed, found = (_scores(cases_by_budget(table, tested, protocol), under) for table in (there, again))
    differences = {key: _difference(claimed[key], value) for key, value in found.items()}
    worst = max(differences, key=lambda key: differences[key])
    (budget, _), metric = worst
    return Rerun(differences[worst], f"{metric} at budget {budget}")


def self_reported(accepted: Sequence[Accepted], records: list[StandingRecord]) -> list[Accepted]:
    """The submissions of bundled methods on finished subsets that, as they are now, were neither rerun nor audited."""
    known = best_records(records)
    own = (a for a in accepted if is_bundled(a.submission) and (name_of(a.path), a.sha256) not in known)
    return [a for a in own if not is_unfinished(read_as(a.submission.subset.name, a.submission.subset.version))]


def _draws_to_run(accepted: Accepted) -> dict[int, int]:
    """The draw of the folds that is run again, by budget."""
    return {budget: int(accepted.sha256, 16) % draws for budget, draws in accepted.draws().items()}


def _scores(found: Mapping[CaseKey, Case], under: Mapping[int, int]) -> dict[tuple[CaseKey, str], float | None]:
    """Scores by case and metric, under one draw of the folds at each budget; None where a metric has no value."""
    drawn = {key: case.of_draws([under[key[0]]]) for key, case in found.items()}
    return {(key, metric): case.value_or_none(metric) for key, case in drawn.items() for metric in case.protocol.metrics}


def _difference(claimed: float | None, again: float | None) -> float:
    if claimed is None or again is None:
        return 0.0 if claimed is again else float("inf")
    return abs(claimed - again) / max(1.0, abs(again))
