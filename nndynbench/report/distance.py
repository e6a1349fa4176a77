"""How far seeds of a recipe get from their initialisation, and whether those that get farther end better, by optimiser."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from nndynbench.columns import layer_distances
from nndynbench.numbers import written, written_interval
from nndynbench.protocols.intervals import draw_resamples, quantiles
from nndynbench.protocols.metrics import Scored
from nndynbench.protocols.within import deviations
from nndynbench.report.markdown import epochs, table_head, table_line
from nndynbench.subsets import Subset

FloatArray = npt.NDArray[np.float64]

# What everybody calls what the grids call otherwise.
OPTIMISERS = {"sgd": "plain SGD", "adam": "Adam"}


def distance_table(subset: Subset, budgets: Sequence[int]) -> Iterator[str]:
    """By optimiser and budget: by what factor a typical seed is farther or less far than its recipe, and the correlation of
    that with how much better it ends, with its 95% interval, recipes resampled. Distances are geometric means over layers.
    """
    networks, recipes = subset.networks, subset.recipes.to_numpy()
    better = deviations(networks["late_accuracy"].to_numpy(dtype=np.float64), recipes)
    farther = {budget: deviations(_log_distances(subset, budget), recipes) for budget in budgets}
    yield from table_head(["seeds of a recipe", *map(epochs, budgets)])
    for optimiser in sorted(networks["optimiser"].unique()):
        own = (networks["optimiser"] == optimiser).to_numpy()
        cells = (_cell(values[own], better[own], recipes[own]) for values in farther.values())
        yield table_line([f"{optimiser_name(optimiser)}, {len(np.unique(recipes[own]))} recipes", *cells])


def optimiser_name(optimiser: str) -> str:
    """What the pages call an optimiser of a grid's."""
    return OPTIMISERS.get(optimiser, optimiser)


def _log_distances(subset: Subset, budget: int) -> FloatArray:
    """log10 of each network's distance, (networks,): the mean over its layers at the budget."""
    histories = subset.histories(list(subset.networks.index), budget)
    columns = (layer_distances(history) for history in histories)
    return np.array([np.mean([v for name, v in own.items() if name.endswith(f" {budget}")]) for own in columns])


def _cell(farther: FloatArray, better: FloatArray, recipes: npt.NDArray[np.int64]) -> str:
    nowhere = np.zeros(len(better), dtype=np.int64)
    drawn = draw_resamples(recipes, Scored(better, farther, farther, nowhere), need_classes=False)
    squares = drawn.sums(farther**2) * drawn.sums(better**2)
    low, high = quantiles(drawn.sums(farther * better) / np.sqrt(squares))
    correlation = float(farther @ better / np.sqrt(farther @ farther * (better @ better)))
    factor = float(10 ** np.sqrt(np.mean(farther**2)))
    return f"× {factor:.2f}, r = {written(correlation, signed=True)} ({written_interval(low, high, digits=2)})"
