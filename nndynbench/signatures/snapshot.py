"""Snapshot signatures: five moments of a centrality over all nodes of a snapshot's graph (paper, section 3.2, S2).

`stored_signatures` lists the signatures that every subset keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from nndynbench.arrays import FloatArray
from nndynbench.centralities import degree, eigenvector_centrality
from nndynbench.centralities import moments as five_moments
from nndynbench.graphs.architecture import Architecture, architecture
from nndynbench.graphs.layered import SIGNS as SIGNS
from nndynbench.graphs.layered import LayeredGraph
from nndynbench.graphs.rolled import rolled
from nndynbench.graphs.unrolled import has_unrolled_graph as has_unrolled_graph
from nndynbench.graphs.unrolled import unrolled
from nndynbench.graphs.weights import layer_weight
from nndynbench.names import check_name, first_of, name_of
from nndynbench.signatures.returned import vector_of

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
        signatures[key] = five_moments(CENTRALITIES[key.centrality](graphs[kind].blocks))
    return signatures


def check_moments(moments: object, centrality: str | NodeFunction) -> None:
    """Raise ValueError unless ``moments`` is True, False or None, as for `Signature`, and not False for a named centrality.

    Examples
    --------
    >>> from nndynbench.signatures import check_moments
    >>> check_moments(False, "degree")
    Traceback (most recent call last):
    ...
    ValueError: the signature 'degree' is five moments: for its values, give a function, such as lambda graph: graph.degree()
    """
    if moments is not None and not isinstance(moments, bool):
        raise ValueError(f"moments must be True, False or None, not {moments!r}")
    if moments is False and not callable(centrality):
        values = "graph.degree()" if centrality == "degree" else "graph.eigenvector_centrality()"
        raise ValueError(
            f"the signature {centrality!r} is five moments: for its values, give a function, such as lambda graph: {values}"
        )


def stacked(values: Sequence[FloatArray], *, of: str | NodeFunction = "the function") -> FloatArray:
    """Signatures side by side as one array; errors name the function that they are ``of``.

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
        name = name_of(of) if callable(of) else of
        raise ValueError(
            f"signatures of different lengths ({first_of(sorted(lengths), 5)}): {name} must return the same number of "
            "values for every graph, or be summarised: Signature(…, moments=True)"
        )
    return np.stack(values)


def function_signature(function: NodeFunction, graph: LayeredGraph, *, moments: bool | None = None) -> FloatArray:
    """The signature of one snapshot's graph by a user's function, which returns a vector or a number.

    With ``moments=True`` it is the five moments of the values, with False the values as they are. By default it is the
    moments if there are exactly as many values as the graph has nodes, whatever they stand for; else the values.

    Raises
    ------
    ValueError
        If the function returns neither a vector nor a number, saying what to write instead.

    Examples
    --------
    >>> import nndynbench
    >>> graph = nndynbench.load("digits-lenet").history(100, budget=5).graph(5)
    >>> degree = nndynbench.centralities.degree
    >>> nndynbench.signatures.function_signature(degree, graph).shape  # of one value per node
    (5,)
    >>> nndynbench.signatures.function_signature(degree, graph, moments=False).shape
    (51,)
    """
    values = vector_of(function, function(graph))
    summarised = len(values) == graph.number_of_nodes if moments is None else moments
    return five_moments(values) if summarised else values
