"""What users give public functions: converted once, or refused in one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import networkx
import numpy as np
import pytest
from sklearn.dummy import DummyClassifier, DummyRegressor

import nndynbench as nb
from nndynbench.errors import NndynbenchError

EVALUATE = [
    ({"budgets": []}, "no budget given"),
    ({"budgets": True}, "budgets must be a whole number of epochs, or several, not True"),
    ({"budgets": 1.0}, "budgets must be a whole number of epochs, or several, not 1.0"),
    ({"budgets": "one"}, "budgets must be written as 5, 1-10, or 1,3,5, not 'one'"),
    ({"budgets": "3-1"}, "'3-1' is an empty range: write 1-3"),
    ({"jobs": 0}, "jobs must be a whole number of at least 1, or -1 for one per core, not 0"),
    ({"jobs": "2"}, "jobs must be a whole number of at least 1, or -1 for one per core, not '2'"),
    ({"jobs": True}, "jobs must be a whole number of at least 1, or -1 for one per core, not True"),
    ({"order_seed": -1}, "order_seed must be a whole number of at least 0"),
    ({"order_seed": "seven"}, "order_seed must be a whole number of at least 0"),
    ({"sealed": "yes"}, "sealed must be True, False or None, not 'yes'"),
    ({"subsets": []}, "no subset given: name one or more"),
    ({"subsets": None}, "a subset must be a name or what nndynbench.load returns, not None"),
    ({"subsets": ["digits-lenet-half", 3]}, "a subset must be a name or what nndynbench.load returns, not 3"),
]


@pytest.mark.parametrize(("given", "why"), EVALUATE, ids=str)
def test_evaluate_says_in_one_sentence_what_it_cannot_take(given: dict[str, Any], why: str) -> None:
    usual: dict[str, Any] = {"subsets": "digits-lenet-half", "protocol": "regression", "budgets": 1}
    with pytest.raises(ValueError, match=why) as error:
        nb.evaluate(DummyRegressor(), **usual | given)
    assert "\n" not in str(error.value)


def test_budgets_may_be_a_text_an_array_or_any_iterable(digits: nb.Subset) -> None:
    def budgets_of(given: Any) -> list[int]:
        scores = nb.evaluate(DummyRegressor(), digits, protocol="regression", budgets=given).scores
        return list(dict.fromkeys(scores["budget"]))

    for given in ("1-3", "1,2,3", np.array([1, 2, 3]), range(1, 4), iter([1, 2, 3]), (1, 2, 3)):
        assert budgets_of(given) == [1, 2, 3]
    assert budgets_of(np.int32(2)) == [2]


@pytest.mark.parametrize(
    ("method", "protocol"),
    [
        (DummyRegressor(), "regression-folds"),
        (DummyClassifier(), "classification"),
        ("constant", "classification"),
        ("degree-linear", "regression-folds"),
    ],
)
def test_the_default_protocol_is_of_what_the_method_does(digits: nb.Subset, method: Any, protocol: str) -> None:
    assert nb.evaluate(method, digits, budgets=1).facts.protocol == protocol


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"methods": [DummyRegressor()]}, "methods must be names or method files, not DummyRegressor"),
        ({"methods": 3}, "methods must be names or method files, not 3"),
        ({"budgets": []}, "no budget given"),
        ({"jobs": 0}, "jobs must be a whole number of at least 1"),
        ({"subsets": []}, "no subset given: name one or more"),
    ],
)
def test_compare_says_in_one_sentence_what_it_cannot_take(given: dict[str, Any], why: str, tmp_path: Path) -> None:
    usual: dict[str, Any] = {"subsets": "digits-lenet-half", "methods": ["constant"], "budgets": 1, "results": tmp_path}
    with pytest.raises(ValueError, match=why):
        nb.compare(**usual | given)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_run_or_method_is_refused_before_anything_is_fitted(digits: nb.Subset) -> None:
    with pytest.raises(NndynbenchError, match="a run must be a folder, a recorder, a history or snapshots by epoch, not 3"):
        nb.predict(3, digits)  # type: ignore[arg-type]
    with pytest.raises(NndynbenchError, match="unknown method 3"):
        nb.predict(digits.history(0, 1), digits, method=3, budget=1)  # type: ignore[arg-type]


@pytest.mark.parametrize("network", [-1, 240, True, 1.0, "1", None])
def test_a_network_is_a_whole_number(digits: nb.Subset, network: Any) -> None:
    with pytest.raises(KeyError, match=f"has no network {network!r}"):
        digits.history(network, 1)
    assert digits.history(np.int64(3), 1).epochs == 1
    with pytest.raises(ValueError, match="network_ids must be a sequence of ids, not 3"):
        digits.histories(3, 1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"weighting": "exponential", "alpha": 2}, "alpha must be a number above 0 and at most 1, not 2"),
        ({"alpha": "x"}, "alpha must be a number above 0 and at most 1, not 'x'"),
        ({"alpha": 0}, "alpha must be a number above 0"),
        ({"concatenate": "no"}, "concatenate must be True or False, not 'no'"),
        ({"epochs": 0}, r"epochs must be whole numbers, such as \[1, 5, 10\], or None, not 0"),
        ({"epochs": "1"}, "epochs must be whole numbers"),
        ({"epochs": [True]}, "epochs must be whole numbers"),
        ({"centrality": lambda graph: []}, "must return a vector"),
    ],
)
def test_a_signature_says_in_one_sentence_what_it_cannot_take(digits: nb.Subset, options: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        nb.Signature(**options).transform(digits.histories([0, 1], 3))


@pytest.mark.parametrize("transformer", [nb.Signature("degree"), nb.Columns([nb.columns.curves])])
def test_a_transformer_takes_histories_alone(digits: nb.Subset, transformer: Any) -> None:
    for X, why in [
        ([1, 2], "not 1"),
        (None, "not None"),
        (digits.history(0, 1), r"not History\("),
        ([], "X holds no histories"),
    ]:
        with pytest.raises(ValueError, match=why):
            transformer.fit_transform(X)


@pytest.mark.parametrize(
    ("returned", "why"),
    [
        (None, r"row \(test_arguments.py:\d+\) must return a mapping from names to numbers or texts, not None"),
        (3, "to numbers or texts, not 3"),
        ({"a": [1]}, r"not \[1\] for a"),
        ({"a": 1 + 2j}, r"not \(1\+2j\) for a"),
        ({"a": np.complex64(1)}, "for a"),
    ],
)
def test_a_column_function_returns_numbers_or_texts_by_name(digits: nb.Subset, returned: Any, why: str) -> None:
    def row(history: nb.History) -> Any:
        return returned

    with pytest.raises(ValueError, match=why):
        nb.Columns([row]).fit_transform(digits.histories([0], 1))
    with pytest.raises(ValueError, match="functions must be functions of a history, not 3"):
        nb.Columns(3).fit_transform(digits.histories([0], 1))  # type: ignore[arg-type]


def test_one_column_function_needs_no_list_and_none_is_a_missing_number(digits: nb.Subset) -> None:
    table = nb.Columns(lambda history: {"a": 1, "b": None}).fit_transform(digits.histories([0, 1], 1))
    assert table["a"].tolist() == [1.0, 1.0]
    assert table["b"].isna().all()


@pytest.mark.parametrize(
    "options", [{"seed": "a"}, {"seed": 1.0}, {"seed": True}, {"seed": -1}, {"seed": 0, "scale": np.nan}]
)
def test_initial_weights_are_drawn_from_a_seed_and_a_scale(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be a (whole|finite) number"):
        nb.graphs.random_weights("digits-lenet", **options)
    with pytest.raises(ValueError, match=r"must be a (whole|finite) number"):
        nb.graphs.initial_weights("digits-lenet", **options)


def test_an_edge_whose_weight_is_no_number_is_named() -> None:
    graph = networkx.Graph([("a", "b", {"weight": "heavy"})])
    for centrality in (nb.centralities.degree, nb.centralities.eigenvector_centrality):
        with pytest.raises(TypeError, match="edge from 'a' to 'b' has the weight 'heavy', which is not a real number"):
            centrality(graph)
