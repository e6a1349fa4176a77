"""Ranks with ties: shared if the paired difference cannot be distinguished from none, with all methods compared at once."""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nndynbench.protocols import ranks as of_clusters

RESAMPLES = 1000
MANY = 10**9  # clusters, with which nothing is widened

margins = partial(of_clusters.margins, clusters=MANY)
chance_of_largest = partial(of_clusters.chance_of_largest, clusters=MANY)
interval_of_largest = partial(of_clusters.interval_of_largest, clusters=MANY)
shared_ranks = partial(of_clusters.shared_ranks, clusters=MANY)
smallest_told = partial(of_clusters.smallest_told, clusters=MANY)


def ranks_of(values: npt.ArrayLike, resampled: np.ndarray) -> list[int]:
    scores = np.asarray(values)
    return shared_ranks(scores, lambda best, others: (scores[best] - scores[others], resampled[best] - resampled[others]))


def test_methods_that_differ_by_noise_share_a_rank() -> None:
    noise = np.random.default_rng(0).normal(0, 0.01, (4, RESAMPLES))
    values = np.array([0.90, 0.899, 0.80, 0.801])
    assert ranks_of(values, values[:, None] + noise) == [1, 1, 3, 3]


def test_a_difference_is_paired() -> None:
    # Each method's own interval spans 0.4, but one method is better by 0.01 in every resample.
    shared = np.random.default_rng(0).normal(0, 0.1, RESAMPLES)
    values = np.array([0.5, 0.49])
    assert ranks_of(values, values[:, None] + shared) == [1, 2]


def test_wild_predictions_share_no_rank_with_what_beats_them_in_every_resample() -> None:
    random = np.random.default_rng(0)
    values = np.array([0.9, 0.5, -9.0])
    errors = np.stack([random.normal(0, 0.01, RESAMPLES), random.normal(0, 0.01, RESAMPLES), -random.pareto(1.5, RESAMPLES)])
    resampled = values[:, None] + errors
    assert margins(resampled[0] - resampled)[2] > 9.9
    assert ranks_of(values, resampled) == [1, 2, 3]


def test_of_few_clusters_being_behind_in_every_resample_tells_nothing() -> None:
    values = np.array([0.9, 0.5])
    ahead = np.stack([np.zeros(RESAMPLES), 0.4 + np.random.default_rng(0).exponential(9, RESAMPLES)])

    def differences(best: int, others: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        return values[best] - values[others], ahead[others]

    assert (ahead[1] > 0).all()
    assert of_clusters.shared_ranks(values, differences, clusters=20) == [1, 2]
    assert of_clusters.shared_ranks(values, differences, clusters=8) == [1, 1]


def test_one_wild_prediction_does_not_lift_a_method_above_those_with_better_scores() -> None:
    # The last method is as good as the first but for one network, which a third of the resamples lack.
    random = np.random.default_rng(0)
    values = np.array([0.9, 0.5, -3298.0])
    resampled = values[:, None] + random.normal(0, 0.01, (3, RESAMPLES))
    resampled[2] = 0.9 + random.normal(0, 0.01, RESAMPLES) - 3298.9 * random.poisson(1, RESAMPLES)
    assert values[0] - values[2] < margins(resampled[0] - resampled)[2]
    assert ranks_of(values, resampled) == [1, 2, 2]


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(2, 12))
def test_ranks_never_fall_as_scores_get_worse(seed: int, count: int) -> None:
    random = np.random.default_rng(seed)
    values = np.sort(random.uniform(-1, 1, count).round(1))[::-1]
    scales = np.geomspace(0.001, 10, count)[random.permutation(count)]
    errors = scales[:, None] * random.standard_t(2, (count, RESAMPLES))
    errors += 0.1 * random.normal(size=RESAMPLES)  # shared by all
    ranks = np.array(ranks_of(values, values[:, None] + errors))
    for rank, value in zip(ranks, values, strict=True):
        assert (ranks[values < value] >= rank).all()


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
    assert chance_of_largest(values[:1], values[:1, None] + noise[:1]) < 0.03
    assert 0.3 < chance_of_largest(values, values[:, None] + noise) < 0.7
    values[0] = 0.082
    assert chance_of_largest(values, values[:, None] + noise) < 0.002


TRIED = 16


