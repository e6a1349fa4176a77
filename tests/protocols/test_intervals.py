"""The bootstrap: each of its 1,000 resamples has the score that scikit-learn and scipy give for the drawn networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau, spearmanr
from scipy.stats import t as t_distribution
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    mean_absolute_error,
    r2_score,
    roc_auc_score,
    root_mean_squared_error,
)

import nndynbench as nb
from nndynbench.protocols.intervals import Resamples, draw_resamples, quantiles, widened, without_error
from nndynbench.protocols.metrics import METRICS, Scored, UndefinedMetricError, ranks
from nndynbench.protocols.protocol import find_protocol
from nndynbench.protocols.scoring import Case, cases


def case_of(digits: nb.Subset, method: str, name: str, epochs: int = 3) -> Case:
    result = nb.evaluate(method, digits, protocol=name, budgets=epochs)
    [case] = cases(result.predictions, {digits.name: digits}, find_protocol(name)).values()
    return case


@pytest.fixture(scope="module")
def classified(digits: nb.Subset) -> Case:
    return case_of(digits, "degree-svm", "classification")


@pytest.fixture(scope="module")
def regressed(digits: nb.Subset) -> Case:
    return case_of(digits, "validation-accuracy", "regression-folds")


def drawn_positions(weights: np.ndarray) -> np.ndarray:
    return np.repeat(np.arange(len(weights)), weights.astype(int))


# scikit-learn's ROC AUC and balanced accuracy take 10 to 50 ms a resample: all of them are compared in the slow run.
@pytest.mark.parametrize(
    ("metric", "step"),
    [
        ("accuracy", 1),
        ("balanced_accuracy", 20),
        ("roc_auc", 20),
        pytest.param("balanced_accuracy", 1, marks=pytest.mark.slow),
        pytest.param("roc_auc", 1, marks=pytest.mark.slow),
    ],
)
def test_resamples_of_a_classification_equal_scikit_learn(classified: Case, metric: str, step: int) -> None:
    [draw] = classified.draws

    def expected(drawn: np.ndarray) -> float:
        truth, said, score, fold = (getattr(draw.scored, what)[drawn] for what in ("truth", "prediction", "score", "fold"))
        if metric == "roc_auc":
            inside = [fold == own for own in np.unique(fold)]
            return float(np.mean([roc_auc_score(truth[own], score[own]) for own in inside if len(set(truth[own])) > 1]))
        return float({"accuracy": accuracy_score, "balanced_accuracy": balanced_accuracy_score}[metric](truth, said))

    one_by_one = [expected(drawn_positions(weights)) for weights in classified.resamples[0].weights[::step]]
    np.testing.assert_allclose(classified.in_resamples(metric)[::step], one_by_one, rtol=0, atol=1e-12)


BY_LIBRARIES: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "mae": mean_absolute_error,
    "rmse": root_mean_squared_error,
    "r2": r2_score,
    "kendall_tau": lambda truth, said: kendalltau(truth, said).statistic,
    "spearman_rho": lambda truth, said: spearmanr(truth, said).statistic,
}


@pytest.mark.parametrize("metric", find_protocol("regression").metrics)
def test_resamples_of_a_regression_equal_scikit_learn_and_scipy(regressed: Case, metric: str) -> None:
    step, scored = 5, regressed.draws[0].scored
    drawn = map(drawn_positions, regressed.resamples[0].weights[::step])
    one_by_one = [BY_LIBRARIES[metric](scored.truth[own], scored.prediction[own]) for own in drawn]
    np.testing.assert_allclose(regressed.in_resamples(metric)[::step], one_by_one, rtol=1e-9, atol=1e-9)


def test_a_resample_of_matched_ranks_has_the_value_of_the_drawn_networks(regressed: Case) -> None:
    measure, scored = METRICS["r2_rank_matched"], regressed.draws[0].scored
    one_by_one = [measure(scored.drawn(drawn_positions(weights))) for weights in regressed.resamples[0].weights]
    np.testing.assert_allclose(regressed.in_resamples("r2_rank_matched"), one_by_one, rtol=1e-9, atol=1e-9)


@given(truth=st.lists(st.integers(0, 9), min_size=6, max_size=6), said=st.lists(st.integers(0, 3), min_size=6, max_size=6))
def test_matched_ranks_give_the_sorted_truths_in_the_order_of_the_predictions(truth: list[int], said: list[int]) -> None:
    """Oracle: the mean over all orders that equal predictions may have, and scikit-learn's R² of it."""
    assume(len(set(truth)) > 1 and len(set(said)) > 1)
    orders = [list(order) for order in permutations(range(6)) if np.all(np.diff(np.array(said)[list(order)]) >= 0)]
    matched = np.empty((len(orders), 6))
    for own, order in zip(matched, orders, strict=True):
        own[order] = sorted(truth)
    scored = Scored(np.array(truth, float), np.array(said, float), np.zeros(6), np.zeros(6, dtype=int))
    assert METRICS["r2_rank_matched"](scored) == pytest.approx(r2_score(truth, matched.mean(axis=0)))


