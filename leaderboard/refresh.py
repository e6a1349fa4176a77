"""Submits the bundled methods: every one, on every subset at hand, under every protocol that it has an estimator for."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from leaderboard.check import loaded_subsets
from nndynbench.protocols import Method, find_method, method_names
from nndynbench.protocols.harness import SEED
from nndynbench.protocols.method import baselines_folder, read_methods
from nndynbench.protocols.protocol import Protocol, budgets, protocols
from nndynbench.protocols.stored import StoredResults
from nndynbench.submissions import accepted_predictions, submissions_of, write_submission
from nndynbench.subsets import SplitError, Subset

AUTHORS = ("The nndynbench maintainers",)
LICENCE = "Apache-2.0"


@dataclass(frozen=True)
class Task:
    """One submission to make, or on transfer one per subset."""

    method: str
    protocol: Protocol
    subsets: tuple[Subset, ...]

    def __str__(self) -> str:
        return f"{self.method} on {', '.join(s.name for s in self.subsets)}, {self.protocol.name}"

    def files(self, folder: Path) -> list[Path]:
        return [folder / self.method / f"{subset.name}.{self.protocol.name}.json" for subset in self.subsets]


def tasks(
    *, methods: list[str] | None = None, subset_names: list[str] | None = None, protocol_names: list[str] | None = None
) -> list[Task]:
    """What is to be submitted; each argument narrows it."""
    at_hand = {name: subset for name, subset in loaded_subsets().items() if not subset_names or name in subset_names}
    found = []
    for protocol in protocols().values():
        if protocol.predictions or (protocol_names and protocol.name not in protocol_names):
            continue
        for name in methods or method_names():
            if _has_estimator(find_method(name), protocol):
                found += [Task(name, protocol, group) for group in _groups(protocol, at_hand)]
    return found


def submit_bundled(task: Task, folder: Path, results: Path) -> list[Path]:
    """Evaluate (or read what ``results`` has), check and write one task's submissions."""
    result = StoredResults(results).result(task.method, task.subsets, task.protocol, _budgets(task))
    made = submissions_of(
        result, authors=AUTHORS, licence=LICENCE, code=code_of(task.method), commit=current_commit(), seeds=[SEED]
    )
    for submission in made:
        accepted_predictions(submission, subsets={subset.name: subset for subset in task.subsets})
    return [write_submission(submission, folder) for submission in made]


def code_of(method: str) -> str:
    """The file in ``baselines/`` that defines a bundled method."""
    for path in sorted(baselines_folder().glob("*.py")):
        if not path.name.startswith("_") and method in read_methods(path):
            return f"baselines/{path.name}"
    raise ValueError(f"{method} is no method of baselines/")


def current_commit() -> str:
    """The commit that is checked out."""
    here = Path(__file__).parent
    return subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=True).stdout.strip()


def _has_estimator(method: Method, protocol: Protocol) -> bool:
    return (method.classifier if protocol.task == "classification" else method.regressor) is not None


def _groups(protocol: Protocol, at_hand: dict[str, Subset]) -> Iterator[tuple[Subset, ...]]:
    if protocol.test == "another":
        if len(at_hand) > 1:
            yield tuple(at_hand.values())
        return
    for subset in at_hand.values():
        try:
            subset.split(str(protocol.split))
        except SplitError:
            continue
        yield (subset,)


def _budgets(task: Task) -> list[int]:
    most = min(subset.budgets[-1] for subset in task.subsets)
    return [budget for budget in budgets(task.protocol.budgets) if budget <= most]
