"""Numbers per layer, and whole-graph signatures beside them, all with one learner: a forest of randomised trees."""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline

import nndynbench as nb


def per_layer_degree(history: nb.History) -> dict[str, float]:
    """The degree signature of each layer's nodes alone, at every epoch."""
    degrees = history.centrality("degree")
    ends = np.cumsum(list(history.layer_sizes.values()))
    moments = [nb.centralities.moments(layer) for layer in np.split(degrees, ends[:-1], axis=1)]
    return numbered(moments)


def whole_graph(centrality: str) -> Callable[[nb.History], dict[str, float]]:
    return lambda history: numbered([history.signature(centrality)])


def at_every_epoch(*features: str) -> Callable[[nb.History], dict[str, float]]:
    """Some features of each layer at every kept epoch up to the budget."""

    def columns(history: nb.History) -> dict[str, float]:
        table = history.features[list(features)]
        names = [f"{feature} {layer} {epoch}" for epoch, layer in table.index for feature in features]
        return dict(zip(names, table.to_numpy().ravel(), strict=True))

    return columns


def numbered(values: Any) -> dict[str, float]:
    return {str(position): value for position, value in enumerate(np.ravel(values))}


def forest(description: str, source: str, columns: Callable[[nb.History], dict[str, float]]) -> nb.Method:
    prepared = (nb.Columns([columns]), SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True))
    return nb.Method(
        description=f"{description}, forest of randomised trees",
        source=source,
        reads={"weights"},
        classifier=make_pipeline(*prepared, ExtraTreesClassifier(50, max_features=0.5)),
        regressor=make_pipeline(*prepared, ExtraTreesRegressor(50, max_features=0.5)),
    )


PAPER = "Vahedian et al. 2021, arXiv 2111.05410"

METHODS = {
    "degree-forest": forest("degree signatures of the rolled graph", f"{PAPER}, another learner", whole_graph("degree")),
    "eigenvector-forest": forest(
        "eigenvector signatures of the rolled graph", f"{PAPER}, another learner", whole_graph("eigenvector")
    ),
    "per-layer-degree": forest("degree signatures of each layer", f"{PAPER}, layer by layer", per_layer_degree),
    "neural-persistence": forest(
        "neural persistence of each layer", "Rieck et al. 2019, arXiv 1812.09764", at_every_epoch("neural_persistence")
    ),
    "norms": forest(
        "spectral norm and stable rank of each layer",
        "Neyshabur et al. 2018, arXiv 1707.09564; Sanyal et al. 2020, arXiv 1906.04659",
        at_every_epoch("spectral_norm", "stable_rank"),
    ),
}
