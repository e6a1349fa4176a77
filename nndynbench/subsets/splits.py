"""The fixed splits of a subset, drawn once by one seeded rule when it is packed, stored as network ids."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

Ids = list[int]
Fold = tuple[Ids, Ids]
"""(ids of the training networks, ids of the test networks)"""

FOLDS = 5
LARGEST_CLASS_SAMPLE = 125  # the paper's 250 networks, half of them high (appendix A.1)
SMALLEST_CLASS = 15
BAND = 4  # adjacent learning rates left out together


class SplitError(ValueError):
    """A split that this subset's networks cannot fill; says why."""


@dataclass(frozen=True)
class DrawnSplits:
    """Every split by name: its folds, or the reason why it could not be drawn."""

    folds: dict[str, list[Fold]]
    left_out: dict[str, str]


def draw_splits(networks: pd.DataFrame, *, subset: str) -> DrawnSplits:
    """Draw all splits of a subset's networks (a frame by network id with ``label`` and the grid's columns).

    Networks of one configuration (two seeds of the same hyperparameters) are always on the same side.
    """
    folds, left_out = {}, {}
    for name, rule in RULES.items():
        try:
            folds[name] = list(rule(networks, subset))
        except SplitError as error:
            left_out[name] = str(error)
    return DrawnSplits(folds, left_out)


FOLD_COLUMNS = {"sample_folds": "sample_fold", "folds": "fold", "blocked": "blocked_fold", "holdout": "holdout"}


def fold_columns(splits: DrawnSplits, network_ids: Ids) -> pd.DataFrame:
    """The splits as columns of the networks table, by network id.

    ``sample_fold``, ``fold`` and ``blocked_fold`` are the number of the fold that tests the network, ``holdout`` is whether
    the held-out side has it. Missing where a network is in no test side, or the split could not be drawn. A blocked fold's
    training side leaves out the networks next to it as well: `Subset.split` has the training ids.
    """
    index = pd.Index(network_ids, name="network")
    columns = pd.DataFrame(index=index)
    for split, column in FOLD_COLUMNS.items():
        folds = splits.folds.get(split, [])
        if split == "holdout":
            columns[column] = pd.array(index.isin(folds[0][1]) if folds else [pd.NA] * len(index), dtype="boolean")
        else:
            fold_of = {network: number for number, (_, test) in enumerate(folds) for network in test}
            columns[column] = pd.array([fold_of.get(network, pd.NA) for network in index], dtype="Int8")
    return columns


def sample_folds(networks: pd.DataFrame, subset: str) -> Iterator[Fold]:
    """5 stratified folds of a balanced sample: min(125, the smaller class) networks of each class."""
    sizes = networks["label"].value_counts().reindex([0, 1], fill_value=0)
    count = min(LARGEST_CLASS_SAMPLE, int(sizes.min()))
    if count < SMALLEST_CLASS:
        raise SplitError(f"{sizes[1]} high and {sizes[0]} low networks: a class needs at least {SMALLEST_CLASS}")
    random = np.random.default_rng(_seed(subset, "sample"))
    chosen = [random.choice(networks.index[networks["label"] == label], count, replace=False) for label in (0, 1)]
    yield from _stratified(networks.loc[np.sort(np.concatenate(chosen))], _seed(subset, "sample_folds"))


def folds(networks: pd.DataFrame, subset: str) -> Iterator[Fold]:
    """5 folds of all networks, stratified by label."""
    yield from _stratified(networks, _seed(subset, "folds"))


def holdout(networks: pd.DataFrame, subset: str) -> Iterator[Fold]:
    """80/20, stratified by label: the first of five folds of another draw."""
    yield next(iter(_stratified(networks, _seed(subset, "holdout"))))


def blocked(networks: pd.DataFrame, subset: str) -> Iterator[Fold]:
    """Extrapolation: bands of four adjacent learning rates, without the nearest rate on either side in training; where
    the optimiser varies, one fold per optimiser.
    """
    if "optimiser" in networks:
        for optimiser in sorted(networks["optimiser"].unique()):
            inside = networks["optimiser"] == optimiser
            yield _ids(networks.index[~inside]), _ids(networks.index[inside])
        return
    rates = np.sort(networks["learning_rate"].unique())
    if len(rates) < 2 * BAND:
        raise SplitError(f"{len(rates)} learning rates: bands of {BAND} need at least {2 * BAND}")
    position = np.searchsorted(rates, networks["learning_rate"])
    for start in range(0, len(rates), BAND):
        inside = (position >= start) & (position < start + BAND)
        beside = (position >= start - 1) & (position <= start + BAND)
        yield _ids(networks.index[~beside]), _ids(networks.index[inside])


RULES: dict[str, Callable[[pd.DataFrame, str], Iterator[Fold]]] = {
    "sample_folds": sample_folds,
    "folds": folds,
    "holdout": holdout,
    "blocked": blocked,
}


def _stratified(networks: pd.DataFrame, seed: int) -> Iterator[Fold]:
    from sklearn.model_selection import StratifiedGroupKFold

    smallest = networks["label"].value_counts().min()
    if networks["label"].nunique() < 2 or smallest < FOLDS:
        counted = f"{len(networks)} networks with {smallest} in the smaller class"
        raise SplitError(f"{counted}: {FOLDS} folds need {FOLDS} of each")
    groups = networks.get("configuration", networks.index)
    rule = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    for train, test in rule.split(networks, networks["label"], groups):
        yield _ids(networks.index[train]), _ids(networks.index[test])


def _ids(index: pd.Index | npt.NDArray[np.int64]) -> Ids:
    return sorted(int(network) for network in index)


def _seed(subset: str, split: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{subset}/{split}".encode()).digest()[:4], "big")
