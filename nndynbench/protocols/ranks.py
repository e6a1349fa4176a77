"""Ranks with ties: who cannot be told from the first shares its rank.

Methods are compared on the same resamples, pair by pair, and all at once: what is compared with a threshold is the largest
of the standardised differences, so that a hundred methods tried are no surer to find one that differs than two (the
single-step max-t method; Romano and Wolf 2005, doi 10.1198/016214504000000539).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from nndynbench.protocols.intervals import LEVEL

FloatArray = npt.NDArray[np.float64]
Comparing = Callable[[int, npt.NDArray[np.int64]], tuple[FloatArray, FloatArray]]

# Deviations from 0 at which a number's 95% interval leaves 0 out with a probability of 80%: 1.96 + 0.84.
POWER_DEVIATIONS = 2.80


def shared_ranks(values: npt.ArrayLike, compare: Comparing) -> list[int]:
    """A rank per method, 1 for the best.

    The best method of those not ranked yet shares its rank with all that cannot be told from it; the next rank counts
    everybody above.

    Parameters
    ----------
    values
        (methods,): each method's score; more is better.
    compare
        By how much one method is better than each of several, (several,), and the same in every resample, (several,
        resamples), which are drawn alike for all.
    """
    scores = np.asarray(values, dtype=np.float64)
    ranks = np.zeros(len(scores), dtype=np.int64)
    left = np.arange(len(scores))
    while len(left):
        best = int(left[np.argmax(scores[left])])
        lower, resampled = compare(best, left)
        apart = (lower > margins(resampled)) & (left != best)
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
    centred = _centred(resampled)
    deviation = np.sqrt(np.nanmean(centred**2, axis=1))
    varying = deviation > 0
    if not varying.any():
        return np.zeros(len(resampled))
    largest = _largest(np.abs(centred[varying]) / deviation[varying, None])
    return np.asarray(np.quantile(largest, LEVEL) * deviation)


def chance_of_largest(values: npt.ArrayLike, resampled: FloatArray) -> float:
    """How probable it is, were none of several numbers above 0, that the largest of them would be as large as it is.

    All are in one unit, and are not standardised: what a blend adds whose weight is near 0 is 0 in most resamples and
    something in a few, so that it is many of its own deviations away there, for nothing. The more are compared, the larger
    the largest.

    Parameters
    ----------
    values
        (numbers,)
    resampled
        (numbers, resamples): the same in every resample.
    """
    largest = _largest(_centred(resampled))
    return float((1 + np.sum(largest >= np.max(np.asarray(values, dtype=np.float64)))) / (1 + len(largest)))


def margin_of_largest(resampled: FloatArray) -> float:
    """Half the width of a 95% interval of one of several numbers in one unit that holds whichever of them is chosen.

    Parameters
    ----------
    resampled
        (numbers, resamples)
    """
    return float(np.quantile(_largest(np.abs(_centred(resampled))), LEVEL))


def smallest_told(resampled: FloatArray) -> float:
    """The smallest number above 0 that is told from 0 four times in five, by its 95% interval; (resamples,)."""
    return float(POWER_DEVIATIONS * np.nanstd(resampled))


def _centred(resampled: FloatArray) -> FloatArray:
    return np.asarray(resampled - np.nanmean(resampled, axis=1, keepdims=True))


def _largest(values: FloatArray) -> npt.NDArray[Any]:
    return np.asarray(np.where(np.isnan(values), -np.inf, values).max(axis=0))
