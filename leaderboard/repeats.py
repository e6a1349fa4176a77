"""Whose predictions a submission repeats: exactly, or with a little noise or on another scale."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from nndynbench.protocols.results import DRAW
from nndynbench.submissions import RefusedError, Submission, SubmissionFacts, read_submission

# How closely predictions must correlate to be nearly the same. Bundled methods that add different things to the bar reach
# 0.9995 with each other. A copy that is less alike has lost 0.001 of R² by its noise.
NEARLY_SAME = 0.9995


def repeated_by(submission: Submission, files: Iterable[Path]) -> Iterator[tuple[SubmissionFacts, bool]]:
    """Of other methods' files, those that have the same predictions or nearly the same: what the file says, and whether they
    are the same. Files that are refused are passed over.
    """
    for path in files:
        try:
            other = read_submission(path)
            pd.DataFrame(other.predictions.columns())
        except (RefusedError, ValueError):  # among them those with columns of different length
            continue
        is_same = other.predictions == submission.predictions
        if other.method != submission.method and (is_same or are_nearly_same(submission, other)):
            yield other.facts, is_same


def are_nearly_same(one: Submission, other: Submission) -> bool:
    """Whether two methods' predictions, or their scores of classes, correlate by at least `NEARLY_SAME` at half of the
    budgets that both have, or more.
    """
    both = _both(one, other)
    alike = [
        any(_correlation(own[f"{column}_x"], own[f"{column}_y"]) >= NEARLY_SAME for column in ("prediction", "score"))
        for _, own in both.groupby("budget")
    ]
    return bool(alike) and sum(alike) >= len(alike) / 2


def _both(one: Submission, other: Submission) -> pd.DataFrame:
    """The rows that both have, side by side."""
    tables = [pd.DataFrame({DRAW: 0, "score": np.nan, **each.predictions.columns()}) for each in (one, other)]
    keys = ["budget", DRAW, "network", *(["trained_on"] if one.trained_on and other.trained_on else [])]
    return tables[0].merge(tables[1], on=keys)


def _correlation(one: pd.Series, other: pd.Series) -> float:
    """Pearson's: noise among nearly equal networks would spoil a correlation of ranks. NaN if either is constant, or of less
    than three networks, any two of which correlate.
    """
    if len(one) < 3:
        return float("nan")
    with np.errstate(all="ignore"):
        return float(np.corrcoef(one, other)[0, 1])
