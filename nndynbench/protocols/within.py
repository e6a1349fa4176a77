"""Within recipes: the mean over a recipe's seeds is subtracted from truths and predictions.

Hyperparameters are the same for every seed of a recipe, so nothing remains of what they alone say.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nndynbench.arrays import FloatArray

# Deviations, in percentage points, are rounded to these: equal columns may give predictions that differ in their last bits.
DECIMALS = 6


def deviations(values: FloatArray, recipes: npt.NDArray[np.int64]) -> FloatArray:
    """Each value minus the mean of its recipe, rounded to a millionth; exactly 0 if all values of the recipe are equal."""
    _, first, place, size = np.unique(recipes, return_index=True, return_inverse=True, return_counts=True)
    shifted = values - values[first][place]
    means = np.bincount(place, shifted) / size
    return np.round(shifted - means[place], DECIMALS) + 0.0  # no negative zeros


def with_siblings(recipes: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Which networks are not alone in their recipe."""
    _, place, size = np.unique(recipes, return_inverse=True, return_counts=True)
    return np.asarray(size[place] > 1)
