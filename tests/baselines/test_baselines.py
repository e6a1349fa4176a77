"""The bundled methods: each passes the check that a submission must pass, and says where it comes from."""

from __future__ import annotations

import ast
import warnings
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import kendalltau
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.metrics import r2_score
from sklearn.pipeline import make_pipeline

import nndynbench as nb
from nndynbench.protocols import find_method, method_names
from nndynbench.protocols.method import baselines_folder

# The slowest to check, and the bar's variations, which differ by their columns alone.
BAR_AND_MORE = {name for name in method_names() if name.startswith("bar-and-")}
SLOW = BAR_AND_MORE | {"n-cut"}
# One learner and one signature of each kind: the others of the grid are the same code.
CHECKED = [
    name
    for name in method_names()
    if not name.startswith("eigenvector-") or name in ("eigenvector-mlp", "eigenvector-unrolled-both-svm")
    if "linear-average" not in name or name == "degree-linear-average-linear"
]


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in CHECKED])
def test_a_bundled_method_passes_the_check_and_reads_what_it_declares(name: str) -> None:
    assert set(nb.check_method(name).reads) == set(find_method(name).reads)


@pytest.mark.parametrize("name", method_names())
def test_a_bundled_method_says_what_it_is_and_where_it_comes_from(name: str) -> None:
    method = find_method(name)
    assert len(method.description) > 10
    assert method.source
    assert name == name.lower()
    assert " " not in name


def test_method_files_use_public_names_alone() -> None:
    for path in baselines_folder().glob("*.py"):
        imported = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, (ast.Import, ast.ImportFrom))]
        names = [alias.name for node in imported for alias in node.names if isinstance(node, ast.Import)]
        assert [name for name in names if name.startswith("nndynbench")] == ["nndynbench"], path.name
        assert not any(str(node.module).startswith("nndynbench") for node in imported if isinstance(node, ast.ImportFrom))


def test_the_paper_grid_of_methods_is_complete() -> None:
    rolled = ["", "-linear-average", "-exponential-average"]
    unrolled = ["-unrolled-positive", "-unrolled-negative", "-unrolled-both"]
    expected = {
        f"{centrality}{variant}-{learner}"
        for centrality in ("degree", "eigenvector")
        for variant in rolled + unrolled
        for learner in ("svm", "rbf-svm", "mlp", "linear")
    }
    assert expected <= set(method_names())


def test_the_raw_validation_accuracy_is_the_one_at_the_budget(digits: nb.Subset) -> None:
    predictions = nb.evaluate("validation-accuracy-raw", digits, protocol="regression", budgets=4).predictions
    curve = digits.curves.xs(4, level="epoch")["validation_accuracy"]
    np.testing.assert_array_equal(predictions["prediction"], curve.loc[predictions["network"]])


def test_the_sum_of_losses_ranks_as_the_sum_of_losses(digits: nb.Subset) -> None:
    predictions = nb.evaluate("training-loss-sum", digits, protocol="regression", budgets=4).predictions
    losses = digits.curves["train_loss"].unstack("epoch")[[1, 2, 3, 4]].sum(axis=1).loc[predictions["network"]]
    assert kendalltau(predictions["prediction"], -losses).statistic == pytest.approx(1)


def test_the_bar_sees_more_than_either_half_of_it(digits: nb.Subset) -> None:
    scores = {
        name: nb.evaluate(name, digits, protocol="regression-folds", budgets=5).scores.set_index("metric").loc["r2", "value"]
        for name in ("bar", "learning-rate", "validation-accuracy")
    }
    assert scores["bar"] > max(scores["learning-rate"], scores["validation-accuracy"]) + 0.1


def test_the_inner_folds_of_the_bar_never_split_a_learning_rate(digits: nb.Subset) -> None:
    table, blend = find_method("bar").regressor
    columns = clone(table).fit_transform(digits.histories(digits.network_ids, 1))
    rates = digits.networks["learning_rate"].to_numpy()
    for train, test in blend.cv.split(columns):
        assert not set(rates[train]) & set(rates[test])


def test_the_lengths_of_the_bars_process_are_those_of_scikit_learns_own_gradient() -> None:
    def five_steps(error: Any, start: Any, bounds: Any) -> tuple[Any, float]:
        found = minimize(error, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 5})
        return found.x, found.fun

    zoo = nb.load("cifar10-lenet-diverse")
    asked, seen = zoo.network_ids[:40], zoo.network_ids[40:140]
    table, blend = find_method("bar").regressor
    table = clone(table).fit(zoo.histories(seen, 5))
    columns, accuracies = table.transform(zoo.histories(seen, 5)), zoo.networks.loc[seen, "final_accuracy"].to_numpy()
    process = clone(blend.estimators[-1][1]).fit(columns, accuracies)
    assert process[0].transform(columns).shape == columns.shape
    kernel = ConstantKernel() * RBF(np.full(columns.shape[1], 5.0), (0.3, 1e4)) + WhiteKernel(0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        oracle = GaussianProcessRegressor(kernel, optimizer=five_steps, normalize_y=True).fit(columns.to_numpy(), accuracies)
    np.testing.assert_allclose(process[-1].process_.kernel_.theta, oracle.kernel_.theta, rtol=1e-6)
    columns_asked = table.transform(zoo.histories(asked, 5))
    np.testing.assert_allclose(process.predict(columns_asked), oracle.predict(columns_asked.to_numpy()), rtol=1e-6)


def test_a_learner_far_out_of_range_does_not_carry_the_blend_away() -> None:
    random = np.random.default_rng(0)
    truths = random.uniform(10, 70, 60)
    learners = np.stack([truths + random.normal(0, 3, 60), truths + random.normal(0, 8, 60)], axis=1)
    blend = clone(find_method("bar").regressor[-1].final_estimator).fit(learners, truths)
    weights = blend.coef_
    assert (weights >= 0).all()
    assert weights[0] > weights[1]
    assert blend.predict(np.array([[30.0, 1e6]]))[0] <= weights @ [30, truths.max()] + blend.intercept_ + 1e-9
    assert blend.predict(np.array([[1e6, 1e6]]))[0] <= truths.max()


def test_the_bars_process_on_the_hyperparameters_sees_them_alone(digits: nb.Subset) -> None:
    table, blend = find_method("bar").regressor
    columns = clone(table).fit_transform(digits.histories(digits.network_ids, 1))
    seen = clone(blend.estimators[-2][1])[0].fit(columns).get_feature_names_out()
    assert any("curves__" in name for name in columns)
    assert not any("curves__" in name for name in seen)
    assert len(seen) == sum("hyperparameters__" in name for name in columns)


def test_the_bar_is_about_as_good_as_the_best_of_its_learners() -> None:
    """On the subset that varies everything: what the bar misses, every method would seem to add."""
    zoo = nb.load("cifar10-lenet-diverse")
    [(training, tested)] = zoo.split("holdout")
    accuracies = zoo.networks["final_accuracy"]

    def score(learner: Any) -> float:
        fitted = clone(learner).fit(zoo.histories(training, 1), accuracies[training])
        return r2_score(accuracies[tested], fitted.predict(zoo.histories(tested, 1)))

    bar = find_method("bar").regressor
    table, blend = bar
    assert score(bar) > max(score(make_pipeline(table, learner)) for _, learner in blend.estimators) - 0.02
    assert score(find_method("hyperparameters").regressor) > 0.8
