"""The paper's regressions, which leave out a fifth of the networks once, over many such hold-outs.

One hold-out decides little: of the same method on the same subset, one has an R² of −8, another 0.6. Each fold of each draw
of `regression-folds` is drawn as such a hold-out is. Their median counts: a mean is that of the few in which a linear model
extrapolates.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nndynbench.protocols import find_protocol
from nndynbench.protocols.intervals import quantiles
from nndynbench.protocols.metrics import METRICS
from nndynbench.protocols.scored import fold_masks
from nndynbench.protocols.scoring import Case, Estimate, cases
from nndynbench.protocols.stored import ResultSource, as_source
from nndynbench.subsets import Subset
from nndynbench.subsets.splits import FOLDS

# The protocol of the paper's one hold-out, and the one whose folds are further ones.
ONCE, AGAIN = "regression", find_protocol("regression-folds")
HOLD_OUTS = AGAIN.draws * FOLDS


@dataclass(frozen=True)
class OverHoldOuts:
    """A metric over all hold-outs: its ``median``, with a 95% interval from resampled clusters, and the range."""

    median: Estimate
    lowest: float
    highest: float


def regression_case(method: str, subset: Subset, budget: int, results: Path | ResultSource) -> Case:
    """A method's predictions in all hold-outs; raises what the source of results raises."""
    result = as_source(results).result(method, [subset], AGAIN, [budget], draws=AGAIN.draws)
    [case] = cases(result.predictions, {subset.name: subset}, AGAIN).values()
    return case


def over_holdouts(case: Case, metric: str) -> OverHoldOuts:
    """A metric in every fold under every draw of the folds. In a resample, the median is over the drawn networks of each."""
    measure, values, resampled = METRICS[metric], [], []
    for draw, resamples in zip(case.draws, case.resamples, strict=True):
        for inside in fold_masks(draw.scored):
            one = draw.scored.drawn(np.flatnonzero(inside))
            values.append(measure(one))
            with np.errstate(invalid="ignore"):  # a resample without any network of this fold
                resampled.append(measure.resampled(one, resamples.of_networks(inside)))
    interval = quantiles(np.asarray(np.nanmedian(resampled, axis=0)), case.clusters)
    return OverHoldOuts(Estimate(float(np.median(values)), *interval), min(values), max(values))
