"""The five moments against scipy.stats."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nndynbench.centralities import MOMENTS, moments


def by_scipy(vector: np.ndarray) -> list[float]:
    return [np.median(vector), np.mean(vector), np.std(vector), scipy.stats.skew(vector), scipy.stats.kurtosis(vector)]


@given(arrays(np.float64, st.integers(2, 40), elements=st.floats(-1e3, 1e3, allow_subnormal=False)))
@settings(max_examples=200)
def test_they_are_scipys(vector):
    vector = np.round(vector, 3)  # nearly constant vectors, for which scipy itself warns, are tested below
    if np.ptp(vector) == 0:
        vector[0] += 1
    np.testing.assert_allclose(moments(vector), by_scipy(vector), rtol=1e-9, atol=1e-9)


def test_they_are_scipys_on_real_centralities(digits):
    history = digits.history(digits.network_ids[0], budget=8)
    for centrality in ("degree", "eigenvector"):
        values = history.centrality(centrality)
        np.testing.assert_allclose(moments(values), [by_scipy(vector) for vector in values], rtol=1e-12)


def test_stacks_of_any_shape_are_summarised_along_the_last_axis():
    values = np.random.default_rng(0).random((2, 3, 11))
    stacked = moments(values)
    assert stacked.shape == (2, 3, len(MOMENTS))
    assert np.array_equal(stacked[1, 2], moments(values[1, 2]))


@pytest.mark.parametrize("count", [1, 2, 3, 10, 11])
def test_the_median_of_few_values_is_numpys(count):
    vector = np.random.default_rng(count).random(count)
    assert moments(vector)[0] == np.median(vector)


@pytest.mark.parametrize("value", [0.0, 1.0, 0.1, -3e30])
def test_a_constant_vector_has_neither_skewness_nor_kurtosis(value):
    np.testing.assert_allclose(moments(np.full(7, value)), [value, value, 0, 0, 0], rtol=1e-15)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_makes_its_own_vector_nan(bad):
    values = np.random.default_rng(0).random((2, 9))
    values[1, 4] = bad
    result = moments(values)
    assert np.isnan(result[1]).all()
    np.testing.assert_allclose(result[0], by_scipy(values[0]), rtol=1e-12)


@pytest.mark.parametrize("scale", [1e-150, 1e100])
def test_exploding_and_vanishing_values_lose_no_precision(scale):
    vector = np.random.default_rng(0).random(50)
    plain, scaled = moments(vector), moments(scale * vector)
    np.testing.assert_allclose(scaled, plain * [scale, scale, scale, 1, 1], rtol=1e-10)
