"""The rolled graph (paper, section 3.1): a node per input channel, conv filter and fully connected unit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate, pairwise

import numpy as np
import numpy.typing as npt

from nndynbench.arrays import RealArray
from nndynbench.graphs.architecture import Architecture, architecture
from nndynbench.graphs.layered import LayeredGraph, NotRepresentableError, node_tensors
from nndynbench.graphs.norms import row_norms
from nndynbench.graphs.weights import WeightsLike


def rolled(
    weights: WeightsLike, name: str | Architecture, *, dtype: npt.DTypeLike = np.float64, copy: bool = True
) -> LayeredGraph:
    """Turn a snapshot's weights into its rolled graph.

    The weight of the edge between a conv filter and one of its input channels is the L2 norm of the k×k slice between them;
    between fully connected units it is |w|. For the first fully connected layer after a conv, it is the L2 norm over all
    positions of a channel. Biases, batch norm and shortcuts are not edges.

    ``weights`` are tensors by the architecture's names (also a torch state dict) or a torch module. Tensors with further
    axes in front, the same for all, stack snapshots into a graph whose blocks are stacks. ``dtype`` is the type of the
    blocks; norms are summed in float64 in any case. Node attributes are read from a copy of the weights, so that training
    may go on. ``copy=False`` shares memory with the weights, which then must not be changed.

    Raises
    ------
    ValueError
        If a layer's weights are missing, or have another shape than the architecture's; names the tensor.
    NotRepresentableError
        For a network whose description says that its weights are not a graph, with the reason.

    Examples
    --------
    >>> from nndynbench import graphs
    >>> graphs.rolled(graphs.random_weights("cifar10-vgg", seed=0), "cifar10-vgg").number_of_nodes
    1613
    """
    described = architecture(name)
    if described.no_graph is not None:
        raise NotRepresentableError(described.no_graph)
    layers = described.weighted_layers
    tensors = node_tensors(weights, layers, stacked=True, copy=copy)
    slices = [slices_between(tensors[layer.name].weight, layer.weight_shape, layer.input_shape[0]) for layer in layers]
    return LayeredGraph(rolled_blocks(slices, dtype=dtype), (described.input_layer, *tensors), tensors=tensors)


def slices_between(weight: RealArray, shape: tuple[int, ...], inputs: int) -> RealArray:
    """The weights between each output and each of the ``inputs`` (channels, or units), (..., outputs, inputs, weights), in
    one layer's tensor of ``shape`` (outputs, …), or in a stack of such tensors.
    """
    stack = weight.shape[: weight.ndim - len(shape)]
    return weight.reshape(*stack, shape[0], inputs, -1)


def rolled_blocks(slices: Sequence[RealArray], *, dtype: npt.DTypeLike = np.float64) -> tuple[RealArray, ...]:
    """Each layer's block (..., outputs, inputs): L2 norms of its slices.

    One array holds all blocks: in a deep network, many small arrays would take thousands of pages of memory.
    """
    shapes = [between.shape[:-1] for between in slices]
    places = [slice(*ends) for ends in pairwise(accumulate(map(math.prod, shapes), initial=0))]
    room = np.empty(places[-1].stop, dtype)
    blocks = tuple(room[place].reshape(shape) for place, shape in zip(places, shapes, strict=True))
    for block, between in zip(blocks, slices, strict=True):
        if between.shape[-1] == 1:
            np.abs(between[..., 0], out=block)
        else:
            row_norms(between.reshape(-1, between.shape[-1]), out=block.reshape(-1))
    return blocks
