"""The splits of a subset, drawn by one seeded rule. Most are drawn when the subset is packed, and stored as network ids.
Splits that came later, and all further draws of the folds, are drawn whenever they are asked for, the same every time.

What is drawn does not depend on the version of any library. Of numpy's random numbers, only those that it promises never to
change are used (``RandomState`` and the raw numbers of ``PCG64``), and the folds are made here.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd

from nndynbench.errors import NndynbenchError

Ids = list[int]
Fold = tuple[Ids, Ids]
"""(ids of the training networks, ids of the test networks)"""

FOLDS = 5
LARGEST_CLASS_SAMPLE = 125  # the paper's 250 networks, half of them high (appendix A.1)
SMALLEST_CLASS = 15
BAND = 4  # adjacent learning rates left out together
MOST_BANDS = 10  # of a column that the user names, which may have another value in every network
MOST_TEXTS = 128  # of a column of texts: each is a fold, and the table has 8 bits for a fold's number


class SplitError(NndynbenchError, ValueError):
    """A split that this subset's networks cannot fill; says why."""


@dataclass(frozen=True)
class DrawnSplits:
    """All splits by name: their folds, or the reason why a split could not be drawn."""

    folds: dict[str, list[Fold]]
    left_out: dict[str, str]


def draw_splits(networks: pd.DataFrame, *, subset: str, blocked_by: str | None = None) -> DrawnSplits:
    """Draw all splits of a subset's networks (a frame by network id with ``label`` and the grid's columns).

    Networks of one configuration (two seeds of the same hyperparameters) are always on the same side. ``blocked_by`` names
    the column that ``blocked`` extrapolates over; see `blocked`.
    """
    folds, left_out = {}, {}
    for name, rule in RULES.items():
        if name == "blocked":
            rule = partial(blocked, by=blocked_by)
        try:
            folds[name] = list(rule(networks, subset))
        except SplitError as error:
            left_out[name] = str(error)
    return DrawnSplits(folds, left_out)


FOLD_COLUMNS = {"sample_folds": "sample_fold", "folds": "fold", "blocked": "blocked_fold", "holdout": "holdout"}


