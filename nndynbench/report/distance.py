"""How far seeds of a recipe get from their initialisation, and whether those that get farther end better, by optimiser."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from nndynbench.arrays import FloatArray
from nndynbench.columns import layer_distances
from nndynbench.numbers import epochs
from nndynbench.protocols.intervals import draw_resamples, quantiles
from nndynbench.protocols.scoring import Estimate
from nndynbench.protocols.within import deviations
from nndynbench.report.markdown import correlation, table_head, table_line
from nndynbench.subsets import Subset

# What everybody calls what the grids call otherwise.
OPTIMISERS = {"sgd": "plain SGD", "adam": "Adam"}


def distance_table(subset: Subset, budgets: Sequence[int]) -> Iterator[str]:
    """By optimiser and budget: by what factor a typical seed is farther or less far than its recipe, and the correlation of
    that with how much better it ends, with its 95% interval, recipes resampled. Distances are geometric means over layers.
    """
    networks, recipes = subset.networks, subset.recipes.to_numpy()
    better = deviations(networks["late_accuracy"].to_numpy(dtype=np.float64), recipes)
    farther = [deviations(distances, recipes) for distances in log_distances(subset, tuple(budgets))]
    yield from table_head(["seeds of a recipe", *map(epochs, budgets)])
    for optimiser in sorted(networks["optimiser"].unique()):
        own = (networks["optimiser"] == optimiser).to_numpy()
        cells = (_cell(values[own], better[own], recipes[own]) for values in farther)
        yield table_line([f"{optimiser_name(optimiser)}, {len(np.unique(recipes[own]))} recipes", *cells])


def optimiser_name(optimiser: str) -> str:
    """What the pages call an optimiser of a grid's."""
    return OPTIMISERS.get(optimiser, optimiser)


@lru_cache(maxsize=8)
def log_distances(subset: Subset, budgets: tuple[int, ...]) -> tuple[FloatArray, ...]:
    """log10 of each network's distance at each budget, (networks,): the mean over its layers. Kept, since every network's
    history is read for it, and the findings and two tables of the page ask for the same.
    """
    histories = subset.histories(list(subset.networks.index), max(budgets))
    columns = [layer_distances(history) for history in histories]  # of every epoch up to the last budget
    return tuple(np.array([_mean_after(epoch, own) for own in columns]) for epoch in budgets)


def _mean_after(epoch: int, distances: Mapping[str, float]) -> float:
    return float(np.mean([value for name, value in distances.items() if name.endswith(f" {epoch}")]))


def _cell(farther: FloatArray, better: FloatArray, recipes: npt.NDArray[np.int64]) -> str:
    drawn = draw_resamples(recipes)
    squares = drawn.sums(farther**2) * drawn.sums(better**2)
    low, high = quantiles(drawn.sums(farther * better) / np.sqrt(squares), drawn.clusters)
    found = float(farther @ better / np.sqrt(farther @ farther * (better @ better)))
    factor = float(10 ** np.sqrt(np.mean(farther**2)))
    return f"× {factor:.2f}, r = {correlation(Estimate(found, low, high))}"
