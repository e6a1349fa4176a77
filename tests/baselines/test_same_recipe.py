"""The methods that tell seeds of one recipe apart see only how a seed differs from its recipe's mean."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import nndynbench as nb
from nndynbench.protocols.method import baselines_folder
from nndynbench.protocols.scripts import load_script

SCRIPT = load_script(baselines_folder() / "same_recipe.py", alone=True)
RECIPES = 4


@pytest.fixture(scope="module")
def recipes() -> pd.Series:
    """The recipe of each network of a few recipes, in an order in which they are mixed."""
    of_all = nb.load("digits-lenet-seeds").recipes
    return of_all[of_all.isin(of_all.unique()[:RECIPES])].sample(frac=1, random_state=0)


@pytest.fixture(scope="module")
def histories(recipes: pd.Series) -> list[nb.History]:
    return nb.load("digits-lenet-seeds").histories(list(recipes.index), 2)


def test_networks_are_of_one_recipe_if_their_hyperparameters_are_equal(
    histories: list[nb.History], recipes: pd.Series
) -> None:
    np.testing.assert_array_equal(SCRIPT.recipes_of(histories), pd.factorize(recipes)[0])


def test_columns_are_less_the_mean_of_the_recipes_seeds(histories: list[nb.History], recipes: pd.Series) -> None:
    method = SCRIPT.WithinRecipes([nb.columns.curves, nb.columns.layer_distances])
    columns = nb.Columns([nb.columns.curves, nb.columns.layer_distances]).fit_transform(histories)
    expected = columns - columns.groupby(recipes.to_numpy()).transform("mean")
    np.testing.assert_allclose(columns_of(method, histories), expected, atol=1e-9)


def test_permuted_columns_are_those_of_other_seeds_of_the_same_recipe(
    histories: list[nb.History], recipes: pd.Series
) -> None:
    parts = [nb.columns.layer_distances]
    own = columns_of(SCRIPT.WithinRecipes(parts), histories)
    permuted = columns_of(SCRIPT.WithinRecipes([], permuted=parts), histories)
    assert (np.abs(own - permuted) > 1e-9).any(axis=1).mean() > 0.9
    for recipe in recipes.unique():
        inside = (recipes == recipe).to_numpy()
        rows = [table[inside][np.lexsort(table[inside].round(6).T)] for table in (own, permuted)]
        np.testing.assert_allclose(*rows, atol=1e-9)


def test_only_the_permuted_columns_are_exchanged(histories: list[nb.History]) -> None:
    curves = columns_of(SCRIPT.WithinRecipes([nb.columns.curves]), histories)
    both = columns_of(SCRIPT.WithinRecipes([nb.columns.curves], [nb.columns.layer_distances]), histories)
    np.testing.assert_array_equal(both[:, : curves.shape[1]], curves)


def test_of_the_context_the_recipes_means_are_seen(histories: list[nb.History], recipes: pd.Series) -> None:
    method = SCRIPT.WithinRecipes([nb.columns.curves], context=[nb.columns.curves])
    columns = nb.Columns(nb.columns.curves).fit_transform(histories)
    means = columns.groupby(recipes.to_numpy()).transform("mean")
    np.testing.assert_allclose(columns_of(method, histories), np.hstack([columns - means, means]), atol=1e-9)


def test_recipes_with_other_optimisers_than_those_learnt_from_are_predicted() -> None:
    zoo = nb.load("digits-lenet-seeds")
    ids = zoo.networks.groupby("optimiser").head(48).index
    optimisers = zoo.networks["optimiser"].loc[ids]
    method = SCRIPT.METHODS["within-bar"].regressor
    method.fit(zoo.histories(list(ids), 1), zoo.networks["late_accuracy"].loc[ids].to_numpy())
    for optimiser in optimisers.unique():
        own = list(ids[optimisers == optimiser])
        assert np.isfinite(method.predict(zoo.histories(own, 1))).all()


def columns_of(method: Any, histories: list[nb.History]) -> np.ndarray:
    """What a method's forest sees of the histories."""
    fitted = method.fit(histories, np.arange(len(histories)))
    return np.asarray(fitted._columns(histories, SCRIPT.recipes_of(histories)))


def test_exact_losses_and_curves_are_below_chance_in_the_same_unit() -> None:
    # A method's file keeps a number of its own: reading the other's would make all rows of these methods out of date.
    assert SCRIPT.PLATEAU == nb.columns.PLATEAU
