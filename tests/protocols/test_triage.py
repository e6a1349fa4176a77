"""Triage: which networks to go on training, by hand on small examples, and the stopping rules on the stored curves."""

from __future__ import annotations

import numpy as np
import pytest

import nndynbench as nb
from nndynbench.protocols.metrics import METRICS, Scored
from nndynbench.protocols.metrics.selection import ranking
from nndynbench.protocols.triage import accuracies_by_epoch, stop_after_one_epoch, successive_halving

TRUTH = np.array([90.0, 89.5, 70, 60, 50, 40, 30, 20, 10, 10.5])


def scored(prediction: list[float]) -> Scored:
    none = np.zeros(len(TRUTH))
    return Scored(TRUTH, np.array(prediction), none, none.astype(int), spent=none + 2, remaining=none + 8)


def test_regret_is_what_the_best_of_the_chosen_falls_short_of_the_best() -> None:
    backwards = scored([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    assert METRICS["regret_1"](backwards) == 90 - 10.5
    assert METRICS["regret_5"](backwards) == 90 - 40
    assert METRICS["regret_1"](scored([9, 8, 7, 6, 5, 4, 3, 2, 1, 0])) == 0


def test_recall_is_the_share_of_the_best_tenth_that_is_ranked_in_the_first() -> None:
    assert METRICS["recall_top_tenth"](scored([9, 8, 7, 6, 5, 4, 3, 2, 1, 0])) == 1
    assert METRICS["recall_top_tenth"](scored([8, 9, 7, 6, 5, 4, 3, 2, 1, 0])) == 0


def test_epochs_are_saved_by_training_on_until_one_is_within_a_point_of_the_best() -> None:
    # All ten trained 2 of 10 epochs; the second best (half a point behind) is ranked first: 8 more epochs are needed.
    assert METRICS["epochs_saved"](scored([8, 9, 7, 6, 5, 4, 3, 2, 1, 0])) == pytest.approx(100 * (1 - 28 / 100))
    # Ranked last: everything must be trained on.
    assert METRICS["epochs_saved"](scored([0, 1, 9, 8, 7, 6, 5, 4, 3, 2])) == pytest.approx(100 * (1 - (20 + 9 * 8) / 100))


def test_equal_predictions_are_not_ranked_in_the_order_of_the_grid() -> None:
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
