"""The one way to read a network: what is stored of it, or else what can be derived from that.

Weights give the graph, the graph gives its centralities, and these give the signature. Weights and initial weights give the
features. A stored value wins over a derived one. A `Source` knows where things are stored: in a packed subset, a folder of
checkpoints, a run that is being packed, or memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd

from nndynbench.arrays import FloatArray
from nndynbench.graphs import Architecture, LayeredGraph, Weights, rolled
from nndynbench.graphs.layered import NodeTensors
from nndynbench.names import check_name
from nndynbench.storage.manifest import TierName

if TYPE_CHECKING:
    from nndynbench.storage.arrays import Snapshot
    from nndynbench.subsets.history import Place


# Weights of up to this size become graphs for all of a network's epochs at once, which is hardly slower than one graph.
TOGETHER_BYTES = 1 << 20

# Each tier of arrays, with the richer ones that it can be derived from.
RICHER: dict[TierName, tuple[TierName, ...]] = {
    "weights": (),
    "graphs": ("weights",),
    "centralities": ("graphs", "weights"),
}


class Source(Protocol):
    """What is stored of one network, wherever it is. None stands for what is not stored."""

    architecture: Architecture
    last: int | None
    """The last trained epoch, whose snapshot stands for later ones; None where no snapshot does."""
    diverged: bool
    together: bool
    """Whether all epochs of a small network are read at the cost of one."""

    @property
    def identity(self) -> str | None:
        """What identifies this network among all others, whatever is at hand of it; None where nothing does."""

    @property
    def hyperparameters(self) -> Mapping[str, Any]: ...
    def curves(self, last: int) -> pd.DataFrame: ...
    def features(self, last: int) -> pd.DataFrame | None: ...
    def signatures(self, representation: str, sign: str, centrality: str) -> FloatArray | None:
        """(epochs from 0, 5)"""

    def epochs(self, tier: TierName) -> Iterable[int]:
        """The epochs that a tier of arrays holds."""

    def snapshots(self, tier: TierName, epochs: Sequence[int]) -> Snapshot | None:
        """The named arrays of a tier, (epochs, …) each; None unless all of these epochs are stored."""

    def initial_weights(self) -> Weights | None:
        """The weights at epoch 0, where they follow from something else that is stored."""

    def known(self, code: str, place: Place) -> Any: ...
    def keep(self, code: str, place: Place, value: Any, seconds: float) -> None: ...
    def missing(self, wanted: str, epoch: int) -> Exception:
        """The error for something that can be neither read nor derived; says what would help."""


class Reader:
    """Reads one network, for a history."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.described = self._architecture = source.architecture

    def __reduce__(self) -> tuple[type[Reader], tuple[Source]]:
        return Reader, (self.source,)

    @property
    def architecture(self) -> str:
        return self._architecture.family

    @property
    def identity(self) -> str | None:
        return self.source.identity

    @property
    def layer_sizes(self) -> dict[str, int]:
        return self._architecture.layer_sizes

    @property
    def hyperparameters(self) -> dict[str, Any]:
        return dict(self.source.hyperparameters)

    def curves(self, last: int) -> pd.DataFrame:
        return self.source.curves(last)

    def features(self, last: int) -> pd.DataFrame:
        stored = self.source.features(last)
        return self._derived_features(last) if stored is None else stored

    def weights(self, epoch: int) -> Weights:
        return self.snapshot("weights", epoch)

    def snapshot(self, tier: TierName, epoch: int) -> Snapshot:
        """The named arrays of one snapshot in a tier, as a pack stores them; NaN from a divergence on."""
        stored = self._stored(tier, epoch)
        if stored is not None:
            return stored
        if tier == "graphs":
            graph = self._rolled(epoch)
            return {name: np.asarray(block, np.float32) for name, block in zip(graph.layers[1:], graph.blocks, strict=True)}
        if tier == "centralities":
            from nndynbench.signatures import CENTRALITIES

            blocks = self.graph(epoch, "rolled").blocks
            return {name: np.asarray(function(blocks), np.float32) for name, function in CENTRALITIES.items()}
        return self._weights(epoch, wanted=tier)

    def epochs(self, tier: TierName) -> list[int]:
        """The epochs whose snapshots of a tier can be read, stored or derived, without those that repeat the last one. If
        there are any, the initialisation is among them wherever it can be drawn.
        """
        held = {epoch for part in (tier, *RICHER[tier]) for epoch in self.source.epochs(part)}
        if held and 0 not in held and self.source.initial_weights() is not None:
            held.add(0)
        return sorted(held)

    def graph(self, epoch: int, representation: str) -> LayeredGraph:
        if representation == "rolled":
            return self._rolled(epoch)
        return graph_of(*self.graph_source(epoch, representation), self._architecture, representation)

    def graph_source(self, epoch: int, representation: str) -> tuple[TierName, Snapshot]:
        """What a graph is made from, and the tier that this is from: see `graph_of`."""
        if representation == "rolled" and (blocks := self._stored("graphs", epoch)) is not None:
            return "graphs", blocks
        return "weights", self._weights(epoch, wanted="graphs" if representation == "rolled" else "weights")

    def centrality(self, name: str, representation: str, sign: str | None, epochs: Sequence[int]) -> FloatArray:
        from nndynbench.signatures import CENTRALITIES

        check_name(name, CENTRALITIES, what="centrality")
        if representation == "rolled":
            stored = self.source.snapshots("centralities", [self._standing_for(epoch) for epoch in epochs])
            if stored is not None and name in stored:
                return self._blanked(stored[name].astype(np.float64), epochs)
        function = CENTRALITIES[name]
        places = [self._together[source] for epoch in epochs if (source := self._standing_for(epoch)) in self._together]
        if representation == "rolled" and len(places) == len(epochs) and self._rolled_together is not None:
            return self._blanked(np.asarray(function(self._rolled_together.blocks), np.float64)[places], epochs)
        return np.stack([function(self._signed_graph(epoch, representation, sign).blocks) for epoch in epochs])

    def signature(self, centrality: str, representation: str, sign: str | None, epochs: Sequence[int]) -> FloatArray:
        stored = self.source.signatures(representation, sign or "", centrality)
        if stored is not None:
            standing = [self._standing_for(epoch) for epoch in epochs]
            # A zoo may have signatures of kept epochs only.
            if max(standing, default=0) < len(stored) and not np.isnan(values := stored[standing]).all(axis=1).any():
                return self._blanked(values, epochs)
        return self._derived_signature(centrality, representation, sign, epochs)

    def stores_signature(self, centrality: str, representation: str, sign: str | None) -> bool:
        """Whether a signature is stored, so that reading it is quick."""
        return self.source.signatures(representation, sign or "", centrality) is not None

    def known(self, code: str, place: Place) -> Any:
        """What a function with this fingerprint returned for this network before, as plain JSON; None if not kept."""
        return self.source.known(code, place)

    def keep(self, code: str, place: Place, value: Any, seconds: float) -> None:
        """Keep what a function with this fingerprint returned, and how long it took, where that may be kept."""
        self.source.keep(code, place, value, seconds)

    def _derived_signature(
        self, centrality: str, representation: str, sign: str | None, epochs: Sequence[int]
    ) -> FloatArray:
        from nndynbench.centralities import moments
        from nndynbench.signatures import SIGNATURE_SIGNS

        if representation == "unrolled":
            check_name(sign, SIGNATURE_SIGNS, what="sign of the unrolled graph")
        return moments(self.centrality(centrality, representation, sign, epochs))

    def _signed_graph(self, epoch: int, representation: str, sign: str | None) -> LayeredGraph:
        graph = self.graph(epoch, representation)
        return graph.subgraph(sign) if sign is not None else graph

    def _rolled(self, epoch: int) -> LayeredGraph:
        place = None if self._is_blank(epoch) else self._together.get(self._standing_for(epoch))
        if place is not None and self._rolled_together is not None:
            return _one_of(self._rolled_together, place)
        return graph_of(*self.graph_source(epoch, "rolled"), self._architecture, "rolled")

    @cached_property
    def _together(self) -> dict[int, int]:
        """The epochs whose rolled graphs are made at once from the stored weights, with their places; empty for a large
        network.
        """
        epochs = sorted(set(self.source.epochs("weights")) - set(self.source.epochs("graphs")))
        values = sum(int(np.prod(layer.weight_shape)) for layer in self._architecture.weighted_layers)
        if not self.source.together or len(epochs) * values * 4 > TOGETHER_BYTES:
            return {}
        return {epoch: place for place, epoch in enumerate(epochs)}

    @cached_property
    def _rolled_together(self) -> LayeredGraph | None:
        stored = self.source.snapshots("weights", list(self._together))
        return None if stored is None else rolled(stored, self._architecture, copy=False)

    def _weights(self, epoch: int, *, wanted: TierName) -> Weights:
        """Stored or drawn weights; the error names what they were ``wanted`` for."""
        stored = self._stored("weights", epoch)
        if stored is not None:
            return stored
        initial = self._initial if self._standing_for(epoch) == 0 else None
        if initial is None:
            raise self.source.missing(wanted, epoch)
        # Copies: every fold gets the same history, and what a method writes into it must not reach the next fold.
        return self._blank(initial) if self._is_blank(epoch) else {name: np.array(part) for name, part in initial.items()}

    @cached_property
    def _initial(self) -> Weights | None:
        return self.source.initial_weights()

    def _stored(self, tier: TierName, epoch: int) -> Snapshot | None:
        stored = self.source.snapshots(tier, [self._standing_for(epoch)])
        if stored is None:
            return None
        parts = {name: values[0] for name, values in stored.items()}
        return self._blank(parts) if self._is_blank(epoch) else parts

    def _derived_features(self, last: int) -> pd.DataFrame:
        from nndynbench.features import layer_features

        initial = self._stored("weights", 0) or self._initial
        if initial is None:
            raise self.source.missing("features", 0)
        epochs = [epoch for epoch in self.epochs("weights") if epoch <= last]
        tables = [layer_features(self.weights(epoch), initial, self._architecture) for epoch in epochs]
        return pd.concat(tables, keys=epochs, names=["epoch"])

    def _standing_for(self, epoch: int) -> int:
        """The epoch whose snapshot stands for this one: the last, once training has ended."""
        return epoch if self.source.last is None else min(epoch, self.source.last)

    def _is_blank(self, epoch: int) -> bool:
        return self.source.diverged and self._standing_for(epoch) < epoch

    def _blank(self, parts: Snapshot) -> Snapshot:
        return {name: np.full_like(values, np.nan) for name, values in parts.items()}

    def _blanked(self, values: FloatArray, epochs: Sequence[int]) -> FloatArray:
        """A row per epoch, NaN from a divergence on."""
        if self.source.diverged:
            values = values.copy()
            values[[self._is_blank(epoch) for epoch in epochs]] = np.nan
        return values


def graph_of(tier: TierName, parts: Snapshot, described: Architecture, representation: str) -> LayeredGraph:
    """A snapshot's graph from its blocks, where ``tier`` is "graphs", else from its weights."""
    from nndynbench.signatures import snapshot_graph

    if tier == "graphs":
        blocks = tuple(np.asarray(block, dtype=np.float64) for block in parts.values())
        return LayeredGraph(blocks, (described.input_layer, *parts))
    return snapshot_graph(parts, described, representation)


def _one_of(stack: LayeredGraph, place: int) -> LayeredGraph:
    """One graph of a stack, its own copy."""
    tensors = {
        name: NodeTensors(weight[place].copy(), None if bias is None else bias[place].copy())
        for name, (weight, bias) in (stack.tensors or {}).items()
    }
    return replace(stack, blocks=tuple(np.asarray(block)[place].copy() for block in stack.blocks), tensors=tensors)
