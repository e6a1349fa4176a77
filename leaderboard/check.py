"""The check: reads a submission without trust and scores it again, or refuses it with the file, the field and the reason."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import TypeAdapter

from leaderboard.store import Store, key_of
from nndynbench.names import check_name
from nndynbench.processes import in_processes
from nndynbench.protocols.references import Reference
from nndynbench.sources import deciding_code
from nndynbench.submissions import (
    RefusedError,
    SubmissionFacts,
    accepted_predictions,
    predictions_with_truths,
    read_submission,
)
from nndynbench.submissions.admission import checked_name, refused_admission
from nndynbench.submissions.files import content_of, in_its_place, parsed, quoted
from nndynbench.subsets import Subset, load
from nndynbench.subsets.catalogue import read_as
from nndynbench.subsets.loading import names_at_hand

SUBMISSIONS = Path(__file__).parent / "submissions"

# What macOS's Finder leaves in a folder; git ignores it.
FINDERS = ".DS_Store"

# How many files one process checks in one go: for fewer, a second process is not worth its start.
BATCH = 25

_FACTS = TypeAdapter(SubmissionFacts)


@dataclass(frozen=True)
class Refusal:
    """Why a file is not on the board."""

    path: Path
    field: str
    reason: str

    def __str__(self) -> str:
        return f"{quoted(self.path, longest=300)}: {self.field}: {self.reason}"


@dataclass(frozen=True)
class Accepted:
    """A submission whose scores are right.

    ``sha256``: of its file. ``draft``: why it is not admitted to the public board; None if it is.
    """

    path: Path
    submission: SubmissionFacts
    sha256: str
    draft: str | None

    def predictions(self, at_hand: Mapping[str, Subset] | None = None) -> pd.DataFrame:
        """Its predictions, each with the truth, read from the file again."""
        return predictions_with_truths(read_submission(self.path), subsets=at_hand)

    def draws(self) -> dict[int, int]:
        """How many draws of the folds it has at each budget, read from the file again."""
        predictions = read_submission(self.path).predictions
        if predictions.draw is None:
            return dict.fromkeys(self.submission.budgets, 1)
        pairs = set(zip(predictions.budget, predictions.draw, strict=True))
        return {budget: 1 + max(draw for b, draw in pairs if b == budget) for budget in self.submission.budgets}


def check(
    path: Path,
    at_hand: Mapping[str, Subset] | None = None,
    store: Store = Store(),  # noqa: B008 (frozen)
    *,
    below: Path | None = None,
) -> Accepted | Refusal:
    """Read and score one file.

    ``at_hand`` holds loaded subsets by name, for many files to share. ``below`` is the folder of submissions, in which the
    file must lie at its place; if none is given, or the file lies outside of it, that folder is taken to be two levels up.
    A file that ``store`` knows as accepted, for the same subsets and by the same code, is not scored again.
    """
    try:
        content, place = content_of(path), _folder_of(path, below)  # read once: the checksum is of what was scored
        sha256 = hashlib.sha256(content).hexdigest()
        if (known := _known(path, sha256, at_hand or {}, store, place)) is not None:
            return known
        submission = in_its_place(parsed(content), path, place)
        checked_name(submission.facts)
        accepted_predictions(submission, subsets=at_hand)
        store.write(_key(sha256), submission.facts.model_dump(mode="json"))
        return Accepted(path, submission.facts, sha256, refused_admission(submission.facts))
    except RefusedError as refused:
        return Refusal(path, refused.field, refused.reason)


def _known(path: Path, sha256: str, at_hand: Mapping[str, Subset], store: Store, place: Path | None) -> Accepted | None:
    """A file that was accepted before, for the same subsets and by the same code, or None; raises `RefusedError` for a file
    in a wrong place.
    """
    facts = store.read(_key(sha256))
    if facts is None or not _are_at_hand(facts, at_hand):
        return None
    submission = in_its_place(_FACTS.validate_python(facts), path, place)
    checked_name(submission)
    return Accepted(path, submission, sha256, refused_admission(submission))


def _known_or_none(path: Path, at_hand: Mapping[str, Subset], store: Store, below: Path | None) -> Accepted | None:
    try:
        sha256 = hashlib.sha256(content_of(path)).hexdigest()
        return _known(path, sha256, at_hand, store, _folder_of(path, below))
    except RefusedError:
        return None  # the check itself says why


def _folder_of(path: Path, below: Path | None) -> Path | None:
    inside = below is not None and Path(os.path.abspath(path)).is_relative_to(os.path.abspath(below))
    return below if inside else None


def _key(sha256: str) -> str:
    return key_of("accepted", sha256, deciding_code("acceptance"))


def check_all(
    paths: Iterable[Path],
    *,
    below: Path = SUBMISSIONS,
    store: Store = Store(),  # noqa: B008
    jobs: int = 1,
) -> Iterator[Accepted | Refusal]:
    """Check many files of the folder of submissions ``below``, in the order given, in ``jobs`` processes (-1: one per core).
    Each subset is loaded once.
    """
    listed, at_hand = list(paths), subsets_at_hand()
    # Files that are known are looked up here: starting a process would take longer.
    known = {path: outcome for path in listed if (outcome := _known_or_none(path, at_hand, store, below)) is not None}
    unknown = [path for path in listed if path not in known]
    batches = [unknown[start : start + BATCH] for start in range(0, len(unknown), BATCH)]
    work = ((batch, at_hand, store, below) for batch in batches)
    checked = chain.from_iterable(in_processes(_check_batch, work, jobs=jobs if len(batches) > 1 else 1))
    for path in listed:
        yield known[path] if path in known else next(checked)


def _check_batch(
    paths: Sequence[Path], at_hand: Mapping[str, Subset], store: Store, below: Path
) -> list[Accepted | Refusal]:
    return [check(path, at_hand, store, below=below) for path in paths]


def _are_at_hand(facts: Mapping[str, Any], at_hand: Mapping[str, Subset]) -> bool:
    def is_there(named: Mapping[str, str]) -> bool:
        there = at_hand.get(named["name"])
        if there is None or there.checksum != named["checksum"]:
            return False
        return named["version"] == there.version or read_as(named["name"], named["version"]) == there.version

    return all(map(is_there, [facts["subset"], *facts["trained_on"]]))


def submission_files(folder: Path = SUBMISSIONS) -> list[Path]:
    """All files in a folder of submissions, including those that do not belong there: the check refuses them. What macOS
    leaves in every folder that it shows is none.

    Raises FileNotFoundError if there is no such folder.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"the folder of submissions {folder} does not exist")
    return sorted(path for path in folder.rglob("*") if path.name != FINDERS and (path.is_symlink() or not path.is_dir()))


