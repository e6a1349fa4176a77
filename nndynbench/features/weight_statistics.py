"""Statistics of a layer's weights (Unterthiner et al. 2020, arXiv 2002.11448, section 4)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nndynbench.arrays import as_array

STATISTICS: tuple[str, ...] = ("mean", "standard_deviation", "minimum", "quartile_1", "median", "quartile_3", "maximum")


def weight_statistics(tensor: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Mean, population standard deviation and 0/25/50/75/100 percentiles of all entries; NaN if an entry is not finite.

    Examples
    --------
    >>> from nndynbench.features import STATISTICS, weight_statistics
    >>> dict(zip(STATISTICS, weight_statistics([[0.0, 1.0], [2.0, 3.0]]).tolist()))["quartile_1"]
    0.75
    """
    values = np.asarray(as_array(tensor), dtype=np.float64).ravel()
    if not values.size:
        raise ValueError("statistics need at least one weight")
    if not np.isfinite(values).all():
        return np.full(len(STATISTICS), np.nan)
    return np.array([values.mean(), values.std(), *np.percentile(values, [0, 25, 50, 75, 100])])
