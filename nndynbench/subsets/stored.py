"""One network of a packed subset, as a history reads it: stored values first, else derived from a richer tier at hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from nndynbench.graphs import LayeredGraph, Weights, architecture
from nndynbench.names import known
from nndynbench.storage.computed import key_of, store_value, stored_value
from nndynbench.storage.manifest import TierName
from nndynbench.storage.places import NotAtHandError, to_download, to_regenerate
from nndynbench.subsets.history import Place

if TYPE_CHECKING:
    from nndynbench.graphs import Architecture
    from nndynbench.subsets.subset import Subset

FloatArray = npt.NDArray[np.float64]


class StoredNetwork:
    """Reads one network's data from its subset, for a history; knows what to repeat and what to leave NaN."""

    def __init__(self, subset: Subset, network: int) -> None:
        facts: Any = subset.networks.loc[network]
        self._subset = subset
        self._network = network
        self._last = int(facts["epochs_trained"])
        self._diverged = bool(facts["diverged"])
        self.described = self._architecture = architecture(subset.manifest.architecture)
        self.architecture = self._architecture.family
        self.identity: str | None = f"{subset.content} network {network}"
        layers = self._architecture.weighted_layers
        self.layer_sizes = {"input": layers[0].input_shape[0], **{layer.name: layer.output_shape[0] for layer in layers}}
        self.hyperparameters = {name: facts[name] for name in subset.manifest.hyperparameters}

    def curves(self, last: int) -> pd.DataFrame:
        return self._subset._own_rows("curves", self._network, last)

    def features(self, last: int) -> pd.DataFrame:
        return self._subset._own_rows("features", self._network, last)

    def weights(self, epoch: int) -> Weights:
        return dict(self._snapshot("weights", epoch))

    def graph(self, epoch: int, representation: str) -> LayeredGraph:
        return graph_of(*self.graph_source(epoch, representation), self._architecture, representation)

    def graph_source(self, epoch: int, representation: str) -> tuple[TierName, Weights]:
        """What a graph is made of, and the tier that it is from: see `graph_of`."""
        held = self._subset._arrays_with("graphs", self._network, [self._source_epoch(epoch)])
        if representation == "rolled" and held is not None:
            return "graphs", self._snapshot("graphs", epoch)
        return "weights", self._snapshot("weights", epoch, instead_of=None if representation != "rolled" else "graphs")

    def centrality(self, name: str, representation: str, sign: str | None, epochs: Sequence[int]) -> FloatArray:
        from nndynbench.signatures import CENTRALITIES

        known(name, CENTRALITIES, what="centrality")
        sources = [self._source_epoch(epoch) for epoch in epochs]
        stored = self._subset._arrays_with("centralities", self._network, sources)
        if representation == "rolled" and stored is not None:
            values = stored.parts(stored.read(self._network, sources))[name].astype(np.float64)
            return self._blanked(values, epochs)
        return np.stack([CENTRALITIES[name](self._signed_graph(e, representation, sign).blocks) for e in epochs])

    def signature(self, centrality: str, representation: str, sign: str | None, epochs: Sequence[int]) -> FloatArray:
        stored = self._subset._signature_arrays.get((representation, sign or "", centrality))
        if stored is None:
            return self._derived_signature(centrality, representation, sign, epochs)
        row = stored[self._subset._rows[self._network]]
        values = row[[self._source_epoch(epoch) for epoch in epochs]]
        if np.isnan(values).all(axis=1).any():
            # A zoo that describes kept epochs alone.
            return self._derived_signature(centrality, representation, sign, epochs)
        return self._blanked(values, epochs)

    def stores_signature(self, centrality: str, representation: str, sign: str | None) -> bool:
        """Whether the subset's table has a signature of every network."""
        return (representation, sign or "", centrality) in self._subset._signature_arrays

    def known(self, code: str, place: Place) -> Any:
        key = self._network, code, place
        remembered = self._subset._remembered
        if key not in remembered and (found := stored_value(key_of(code, self.identity, place))) is not None:
            remembered[key] = found
        return remembered.get(key)

    def keep(self, code: str, place: Place, value: Any, seconds: float) -> None:
        self._subset._remembered[self._network, code, place] = value
        store_value(key_of(code, self.identity, place), value, seconds)

    def _derived_signature(
        self, centrality: str, representation: str, sign: str | None, epochs: Sequence[int]
    ) -> FloatArray:
        from nndynbench.centralities import moments
        from nndynbench.signatures import SIGNATURE_SIGNS

        if representation == "unrolled":
            known(sign, SIGNATURE_SIGNS, what="sign of the unrolled graph")
        return moments(self.centrality(centrality, representation, sign, epochs))

    def _signed_graph(self, epoch: int, representation: str, sign: str | None) -> LayeredGraph:
        graph = self.graph(epoch, representation)
        return graph.subgraph(sign) if sign is not None else graph

    def _snapshot(self, tier: TierName, epoch: int, *, instead_of: TierName | None = None) -> dict[str, Any]:
        source = self._source_epoch(epoch)
        arrays = self._subset._arrays_with(tier, self._network, [source])
        if arrays is None:
            missing = instead_of or tier
            manifest = self._subset.manifest
            held, networks = self._subset.networks_with(missing), len(self._subset.networks)
            what = f"does not hold epoch {epoch} of this network"
            if self._network not in held:
                what = f"holds {len(held)} of {networks} networks, not this one"
            raise NotAtHandError(
                f"the {missing} tier of {manifest.subset} {manifest.version} at hand {what}; get all of it from the hub: "
                f"{to_download(manifest.subset, manifest.version, missing)}, or "
                f"{to_regenerate(manifest.subset, packed=manifest)}"
            )
        parts = arrays.parts(arrays.read(self._network, [source])[0])
        if self._diverged and epoch > self._last:
            return {name: np.full_like(values, np.nan) for name, values in parts.items()}
        return dict(parts)

    def _source_epoch(self, epoch: int) -> int:
        """The epoch whose snapshot stands for this one: the last, once training has ended."""
        return min(epoch, self._last)

    def _blanked(self, values: FloatArray, epochs: Sequence[int]) -> FloatArray:
        """A row per epoch, NaN from a divergence on."""
        if self._diverged:
            values = values.copy()
            values[np.asarray(epochs) > self._last] = np.nan
        return values


def graph_of(tier: TierName, parts: Weights, described: Architecture, representation: str) -> LayeredGraph:
    """A snapshot's graph from its blocks, where ``tier`` is "graphs", else from its weights."""
    from nndynbench.signatures import snapshot_graph

    if tier == "graphs":
        return LayeredGraph(tuple(np.asarray(block, dtype=np.float64) for block in parts.values()), ("input", *parts))
    return snapshot_graph(parts, described, representation)
