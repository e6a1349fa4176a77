"""Which seeds of a recipe leave the plateau first, and what tells it: the curves, or how far the layers moved."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nndynbench.arrays import FloatArray
from nndynbench.columns import CURVES
from nndynbench.numbers import NOTHING, epochs, written
from nndynbench.protocols.intervals import draw_resamples, quantiles, ratio
from nndynbench.protocols.scoring import Estimate
from nndynbench.protocols.within import deviations, with_siblings
from nndynbench.report.distance import log_distances, optimiser_name
from nndynbench.report.markdown import correlation, table_head, table_line
from nndynbench.subsets import Subset

# Fewer networks that have not left the plateau than these say nothing.
FEWEST = 50

# The columns whose products are summed: what is predicted first, then distance, then the curves.
EARLY, BETTER, FARTHER, SEEN = 0, 1, 2, slice(3, None)


@dataclass(frozen=True)
class Leaving:
    """Correlations within recipes, of the networks that have not left the plateau at a budget, have all curves up to it, and
    have a sibling there: how leaving it early goes with distance, with the curves so far (in the combination that fits these
    very networks best), with distance when the curves are partialled out, and with ending better; and how distance goes with
    ending better.

    They are fewer than those scored on the plateau: one that left it and is on it again at the budget is not among them.
    """

    networks: int
    distance: Estimate
    curves: float
    distance_beyond_curves: Estimate
    ends_better: Estimate
    distance_and_ends_better: Estimate


def epochs_on_plateau(subset: Subset) -> FloatArray:
    """How many epochs each network begins on the plateau, (networks,): all of them for one that never leaves it."""
    last = int(subset.networks["epochs_trained"].max())
    stays = np.column_stack([subset.on_plateau(epoch).to_numpy(dtype=bool) for epoch in range(1, last + 1)])
    return np.asarray(np.cumprod(stays, axis=1).sum(axis=1), dtype=np.float64)


def leaving(subset: Subset, budgets: Sequence[int], *, optimiser: str | None = None) -> dict[int, Leaving]:
    """By budget, of all networks or of one optimiser's; without budgets at which fewer than 50 have not left the plateau."""
    among = (subset.networks["optimiser"] == optimiser).to_numpy() if optimiser else np.ones(len(subset.networks), bool)
    recipes, stayed = subset.recipes.to_numpy(), epochs_on_plateau(subset)
    better = subset.networks["late_accuracy"].to_numpy(dtype=np.float64)
    found = {}
    for budget, distances in zip(budgets, log_distances(subset, tuple(budgets)), strict=True):
        columns = np.column_stack([-stayed, better, distances, _curves_until(subset, budget)])
        # A network that has diverged has no curve: it says nothing of what is seen before it leaves.
        on = among & (stayed >= budget) & np.isfinite(columns).all(axis=1)
        on[on] = with_siblings(recipes[on])
        if on.sum() >= FEWEST:
            found[budget] = _correlations(columns[on], recipes[on])
    return found


def _curves_until(subset: Subset, budget: int) -> FloatArray:
    """Every curve at every epoch up to a budget, (networks, columns); NaN from where a network's training ended."""
    curves = subset.curves[list(CURVES)].unstack("epoch")
    seen = curves.loc[:, curves.columns.get_level_values("epoch").isin(range(1, budget + 1))]
    return seen.reindex(subset.networks.index).to_numpy(dtype=np.float64)


