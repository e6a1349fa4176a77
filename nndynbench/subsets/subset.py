"""A loaded subset: its tables, splits and histories, read from the packed files when they are asked for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from nndynbench.names import known
from nndynbench.storage.manifest import TIERS, TierName
from nndynbench.storage.packed import PackedFolder
from nndynbench.storage.tables import KEYS, TableName, read_table, table_file
from nndynbench.subsets.history import BudgetError, History, Place
from nndynbench.subsets.splits import RULES, Fold, SplitError
from nndynbench.subsets.stored import StoredNetwork

if TYPE_CHECKING:
    import datasets
    from matplotlib.axes import Axes

    from nndynbench.storage.arrays import SnapshotArrays
    from nndynbench.subsets.snapshots import Snapshots

FloatArray = npt.NDArray[np.float64]

SPLITS_FILE = "splits.json"


class Subset:
    """All networks of one architecture on one image data set under one grid.

    Made by `nndynbench.load`; ``folder`` is the packed version. Opening it reads the manifest alone. Every file is checked
    against the manifest's size and SHA-256 before it is first read. ``also`` are folders of the same version at other
    places: what ``folder`` lacks is read there, if its tables are the same. Of a downloaded version the tables are fetched
    when they are asked for, unless ``offline``; the larger tiers by `nndynbench.download`.
    """

    def __init__(self, folder: Path, *, also: Sequence[Path] = (), offline: bool | None = None) -> None:
        self.folder = folder
        self.folders = _same_networks([PackedFolder(path, offline=offline) for path in (folder, *also)])
        self.manifest = self.folders[0].manifest
        self._opening = (folder, tuple(also), offline)
        # By network, fingerprint and place: what functions said of it. Each fold, budget and copy of a method asks again.
        self._remembered: dict[tuple[int, str, Place], Any] = {}

    def __repr__(self) -> str:
        return f"Subset({self.name!r}, version={self.version!r}, networks={self.manifest.networks})"

    def _repr_html_(self) -> str:
        from nndynbench.cards import subset_card

        return subset_card(self)

    def plot_curves(self, *, network_ids: Sequence[int] | None = None, ax: Axes | None = None) -> Axes:
        """Draw the validation accuracy of every network, or of those named, over its epochs, coloured by its learning rate,
        on matplotlib axes: those given, or a new figure's; returns them.
        """
        from nndynbench.drawing import draw_curves

        return draw_curves(self, network_ids=network_ids, ax=ax)

    def __reduce__(self) -> tuple[Callable[..., Subset], tuple[Any, ...]]:
        # A worker opens the files itself, once, however many histories it is sent.
        return _opened_once, self._opening

    @property
    def name(self) -> str:
        return self.manifest.subset

    @property
    def version(self) -> str:
        return self.manifest.version

    @property
    def checksum(self) -> str:
        """SHA-256 over the checksums of tables and splits: equal for the same networks, whatever tiers are at hand."""
        files = self.manifest.files
        listed = "".join(f"{files[name].sha256}  {name}\n" for name in sorted(self.manifest.tiers["networks"].files))
        return hashlib.sha256(listed.encode()).hexdigest()

    @cached_property
    def content(self) -> str:
        """SHA-256 over ``checksum`` and the checksums of the arrays at hand: of all that a history is read from."""
        held = [
            folder.manifest.files[name].sha256
            for tier in TIERS[1:]
            for folder in self.folders
            if folder.holds_tier(tier)
            for name in folder.manifest.tiers[tier].files
        ]
        return hashlib.sha256(" ".join([self.checksum, *held]).encode()).hexdigest()

    @property
    def tiers(self) -> list[TierName]:
        """The tiers at hand, the poorest first."""
        return [tier for tier in TIERS if any(folder.holds_tier(tier) for folder in self.folders)]

    @cached_property
    def networks(self) -> pd.DataFrame:
        """By network id: the grid's columns, seed, epochs_trained, stopped_early, diverged, final_accuracy,
        final_accuracy_all, best_accuracy (percent), late_accuracy (percent, where the grid has late epochs), label (1 is
        high), seconds, device, precision, and the splits as sample_fold, fold, blocked_fold and holdout (see
        `nndynbench.subsets.splits.fold_columns`).
        """
        return self._table("networks")

    @cached_property
    def curves(self) -> pd.DataFrame:
        """By (network, epoch): train_loss, train_accuracy, validation_accuracy (percent), seconds."""
        return self._table("curves")

    @cached_property
    def signatures(self) -> pd.DataFrame:
        """By (network, epoch, representation, sign, centrality): the five moments, for every epoch trained; in a zoo
        whose setting ``signatures`` is "kept epochs", for those alone.
        """
        return self._table("signatures")

    @cached_property
    def features(self) -> pd.DataFrame:
        """By (network, kept epoch, layer): `nndynbench.features.FEATURES`."""
        return self._table("features")

    @property
    def devices(self) -> list[str]:
        """The processors that trained the networks, of one kind of device: several models of CPU, or one GPU."""
        return sorted(set(self.networks["device"]))

    @property
    def network_ids(self) -> list[int]:
        return [int(network) for network in self.networks.index]

    @property
    def budgets(self) -> range:
        """The budgets that a method may be given."""
        return range(1, self.manifest.epochs + 1)

    def split(self, name: str) -> list[Fold]:
        """A fixed split: a list of (training ids, test ids).

        Raises
        ------
        UnknownNameError
            For a name that is no split.
        SplitError
            With the reason, for one that this version's networks could not fill.
        """
        known(name, RULES, what="split")
        stored = json.loads(self._file(SPLITS_FILE).read_text(encoding="utf-8"))
        if name in stored["left_out"]:
            raise SplitError(f"{self.name} {self.version} has no split {name!r}: {stored['left_out'][name]}")
        return [(fold["train"], fold["test"]) for fold in stored["folds"][name]]

    def history(self, network_id: int, epochs: int) -> History:
        """One network's history up to a budget of epochs.

        Raises
        ------
        KeyError
            For an id that is not in this version.
        BudgetError
            For a budget that is no whole number from 1 to the most epochs a network may have trained.
        """
        return History(self._reader(network_id), self.budget(epochs))

    def histories(self, network_ids: Sequence[int], epochs: int, *, read: set[str] | None = None) -> list[History]:
        """Many networks' histories; ``read`` collects the information tiers that are read through them."""
        budget = self.budget(epochs)
        return [History(self._reader(network), budget, read) for network in network_ids]

    def budget(self, epochs: object) -> int:
        """``epochs`` if it is a valid budget; raises `BudgetError` otherwise."""
        if isinstance(epochs, bool) or not isinstance(epochs, (int, np.integer)) or int(epochs) not in self.budgets:
            raise BudgetError(
                f"{epochs!r} is no budget of {self.name}: valid are whole numbers from 1 to {self.budgets[-1]}"
            )
        return int(epochs)

    def _reader(self, network: int) -> StoredNetwork:
        if network not in self.networks.index:
            raise KeyError(f"{self.name} {self.version} has no network {network!r} (it has {len(self.networks)})")
        return StoredNetwork(self, int(network))

    def to_datasets(self, table: TableName = "networks") -> datasets.Dataset:
        """A table as a `datasets.Dataset`, its keys as columns. Needs the library: ``pip install datasets``."""
        import datasets

        known(table, KEYS, what="table")
        return datasets.Dataset.from_pandas(getattr(self, table).reset_index(), preserve_index=False)

    def to_torch(
        self, tier: TierName = "graphs", *, network_ids: Sequence[int] | None = None, epochs: Sequence[int] | None = None
    ) -> Snapshots:
        """The snapshots of a tier as a map-style `torch.utils.data.Dataset`; see `nndynbench.subsets.snapshots.Snapshots`.

        ``network_ids`` are those of a split's side, all by default; ``epochs`` those to take, all that are held by default.
        Needs torch.
        """
        from nndynbench.subsets.snapshots import Snapshots

        return Snapshots(self, tier, network_ids=network_ids, epochs=epochs)

    def networks_with(self, tier: TierName) -> set[int]:
        """The ids of the networks that a tier at hand holds anything of: a bundled one may hold some alone."""
        if tier == "networks":
            return set(self.network_ids)
        return {network for network in self.network_ids for arrays in self._arrays(tier) if arrays.epochs(network)}

    def _table(self, table: TableName) -> pd.DataFrame:
        return read_table(self._file(table_file(table)), table)

    def _file(self, name: str) -> Path:
        """A checked file, from the first folder that holds it; else fetched for the first that was downloaded."""
        holding = [folder for folder in self.folders if folder.holds(name)]
        fetching = [folder for folder in self.folders if folder.origin is not None and name in folder.manifest.files]
        return next(iter(holding + fetching), self.folders[0]).path(name)

    def _arrays(self, tier: TierName) -> list[SnapshotArrays]:
        """The readers of an HDF5 tier: none where it is not at hand, several where folders hold different parts of it."""
        if tier not in self._opened:
            from nndynbench.storage.arrays import SnapshotArrays

            holding = [folder for folder in self.folders if folder.holds_tier(tier)]
            whole = [folder for folder in holding if all(map(folder.holds, folder.manifest.tiers[tier].files))]
            self._opened[tier] = [
                SnapshotArrays(folder.path(name))
                for folder in whole or holding
                for name in folder.manifest.tiers[tier].files
            ]
        return self._opened[tier]

    def _arrays_with(self, tier: TierName, network: int, epochs: Collection[int]) -> SnapshotArrays | None:
        """The first reader of a tier that has all of these epochs of a network."""
        return next((arrays for arrays in self._arrays(tier) if set(epochs) <= set(arrays.epochs(network))), None)

    @cached_property
    def _opened(self) -> dict[TierName, list[SnapshotArrays]]:
        return {}

    def _own_rows(self, table: TableName, network: int, last: int) -> pd.DataFrame:
        """A table's rows of one network up to an epoch; none for one that diverged in its first epoch."""
        rows, _ = self._rows_of(table, [network], last)
        return rows

    def _rows_of(self, table: TableName, networks: Sequence[int], last: int) -> tuple[pd.DataFrame, npt.NDArray[np.intp]]:
        """A table's rows of some networks up to an epoch, one network after the other, and where each one's end."""
        if table not in self._by_network:
            frame: pd.DataFrame = getattr(self, table)
            epochs = frame.index.get_level_values("epoch").to_numpy()
            self._by_network[table] = frame.droplevel("network"), epochs, frame.groupby(level="network").indices
        rows, epochs, positions = self._by_network[table]
        none = np.empty(0, dtype=np.intp)
        own = [part[epochs[part] <= last] for part in (positions.get(network, none) for network in networks)]
        return rows.take(np.concatenate(own)), np.cumsum([len(part) for part in own])

    @cached_property
    def _by_network(self) -> dict[TableName, tuple[pd.DataFrame, npt.NDArray[Any], Mapping[Any, Any]]]:
        """Of a table its rows without the network, their epochs, and the positions of each network's."""
        return {}

    @cached_property
    def _signature_arrays(self) -> dict[tuple[str, str, str], FloatArray]:
        """Per (representation, sign, centrality) an array (network, epoch, 5), NaN where there is no row."""
        rows = pd.Series(np.arange(len(self.networks)), index=self.networks.index)
        arrays = {}
        for key, part in self.signatures.groupby(level=["representation", "sign", "centrality"], observed=True):
            array = np.full((len(rows), self.manifest.epochs + 1, part.shape[1]), np.nan)
            ids, epochs = part.index.get_level_values("network"), part.index.get_level_values("epoch")
            array[rows.loc[ids].to_numpy(), epochs.to_numpy()] = part.to_numpy()
            arrays[tuple(map(str, key))] = array
        return arrays  # type: ignore[return-value]

    @cached_property
    def _rows(self) -> dict[int, int]:
        return {network: row for row, network in enumerate(self.network_ids)}


def _same_networks(folders: list[PackedFolder]) -> list[PackedFolder]:
    """The folders whose tables are those of the first: other networks under the same version are never mixed in."""
    tables = [table_file(table) for table in KEYS]

    def contents(folder: PackedFolder) -> list[str | None]:
        return [facts.sha256 if (facts := folder.manifest.files.get(name)) else None for name in tables]

    return [folder for folder in folders if contents(folder) == contents(folders[0])]


@lru_cache(maxsize=16)
def _opened_once(folder: Path, also: tuple[Path, ...], offline: bool | None) -> Subset:
    return Subset(folder, also=also, offline=offline)
