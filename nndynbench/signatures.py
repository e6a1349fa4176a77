"""Signatures: from the node values of snapshots to one vector per history (paper, section 3.2, S2 and S3).

A snapshot signature is five moments of a centrality over all nodes. `stored_signatures` lists those that every subset
keeps; `Signature` is the scikit-learn transformer from histories to temporal signatures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeAlias

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, TransformerMixin

from nndynbench.centralities import degree, eigenvector_centrality, moments
from nndynbench.graphs.architecture import Architecture, architecture
from nndynbench.graphs.layered import LayeredGraph
from nndynbench.graphs.rolled import rolled
from nndynbench.graphs.unrolled import unrolled
from nndynbench.graphs.weights import layer_weight
from nndynbench.names import known

if TYPE_CHECKING:
    from nndynbench.subsets.history import History

FloatArray = npt.NDArray[np.float64]
NodeFunction: TypeAlias = Callable[[LayeredGraph], npt.ArrayLike]

CENTRALITIES: dict[str, Callable[[Sequence[Any]], npt.NDArray[np.floating[Any]]]] = {
    "degree": degree,
    "eigenvector": eigenvector_centrality,
}
REPRESENTATIONS = ("rolled", "unrolled", "rolled-shuffled")
SIGNS = ("positive", "negative")
WEIGHTINGS = ("linear", "exponential")

# The control permutes every network's weights alike, so that it differs from `rolled` by the graph alone.
SHUFFLE_SEED = 0


class SnapshotSignature(NamedTuple):
    """Which centrality of which graph a signature summarises; ``sign`` is "" where the graph is not signed."""

    representation: str
    sign: str
    centrality: str


def stored_signatures(name: str | Architecture) -> list[SnapshotSignature]:
    """The signatures that a subset of this architecture stores; unrolled ones where the architecture has that graph."""
    kinds = [("rolled", ""), ("rolled-shuffled", "")]
    if has_unrolled_graph(name):
        kinds += [("unrolled", sign) for sign in SIGNS]
    return [SnapshotSignature(*kind, centrality) for kind in kinds for centrality in CENTRALITIES]


def has_unrolled_graph(name: str | Architecture) -> bool:
    """Whether `unrolled` represents the architecture: it does plain chains of convs, max-pools and dense layers."""
    plain = {"conv", "max-pool", "fc", "dropout"}
    return all(entry["kind"] in plain for entry in architecture(name).entries)


def snapshot_graph(weights: Mapping[str, npt.ArrayLike], name: str | Architecture, representation: str) -> LayeredGraph:
    """One snapshot's graph: "rolled", "unrolled" (signed), or the control "rolled-shuffled" (see `shuffled`)."""
    known(representation, REPRESENTATIONS, what="representation")
    if representation == "unrolled":
        return unrolled(weights, name)
    return rolled(shuffled(weights, name) if representation == "rolled-shuffled" else weights, name)


def shuffled(weights: Mapping[str, npt.ArrayLike], name: str | Architecture) -> dict[str, npt.ArrayLike]:
    """The weights permuted within each layer by a fixed seed: same values, no structure (Girrbach et al. 2023)."""
    permuted = dict(weights)
    for position, layer in enumerate(architecture(name).weighted_layers):
        order = np.random.default_rng([SHUFFLE_SEED, position]).permutation(int(np.prod(layer.weight_shape)))
        permuted[f"{layer.name}.weight"] = layer_weight(weights, layer).ravel()[order].reshape(layer.weight_shape)
    return permuted


def snapshot_signatures(
    weights: Mapping[str, npt.ArrayLike], name: str | Architecture
) -> dict[SnapshotSignature, FloatArray]:
    """Every stored signature of one snapshot, five moments each; NaN where weights are not finite."""
    graphs: dict[tuple[str, str], LayeredGraph] = {}
    signatures = {}
    for key in stored_signatures(name):
        kind = (key.representation, key.sign)
        if kind not in graphs:
            graph = snapshot_graph(weights, name, key.representation)
            graphs[kind] = graph.subgraph(key.sign) if key.sign else graph
        signatures[key] = moments(CENTRALITIES[key.centrality](graphs[kind].blocks))
    return signatures


