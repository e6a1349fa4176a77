"""The snapshots of a subset as a `torch.utils.data.Dataset`.

The one module of the package that imports torch when it is imported: ask for it through `Subset.to_torch`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
from torch.utils.data import Dataset

from nndynbench.names import check_name
from nndynbench.storage.manifest import TIERS, TierName
from nndynbench.storage.places import NotAtHandError
from nndynbench.subsets.packed import how_to_get
from nndynbench.subsets.subset import unknown_networks

if TYPE_CHECKING:
    from nndynbench.subsets.subset import Subset


class Snapshots(Dataset[dict[str, Any]]):
    """One item per network and kept epoch, in that order. An item has ``network`` and ``epoch``, the snapshot's named arrays
    under ``values`` (float32 tensors: the blocks of the rolled graph, the weights, or the centralities), and the network's
    ``final_accuracy`` (percent) and ``label``.

    The default collation makes batches of items. Each snapshot is read when it is asked for, also in forked and spawned
    workers.
    """

    def __init__(
        self,
        subset: Subset,
        tier: TierName = "graphs",
        *,
        network_ids: Sequence[int] | None = None,
        epochs: Collection[int] | None = None,
    ) -> None:
        check_name(tier, TIERS[1:], what="tier of arrays")
        self._subset = subset
        self._tier = tier
        named = f"the {tier} tier of {subset.name} {subset.version}"
        if tier not in subset.tiers:
            raise NotAtHandError(f"{named} is not at hand: {_remedy(subset, tier, epochs)}")
        chosen = subset.network_ids if network_ids is None else network_ids
        if unknown := sorted(set(chosen) - set(subset.network_ids)):
            raise unknown_networks(subset, unknown)
        self._items = [
            (network, epoch)
            for network in chosen
            for epoch in subset.reader(network).epochs(tier)
            if epochs is None or epoch in epochs
        ]
        if not self._items:
            what = "holds none of the chosen epochs of the chosen networks"
            raise NotAtHandError(f"{named} at hand {what}: {_remedy(subset, tier, epochs)}")

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, item: int) -> dict[str, Any]:
        network, epoch = self._items[item]
        values = self._subset.reader(network).snapshot(self._tier, epoch)
        facts = self._subset.pack.facts[network]
        return {
            "network": network,
            "epoch": epoch,
            "values": {name: torch.from_numpy(part) for name, part in values.items()},
            "final_accuracy": cast(float, facts["final_accuracy"]),
            "label": cast(int, facts["label"]),
        }


def _remedy(subset: Subset, tier: TierName, epochs: Collection[int] | None) -> str:
    """What to do where snapshots are missing."""
    if subset.manifest.is_own:
        return "its runs have none"
    return how_to_get(subset.manifest, tier, min(filter(None, () if epochs is None else epochs), default=1))
