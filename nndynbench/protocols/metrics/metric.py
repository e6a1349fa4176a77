"""What is known about a metric, in one place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nndynbench.arrays import FloatArray
from nndynbench.protocols.intervals import Resamples
from nndynbench.protocols.scored import Scored, UndefinedMetricError


@dataclass(frozen=True)
class Metric:
    """One number from the truth and the predictions of the test networks.

    ``value`` computes it, or raises `UndefinedMetricError`. ``in_resamples`` computes the same for the drawn networks of
    every resample at once, NaN where it is not defined. Without it resamples are computed one by one, which takes minutes on
    a board. ``label`` and ``meaning`` are its words in documents and pages; ``shown`` limits the axis of its plots.
    ``of_right`` says that it is a share of what is put right, so that 1 means that nothing is wrong.

    If ``total`` is given, the metric measures what one method adds to another (``blends``). It is then 1 minus the missed
    share of a total sum of squares, which ``total`` computes for the drawn networks from the truths alone.
    """

    name: str
    label: str
    meaning: str
    value: Callable[[Scored], float]
    in_resamples: Callable[[Scored, Resamples], FloatArray] | None = None
    smaller_is_better: bool = False
    shown: tuple[float, float] | None = None
    total: Callable[[Scored, Resamples], FloatArray] | None = None
    of_right: bool = False

    def __call__(self, scored: Scored) -> float:
        return self.value(scored)

    def resampled(self, scored: Scored, resamples: Resamples) -> FloatArray:
        """The metric in every resample, (resamples,). The values of two methods on the same networks form pairs."""
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
        """1 if more is better, −1 if less is."""
        return -1 if self.smaller_is_better else 1

    @property
    def words(self) -> dict[str, object]:
        """What a page shows about it."""
        return {name: getattr(self, name) for name in ("label", "meaning", "smaller_is_better", "shown")}
