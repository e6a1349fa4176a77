"""The audit: since labels are public, methods are tried on a zoo that did not exist when they were submitted.

A zoo's seed is drawn at random. Before the first network is trained, the seed is written down, together with what is
submitted by then. So nobody can submit after seeing an outcome. Audits are recorded by their zoos' seeds, and none replaces
another: a second zoo's outcome stands beside the first one's.
"""

from __future__ import annotations

import datetime
import hashlib
import secrets
import shlex
import subprocess
import sys
from collections.abc import Collection, Sequence
from contextlib import suppress
from itertools import product, repeat
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from leaderboard.check import Accepted, Refusal, check_all
from leaderboard.facts import board_facts
from leaderboard.rerun import other_inputs
from leaderboard.shown import DIGITS
from leaderboard.standing import AuditScore, Interval, StandingRecord, add_record, audits_of, name_of
from nndynbench.names import check_name
from nndynbench.protocols import evaluate
from nndynbench.protocols.method import MethodError
from nndynbench.protocols.metrics import UndefinedMetricError
from nndynbench.protocols.protocol import find_protocol
from nndynbench.storage.files import locked, write_whole
from nndynbench.storage.places import NotAtHandError
from nndynbench.submissions import Submission, read_submission
from nndynbench.submissions.recomputation import cases_by_budget
from nndynbench.subsets import Subset, load
from nndynbench.subsets.catalogue import catalogue

ROOT = Path(__file__).parents[1]

DRAWS = 1
"""How many draws of the folds are scored on a fresh zoo, however many a claim is the mean over."""


class DrawnZoo(BaseModel):
    """What was written down before a fresh zoo was trained: its seed, and the SHA-256 of each submission on its subset,
    keyed by ``METHOD/FILE``.
    """

    model_config = ConfigDict(extra="forbid")

    subset: str
    seed: int
    drawn: datetime.datetime
    submissions: dict[str, str]

    def is_later_than(self, accepted: Accepted) -> bool:
        """Whether the zoo was drawn later than a submission was made, with the content that its file has now."""
        return self.submissions.get(name_of(accepted.path)) == accepted.sha256

    def has_audited(self, accepted: Accepted, records: list[StandingRecord], budgets: Collection[int] = ()) -> bool:
        """Whether an audit of a submission on this zoo is recorded at ``budgets``, by default at all of the submission's."""
        audited = [record.budgets for record in audits_of(accepted.path, records) if record.zoo_seed == self.seed]
        return set().union(*audited) >= set(_chosen(accepted, budgets))


def audited_subsets() -> list[str]:
    """The subsets that can be trained anew on any machine: those on the images that board.toml names, in the
    catalogue's order.
    """
    return [name for name, entry in catalogue().items() if entry.images in board_facts().audited_images]


