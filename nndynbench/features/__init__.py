"""Numbers per layer of a snapshot that are not graph signatures: weight statistics, norms, neural persistence."""

from __future__ import annotations

import numpy as np
import pandas as pd

from nndynbench.features.norms import NORMS, norms
from nndynbench.features.persistence import neural_persistence
from nndynbench.features.weight_statistics import STATISTICS, weight_statistics
from nndynbench.graphs.architecture import Architecture, architecture
from nndynbench.graphs.weights import WeightsLike, layer_bias, layer_weight

FEATURES: tuple[str, ...] = (
    *STATISTICS,
    *(f"bias_{statistic}" for statistic in STATISTICS),
    *NORMS,
    "neural_persistence",
)


def layer_features(weights: WeightsLike, initial: WeightsLike, name: str | Architecture) -> pd.DataFrame:
    """All features of one snapshot: a row per conv and fully connected layer (index ``layer``), with columns `FEATURES`.

    ``initial`` has the same network's weights at snapshot 0. Features are computed in float64. They are NaN if a weight is
    not finite, and in the ``bias_`` columns of layers without a bias.

    Examples
    --------
    >>> import nndynbench
    >>> history = nndynbench.load("digits-lenet").history(100, budget=5)
    >>> features = nndynbench.features.layer_features(history.weights(5), history.weights(0), "digits-lenet")
    >>> features["distance_from_initial"].min() > 0
    np.True_
    """
    layers = architecture(name).weighted_layers
    tensors = {layer.name: np.asarray(layer_weight(weights, layer), dtype=np.float64) for layer in layers}
    # Rieck et al. scale by the largest absolute weight of the whole network, so that layers stay comparable.
    largest = float(np.max([np.abs(tensor).max() for tensor in tensors.values()]))
    rows = []
    for layer in layers:
        tensor = tensors[layer.name]
        bias = layer_bias(weights, layer)
        rows.append(
            [
                *weight_statistics(tensor),
                *weight_statistics(np.nan if bias is None else bias),
                *norms(tensor, layer_weight(initial, layer)),
                neural_persistence(tensor, largest=largest),
            ]
        )
    return pd.DataFrame(rows, columns=list(FEATURES), index=pd.Index([layer.name for layer in layers], name="layer"))


__all__ = ["FEATURES", "NORMS", "STATISTICS", "layer_features", "neural_persistence", "norms", "weight_statistics"]
