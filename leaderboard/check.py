"""The check: a submission is read without trust and scored again, or refused with the file, the field and the reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from nndynbench.submissions import RefusedError, Submission, accepted_predictions, read_submission
from nndynbench.submissions.admission import refused_admission
from nndynbench.submissions.files import quoted
from nndynbench.subsets import Subset, load
from nndynbench.subsets.loading import names_at_hand

SUBMISSIONS = Path(__file__).parent / "submissions"


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
    """A submission whose scores are right, with its predictions and their truths.

    ``draft`` says why it is not admitted to the public board, if it is not.
    """

    path: Path
    submission: Submission
    predictions: pd.DataFrame
    draft: str | None


def check(path: Path, at_hand: Mapping[str, Subset] | None = None) -> Accepted | Refusal:
    """Read and score one file; ``at_hand`` are loaded subsets by name, shared by many files."""
    try:
        submission = read_submission(path)
        return Accepted(path, submission, accepted_predictions(submission, subsets=at_hand), refused_admission(submission))
    except RefusedError as refused:
        return Refusal(path, refused.field, refused.reason)


def check_all(paths: Iterable[Path]) -> Iterator[Accepted | Refusal]:
    """Check many files, with each subset loaded once."""
    at_hand = loaded_subsets()
    for path in paths:
        yield check(path, at_hand)


def submission_files(folder: Path = SUBMISSIONS) -> list[Path]:
    """Everything in a folder of submissions, also what does not belong there: the check refuses it.

    Raises FileNotFoundError where there is no such folder.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder of submissions {folder}")
    return sorted(path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())


def loaded_subsets() -> dict[str, Subset]:
    """The subsets at hand, by name."""
    return {name: load(name) for name in names_at_hand()}
