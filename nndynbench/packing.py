"""Packs recorded runs as a pack of one's own, with the files, checks and splits of a subset of the catalogue."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.metadata import version as installed_version
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nndynbench.centralities import MOMENTS
from nndynbench.columns import CURVES
from nndynbench.errors import NndynbenchError
from nndynbench.features import FEATURES, layer_features
from nndynbench.given import chance_of, looks_like_a_fraction
from nndynbench.graphs import Architecture, Weights, architecture, architecture_names
from nndynbench.graphs.describing import same_network
from nndynbench.names import DEVICES, first_of
from nndynbench.recording.record import SECONDS, RunError, checked_value
from nndynbench.recording.run import Run, read_runs
from nndynbench.signatures import snapshot_signatures
from nndynbench.storage.files import file_facts, folder_written_whole, user_path
from nndynbench.storage.manifest import OWN_RUNS, ImageFacts, Manifest, TierFacts, TierName
from nndynbench.storage.tables import KEYS, SPLITS_FILE, TableName, table_file, write_table
from nndynbench.storage.versions import is_version
from nndynbench.storage.writing import write_manifest, write_splits, write_tier
from nndynbench.subsets.catalogue import catalogue
from nndynbench.subsets.splits import FOLD_COLUMNS, draw_splits, fold_columns
from nndynbench.subsets.subset import Subset
from nndynbench.subsets.targets import LATE_ACCURACY

TABLES: tuple[TableName, ...] = ("networks", "curves", "signatures", "features")

NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,98}[A-Za-z0-9_-])?")

# Columns of the networks table that are not hyperparameters and are not made below.
RESERVED = {*KEYS["networks"], *FOLD_COLUMNS.values(), LATE_ACCURACY, "configuration", "label"}

# The column that tells twins from each other; it is not a hyperparameter.
SEED = "seed"

# Usual names of hyperparameters whose meaning the bar knows under other names.
OTHER_NAMES = {
    "lr": "learning_rate",
    "optimizer": "optimiser",
    "opt": "optimiser",
    "wd": "weight_decay",
    "bs": "batch_size",
    "train_batch_size": "batch_size",
    "dropout_rate": "dropout",
}

# How many of the networks that a note is about are named.
NAMED = 5


class PackError(NndynbenchError, ValueError):
    """Runs cannot be one pack, or a pack cannot have this name or version.

    Examples
    --------
    >>> import nndynbench
    >>> try:
    ...     nndynbench.pack("runs", name="digits-lenet", out="zoo")
    ... except nndynbench.PackError as error:
    ...     print(error)
    digits-lenet is a subset of the catalogue: choose another name
    """


def pack(
    runs: str | PathLike[str] | Iterable[Run],
    *,
    name: str,
    out: str | PathLike[str],
    threshold: float | None = None,
    blocked: str | None = None,
    classes: int | None = None,
    version: str = "1.0.0",
    summary: str = "",
    images: str = "",
) -> Subset:
    """Pack runs of one architecture into ``<out>/<name>/<version>/``; ``nndynbench.load(name, root=out)`` reads it.

    A pack has the files, checks and splits of a subset of the catalogue, and its manifest describes the architecture. Runs
    become networks in the order in which they are given, those of a folder in the order of their paths. Their names are in
    the column ``run`` of `Subset.networks`; runs that share one have their folders there. Runs with equal hyperparameters
    are twins, whatever their ``seed``, and no split separates them. An earlier pack of the same name and version is
    replaced.

    The ``notes`` of `Subset.manifest` list what is missing: runs without an outcome, which are left out; epochs that were
    not kept, whose signatures and features are NaN, like those of a diverged network; hyperparameters and curves that some
    runs lack.

    Parameters
    ----------
    runs
        A folder with runs in it, at any depth; or several runs, such as `nndynbench.read_run` or an importer returns.
    name
        The name of the pack. It must not be a name of the catalogue, or differ from another name only in case.
    out
        The folder to write to; it is the ``root=`` of all functions that read packs.
    threshold
        The final accuracy in percent from which a network's label is high. By default it is the median, or the second lowest
        accuracy if more than half of the runs share the lowest.
    blocked
        The hyperparameter over which the split ``blocked`` extrapolates: a fold for each text, or for each band of adjacent
        numbers. By default this is the optimiser if there is one, else the learning rate.
    classes
        How many classes the images have; chance is 100 / ``classes``. By default it is the number of the network's outputs.
        Without weights, a graph or a second output it is unknown, as a note says: then chance counts as 0.
    version
        Three numbers, such as "1.0.0".
    summary, images
        In words, what the networks are, and which images they were trained on.

    Raises
    ------
    PackError
        If runs have different architectures or hyperparameters of different kinds; if no run has an outcome; if outcomes
        seem to be fractions, not percentages; if the threshold is not a percentage, or ``classes`` no number of classes; if
        ``runs`` has anything but runs, or one twice; and for invalid names and versions.
    NotGivenError, RunError, DamagedFileError
        For a run whose files are invalid or damaged; names the file.

    Examples
    --------
    >>> import nndynbench
    >>> for rate in (0.1, 0.01):
    ...     recorder = nndynbench.Recorder(f"runs/{rate}", hyperparameters={"learning_rate": rate})
    ...     recorder.epoch(validation_accuracy=50 + rate)
    ...     run = recorder.finish(test_accuracy=60 + rate)
    >>> zoo = nndynbench.pack("runs", name="my-zoo", out="zoo")
    >>> zoo.networks["final_accuracy"].tolist()
    [60.01, 60.1]
    """
    check_own_name(name, beside=user_path(out))
    if not is_version(version, numbers=3):
        raise PackError(f"{version!r} is not a version: write three numbers, such as 1.0.0")
    if classes is not None and (isinstance(classes, bool) or not isinstance(classes, (int, np.integer)) or classes < 2):
        raise PackError(f"classes must be how many classes the images have, at least 2, not {classes!r}")
    made = _Making(_runs_of(runs), None if classes is None else int(classes))
    folder = user_path(out) / name / version
    with folder_written_whole(folder) as fresh:
        made.write(fresh, name, version, threshold, blocked, summary or f"{len(made.runs)} runs of one's own", images)
    return Subset(folder)


def check_own_name(name: str, *, beside: Path) -> None:
    """Raise `PackError` for a name that a pack of one's own cannot have on every system, or in the folder ``beside``."""
    if name in catalogue():
        raise PackError(f"{name} is a subset of the catalogue: choose another name")
    if not NAME.fullmatch(name):
        raise PackError(
            f"{name!r} cannot be the name of a pack: use letters, digits, dots, dashes and underscores; begin with a "
            "letter or digit, and do not end with a dot"
        )
    if DEVICES.fullmatch(name):
        raise PackError(f"{name!r} cannot be the name of a pack: Windows treats it as a device")
    others = [*catalogue(), *(path.name for path in (beside.iterdir() if beside.is_dir() else ()))]
    if alike := next((other for other in others if other != name and other.lower() == name.lower()), None):
        raise PackError(f"{name} differs from {alike} only in case, which not every system distinguishes: choose another")