def fold_columns(splits: DrawnSplits, network_ids: Ids) -> pd.DataFrame:
    """The splits as columns of the networks table, by network id.

    ``sample_fold``, ``fold`` and ``blocked_fold`` are the number of the fold that tests the network. ``holdout`` is whether
    the network is on the held-out side. Values are missing if no test side has the network, or if the split could not be
    drawn. The training side of a blocked fold also leaves out the networks next to the fold: `Subset.split` has the training
    ids.
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


def sample_folds(networks: pd.DataFrame, subset: str, draw: int = 0) -> Iterator[Fold]:
    """5 stratified folds of a balanced sample: min(125, the smaller class) networks of each class. Another draw has another
    sample.
    """
    sizes = networks["label"].value_counts().reindex([0, 1], fill_value=0)
    count = min(LARGEST_CLASS_SAMPLE, int(sizes.min()))
    if count < SMALLEST_CLASS:
        raise SplitError(f"{sizes[1]} high and {sizes[0]} low networks: a class needs at least {SMALLEST_CLASS}")
    below = _whole_numbers(_seed(subset, "sample", draw))
    classes = [_ids(networks.index[networks["label"] == label]) for label in (0, 1)]
    chosen = [network for members in classes for network in _choice(members, count, below)]
    yield from _stratified(networks.loc[sorted(chosen)], _seed(subset, "sample_folds", draw))


def folds(networks: pd.DataFrame, subset: str, draw: int = 0) -> Iterator[Fold]:
    """5 folds of all networks, stratified by label."""
    yield from _stratified(networks, _seed(subset, "folds", draw))


def holdout(networks: pd.DataFrame, subset: str) -> Iterator[Fold]:
    """80/20, stratified by label: the first of five folds, drawn by another seed than `folds`."""
    yield next(iter(_stratified(networks, _seed(subset, "holdout"))))


def blocked(networks: pd.DataFrame, subset: str, by: str | None = None) -> Iterator[Fold]:
    """Extrapolation. Each fold tests a band of four adjacent learning rates, and training leaves out the nearest rate on
    either side. If the optimiser varies, there is one fold per optimiser instead. ``by`` names another column: texts make a
    fold per value, numbers at most ten bands of four values or more. A network that lacks the number is never tested.
    """
    column = by or ("optimiser" if "optimiser" in networks else "learning_rate")
    if column not in networks:
        raise SplitError(f"there is no column {column}: say over which to extrapolate, as blocked= (--blocked)")
    values = networks[column]
    if not pd.api.types.is_numeric_dtype(values):
        if (count := values.nunique()) < 2:
            raise SplitError(f"all networks have the same {column}")
        if count > MOST_TEXTS:
            raise SplitError(f"{count} values of {column}, and a fold for each: there can be {MOST_TEXTS}")
        for value in sorted(values.unique()):
            inside = values == value
            yield _ids(networks.index[~inside]), _ids(networks.index[inside])
        return
    rates = np.sort(values.dropna().unique())
    if len(rates) < 2 * BAND:
        named = "learning rates" if column == "learning_rate" else f"values of {column}"
        raise SplitError(f"{len(rates)} {named}: bands of {BAND} need at least {2 * BAND}")
    nowhere = -2  # beside no band
    position = np.where(values.isna(), nowhere, np.searchsorted(rates, values))
    width = BAND if by is None else max(BAND, math.ceil(len(rates) / MOST_BANDS))
    for start in range(0, len(rates), width):
        inside = (position >= start) & (position < start + width)
        beside = (position >= start - 1) & (position <= start + width)
        yield _ids(networks.index[~beside]), _ids(networks.index[inside])


RULES: dict[str, Callable[[pd.DataFrame, str], Iterator[Fold]]] = {
    "sample_folds": sample_folds,
    "folds": folds,
    "holdout": holdout,
    "blocked": blocked,
}

# The splits that can be drawn again. The others divide the networks in the only possible way, or in the paper's way.
REDRAWN: dict[str, Callable[[pd.DataFrame, str, int], Iterator[Fold]]] = {"sample_folds": sample_folds, "folds": folds}

RECIPES = "recipes"
# With fewer seeds per recipe, nothing can be said about what distinguishes them.
FEWEST_SEEDS = 4

DRAWN = (RECIPES,)


def recipe_of_each(networks: pd.DataFrame, hyperparameters: Sequence[str]) -> pd.Series:
    """By network id, the number of its recipe: networks with equal hyperparameters differ only in their seeds."""
    if "configuration" in networks:
        return networks["configuration"].rename("recipe")
    return networks.groupby(list(hyperparameters), sort=False, dropna=False).ngroup().rename("recipe")


def have_seeds(recipes: pd.Series) -> bool:
    """Whether every recipe was trained from several seeds, and there is at least one recipe for each fold."""
    seeds = recipes.value_counts()
    return len(seeds) >= FOLDS and int(seeds.min()) >= FEWEST_SEEDS


def recipe_folds(recipes: pd.Series, subset: str, draw: int = 0) -> list[Fold]:
    """5 folds of whole recipes, with all seeds of each. Recipes are ordered by their digests and dealt out like cards."""
    digests = {recipe: hashlib.sha256(f"{subset}/{RECIPES}/{draw}/{recipe}".encode()).digest() for recipe in set(recipes)}
    order = sorted(digests, key=lambda recipe: digests[recipe])
    fold_of = {recipe: place % FOLDS for place, recipe in enumerate(order)}
    tested = recipes.map(fold_of)
    return [(_ids(recipes.index[tested != fold]), _ids(recipes.index[tested == fold])) for fold in range(FOLDS)]


def _stratified(networks: pd.DataFrame, seed: int) -> Iterator[Fold]:
    smallest = int(networks["label"].value_counts().reindex([0, 1], fill_value=0).min())
    if smallest < FOLDS:
        counted = f"{len(networks)} networks with {smallest} in the smaller class"
        is_enough = len(networks) >= 2 * FOLDS
        remedy = "; another threshold= cuts the labels elsewhere" if is_enough else f", so at least {2 * FOLDS} networks"
        raise SplitError(f"{counted}: {FOLDS} folds need {FOLDS} of each{remedy}")
    groups = networks.get("configuration", networks.index)
    fold_of = _fold_of_each(networks["label"].tolist(), list(groups), seed=seed)
    for fold in range(FOLDS):
        tested = np.array(fold_of) == fold
        yield _ids(networks.index[~tested]), _ids(networks.index[tested])


def _fold_of_each(labels: Sequence[int], groups: Sequence[int], *, seed: int) -> list[int]:
    """The fold that tests each network, as scikit-learn 1.8's ``StratifiedGroupKFold(FOLDS, shuffle=True)`` draws it.

    Groups are shuffled, then taken in order, the least balanced first. Each goes into the fold that spreads the classes most
    evenly over the folds, and among equals into the smallest. Before version 1.8, scikit-learn shuffled differently.
    """
    labels_in_order, groups_in_order = sorted(set(labels)), sorted(set(groups))
    if len(groups_in_order) < FOLDS:
        raise SplitError(f"{len(groups_in_order)} configurations: {FOLDS} folds need {FOLDS}")
    order = np.arange(len(groups_in_order))
    np.random.RandomState(seed).shuffle(order)
    in_class = {group: [0] * len(labels_in_order) for group in (groups_in_order[position] for position in order)}
    for label, group in zip(labels, groups, strict=True):
        in_class[group][labels_in_order.index(label)] += 1
    total = [sum(counts) for counts in zip(*in_class.values(), strict=True)]

    filled = [[0] * len(total) for _ in range(FOLDS)]
    fold_of_group = {}
    for group in sorted(in_class, key=lambda group: -_deviation(in_class[group])):
        fold = _best_fold(filled, in_class[group], total)
        filled[fold] = _added(filled[fold], in_class[group])
        fold_of_group[group] = fold
    return [fold_of_group[group] for group in groups]


def _best_fold(filled: list[list[int]], group: list[int], total: list[int]) -> int:
    best, least, fewest = 0, math.inf, math.inf
    for fold in range(FOLDS):
        trial = [_added(counts, group) if number == fold else counts for number, counts in enumerate(filled)]
        shares = zip(*([count / of for count, of in zip(counts, total, strict=True)] for counts in trial), strict=True)
        unevenness = _mean([_deviation(share) for share in shares])
        size = sum(filled[fold])
        if unevenness < least or (abs(unevenness - least) <= 1e-8 + 1e-5 * least and size < fewest):
            best, least, fewest = fold, unevenness, size
    return best


def _added(counts: Sequence[int], others: Sequence[int]) -> list[int]:
    return [count + other for count, other in zip(counts, others, strict=True)]


def _mean(values: Sequence[float]) -> float:
    total = 0.0
    for value in values:  # one after the other: from Python 3.12 on, `sum` rounds differently
        total += value
    return total / len(values)


def _deviation(values: Sequence[float]) -> float:
    mean = _mean(values)
    return math.sqrt(_mean([(value - mean) * (value - mean) for value in values]))


def _choice(of: Sequence[int], count: int, below: Callable[[int], int]) -> list[int]:
    """``count`` different values by Floyd's algorithm, shuffled: numpy's ``Generator.choice(of, count, replace=False)``."""
    chosen: list[int] = []
    for last in range(len(of) - count, len(of)):
        drawn = below(last + 1)
        chosen.append(last if drawn in chosen else drawn)
    for last in range(count - 1, 0, -1):
        other = below(last + 1)
        chosen[last], chosen[other] = chosen[other], chosen[last]
    return [of[position] for position in chosen]


def _whole_numbers(seed: int) -> Callable[[int], int]:
    """A function from n ≤ 2³² to whole numbers in [0, n), as numpy's ``default_rng(seed)`` draws them (Lemire 2019)."""
    raw = np.random.PCG64(seed)
    halves: list[int] = []

    def half() -> int:
        if not halves:
            both = int(raw.random_raw())
            halves.extend([both >> 32, both & 0xFFFFFFFF])
        return halves.pop()

    def below(n: int) -> int:
        if n == 1:
            return 0
        product = half() * n
        while (product & 0xFFFFFFFF) < (2**32 - n) % n:
            product = half() * n
        return product >> 32

    return below


def _ids(index: pd.Index | npt.NDArray[np.int64]) -> Ids:
    return sorted(int(network) for network in index)


def _seed(subset: str, split: str, draw: int = 0) -> int:
    text = f"{subset}/{split}/{draw}" if draw else f"{subset}/{split}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
