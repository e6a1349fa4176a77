"""The unrolled graph (paper, section 2.3): a node per position of every layer, with signed edges; never written out."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nndynbench.graphs.architecture import Architecture, Layer, architecture
from nndynbench.graphs.layered import LayeredGraph, node_tensors
from nndynbench.graphs.operators import Block, ConvolutionEdges, EdgeOperator, PoolingEdges
from nndynbench.graphs.quirks import QuirkyConvolutionEdges, QuirkyPoolingEdges
from nndynbench.graphs.weights import WeightsLike

# The kinds of layers that have an unrolled form; dropout leaves no edge.
UNROLLED = frozenset({"conv", "max-pool", "fc", "dropout"})


def unrolled(
    weights: WeightsLike,
    name: str | Architecture,
    input_shape: tuple[int, int, int] | None = None,
    *,
    reference_quirks: bool = False,
    dtype: npt.DTypeLike = np.float64,
    copy: bool = True,
) -> LayeredGraph:
    """Turn a snapshot's weights into its unrolled graph.

    The nodes are all input pixel-channels, conv output positions, pooled positions and fully connected units. The weight of
    a conv edge is the signed filter weight, that of a fully connected edge the signed weight. The weight of a pooling edge
    is the smallest signed weight among the edges that enter the position it leaves (the reference code's rule). There are no
    edges to padding. ``.subgraph("positive")`` and ``.subgraph("negative")`` are the paper's G_pos and G_neg (appendix A.2).

    ``weights`` are tensors by the architecture's names (also a torch state dict) or a torch module. ``input_shape``
    (channels, height, width) is the architecture's by default. With ``reference_quirks``, the graph is the one that the
    paper's code builds, not the one that the paper describes: see `nndynbench.graphs.quirks`. ``dtype`` is the type of the
    edge weights. ``copy`` is as in `nndynbench.graphs.rolled`.

    Raises
    ------
    ValueError
        For an architecture with shortcuts or average pooling, naming the layer; and for weights that are missing, have the
        wrong shape, or do not fit ``input_shape``.

    Examples
    --------
    >>> from nndynbench import graphs
    >>> graph = graphs.unrolled(graphs.random_weights("cifar10-lenet", seed=0), "cifar10-lenet")
    >>> graph.number_of_nodes, graph.number_of_edges
    (11166, 658024)
    """
    described = architecture(name)
    if (entry := _not_unrolled(described)) is not None:
        raise ValueError(f"{described.name} has no unrolled graph: {entry['name']!r} is of kind {entry['kind']!r}")
    if input_shape is not None:
        described = described.with_input_shape(input_shape)
    layers = [layer for layer in described.layers if layer.kind != "dropout"]
    tensors = node_tensors(weights, described.weighted_layers, copy=copy)
    blocks: list[Block] = []
    for position, layer in enumerate(layers):
        if layer.kind == "max-pool":
            follower = layers[position + 1] if reference_quirks else None
            blocks.append(_pooling(layer, blocks[-1] if blocks else None, follower))
        else:
            weight = tensors[layer.name].weight.astype(dtype)
            convolution = QuirkyConvolutionEdges if reference_quirks else ConvolutionEdges
            blocks.append(convolution(layer, weight) if layer.kind == "conv" else weight)
    return LayeredGraph(tuple(blocks), (described.input_layer, *(layer.name for layer in layers)), tensors=tensors)


def has_unrolled_graph(name: str | Architecture) -> bool:
    """Whether `unrolled` can represent the architecture: only plain chains of convs, max-pools and dense layers.

    Examples
    --------
    >>> from nndynbench.graphs.unrolled import has_unrolled_graph
    >>> has_unrolled_graph("cifar10-lenet"), has_unrolled_graph("cifar10-resnet32")
    (True, False)
    """
    return _not_unrolled(architecture(name)) is None


def _not_unrolled(described: Architecture) -> dict[str, Any] | None:
    """The first entry that has no unrolled form; None if all have one."""
    return next((dict(entry) for entry in described.entries if entry["kind"] not in UNROLLED), None)


def _pooling(layer: Layer, before: Block | None, quirky_follower: Layer | None) -> PoolingEdges:
    if not isinstance(before, EdgeOperator):
        raise ValueError(f"{layer.name!r} has no unrolled graph: a pooling layer must follow a conv or a pooling layer")
    weight = before.smallest_incoming()
    if quirky_follower is not None and quirky_follower.kind != "fc":
        return QuirkyPoolingEdges(layer, weight)
    return PoolingEdges(layer, weight)
