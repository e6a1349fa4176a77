"""A packed version of a subset: its files, tables and arrays, in whichever folders they are. Nothing is derived here."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from nndynbench.arrays import FloatArray
from nndynbench.storage.files import DamagedFileError
from nndynbench.storage.manifest import TIERS, TierName
from nndynbench.storage.packed import PackedFolder
from nndynbench.storage.places import NotAtHandError
from nndynbench.storage.tables import KEYS, TableName, read_table, table_file

if TYPE_CHECKING:
    from nndynbench.storage.arrays import Snapshot, SnapshotArrays


class Pack:
    """One version of a subset.

    ``folder`` is the packed version. ``also`` are folders of the same version at other places: what ``folder`` lacks is read
    there, if the tables are the same. Opening a pack reads only the manifest; every file is checked before it is first read.
    Tables of a downloaded version are fetched when they are asked for, unless ``offline``.
    """

    def __init__(self, folder: Path, *, also: Sequence[Path] = (), offline: bool | None = None) -> None:
        self.folder = folder
        named = {path.absolute(): path for path in (*also, folder)}  # each once, although `also` may name ``folder`` too
        del named[folder.absolute()]
        self.folders = _same_networks([PackedFolder(path, offline=offline) for path in (folder, *named.values())])
        self.manifest = self.folders[0].manifest
        self._opening = (folder.absolute(), tuple(named), offline)
        self._tables: dict[TableName, pd.DataFrame] = {}
        self._arrays: dict[TierName, list[SnapshotArrays]] = {}
        # What functions returned, by network, fingerprint and place. Each fold, budget and copy of a method asks again.
        self.remembered: dict[tuple[Any, ...], Any] = {}

    def __reduce__(self) -> tuple[Callable[..., Pack], tuple[Any, ...]]:
        # A worker opens the files itself, once, however many histories it is sent.
        return opened_once, self.opening

    @property
    def opening(self) -> tuple[Any, ...]:
        """What another process needs to open the same pack: its folders, and the checksums of what was found there."""
        return *self._opening, self.checksum, self.content

    def check_unchanged(self, checksum: str) -> None:
        """Raise `DamagedFileError` if the folder no longer holds the networks that had this checksum when they were
        opened.
        """
        if self.checksum != checksum:
            named = f"{self.manifest.subset} {self.manifest.version}"
            raise DamagedFileError(f"the networks in {self.folder} have changed since it was opened: load {named} again")

    @property
    def checksum(self) -> str:
        """SHA-256 over the checksums of tables and splits. It is equal for the same networks, whatever tiers are at hand."""
        files, tiers = self.manifest.files, self.manifest.tiers
        if "networks" not in tiers:
            raise NotAtHandError(
                f"{self.folder} has no tables, only tiers that extend another folder's: {', '.join(tiers) or 'nothing'}"
            )
        listed = "".join(f"{files[name].sha256}  {name}\n" for name in sorted(tiers["networks"].files))
        return hashlib.sha256(listed.encode()).hexdigest()

    @cached_property
    def content(self) -> str:
        """SHA-256 over ``checksum`` and the checksums of the arrays at hand: over everything that a history is read from."""
        held = [
            folder.manifest.files[name].sha256
            for tier in TIERS[1:]
            for folder in self.folders
            if folder.holds_tier(tier)
            for name in folder.manifest.tiers[tier].files
        ]
        return hashlib.sha256(" ".join([self.checksum, *held]).encode()).hexdigest()

    def networks_in(self, tier: TierName, *, epoch: int | None = None) -> int:
        """For how many networks a tier at hand holds anything, or with ``epoch`` that epoch, as the manifests say; 0 if it
        is not at hand.
        """
        held = (folder.manifest.tiers[tier] for folder in self.folders if folder.holds_tier(tier))
        return max((facts.networks for facts in held if epoch is None or epoch in facts.epochs), default=0)

    def table(self, name: TableName) -> pd.DataFrame:
        """A table, indexed by its keys; raises `DamagedFileError` if it is not of the manifest's networks and epochs."""
        if name not in self._tables:
            self._tables[name] = read_table(self.file(table_file(name)), name, of=self.manifest)
        return self._tables[name]

    @cached_property
    def facts(self) -> dict[int, dict[str, Any]]:
        """The rows of the networks table, by network."""
        records = cast(dict[int, dict[str, Any]], self.table("networks").to_dict("index"))
        return {int(network): facts for network, facts in records.items()}

    def rows(self, table: TableName, network: int, last: int) -> pd.DataFrame:
        """A table's rows of one network up to epoch ``last``, as a history has them; none for a network that diverged at
        once.
        """
        rows, _ = self.rows_of(table, [network], last)
        return rows

    def rows_of(self, table: TableName, networks: Sequence[int], last: int) -> tuple[pd.DataFrame, npt.NDArray[np.intp]]:
        """A table's rows of some networks up to epoch ``last``, one network after the other, and the position where each
        one's rows end. Only the columns that a history has are there.
        """
        if table not in self._by_network:
            # The seconds of an epoch tell the batch size, so a method does not see them.
            frame = self.table(table).drop(columns="seconds", errors="ignore")
            epochs = frame.index.get_level_values("epoch").to_numpy()
            self._by_network[table] = frame.droplevel("network"), epochs, frame.groupby(level="network").indices
        rows, epochs, positions = self._by_network[table]
        none = np.empty(0, dtype=np.intp)
        own = [part[epochs[part] <= last] for part in (positions.get(network, none) for network in networks)]
        return rows.take(np.concatenate(own)), np.cumsum([len(part) for part in own])

    def stores_signature(self, representation: str, sign: str, centrality: str) -> bool:
        """Whether the table of signatures has those of a centrality."""
        return (representation, sign, centrality) in self._signatures

    def signatures(self, network: int, representation: str, sign: str, centrality: str) -> FloatArray | None:
        """A network's stored signatures, (epochs from 0, 5), NaN where there is no row; None if they are not stored."""
        stored = self._signatures.get((representation, sign, centrality))
        return None if stored is None else stored[self._position[network]]

    def epochs(self, tier: TierName, network: int) -> list[int]:
        """The epochs of a network that a tier of arrays at hand holds."""
        return sorted({epoch for arrays in self.arrays(tier) for epoch in arrays.epochs(network)})

    def snapshots(self, tier: TierName, network: int, epochs: Sequence[int]) -> Snapshot | None:
        """A network's named arrays of a tier, (epochs, …) each; None if no file at hand has all of these epochs."""
        wanted = set(epochs)
        for arrays in self.arrays(tier):
            if wanted.issubset(arrays.epochs(network)):
                return arrays.parts(arrays.read(network, epochs))
        return None

    def file(self, name: str) -> Path:
        """The path of a checked file: in the first folder that holds it, else fetched into the first one that was
        downloaded.
        """
        holding = [folder for folder in self.folders if folder.holds(name)]
        fetching = [folder for folder in self.folders if folder.origin is not None and name in folder.manifest.files]
        return next(iter(holding + fetching), self.folders[0]).path(name)

    def arrays(self, tier: TierName) -> list[SnapshotArrays]:
        """The readers of an HDF5 tier: none if it is not at hand, several if folders hold different parts of it."""
        if tier not in self._arrays:
            from nndynbench.storage.arrays import SnapshotArrays

            holding = [folder for folder in self.folders if folder.holds_tier(tier)]
            whole = [folder for folder in holding if all(map(folder.holds, folder.manifest.tiers[tier].files))]
            self._arrays[tier] = [
                SnapshotArrays(folder.path(name))
                for folder in whole or holding
                for name in folder.manifest.tiers[tier].files
            ]
        return self._arrays[tier]

    @cached_property
    def _by_network(self) -> dict[TableName, tuple[pd.DataFrame, npt.NDArray[Any], Mapping[Any, Any]]]:
        """For each table, once it was read: its rows without the network, their epochs, and the positions of each network's
        rows.
        """
        return {}

    @cached_property
    def _signatures(self) -> dict[tuple[str, str, str], FloatArray]:
        """Per (representation, sign, centrality) an array (network, epoch, 5), NaN where there is no row. Its epochs go as
        far as the table's.
        """
        table = self.table("signatures")
        index = cast(pd.MultiIndex, table.index)
        values = table.to_numpy(dtype=np.float64)
        networks = self.table("networks").index.get_indexer(index.levels[0])[index.codes[0]]
        if (networks < 0).any():
            strange = index.levels[0][index.codes[0][networks < 0][0]]
            raise DamagedFileError(f"the signatures in {self.folder} are damaged: there is no network {strange}")
        epochs = index.levels[1].to_numpy(dtype=np.intp)[index.codes[1]]
        shape = (len(self.table("networks")), int(epochs.max(initial=0)) + 1, values.shape[1])
        sizes = [len(level) for level in index.levels[2:]]
        kinds = np.ravel_multi_index(index.codes[2:], sizes) if len(table) else np.empty(0, dtype=np.intp)
        arrays = {}
        for kind in np.unique(kinds):
            own = kinds == kind
            array = np.full(shape, np.nan)
            array[networks[own], epochs[own]] = values[own]
            names = zip(index.levels[2:], np.unravel_index(kind, sizes), strict=True)
            representation, sign, centrality = (str(level[place]) for level, place in names)
            arrays[representation, sign, centrality] = array
        return arrays

    @cached_property
    def _position(self) -> dict[int, int]:
        return {int(network): row for row, network in enumerate(self.table("networks").index)}


@lru_cache(maxsize=16)
def opened_once(folder: Path, also: tuple[Path, ...], offline: bool | None, checksum: str, content: str) -> Pack:
    """Opens a pack once per process, as long as its content is the same: a folder may be packed anew, or get another
    tier.
    """
    pack = Pack(folder, also=also, offline=offline)
    pack.check_unchanged(checksum)
    return pack


def _same_networks(folders: list[PackedFolder]) -> list[PackedFolder]:
    """The folders whose tables are those of the first, so that other networks under the same version are never mixed in."""
    tables = [table_file(table) for table in KEYS]

    def contents(folder: PackedFolder) -> list[str | None]:
        return [facts.sha256 if (facts := folder.manifest.files.get(name)) else None for name in tables]

    return [folder for folder in folders if contents(folder) == contents(folders[0])]
