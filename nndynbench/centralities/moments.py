"""The five aggregators of a snapshot signature (paper, section 3.2, S3)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nndynbench.arrays import as_array

MOMENTS: tuple[str, ...] = ("median", "mean", "standard_deviation", "skewness", "kurtosis")


def moments(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Median, mean, standard deviation, skewness and kurtosis along the last axis, shape (..., 5).

    The conventions are those of scipy.stats: population standard deviation (``ddof=0``), skewness g1 = m3 / m2^1.5, and
    Fisher kurtosis g2 = m4 / m2² − 3, neither corrected for bias. A constant vector has skewness and kurtosis 0. If a vector
    has a non-finite value, all five moments are NaN.

    Raises
    ------
    TypeError
        For values that are not real numbers.
    ValueError
        If there is no vector, or an empty one.

    Examples
    --------
    >>> import numpy as np
    >>> from nndynbench.centralities import moments
    >>> moments(np.array([1.0, 2.0, 3.0]))[:2]
    array([2., 2.])
    """
    vectors = np.asarray(as_array(values), dtype=np.float64)
    if not vectors.ndim or not vectors.shape[-1]:
        raise ValueError(f"moments need vectors (..., values) with at least one value, not the shape {vectors.shape}")
    finite = np.asarray(np.isfinite(vectors).all(axis=-1))
    if not finite.all():
        vectors = np.where(finite[..., None], vectors, 0.0)
    count = vectors.shape[-1]
    mean = vectors.sum(axis=-1) / count
    scaled = vectors - mean[..., None]
    # Scaled by the largest deviation, so that fourth powers of exploding networks' degrees neither overflow nor vanish.
    largest = np.maximum(scaled.max(axis=-1), -scaled.min(axis=-1))
    # Below this the deviations are the mean's own rounding error.
    varies = largest > 1e-14 * np.abs(mean)
    scaled /= np.where(varies, largest, 1.0)[..., None]
    squares = scaled * scaled
    second = np.where(varies, squares.sum(axis=-1) / count, 1.0)
    summary = np.empty((*mean.shape, len(MOMENTS)))
    summary[..., 0] = _median(vectors)
    summary[..., 1] = mean
    summary[..., 2] = varies * largest * np.sqrt(second)
    summary[..., 3] = varies * np.vecdot(squares, scaled) / count / second**1.5
    summary[..., 4] = varies * (np.vecdot(squares, squares) / count / second**2 - 3.0)
    summary[~finite] = np.nan
    return summary


def _median(vectors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """numpy.median without its checks, which cost more than sorting the nodes of a small graph."""
    half = vectors.shape[-1] // 2
    if vectors.shape[-1] % 2:
        return np.asarray(np.partition(vectors, half, axis=-1)[..., half])
    middle = np.partition(vectors, (half - 1, half), axis=-1)[..., half - 1 : half + 1]
    return np.asarray(middle.mean(axis=-1))