def leaving_table(found: dict[int, Leaving], by_optimiser: Mapping[str, dict[int, Leaving]]) -> Iterator[str]:
    """A column a budget. Of each optimiser, the partial correlation alone."""
    rows: dict[str, Callable[[Leaving], str]] = {
        "networks that have not left the plateau": lambda own: f"{own.networks:,}",
        "leaving early and distance": lambda own: correlation(own.distance),
        "leaving early and the curves so far": lambda own: written(own.curves, signed=True),
        "leaving early and ending better": lambda own: correlation(own.ends_better),
        "distance and ending better": lambda own: correlation(own.distance_and_ends_better),
        "**leaving early and distance, curves partialled out**": lambda own: (
            f"**{correlation(own.distance_beyond_curves)}**"
        ),
    }
    yield from table_head(["correlation within recipes", *map(epochs, found)])
    yield from (table_line([label, *map(cell, found.values())]) for label, cell in rows.items())
    for optimiser, own in by_optimiser.items():
        cells = [correlation(own[budget].distance_beyond_curves) if budget in own else NOTHING for budget in found]
        yield table_line([f"the same, of {optimiser_name(optimiser)} alone", *cells])


def what_leaving_says(subset: Subset, found: dict[int, Leaving]) -> Iterator[str]:
    """Whether farther seeds leave earlier where the curves are equal, what leaving early is worth in the end, and how many
    never leave.
    """
    told = [budget for budget, own in found.items() if own.distance_beyond_curves.low > 0]
    if told:
        first = found[told[0]]
        yield (
            f"Of the seeds still on the plateau at {epochs(*told)}, those whose layers moved farther leave it earlier, "
            f"also with the curves partialled out: r = {correlation(first.distance_beyond_curves)} at {epochs(told[0])}. "
            f"Leaving early and ending better correlate there with r = {correlation(first.ends_better)}."
        )
    elif found:
        yield (
            f"With the curves partialled out, distance after {epochs(*found)} does not tell which networks leave the "
            "plateau first."
        )
    if found:
        stayed = epochs_on_plateau(subset)
        last = int(subset.networks["epochs_trained"].max())
        never = int((stayed == last).sum())
        left = f"{never:,} of the {len(stayed):,} networks are" if never else f"none of the {len(stayed):,} networks is"
        yield f"After {last} epochs {left} still on it."


def _correlations(columns: FloatArray, recipes: npt.NDArray[np.int64]) -> Leaving:
    """Of ``columns`` as EARLY, BETTER, FARTHER and SEEN say, (networks, columns)."""
    apart = np.column_stack([deviations(column / (column.std() or 1.0), recipes) for column in columns.T])
    drawn = draw_resamples(recipes)
    products = apart.T @ apart
    resampled = np.stack([[drawn.sums(one * other) for other in apart.T] for one in apart.T]).transpose(2, 0, 1)

    def told(of: Callable[[FloatArray], FloatArray]) -> Estimate:
        return Estimate(float(of(products[None])[0]), *quantiles(of(resampled), drawn.clusters))

    return Leaving(
        networks=len(columns),
        distance=told(lambda sums: _correlation(sums, EARLY, FARTHER)),
        curves=float(_by_curves(products)),
        distance_beyond_curves=told(lambda sums: _correlation(_beyond_curves(sums), EARLY, FARTHER)),
        ends_better=told(lambda sums: _correlation(sums, EARLY, BETTER)),
        distance_and_ends_better=told(lambda sums: _correlation(sums, FARTHER, BETTER)),
    )


def _correlation(sums: FloatArray, one: int, other: int) -> FloatArray:
    """From sums of products, (…, columns, columns)."""
    squares = np.maximum(sums[..., one, one] * sums[..., other, other], 0)  # of what is left, 0 but for rounding
    return ratio(sums[..., one, other], np.sqrt(squares))


def _beyond_curves(sums: FloatArray) -> FloatArray:
    """The sums of products of what is left of every column when the curves' best fit is taken from it."""
    across = sums[..., SEEN]
    return sums - across @ np.linalg.pinv(sums[..., SEEN, SEEN], hermitian=True) @ across.swapaxes(-1, -2)


def _by_curves(sums: FloatArray) -> FloatArray:
    """The multiple correlation of leaving early with the curves."""
    left = _beyond_curves(sums)[..., EARLY, EARLY] / sums[..., EARLY, EARLY]
    return np.asarray(np.sqrt(np.clip(1 - left, 0, 1)))
