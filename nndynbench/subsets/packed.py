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
from nndynbench.numbers import listed, spans
from nndynbench.storage.computed import key_of, store_value, stored_value
from nndynbench.storage.hub import read_origin
from nndynbench.storage.manifest import KEPT_BY_DEFAULT, Manifest, TierName
from nndynbench.storage.pack import Pack
from nndynbench.storage.places import NotAtHandError, clone_folder, home, to_download, to_regenerate
from nndynbench.subsets.catalogue import Bundled, catalogue, is_published
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
        manifest, tier = self.pack.manifest, cast(TierName, wanted)
        parts = (tier, *RICHER[tier])
        held = sorted({each for part in parts for each in self.pack.epochs(part, self.network)})
        networks = max(map(self.pack.networks_in, parts))
        what = f"holds {networks} of {manifest.networks} networks, not this one"
        if held:
            what = f"holds epoch{'s' * (len(held) > 1)} {spans(held)} of this network, not {epoch}"
            if networks < manifest.networks:
                what += f", and those of {networks - 1} of {manifest.networks - 1} others"
            else:
                what += f"; {_within(each for each in held if each != self.last)}"
        if manifest.is_own:
            kept = manifest.tiers["weights"].epochs_in_words if "weights" in manifest.tiers else "none"
            return NotAtHandError(
                f"the {tier} tier of {manifest.subset} {what}; its runs kept snapshots of these epochs: {kept}"
            )
        version = f" {manifest.version} at hand" if manifest.subset in catalogue() else ""
        return NotAtHandError(f"the {tier} tier of {manifest.subset}{version} {what}; {how_to_get(manifest, tier, epoch)}")


class ForgetfulNetwork(PackedNetwork):
    """The same network, for which nothing is known that a function returned earlier, in this process or in another."""

    def __init__(self, pack: Pack, network: int) -> None:
        super().__init__(pack, network)
        self._own: dict[tuple[str, Place], Any] = {}

    def known(self, code: str, place: Place) -> Any:
        return self._own.get((code, place))

    def keep(self, code: str, place: Place, value: Any, seconds: float) -> None:
        self._own[code, place] = value


def _within(held: Iterable[int]) -> str:
    """What can be read where some epochs are held: up to which budget all of them, or these alone."""
    read = [epoch for epoch in held if epoch > 0]
    most = next((place - 1 for place, epoch in enumerate(read, 1) if epoch != place), len(read))
    asked = f"up to budget {most} (--budgets {'1' if most == 1 else f'1-{most}'})" if most else "at no budget"
    alone = f", Signature(…, epochs=[{', '.join(map(str, read))}]) reads these alone" if most < len(read) else ""
    return f"what reads every epoch works {asked}{alone}"


def how_to_get(manifest: Manifest, tier: TierName, epoch: int) -> str:
    """How to get a tier that does not hold an epoch of a network: other subsets that have it, a clone, the hub, training."""
    from nndynbench.subsets.loading import names_with

    if manifest.subset not in catalogue():
        return to_regenerate(manifest.subset, command=_kept_up_to(manifest, epoch).own_training_command)
    whole = [name for name in names_with(tier, epoch=epoch) if name != manifest.subset]
    ways = [in_a_clone(manifest.subset, (tier, *RICHER.get(tier, ())), epoch)]
    downloaded = read_origin(home() / manifest.subset / manifest.version) is not None
    if downloaded or is_published():
        ways.append(f"get the whole tier from the hub: {to_download(manifest.subset, manifest.version, tier)}")
    ways.append(to_regenerate(manifest.subset, command=_kept_up_to(manifest, epoch).training_command))
    others = (
        f"other subsets at hand with the {tier} of every network at epoch {epoch}: {', '.join(whole)}; " if whole else ""
    )
    return others + "; or ".join(filter(None, ways))


def _kept_up_to(manifest: Manifest, epoch: int) -> Manifest:
    """The manifest of the same training that keeps snapshots up to an epoch, if it did not."""
    kept = KEPT_BY_DEFAULT if manifest.keep is None else manifest.keep
    return manifest if epoch <= kept else manifest.model_copy(update={"keep": epoch})


def in_a_clone(subset: str, tiers: Iterable[TierName], epoch: int) -> str:
    """What a clone has of these tiers that the package lacks, with how to use it. Empty where a clone is what is in use, or
    has nothing more of this epoch.
    """
    beside = catalogue()[subset].beside if subset in catalogue() else {}
    parts = {tier: beside[tier] for tier in tiers if tier in beside}
    more = [_said_of(tier, part) for tier, part in parts.items() if part.epochs is None or epoch in part.epochs]
    if clone_folder() is not None or not more:
        return ""
    return f"a clone has more in data/, {listed(more)}: install the package from there with pip install -e ."


def _said_of(tier: TierName, part: Bundled) -> str:
    epochs = "all kept epochs" if part.epochs is None else f"epochs {listed(part.epochs)}"
    return f"{tier} of {epochs}{' of some networks' if part.networks or part.of_each_label else ''}"