def to_triage(seed: int, tied: int) -> Scored:
    """Networks in four folds, with equal predictions for some."""
    random = np.random.default_rng(seed)
    count = random.integers(12, 40)
    return Scored(
        random.permutation(count) * 2.5,
        random.permutation(count) // tied * 1.0,
        np.zeros(count),
        random.integers(0, 4, count),
        spent=random.integers(1, 4, count).astype(float),
        remaining=random.integers(0, 12, count).astype(float),
    )


def from_every_fold(resamples: Resamples, scored: Scored) -> Resamples:
    """Those of the resamples that have a network of each fold."""
    folds = [resamples.weights[:, scored.fold == fold].any(axis=1) for fold in np.unique(scored.fold)]
    return Resamples(resamples.counts[np.all(folds, axis=0)], resamples.cluster)


@given(seed=st.integers(0, 2**32 - 1), tied=st.integers(1, 20))
def test_triage_metrics_of_a_resample_equal_those_of_the_drawn_networks(seed: int, tied: int) -> None:
    scored = to_triage(seed, tied)
    clusters = np.random.default_rng(seed).integers(0, 8, len(scored.truth))
    resamples = from_every_fold(draw_resamples(clusters, resamples=20, seed=seed), scored)
    assume(len(resamples.counts))
    for metric in ("regret_top_tenth", "recall_top_tenth", "epochs_saved"):
        one_by_one = np.array([METRICS[metric](scored.drawn(drawn_positions(w))) for w in resamples.weights])
        if metric != "regret_top_tenth":  # copies tie at the edge of the best tenth: too many are as good
            most = {"recall_top_tenth": 1, "epochs_saved": 100}[metric]
            one_by_one = np.clip(one_by_one + METRICS[metric](scored) - one_by_one.mean(), 0, most)
        np.testing.assert_allclose(
            METRICS[metric].resampled(scored, resamples), one_by_one, rtol=0, atol=1e-9, err_msg=metric
        )


def test_a_fold_of_which_no_network_was_drawn_is_left_out_of_the_epochs_saved() -> None:
    truth, fold = np.arange(24.0), np.arange(24) // 12
    scored = Scored(truth, truth, truth, fold, spent=np.ones(24), remaining=np.full(24, 9.0))
    of_both, of_one = METRICS["epochs_saved"].resampled(scored, Resamples(np.array([[1.0, 1], [2, 0]]), fold))
    first = np.tile(np.flatnonzero(fold == 0), 2)
    expected = METRICS["epochs_saved"](scored.drawn(first)) - METRICS["epochs_saved"](scored)
    assert of_one - of_both == pytest.approx(expected)  # a shift of both makes their mean the value


