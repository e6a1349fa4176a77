"""The bundled methods: each passes the check that a submission must pass, and says where it comes from."""

from __future__ import annotations

import ast

import numpy as np
import pytest
from scipy.stats import kendalltau
from sklearn.dummy import DummyRegressor

import nndynbench as nb
from nndynbench.protocols import find_method, method_names
from nndynbench.protocols.method import baselines_folder

# The slowest to check, and the bar's variations, which only differ by their columns.
BAR_AND_MORE = {name for name in method_names() if "bar-and-" in name}
SLOW = BAR_AND_MORE | {"n-cut"}
# One learner and one signature of each kind: all other combinations run the same code.
CHECKED = [
    name
    for name in method_names()
    if not name.startswith("eigenvector-") or name in ("eigenvector-mlp", "eigenvector-unrolled-both-svm")
    if "linear-average" not in name or name == "degree-linear-average-linear"
    if not find_method(name).needs
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


def test_a_control_of_one_method_names_it_and_has_its_tasks() -> None:
    table = nb.methods()
    controls = table[table["control_of"] != ""]
    assert {"control-shuffled-degree", "bar-and-permuted-degree", "bar-and-epoch-0"} <= set(controls.index)
    assert (controls["role"] == "control").all()
    of = table.loc[controls["control_of"]]
    assert (of["role"] != "control").all()
    assert of["tasks"].tolist() == controls["tasks"].tolist()
    assert of["reads"].tolist() == controls["reads"].tolist()


def test_only_a_control_is_one_of_a_method() -> None:
    with pytest.raises(ValueError, match="control_of='bar' must have the role 'control', not 'method'"):
        nb.Method(description="", source="", reads=(), regressor=DummyRegressor(), control_of="bar")


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
