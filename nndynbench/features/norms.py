"""Norms of a layer's weights, seen as the matrix (outputs, everything else)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nndynbench.arrays import as_array

NORMS: tuple[str, ...] = ("l2_norm", "distance_from_initial", "spectral_norm", "stable_rank")


def norms(tensor: npt.ArrayLike, initial: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """L2 (Frobenius) norm, L2 distance from ``initial``, largest singular value, and stable rank (L2² / spectral²).

    All NaN if a weight is not finite; the stable rank of an all-zero layer is 0.

    Examples
    --------
    >>> import numpy as np
    >>> from nndynbench.features import NORMS, norms
    >>> dict(zip(NORMS, norms(np.eye(4), np.zeros((4, 4))).tolist()))
    {'l2_norm': 2.0, 'distance_from_initial': 2.0, 'spectral_norm': 1.0, 'stable_rank': 4.0}
    """
    weights, start = (np.asarray(as_array(part), dtype=np.float64) for part in (tensor, initial))
    if weights.shape != start.shape or not weights.ndim or not weights.size:
        raise ValueError(f"a layer of shape {weights.shape} cannot have initial weights of shape {start.shape}")
    if not np.isfinite(weights).all():
        return np.full(len(NORMS), np.nan)
    matrix = weights.reshape(len(weights), -1)
    l2_norm = np.linalg.norm(matrix)
    # The smaller Gram matrix has the same largest eigenvalue, squared, at a fraction of the cost of a decomposition.
    gram = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    spectral_norm = np.sqrt(max(np.linalg.eigvalsh(gram)[-1], 0.0))
    stable_rank = (l2_norm / spectral_norm) ** 2 if spectral_norm > 0 else 0.0
    return np.array([l2_norm, np.linalg.norm(weights - start), spectral_norm, stable_rank])
