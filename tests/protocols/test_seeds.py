"""The same recipe from other seeds: whatever is the same for all seeds of a recipe does not count."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau
from sklearn.impute import SimpleImputer
from sklearn.kernel_ridge import KernelRidge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import nndynbench as nb
from nndynbench import comparing
from nndynbench.names import UnknownNameError
from nndynbench.protocols import rescore
from nndynbench.protocols.intervals import draw_resamples
from nndynbench.protocols.metrics import METRICS, Scored, UndefinedMetricError
from nndynbench.protocols.metrics.within import expected_best
from nndynbench.protocols.protocol import find_protocol
from nndynbench.protocols.scoring import cases
from nndynbench.protocols.within import deviations
from nndynbench.submissions import RefusedError, accepted_predictions, submissions_of
from nndynbench.subsets import BudgetError, SplitError, TargetError, catalogue_entry
from nndynbench.subsets.plateau import on_plateau
from nndynbench.subsets.targets import late_validation_accuracy

NAMES = ("r2_within", "kendall_tau_within", "regret_keeping_1", "regret_keeping_3")


@pytest.fixture(scope="module")
def zoo() -> nb.Subset:
    return nb.load("digits-lenet-seeds")


@pytest.fixture(scope="module")
def by_accuracy(zoo: nb.Subset) -> nb.Result:
    return nb.evaluate("validation-accuracy", zoo, protocol="seeds", budgets=[1, 5])


def scored_in_recipes(seed: int) -> Scored:
    """Deviations of some recipes' seeds, with ties."""
    random = np.random.default_rng(seed)
    recipe = np.repeat(np.arange(6), random.integers(2, 9, 6))
    truth, prediction = (deviations(random.integers(0, 6, len(recipe)) * 1.3, recipe) for _ in range(2))
    return Scored(truth, prediction, np.zeros(len(recipe)), recipe % 2, recipe=recipe)


@pytest.mark.parametrize("learner", [None, KernelRidge(kernel="rbf")])
def test_whoever_sees_hyperparameters_alone_scores_exactly_0(zoo: nb.Subset, learner: object) -> None:
    own = make_pipeline(nb.Columns([nb.columns.hyperparameters]), SimpleImputer(), StandardScaler(), learner)
    scores = nb.evaluate("constant" if learner is None else own, zoo, protocol="seeds", budgets=1).scores.set_index("metric")
    for metric in ("r2_within", "kendall_tau_within"):
        assert scores.loc[metric, ["value", "low", "high"]].tolist() == [0, 0, 0]


def test_a_constant_within_each_recipe_changes_no_score(zoo: nb.Subset, by_accuracy: nb.Result) -> None:
    shifted = by_accuracy.predictions.assign(
        prediction=lambda table: table["prediction"] + 0.25 * zoo.recipes.loc[table["network"]].to_numpy()
    )
    again = rescore(nb.Result(by_accuracy.scores, shifted, by_accuracy.facts), [zoo], "seeds")
    np.testing.assert_allclose(again.scores["value"], by_accuracy.scores["value"], rtol=0, atol=1e-6)


def test_scores_are_of_deviations_from_each_recipes_mean(zoo: nb.Subset, by_accuracy: nb.Result) -> None:
    table = by_accuracy.predictions.query("budget == 5")
    table = table.assign(recipe=zoo.recipes.loc[table["network"]].to_numpy())
    assert (table["truth"].to_numpy() == zoo.networks.loc[table["network"], "late_accuracy"]).all()
    centred = table[["truth", "prediction"]] - table.groupby("recipe")[["truth", "prediction"]].transform("mean")
    expected = 1 - ((centred["truth"] - centred["prediction"]) ** 2).sum() / (centred["truth"] ** 2).sum()
    taus = [kendalltau(part["truth"], part["prediction"]).statistic for _, part in table.groupby("recipe")]
    assert 0 < np.isnan(taus).sum() < len(taus)  # of some recipes, all seeds are at chance at epoch 5: no order is predicted
    scores = by_accuracy.scores.query("budget == 5").set_index("metric")["value"]
    assert scores["r2_within"] == pytest.approx(expected, abs=1e-6)
    assert scores["kendall_tau_within"] == pytest.approx(
        np.mean(np.nan_to_num(taus)), abs=1e-4
    )  # predictions that differ by rounding count as equal


