"""The bars: they hold out as the protocol does, their processes are scikit-learn's, and they see nothing undeclared."""

from __future__ import annotations

import tomllib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

import nndynbench as nb
from nndynbench.protocols import find_method
from nndynbench.protocols.method import baselines_folder
from nndynbench.protocols.scripts import load_script

BAR = load_script(baselines_folder() / "bar.py", alone=True)
GRIDS = Path(__file__).parents[2] / "generation" / "grids"


def test_the_bar_sees_more_than_either_half_of_it(digits: nb.Subset) -> None:
    scores = {
        name: nb.evaluate(name, digits, protocol="regression-folds", budgets=5).scores.set_index("metric").loc["r2", "value"]
        for name in ("bar", "learning-rate", "validation-accuracy")
    }
    assert scores["bar"] > max(scores["learning-rate"], scores["validation-accuracy"]) + 0.1


def test_the_bar_holds_out_what_belongs_together(digits: nb.Subset) -> None:
    asked = []

    class Watched(LinearRegression):
        def fit(self, X: Any, y: Any) -> Any:
            asked.append(set(y))
            return super().fit(X, y)

    groups = pd.factorize(digits.networks["learning_rate"])[0]
    blend = find_method("bar").regressor
    blend = clone(blend).set_params(learners={"watched": (Watched(), ("comparable",))})
    blend.fit(digits.histories(digits.network_ids, 1), groups.astype(float), groups=groups)
    everyone, *inner = asked
    assert everyone == set(groups)
    # A group's number is its target here: what each inner fit has not seen must be whole groups, each of them once.
    unseen = [everyone - seen for seen in inner]
    assert len(unseen) == 3
    assert set.union(*unseen) == everyone
    assert sum(map(len, unseen)) == len(everyone)