def function_signature(function: NodeFunction, graph: LayeredGraph) -> FloatArray:
    """What a user's function says of one snapshot's graph: five moments of one value per node, any other vector as it is.

    Raises
    ------
    ValueError
        If the function returns no vector.
    """
    value = np.asarray(function(graph), dtype=np.float64)
    if value.ndim != 1:
        raise ValueError(f"a signature function must return a vector, not an array of shape {value.shape}")
    return moments(value) if len(value) == graph.number_of_nodes else value


def weighted(signatures: FloatArray, weighting: str | None, *, alpha: float = 0.5) -> FloatArray:
    """Redefine each epoch's signature by those up to it (paper, section 3.2, S3), (epochs, values) to the same shape.

    None keeps each as it is. "linear" is the average weighted by epoch, Σ j·s_j / Σ j over j ≤ τ. "exponential" is
    s_τ ← α·s_τ + (1 − α)·s_(τ−1), recursively, from s_1 as it is. NaN epochs make the later ones NaN.
    """
    if weighting is None:
        return signatures
    known(weighting, WEIGHTINGS, what="weighting")
    if weighting == "linear":
        steps = np.arange(1.0, len(signatures) + 1)[:, None]
        return np.cumsum(steps * signatures, axis=0) / np.cumsum(steps, axis=0)
    averaged = signatures.copy()
    for step in range(1, len(averaged)):
        averaged[step] = alpha * averaged[step] + (1 - alpha) * averaged[step - 1]
    return averaged


class Signature(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Histories to temporal signatures: a scikit-learn transformer from a sequence of histories to a matrix.

    Parameters
    ----------
    centrality
        "degree", "eigenvector", or any function of a `LayeredGraph`. A function that returns one value per node is
        summarised by the five moments; a vector of another length is taken as it is.
    representation
        "rolled", "unrolled" or "rolled-shuffled".
    sign
        Of the unrolled graph: "positive", "negative", or "pos-neg" for both signatures side by side.
    weighting, alpha
        None, "linear" or "exponential"; see `weighted`.
    concatenate
        True for the signatures of all epochs side by side (5·t values), False for the last one's alone.
    epochs
        Which snapshots up to the budget to use, such as ``[1, 5, 10]``; 0 is the initialisation. By default all after an
        epoch. Those beyond the budget are left out.

    Diverged networks have NaN from their divergence on: put an imputer behind it.
    """

    def __init__(
        self,
        centrality: str | NodeFunction = "degree",
        *,
        representation: str = "rolled",
        sign: str | None = None,
        weighting: str | None = None,
        alpha: float = 0.5,
        concatenate: bool = True,
        epochs: Sequence[int] | None = None,
    ) -> None:
        self.centrality = centrality
        self.representation = representation
        self.sign = sign
        self.weighting = weighting
        self.alpha = alpha
        self.concatenate = concatenate
        self.epochs = epochs

    def fit(self, X: Sequence[History], y: object = None) -> Self:
        """Nothing to learn; checks the parameters."""
        if not callable(self.centrality):
            known(self.centrality, CENTRALITIES, what="centrality")
        known(self.representation, REPRESENTATIONS, what="representation")
        if self.weighting is not None:
            known(self.weighting, WEIGHTINGS, what="weighting")
        return self

    def transform(self, X: Sequence[History]) -> FloatArray:
        """Shape (histories, values)."""
        return np.stack([self._temporal(history) for history in X])

    def _temporal(self, history: History) -> FloatArray:
        chosen = None if self.epochs is None else [epoch for epoch in self.epochs if 0 <= epoch <= history.epochs]
        if chosen == []:
            raise ValueError(f"none of the epochs {self.epochs} lies within the budget of {history.epochs}")
        signatures = history.signature(self.centrality, representation=self.representation, sign=self.sign, epochs=chosen)
        signatures = weighted(signatures, self.weighting, alpha=self.alpha)
        return signatures.ravel() if self.concatenate else signatures[-1]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.allow_nan = True
        tags.no_validation = True
        return tags


class SignedLogarithm(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """sign(x)·log(1 + |x|), value by value, for signatures of exploding networks, which span forty orders of magnitude."""

    def fit(self, X: npt.ArrayLike, y: object = None) -> Self:
        """Nothing to learn."""
        return self

    def transform(self, X: npt.ArrayLike) -> FloatArray:
        """The same shape."""
        values = np.asarray(X, dtype=np.float64)
        return np.asarray(np.sign(values) * np.log1p(np.abs(values)))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.allow_nan = True
        return tags
