"""The five aggregators of a snapshot signature (paper, section 3.2, S3)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

MOMENTS: tuple[str, ...] = ("median", "mean", "standard_deviation", "skewness", "kurtosis")


def moments(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Median, mean, standard deviation, skewness and kurtosis along the last axis, shape (..., 5).

    The conventions are scipy.stats': population standard deviation (``ddof=0``), skewness g1 = m3 / m2^1.5, Fisher
    kurtosis g2 = m4 / m2² − 3, neither corrected for bias. A constant vector has skewness and kurtosis 0. A vector with
    a non-finite value has NaN for all five.
    """
    vectors = np.asarray(values, dtype=np.float64)
    finite = np.isfinite(vectors).all(axis=-1)
    safe = np.where(finite[..., None], vectors, 0.0)
    mean = safe.mean(axis=-1)
    deviations = safe - mean[..., None]
    # Scaled by the largest deviation, so that fourth powers of exploding networks' degrees neither overflow nor vanish.
    largest = np.abs(deviations).max(axis=-1)
    # Below this the deviations are the mean's own rounding error.
    constant = largest <= 1e-14 * np.abs(mean)
    scaled = deviations / np.where(constant, 1.0, largest)[..., None]
    squares = scaled * scaled
    second = np.where(constant, 1.0, squares.mean(axis=-1))
    skewness = np.where(constant, 0.0, (squares * scaled).mean(axis=-1) / second**1.5)
    kurtosis = np.where(constant, 0.0, (squares * squares).mean(axis=-1) / second**2 - 3.0)
    deviation = np.where(constant, 0.0, largest * np.sqrt(second))
    summary = np.stack([np.median(safe, axis=-1), mean, deviation, skewness, kurtosis], axis=-1)
    return np.where(finite[..., None], summary, np.nan)
