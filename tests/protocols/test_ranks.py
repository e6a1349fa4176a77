"""Ranks with ties: shared where the paired difference cannot be told from none, all methods compared at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nndynbench.protocols.ranks import chance_of_largest, margin_of_largest, margins, shared_ranks, smallest_told

RESAMPLES = 1000


def ranks_of(values: npt.ArrayLike, resampled: np.ndarray) -> list[int]:
    scores = np.asarray(values)
    return shared_ranks(scores, lambda best, others: (scores[best] - scores[others], resampled[best] - resampled[others]))


def test_methods_that_differ_by_noise_share_a_rank() -> None:
    noise = np.random.default_rng(0).normal(0, 0.01, (4, RESAMPLES))
    values = np.array([0.90, 0.899, 0.80, 0.801])
    assert ranks_of(values, values[:, None] + noise) == [1, 1, 3, 3]


def test_a_difference_is_paired() -> None:
    # Each method's own interval spans 0.4, but the one is better by 0.01 in every resample.
    shared = np.random.default_rng(0).normal(0, 0.1, RESAMPLES)
    values = np.array([0.5, 0.49])
    assert ranks_of(values, values[:, None] + shared) == [1, 2]


def test_equal_predictions_share_a_rank() -> None:
    same = np.random.default_rng(0).normal(0.5, 0.1, RESAMPLES)
    assert ranks_of([0.5, 0.5], np.stack([same, same])) == [1, 1]


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(2, 60))
def test_margins_hold_for_all_numbers_in_95_of_100_resamples(seed: int, count: int) -> None:
    scales = np.random.default_rng(seed).uniform(0.1, 3, (count, 1))
    resampled = scales * np.random.default_rng(seed + 1).normal(0, 1, (count, RESAMPLES))
    inside = np.abs(resampled - resampled.mean(axis=1, keepdims=True)) <= margins(resampled)[:, None]
    assert abs(inside.all(axis=0).mean() - 0.95) < 0.002


def test_the_more_are_compared_the_wider_are_margins() -> None:
    resampled = np.random.default_rng(0).normal(0, 1, (40, RESAMPLES))
    assert margins(resampled)[0] > margins(resampled[:5])[0] > margins(resampled[:1])[0] > 1.8


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_better_value_has_no_worse_rank_than_the_first_of_its_group(seed: int) -> None:
    random = np.random.default_rng(seed)
    values = random.uniform(0, 1, 12)
    ranks = ranks_of(values, values[:, None] + random.normal(0, 0.05, (12, RESAMPLES)))
    assert ranks[int(np.argmax(values))] == 1
    leaders = [max(values[np.array(ranks) == rank]) for rank in sorted(set(ranks))]
    assert leaders == sorted(leaders, reverse=True)
    assert all(rank == 1 + sum(other < rank for other in ranks) for rank in ranks)


def test_the_largest_of_many_numbers_is_no_surprise_where_the_same_alone_would_be() -> None:
    noise = np.random.default_rng(0).normal(0, 0.01, (50, RESAMPLES))
    values = np.zeros(50)
    values[0] = 0.022
    assert chance_of_largest(values[:1], noise[:1]) < 0.03
    assert 0.3 < chance_of_largest(values, noise) < 0.7
    assert chance_of_largest(values + 0.06 * (values > 0), noise) < 0.002


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 60))
def test_the_margin_of_the_largest_holds_for_all_numbers_in_95_of_100_resamples(seed: int, count: int) -> None:
    scales = np.random.default_rng(seed).uniform(0.1, 3, (count, 1))
    resampled = scales * np.random.default_rng(seed + 1).normal(0, 1, (count, RESAMPLES))
    inside = np.abs(resampled - resampled.mean(axis=1, keepdims=True)) <= margin_of_largest(resampled)
    assert abs(inside.all(axis=0).mean() - 0.95) < 0.002


def test_numbers_that_are_0_but_for_a_few_resamples_make_no_other_less_certain() -> None:
    random = np.random.default_rng(0)
    found = random.normal(0.02, 0.01, RESAMPLES)
    rarely = np.where(random.uniform(size=(30, RESAMPLES)) < 0.02, 0.001, 0.0)
    values, resampled = np.array([0.02, *np.zeros(30)]), np.vstack([found, rarely])
    assert chance_of_largest(values, resampled) == chance_of_largest(values[:1], resampled[:1])
    assert margin_of_largest(resampled) == margin_of_largest(resampled[:1])


def test_the_smallest_effect_is_told_from_none_four_times_in_five() -> None:
    random = np.random.default_rng(0)
    smallest = smallest_told(random.normal(0, 0.01, 100_000))
    found = random.normal(smallest, 0.01, 100_000)
    assert np.mean(found - 1.96 * 0.01 > 0) == pytest.approx(0.80, abs=0.01)
