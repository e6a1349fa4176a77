"""Snapshot signatures: five moments of a centrality over all nodes of a snapshot's graph (paper, section 3.2, S2).

`stored_signatures` lists the signatures that every subset keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from nndynbench.arrays import FloatArray, as_array
from nndynbench.centralities import degree, eigenvector_centrality, moments
from nndynbench.graphs.architecture import Architecture, architecture
from nndynbench.graphs.layered import SIGNS as SIGNS
from nndynbench.graphs.layered import LayeredGraph
from nndynbench.graphs.rolled import rolled
from nndynbench.graphs.unrolled import has_unrolled_graph as has_unrolled_graph
from nndynbench.graphs.unrolled import unrolled
from nndynbench.graphs.weights import layer_weight
from nndynbench.names import check_name

NodeFunction: TypeAlias = Callable[[LayeredGraph], npt.ArrayLike]

CENTRALITIES: dict[str, Callable[[Sequence[Any]], npt.NDArray[np.floating[Any]]]] = {
    "degree": degree,
    "eigenvector": eigenvector_centrality,
}
REPRESENTATIONS = ("rolled", "unrolled", "rolled-shuffled")
# The sign of the unrolled graph's signature: one subgraph, or both side by side.
SIGNATURE_SIGNS = (*SIGNS, "pos-neg")

# The control permutes every network's weights alike, so that it differs from `rolled` only by the graph.
SHUFFLE_SEED = 0


class SnapshotSignature(NamedTuple):
    """Which centrality of which graph a signature summarises; ``sign`` is "" if the graph is not signed.

    Examples
    --------
    >>> from nndynbench.signatures import SnapshotSignature
    >>> SnapshotSignature("unrolled", "positive", "degree").centrality
    'degree'
    """

    representation: str
    sign: str
    centrality: str


def stored_signatures(name: str | Architecture) -> list[SnapshotSignature]:
    """The signatures that a subset of this architecture stores; of the unrolled graph only if the architecture has one.

    Examples
    --------
    >>> from nndynbench.signatures import stored_signatures
    >>> len(stored_signatures("cifar10-lenet")), len(stored_signatures("cifar10-resnet32"))  # a ResNet has no unrolled graph
    (8, 4)
    """
    kinds = [("rolled", ""), ("rolled-shuffled", "")]
    if has_unrolled_graph(name):
        kinds += [("unrolled", sign) for sign in SIGNS]
    return [SnapshotSignature(*kind, centrality) for kind in kinds for centrality in CENTRALITIES]


def check_graph(representation: str, sign: str | None, *, signs: Sequence[str] = SIGNS) -> None:
    """Raise for a representation that does not exist, or for a sign that it does not have.

    Examples
    --------
    >>> from nndynbench.signatures import check_graph
    >>> check_graph("rolled", "positive")
    Traceback (most recent call last):
    ...
    ValueError: the rolled graph has no sign: leave sign='positive' out
    """
    check_name(representation, REPRESENTATIONS, what="representation")
    if sign is not None and representation != "unrolled":
        raise ValueError(f"the {representation} graph has no sign: leave sign={sign!r} out")
    if sign is not None:
        check_name(sign, signs, what="sign of the unrolled graph")


def snapshot_graph(weights: Mapping[str, npt.ArrayLike], name: str | Architecture, representation: str) -> LayeredGraph:
    """One snapshot's graph: "rolled", "unrolled" (signed), or the control "rolled-shuffled" (see `shuffled`).

    The graph shares memory with the weights, which must not be changed.

    Examples
    --------
    >>> import nndynbench
    >>> weights = nndynbench.load("digits-lenet").history(100, budget=5).weights(5)
    >>> graph = nndynbench.signatures.snapshot_graph(weights, "digits-lenet", "unrolled")
    >>> graph.subgraph("positive").number_of_nodes == graph.number_of_nodes
    True
    """
    check_name(representation, REPRESENTATIONS, what="representation")
    if representation == "unrolled":
        return unrolled(weights, name, copy=False)
    return rolled(shuffled(weights, name) if representation == "rolled-shuffled" else weights, name, copy=False)


def shuffled(weights: Mapping[str, npt.ArrayLike], name: str | Architecture) -> dict[str, npt.ArrayLike]:
    """The weights, permuted within each layer with a fixed seed: same values, no structure (Girrbach et al. 2023).

    Examples
    --------
    >>> import nndynbench
    >>> weights = nndynbench.load("digits-lenet").history(100, budget=5).weights(5)
    >>> permuted = nndynbench.signatures.shuffled(weights, "digits-lenet")["conv1.weight"]
    >>> bool((permuted != weights["conv1.weight"]).any()), sorted(permuted.flat) == sorted(weights["conv1.weight"].flat)
    (True, True)
    """
    permuted = dict(weights)
    for position, layer in enumerate(architecture(name).weighted_layers):
        order = np.random.default_rng([SHUFFLE_SEED, position]).permutation(int(np.prod(layer.weight_shape)))
        permuted[f"{layer.name}.weight"] = layer_weight(weights, layer).ravel()[order].reshape(layer.weight_shape)
    return permuted


def snapshot_signatures(
    weights: Mapping[str, npt.ArrayLike], name: str | Architecture
) -> dict[SnapshotSignature, FloatArray]:
    """All stored signatures of one snapshot, five moments each; NaN if weights are not finite.

    Examples
    --------
    >>> import nndynbench
    >>> weights = nndynbench.load("digits-lenet").history(100, budget=5).weights(5)
    >>> signatures = nndynbench.signatures.snapshot_signatures(weights, "digits-lenet")
    >>> signatures["rolled", "", "degree"].shape
    (5,)
    """
    graphs: dict[tuple[str, str], LayeredGraph] = {}
    signatures = {}
    for key in stored_signatures(name):
        kind = (key.representation, key.sign)
        if kind not in graphs:
            graph = snapshot_graph(weights, name, key.representation)
            graphs[kind] = graph.subgraph(key.sign) if key.sign else graph
        signatures[key] = moments(CENTRALITIES[key.centrality](graphs[kind].blocks))
    return signatures


def stacked(values: Sequence[FloatArray]) -> FloatArray:
    """Signatures side by side as one array.

    Raises
    ------
    ValueError
        If a user's function returned more values for one graph than for another.

    Examples
    --------
    >>> import numpy as np
    >>> from nndynbench.signatures import stacked
    >>> stacked([np.zeros(5), np.ones(5)]).shape
    (2, 5)
    """
    if len(lengths := {value.shape[-1] for value in values}) > 1:
        found = ", ".join(map(str, sorted(lengths)))
        raise ValueError(
            f"signatures of different lengths ({found}): a function must return the same number of values for every graph"
        )
    return np.stack(values)


def function_signature(function: NodeFunction, graph: LayeredGraph) -> FloatArray:
    """The signature of one snapshot's graph by a user's function. One value per node is summarised by its five moments; any
    other vector is taken as it is, and a number as a vector of length one.

    Raises
    ------
    ValueError
        If the function returns neither a vector nor a number.

    Examples
    --------
    >>> import nndynbench
    >>> graph = nndynbench.load("digits-lenet").history(100, budget=5).graph(5)
    >>> nndynbench.signatures.function_signature(nndynbench.centralities.degree, graph).shape  # of one value per node
    (5,)
    """
    try:
        value = np.asarray(as_array(function(graph)), dtype=np.float64)
    except TypeError as reason:
        raise ValueError(f"a signature function must return a vector of real numbers: {reason}") from reason
    value = np.atleast_1d(value)
    if value.ndim != 1 or not value.size:
        raise ValueError(f"a signature function must return a vector, or a number, not an array of shape {value.shape}")
    return moments(value) if len(value) == graph.number_of_nodes else value