def test_no_more_of_the_top_tenth_is_found_than_all_of_it() -> None:
    random = np.random.default_rng(5)
    truth = random.permutation(64) * 0.5
    fold = np.arange(64) % 5
    scored = Scored(truth, truth, truth, fold, spent=np.full(64, 5.0), remaining=np.full(64, 7.0))
    drawn = METRICS["recall_top_tenth"].resampled(scored, draw_resamples(np.arange(64) // 4))
    assert METRICS["recall_top_tenth"](scored) == 1
    assert drawn.max() == 1


@pytest.mark.parametrize("metric", ["recall_top_tenth", "epochs_saved"])
def test_the_interval_of_a_method_that_says_nothing_has_its_value_in_it(metric: str) -> None:
    random = np.random.default_rng(3)
    scored = Scored(
        random.permutation(240) * 0.3,
        np.full(240, 50.0),
        np.zeros(240),
        np.arange(240) % 5,
        spent=np.full(240, 5.0),
        remaining=np.full(240, 10.0),
    )
    drawn = METRICS[metric].resampled(scored, draw_resamples(np.arange(240) // 10))
    low, high = quantiles(drawn, clusters=24)
    assert low < METRICS[metric](scored) < high


def test_a_metric_is_resampled_one_by_one_where_nothing_quicker_is_known(regressed: Case) -> None:
    slow = replace(METRICS["mae"], in_resamples=None).resampled(regressed.draws[0].scored, regressed.resamples[0])
    np.testing.assert_allclose(slow, regressed.in_resamples("mae"), rtol=1e-12)


def test_learning_rates_are_drawn_with_all_their_networks(digits: nb.Subset, regressed: Case) -> None:
    rates = digits.networks.loc[regressed.draws[0].networks, "learning_rate"].to_numpy()
    for rate in np.unique(rates):
        weights = regressed.resamples[0].weights[:, rates == rate]
        assert (weights == weights[:, :1]).all()
    assert regressed.resamples[0].weights[:, :].max() > 1


def test_single_networks_would_give_narrower_intervals(regressed: Case) -> None:
    scored = regressed.draws[0].scored
    single = METRICS["r2"].resampled(scored, draw_resamples(np.arange(len(scored.truth))))
    assert np.std(single) < 0.8 * np.std(regressed.in_resamples("r2"))


def test_a_fold_of_which_one_class_was_drawn_is_left_out_of_the_mean() -> None:
    truth, score = np.array([0, 1, 0, 1, 0, 1.0]), np.array([0.1, 0.9, 0.8, 0.2, 0.5, 0.5])
    scored = Scored(truth, truth, score, np.array([0, 0, 1, 1, 2, 2]))
    both, without_a_high_one, no_high_one = np.array([[1, 1, 1, 1, 1, 1], [1, 0, 1, 1, 1, 1], [1, 0, 1, 0, 1, 0.0]])
    drawn = Resamples(np.array([both, without_a_high_one, no_high_one]), np.arange(6))
    np.testing.assert_allclose(METRICS["roc_auc"].resampled(scored, drawn), [0.5, 0.25, np.nan])
    np.testing.assert_allclose(METRICS["balanced_accuracy"].resampled(scored, drawn), [1, 1, np.nan])
    np.testing.assert_allclose(METRICS["accuracy"].resampled(scored, drawn), [1, 1, 1])


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32 - 1))
@pytest.mark.parametrize(("metric", "oracle"), [("kendall_tau_in_folds", kendalltau), ("spearman_rho_in_folds", spearmanr)])
def test_a_rank_correlation_in_folds_is_scipys_mean_over_them(metric: str, oracle: Any, seed: int) -> None:
    random = np.random.default_rng(seed)
    truth, prediction, fold = random.integers(0, 6, (3, 40)).astype(float)
    prediction[fold == 2] = 7.0  # equal in one fold, which counts 0
    truth[fold == 4] = 1.0  # equal in another, which tells nothing
    scored = Scored(truth, prediction, prediction, fold.astype(int))

    def expected(positions: Any) -> float:
        parts = [(truth[own], prediction[own]) for own in (positions[fold[positions] == each] for each in range(6))]
        varied = [(t, p) for t, p in parts if len(set(t)) > 1]
        return float(np.mean([oracle(t, p).statistic if len(set(p)) > 1 else 0.0 for t, p in varied]))

    assert METRICS[metric](scored) == pytest.approx(expected(np.arange(40)))
    resamples = draw_resamples(random.integers(0, 9, 40), resamples=8, seed=seed)
    one_by_one = [expected(drawn_positions(weights)) for weights in resamples.weights]
    np.testing.assert_allclose(METRICS[metric].resampled(scored, resamples), one_by_one, atol=1e-6)


def test_what_reads_nothing_ranks_no_network_within_a_fold() -> None:
    truth, fold = np.repeat([10.0, 30, 50, 70], 5) + np.arange(20) % 5, np.repeat(np.arange(4), 5)
    contrary = np.array([100 - truth[fold != own].mean() for own in fold])
    scored = Scored(truth, contrary, contrary, fold)
    assert abs(METRICS["kendall_tau"](scored)) > 0.8
    assert METRICS["kendall_tau_in_folds"](scored) == 0


def test_where_blocks_are_extrapolated_to_whole_blocks_are_drawn(digits: nb.Subset) -> None:
    case = case_of(digits, "hyperparameters", "blocked")
    [draw] = case.draws
    assert case.clusters == digits.networks["blocked_fold"].nunique() < digits.networks["learning_rate"].nunique()
    counts = draw_resamples(digits.networks["blocked_fold"].loc[draw.networks]).weights.astype(int)
    truth, prediction = digits.networks["final_accuracy"].loc[draw.networks].to_numpy(), draw.scored.prediction
    drawn = [np.repeat(np.arange(len(truth)), count) for count in counts[:50]]
    expected = [r2_score(truth[own], prediction[own]) for own in drawn]
    assert case.in_resamples("r2")[:50] == pytest.approx(expected)


def test_the_same_clusters_give_the_same_resamples(regressed: Case) -> None:
    again = draw_resamples(regressed.draws[0].clusters)
    np.testing.assert_array_equal(again.weights, regressed.resamples[0].weights)


def test_an_interval_holds_the_middle_95_percent() -> None:
    assert quantiles(np.arange(1001.0), clusters=10**6) == pytest.approx((25, 975), abs=0.01)


def test_for_the_mean_of_few_clusters_it_is_students_interval() -> None:
    values = np.random.default_rng(0).normal(size=12)
    resamples = draw_resamples(np.arange(12), resamples=200_000)
    students = t_distribution.interval(0.95, 11, values.mean(), values.std(ddof=1) / np.sqrt(12))
    assert quantiles(resamples.mean(values), clusters=12) == pytest.approx(students, abs=0.04)
    assert widened(12) == pytest.approx(np.sqrt(12 / 11) * t_distribution.ppf(0.975, 11) / 1.96, abs=1e-4)


def test_it_holds_the_truth_more_often_than_the_plain_one_where_clusters_are_few() -> None:
    random, held = np.random.default_rng(0), {"plain": 0, "expanded": 0}
    for seed in range(400):
        means = draw_resamples(np.arange(10), seed=seed).mean(random.exponential(size=10))
        for name, clusters in (("plain", 10**6), ("expanded", 10)):
            low, high = quantiles(means, clusters=clusters)
            held[name] += low <= 1 <= high
    assert held["plain"] < 0.88 * 400
    assert held["expanded"] > held["plain"] + 0.03 * 400


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "roc_auc"])
def test_without_any_error_the_interval_allows_for_those_that_clusters_not_drawn_may_have(
    classified: Case, metric: str
) -> None:
    [draw] = classified.draws
    right = replace(draw.scored, prediction=draw.scored.truth, score=draw.scored.truth)
    value, low, high = Case(classified.protocol, (replace(draw, scored=right),)).estimate(metric)
    clusters = len(np.unique(draw.clusters))
    assert (value, high) == (1, 1)
    assert low == pytest.approx(0.025 ** (1 / clusters))  # what n in n must be likely enough for
    assert 0.9 < low < 0.95
    own = classified.estimate(metric)
    assert own[1:] == quantiles(classified.in_resamples(metric), clusters)