def test_the_process_is_scikit_learns_with_the_same_lengths() -> None:
    zoo = nb.load("cifar10-lenet-diverse")
    asked, seen = zoo.network_ids[:40], zoo.network_ids[40:140]
    blend = find_method("bar").regressor
    columns = clone(blend)._table(blend.parts["comparable"]).fit_transform(zoo.histories([*seen, *asked], 5))
    accuracies = zoo.networks.loc[seen, "final_accuracy"].to_numpy()
    process = clone(blend.learners["process on hyperparameters"][0]).fit(columns[:100], accuracies)
    kernel = ConstantKernel() * RBF(np.ones(columns.shape[1])) + WhiteKernel()
    kernel.theta = process.theta_
    oracle = GaussianProcessRegressor(kernel, optimizer=None, normalize_y=True).fit(columns[:100], accuracies)
    np.testing.assert_allclose(process.predict(columns[100:]), oracle.predict(columns[100:]), rtol=1e-6)

    def twenty_steps(error: Any, start: Any, bounds: Any) -> tuple[Any, float]:
        found = minimize(error, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": process.STEPS})
        return found.x, found.fun

    start = ConstantKernel() * RBF(np.full(columns.shape[1], 5.0), (0.3, 1e4)) + WhiteKernel(0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = GaussianProcessRegressor(start, optimizer=twenty_steps, normalize_y=True).fit(columns[:100], accuracies)
    np.testing.assert_allclose(process.theta_, found.kernel_.theta, rtol=1e-3, atol=1e-3)


def test_a_process_predicts_what_is_left_out_as_if_fitted_without_it(digits: nb.Subset) -> None:
    random = np.random.default_rng(0)
    points, truths = random.normal(size=(30, 2)), random.normal(50, 10, 30)
    process = clone(find_method("bar").regressor.learners["process on hyperparameters"][0]).fit(points, truths)
    place = np.arange(30)
    folds = [(place[place % 3 != fold], place[place % 3 == fold]) for fold in range(3)]
    kernel = ConstantKernel() * RBF(np.ones(2)) + WhiteKernel()
    kernel.theta = process.theta_
    scaled = (truths - truths.mean()) / truths.std()
    for known, left in folds:
        oracle = GaussianProcessRegressor(kernel, optimizer=None).fit(points[known], scaled[known]).predict(points[left])
        ours = process.left_out(points, folds)[left]
        np.testing.assert_allclose(ours, truths.mean() + truths.std() * oracle, rtol=1e-6)


def test_a_learner_far_out_of_range_does_not_carry_the_blend_away() -> None:
    random = np.random.default_rng(0)
    truths = random.uniform(10, 70, 60)
    learners = np.stack([truths + random.normal(0, 3, 60), truths + random.normal(0, 8, 60)], axis=1)
    blend = BAR.Weights().fit(learners, truths, np.arange(60))
    weights = blend.coef_
    assert (weights >= 0).all()
    assert weights[0] > weights[1]
    assert blend.predict(np.array([[30.0, 1e6]]))[0] <= weights @ [30, truths.max()] + blend.intercept_ + 1e-9
    assert blend.predict(np.array([[1e6, 1e6]]))[0] <= truths.max()


@pytest.mark.parametrize("groups", [4, 60])
def test_a_blends_weights_have_the_least_loss_of_all_that_are_at_least_0(groups: int) -> None:
    """Oracle: scipy's minimum of the squared errors, in deviations of the truths, and of the prior worth three groups."""
    random = np.random.default_rng(1)
    truths = random.uniform(10, 70, 60)
    learners = np.stack([truths + random.normal(0, 5, 60), truths + random.normal(0, 9, 60), 80 - truths], axis=1)
    blend = BAR.Weights().fit(learners, truths, np.arange(60) % groups)
    said = np.clip(learners, truths.min(), truths.max())
    centred, missed = said - said.mean(axis=0), truths - truths.mean()

    def loss(weights: np.ndarray) -> float:
        evidence = np.sum((missed - centred @ weights) ** 2) / np.var(truths)
        return float(evidence + 3 * 60 / groups * np.sum((weights - 1 / 3) ** 2))

    options: dict[str, Any] = {"bounds": [(0, None)] * 3, "method": "L-BFGS-B", "options": {"ftol": 1e-14, "gtol": 1e-9}}
    found = minimize(loss, np.full(3, 1 / 3), **options).x
    np.testing.assert_allclose(blend.coef_, found, atol=1e-5)
    asked = np.array([[30.0, 40.0, 20.0], [90.0, 90.0, 90.0]])
    line = truths.mean() + (np.clip(asked, truths.min(), truths.max()) - said.mean(axis=0)) @ found
    np.testing.assert_allclose(blend.predict(asked), np.clip(line, truths.min(), truths.max()), atol=1e-3)


def test_fewer_groups_are_less_evidence_for_a_learner() -> None:
    random = np.random.default_rng(0)
    truths = random.uniform(10, 70, 60)
    learners = np.stack([truths + random.normal(0, 1, 60), random.uniform(10, 70, 60)], axis=1)
    [many, few] = (BAR.Weights().fit(learners, truths, np.arange(60) % count).coef_ for count in (60, 2))
    assert many[1] < few[1]
    assert few[0] - few[1] < many[0] - many[1]


def test_the_curve_bar_sees_no_hyperparameter_and_the_bars_first_process_no_curve() -> None:
    assert find_method("curve-bar").reads == {"curves"}
    assert find_method("bar").regressor.learners["process on hyperparameters"][1] == ("comparable", "optimiser")


def test_permuted_columns_are_those_of_other_networks_alone(digits: nb.Subset) -> None:
    histories = digits.histories(digits.network_ids, 2)
    truths = digits.networks["final_accuracy"].to_numpy()
    linear = {"linear": (LinearRegression(), ())}
    plain, permuted = (
        clone(find_method(name).regressor).set_params(learners=linear, random_state=0).fit(histories, truths)
        for name in ("bar-and-layer-distance", "bar-and-permuted-layer-distance")
    )
    ours, theirs = plain._tables(histories), permuted._tables(histories)
    np.testing.assert_array_equal(ours["comparable"], theirs["comparable"])
    assert (ours["more"] != theirs["more"]).any(axis=1).mean() > 0.9
    np.testing.assert_array_equal(*(np.sort(tables["more"], axis=0) for tables in (ours, theirs)))


def test_a_classifier_of_the_bar_cuts_accuracies_where_the_labels_are(digits: nb.Subset) -> None:
    result = nb.evaluate("curve-bar", digits, protocol="classification", budgets=5)
    assert ((result.predictions["score"] > 0) == (result.predictions["prediction"] == 1)).all()
    assert result.scores.set_index("metric").loc["accuracy", "value"] > 0.85


def test_steps_of_optimisers_are_compared_by_the_ranges_that_grids_draw_from() -> None:
    """The bar's constants stand for ratios of the grids' ranges: they lie within the spread between the two drawn grids."""
    drawn = [tomllib.loads((GRIDS / f"{name}.toml").read_text())["draw"] for name in ("diverse", "digits-seeds")]
    ranges = [draw["hyperparameters"]["learning_rate"] for draw in drawn]
    for optimiser, step in BAR.STEP.items():
        ratios = [np.sqrt(np.prod(rates["sgd"]) / np.prod(rates[optimiser])) for rates in ranges]
        assert min(ratios) * 0.99 <= step <= max(ratios) * 1.01


def test_the_bar_is_about_as_good_as_the_best_of_its_learners() -> None:
    """On the subset that varies everything. What the bar misses, every method would seem to add."""
    zoo = nb.load("cifar10-lenet-diverse")
    [(training, tested)] = zoo.split("holdout")
    accuracies = zoo.networks["final_accuracy"]

    def score(learner: Any) -> float:
        fitted = clone(learner).fit(zoo.histories(training, 1), accuracies[training])
        return r2_score(accuracies[tested], fitted.predict(zoo.histories(tested, 1)))

    bar = find_method("bar").regressor
    alone = [clone(bar).set_params(learners={name: learner}) for name, learner in bar.learners.items()]
    assert score(bar) > max(map(score, alone)) - 0.02
    assert score(find_method("hyperparameters").regressor) > 0.8