@settings(deadline=None)
@given(truth=st.lists(st.integers(0, 4), min_size=1, max_size=6), seed=st.integers(0, 99), count=st.integers(1, 4))
def test_the_best_of_those_kept_is_the_mean_over_all_orders_of_equal_predictions(
    truth: list[int], seed: int, count: int
) -> None:
    prediction = np.random.default_rng(seed).integers(0, 3, len(truth))
    orders = [order for order in permutations(range(len(truth))) if np.all(np.diff(prediction[list(order)]) <= 0)]
    expected = np.mean([max(truth[network] for network in order[:count]) for order in orders])
    assert expected_best(np.array(truth, dtype=float), prediction, count) == pytest.approx(expected)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32 - 1))
@pytest.mark.parametrize("count", [1, 3])
def test_the_regret_is_between_a_recipes_best_seed_and_the_best_of_those_kept(count: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    recipe = np.repeat(np.arange(6), random.integers(2, 9, 6))
    table = pd.DataFrame(
        {"recipe": recipe, "truth": random.normal(size=len(recipe)), "prediction": random.normal(size=len(recipe))}
    )
    regrets = [own["truth"].max() - own.nlargest(count, "prediction")["truth"].max() for _, own in table.groupby("recipe")]
    scored = Scored(
        table["truth"].to_numpy(), table["prediction"].to_numpy(), np.zeros(len(recipe)), recipe % 2, recipe=recipe
    )
    assert METRICS[f"regret_keeping_{count}"](scored) == pytest.approx(np.mean(regrets))


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_resample_is_of_whole_recipes_each_as_often_as_it_was_drawn(seed: int) -> None:
    scored = scored_in_recipes(seed)
    resamples = draw_resamples(scored.recipe, resamples=10, seed=seed)
    for metric in NAMES:
        for counts, value in zip(resamples.counts, METRICS[metric].resampled(scored, resamples), strict=True):
            copies = [np.flatnonzero(scored.recipe == recipe) for recipe in np.repeat(np.arange(6), counts.astype(int))]
            drawn = scored.drawn(np.concatenate(copies))
            drawn.recipe[:] = np.repeat(np.arange(len(copies)), [len(own) for own in copies])
            try:
                expected = METRICS[metric](drawn)
            except UndefinedMetricError:
                expected = np.nan
            assert value == pytest.approx(expected, nan_ok=True), metric


def test_recipes_are_tested_whole_each_once_and_in_the_same_folds_every_time(zoo: nb.Subset) -> None:
    folds = zoo.split("recipes")
    assert sorted(network for _, test in folds for network in test) == zoo.network_ids
    for train, test in folds:
        assert sorted(train + test) == zoo.network_ids
        assert not set(zoo.recipes.loc[train]) & set(zoo.recipes.loc[test])
    # The fold is written down here: no library, and no other subset at hand, may change it.
    assert sorted(set(zoo.recipes.loc[folds[0][1]])) == FIRST_FOLD


FIRST_FOLD = [2, 4, 9, 18, 21, 27, 51, 52, 53, 54, 58, 60, 62]


def test_other_subsets_are_refused_by_naming_those_that_have_seeds(digits: nb.Subset) -> None:
    with pytest.raises(SplitError, match=r"several seeds; subsets with enough: digits-lenet-seeds \(24 seeds\)"):
        digits.split("recipes")


def test_a_target_that_a_subset_lacks_is_answered_with_those_that_have_it(digits: nb.Subset) -> None:
    with pytest.raises(TargetError, match=r"digits-lenet 1\.0\.0 has no late_accuracy; .* have it: ") as refused:
        digits.target("late_accuracy")
    named = str(refused.value).rpartition(": ")[2].split(", ")
    assert named == [name for name in nb.subsets().index if "late_accuracy" in nb.load(name).networks]
    with pytest.raises(UnknownNameError, match="unknown target 'late_acuracy'; did you mean 'late_accuracy'"):
        digits.target("late_acuracy")


def test_the_catalogue_says_how_many_seeds_a_recipe_has(zoo: nb.Subset) -> None:
    assert set(zoo.recipes.value_counts()) == {catalogue_entry(zoo.name).seeds}


def test_budgets_that_reach_into_the_late_epochs_are_refused(zoo: nb.Subset) -> None:
    assert list(zoo.budgets_for("late_accuracy")) == list(range(1, 11))
    with pytest.raises(BudgetError, match="budget 11 reaches into the late epochs of digits-lenet-seeds"):
        nb.evaluate("constant", zoo, protocol="seeds", budgets=11)


def test_the_last_budget_is_before_the_late_epochs_of_whatever_network_ends_first(digits: nb.Subset) -> None:
    trained = digits.networks["epochs_trained"][~digits.networks["diverged"]].min()
    assert list(digits.budgets_for("late_validation_accuracy")) == list(range(1, trained - 5 + 1))
    with pytest.raises(BudgetError, match=f"budget {trained - 4} reaches into the late epochs of digits-lenet"):
        nb.evaluate("constant", digits, protocol="late-folds", budgets=int(trained - 4))


def test_late_validation_accuracy_is_the_mean_of_a_networks_own_last_five_epochs(digits: nb.Subset) -> None:
    late, networks = digits.target("late_validation_accuracy"), digits.networks
    for network in (networks["epochs_trained"].idxmin(), networks["epochs_trained"].idxmax()):
        expected = digits.curves.loc[network, "validation_accuracy"].to_numpy()[-5:].mean()
        assert late[network] == pytest.approx(expected)
    cifar10 = nb.load("cifar10-lenet")
    diverged = cifar10.networks.index[cifar10.networks["diverged"]]
    assert len(diverged)
    assert (cifar10.target("late_validation_accuracy")[diverged] == cifar10.manifest.chance).all()


def test_late_validation_accuracy_without_validation_accuracies_is_refused(digits: nb.Subset) -> None:
    curves = digits.curves.assign(validation_accuracy=np.nan)
    with pytest.raises(
        TargetError, match=r"network 0 has no validation accuracies in its last epochs \(networks without them: 240\)"
    ):
        late_validation_accuracy(digits.networks, curves, chance=10.0)


def test_a_network_is_where_its_loss_is_until_it_diverges() -> None:
    index = pd.MultiIndex.from_product([[0], [1, 2, 3]], names=["network", "epoch"])
    curves = pd.DataFrame({"train_loss": [1.5, 1.0, 0.5]}, index=index)
    networks = pd.DataFrame({"diverged": [True], "epochs_trained": [3]}, index=pd.Index([0], name="network"))
    on = [bool(on_plateau(networks, curves, budget=budget, chance=10.0)[0]) for budget in (1, 3, 4)]
    assert on == [False, False, True]


def test_networks_on_the_plateau_and_off_it_are_scored_apart(zoo: nb.Subset, by_accuracy: nb.Result) -> None:
    five = by_accuracy.predictions.query("budget == 5")
    tested = {
        name: set(next(iter(cases(five, {zoo.name: zoo}, find_protocol(name)).values())).draws[0].networks)
        for name in ("seeds-on-plateau", "seeds-off-plateau")
    }
    assert not tested["seeds-on-plateau"] & tested["seeds-off-plateau"]
    loss = zoo.curves.xs(5, level="epoch")["train_loss"]
    assert set(loss.index[loss >= np.log(10) - 0.03]) >= tested["seeds-on-plateau"]
    assert set(loss.index[loss < np.log(10) - 0.03]) >= tested["seeds-off-plateau"]


def test_a_submission_is_accepted_with_its_scores_and_refused_with_others(zoo: nb.Subset, by_accuracy: nb.Result) -> None:
    facts = {"authors": ["me"], "licence": "MIT", "code": "https://example.org/me", "commit": "0" * 7, "seeds": []}
    [submission] = submissions_of(by_accuracy, **facts)
    assert len(accepted_predictions(submission, subsets={zoo.name: zoo})) == 2 * len(zoo.network_ids)
    wrong = submission.scores[0].model_copy(update={"value": 0.9})
    forged = submission.model_copy(update={"scores": [wrong, *submission.scores[1:]]})
    with pytest.raises(RefusedError, match="r2_within at budget 1"):
        accepted_predictions(forged, subsets={zoo.name: zoo})


def test_a_budget_without_networks_to_score_hides_no_other(
    zoo: nb.Subset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nb.Subset, "on_plateau", lambda self, budget: pd.Series(budget == 1, index=self.networks.index))
    beside = nb.beside_bar(nb.evaluate("constant", zoo, protocol="seeds-on-plateau", budgets=[1, 2]), [zoo])
    assert beside.set_index("budget")["value"].isna().to_dict() == {1: False, 2: True}
    some, none = (
        comparing._Unit((zoo,), find_protocol("seeds-on-plateau"), budgets, tmp_path).rows("constant")
        for budgets in ((1, 2), (2,))
    )
    assert {row["budget"] for row in some} == {1}  # type: ignore[index]
    assert "no network on the plateau after 2 epochs" in none
