"""A snapshot graph: layers of nodes, and a block of edge weights between each layer and the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nndynbench.arrays import RealArray
from nndynbench.centralities.degree import degree
from nndynbench.centralities.eigenvector import PrincipalPair, eigenvector_centrality, principal_pair
from nndynbench.centralities.inputs import as_block
from nndynbench.errors import NndynbenchError
from nndynbench.graphs.architecture import Layer
from nndynbench.graphs.operators import Block, Edges
from nndynbench.graphs.weights import WeightsLike, layer_bias, layer_weight, tensors
from nndynbench.names import check_name

if TYPE_CHECKING:
    import networkx
    import scipy.sparse
    from matplotlib.axes import Axes


# A graph whose layers do not fit on a line is shown with the number of its layers.
LONGEST_SIZES = 100

SIGNS = ("positive", "negative")


class NotRepresentableError(NndynbenchError, ValueError):
    """A network has a layer that the rolled graph cannot represent; the message names the layer and says why.

    Examples
    --------
    >>> import torch
    >>> from nndynbench.graphs import NotRepresentableError, from_module
    >>> try:
    ...     from_module(torch.nn.Conv2d(4, 4, 3, groups=2))
    ... except NotRepresentableError as error:
    ...     print(error)
    '0' is a conv of 2 groups: its filters do not see all channels
    """


class NodeTensors(NamedTuple):
    """The tensors of a layer's nodes: its weights (..., outputs, …), and its bias (..., outputs) if it has one."""

    weight: RealArray
    bias: RealArray | None


def node_tensors(
    weights: WeightsLike, layers: Sequence[Layer], *, stacked: bool = False, copy: bool
) -> dict[str, NodeTensors]:
    """Each layer's tensors, checked against the architecture; with ``copy``, in memory of their own."""
    found = tensors(weights)
    own = np.array if copy else np.asarray
    made = {}
    for layer in layers:
        weight, bias = layer_weight(found, layer, stacked=stacked), layer_bias(found, layer, stacked=stacked)
        made[layer.name] = NodeTensors(own(weight), None if bias is None else own(bias))
    return made


