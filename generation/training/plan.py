"""All that decides one network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from generation.seeds import derived_seed


@dataclass(frozen=True)
class NetworkPlan:
    """All that decides a network: its subset's architecture and seed, its id, and its recipe (grid row and settings)."""

    subset: str
    network: int
    architecture: str
    recipe: dict[str, Any]
    zoo_seed: int = 0
    kept_epochs: tuple[int, ...] = tuple(range(11))  # the last one is always kept

    @property
    def seed(self) -> int:
        return derived_seed(self.zoo_seed, self.subset, self.network)

    @property
    def label_noise_seed(self) -> int:
        return derived_seed(self.seed, "label noise")

    def dropout_seed(self, epoch: int) -> int:
        return derived_seed(self.seed, "dropout", epoch)

    def batch_seed(self, epoch: int) -> int:
        own = self.recipe["batches"] == "own"
        return derived_seed(self.seed if own else derived_seed(self.zoo_seed, self.subset), "batches", epoch)
