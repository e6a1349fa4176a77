"""The unrolled graph (paper, section 2.3): a node per position of every layer, signed edges, never materialised."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from nndynbench.graphs.architecture import Architecture, architecture
from nndynbench.graphs.layered import Block, LayeredGraph
from nndynbench.graphs.operators import ConvolutionEdges, EdgeOperator, PoolingEdges
from nndynbench.graphs.rolled import layer_weight


def unrolled(weights: Mapping[str, npt.ArrayLike], name: str | Architecture) -> LayeredGraph:
    """Turn a snapshot's weights into its unrolled graph.

    Nodes are every input pixel-channel, conv output position, pooled position and fully connected unit. A conv edge weighs
    the signed filter weight, a fully connected one the signed weight. A pooling edge weighs the smallest signed weight
    among the edges that enter the position it leaves (the reference code's rule). There are no edges to padding. Take
    ``.subgraph("positive")`` or ``.subgraph("negative")`` for the paper's G_pos and G_neg (appendix A.2).

    Raises
    ------
    ValueError
        For an architecture with shortcuts or average pooling, naming the layer; for missing or misshapen weights.
    """
    described = architecture(name)
    blocks: list[Block] = []
    layers = ["input"]
    for entry in described.entries:
        if entry["kind"] in ("basic-blocks", "bottlenecks", "average-pool"):
            raise ValueError(f"{described.name} has no unrolled graph: {entry['name']!r} is of kind {entry['kind']!r}")
    for layer in described.layers:
        if layer.kind == "dropout":
            continue
        layers.append(layer.name)
        if layer.kind == "conv":
            blocks.append(ConvolutionEdges(layer, layer_weight(weights, layer).astype(np.float64)))
        elif layer.kind == "max-pool":
            blocks.append(PoolingEdges(layer, _smallest_incoming(blocks[-1])))
        else:
            blocks.append(layer_weight(weights, layer).astype(np.float64))
    return LayeredGraph(blocks=tuple(blocks), layers=tuple(layers))


def _smallest_incoming(block: Block) -> npt.NDArray[np.float64]:
    if isinstance(block, EdgeOperator):
        return block.smallest_incoming()
    raise ValueError("a pooling layer must follow a convolution or a pooling layer")
