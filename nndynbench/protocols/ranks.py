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

from nndynbench.protocols.intervals import LEVEL, quantiles

FloatArray = npt.NDArray[np.float64]
Comparing = Callable[[int, npt.NDArray[np.int64]], tuple[FloatArray, FloatArray]]

# Deviations from 0 at which a number's 95% interval leaves 0 out with a probability of 80%: 1.96 + 0.84.
POWER_DEVIATIONS = 2.80


def shared_ranks(values: npt.ArrayLike, compare: Comparing) -> list[int]:
    """A rank per method, 1 for the best.

    The best method of those not ranked yet shares its rank with all that cannot be told from it; the next rank counts
    everybody above. One that is behind in every single resample can be told from it, however much its score varies: a few
    wild predictions make no method as good as the best.

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
        always_behind = np.all((resampled > 0) | np.isnan(resampled), axis=1)
        apart = ((lower > margins(resampled)) | always_behind) & (left != best)
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
    """How probable it is, were none of several numbers above 0, that one of them would be as far above 0 as the largest is.

    How far is counted in each number's own scale. In one unit the few whose errors are wild would decide alone: the R² of a
    method that extrapolates is −30 in some resamples. In its own deviation, what a blend adds whose weight is near 0, and
    which is 0 in most resamples and something in a few, would be many deviations away for nothing. So the deviation is
    moderated, as in Tusher, Tibshirani and Chu 2001 (doi 10.1073/pnas.091062498): to each is added the median of all. And it
    is taken from the fourth powers, not the squares: equal for errors that are normal, and the larger the rarer and the
    larger they are. The more numbers are compared, the larger the largest.

    Parameters
    ----------
    values
        (numbers,), all in one unit.
    resampled
        (numbers, resamples): the same in every resample.
    """
    numbers = np.asarray(values, dtype=np.float64)
    errors = resampled - numbers[:, None]
    scales = _scales(errors)
    largest = _largest(_in_scales(errors, scales))
    observed = _in_scales(numbers, scales)[np.argmax(numbers)]
    return float((1 + np.sum(largest >= observed)) / (1 + len(largest)))


def interval_of_largest(values: npt.ArrayLike, resampled: FloatArray) -> tuple[float, float]:
    """The 95% interval of the largest of several numbers, for having been chosen as the largest.

    Its low end is below the number by the largest error upwards of any of them, in 97.5% of the resamples, each in its own
    scale as in `chance_of_largest`; and no higher than that of its own interval. Its high end is its own interval's: whoever
    chooses the largest errs upwards. So an R² that falls without bound in some resamples makes no interval wide upwards.

    Parameters
    ----------
    values, resampled
        As `chance_of_largest` takes them.
    """
    numbers = np.asarray(values, dtype=np.float64)
    best, errors = int(np.argmax(numbers)), resampled - numbers[:, None]
    scales = _scales(errors)
    largest = _largest(_in_scales(errors, scales))
    low, high = quantiles(resampled[best])
    return min(low, float(numbers[best] - np.quantile(largest, (1 + LEVEL) / 2) * scales[best])), high


def smallest_told(resampled: FloatArray) -> float:
    """The smallest number above 0 that is told from 0 four times in five, by its 95% interval; (resamples,)."""
    return float(POWER_DEVIATIONS * np.nanstd(resampled))


def _scales(errors: FloatArray) -> FloatArray:
    """In what the errors of each number are counted, (numbers,): its deviation, by fourth powers, and the median of all."""
    normal = 3  # the fourth moment of a normal variable of deviation 1
    deviation = (np.nanmean(np.square(errors**2), axis=1) / normal) ** 0.25
    return np.asarray(deviation + np.median(deviation))


def _in_scales(values: FloatArray, scales: FloatArray) -> FloatArray:
    """Of numbers that never vary: infinite where above 0."""
    by = scales if values.ndim == 1 else scales[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(values == 0, 0.0, values / by))


def _centred(resampled: FloatArray) -> FloatArray:
    return np.asarray(resampled - np.nanmean(resampled, axis=1, keepdims=True))


def _largest(values: FloatArray) -> npt.NDArray[Any]:
    return np.asarray(np.where(np.isnan(values), -np.inf, values).max(axis=0))