def files_of(methods: Sequence[str], folder: Path = SUBMISSIONS) -> list[Path]:
    """The submissions of some methods, and those of the reference rows that they are compared with.

    A reference row that the folder lacks is taken from the board's own submissions, if they have it.

    Raises
    ------
    UnknownNameError
        For a method without submissions.
    """
    from leaderboard.facts import board_facts

    there = [path.name for path in folder.iterdir() if path.is_dir()]
    own = [
        path
        for method in methods
        for path in sorted((folder / check_name(method, there, what="submitted method")).iterdir())
        if path.name != FINDERS
    ]
    names = dict.fromkeys(path.name for path in own)
    beside = [path for one in board_facts().references for name in names for path in _rows_of(one, name, folder)]
    return list(dict.fromkeys([*own, *beside]))


def _rows_of(reference: Reference, name: str, folder: Path) -> list[Path]:
    """A reference's files of a name in a folder, else the first in `SUBMISSIONS`."""
    own, boards = ([root / method / name for method in reference.methods] for root in (folder, SUBMISSIONS))
    return [path for path in own if path.is_file()] or [path for path in boards if path.is_file()][:1]


def subsets_at_hand() -> dict[str, Subset]:
    """The subsets at hand, by name."""
    return {name: load(name) for name in names_at_hand()}
