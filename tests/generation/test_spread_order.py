"""The order of training: a folder that is stopped at any network holds a zoo that is spread over the grid."""

from __future__ import annotations

import numpy as np
import pytest

from generation.grids import grid_names, read_grid, spread_order


@pytest.mark.parametrize("name", grid_names())
def test_every_network_is_trained_once(name: str) -> None:
    networks = read_grid(name).networks
    assert sorted(spread_order(networks)) == list(networks.index)


@pytest.mark.parametrize("count", [24, 48, 96, 240])
def test_every_prefix_of_the_papers_grid_covers_it_evenly(count: int) -> None:
    networks = read_grid("paper").networks
    prefix = networks.loc[spread_order(networks)[:count]]
    decade = np.floor(np.log10(prefix["learning_rate"]) + 1e-9)
    shares = decade.value_counts(normalize=True)
    assert len(shares) == 6
    assert shares.max() < 1.6 / 6
    assert abs((prefix["dropout"] < 0.45).mean() - 0.5) < 0.1


@pytest.mark.parametrize("count", [60, 120, 240])
def test_every_prefix_of_the_diverse_grid_has_its_share_of_twins_after_their_firsts(count: int) -> None:
    networks = read_grid("diverse").networks
    prefix = networks.loc[spread_order(networks)[:count], "configuration"]
    assert prefix.duplicated().sum() == count // 6
    assert prefix.value_counts().max() == 2
