"""The methods that tell seeds of one recipe apart see only how a seed differs from its recipe's mean."""

from __future__ import annotations

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
    np.testing.assert_allclose(method._deviations(histories, SCRIPT.recipes_of(histories)), expected, atol=1e-9)


def test_permuted_columns_are_those_of_other_seeds_of_the_same_recipe(
    histories: list[nb.History], recipes: pd.Series
) -> None:
    parts, numbers = [nb.columns.layer_distances], SCRIPT.recipes_of(histories)
    own = SCRIPT.WithinRecipes(parts)._deviations(histories, numbers)
    permuted = SCRIPT.WithinRecipes([], permuted=parts)._deviations(histories, numbers)
    assert (np.abs(own - permuted) > 1e-9).any(axis=1).mean() > 0.9
    for recipe in recipes.unique():
        inside = (recipes == recipe).to_numpy()
        rows = [table[inside][np.lexsort(table[inside].round(6).T)] for table in (own, permuted)]
        np.testing.assert_allclose(*rows, atol=1e-9)


def test_only_the_permuted_columns_are_exchanged(histories: list[nb.History]) -> None:
    numbers = SCRIPT.recipes_of(histories)
    curves = SCRIPT.WithinRecipes([nb.columns.curves])._deviations(histories, numbers)
    both = SCRIPT.WithinRecipes([nb.columns.curves], [nb.columns.layer_distances])._deviations(histories, numbers)
    np.testing.assert_array_equal(both[:, : curves.shape[1]], curves)
