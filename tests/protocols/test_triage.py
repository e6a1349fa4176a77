"""Triage, that is, which networks to go on training: by hand on small examples, and stopping rules on stored curves."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import nndynbench as nb
from nndynbench import comparing
from nndynbench.protocols import find_protocol, triage
from nndynbench.protocols.metrics import METRICS, Scored
from nndynbench.protocols.scoring import NO_INTERVAL
from nndynbench.protocols.triage import accuracies_by_epoch, ranking, replayed, stop_after_one_epoch, successive_halving

TRUTH = np.arange(40.0)


def scored(prediction: np.ndarray, fold: np.ndarray | None = None) -> Scored:
    none = np.zeros(len(TRUTH))
    return Scored(TRUTH, prediction, none, none.astype(int) if fold is None else fold, spent=none + 2, remaining=none + 8)


def test_regret_is_what_the_tenth_ranked_first_lacks_of_the_best_tenth() -> None:
    assert METRICS["regret_top_tenth"](scored(-TRUTH)) == np.mean([39, 38, 37, 36]) - np.mean([0, 1, 2, 3])
    assert METRICS["regret_top_tenth"](scored(TRUTH)) == 0


def test_recall_is_the_share_of_the_first_tenth_that_is_among_the_best() -> None:
    three_of_four = TRUTH.copy()
    three_of_four[0] = 38.5
    assert METRICS["recall_top_tenth"](scored(three_of_four)) == 3 / 4
    assert METRICS["recall_top_tenth"](scored(-TRUTH)) == 0


def test_epochs_are_saved_by_training_on_until_half_of_the_best_tenth_are_found() -> None:
    # All forty were trained for 2 of 10 epochs. Two of the best four must be found, at 8 more epochs per network.
    assert METRICS["epochs_saved"](scored(TRUTH)) == pytest.approx(100 * (1 - (80 + 2 * 8) / 400))
    assert METRICS["epochs_saved"](scored(-TRUTH)) == pytest.approx(100 * (1 - (80 + 38 * 8) / 400))


def test_folds_are_ranked_apart_and_the_networks_learnt_from_are_paid_for() -> None:
    fold = np.arange(40) % 2
    one_scale_each = np.where(fold == 0, 100 + TRUTH, TRUTH)
    assert METRICS["regret_top_tenth"](scored(one_scale_each, fold)) == 0
    # Half of the networks are learnt from, and trained to the end. Of the other twenty, one of the best two is found first.
    assert METRICS["epochs_saved"](scored(TRUTH, fold)) == pytest.approx(100 * (1 - (200 + 40 + 8) / 400))


def test_who_reads_hyperparameters_alone_need_not_wait_for_the_budget(digits: nb.Subset) -> None:
    saved = {}
    for name in ("learning-rate", "validation-accuracy"):
        result = nb.evaluate(name, digits, protocol="triage", budgets=[1, 5], order_seed=0)
        saved[name] = result.scores.query("metric == 'epochs_saved'").set_index("budget")["value"]
    # If the tested fifth of the networks waited for four more epochs of twenty, that would cost four points.
    assert saved["learning-rate"][1] == pytest.approx(saved["learning-rate"][5], abs=2)
    assert saved["validation-accuracy"][5] < 20 * (1 - 5 / digits.networks["epochs_trained"].max())


def orders(prediction: np.ndarray) -> Iterator[np.ndarray]:
    """Predictions without ties, one for each order that those with ties allow."""
    values, counts = np.unique(prediction, return_counts=True)
    if (counts == 1).all():
        yield prediction
        return
    places = np.flatnonzero(prediction == values[counts > 1][0])
    for order in permutations(np.linspace(0, 0.5, len(places))):
        untied = prediction.copy()
        untied[places] += order
        yield from orders(untied)


# Which of the ranks of forty predictions are equal. The tenth is four networks, and half of the best tenth are two.
@pytest.mark.parametrize("folds", [1, 2])
@pytest.mark.parametrize("ties", [[range(34, 40)], [range(33, 38)], [range(30, 34), range(35, 39)]])
def test_equal_predictions_score_the_mean_over_all_their_orders(ties: list[range], folds: int) -> None:
    random = np.random.default_rng(4)
    truth, remaining, none = random.permutation(40) * 2.5, random.integers(1, 9, 40).astype(float), np.zeros(40)
    prediction = np.argsort(np.argsort(truth + random.normal(0, 15, 40))).astype(float)
    for equal in ties:
        prediction[np.isin(prediction, equal)] = equal[0]
    tied, *untied = (
        Scored(truth, each, none, np.arange(40) % folds, spent=none + 2, remaining=remaining)
        for each in (prediction, *orders(prediction))
    )
    for metric in ("regret_top_tenth", "recall_top_tenth", "epochs_saved"):
        by_order = [METRICS[metric](each) for each in untied]
        assert len(set(by_order)) > 1
        assert METRICS[metric](tied) == pytest.approx(np.mean(by_order), abs=1e-9)


def test_equal_predictions_for_all_find_a_tenth_of_the_best_tenth_in_every_fold() -> None:
    fold = np.arange(40) // 20
    assert METRICS["recall_top_tenth"](scored(np.ones(40), fold)) == pytest.approx(1 / 10)
    expected = np.mean([18.5 - np.mean(range(20)), 38.5 - np.mean(range(20, 40))])
    assert METRICS["regret_top_tenth"](scored(np.ones(40), fold)) == pytest.approx(expected)


def test_halving_does_not_take_equal_accuracies_in_the_order_of_the_grid() -> None:
    order = ranking(np.ones(100))
    assert sorted(order) == list(range(100))
    assert abs(np.corrcoef(order, np.arange(100))[0, 1]) < 0.3


def test_halving_trains_half_of_the_networks_twice_as_long() -> None:
    accuracies = np.tile(np.arange(16.0)[:, None], (1, 20))
    ranked, trained = successive_halving(accuracies, np.full(16, 20.0))
    assert sorted(trained.tolist()) == sorted([1] * 8 + [2] * 4 + [4] * 2 + [8] + [16])
    assert (np.argsort(ranked) == np.arange(16)).all()


def test_halving_judges_a_network_by_nothing_that_it_was_not_trained_for(digits: nb.Subset) -> None:
    accuracies = accuracies_by_epoch(digits)
    epochs = digits.networks["epochs_trained"].to_numpy(dtype=float)
    ranked, trained = successive_halving(accuracies, epochs)
    hidden = accuracies.copy()
    for network, last in enumerate(trained.astype(int)):
        hidden[network, last:] = accuracies[network, last - 1]
    again, _ = successive_halving(hidden, epochs)
    np.testing.assert_array_equal(again, ranked)
    assert trained.sum() < 0.3 * epochs.sum()


def test_stopping_after_one_epoch_ranks_by_its_validation_accuracy(digits: nb.Subset) -> None:
    accuracies = accuracies_by_epoch(digits)
    ranked, trained = stop_after_one_epoch(accuracies, digits.networks["epochs_trained"].to_numpy(dtype=float))
    first = digits.curves.xs(1, level="epoch")["validation_accuracy"].reindex(digits.networks.index)
    np.testing.assert_array_equal(ranked, first)
    assert (trained == 1).all()


def test_a_rule_is_replayed_within_the_folds_that_methods_are_tested_in(digits: nb.Subset) -> None:
    found = replayed(successive_halving, digits, find_protocol("triage"))
    accuracies = pd.DataFrame(accuracies_by_epoch(digits), index=digits.networks.index)
    regrets = []
    for _, tested in (fold for draw in range(5) for fold in digits.split("folds", draw)):
        networks = digits.networks.loc[tested]
        epochs = networks["epochs_trained"].to_numpy(dtype=float)
        ranked = pd.Series(successive_halving(accuracies.loc[tested].to_numpy(), epochs)[0], index=tested)
        final, tenth = networks["final_accuracy"], round(len(tested) / 10)
        # Networks of one rung with equal accuracies have no order: the mean over their orders counts.
        sure, tied = ranked > ranked.nlargest(tenth).min(), ranked == ranked.nlargest(tenth).min()
        chosen = (final[sure].sum() + (tenth - sure.sum()) * final[tied].mean()) / tenth
        regrets.append(final.nlargest(tenth).mean() - chosen)
    assert found["regret_top_tenth"].value("regret_top_tenth") == pytest.approx(np.mean(regrets))


def test_the_epochs_that_a_rule_saves_are_of_all_networks_at_once(digits: nb.Subset) -> None:
    found = replayed(successive_halving, digits, find_protocol("triage"))["epochs_saved"]
    epochs = digits.networks["epochs_trained"].to_numpy(dtype=float)
    _, trained = successive_halving(accuracies_by_epoch(digits), epochs)
    assert len(np.unique(found.draws[0].scored.fold)) == 1
    assert 50 < found.value("epochs_saved") < 100 * (1 - trained.sum() / epochs.sum())


def test_a_rule_without_an_interval_says_why(digits: nb.Subset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triage, "cluster_of", lambda networks: pd.Series(0, index=networks.index))
    unit = comparing._Unit((digits,), find_protocol("triage"), (5,), tmp_path)
    assert {row["undefined"] for row in unit.replayed_rows()} == {NO_INTERVAL}
