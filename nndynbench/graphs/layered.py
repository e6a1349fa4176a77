"""A snapshot graph: layers of nodes, and a block of edge weights between each layer and the next."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from nndynbench.centralities.degree import degree
from nndynbench.centralities.eigenvector import eigenvector_centrality

if TYPE_CHECKING:
    import networkx
    import scipy.sparse

    from nndynbench.graphs.operators import EdgeOperator

Block: TypeAlias = "npt.NDArray[np.float64] | EdgeOperator"


@dataclass(frozen=True)
class LayeredGraph:
    """An undirected weighted graph whose edges run between consecutive layers only.

    ``blocks[l]`` holds the edge weights from ``layers[l]`` to ``layers[l + 1]``, shape (n_out, n_in): a dense array (the
    rolled graph, fully connected layers) or an operator that never writes its matrix out (the unrolled graph's convs and
    pools). Nodes are numbered layer after layer. Every pair within a dense block counts as an edge, also one of weight 0.
    """

    blocks: tuple[Block, ...]
    layers: tuple[str, ...]
    layer_sizes: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        sizes = (self.blocks[0].shape[-1], *(block.shape[-2] for block in self.blocks))
        for name, size, block in zip(self.layers[1:], sizes[:-1], self.blocks, strict=True):
            if block.shape[-1] != size:
                raise ValueError(f"block {name!r} has {block.shape[-1]} inputs, the layer before it {size} nodes")
        object.__setattr__(self, "layer_sizes", sizes)

    @property
    def number_of_nodes(self) -> int:
        return sum(self.layer_sizes)

    @property
    def number_of_edges(self) -> int:
        return sum(b.shape[-1] * b.shape[-2] if isinstance(b, np.ndarray) else b.number_of_edges for b in self.blocks)

    @property
    def node_names(self) -> list[str]:
        """``conv1/0``, ``conv1/1``, …: the layer's name and the node's position in it."""
        return [
            f"{layer}/{i}" for layer, size in zip(self.layers, self.layer_sizes, strict=True) for i in range(size)
        ]

    def degree(self) -> npt.NDArray[np.float64]:
        """Weighted degree of every node, shape (nodes,)."""
        return degree(self.blocks)

    def eigenvector_centrality(self) -> npt.NDArray[np.float64]:
        """Eigenvector centrality of every node, shape (nodes,); see `nndynbench.centralities.eigenvector_centrality`."""
        return eigenvector_centrality(self.blocks)

    def subgraph(self, sign: str) -> LayeredGraph:
        """The graph of the edges of one sign, "positive" or "negative", with absolute weights, on the same nodes."""
        if sign not in ("positive", "negative"):
            raise ValueError(f"sign must be 'positive' or 'negative', not {sign!r}")
        factor = 1.0 if sign == "positive" else -1.0
        parts = (np.maximum(factor * b, 0) if isinstance(b, np.ndarray) else b.subgraph(sign) for b in self.blocks)
        return LayeredGraph(blocks=tuple(parts), layers=self.layers)

    def to_scipy(self) -> scipy.sparse.csr_array:
        """The symmetric adjacency matrix, (nodes, nodes)."""
        import scipy.sparse

        starts = np.concatenate([[0], np.cumsum(self.layer_sizes)])
        rows, columns, values = [], [], []
        for position, block in enumerate(self.blocks):
            part = scipy.sparse.coo_array(block) if isinstance(block, np.ndarray) else block.to_scipy().tocoo()
            rows.append(part.coords[0] + starts[position + 1])
            columns.append(part.coords[1] + starts[position])
            values.append(part.data)
        row, column, value = np.concatenate(rows), np.concatenate(columns), np.concatenate(values)
        shape = (self.number_of_nodes, self.number_of_nodes)
        lower = scipy.sparse.coo_array((value, (row, column)), shape=shape)
        return (lower + lower.T).tocsr()

    def to_networkx(self) -> networkx.Graph:
        """A networkx graph; nodes are numbered as here and carry ``layer`` and ``name``, edges carry ``weight``."""
        import networkx

        graph = networkx.Graph()
        layer_of = np.repeat(self.layers, self.layer_sizes)
        names = self.node_names
        graph.add_nodes_from((i, {"layer": str(layer_of[i]), "name": names[i]}) for i in range(self.number_of_nodes))
        adjacency = self.to_scipy().tocoo()
        upper = adjacency.coords[0] < adjacency.coords[1]
        rows, columns = (c[upper].tolist() for c in adjacency.coords)
        graph.add_weighted_edges_from(zip(rows, columns, adjacency.data[upper].tolist(), strict=True))
        return graph
