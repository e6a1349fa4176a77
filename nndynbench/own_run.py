"""A run of one's own as a source for the reader: its snapshots, from a folder or in memory, and what else is given
about it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from nndynbench.errors import NndynbenchError
from nndynbench.graphs import Architecture, Weights, architecture
from nndynbench.storage.manifest import TierName
from nndynbench.subsets.history import Place

if TYPE_CHECKING:
    from nndynbench.storage.arrays import Snapshot


class NotGivenError(NndynbenchError, ValueError):
    """Something about a run that a method reads and that was not given."""


class OwnRun:
    """One network's weights by epoch, where 0 is the initialisation. Any mapping will do, also one that reads them when they
    are asked for.

    ``curves`` and ``hyperparameters`` are as `History.curves` and `History.hyperparameters` give them; ``where`` names the
    run in errors. ``last`` is the last epoch of a run that has ended, and ``diverged`` says whether it ended by diverging.
    ``unusable`` says why "curves" or "hyperparameters" that the run has are not given.
    """

    identity: str | None = None
    together = False

    def __init__(
        self,
        name: str | Architecture,
        weights: Mapping[int, Weights],
        *,
        where: str = "the run",
        curves: pd.DataFrame | None = None,
        hyperparameters: Mapping[str, Any] | None = None,
        last: int | None = None,
        diverged: bool = False,
        unusable: Mapping[str, str] | None = None,
    ) -> None:
        self.architecture = architecture(name)
        self.last = last
        self.diverged = diverged
        self._weights = weights
        self._where = where
        self._curves = curves
        self._hyperparameters = hyperparameters
        self._unusable = unusable or {}

    def with_curves(self, curves: pd.DataFrame | None, *, unusable: str = "") -> OwnRun:
        """The same run with other curves, or none, and why its own cannot be used."""
        return self._with(curves=curves, unusable={**self._unusable, "curves": unusable})

    def with_hyperparameters(self, hyperparameters: Mapping[str, Any] | None, *, unusable: str = "") -> OwnRun:
        """The same run with other hyperparameters, or none, and why its own cannot be used."""
        return self._with(hyperparameters=hyperparameters, unusable={**self._unusable, "hyperparameters": unusable})

    def _with(self, **changed: Any) -> OwnRun:
        kept: dict[str, Any] = {
            "curves": self._curves,
            "hyperparameters": self._hyperparameters,
            "last": self.last,
            "diverged": self.diverged,
            "unusable": self._unusable,
        }
        return OwnRun(self.architecture, self._weights, where=self._where, **kept | changed)

    @property
    def hyperparameters(self) -> Mapping[str, Any]:
        if self._hyperparameters is None:
            raise self._not_given("hyperparameters", "a value for each of the subset's hyperparameters")
        return self._hyperparameters

    def curves(self, last: int) -> pd.DataFrame:
        if self._curves is None:
            raise self._not_given("curves", "a row for each epoch up to the budget")
        ends = last if self.last is None else min(last, self.last)
        if lacking := [epoch for epoch in range(1, ends + 1) if epoch not in self._curves.index]:
            raise NotGivenError(f"{self._where} has no curves of epoch {', '.join(map(str, lacking))}")
        return self._curves.loc[list(range(1, ends + 1))]

    def _not_given(self, what: str, expected: str) -> NotGivenError:
        why = self._unusable.get(what)
        there = f"those of {self._where} cannot be used ({why})" if why else f"none were given for {self._where}"
        return NotGivenError(
            f"this method reads {what}, but {there}: give {what}=, {expected}, or choose a method that reads no {what}"
        )

    def features(self, last: int) -> pd.DataFrame | None:
        return None

    def signatures(self, representation: str, sign: str, centrality: str) -> npt.NDArray[np.float64] | None:
        return None

    def epochs(self, tier: TierName) -> Iterable[int]:
        return self._weights if tier == "weights" else ()

    def snapshots(self, tier: TierName, epochs: Sequence[int]) -> Snapshot | None:
        if tier != "weights" or any(epoch not in self._weights for epoch in epochs):
            return None
        found = [self._weights[epoch] for epoch in epochs]
        return {name: np.stack([weights[name] for weights in found]) for name in found[0]}

    def initial_weights(self) -> Weights | None:
        return None

    def known(self, code: str, place: Place) -> Any:
        return None  # a run has no identity and may change, so nothing is kept

    def keep(self, code: str, place: Place, value: Any, seconds: float) -> None:
        pass

    def missing(self, wanted: str, epoch: int) -> Exception:
        if wanted == "features":
            return NotGivenError(
                f"this method reads features, which compare with the initialisation: {self._where} has no weights of epoch 0"
            )
        return NotGivenError(f"{self._where} has no weights of epoch {epoch} (it has {sorted(self._weights)})")
