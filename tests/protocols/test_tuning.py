"""Free parameters: chosen inside each fold on digits-lenet, recorded for every other subset."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer
from sklearn.svm import SVC

import nndynbench as nb
from nndynbench.protocols import choose, find_method, find_protocol, method_names, tuning
from nndynbench.protocols.method import read_methods
from nndynbench.protocols.tuning import NothingChosenWarning, best_of, record_choices, values_elsewhere


@pytest.mark.parametrize("name", ["degree-rbf-svm", "curve-svr", "eigenvector-unrolled-negative-mlp"])
def test_the_recorded_choice_is_what_tuning_chooses_again(name: str) -> None:
    method = find_method(name)
    assert choose(method) == method.chosen


def test_every_choice_is_recorded_and_is_one_of_the_choices() -> None:
    for name in method_names():
        method = find_method(name)
        assert bool(method.choices) == bool(method.chosen), name
        for chosen in method.chosen.values():
            assert chosen.keys() == method.choices.keys()
            assert all(value in method.choices[key] for key, value in chosen.items())


def test_another_subset_gets_the_recorded_choice_unchanged() -> None:
    half = nb.load("digits-lenet-half")
    method = replace(find_method("degree-rbf-svm"), chosen={"classification": {"svc__C": 100}})
    ours = nb.evaluate(method, half, budgets=2, order_seed=1).predictions["score"]
    fixed = method.classifier.set_params(svc=SVC(C=100))
    np.testing.assert_array_equal(ours, nb.evaluate(fixed, half, budgets=2, order_seed=1).predictions["score"])


def test_choices_that_were_not_made_are_warned_of_where_they_are_not_used(digits: nb.Subset) -> None:
    choices = {"strategy": ["mean", "median"]}
    method = nb.Method(description="", source="", reads=set(), regressor=DummyRegressor(), choices=choices)
    with pytest.warns(NothingChosenWarning, match=r"\(strategy\) .* on digits-lenet-half .* written, with strategy='mean'"):
        nb.evaluate(method, "digits-lenet-half", protocol="regression", budgets=1)
    tuned = replace(method, chosen={"regression": {"strategy": "median"}})
    with warnings.catch_warnings():
        warnings.simplefilter("error", NothingChosenWarning)
        nb.evaluate(method, digits, protocol="regression", budgets=1)
        nb.evaluate(tuned, "digits-lenet-half", protocol="regression", budgets=1)
    assert values_elsewhere(tuned, "regression") == "strategy='median'"


def test_on_digits_lenet_the_recorded_choice_does_not_matter(digits: nb.Subset) -> None:
    method = find_method("degree-rbf-svm")
    changed = replace(method, chosen={"classification": {"svc__C": 1}})
    one, other = (nb.evaluate(m, digits, budgets=2, order_seed=1).predictions["score"] for m in (method, changed))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("seed", range(4))
def test_a_classifiers_choice_is_the_one_with_the_best_accuracy_and_of_equal_ones_the_first(seed: int) -> None:
    """Oracle: scikit-learn's own search, over folds of whole groups."""
    random = np.random.default_rng(seed)
    columns, groups = random.normal(size=(60, 2)), np.arange(60) // 4
    target = (columns[:, 0] + random.normal(0, 1, 60) > 0.5).astype(int)
    choices = {"C": [0.01, 0.1, 1, 100], "random_state": [3, 1]}  # the second changes nothing
    search = GridSearchCV(SVC(), choices, scoring="accuracy", cv=StratifiedGroupKFold(3), refit=False)
    expected = search.fit(columns, target, groups=groups).best_params_
    found = best_of(choices, SVC(), list(columns), target, groups=groups, task="classification", more={})
    assert found == expected
    assert found["random_state"] == 3


FILE = """
import nndynbench as nb
from sklearn.dummy import DummyRegressor
METHODS = {name: nb.Method(description="", source="", reads=set(), regressor=DummyRegressor(strategy="constant"),
                           choices={"constant": VALUES}) for name in ("my method", "a.b")}
"""


def test_a_choice_is_read_back_whatever_the_methods_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "TUNING_BUDGET", 1)
    path = tmp_path / "mine.py"
    path.write_text(FILE.replace("VALUES", "[0.0, 50.0]"))
    (tmp_path / "_helper.py").write_text("VALUE = 1\n")
    record_choices(tmp_path)
    assert {name: method.chosen for name, method in read_methods(path).items()} == {
        name: {"regression": {"constant": 50.0}} for name in ("my method", "a.b")
    }


def test_a_choice_that_could_not_be_read_back_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(FILE.replace("VALUES", "[None]").replace('strategy="constant"', 'strategy="mean"'))
    with pytest.raises(ValueError, match="my method: TOML cannot hold constant = None"):
        record_choices(tmp_path)
    assert not (tmp_path / "chosen.toml").exists()


def test_a_method_without_choices_is_used_as_it_is() -> None:
    method = find_method("degree-svm")
    assert method.estimator(find_protocol("classification")) is method.classifier


def test_a_fit_on_fewer_networks_than_quantiles_says_nothing_of_it(digits: nb.Subset) -> None:
    estimator = make_pipeline(nb.Columns([nb.columns.curves]), QuantileTransformer(n_quantiles=50), Ridge())
    asked: dict[str, Any] = {"protocol": "regression-folds", "budgets": 1, "reference_networks": 20, "jobs": 2}
    for sealed in (True, False):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            nb.evaluate(estimator, digits, sealed=sealed, **asked)
