"""What a method is worth beside its own score: gain, added and the ceiling, against their definitions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import mean_absolute_error, r2_score

import nndynbench as nb
from nndynbench.protocols.metrics import METRICS, Scored, UndefinedMetricError
from nndynbench.protocols.protocol import find_protocol
from nndynbench.protocols.scoring import Case, Draw
from nndynbench.protocols.worth import added, added_in_resamples, ceiling, ceiling_interval, ceiling_of, gain
from tests.oracles import blended_rises, calibrated_on, drawn_whole, least_squares, students_levels

NETWORKS = 60


def case(truth: np.ndarray, prediction: np.ndarray, folds: int = 5) -> Case:
    count = len(truth)
    fold = np.arange(count) % folds
    scored = Scored(truth, prediction, prediction, fold)
    return Case(find_protocol("regression-folds"), (Draw(0, np.arange(count), np.arange(count) // 3, scored),))


def scored_of(one: Case) -> Scored:
    [draw] = one.draws
    return draw.scored


@pytest.fixture
def truth() -> np.ndarray:
    return np.random.default_rng(0).uniform(10, 90, NETWORKS)


def noisy(truth: np.ndarray, seed: int, spread: float = 10) -> np.ndarray:
    return truth + np.random.default_rng(seed).normal(0, spread, len(truth))


def test_gain_is_the_difference_and_positive_where_the_method_is_better(truth: np.ndarray) -> None:
    good, bar = case(truth, noisy(truth, 1, 5)), case(truth, noisy(truth, 2, 20))
    r2 = r2_score(truth, scored_of(good).prediction) - r2_score(truth, scored_of(bar).prediction)
    mae = mean_absolute_error(truth, scored_of(good).prediction) - mean_absolute_error(truth, scored_of(bar).prediction)
    assert gain(good, bar, "r2").value == pytest.approx(r2)
    assert gain(good, bar, "mae").value == pytest.approx(-mae)
    assert gain(good, bar, "mae").value > 0


@pytest.mark.parametrize(("metric", "score"), [("r2", r2_score), ("mae", mean_absolute_error)])
def test_the_interval_of_a_gain_is_of_differences_on_the_same_drawn_networks(
    truth: np.ndarray, metric: str, score: Callable[..., float]
) -> None:
    """Oracle: each resample's networks written out one by one, and scikit-learn's score of either side."""
    method, bar = case(truth, noisy(truth, 1, 5)), case(truth, noisy(truth, 2, 20))
    better = -1 if metric == "mae" else 1
    expected = []
    for drawn in drawn_whole(np.arange(NETWORKS) // 3):
        own, other = (score(truth[drawn], scored_of(each).prediction[drawn]) for each in (method, bar))
        expected.append(better * (own - other))
    assert gain(method, bar, metric)[1:] == pytest.approx(tuple(np.quantile(expected, students_levels(NETWORKS // 3))))


def test_a_method_gains_nothing_over_itself_in_any_resample(truth: np.ndarray) -> None:
    bar = case(truth, noisy(truth, 1))
    assert gain(bar, bar, "r2") == (0, 0, 0)
    assert added(bar, bar) == pytest.approx((0, 0, 0), abs=1e-12)


def test_paired_intervals_are_narrower_than_those_of_the_two_scores(truth: np.ndarray) -> None:
    bar = case(truth, noisy(truth, 1, 20))
    near = case(truth, scored_of(bar).prediction + np.random.default_rng(3).normal(0, 1, NETWORKS))
    paired = gain(near, bar, "r2")
    alone = near.estimate("r2")
    assert paired.high - paired.low < 0.5 * (alone.high - alone.low)


def test_a_method_with_errors_of_its_own_adds_to_the_bar(truth: np.ndarray) -> None:
    bar, other = case(truth, noisy(truth, 1, 15)), case(truth, noisy(truth, 2, 15))
    worth = added(other, bar)
    assert 0 < worth.low < worth.value < worth.high
    base, said = calibrated_on(np.full(NETWORKS, True), scored_of(bar).prediction, truth), scored_of(other).prediction
    blended = base + least_squares(said - base, truth - base) * (said - base)
    assert worth.value == pytest.approx(r2_score(truth, blended) - r2_score(truth, base), abs=0.02)


@pytest.mark.parametrize("protocol", ["regression-folds", "seeds"])
def test_in_every_resample_the_blend_is_fitted_anew_on_the_networks_drawn(protocol: str) -> None:
    """Oracle: each resample's networks written out one by one, and numpy's least squares on the other folds."""
    random = np.random.default_rng(7)
    recipe, fold = np.arange(NETWORKS) // 3, np.arange(NETWORKS) // 3 % 5
    truth, rows = random.normal(0, 9, NETWORKS), find_protocol(protocol)
    cases = []
    for spread in (4, 6):
        prediction = truth + random.normal(0, spread, NETWORKS)
        scored = Scored(truth, prediction, prediction, fold, recipe=recipe)
        cases.append(Case(rows, (Draw(0, np.arange(NETWORKS), recipe, scored),)))
    method, bar = cases
    metric = METRICS[rows.blended]
    expected = []
    for counts in bar.resamples[0].weights[:200].astype(int):
        drawn = np.repeat(np.arange(NETWORKS), counts)
        own, other, right = (values[drawn] for values in (scored_of(method).prediction, scored_of(bar).prediction, truth))
        total = np.sum((right - right.mean()) ** 2) if metric.name == "r2" else np.sum(right**2)
        expected.append(min(blended_rises(own, other, right, fold[drawn])) / total)
    np.testing.assert_allclose(added_in_resamples(method, bar)[:200], expected, atol=1e-12)
    drawn_alike = added_in_resamples(method, bar)
    assert added(method, bar)[1:] == pytest.approx(tuple(np.quantile(drawn_alike, students_levels(NETWORKS // 3))))


def test_where_a_method_differs_from_the_bar_in_one_fold_alone_nothing_can_be_fitted_for_it(truth: np.ndarray) -> None:
    bar = case(truth, noisy(truth, 1))
    inside = scored_of(bar).fold == 2
    other = case(truth, np.where(inside, truth, scored_of(bar).prediction))
    assert -0.02 < added(other, bar).value <= 0


@pytest.mark.parametrize("said", [10.0, 50.0, 60.0])
@pytest.mark.parametrize("spread", [0.5, 1.0, 2.0])
def test_a_method_that_says_the_same_about_every_network_adds_nothing_however_far_apart_the_bars_predictions_lie(
    truth: np.ndarray, spread: float, said: float
) -> None:
    bar = case(truth, 50 + spread * (noisy(truth, 1, 20) - 50))
    constant = case(truth, np.full(NETWORKS, said))
    assert added(constant, bar).value <= 1e-12


@pytest.mark.parametrize("scale", [0.3, 0.5, 2.0, 3.0])
@pytest.mark.parametrize("spread", [0.3, 1.0, 2.0])
def test_a_method_that_says_what_the_bar_says_on_another_scale_adds_nothing(
    truth: np.ndarray, spread: float, scale: float
) -> None:
    said = spread * (noisy(truth, 1, 20) - 50)
    assert added(case(truth, 50 + scale * said), case(truth, 50 + said)).value <= 1e-3


def test_blending_in_a_constant_raises_the_r2_of_predictions_that_lie_too_far_apart(truth: np.ndarray) -> None:
    """Why the bar is calibrated too."""
    apart = 50 + 2 * (noisy(truth, 1, 20) - 50)
    assert r2_score(truth, 0.6 * apart + 0.4 * 50) > r2_score(truth, apart) + 0.1


def test_noise_adds_nothing(truth: np.ndarray) -> None:
    bar = case(truth, noisy(truth, 1, 5))
    noise = case(truth, np.random.default_rng(5).uniform(10, 90, NETWORKS))
    assert abs(added(noise, bar).value) < 0.01


def test_one_fold_leaves_nothing_to_fit_a_blend_on(truth: np.ndarray) -> None:
    with pytest.raises(UndefinedMetricError, match="only one"):
        added(case(truth, truth, folds=1), case(truth, truth, folds=1))


def test_cases_of_other_networks_cannot_be_compared(truth: np.ndarray) -> None:
    with pytest.raises(ValueError, match="same test networks"):
        gain(case(truth, truth), case(truth[1:], truth[1:]), "r2")


def test_the_ceiling_is_what_knowing_each_configuration_would_score() -> None:
    random = np.random.default_rng(0)
    expected, spread = random.uniform(10, 90, 20_000), 6.0
    twins = np.repeat(expected, 2) + random.normal(0, spread, 40_000)
    networks = pd.DataFrame({"configuration": np.repeat(np.arange(20_000), 2), "final_accuracy": twins})
    assert ceiling(networks, "r2") == pytest.approx(r2_score(twins, np.repeat(expected, 2)), abs=0.003)
    assert ceiling(networks, "rmse") == pytest.approx(spread, rel=0.02)
    assert ceiling(networks, "mae") == pytest.approx(mean_absolute_error(twins, np.repeat(expected, 2)), rel=0.02)


@pytest.fixture(scope="module")
def diverse() -> nb.Subset:
    return nb.load("cifar10-lenet-diverse")


def test_the_ceilings_interval_is_of_resampled_configurations(diverse: nb.Subset) -> None:
    low, high = ceiling_interval(diverse.networks, "r2")
    assert (low, high) == pytest.approx((0.924, 0.971), abs=0.004)  # as an outside statistician computed it


@pytest.mark.parametrize("metric", ["r2", "rmse", "mae"])
def test_the_interval_of_each_ceiling_is_of_configurations_drawn_whole(metric: str) -> None:
    random = np.random.default_rng(2)
    accuracies = random.uniform(10, 90, 30).repeat(2) + random.normal(0, 6, 60)
    networks = pd.DataFrame({"configuration": np.arange(60) // 2, "final_accuracy": accuracies})
    expected = []
    for drawn in drawn_whole(networks["configuration"].to_numpy()):
        apart = np.subtract(*accuracies[drawn].reshape(-1, 2).T)  # the two seeds of a configuration stand side by side
        variance = np.mean(apart**2) / 2
        of_all = {
            "r2": 1 - variance / np.var(accuracies[drawn]),
            "rmse": np.sqrt(variance),
            "mae": np.mean(abs(apart)) / 2**0.5,
        }
        expected.append(of_all[metric])
    assert ceiling_interval(networks, metric) == pytest.approx(tuple(np.quantile(expected, students_levels(30))))


@pytest.mark.parametrize("protocol", ["trained", "late-folds", "transfer", "regression"])
def test_there_is_no_ceiling_where_networks_are_left_out_or_something_else_is_predicted(
    diverse: nb.Subset, protocol: str
) -> None:
    of_all = ceiling_of(diverse, find_protocol("regression-folds"), "r2")
    assert of_all == (ceiling(diverse.networks, "r2"), *(ceiling_interval(diverse.networks, "r2") or ()))
    assert ceiling_of(diverse, find_protocol(protocol), "r2") is None


@pytest.mark.parametrize("twins", [9, 10])
def test_a_zoo_has_a_ceiling_if_ten_configurations_have_several_seeds(twins: int, tmp_path: Path) -> None:
    for configuration in range(12):
        for seed in range(2 if configuration < twins else 1):
            recorder = nb.Recorder(
                tmp_path / f"runs/{configuration:02d}-{seed}", hyperparameters={"learning_rate": configuration, "seed": seed}
            )
            recorder.epoch(validation_accuracy=40.0 + configuration)
            recorder.finish(test_accuracy=50.0 + configuration + seed)
    zoo = nb.pack(tmp_path / "runs", name="my-zoo", out=tmp_path / "zoo")
    assert (ceiling_of(zoo, find_protocol("regression-folds"), "r2") is not None) == (twins == 10)


def test_single_networks_of_a_configuration_do_not_count_towards_the_ceiling() -> None:
    networks = pd.DataFrame({"configuration": [0, 0, 1, 2], "final_accuracy": [40.0, 44.0, 90.0, 10.0]})
    assert ceiling(networks, "rmse") == pytest.approx(np.sqrt(8))


def test_the_ceiling_of_many_seeds_takes_each_configuration_once() -> None:
    """Oracle: the unbiased variance of each configuration's seeds is half the mean squared difference of its pairs."""
    random = np.random.default_rng(1)
    sizes = [2, 3, 24, 24]
    networks = pd.DataFrame(
        {"configuration": np.repeat(range(4), sizes), "final_accuracy": random.normal(50, 5, sum(sizes))}
    )
    variances = networks.groupby("configuration")["final_accuracy"].var(ddof=1)
    assert ceiling(networks, "rmse") == pytest.approx(np.sqrt(variances.mean()))


def test_without_twins_there_is_no_ceiling() -> None:
    assert ceiling(pd.DataFrame({"learning_rate": [0.1], "final_accuracy": [50.0]}), "r2") is None
    assert ceiling(pd.DataFrame({"configuration": [0, 1], "final_accuracy": [50.0, 60.0]}), "r2") is None
    assert ceiling(pd.DataFrame({"configuration": [0, 0], "final_accuracy": [50.0, 60.0]}), "kendall_tau") is None
