"""Submits the bundled methods: every one, on every subset at hand, under every protocol that it has an estimator for."""

from __future__ import annotations

import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from leaderboard.audit import keep_audit
from leaderboard.check import Accepted, Refusal, check, subsets_at_hand
from leaderboard.facts import board_facts
from leaderboard.staleness import changed_code
from leaderboard.standing import StandingRecord, audits_of, read_records
from leaderboard.store import Store
from nndynbench.citing import citation
from nndynbench.names import check_name
from nndynbench.processes import in_processes
from nndynbench.protocols import find_method, method_names
from nndynbench.protocols.method import SEED
from nndynbench.protocols.protocol import Protocol, find_protocol, protocols, read_budgets
from nndynbench.protocols.results import Result, at_budgets, joined
from nndynbench.protocols.stored import StoredResults
from nndynbench.submissions import (
    RefusedError,
    Submission,
    accepted_predictions,
    read_submission,
    submission_path,
    submissions_of,
    write_submission,
)
from nndynbench.submissions.admission import code_of, is_bundled
from nndynbench.submissions.beside import submitted as submitted_result
from nndynbench.submissions.files import submission_file
from nndynbench.subsets import SplitError, Subset

LICENCE = "Apache-2.0"


@dataclass(frozen=True)
class Task:
    """The submission to make of a method under a protocol; on transfer, one per subset."""

    method: str
    protocol: Protocol
    subsets: tuple[Subset, ...]
    budgets: tuple[int, ...]
    draws: int = 1

    def __str__(self) -> str:
        return f"{self.method} on {', '.join(s.name for s in self.subsets)}, {self.protocol.name}"

    def files(self, folder: Path) -> list[Path]:
        return [folder / submission_file(self.method, subset.name, self.protocol.name) for subset in self.subsets]

    @property
    def predictions(self) -> int:
        """How many predictions it makes if every network is tested."""
        fits = len(self.budgets) * self.draws * max(1, len(self.subsets) - 1)
        return fits * sum(len(s.network_ids) for s in self.subsets)


@dataclass(frozen=True)
class Submitted:
    """What became of a task: the files written, or why there are none."""

    task: Task
    files: Sequence[Path] = ()
    failure: str = ""


def tasks(
    *,
    methods: list[str] | None = None,
    subset_names: list[str] | None = None,
    protocol_names: list[str] | None = None,
    chosen_budgets: list[int] | None = None,
    draws: int | None = None,
) -> list[Task]:
    """The tasks of submitting all that can be submitted; each argument narrows them.

    Budgets are by default the protocol's. ``draws`` is how many draws of the folds are submitted, at most as many as the
    protocol has: by default all for the methods that board.toml names, and one for any other.

    Raises
    ------
    UnknownNameError
        For a method or protocol that does not exist, or a subset that is not at hand, listing what is.
    ValueError
        For fewer draws than one.
    """
    if draws is not None and draws < 1:
        raise ValueError(f"draws must be at least 1, not {draws}")
    loaded = subsets_at_hand()
    at_hand = {name: loaded[check_name(name, loaded, what="subset at hand")] for name in subset_names or loaded}
    found = []
    for protocol in map(find_protocol, protocol_names or protocols()):
        if protocol.predictions or (protocol.superseded and not protocol_names):
            continue
        for name in methods or (name for name in method_names() if not find_method(name).needs):
            if find_method(name).does(protocol):
                for group in _groups(protocol, at_hand):
                    wanted = chosen_budgets or read_budgets(protocol.budgets)
                    budgets = _budgets(wanted, protocol, group)
                    found.append(Task(name, protocol, group, budgets, _draws(name, protocol, group, draws)))
    return [task for task in found if task.budgets]


def out_of_date(task: Task, folder: Path, *, shared: bool = False, store: Store = Store()) -> str | None:  # noqa: B008
    """Why a task must be done: a submission is missing or refused, or was made for another subset, for other budgets, with
    fewer draws of the folds or by other code. None if all is right.

    ``shared``: whether the package's code that all methods share counts as the method's.
    """
    reasons = (_reason(path, task, shared, store) for path in task.files(folder))
    return next((reason for reason in reasons if reason), None)


def expected_seconds(todo: Sequence[Task], folder: Path) -> list[float]:
    """How long each task may take, at the time per prediction that its method took for what is submitted in ``folder``, or
    that the slowest took if its method is not there.
    """
    seconds: defaultdict[str, float] = defaultdict(float)
    predictions: defaultdict[str, int] = defaultdict(int)
    for path in folder.glob("*/*.json"):
        try:
            submission = read_submission(path)
        except RefusedError:
            continue
        if not is_bundled(submission.facts) or not submission.predictions.network:
            continue
        seconds[submission.method] += submission.seconds
        predictions[submission.method] += len(submission.predictions.network)
    rates = {method: seconds[method] / count for method, count in predictions.items()}
    slowest = max(rates.values(), default=1.0)
    return [task.predictions * rates.get(task.method, slowest) for task in todo]


