"""Features of each snapshot's rolled graph that network science suggests, all with one learner.

They are spectra of the blocks between layers, features of nodes as in NetSimile, and shortest paths from inputs to outputs.
240 or 480 networks are enough for a forest on these few columns, but too few to learn such features from.
"""

from collections.abc import Callable

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline

import nndynbench as nb

WIDE = 20  # from so many singular values on, a tail has an exponent worth the name
TINY = 1e-12


def spectra(graph: nb.graphs.LayeredGraph) -> np.ndarray:
    """For each block: the logarithm of its spectral norm, its stable rank, the entropy of its squared singular values (1 if
    all are equal), and if it has 20 or more of them, the exponent of their upper half (Hill's estimate).
    """
    return np.concatenate([spectrum(np.asarray(block)) for block in graph.blocks])


def spectrum(block: np.ndarray) -> np.ndarray:
    wide = min(block.shape) >= WIDE
    if not np.isfinite(block).all():
        return np.full(3 + wide, np.nan)
    values = np.linalg.svd(block, compute_uv=False) ** 2
    shares = values / max(values.sum(), TINY)
    entropy = -np.sum(shares * np.log(shares + TINY)) / np.log(max(len(values), 2))
    found = [np.log(values[0] + TINY) / 2, values.sum() / max(values[0], TINY), entropy]
    return np.array([*found, *([tail_exponent(values)] if wide else [])])


def tail_exponent(values: np.ndarray) -> float:
    """The exponent α of a power law p(x) ~ x^-α through the upper half of values in descending order (Hill 1975)."""
    upper = np.maximum(values[: len(values) // 2], TINY)
    return 1 + len(upper) / max(np.sum(np.log(upper / upper[-1])), TINY)


def node_features(graph: nb.graphs.LayeredGraph) -> np.ndarray:
    """Median, mean, deviation, skewness and kurtosis over nodes of three features: a node's strength; its neighbours'
    strength, averaged by the weights of the edges to them; and its effective number of neighbours, (Σw)² / Σw².

    NetSimile's other features count triangles, of which a layered graph has none.
    """
    blocks = [np.asarray(block, dtype=np.float64) for block in graph.blocks]
    below = [np.zeros(blocks[0].shape[1]), *(block.sum(axis=1) for block in blocks)]
    above = [*(block.sum(axis=0) for block in blocks), np.zeros(blocks[-1].shape[0])]
    strength = [low + high for low, high in zip(below, above, strict=True)]
    neighbours, squares = [np.zeros_like(s) for s in strength], [np.zeros_like(s) for s in strength]
    for layer, block in enumerate(blocks):
        neighbours[layer + 1] += block @ strength[layer]
        neighbours[layer] += block.T @ strength[layer + 1]
        squares[layer + 1] += np.sum(block**2, axis=1)
        squares[layer] += np.sum(block**2, axis=0)
    whole = np.maximum(np.concatenate(strength), TINY)
    features = [whole, np.concatenate(neighbours) / whole, whole**2 / np.maximum(np.concatenate(squares), TINY)]
    return np.concatenate([nb.centralities.moments(feature[None])[0] for feature in features])


def path_lengths(graph: nb.graphs.LayeredGraph) -> np.ndarray:
    """Logarithms of four numbers: the minimum, mean and maximum length of the shortest paths from each input to each output,
    where an edge has the length 1 / weight, and the product of weights along the heaviest path.
    """
    lengths, products = np.zeros((1, 1)), np.zeros((1, 1))
    for block in graph.blocks:
        weights = np.maximum(np.asarray(block, dtype=np.float64), TINY)
        if not np.isfinite(weights).all():
            return np.full(4, np.nan)
        if lengths.size == 1:
            lengths, products = 1 / weights, np.log(weights)
            continue
        # (to, through, from): the best way through each layer in between.
        lengths = np.min((1 / weights)[:, :, None] + lengths[None], axis=1)
        products = np.max(np.log(weights)[:, :, None] + products[None], axis=1)
    return np.array([np.log(lengths.min()), np.log(lengths.mean()), np.log(lengths.max()), products.max()])


def forest(description: str, source: str, function: Callable[[nb.graphs.LayeredGraph], np.ndarray]) -> nb.Method:
    prepared = (nb.Signature(function), SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True))
    return nb.Method(
        description=f"{description}, at every epoch, forest of randomised trees",
        source=source,
        reads={"weights"},
        classifier=make_pipeline(*prepared, ExtraTreesClassifier(50, max_features=0.5)),
        regressor=make_pipeline(*prepared, ExtraTreesRegressor(50, max_features=0.5)),
    )


METHODS = {
    "spectra": forest(
        "spectral norm, stable rank, entropy and tail exponent of each block of the rolled graph",
        "Martin, Peng & Mahoney 2021, arXiv 2002.06716; Sanyal et al. 2020, arXiv 1906.04659",
        spectra,
    ),
    "netsimile": forest(
        "moments of node features of the rolled graph, after NetSimile",
        "Berlingerio et al. 2012, arXiv 1209.2684",
        node_features,
    ),
    "path-lengths": forest(
        "shortest and heaviest paths from inputs to outputs of the rolled graph",
        "Latora & Marchiori 2001, arXiv cond-mat/0101396: paths through weights",
        path_lengths,
    ),
}
