"""Controls: what is left of a graph method when the graph is taken away. Each is a forest, like degree-forest."""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline

import nndynbench as nb


def signature(centrality: str, **which: Any) -> Callable[[nb.History], dict[str, float]]:
    """One of the stored signatures: of the weights permuted within each layer, or of epoch 0, before any training."""

    def columns(history: nb.History) -> dict[str, float]:
        values = history.signature(centrality, **which)
        return {str(position): value for position, value in enumerate(np.ravel(values))}

    return columns


def layer_norms(history: nb.History) -> dict[str, float]:
    """One number per layer and epoch: the L2 norm of the layer's weights."""
    # An index of pairs, which pandas' types do not know.
    return {f"{layer} {epoch}": value for (epoch, layer), value in history.features["l2_norm"].items()}  # type: ignore[misc, has-type]


def control(
    description: str, source: str, columns: Callable[[nb.History], dict[str, float]], *, control_of: str = ""
) -> nb.Method:
    prepared = (nb.Columns([columns]), SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True))
    return nb.Method(
        description=f"control: {description}, forest of randomised trees",
        source=source,
        role="control",
        control_of=control_of,
        reads={"weights"},
        classifier=make_pipeline(*prepared, ExtraTreesClassifier(50, max_features=0.5)),
        regressor=make_pipeline(*prepared, ExtraTreesRegressor(50, max_features=0.5)),
    )


SHUFFLING = "Girrbach et al. 2023, arXiv 2307.10865"

SHUFFLED = {"representation": "rolled-shuffled"}
EPOCH_0 = {"epochs": [0]}

METHODS = {
    "control-shuffled-degree": control(
        "degree signatures of shuffled weights", SHUFFLING, signature("degree", **SHUFFLED), control_of="degree-forest"
    ),
    "control-shuffled-eigenvector": control(
        "eigenvector signatures of shuffled weights",
        SHUFFLING,
        signature("eigenvector", **SHUFFLED),
        control_of="eigenvector-forest",
    ),
    "control-epoch-0-degree": control(
        "degree signatures of the initialisation alone",
        "this benchmark",
        signature("degree", **EPOCH_0),
        control_of="degree-forest",
    ),
    "control-epoch-0-eigenvector": control(
        "eigenvector signatures of the initialisation alone",
        "this benchmark",
        signature("eigenvector", **EPOCH_0),
        control_of="eigenvector-forest",
    ),
    "control-epoch-0": control("all features of the initialisation alone", "this benchmark", nb.columns.initial_features),
    "control-layer-norms": control("the L2 norm of each layer", "this benchmark", layer_norms),
}