def test_one_cluster_gives_no_interval() -> None:
    assert np.isnan(quantiles(np.ones(1000), clusters=1)).all()
    assert np.isnan(without_error(1)).all()


@pytest.mark.parametrize("metric", ["r2", "r2_rank_matched"])
def test_the_coefficient_of_determination_of_equal_truths_is_undefined(metric: str) -> None:
    truth = np.array([10.1, 10.1, 10.1, 60.0])
    scored = Scored(truth, truth + 1, truth + 1, np.zeros(4, dtype=np.int64))
    drawn = Resamples(np.array([[2.0, 1.0, 1.0, 0.0], [1.0, 1.0, 1.0, 1.0]]), np.arange(4))
    equal, different = METRICS[metric].resampled(scored, drawn)
    assert np.isnan(equal)
    assert np.isfinite(different)


def test_a_rank_correlation_of_equal_predictions_is_an_error_with_its_reason() -> None:
    scored = Scored(np.array([1.0, 2, 3]), np.full(3, 5.0), np.zeros(3), np.zeros(3, dtype=int))
    with pytest.raises(UndefinedMetricError, match="all predictions are equal"):
        METRICS["kendall_tau"](scored)


def test_of_many_networks_the_interval_of_kendalls_tau_is_that_of_all_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    truth = np.round(10 * rng.normal(size=1200))  # with ties
    prediction = 0.3 * truth + 3 * rng.normal(size=1200)
    scored = Scored(truth, prediction, prediction, np.arange(1200) % 5)
    resamples = draw_resamples(np.arange(1200) // 2)
    exact = quantiles(METRICS["kendall_tau"].resampled(scored, resamples), clusters=600)
    monkeypatch.setattr(ranks, "MOST_PAIRED", 1000)
    linear = quantiles(METRICS["kendall_tau"].resampled(scored, resamples), clusters=600)
    assert linear == pytest.approx(exact, abs=0.002)
