"""Ranks with ties: who cannot be told from the first shares its rank.

Methods are compared on the same resamples, pair by pair, and all at once: what is compared with a threshold is the largest
of the standardised differences, so that a hundred methods tried are no surer to find one that differs than two (the
single-step max-t method; Romano and Wolf 2005, doi 10.1198/016214504000000539).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nndynbench.protocols.intervals import LEVEL

FloatArray = npt.NDArray[np.float64]

# Deviations from 0 at which a number's 95% interval leaves 0 out with a probability of 80%: 1.96 + 0.84.
POWER_DEVIATIONS = 2.80


def shared_ranks(values: npt.ArrayLike, resampled: FloatArray) -> list[int]:
    """A rank per method, 1 for the best.

    The best method of those not ranked yet shares its rank with all that cannot be told from it; the next rank counts
    everybody above.

    Parameters
    ----------
    values
        (methods,): each method's score; more is better.
    resampled
        (methods, resamples): the same in every resample, drawn alike for all.
    """
    scores = np.asarray(values, dtype=np.float64)
    ranks = np.zeros(len(scores), dtype=np.int64)
    left = np.arange(len(scores))
    while len(left):
        best = left[np.argmax(scores[left])]
        lower = scores[best] - scores[left]
        apart = lower > margins(resampled[best] - resampled[left])
        ranks[left[~apart]] = len(scores) - len(left) + 1
        left = left[apart]
    return [int(rank) for rank in ranks]


def margins(resampled: FloatArray) -> FloatArray:
    """Half the widths of 95% intervals that hold for all of several numbers at once.

    Parameters
    ----------
    resampled
        (numbers, resamples); a resample in which a number is NaN counts for the others.
    """
    centred = resampled - np.nanmean(resampled, axis=1, keepdims=True)
    deviation = np.sqrt(np.nanmean(centred**2, axis=1))
    varying = deviation > 0
    if not varying.any():
        return np.zeros(len(resampled))
    largest = _largest(np.abs(centred[varying]) / deviation[varying, None])
    return np.asarray(np.quantile(largest, LEVEL) * deviation)


def chance_of_largest(values: npt.ArrayLike, resampled: FloatArray) -> float:
    """How probable it is, were none of several numbers above 0, that the largest of them would be as large as it is.

    In units of each number's own deviation, by the single-step max-t method: the more are compared, the larger the largest.

    Parameters
    ----------
    values
        (numbers,)
    resampled
        (numbers, resamples): the same in every resample.
    """
    centred = resampled - np.nanmean(resampled, axis=1, keepdims=True)
    deviation = np.sqrt(np.nanmean(centred**2, axis=1))
    varying = deviation > 0
    if not varying.any():
        return 1.0
    largest = _largest(centred[varying] / deviation[varying, None])
    observed = np.max(np.asarray(values, dtype=np.float64)[varying] / deviation[varying])
    return float((1 + np.sum(largest >= observed)) / (1 + len(largest)))


def smallest_told(resampled: FloatArray) -> float:
    """The smallest number above 0 that is told from 0 four times in five, by an interval of 95%: the median over several."""
    return float(POWER_DEVIATIONS * np.median(np.nanstd(resampled, axis=1)))


def _largest(values: FloatArray) -> npt.NDArray[Any]:
    return np.asarray(np.where(np.isnan(values), -np.inf, values).max(axis=0))