def submit_all(
    todo: Sequence[Task], folder: Path, results: Path, *, jobs: int = 1, shared: bool = False
) -> Iterator[tuple[Submitted, float]]:
    """Do the tasks, the quickest first; yields what became of each, with the seconds that the remaining ones may take.

    ``shared``: as `out_of_date` takes it; what was predicted by other shared code is then fitted anew.
    """
    expected = dict(zip(map(str, todo), expected_seconds(todo, folder), strict=True))
    ordered = sorted(todo, key=lambda task: expected[str(task)])
    work = ((task, folder, results, shared) for task in ordered)
    start, total, done = time.monotonic(), sum(expected.values()), 0.0
    for count, submitted in enumerate(in_processes(submit_bundled, work, jobs=jobs, in_order=False), start=1):
        done += expected[str(submitted.task)]
        ahead = total - done if count < len(todo) else 0.0  # the sums may differ in their last bits
        # Expectations come from other subsets and machines: they are taken to stay off by the factor seen so far.
        yield submitted, (time.monotonic() - start) * ahead / max(done, 1e-9)


def submit_bundled(task: Task, folder: Path, results: Path, shared: bool = False) -> Submitted:
    """Evaluate (or read what ``results`` has), check and write one task's submissions."""
    try:
        stored, what = StoredResults(results), (task.method, task.subsets, task.protocol)
        audits: list[tuple[Path, StandingRecord, Submission]] = []
        kept: list[int] = []
        if (first := _submitted_before(task, folder, shared=shared)) is not None:
            stored.adopt(first, *what)
            audits = _audits(task, folder)
            kept = sorted({int(budget) for budget in first.predictions["budget"]} - set(task.budgets))
        result = stored.result(*what, task.budgets, draws=task.draws)
        if kept:
            others = stored.result(*what, kept)
            both = joined(others, result)
            # Both are parts of one stored result, whose seconds are those of all its budgets.
            result = replace(both, facts=both.facts.model_copy(update={"seconds": others.facts.seconds}))
        made = submissions_of(
            result,
            authors=citation().authors,
            licence=LICENCE,
            code=code_of(task.method),
            commit=current_commit(),
            seeds=[SEED],
        )
        for submission in made:
            accepted_predictions(submission, subsets={subset.name: subset for subset in task.subsets})
    except ValueError as failure:  # the method failed, or its predictions are refused
        return Submitted(task, failure=str(failure))
    # Audits are recorded for the new content before it takes its place: if that is interrupted, the task is not done yet.
    with TemporaryDirectory() as apart:
        fresh = {folder / submission_path(submission): write_submission(submission, Path(apart)) for submission in made}
        for path, record, before in audits:
            outcome = check(fresh[path], {subset.name: subset for subset in task.subsets})
            if isinstance(outcome, Accepted):
                keep_audit(record, before, outcome, path)
    return Submitted(task, [write_submission(submission, folder) for submission in made])


def _audits(task: Task, folder: Path) -> list[tuple[Path, StandingRecord, Submission]]:
    """The audits of a task's files: each file, its record, and the submission that was audited."""
    records = read_records(folder)
    found = ((path, audits_of(path, records)) for path in task.files(folder))
    return [(path, record, read_submission(path)) for path, audits in found for record in audits]


def _submitted_before(task: Task, folder: Path, *, shared: bool) -> Result | None:
    """What was submitted by the same code and need not be fitted again: budgets other than the task's, and also the
    task's own where it adds draws of the folds to them.
    """
    try:
        changed = [changed_code(read_submission(path), shared=shared) for path in task.files(folder)]
    except RefusedError:
        return None
    before = None if any(changed) else submitted_result(task.method, task.subsets, task.protocol, folder)
    if before is None or task.draws > 1:
        return before
    others = set(before.predictions["budget"]) - set(task.budgets)
    return at_budgets(before, others) if others else None


def current_commit() -> str:
    """The commit that is checked out."""
    here = Path(__file__).parent
    return subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=True).stdout.strip()


def _groups(protocol: Protocol, at_hand: dict[str, Subset]) -> Iterator[tuple[Subset, ...]]:
    if protocol.test == "another":
        groups = protocol.groups or (tuple(at_hand),)
        found = (tuple(at_hand[name] for name in group if name in at_hand) for group in groups)
        yield from (group for group in found if len(group) > 1)
        return
    for subset in at_hand.values():
        try:
            subset.split(str(protocol.split))
        except SplitError:
            continue
        yield (subset,)


def _reason(path: Path, task: Task, shared: bool, store: Store) -> str | None:
    if not path.is_file():
        return "not submitted"
    outcome = check(path, {subset.name: subset for subset in task.subsets}, store)
    if isinstance(outcome, Refusal):
        return "refused"
    submission = outcome.submission
    packed = {(reference.name, reference.checksum) for reference in (submission.subset, *submission.trained_on)}
    if not {(subset.name, subset.checksum) for subset in task.subsets} <= packed:
        return "made for other subsets"
    if not set(task.budgets) <= set(submission.budgets):
        return "made for other budgets"
    if task.draws > 1:
        draws = outcome.draws()
        if any(draws[budget] < task.draws for budget in task.budgets):
            return "fewer draws of the folds"
    changed = changed_code(submission, shared=shared)
    return f"code has changed: {', '.join(changed)}" if changed else None


def _draws(method: str, protocol: Protocol, subsets: tuple[Subset, ...], asked: int | None) -> int:
    if asked is None:
        again = board_facts().draws_again(method, protocol.name, [subset.name for subset in subsets])
        return protocol.draws if again else 1
    return min(asked, protocol.draws)


def _budgets(wanted: list[int], protocol: Protocol, subsets: tuple[Subset, ...]) -> tuple[int, ...]:
    return tuple(b for b in wanted if all(b in subset.budgets_for(protocol.target) for subset in subsets))
