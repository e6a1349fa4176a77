"""One network of a packed subset, as a source for the reader."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd

from nndynbench.arrays import FloatArray
from nndynbench.errors import NndynbenchError
from nndynbench.graphs import Architecture, Weights, architecture, initial_weights, rolled
from nndynbench.numbers import listed
from nndynbench.storage.computed import key_of, store_value, stored_value
from nndynbench.storage.manifest import TierName
from nndynbench.storage.pack import Pack
from nndynbench.storage.places import NotAtHandError, clone_folder, to_download, to_regenerate
from nndynbench.subsets.catalogue import Bundled, catalogue
from nndynbench.subsets.history import Place
from nndynbench.subsets.reader import RICHER

if TYPE_CHECKING:
    from nndynbench.storage.arrays import Snapshot


# The largest relative difference between the degree signature of the drawn initial weights and the stored one. Both are of
# the same weights, but another version of the code may compute them in other steps.
SAME_SIGNATURE = 1e-6


class OtherInitialWeightsError(NndynbenchError, ValueError):
    """The initial weights drawn from a network's seed are not those that it was trained from."""


# By pack: the architecture of its networks is worked out once.
_described: WeakKeyDictionary[Pack, Architecture] = WeakKeyDictionary()


def architecture_of(pack: Pack) -> Architecture:
    """The architecture of a pack's networks: described by the pack itself, or by a name that the package describes."""
    if pack not in _described:
        _described[pack] = architecture(pack.manifest.network or pack.manifest.architecture)
    return _described[pack]


class PackedNetwork:
    """What a pack holds of one network, and the initial weights, which follow from its seed."""

    together = True

    def __init__(self, pack: Pack, network: int) -> None:
        facts = pack.facts[network]
        self.pack = pack
        self.network = network
        self._facts = facts
        self.architecture = architecture_of(pack)
        self.last: int | None = int(facts["epochs_trained"])
        self.diverged = bool(facts["diverged"])

    def __reduce__(self) -> tuple[type[PackedNetwork], tuple[Pack, int]]:
        return PackedNetwork, (self.pack, self.network)

    @property
    def identity(self) -> str | None:
        return f"{self.pack.checksum} network {self.network}"

    @property
    def _data(self) -> str:
        """What names all that functions may read of the network: other arrays at hand have other kept values."""
        return f"{self.pack.content} network {self.network}"

    @property
    def hyperparameters(self) -> Mapping[str, Any]:
        return {name: self._facts[name] for name in self.pack.manifest.hyperparameters}

    def curves(self, last: int) -> pd.DataFrame:
        return self.pack.rows("curves", self.network, last)

    def features(self, last: int) -> pd.DataFrame | None:
        return self.pack.rows("features", self.network, last)

    def signatures(self, representation: str, sign: str, centrality: str) -> FloatArray | None:
        return self.pack.signatures(self.network, representation, sign, centrality)

    def epochs(self, tier: TierName) -> Iterable[int]:
        return self.pack.epochs(tier, self.network)

    def snapshots(self, tier: TierName, epochs: Sequence[int]) -> Snapshot | None:
        return self.pack.snapshots(tier, self.network, epochs)

    def initial_weights(self) -> Weights | None:
        """The weights of epoch 0, drawn from the network's seed and initialisation scale. None for a pack that this
        project's trainer did not make, or that has no degree signature of epoch 0 to compare with.

        Raises
        ------
        OtherInitialWeightsError
            If the degree signature of the drawn weights is not the stored one.
        """
        manifest = self.pack.manifest
        stored = self.signatures("rolled", "", "degree")
        if manifest.subset not in catalogue() or stored is None or np.isnan(stored[0]).any():
            return None
        scale = self._facts.get("initialisation_scale", manifest.settings.get("initialisation_scale", 1.0))
        drawn = initial_weights(self.architecture, seed=int(self._facts["seed"]), scale=float(scale))
        from nndynbench.centralities import moments

        if not np.allclose(moments(rolled(drawn, self.architecture, copy=False).degree()), stored[0], rtol=SAME_SIGNATURE):
            raise OtherInitialWeightsError(
                f"network {self.network} of {manifest.subset} {manifest.version} was not trained from the initial weights "
                "that its seed gives: their degree signatures differ"
            )
        return drawn

    def known(self, code: str, place: Place) -> Any:
        key, remembered = (self.network, code, place), self.pack.remembered
        if key not in remembered and (found := stored_value(key_of(code, self._data, place))) is not None:
            remembered[key] = found
        return remembered.get(key)

    def keep(self, code: str, place: Place, value: Any, seconds: float) -> None:
        self.pack.remembered[self.network, code, place] = value
        store_value(key_of(code, self._data, place), value, seconds)

    def missing(self, wanted: str, epoch: int) -> Exception:
        from nndynbench.subsets.loading import names_with

        manifest, tier = self.pack.manifest, cast(TierName, wanted)
        parts = (tier, *RICHER[tier])
        held = max(map(self.pack.networks_in, parts))
        what = f"does not hold epoch {epoch} of this network"
        if not any(self.pack.epochs(part, self.network) for part in parts):
            what = f"holds {held} of {manifest.networks} networks, not this one"
        if manifest.is_own:
            kept = manifest.tiers["weights"].epochs_in_words if "weights" in manifest.tiers else "none"
            return NotAtHandError(
                f"the {tier} tier of {manifest.subset} {what}; its runs kept snapshots of these epochs: {kept}"
            )
        if manifest.subset not in catalogue():
            again = to_regenerate(manifest.subset, command=manifest.own_training_command)
            return NotAtHandError(f"the {tier} tier of {manifest.subset} {what}; {again}")
        whole = ", ".join(names_with(tier)) or "none"
        return NotAtHandError(
            f"the {tier} tier of {manifest.subset} {manifest.version} at hand {what}; {in_a_clone(manifest.subset, parts)}"
            f"subsets at hand with the {tier} of every network: {whole}; get the whole tier from the hub: "
            f"{to_download(manifest.subset, manifest.version, tier)}, or "
            f"{to_regenerate(manifest.subset, command=manifest.training_command)}"
        )


class ForgetfulNetwork(PackedNetwork):
    """The same network, for which nothing is known that a function returned earlier, in this process or in another."""

    def __init__(self, pack: Pack, network: int) -> None:
        super().__init__(pack, network)
        self._own: dict[tuple[str, Place], Any] = {}

    def known(self, code: str, place: Place) -> Any:
        return self._own.get((code, place))

    def keep(self, code: str, place: Place, value: Any, seconds: float) -> None:
        self._own[code, place] = value


def in_a_clone(subset: str, tiers: Iterable[TierName]) -> str:
    """What a clone has of these tiers that the package lacks, with how to use it. Empty where a clone is what is in use, or
    has nothing more.
    """
    beside = catalogue()[subset].beside if subset in catalogue() else {}
    if clone_folder() is not None or not (more := [_said_of(tier, beside[tier]) for tier in tiers if tier in beside]):
        return ""
    return f"a clone has more in data/, {listed(more)}: install the package from there with pip install -e .; "


def _said_of(tier: TierName, part: Bundled) -> str:
    epochs = "all kept epochs" if part.epochs is None else f"epochs {listed(part.epochs)}"
    return f"{tier} of {epochs}{' of some networks' if part.networks or part.of_each_label else ''}"
