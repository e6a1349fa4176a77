"""Metrics within recipes: how well a method tells seeds of the same recipe apart. Truth and prediction are deviations from
the recipe's mean.

A method that says the same about every seed of a recipe scores exactly 0 in R² and τ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import comb

import numpy as np
import numpy.typing as npt

from nndynbench.arrays import FloatArray
from nndynbench.protocols.intervals import Resamples, ratio
from nndynbench.protocols.metrics.metric import Metric
from nndynbench.protocols.metrics.regression import SHARE_SHOWN
from nndynbench.protocols.scored import Scored, UndefinedMetricError


def r2_within(scored: Scored) -> float:
    if not np.any(scored.truth):
        raise UndefinedMetricError("R² within recipes is not defined: all seeds of a recipe end equally well")
    return float(1 - np.sum((scored.truth - scored.prediction) ** 2) / np.sum(scored.truth**2))


def r2s_within(scored: Scored, resamples: Resamples) -> FloatArray:
    total, missed = squares(scored, resamples), resamples.sums((scored.truth - scored.prediction) ** 2)
    return ratio(total - missed, total)


def squares(scored: Scored, resamples: Resamples) -> FloatArray:
    return resamples.sums(scored.truth**2)


def kendall_tau_within(scored: Scored) -> float:
    taus = _taus(scored)
    if np.isnan(taus).all():
        raise UndefinedMetricError("τ within recipes is not defined: all seeds of a recipe end equally well")
    return float(np.nanmean(taus))


def kendall_taus_within(scored: Scored, resamples: Resamples) -> FloatArray:
    return _mean_over_recipes(_taus(scored), scored, resamples)


def _taus(scored: Scored) -> FloatArray:
    """τ-b of each recipe: 0 where all predictions are equal, NaN where all truths are, since then there is no order to find.

    Recipes with the same number of networks are computed together. scipy's function is as fast for many networks, but takes
    milliseconds for few.
    """
    by_recipe = [np.flatnonzero(own) for own in _recipes(scored)]
    counts = np.array([len(own) for own in by_recipe])
    taus = np.full(len(counts), np.nan)
    for count in np.unique(counts):
        of_size = np.flatnonzero(counts == count)
        networks = np.stack([by_recipe[place] for place in of_size])
        truth, prediction = (_signs_of_pairs(values[networks]) for values in (scored.truth, scored.prediction))
        agreement, untied, untied_predictions = (
            np.sum(each, axis=1) for each in (truth * prediction, truth**2, prediction**2)
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            found = agreement / np.sqrt(untied) / np.sqrt(untied_predictions)
        found = np.clip(found, -1, 1)
        taus[of_size] = np.where(untied == 0, np.nan, np.where(untied_predictions == 0, 0.0, found))
    return taus


def _signs_of_pairs(values: FloatArray) -> FloatArray:
    """Which of each two networks is the greater, as a sign: (recipes, networks) to (recipes, pairs)."""
    first, second = np.triu_indices(values.shape[1], 1)
    return np.sign(values[:, first] - values[:, second])


def regret_keeping(count: int) -> Callable[[Scored], float]:
    """The metric: the best seed of a recipe minus the best of the ``count`` ranked first, in percentage points, mean over
    recipes. With equal predictions it is the mean over all their orders.
    """

    def regret(scored: Scored) -> float:
        return float(np.mean(_regrets(scored, count)))

    return regret


def regrets_keeping(count: int) -> Callable[[Scored, Resamples], FloatArray]:
    def regrets(scored: Scored, resamples: Resamples) -> FloatArray:
        return _mean_over_recipes(_regrets(scored, count), scored, resamples)

    return regrets


def _regrets(scored: Scored, count: int) -> FloatArray:
    return np.array(
        [
            scored.truth[own].max() - expected_best(scored.truth[own], scored.prediction[own], count)
            for own in _recipes(scored)
        ]
    )


def expected_best(truth: FloatArray, prediction: FloatArray, count: int) -> float:
    """The expected truth of the best among the ``count`` networks predicted highest. All orders of equal predictions are
    equally likely.
    """
    if count >= len(truth):
        return float(truth.max())
    boundary = np.sort(prediction)[-count]
    sure = truth[prediction > boundary]
    tied, places = np.sort(truth[prediction == boundary])[::-1], count - len(sure)
    # The probability that the best of those drawn from the tied is their n-th best: the others drawn lie behind it.
    drawn = [comb(len(tied) - n, places - 1) / comb(len(tied), places) for n in range(1, len(tied) + 1)]
    floor = sure.max() if len(sure) else -np.inf
    return float(np.sum(np.array(drawn) * np.maximum(tied, floor)))


def _recipes(scored: Scored) -> Iterator[npt.NDArray[np.bool_]]:
    """The networks of each recipe."""
    for recipe in np.unique(scored.recipe):
        yield scored.recipe == recipe


def _mean_over_recipes(values: FloatArray, scored: Scored, resamples: Resamples) -> FloatArray:
    """The mean over the drawn recipes that have a value, (resamples,). The bootstrap draws whole recipes."""
    _, place, size = np.unique(scored.recipe, return_inverse=True, return_counts=True)
    share = np.where(np.isnan(values), 0.0, 1 / size)[place]
    return ratio(resamples.sums(share * np.nan_to_num(values)[place]), resamples.sums(share))


METRICS = (
    Metric(
        "r2_within",
        label="R² within recipes",
        meaning="share of the variance between seeds of one recipe that is predicted; 0 for what sees hyperparameters alone",
        value=r2_within,
        in_resamples=r2s_within,
        shown=SHARE_SHOWN,
        total=squares,
    ),
    Metric(
        "kendall_tau_within",
        label="Kendall's τ within recipes",
        meaning="rank correlation among the seeds of one recipe, mean over recipes; 0 for what sees hyperparameters alone",
        value=kendall_tau_within,
        in_resamples=kendall_taus_within,
    ),
    *(
        Metric(
            f"regret_keeping_{count}",
            label=f"regret of keeping {count}",
            meaning=f"points between a recipe's best seed and the best of the {count} ranked first, mean over recipes",
            value=regret_keeping(count),
            in_resamples=regrets_keeping(count),
            smaller_is_better=True,
        )
        for count in (1, 3)
    ),
)