@dataclass(frozen=True, eq=False, repr=False)
class LayeredGraph:
    """An undirected weighted graph whose edges run between consecutive layers only.

    ``blocks[l]`` holds the edge weights from ``layers[l]`` to ``layers[l + 1]``, shape (n_out, n_in). A block is a dense
    array (in the rolled graph, and for fully connected layers) or an operator that never writes its matrix out (for convs
    and pools of the unrolled graph). Nodes are numbered layer after layer. Every pair in a dense block counts as an edge,
    even if its weight is 0.

    Dense blocks with further axes in front, the same for all blocks, are a stack of graphs. Their centralities are computed
    side by side, and have the same axes in front. Methods that need the edges of a single graph raise an error.

    ``tensors`` are the weights that the graph was made from; `node_attributes` reads them. A graph made only from blocks has
    none. ``sign`` is that of a `subgraph`, None for a whole graph.

    Examples
    --------
    >>> import numpy as np
    >>> from nndynbench.graphs import LayeredGraph
    >>> graph = LayeredGraph((np.array([[1.0, 2.0]]),), ("input", "output"))
    >>> graph.degree()
    array([1., 2., 3.])
    >>> graph
    LayeredGraph(input 2 -> output 1: 3 nodes, 2 edges)
    """

    blocks: tuple[Block, ...]
    layers: tuple[str, ...]
    tensors: Mapping[str, NodeTensors] | None = field(default=None, repr=False)
    sign: str | None = field(default=None, repr=False)
    layer_sizes: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple(self.layers))
        if len(set(self.layers)) < len(self.layers):
            raise ValueError(f"each layer needs a name of its own, not {', '.join(map(str, self.layers))}")
        if not self.blocks:
            raise ValueError("a layered graph needs a block or more")
        if len(self.blocks) != len(self.layers) - 1:
            raise ValueError(f"{len(self.blocks)} blocks need {len(self.blocks) + 1} layers, not {len(self.layers)}")
        object.__setattr__(self, "blocks", tuple(b if _is_floating(b) else as_block(b) for b in self.blocks))
        sizes = (self.blocks[0].shape[-1], *(block.shape[-2] for block in self.blocks))
        for name, size, block in zip(self.layers[1:], sizes[:-1], self.blocks, strict=True):
            if block.shape[-1] != size:
                raise ValueError(f"block {name!r} has input size {block.shape[-1]}, but the layer before it has size {size}")
            if block.shape[:-2] != self.stack:
                raise ValueError(f"block {name!r} stacks {block.shape[:-2]} graphs, but the first block {self.stack}")
        object.__setattr__(self, "layer_sizes", sizes)

    def __repr__(self) -> str:
        sizes = " -> ".join(f"{layer} {size}" for layer, size in zip(self.layers, self.layer_sizes, strict=True))
        of = f"{self.stack} graphs of " if self.stack else ""
        sign = f", {self.sign} subgraph" if self.sign else ""
        shown = sizes if len(sizes) <= LONGEST_SIZES else f"{len(self.layers)} layers"
        return f"LayeredGraph({shown}: {of}{self.number_of_nodes:,} nodes, {self.number_of_edges:,} edges{sign})"

    def _repr_html_(self) -> str:
        from nndynbench.cards import html_card

        facts = {"nodes": f"{self.number_of_nodes:,}", "edges": f"{self.number_of_edges:,}"}
        facts |= {"stack": str(self.stack)} if self.stack else {}
        facts |= {"sign": self.sign} if self.sign else {}
        layers = [{"layer": layer, "nodes": str(size)} for layer, size in zip(self.layers, self.layer_sizes, strict=True)]
        return html_card("LayeredGraph", facts, layers)

    def plot(self, *, centrality: str = "degree", ax: Axes | None = None) -> Axes:
        """Plot the layers as columns, with nodes sized by a centrality and edges by their weight (red: negative).

        The matplotlib axes are those given, or a new figure's; returns them. Of a large graph, only the most central nodes
        and the heaviest edges are shown.
        """
        from nndynbench.drawing import draw_graph

        return draw_graph(self, centrality=centrality, ax=ax)

    @property
    def stack(self) -> tuple[int, ...]:
        """The shape of a stack of graphs; () for a single graph."""
        return self.blocks[0].shape[:-2]

    @property
    def number_of_nodes(self) -> int:
        return sum(self.layer_sizes)

    @property
    def number_of_edges(self) -> int:
        """The number of edges; for a `subgraph`, that of the whole graph."""
        return sum(b.shape[-1] * b.shape[-2] if isinstance(b, np.ndarray) else b.number_of_edges for b in self.blocks)

    @property
    def node_names(self) -> list[str]:
        """``conv1/0``, ``conv1/1``, …: the layer's name and the node's position in it."""
        return [f"{layer}/{i}" for layer, size in zip(self.layers, self.layer_sizes, strict=True) for i in range(size)]

    def nodes(self, layer: str) -> range:
        """The numbers of a layer's nodes."""
        position = self._position(layer)
        start = sum(self.layer_sizes[:position])
        return range(start, start + self.layer_sizes[position])

    def node_attributes(self, layer: str) -> RealArray:
        """The attributes of a layer's nodes (paper, section 3.1), shape (..., nodes, values).

        A row is the node's flattened filter or incoming weights, then its bias, if the layer has one. In the unrolled graph,
        every position of a filter has the filter's values. Input and pooling layers have no values.

        Raises
        ------
        ValueError
            For a graph that was made only from blocks, such as one read from the `graphs` tier.
        """
        nodes = self.layer_sizes[self._position(layer)]
        if self.tensors is None:
            raise ValueError("a graph made only from blocks has no node attributes: build it from the snapshot's weights")
        if layer not in self.tensors:
            return np.empty((*self.stack, nodes, 0), np.float32)
        weight, bias = self.tensors[layer]
        outputs = weight.shape[len(self.stack)]
        values = weight.reshape(*self.stack, outputs, -1)
        if bias is not None:
            values = np.concatenate([values, bias[..., None]], axis=-1)
        return np.repeat(values, nodes // outputs, axis=-2)

    def degree(self) -> npt.NDArray[np.float64]:
        """Weighted degree of every node, shape (..., nodes)."""
        return degree(self.blocks)

    def eigenvector_centrality(self) -> RealArray:
        """Eigenvector centrality of every node, shape (..., nodes); see `nndynbench.centralities.eigenvector_centrality`."""
        return eigenvector_centrality(self.blocks)

    def principal_pair(self) -> PrincipalPair:
        """The largest eigenvalue, its eigenvector and their residual; see `nndynbench.centralities.principal_pair`."""
        return principal_pair(self.blocks)

    def subgraph(self, sign: str) -> LayeredGraph:
        """The subgraph of the edges of one sign, "positive" or "negative", with absolute weights, on the same nodes.

        Its blocks have the shapes of the whole graph's, with 0 for edges of the other sign. `edges` and conversions leave
        these out.
        """
        factor = 1 if check_name(sign, SIGNS, what="sign") == "positive" else -1
        parts = (np.maximum(factor * b, 0) if isinstance(b, np.ndarray) else b.subgraph(sign) for b in self.blocks)
        return replace(self, blocks=tuple(parts), sign=sign)

    def edges(self) -> Edges:
        """Every edge once, between a node of a later layer (``ends``) and one of the layer before it (``starts``).

        A whole graph's edges may have weight 0; a subgraph's do not.
        """
        if self.stack:
            raise ValueError(f"a stack of {self.stack} graphs has no single list of edges: build one snapshot's graph")
        first = np.concatenate([[0], np.cumsum(self.layer_sizes)])
        parts = [_dense_edges(block) if isinstance(block, np.ndarray) else block.edges() for block in self.blocks]
        edges = Edges(
            np.concatenate([part.ends + first[position + 1] for position, part in enumerate(parts)]),
            np.concatenate([part.starts + first[position] for position, part in enumerate(parts)]),
            np.concatenate([part.weights for part in parts]),
        )
        if self.sign is None:
            return edges
        kept = edges.weights != 0  # NaN is of neither sign, and stays
        return Edges(edges.ends[kept], edges.starts[kept], edges.weights[kept])

    def to_scipy(self) -> scipy.sparse.csr_array:
        """The symmetric adjacency matrix, (nodes, nodes); edges of weight 0 are stored zeros."""
        import scipy.sparse

        ends, starts, weights = self.edges()
        both_ways = (np.concatenate([ends, starts]), np.concatenate([starts, ends]))
        shape = (self.number_of_nodes, self.number_of_nodes)
        return scipy.sparse.coo_array((np.concatenate([weights, weights]), both_ways), shape=shape).tocsr()

    def to_networkx(self, *, attributes: bool = False) -> networkx.Graph[int]:
        """A networkx graph: nodes are numbered as here and carry ``layer`` and ``name``; edges carry ``weight``.

        All of these are plain Python values, so that the graph can be written as GraphML, GEXF, GML and node-link JSON.
        ``attributes`` adds each node's attributes (see `node_attributes`) as single numbers: ``attribute_0``, ….
        """
        import networkx

        graph: networkx.Graph[int] = networkx.Graph()
        names = self.node_names
        for layer in self.layers:
            graph.add_nodes_from((node, {"layer": str(layer), "name": names[node]}) for node in self.nodes(layer))
            if attributes:
                for node, values in zip(self.nodes(layer), self.node_attributes(layer).tolist(), strict=True):
                    graph.nodes[node].update({f"attribute_{i}": float(value) for i, value in enumerate(values)})
        ends, starts, weights = self.edges()
        edges = zip(ends.tolist(), starts.tolist(), weights.astype(np.float64).tolist(), strict=True)
        graph.add_weighted_edges_from(edges)
        return graph

    def to_torch_geometric(self) -> Any:
        """A `torch_geometric.data.Data` of the undirected graph. ``edge_index`` and ``edge_weight`` have every edge in both
        directions, and ``x`` has the nodes' features; numbers are float32.

        ``x`` has the node attributes, with each row padded with zeros to the length of the longest. For a graph made only
        from blocks, which has no attributes, ``x`` has the weighted degree, (nodes, 1). ``layer`` is the position of each
        node's layer, ``layers`` are the names of the layers.

        Raises
        ------
        ImportError
            If torch-geometric is not installed; nothing else here needs it.
        """
        try:
            import torch
            from torch_geometric.data import Data
        except ImportError as missing:
            raise ImportError("to_torch_geometric needs torch-geometric: pip install torch-geometric") from missing
        edges = self.edges()
        ends, starts = (torch.from_numpy(np.ascontiguousarray(part, dtype=np.int64)) for part in edges[:2])
        weights = torch.from_numpy(edges.weights.astype(np.float32))
        features = self.degree()[:, None].astype(np.float32) if self.tensors is None else self._padded_attributes()
        return Data(
            x=torch.from_numpy(features),
            edge_index=torch.stack([torch.cat([starts, ends]), torch.cat([ends, starts])]),
            edge_weight=torch.cat([weights, weights]),
            layer=torch.from_numpy(np.repeat(np.arange(len(self.layers)), self.layer_sizes)),
            layers=self.layers,
            num_nodes=self.number_of_nodes,
        )

    def _padded_attributes(self) -> npt.NDArray[np.float32]:
        attributes = [self.node_attributes(layer) for layer in self.layers]
        padded = np.zeros((self.number_of_nodes, max(part.shape[1] for part in attributes)), np.float32)
        for layer, part in zip(self.layers, attributes, strict=True):
            padded[self.nodes(layer), : part.shape[1]] = part
        return padded

    def _position(self, layer: str) -> int:
        return self.layers.index(check_name(layer, self.layers, what="layer"))


def _is_floating(block: object) -> bool:
    """Whether it is an array of floating-point numbers, which stay in their precision."""
    return isinstance(block, np.ndarray) and block.ndim >= 2 and block.dtype.kind == "f"


def _dense_edges(block: RealArray) -> Edges:
    ends, starts = np.indices(block.shape)
    return Edges(ends.ravel(), starts.ravel(), block.ravel())