def a_try(random: np.random.Generator, truth: npt.ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Values and their resamples for methods whose deviations span two decades, and for as many that hardly vary: they shift
    in one resample of fifty. A third of all errors is shared.
    """
    scales = np.concatenate([np.geomspace(0.001, 0.1, TRIED // 2), np.full(TRIED // 2, 0.0002)])
    errors = random.normal(0, 1, (TRIED, 1 + RESAMPLES)) + 0.7 * random.normal(0, 1, 1 + RESAMPLES)
    errors[TRIED // 2 :] *= random.uniform(size=(TRIED // 2, 1 + RESAMPLES)) < 0.02
    values = np.asarray(truth) + scales * errors[:, 0]
    return values, values[:, None] + scales[:, None] * errors[:, 1:]


def test_the_interval_of_whichever_is_largest_holds_in_95_of_100_tries() -> None:
    random = np.random.default_rng(0)
    inside, surprised = [], []
    for _ in range(400):
        values, resampled = a_try(random, np.zeros(TRIED))
        low, high = interval_of_largest(values, resampled)
        inside.append(low <= 0 <= high)
        surprised.append(chance_of_largest(values, resampled) < 0.05)
    assert np.mean(inside) > 0.94  # the share's standard deviation is 0.011
    assert np.mean(surprised) < 0.06


def test_what_truly_differs_is_found_among_wild_methods_and_near_constant_ones() -> None:
    random = np.random.default_rng(0)
    truth = np.zeros(TRIED)
    truth[4] = 0.12  # the deviation of this one is 0.02, and that of some wild ones five times as large
    tries = [a_try(random, truth) for _ in range(100)]
    found = [(values, resampled) for values, resampled in tries if np.argmax(values) == 4]
    assert len(found) > 50
    assert np.mean([chance_of_largest(values, resampled) < 0.05 for values, resampled in found]) > 0.8
    assert np.mean([interval_of_largest(values, resampled)[0] > 0 for values, resampled in found]) > 0.8


def test_a_method_whose_r2_falls_without_bound_in_some_resamples_makes_no_other_uncertain() -> None:
    random = np.random.default_rng(0)
    found = random.normal(0.06, 0.02, (10, RESAMPLES))
    wild = np.where(random.uniform(size=(8, RESAMPLES)) < 0.05, -30.0, -0.1)
    values, resampled = np.concatenate([[0.06] * 10, [-0.1] * 8]), np.vstack([found, wild])
    low, high = interval_of_largest(values, resampled)
    alone_low, alone_high = interval_of_largest(values[:10], resampled[:10])
    assert high == alone_high < 0.12
    assert low == pytest.approx(alone_low, abs=0.02)


def test_numbers_that_are_0_but_for_a_few_resamples_make_no_other_uncertain() -> None:
    random = np.random.default_rng(0)
    found = random.normal(0.02, 0.01, RESAMPLES)
    rarely = np.where(random.uniform(size=(30, RESAMPLES)) < 0.02, 0.001, 0.0)
    values, resampled = np.array([0.02, *np.zeros(30)]), np.vstack([found, rarely])
    assert chance_of_largest(values, resampled) == pytest.approx(chance_of_largest(values[:1], resampled[:1]), abs=0.01)
    assert interval_of_largest(values, resampled)[0] == pytest.approx(0.0, abs=0.002)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 60))
def test_the_interval_of_the_largest_is_no_narrower_than_its_own(seed: int, count: int) -> None:
    random = np.random.default_rng(seed)
    values, scales = random.normal(0, 1, count), random.uniform(0.01, 3, (count, 1))
    resampled = values[:, None] + scales * random.standard_t(3, (count, RESAMPLES))
    best = int(np.argmax(values))
    low, high = interval_of_largest(values, resampled)
    own_low, own_high = np.quantile(resampled[best], [0.025, 0.975])
    assert low <= own_low + 1e-6  # from a billion clusters, intervals are wider by a billionth
    assert high == pytest.approx(own_high, abs=1e-6)


def test_numbers_that_never_vary_are_certain() -> None:
    resampled = np.repeat([[0.1], [0.0]], RESAMPLES, axis=1)
    assert interval_of_largest([0.1, 0.0], resampled) == pytest.approx((0.1, 0.1))
    assert chance_of_largest([0.1, 0.0], resampled) == 1 / (1 + RESAMPLES)
    assert chance_of_largest([0.0, 0.0], 0 * resampled) == 1


def test_the_smallest_effect_is_told_from_none_four_times_in_five() -> None:
    random = np.random.default_rng(0)
    smallest = smallest_told(random.normal(0, 0.01, 100_000), margin=1.96 * 0.01)
    found = random.normal(smallest, 0.01, 100_000)
    assert np.mean(found - 1.96 * 0.01 > 0) == pytest.approx(0.80, abs=0.01)


def test_with_few_clusters_margins_and_chances_are_larger() -> None:
    noise = np.random.default_rng(0).normal(0, 0.01, (5, RESAMPLES))
    values = np.array([0.03, 0, 0, 0, 0])
    assert of_clusters.margins(noise, clusters=10)[0] == pytest.approx(1.2166 * margins(noise)[0], rel=1e-3)
    resampled = values[:, None] + noise
    assert of_clusters.chance_of_largest(values, resampled, clusters=10) > 2 * chance_of_largest(values, resampled)


def test_from_a_single_cluster_nothing_can_be_told_apart() -> None:
    values = np.array([0.9, 0.5])

    def differences(best: int, others: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        apart = values[best] - values[others]
        return apart, np.repeat(apart[:, None], 9, axis=1)

    assert of_clusters.shared_ranks(values, differences, clusters=1) == [1, 1]
    assert of_clusters.shared_ranks(values, differences, clusters=MANY) == [1, 2]
