"""The protocols that use another protocol's fits, or test another subset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau
from sklearn.base import BaseEstimator, RegressorMixin

import nndynbench as nb
from nndynbench.graphs import architecture
from nndynbench.protocols import find_method, rescore
from nndynbench.protocols.metrics import METRICS
from nndynbench.protocols.protocol import find_protocol, protocols, read_budgets
from nndynbench.protocols.scoring import cases
from nndynbench.protocols.sides import share_of_known_rates, sides
from nndynbench.subsets.splits import DRAWN, RULES


@pytest.fixture(scope="module")
def half() -> nb.Subset:
    return nb.load("digits-lenet-half")


@pytest.mark.parametrize("name", protocols())
def test_a_protocols_facts_name_what_exists(name: str) -> None:
    chosen = find_protocol(name)
    assert set(chosen.metrics) <= METRICS.keys()
    assert chosen.split in (*RULES, *DRAWN, None)
    assert (chosen.split is None) == (chosen.test == "another")
    assert chosen.fitted.predictions is None
    assert read_budgets(chosen.budgets)


def test_trained_scores_the_networks_5_points_above_chance(digits: nb.Subset) -> None:
    result = nb.evaluate("validation-accuracy", digits, protocol="regression-folds", budgets=3)
    trained = rescore(result, [digits], "trained")
    kept = result.predictions[result.predictions["truth"] >= 15]
    assert 0 < len(kept) < 240
    value = trained.scores.set_index("metric").loc["kendall_tau_in_folds", "value"]
    taus = [kendalltau(fold["truth"], fold["prediction"]).statistic for _, fold in kept.groupby("fold")]
    assert value == pytest.approx(np.mean(taus), abs=1e-12)


@pytest.mark.parametrize(("name", "above"), [("imagenet-lenet", 1.0), ("cifar10-lenet", 5.0)])
def test_how_far_above_chance_is_trained_depends_on_the_images(name: str, above: float) -> None:
    zoo, rows = nb.load(name), find_protocol("trained")
    predictions = pd.DataFrame(
        {"subset": name, "budget": 1, "fold": 0, "network": zoo.network_ids, "score": np.nan}
        | {column: zoo.networks["final_accuracy"].to_numpy() for column in ("truth", "prediction")}
    )
    [case] = cases(predictions, {name: zoo}, rows).values()
    chance = 100 / architecture(name).classes
    kept = zoo.networks.index[zoo.networks["final_accuracy"] >= chance + above]
    assert 0 < len(kept) < len(zoo.network_ids)
    assert sorted(case.draws[0].networks) == sorted(kept)


def test_nothing_is_fitted_again_for_trained_and_triage(digits: nb.Subset) -> None:
    result = nb.evaluate("constant", digits, protocol="regression-folds", budgets=2)
    for name in ("trained", "triage"):
        again = nb.evaluate("constant", digits, protocol=name, budgets=2)
        # Each evaluation has its own order of the networks, so a mean may round differently.
        np.testing.assert_allclose(again.predictions["prediction"], result.predictions["prediction"], rtol=1e-12)


def test_predictions_of_another_protocol_are_not_rescored(digits: nb.Subset) -> None:
    result = nb.evaluate("constant", digits, protocol="regression", budgets=1)
    with pytest.raises(ValueError, match="scores predictions of regression-folds, not of regression"):
        rescore(result, [digits], "trained")


def test_transfer_trains_on_one_whole_subset_and_tests_another(digits: nb.Subset, half: nb.Subset) -> None:
    result = nb.evaluate("degree-linear", [digits, half], protocol="transfer", budgets=3)
    pairs = result.scores[["trained_on", "subset"]].drop_duplicates().to_records(index=False).tolist()
    assert pairs == [("digits-lenet", "digits-lenet-half"), ("digits-lenet-half", "digits-lenet")]
    there = result.predictions[result.predictions["subset"] == "digits-lenet-half"]
    method = find_method("degree-linear").regressor
    fitted = method.fit(digits.histories(digits.network_ids, 3), digits.networks["final_accuracy"].to_numpy())
    np.testing.assert_allclose(there["prediction"], fitted.predict(half.histories(half.network_ids, 3)), rtol=1e-9)
    np.testing.assert_array_equal(there["truth"], half.networks["final_accuracy"])


def test_no_network_learnt_from_has_the_hyperparameters_of_a_tested_one(digits: nb.Subset, half: nb.Subset) -> None:
    folds = sides(find_protocol("transfer-apart"), digits, half)
    assert sorted(network for _, tested in folds for network in tested) == half.network_ids
    columns = digits.manifest.hyperparameters
    for learnt, tested in folds:
        cells = [
            set(map(tuple, zoo.networks.loc[ids, columns].to_numpy())) for zoo, ids in ((digits, learnt), (half, tested))
        ]
        assert min(map(len, cells)) > 80
        assert not cells[0] & cells[1]


def test_most_learning_rates_that_are_tested_were_learnt_from_in_other_cells(digits: nb.Subset, half: nb.Subset) -> None:
    protocol = find_protocol("transfer-apart")
    rates = [
        (digits.networks.loc[learnt, "learning_rate"].to_numpy(), half.networks.loc[tested, "learning_rate"].to_numpy())
        for learnt, tested in sides(protocol, digits, half)
    ]
    known = [rate in learnt for learnt, tested in rates for rate in tested]
    assert len(known) == len(half.networks)
    assert 0.5 < share_of_known_rates(protocol, digits, half) == np.mean(known) < 1
    assert share_of_known_rates(find_protocol("transfer"), digits, half) == 1


class Remembering(RegressorMixin, BaseEstimator):
    """Predicts what a network with the same hyperparameters reached, or the mean if there was none."""

    def fit(self, X: Sequence[nb.History], y: np.ndarray) -> Self:
        self.known_ = {cell(history): float(truth) for history, truth in zip(X, y, strict=True)}
        self.mean_ = float(np.mean(y))
        return self

    def predict(self, X: Sequence[nb.History]) -> np.ndarray:
        return np.array([self.known_.get(cell(history), self.mean_) for history in X])


def cell(history: nb.History) -> tuple[float, ...]:
    return tuple(history.hyperparameters.values())


def test_remembering_the_grid_transfers_only_where_cells_are_shared(digits: nb.Subset, half: nb.Subset) -> None:
    taus = {}
    for name in ("transfer", "transfer-apart"):
        scores = nb.evaluate(Remembering(), [digits, half], protocol=name, budgets=1, sealed=False).scores
        own = scores[(scores["metric"] == find_protocol(name).metrics[0]) & (scores["subset"] == "digits-lenet-half")]
        taus[name] = own["value"].item()
    assert taus["transfer"] > 0.5
    assert taus["transfer-apart"] == 0


def test_transfer_of_one_subset_is_refused(digits: nb.Subset) -> None:
    with pytest.raises(ValueError, match="name at least two"):
        nb.evaluate("degree-linear", digits, protocol="transfer", budgets=1)
