"""A metric: all that is known of it, in one place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nndynbench.protocols.intervals import FloatArray, Resamples
from nndynbench.protocols.scored import Scored, UndefinedMetricError


@dataclass(frozen=True)
class Metric:
    """One number from the truth and the predictions of the test networks.

    ``value`` computes it, or raises `UndefinedMetricError`. ``in_resamples`` computes what ``value`` says of the drawn
    networks in every resample at once, NaN where it is not defined; without it that is done one by one, which takes minutes
    on a board. ``label`` and ``meaning`` are what documents and pages call it, ``shown`` is where the axis of its
    plots ends at the most. By one that ``blends``, what a method adds to another is measured: it is 1 less the share of a
    ``total`` sum of squares that is missed, and that sum, of the drawn networks, is the truths' alone.
    """

    name: str
    label: str
    meaning: str
    value: Callable[[Scored], float]
    in_resamples: Callable[[Scored, Resamples], FloatArray] | None = None
    smaller_is_better: bool = False
    shown: tuple[float, float] | None = None
    total: Callable[[Scored, Resamples], FloatArray] | None = None

    def __call__(self, scored: Scored) -> float:
        return self.value(scored)

    def resampled(self, scored: Scored, resamples: Resamples) -> FloatArray:
        """In every resample, (resamples,): those of two methods on the same networks are pairs."""
        if self.in_resamples is not None:
            return self.in_resamples(scored, resamples)
        return np.array([self._drawn(scored, weights) for weights in resamples.weights])

    def _drawn(self, scored: Scored, weights: FloatArray) -> float:
        try:
            return self.value(scored.drawn(np.repeat(np.arange(len(weights)), weights.astype(np.int64))))
        except UndefinedMetricError:
            return np.nan

    @property
    def blends(self) -> bool:
        return self.total is not None

    @property
    def direction(self) -> int:
        """1 where more is better, −1 where less is."""
        return -1 if self.smaller_is_better else 1

    @property
    def words(self) -> dict[str, object]:
        """What a page reads of it."""
        return {name: getattr(self, name) for name in ("label", "meaning", "smaller_is_better", "shown")}
