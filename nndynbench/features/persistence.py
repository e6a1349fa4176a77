"""Neural persistence of a layer (Rieck et al. 2019, ICLR, algorithm 1)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nndynbench.arrays import as_array


def neural_persistence(tensor: npt.NDArray[np.floating], *, largest: float) -> float:
    """Normalised neural persistence of one layer, between 0 and 1.

    The layer is the complete bipartite graph of its outputs and everything that enters one (for a conv layer, the taps of
    a filter), its edges |w| / ``largest``, the largest absolute weight of the network. Vertices are born at 1; sweeping
    edges from heavy to light, components merge at the edges of the maximum spanning tree, so those are the deaths. The
    result is the 2-norm of the persistences 1 − w over √(n − 1) for n vertices. NaN for non-finite weights.

    Examples
    --------
    >>> import numpy as np
    >>> from nndynbench.features import neural_persistence
    >>> neural_persistence(np.array([[1.0, 0.5]]), largest=1.0)  # two edges: persistences 0 and 0.5, of three vertices
    0.35355339059327373
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import minimum_spanning_tree

    tensor = as_array(tensor)
    if tensor.ndim < 2 or not tensor.size:
        raise ValueError(f"a layer's tensor has two axes or more and values, not the shape {tensor.shape}")
    if not np.isfinite(tensor).all() or not np.isfinite(largest):
        return float("nan")
    outputs, inputs = matrix_shape = len(tensor), tensor.size // len(tensor)
    matrix = np.abs(tensor.astype(np.float64)).reshape(matrix_shape)
    weights = matrix / largest if largest > 0 else matrix
    # scipy takes a missing entry for "no edge": costs are shifted to lie in [1, 2], so that no edge has cost 0.
    columns = np.tile(np.arange(outputs, outputs + inputs, dtype=np.int32), outputs)
    offsets = np.concatenate([np.arange(outputs + 1) * inputs, np.full(inputs, outputs * inputs)]).astype(np.int32)
    costs = csr_array(((2.0 - weights).ravel(), columns, offsets), shape=(outputs + inputs, outputs + inputs))
    persistences = minimum_spanning_tree(costs).data - 1.0
    return float(np.linalg.norm(persistences) / np.sqrt(outputs + inputs - 1))
