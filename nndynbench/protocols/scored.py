"""What every metric is computed from, and the error for a metric that is not defined."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from nndynbench.arrays import FloatArray
from nndynbench.errors import NndynbenchError


class UndefinedMetricError(NndynbenchError, ValueError):
    """A metric that is not defined for these predictions; says why."""


@dataclass(frozen=True)
class Scored:
    """What a metric is computed from, one entry per test network: the truth, the prediction (0/1 or percent), the
    classifier's score, the fold and, for triage, the epochs trained up to the budget (``spent``) and after it
    (``remaining``).

    Within recipes, truth and prediction are deviations from their means over the recipe's seeds, and ``recipe`` says which
    networks share one; see `nndynbench.protocols.within`.
    """

    truth: FloatArray
    prediction: FloatArray
    score: FloatArray
    fold: npt.NDArray[np.int64]
    spent: FloatArray = field(default_factory=lambda: np.zeros(0))
    remaining: FloatArray = field(default_factory=lambda: np.zeros(0))
    recipe: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def drawn(self, networks: npt.NDArray[np.int64]) -> Scored:
        """The entries at some positions, each as often as its position is listed."""
        return Scored(*(values[networks] if len(values) else values for values in vars(self).values()))


def fold_masks(scored: Scored) -> Iterator[npt.NDArray[np.bool_]]:
    """For each fold, which networks are in it."""
    for fold in np.unique(scored.fold):
        yield scored.fold == fold