def draw_zoo(subset: str, folder: Path, submissions: Path) -> DrawnZoo:
    """The zoo of a folder, kept in ``FOLDER/<subset>.audit.json``: drawn by the first call, read by every later one.

    Raises
    ------
    UnknownNameError
        For a subset that cannot be audited.
    """
    check_name(subset, audited_subsets(), what="subset to audit")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{subset}.audit.json"
    with locked(path.with_suffix(".lock")):
        if path.is_file():
            return DrawnZoo.model_validate_json(path.read_bytes())
        there = sorted(submissions.glob(f"*/{subset}.*.json"))
        drawn = DrawnZoo(
            subset=subset,
            seed=secrets.randbelow(2**31),
            drawn=datetime.datetime.now(datetime.UTC),
            submissions={name_of(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in there},
        )
        write_whole(path, drawn.model_dump_json(indent=1) + "\n")
    return drawn


def train_fresh_zoo(drawn: DrawnZoo, folder: Path, *, networks: int | None = None) -> Subset:
    """Train a drawn zoo, or go on where its training stopped; a complete zoo is read.

    The grid is the subset's. Initialisations and batches are others, and so are the networks. ``networks`` is how many of
    them are trained, spread over the grid; all by default. Progress is shown.

    Raises
    ------
    RuntimeError
        If ``python -m generation`` fails, with what it said (its extra may not be installed), or packs no zoo of that seed.
    """
    if (packed := _packed(drawn, folder)) is not None and packed.manifest.networks == packed.manifest.networks_planned:
        return packed
    _, *options = shlex.split(load(drawn.subset).manifest.training_command)
    command = [sys.executable, *(str(folder.resolve()) if word == "DIR" else word for word in options)]
    command += ["--seed", str(drawn.seed), *(["--networks", str(networks)] if networks else [])]
    done = subprocess.run(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {done.stderr.strip()[-500:] or 'it was stopped'}")
    if (packed := _packed(drawn, folder)) is None:
        raise RuntimeError(f"{' '.join(command)} packed no zoo of that seed")
    return packed


def _packed(drawn: DrawnZoo, folder: Path) -> Subset | None:
    """A drawn zoo as it was last packed in the folder; None if it was not, even if another zoo of the subset is at hand."""
    try:
        subset = load(drawn.subset, root=folder)
    except NotAtHandError:
        return None
    is_it = subset.manifest.zoo_seed == drawn.seed and subset.folder.resolve().is_relative_to(folder.resolve())
    return subset if is_it else None


def submissions_to_audit(
    methods: Sequence[str], subset: str, submissions: Path, *, protocols: Collection[str] = ()
) -> list[Accepted]:
    """The submissions of methods on a subset that a fresh zoo can test, under some protocols or all, the quickest first.

    Raises
    ------
    UnknownNameError
        For a subset that cannot be audited.
    ValueError
        For a submission that is refused, or a method without submissions.
    """
    check_name(subset, audited_subsets(), what="subset to audit")
    found: dict[str, list[Accepted]] = {method: [] for method in methods}
    files = [path for method in found for path in sorted((submissions / method).glob(f"{subset}.*.json"))]
    for outcome in check_all(files, below=submissions):
        if isinstance(outcome, Refusal):
            raise ValueError(f"{outcome}: only accepted submissions can be audited")
        protocol = find_protocol(outcome.submission.protocol)
        # A fresh zoo cannot test transfer, where methods are fitted on another subset's networks.
        if protocol.test == "same" and (not protocols or protocol.name in protocols):
            found[outcome.submission.method].append(outcome)
    for method, own in found.items():
        if not own:
            raise ValueError(f"{method} has no submission on {subset} to audit in {submissions}")
    return sorted((a for own in found.values() for a in own), key=lambda a: a.submission.seconds)


def audit(accepted: Accepted, fresh: Subset, *, code: str | None = None, budgets: Collection[int] = ()) -> list[AuditScore]:
    """A submission's scores on a fresh zoo, under the first `DRAWS` draws of its folds, beside those of its predictions.

    All of the protocol's metrics are compared, whichever the submission claims.

    Parameters
    ----------
    accepted
        One of `submissions_to_audit`.
    fresh
        The same subset trained anew, from `train_fresh_zoo`.
    code
        The method's file (``FILE.py[:NAME]``). It is executed, so whoever audits must have read it and trust it. Not
        needed for a bundled method, which is found by its name.
    budgets
        Some of the submission's; by default all.

    Raises
    ------
    MethodError
        If the method fails, or reads other inputs than the submission says.
    """
    submission = accepted.submission
    chosen = _chosen(accepted, budgets)
    result = evaluate(
        code or submission.method,
        fresh,
        protocol=submission.protocol,
        budgets=chosen,
        draws=DRAWS,
        name=submission.method,
        sealed=True,
        order_seed=submission.order_seed,
    )
    if difference := other_inputs(submission.reads, result.facts.reads):
        raise MethodError(difference)
    found = {(row["budget"], row["metric"]): row for row in result.scores.dropna(subset="value").to_dict("records")}
    claimed = _claimed(accepted)
    scores = []
    for case in product(chosen, find_protocol(submission.protocol).metrics):
        value, interval = claimed.get(case, (None, None))
        row = found.get(case)
        scores.append(
            AuditScore(
                budget=case[0],
                metric=case[1],
                claimed=value,
                fresh=float(row["value"]) if row else None,
                claimed_interval=interval,
                fresh_interval=_interval(row["low"], row["high"]) if row else None,
            )
        )
    return scores


def keep_audit(record: StandingRecord, before: Submission, accepted: Accepted, path: Path) -> None:
    """Record an audit again after draws of the folds were added to the audited submission: the new claims, beside the same
    fresh scores. Nothing is recorded if any of the audited predictions has changed.

    Parameters
    ----------
    record
        The audit.
    before
        What the submission's file held when it was audited.
    accepted
        What the file is to hold.
    path
        Where the file lies on the board.
    """
    if not _predictions(before).items() <= _predictions(read_submission(accepted.path)).items():
        return
    claimed = _claimed(accepted)
    scores = []
    for score in record.scores:
        if score.metric in find_protocol(accepted.submission.protocol).metrics:  # and not in those of an earlier version
            value, interval = claimed.get((score.budget, score.metric), (None, None))
            scores.append(score.model_copy(update={"claimed": value, "claimed_interval": interval}))
    facts: dict[str, Any] = {"zoo_seed": record.zoo_seed, "networks": record.networks, "draws": record.draws}
    add_record(path, "audited", sha256=accepted.sha256, date=record.date, scores=scores, **facts)


def _predictions(submission: Submission) -> dict[tuple[int, int, int], float]:
    """A submission's predictions, by budget, draw of the folds and network."""
    made = submission.predictions
    keys = zip(made.budget, made.draw or repeat(0), made.network, strict=False)
    return dict(zip(keys, made.prediction, strict=True))


def _chosen(accepted: Accepted, budgets: Collection[int]) -> list[int]:
    return [budget for budget in accepted.submission.budgets if not budgets or budget in budgets]


def _claimed(accepted: Accepted) -> dict[tuple[int, str], tuple[float, Interval]]:
    """The scores of the submitted predictions with their intervals, by budget and metric, without undefined metrics."""
    submission = accepted.submission
    subset, protocol = load(submission.subset.name, version=submission.subset.version), find_protocol(submission.protocol)
    found = {}
    predictions = accepted.predictions({subset.name: subset})
    for (budget, _), case in cases_by_budget(predictions, subset, protocol, reads=submission.reads).items():
        for metric in protocol.metrics:
            with suppress(UndefinedMetricError):
                value, *interval = case.estimate(metric)
                found[budget, metric] = value, _interval(*interval)
    return found


def _interval(low: float, high: float) -> Interval:
    return round(float(low), DIGITS), round(float(high), DIGITS)
