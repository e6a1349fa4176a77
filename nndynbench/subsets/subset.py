"""A loaded subset: tables, splits and histories, read from its pack when they are asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nndynbench.errors import NndynbenchError
from nndynbench.graphs import Architecture
from nndynbench.names import check_name
from nndynbench.storage.manifest import TIERS, TierName
from nndynbench.storage.pack import Pack
from nndynbench.storage.tables import KEYS, SPLITS_FILE, TableName
from nndynbench.subsets.catalogue import catalogue
from nndynbench.subsets.history import BudgetError, History
from nndynbench.subsets.packed import PackedNetwork, architecture_of
from nndynbench.subsets.plateau import on_plateau
from nndynbench.subsets.reader import RICHER, Reader
from nndynbench.subsets.splits import DRAWN, REDRAWN, RULES, Fold, SplitError, have_seeds, recipe_folds, recipe_of_each
from nndynbench.subsets.targets import (
    LATE,
    LATE_ACCURACY,
    LATE_EPOCHS,
    LATE_VALIDATION_ACCURACY,
    TargetError,
    epochs_before_late,
    late_validation_accuracy,
)

if TYPE_CHECKING:
    import datasets
    from matplotlib.axes import Axes

    from nndynbench.subsets.export import FormatName
    from nndynbench.subsets.snapshots import Snapshots

FINAL_ACCURACY = "final_accuracy"


class UnknownNetworkError(NndynbenchError, KeyError):
    """An id that no network of a subset has; says which ids there are."""

    def __str__(self) -> str:
        return str(self.args[0])  # a KeyError shows its message in quotation marks


class Subset:
    """All networks of one architecture on one image data set under one grid.

    `nndynbench.load` makes one. ``folder`` is the packed version; opening it reads only the manifest. Every file is checked
    against the manifest's size and SHA-256 before it is first read. ``also`` names folders of the same version at other
    places: what ``folder`` lacks is read from one of these, if its tables are the same. The tables of a downloaded version
    are fetched when they are asked for, unless ``offline``; `nndynbench.download` fetches the larger tiers.

    Examples
    --------
    >>> import nndynbench
    >>> zoo = nndynbench.load("digits-lenet")
    >>> zoo.networks.loc[100, "final_accuracy"] >= zoo.manifest.threshold
    np.True_
    >>> len(zoo.split("folds"))
    5
    """

    def __init__(self, folder: Path, *, also: Sequence[Path] = (), offline: bool | None = None) -> None:
        self.folder = folder
        self.pack = Pack(folder, also=also, offline=offline)
        self.manifest = self.pack.manifest
        self._redrawn: dict[tuple[str, int], list[Fold]] = {}

    def __repr__(self) -> str:
        return f"Subset({self.name!r}, version={self.version!r}, networks={self.manifest.networks})"

    def _repr_html_(self) -> str:
        from nndynbench.cards import subset_card

        return subset_card(self)

    def plot_curves(self, *, network_ids: Sequence[int] | None = None, ax: Axes | None = None) -> Axes:
        """Plot the validation accuracy of every network, or of those named, against epochs, coloured by learning rate.

        The matplotlib axes are those given, or a new figure's; returns them.
        """
        from nndynbench.drawing import draw_curves

        return draw_curves(self, network_ids=network_ids, ax=ax)

    def __reduce__(self) -> tuple[Callable[..., Subset], tuple[Any, ...]]:
        # A worker opens the files itself, only once, however many histories are sent to it.
        return _opened_once, self.pack.opening

    @property
    def name(self) -> str:
        return self.manifest.subset

    @property
    def version(self) -> str:
        return self.manifest.version

    @property
    def architecture(self) -> Architecture:
        """The architecture of its networks."""
        return architecture_of(self.pack)

    @property
    def checksum(self) -> str:
        """SHA-256 over the checksums of tables and splits: equal for the same networks, whatever tiers are at hand."""
        return self.pack.checksum

    @property
    def tiers(self) -> list[TierName]:
        """The tiers that can be read for at least some networks, at hand or derived from a richer one; the poorest first."""
        return [tier for tier in TIERS if self.networks_in(tier)]

    def networks_in(self, tier: TierName, *, epoch: int | None = None) -> int:
        """For how many networks a tier can be read, by the manifests at hand; a bundled tier may hold only some. With
        ``epoch``, only what holds that epoch of those networks that trained so long.
        """
        is_graph = (self.manifest.network or {}).get("no_graph") is None
        parts = (tier, *(RICHER.get(tier, ()) if is_graph else ()))
        return max(self.pack.networks_in(part, epoch=epoch) for part in parts)

    @property
    def networks(self) -> pd.DataFrame:
        """A row per network id. The columns are the grid's, then seed, epochs_trained, stopped_early, diverged,
        final_accuracy, final_accuracy_all, best_accuracy (percent), late_accuracy (percent, where the grid has late epochs),
        label (1 is high), seconds, device, precision, and the splits as sample_fold, fold, blocked_fold and holdout (see
        `nndynbench.subsets.splits.fold_columns`).
        """
        return self._own("networks")

    @property
    def curves(self) -> pd.DataFrame:
        """A row per (network, epoch): train_loss, train_accuracy, validation_accuracy (percent), seconds."""
        return self._own("curves")

    @property
    def signatures(self) -> pd.DataFrame:
        """A row per (network, epoch, representation, sign, centrality): the five moments, for every trained epoch. In a zoo
        whose setting ``signatures`` is "kept epochs", only kept epochs have them.
        """
        return self._own("signatures")

    @property
    def features(self) -> pd.DataFrame:
        """A row per (network, kept epoch, layer), with the columns `nndynbench.features.FEATURES`."""
        return self._own("features")

    def _own(self, table: TableName) -> pd.DataFrame:
        """A table as its caller's own: what is written into it reaches no history and no score."""
        return self.pack.table(table).copy()

    @property
    def devices(self) -> list[str]:
        """The processors that trained the networks. They are of one kind: several models of CPU, or one GPU."""
        return sorted(set(self.pack.table("networks")["device"]))

    @property
    def network_ids(self) -> list[int]:
        return [int(network) for network in self.pack.table("networks").index]

    @property
    def budgets(self) -> range:
        """The budgets that a method may be given."""
        return range(1, self.manifest.epochs + 1)

    @property
    def recipes(self) -> pd.Series:
        """By network id, the number of its recipe: networks of one recipe have equal hyperparameters and different seeds."""
        return recipe_of_each(self.pack.table("networks"), self.manifest.hyperparameters)

    def target(self, name: str) -> pd.Series:
        """By network id, the value that a protocol predicts: a column of `networks`, or "late_validation_accuracy", which
        follows from the curves.

        Raises
        ------
        TargetError
            For a target that this version does not have; names the subsets at hand that have it.
        UnknownNameError
            For a name that is not a target.
        """
        networks = self.pack.table("networks")
        if name == LATE_VALIDATION_ACCURACY:
            return late_validation_accuracy(networks, self.pack.table("curves"), chance=self.manifest.chance)
        if name == LATE_ACCURACY and name not in networks:
            from nndynbench.subsets.loading import names_with_late_accuracy

            having = ", ".join(names_with_late_accuracy()) or "none"
            raise TargetError(f"{self.name} {self.version} has no {name}; subsets at hand that have it: {having}")
        return networks[check_name(name, dict.fromkeys((*networks, *LATE)), what="target")].copy()

    def on_plateau(self, budget: int) -> pd.Series:
        """By network id, whether its loss is still no more than 0.03 below that of chance at a budget. See
        `nndynbench.subsets.plateau.on_plateau`; raises `BudgetError` for a budget that the subset does not have.
        """
        last = self.check_budget(budget)
        networks, curves = self.pack.table("networks"), self.pack.table("curves")
        return on_plateau(networks, curves, budget=last, chance=self.manifest.chance)

    def split(self, name: str, draw: int = 0) -> list[Fold]:
        """A split as a list of (training ids, test ids), the same every time.

        Scores use ``draw`` 0 unless they say otherwise. Further draws of "folds", "recipes" and "sample_folds" follow the
        same rule; they are drawn when they are asked for, and not stored.

        Raises
        ------
        UnknownNameError
            For a name that is not a split.
        SplitError
            For a split that this version's networks could not fill, with the reason, and for a draw that does not exist.
        """
        check_name(name, [*RULES, *DRAWN], what="split")
        whole = isinstance(draw, (int, np.integer)) and not isinstance(draw, bool)
        if not whole or draw < 0 or (draw and name not in (*REDRAWN, *DRAWN)):
            counted = "draws are numbered 0, 1, 2, …" if name in (*REDRAWN, *DRAWN) else "its only draw is 0"
            raise SplitError(f"{name} has no draw {draw}: {counted}")
        if name in DRAWN:
            return self._recipe_folds(draw)
        stored = json.loads(self.pack.file(SPLITS_FILE).read_text(encoding="utf-8"))
        if name in stored["left_out"]:
            raise SplitError(f"{self.name} {self.version} has no split {name!r}: {stored['left_out'][name]}")
        if draw:
            if (name, draw) not in self._redrawn:
                self._redrawn[name, draw] = list(REDRAWN[name](self.pack.table("networks"), self.name, draw))
            # New lists each time, as for all other splits: shuffling them changes no later split.
            return [(list(train), list(test)) for train, test in self._redrawn[name, draw]]
        return [(fold["train"], fold["test"]) for fold in stored["folds"][name]]

    def _recipe_folds(self, draw: int) -> list[Fold]:
        if not have_seeds(recipes := self.recipes):
            having = ", ".join(f"{e.name} ({e.seeds} seeds)" for e in catalogue().values() if e.seeds)
            raise SplitError(
                f"{self.name} {self.version} has too few recipes with several seeds; subsets with enough: {having}"
            )
        return recipe_folds(recipes, self.name, draw)

    def history(self, network_id: int, budget: int) -> History:
        """One network's history up to a budget of epochs.

        Raises
        ------
        UnknownNetworkError
            For an id that is not in this version; it is a KeyError.
        BudgetError
            For a budget that is not a whole number from 1 to the most epochs that a network may have trained.
        """
        return History(self.reader(network_id), self.check_budget(budget))

    def histories(self, network_ids: Sequence[int], budget: int, *, read: set[str] | None = None) -> list[History]:
        """The histories of many networks; ``read`` collects what is read through them."""
        last = self.check_budget(budget)
        if not isinstance(network_ids, Iterable):
            raise ValueError(f"network_ids must be a sequence of ids, not {network_ids!r}: for one network, use history()")
        return [History(self.reader(network), last, read) for network in network_ids]

    def check_budget(self, budget: object, *, target: str = FINAL_ACCURACY) -> int:
        """The budget as a number, if it is valid for a target; raises `BudgetError` otherwise, or `TargetError` where the
        subset has no such target.
        """
        if isinstance(budget, bool) or not isinstance(budget, (int, np.integer)) or int(budget) not in self.budgets:
            raise BudgetError(
                f"{budget!r} is not a budget of {self.name}: valid budgets are whole numbers from 1 to {self.budgets[-1]}"
            )
        if int(budget) not in (valid := self.budgets_for(target)):
            self.target(target)  # if there is no such target, that is the reason
            until = f"valid budgets are 1 to {valid[-1]}" if valid else "no budget is valid"
            raise BudgetError(
                f"budget {budget} reaches into the late epochs of {self.name}, over which {target} is averaged: {until}"
            )
        return int(budget)

    def budgets_for(self, target: str) -> range:
        """The budgets at which a target is still in the future: they end before any network's late epochs."""
        if target not in LATE:
            return self.budgets
        late = int(self.manifest.settings.get("late_epochs", LATE_EPOCHS)) if target == LATE_ACCURACY else LATE_EPOCHS
        return range(1, epochs_before_late(self.pack.table("networks"), late) + 1)

    def reader(self, network: int) -> Reader:
        """The reader of a network, which reads all epochs, later ones too. Raises what `history` raises for an id."""
        whole = isinstance(network, (int, np.integer)) and not isinstance(network, bool)
        if not whole or network not in self.pack.facts:
            raise unknown_networks(self, [network])
        return Reader(PackedNetwork(self.pack, int(network)))

    def export(
        self, what: TableName = "networks", path: str | Path | None = None, *, file_format: FormatName | None = None
    ) -> Path:
        """Write a table to a CSV, Parquet or NumPy file; see `nndynbench.export`."""
        from nndynbench.subsets.export import export

        return export(self, what, path, file_format=file_format)

    def to_datasets(self, table: TableName = "networks") -> datasets.Dataset:
        """A table as a `datasets.Dataset`, with its keys as columns. Needs that library: ``pip install datasets``."""
        import datasets

        check_name(table, KEYS, what="table")
        return datasets.Dataset.from_pandas(getattr(self, table).reset_index(), preserve_index=False)

    def to_torch(
        self, tier: TierName = "graphs", *, network_ids: Sequence[int] | None = None, epochs: Sequence[int] | None = None
    ) -> Snapshots:
        """The snapshots of a tier as a map-style `torch.utils.data.Dataset`; see `nndynbench.subsets.snapshots.Snapshots`.

        ``network_ids`` selects networks, such as one side of a split; the default is all. ``epochs`` selects epochs; the
        default is all that the tier holds. Needs torch.
        """
        from nndynbench.subsets.snapshots import Snapshots

        return Snapshots(self, tier, network_ids=network_ids, epochs=epochs)


def unknown_networks(subset: Subset, networks: Sequence[object]) -> UnknownNetworkError:
    """The error that names ids which are not in a subset, and says which ids are."""
    ids, no = sorted(subset.network_ids), "no network" if len(networks) == 1 else "no networks"
    valid = f"from {ids[0]} to {ids[-1]}" if len(ids) == ids[-1] - ids[0] + 1 else f"between {ids[0]} and {ids[-1]}"
    named = ", ".join(f"{network!r:.100}" for network in networks)
    return UnknownNetworkError(f"{subset.name} {subset.version} has {no} {named} (it has {len(ids)}, {valid})")


@lru_cache(maxsize=16)
def _opened_once(folder: Path, also: tuple[Path, ...], offline: bool | None, checksum: str, content: str) -> Subset:
    subset = Subset(folder, also=also, offline=offline)
    subset.pack.check_unchanged(checksum)
    return subset
