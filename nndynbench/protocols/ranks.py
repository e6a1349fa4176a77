"""Ranks with ties: methods that cannot be told from the first share its rank, down to the first that can.

Methods are compared on the same resamples, pair by pair, and all at once: the largest of the standardised differences is
compared with a threshold. So a hundred methods are no more likely to include one that differs by chance than two are (the
single-step max-t method; Romano and Wolf 2005, doi 10.1198/016214504000000539).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from nndynbench.arrays import FloatArray
from nndynbench.protocols.intervals import LEVEL, quantiles, widened

Comparing = Callable[[int, npt.NDArray[np.int64]], tuple[FloatArray, FloatArray]]

# A number whose mean is this many standard deviations above a line lies above it with a probability of 80%.
POWER_DEVIATIONS = 0.84

# From how many clusters on "behind in every resample" is no accident of the few.
ALWAYS_CLUSTERS = 20


def shared_ranks(values: npt.ArrayLike, compare: Comparing, *, clusters: int) -> list[int]:
    """A rank per method, 1 for the best.

    Of the methods not ranked yet, the best shares its rank with those that cannot be told from it; the next rank counts all
    methods above it. Once a method can be told from the best, so can every method with a lower score: wild predictions make
    a score both low and uncertain, and uncertainty must not lift a method above better ones. Where there are 20 clusters or
    more, a method that is behind in every single resample can be told from the best too, however much its score varies.

    Parameters
    ----------
    values
        (methods,): each method's score; more is better.
    compare
        Takes one method and several, and returns by how much the one is better than each of these, (several,), and the same
        in every resample, (several, resamples). Resamples are drawn alike for all.
    clusters
        From how many clusters a resample is drawn; few make margins wider, see `widened`.
    """
    scores = np.asarray(values, dtype=np.float64)
    if clusters < 2:  # there is no interval that could exclude 0
        return [1] * len(scores)
    ranks = np.zeros(len(scores), dtype=np.int64)
    left = np.arange(len(scores))
    while len(left):
        best = int(left[np.argmax(scores[left])])
        lower, resampled = compare(best, left)
        always_behind = np.all((resampled > 0) | np.isnan(resampled), axis=1) & (clusters >= ALWAYS_CLUSTERS)
        apart = ((lower > margins(resampled, clusters=clusters)) | always_behind) & (left != best)
        apart |= scores[left] < np.max(scores[left[apart]], initial=-np.inf)
        ranks[left[~apart]] = len(scores) - len(left) + 1
        left = left[apart]
    return [int(rank) for rank in ranks]


def margins(resampled: FloatArray, *, clusters: int) -> FloatArray:
    """Half the widths of 95% intervals that hold for several numbers at once.

    Parameters
    ----------
    resampled
        (numbers, resamples). A resample in which one number is NaN still counts for the others.
    clusters
        From how many clusters a resample is drawn.
    """
    centred = _centred(resampled)
    deviation = np.sqrt(np.nanmean(centred**2, axis=1))
    varying = deviation > 0
    if not varying.any():
        return np.zeros(len(resampled))
    largest = _largest(np.abs(centred[varying]) / deviation[varying, None])
    return np.asarray(widened(clusters) * np.quantile(largest, LEVEL) * deviation)


def chance_of_largest(values: npt.ArrayLike, resampled: FloatArray, *, clusters: int) -> float:
    """The probability that, if none of several numbers were truly above 0, one of them would be as far above 0 as the
    largest is.

    How far is measured in each number's own scale. In one unit, the few numbers with wild errors would decide alone: the R²
    of a method that extrapolates is −30 in some resamples. In its own standard deviation, what a blend with a weight near 0
    adds would be many deviations away for no reason: it is 0 in most resamples and something in a few. So the deviation is
    moderated, as in Tusher, Tibshirani and Chu 2001 (doi 10.1073/pnas.091062498): the median of all deviations is added to
    each. The deviation is computed from fourth powers, not squares. The two agree for normal errors; for rare and large
    errors fourth powers give more. The more numbers are compared, the larger the largest is by chance.

    Parameters
    ----------
    values
        (numbers,), all in one unit.
    resampled
        (numbers, resamples): the same numbers in every resample.
    clusters
        From how many clusters a resample is drawn.
    """
    numbers = np.asarray(values, dtype=np.float64)
    errors = resampled - numbers[:, None]
    scales = _scales(errors)
    largest = widened(clusters) * _largest(_in_scales(errors, scales))
    observed = _in_scales(numbers, scales)[np.argmax(numbers)]
    return float((1 + np.sum(largest >= observed)) / (1 + len(largest)))


def interval_of_largest(values: npt.ArrayLike, resampled: FloatArray, *, clusters: int) -> tuple[float, float]:
    """The 95% interval of the largest of several numbers, which allows for its having been chosen as the largest.

    In every resample, the largest upward error of any of the numbers is taken, each in its own scale as in
    `chance_of_largest`. The low end is below the number by the 97.5% quantile of these errors, and never above the low end
    of the number's own interval. The high end is that of its own interval, since whoever chooses the largest errs upwards.
    So an R² that falls without bound in some resamples does not make the interval wide upwards.

    Parameters
    ----------
    values, resampled, clusters
        As `chance_of_largest` takes them.
    """
    numbers = np.asarray(values, dtype=np.float64)
    best, errors = int(np.argmax(numbers)), resampled - numbers[:, None]
    scales = _scales(errors)
    largest = widened(clusters) * _largest(_in_scales(errors, scales))
    low, high = quantiles(resampled[best], clusters)
    return min(low, float(numbers[best] - np.quantile(largest, (1 + LEVEL) / 2) * scales[best])), high


def smallest_told(resampled: FloatArray, *, margin: float, clusters: int) -> float:
    """The smallest number above 0 that is more than a margin above 0 four times in five, from its values in resamples,
    (resamples,).
    """
    return float(margin + widened(clusters) * POWER_DEVIATIONS * np.nanstd(resampled))


def _scales(errors: FloatArray) -> FloatArray:
    """The scale of each number's errors, (numbers,): its deviation, by fourth powers, plus the median of all deviations."""
    normal = 3  # the fourth moment of a normal variable of deviation 1
    deviation = (np.nanmean(np.square(errors**2), axis=1) / normal) ** 0.25
    return np.asarray(deviation + np.median(deviation))


def _in_scales(values: FloatArray, scales: FloatArray) -> FloatArray:
    """The values divided by their scales; infinite where a number above 0 never varies."""
    by = scales if values.ndim == 1 else scales[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(values == 0, 0.0, values / by))


def _centred(resampled: FloatArray) -> FloatArray:
    return np.asarray(resampled - np.nanmean(resampled, axis=1, keepdims=True))


def _largest(values: FloatArray) -> npt.NDArray[Any]:
    return np.asarray(np.where(np.isnan(values), -np.inf, values).max(axis=0))