def _runs_of(given: object) -> list[Run]:
    """The runs of a folder, or the given runs; raises `PackError` for anything else."""
    if isinstance(given, (str, PathLike)):
        return list(read_runs(user_path(given)).values())
    runs: list[Run] = list(given) if isinstance(given, Iterable) else []
    if not isinstance(given, Iterable) or not all(isinstance(run, Run) for run in runs):
        raise PackError(f"runs must be a folder, or several runs as nndynbench.read_run reads them, not {given!r:.100}")
    return _told_apart(runs)


def _told_apart(runs: list[Run]) -> list[Run]:
    """Runs by names of their own: those that share one are named by their folders. Raises `PackError` for one run twice."""
    shared = {name for name, count in Counter(run.name for run in runs).items() if count > 1}
    if twice := [folder for folder, count in Counter(r.folder for r in runs if r.name in shared).items() if count > 1]:
        raise PackError(f"the run in {twice[0]} is given twice")
    return [
        Run(run.folder, run.record, weights=run.weights, name=run.folder.as_posix()) if run.name in shared else run
        for run in runs
    ]


@dataclass
class _Making:
    """Runs that are being packed: network ``i`` is run ``i`` of those with an outcome."""

    given: Sequence[Run]
    classes: int | None = None
    notes: list[str] = field(default_factory=list)

    @cached_property
    def runs(self) -> list[Run]:
        ended = [run for run in self.given if run.test_accuracy is not None]
        if left := [run for run in self.given if run.test_accuracy is None]:
            self.note(left, "have no outcome and are left out")
        if not ended:
            raise PackError(
                f"no run has an outcome (runs given: {len(self.given)}): end each with finish(test_accuracy=…). The outcome "
                "is an accuracy in percent; for a task without one, such as a regression, see docs/your-own-runs.md"
            )
        return ended

    @cached_property
    def architecture(self) -> Architecture:
        first = self.runs[0]
        for run in self.runs[1:]:
            if run.record.architecture != first.record.architecture and not same_network(
                run.architecture, first.architecture
            ):
                raise PackError(
                    f"{first.folder} and {run.folder} have different architectures: {_in_words(first.architecture)} and "
                    f"{_in_words(run.architecture)}; a pack can have only one"
                )
        return first.architecture if self.classes is None else replace(first.architecture, classes=self.classes)

    @cached_property
    def longest(self) -> int:
        return max(max(run.epochs for run in self.runs), 1)

    @cached_property
    def kept(self) -> list[int]:
        """The epochs for which any run has a snapshot."""
        return sorted({epoch for run in self.runs for epoch in run.weights})

    def epochs(self, run: Run) -> list[int]:
        """The kept epochs that a run reached; if it ended before all of them, its last epoch, without a snapshot."""
        return [epoch for epoch in self.kept if epoch <= run.epochs] or [run.epochs] * bool(self.kept)

    def epochs_and_last(self, run: Run) -> list[int]:
        """The same and, if the run ended between two kept epochs, its last one, which stands for later ones: it has no
        snapshot.
        """
        reached = self.epochs(run)
        return [*reached, run.epochs] if reached and reached[-1] < run.epochs < self.kept[-1] else reached

    def note(self, runs: Sequence[Run], what: str) -> None:
        names = first_of((run.name for run in runs), NAMED)
        self.notes.append(f"{len(runs)} of {len(self.given)} runs {what}: {names}")

    def write(
        self, folder: Path, name: str, version: str, threshold: float | None, blocked: str | None, summary: str, images: str
    ) -> None:
        described = self.architecture
        networks = self.networks()
        chance = chance_of(described.classes)
        self.check_percent(float(networks["final_accuracy"].max()), chance)
        if not chance:
            self.notes.append("how many classes there are is not known, so chance counts as 0%: give classes= (--classes)")
        cut = self.median_cut(networks["final_accuracy"]) if threshold is None else _checked_threshold(threshold, chance)
        networks["label"] = (networks["final_accuracy"] >= cut).astype(int)
        if blocked is not None and blocked not in self.hyperparameters:
            there = ", ".join(map(str, self.hyperparameters)) or "none"
            raise PackError(f"no run has the hyperparameter {blocked!r} to block by (hyperparameters: {there})")
        by = blocked or ("optimiser" if "optimiser" in networks else "learning_rate")
        splits = draw_splits(networks, subset=name, blocked_by=by)
        write_table(folder, "networks", networks.join(fold_columns(splits, list(networks.index))))
        write_table(folder, "curves", self.curves())
        signatures, features = self.derived()
        write_table(folder, "signatures", signatures)
        write_table(folder, "features", features)
        write_splits(folder, splits.folds, splits.left_out)
        tiers: dict[TierName, TierFacts] = {
            "networks": TierFacts(files=[*map(table_file, TABLES), SPLITS_FILE], networks=len(self.runs))
        }
        if self.kept:
            write_tier(folder / "weights.h5", self.epochs_by_network(), self.snapshot)
            tiers["weights"] = TierFacts(files=["weights.h5"], networks=len(self.runs), epochs=list(self.kept))
        self.note_what_is_missing()
        is_named = described.name in architecture_names() and described == architecture(described.name)
        manifest = Manifest(
            subset=name,
            version=version,
            summary=summary,
            regime="own",
            architecture=described.name,
            network=None if is_named else described.description,
            notes=self.notes,
            images=ImageFacts(name=images or "not said", digest=""),
            grid=OWN_RUNS,
            settings={"signatures": "kept epochs"},
            hyperparameters=list(self.hyperparameters.columns),
            zoo_seed=0,
            libraries=dict(self.runs[0].record.libraries),
            code_version=installed_version("nndynbench"),
            threshold=cut,
            chance=chance,
            epochs=self.longest,
            networks=len(self.runs),
            networks_planned=len(self.given),
            keep=max(self.kept, default=None),
            tiers=tiers,
            files={file: file_facts(folder / file) for tier in tiers.values() for file in tier.files},
        )
        write_manifest(folder, manifest)

    def check_percent(self, best: float, chance: float) -> None:
        """Raise if the best outcome must be a fraction, since it is far below chance or chance is unknown; note that it may
        be one where there are so many classes that it could be a percentage.
        """
        if not 0 < best <= 1:
            return
        if not chance or looks_like_a_fraction(best, chance=chance):
            raise PackError(
                f"the best run ends at {best:.4g}%, so accuracies seem to be fractions: record them in percent, or multiply "
                "those in each run.json by 100. If they are in percent, say how many classes there are: classes= (--classes)"
            )
        self.notes.append(f"the best run ends at {best:.4g}%: if accuracies are fractions, record them in percent")

    def median_cut(self, accuracies: pd.Series) -> float:
        """`median_cut`, with a note where it is not the median."""
        cut, lowest = median_cut(accuracies), accuracies.min()
        if cut > accuracies.median():
            alike = int((accuracies == lowest).sum())
            shared = f"{alike} of {len(accuracies)} runs ended at {lowest:.4g}%, the lowest accuracy"
            self.notes.append(f"{shared}: labels are high from the next, {cut:.4g}%")
        return cut

    @cached_property
    def hyperparameters(self) -> pd.DataFrame:
        """A row per network, without the seed. Where a run lacks a hyperparameter, numbers are NaN and texts are empty."""
        table = pd.DataFrame([run.hyperparameters for run in self.runs]).drop(columns=SEED, errors="ignore")
        for column in table.columns:
            values = table[column].dropna()
            texts = values.map(lambda value: isinstance(value, str))
            if texts.any() and not texts.all():
                one, other = values[texts].iloc[0], values[~texts].iloc[0]
                raise PackError(f"hyperparameter {column} is text in some runs ({one!r}) and a number in others ({other!r})")
            if len(lacking := [self.runs[row] for row in np.flatnonzero(table[column].isna())]):
                self.note(lacking, f"have no hyperparameter {column}, which counts as missing")
            table[column] = table[column].fillna("") if texts.any() else table[column].astype(np.float64)
            if not texts.any() and (table[column] == table[column].round()).all() and table[column].abs().max() < 2**53:
                table[column] = table[column].astype(np.int64)
        table.index = pd.RangeIndex(len(table), name="network")
        return table

    def networks(self) -> pd.DataFrame:
        table = self.hyperparameters.copy()
        names = list(table.columns)
        facts = []
        for run, seed, curves in zip(self.runs, _seeds(self.runs), self.curves_by_run, strict=True):
            facts.append(
                {
                    SEED: seed,
                    "epochs_trained": run.epochs,
                    "stopped_early": not run.record.diverged and run.epochs < self.longest,
                    "diverged": run.record.diverged,
                    "final_accuracy": run.test_accuracy,
                    "final_accuracy_all": np.nan,
                    "best_accuracy": max(curves["validation_accuracy"].dropna(), default=np.nan),
                    "seconds": sum(curves[SECONDS].dropna()),
                    "device": run.record.device or "not said",
                    "run": run.name,
                }
            )
        if taken := set(names) & {*RESERVED, *facts[0]}:
            raise PackError(f"hyperparameters cannot be named like columns of a pack's tables: {', '.join(sorted(taken))}")
        twins = table.groupby(names, dropna=False, sort=False).ngroup() if names else pd.Series(table.index, table.index)
        return table.assign(configuration=twins).join(pd.DataFrame(facts, index=table.index))

    @cached_property
    def curves_by_run(self) -> list[pd.DataFrame]:
        return [run.curves for run in self.runs]

    def curves(self) -> pd.DataFrame:
        return pd.concat(self.curves_by_run, keys=range(len(self.runs)), names=KEYS["curves"])

    def derived(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The tables of signatures and features, of every kept epoch; NaN for a snapshot that is missing."""
        described = self.architecture
        layers = [layer.name for layer in described.weighted_layers]
        signatures: list[tuple[Any, ...]] = []
        features = []
        for network, epoch, weights in self.snapshots():
            if described.no_graph is None:
                signatures += [
                    (network, epoch, *key, *values) for key, values in snapshot_signatures(weights, described).items()
                ]
            if epoch not in self.epochs(self.runs[network]):
                continue  # features of the last kept epoch count
            initial = self.read(network, 0)
            features.append(layer_features(weights, weights if initial is None else initial, described).to_numpy(copy=True))
            if initial is None:
                features[-1][:, FEATURES.index("distance_from_initial")] = np.nan
        table = pd.DataFrame(signatures, columns=[*KEYS["signatures"], *MOMENTS])
        kinds = dict.fromkeys(("representation", "sign", "centrality"), "category")
        places = [
            (number, epoch, layer) for number, run in enumerate(self.runs) for epoch in self.epochs(run) for layer in layers
        ]
        index = pd.MultiIndex.from_tuples(places, names=KEYS["features"])
        values = np.concatenate(features) if features else np.empty((0, len(FEATURES)))
        own = pd.DataFrame(values.astype(np.float32), columns=list(FEATURES), index=index).reset_index()
        return (
            table.astype(kinds).set_index(KEYS["signatures"]),
            own.astype({"layer": "category"}).set_index(KEYS["features"]),
        )

    def places(self) -> Iterator[tuple[int, int]]:
        return ((network, epoch) for network, run in enumerate(self.runs) for epoch in self.epochs_and_last(run))

    def snapshots(self) -> Iterator[tuple[int, int, Weights]]:
        return ((network, epoch, self.snapshot(network, epoch)) for network, epoch in self.places())

    def epochs_by_network(self) -> dict[int, list[int]]:
        return {network: self.epochs_and_last(run) for network, run in enumerate(self.runs)}

    def snapshot(self, network: int, epoch: int) -> Weights:
        """A snapshot in the order of the layers; NaN if it was not kept."""
        found = self.read(network, epoch)
        if found is None:
            return {name: np.full(shape, np.nan, np.float32) for name, shape in self.shapes.items()}
        if differing := [name for name in self.tensors if (name in found) != (name in self.shapes)]:
            first = next(run for run in self.runs if run.weights)
            raise PackError(
                f"{first.folder} and {self.runs[network].folder} have different architectures: only one of them has "
                f"{', '.join(differing)}; a pack can have only one"
            )
        return {name: found[name] for name in self.shapes}

    @cached_property
    def tensors(self) -> list[str]:
        """The names that a snapshot's tensors may have, in the order of the layers."""
        return [f"{layer.name}.{part}" for layer in self.architecture.weighted_layers for part in ("weight", "bias")]

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of a snapshot's tensors."""
        network, epoch = next((n, e) for n, run in enumerate(self.runs) for e in run.weights)
        found = self.runs[network].weights[epoch]
        return {name: found[name].shape for name in self.tensors if name in found}

    def read(self, network: int, epoch: int) -> Weights | None:
        return self.runs[network].weights.get(epoch)

    def note_what_is_missing(self) -> None:
        """Note which names, epochs and curves are unknown, few, unequal or missing, and what that means."""
        for name in self.hyperparameters.columns:
            if (usual := OTHER_NAMES.get(name)) and usual not in self.hyperparameters:
                self.notes.append(
                    f"the bar knows the meaning of {usual}, not of {name}, and is weaker without it: rename it in the runs"
                )
        if diverged := [run for run in self.runs if run.record.diverged]:
            self.note(diverged, "diverged: from there on, their signatures are missing")
        if shorter := [run for run in self.runs if run.epochs < self.longest and not run.record.diverged]:
            self.note(shorter, f"trained fewer epochs than {self.longest}: after their end, their last epoch is repeated")
        partly = defaultdict[tuple[int, ...], list[Run]](list)
        for run in self.runs:
            if missing := tuple(epoch for epoch in self.epochs_and_last(run) if epoch not in run.weights):
                partly[missing].append(run)
        for missing, runs in partly.items():
            what = f"have no snapshot of epoch {', '.join(map(str, missing))}: signatures and features there are missing"
            self.note(runs, what + ", and so are distances from the initialisation, of every epoch" * (0 in missing))
        if self.kept and self.kept[0] > 0:
            self.notes.append(
                "no run has a snapshot of epoch 0, the initialisation: methods that read distances from it give no result"
            )
        for column in CURVES:
            lacking = [run for run in self.runs if run.epochs and column not in run.columns]
            if lacking:
                self.note(lacking, f"have no {column}: methods that read curves treat it as missing")
            partly_measured = [
                run for run in self.runs if column in run.columns and any(column not in row for row in run.record.epochs)
            ]
            if partly_measured:
                self.note(
                    partly_measured, f"have no {column} in some epochs: methods that read curves treat it as missing there"
                )
        if self.kept and self.kept[-1] < self.longest:
            self.notes.append(
                f"snapshots are kept up to epoch {self.kept[-1]} of {self.longest}: methods that read weights see only those"
            )
        if self.architecture.no_graph is not None:
            self.notes.append(f"no graphs, so no signatures: {self.architecture.no_graph}")


def median_cut(accuracies: pd.Series) -> float:
    """Where final accuracies are cut into two halves: at the median or, if that is the lowest of them, which more than half
    share, at the next above it. Cut at the lowest, all labels would be high.
    """
    lowest, median = accuracies.min(), float(accuracies.median())
    above = accuracies[accuracies > lowest]
    return median if median > lowest or above.empty else float(above.min())


def _checked_threshold(threshold: float, chance: float) -> float:
    try:
        return checked_value("threshold", threshold, chance=chance, where="the pack")
    except RunError as reason:
        raise PackError(str(reason)) from None


def _seeds(runs: Sequence[Run]) -> Sequence[int | float | str]:
    """The seed of each run, or 0 without one; all as texts if one is a text, or too large for a table's numbers."""
    seeds = [run.hyperparameters.get(SEED, 0) for run in runs]
    if any(isinstance(seed, str) or abs(seed) >= 2**63 for seed in seeds):
        return list(map(str, seeds))
    return seeds


def _in_words(described: Architecture) -> str:
    return f"{described.name} ({described.layers_in_words})"
