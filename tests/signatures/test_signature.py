"""Temporal signatures: the paper's definitions (section 3.2, S3), and a function of one's own."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import nndynbench as nb
from nndynbench.names import UnknownNameError
from nndynbench.signatures import snapshot_signatures, weighted

SIGNATURES = arrays(np.float64, st.tuples(st.integers(1, 8), st.just(5)), elements=st.floats(-1e6, 1e6))


@given(SIGNATURES)
def test_the_linear_weighting_is_the_average_weighted_by_epoch(signatures: np.ndarray) -> None:
    for epoch in range(1, len(signatures) + 1):
        expected = np.average(signatures[:epoch], axis=0, weights=np.arange(1, epoch + 1))
        np.testing.assert_allclose(weighted(signatures, "linear")[epoch - 1], expected, rtol=1e-9, atol=1e-6)


@given(SIGNATURES, st.floats(0.05, 1.0))
def test_the_exponential_weighting_is_recursive(signatures: np.ndarray, alpha: float) -> None:
    expected = signatures[0]
    for epoch, own in enumerate(signatures):
        expected = own if epoch == 0 else alpha * own + (1 - alpha) * expected
        np.testing.assert_allclose(weighted(signatures, "exponential", alpha=alpha)[epoch], expected, rtol=1e-9, atol=1e-6)


def test_whole_numbers_are_averaged_without_rounding() -> None:
    assert weighted(np.array([[1], [4]]), "exponential").ravel().tolist() == [1.0, 2.5]


@pytest.mark.parametrize("weighting", [None, "linear", "exponential"])
def test_all_epochs_are_concatenated_or_the_last_one_kept(digits: nb.Subset, weighting: str | None) -> None:
    histories = digits.histories([0, 100], 5)
    whole = nb.Signature("degree", weighting=weighting).fit_transform(histories)
    last = nb.Signature("degree", weighting=weighting, concatenate=False).fit_transform(histories)
    assert whole.shape == (2, 25)
    assert (whole[:, -5:] == last).all()
    assert (whole[:, :5] == [h.signature("degree")[0] for h in histories]).all()


def test_chosen_epochs_are_windows_of_the_history(digits: nb.Subset) -> None:
    histories = digits.histories([0, 100], 10)
    window = nb.Signature("eigenvector", epochs=[2, 5, 99]).fit_transform(histories)
    expected = [h.signature("eigenvector")[[1, 4]].ravel() for h in histories]
    assert (window == expected).all()
    moments_of_the_start = [nb.centralities.moments(history.graph(0).degree()) for history in histories]
    start = nb.Signature("degree", epochs=[0]).fit_transform(histories)
    np.testing.assert_allclose(start, moments_of_the_start, rtol=1e-2, atol=1e-2)
    with pytest.raises(ValueError, match=r"\[12\] lies within the budget of 10: it needs 12 or more, as with budgets=12"):
        nb.Signature("degree", epochs=[12]).fit_transform(histories)


@pytest.mark.parametrize("options", [{"concatenate": False}, {"weighting": "linear"}, {"weighting": "exponential"}])
def test_chosen_epochs_are_in_the_order_of_time(digits: nb.Subset, options: dict[str, Any]) -> None:
    histories = digits.histories([0, 100], 5)
    given, in_order = (
        nb.Signature("degree", epochs=epochs, **options).fit_transform(histories) for epochs in ([5, 1, 3, 1], [1, 3, 5])
    )
    np.testing.assert_array_equal(given, in_order)


def test_a_function_of_the_graph_that_returns_node_values_is_summarised(digits: nb.Subset) -> None:
    histories = digits.histories([0, 100], 3)
    own = nb.Signature(lambda graph: graph.degree()).fit_transform(histories)
    np.testing.assert_allclose(own, nb.Signature("degree").fit_transform(histories), rtol=1e-2, atol=1e-2)


def test_a_function_of_the_graph_that_returns_a_vector_is_taken_as_it_is(digits: nb.Subset) -> None:
    histories = digits.histories([0, 100], 3)
    norms = nb.Signature(lambda graph: [np.linalg.norm(block) for block in graph.blocks]).fit_transform(histories)
    assert norms.shape == (2, 3 * 5)
    assert norms[1, -1] == np.linalg.norm(histories[1].graph(3).blocks[-1])


def spectrum(graph: nb.graphs.LayeredGraph) -> Any:
    time.sleep(0.002)  # slow enough to be kept
    return np.linalg.svd(graph.to_scipy().toarray(), compute_uv=False)


def test_as_many_values_as_nodes_are_summarised_or_not_as_is_said(digits: nb.Subset) -> None:
    """The singular values of an adjacency matrix are as many as its nodes, and belong to none of them."""
    history = digits.history(0, 2)
    nodes = history.graph(1).number_of_nodes
    # Each asks for the same snapshots: what is kept for one must not be handed to another.
    shapes = [history.signature(spectrum, moments=moments).shape for moments in (None, False, True, None, False)]
    assert shapes == [(2, 5), (2, nodes), (2, 5), (2, 5), (2, nodes)]
    again = nb.load("digits-lenet").history(0, 2)  # reads what was kept on disk
    assert nb.Signature(spectrum, moments=False).transform([again]).shape == (1, 2 * nodes)
    assert nb.Signature(spectrum).transform([again]).shape == (1, 2 * 5)


def test_a_vector_of_any_length_is_summarised_where_that_is_said(digits: nb.Subset) -> None:
    def edges(graph: nb.graphs.LayeredGraph) -> Any:
        return np.concatenate([block[block > np.median(block)] for block in graph.blocks])

    histories = digits.histories([0, 100], 1)
    expected = [nb.centralities.moments(edges(history.graph(1))) for history in histories]
    np.testing.assert_array_equal(nb.Signature(edges, moments=True).transform(histories), expected)


def test_a_method_fitted_elsewhere_gets_the_values_that_it_asks_for(digits: nb.Subset) -> None:
    method = make_pipeline(nb.Signature(spectrum, moments=False), SimpleImputer(), Width())
    facts = nb.evaluate(method, digits, protocol="regression", budgets=1)
    assert set(facts.predictions["prediction"]) == {float(digits.history(0, 1).graph(1).number_of_nodes)}


class Width(RegressorMixin, BaseEstimator):
    """Predicts how many columns it was fitted on."""

    def fit(self, X: Any, y: Any) -> Width:
        self.width_ = X.shape[1]
        return self

    def predict(self, X: Any) -> Any:
        return np.full(len(X), self.width_)


def test_a_function_is_called_once_per_snapshot(digits: nb.Subset) -> None:
    generator = np.random.default_rng  # under this name, no fingerprint sees that it draws

    def drawn(graph: nb.graphs.LayeredGraph) -> list[float]:
        return [generator().normal()]  # another number each time that it is called

    histories = digits.histories([0, 1], 3)
    first = nb.Signature(drawn).fit_transform(histories)
    assert len(set(first.ravel())) == 2 * 3
    for budget in (1, 2, 3):
        again = nb.Signature(drawn).fit_transform(digits.histories([0, 1], budget))
        np.testing.assert_array_equal(again, first[:, :budget])


FACTOR = 1.0
TABLE = dict.fromkeys(range(2000), 0.0)
OBJECT = SimpleNamespace(factor=1.0)
MODULE = ModuleType("settings")


def by_number(graph: nb.graphs.LayeredGraph) -> list[float]:
    return [FACTOR * graph.number_of_nodes, 0.0]


def by_table(graph: nb.graphs.LayeredGraph) -> list[float]:
    return [float(TABLE[0]), 0.0]


def by_object(graph: nb.graphs.LayeredGraph) -> list[float]:
    return [OBJECT.factor, 0.0]


def by_module(graph: nb.graphs.LayeredGraph) -> list[float]:
    return [MODULE.factor, 0.0]


class Instance:
    factor = 1.0

    def __call__(self, graph: nb.graphs.LayeredGraph) -> list[float]:
        return [self.factor, 0.0]


CHANGES: dict[str, tuple[Callable[..., Any], Callable[[pytest.MonkeyPatch, float], None]]] = {
    "a number": (by_number, lambda patch, value: patch.setattr(sys.modules[__name__], "FACTOR", value)),
    "a number of another precision": (
        by_number,
        lambda patch, value: patch.setattr(sys.modules[__name__], "FACTOR", np.float32(value) if value > 1 else value),
    ),
    "a long table": (by_table, lambda patch, value: patch.setitem(TABLE, 0, value)),
    "an object": (by_object, lambda patch, value: patch.setattr(OBJECT, "factor", value)),
    "a module": (by_module, lambda patch, value: patch.setattr(MODULE, "factor", value, raising=False)),
    "its own state": ((instance := Instance()), lambda patch, value: patch.setattr(instance, "factor", value)),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_of_what_a_function_looks_at_is_seen_at_once(
    what: str, digits: nb.Subset, monkeypatch: pytest.MonkeyPatch
) -> None:
    function, change = CHANGES[what]
    histories, found = digits.histories([0], 1), []
    for value in (1.0, 2.0, 1.0, 3.0):
        change(monkeypatch, value)
        columns = nb.Columns([lambda history: {"value": function(history.graph(1))[0]}])
        found.append((nb.Signature(function).fit_transform(histories)[0, 0], columns.fit_transform(histories).iloc[0, 0]))
    base = found[0][0]
    assert [(first / base, second / base) for first, second in found] == [(1.0, 1.0), (2.0, 2.0), (1.0, 1.0), (3.0, 3.0)]


def test_a_function_is_called_again_when_a_value_that_it_reads_has_changed(digits: nb.Subset) -> None:
    power = 1

    def powers(graph: nb.graphs.LayeredGraph) -> np.ndarray:
        return graph.degree() ** power

    history = digits.history(0, 2)
    first = history.signature(powers)
    power = 2
    assert not np.allclose(history.signature(powers), first)


def test_a_function_that_returns_no_vector_is_refused(digits: nb.Subset) -> None:
    with pytest.raises(ValueError, match=r"must return a vector of real numbers, .*, not an array of shape \(2, 2\)"):
        nb.Signature(lambda graph: np.ones((2, 2))).fit_transform(digits.histories([0], 1))


@pytest.mark.parametrize(
    ("returned", "why"),
    [
        (None, "not None: end it with return"),
        ({"conv1": 1.0}, r"not a dict: return list\(value.values\(\)\)"),
        ("high", "not the text 'high': return numbers"),
        (np.array([1j, 2.0]), "not complex numbers: return .*np.abs"),
        ([1j, 2.0], "not complex numbers"),
        ([[1.0], [1.0, 2.0]], r"not a list of parts of unequal lengths: return np.concatenate\(.* such as \[np.mean"),
        ({1.0, 2.0}, r"not a set: return sorted\(value\)"),
        ((1.0, None), "not a tuple with None: return numbers alone, np.nan where there is none"),
        (np.array([1.0, None]), "not an array of objects with None"),
        (["a", "b"], "not a list with 'a': return numbers"),
        (object(), "not a value of type object: return a list of numbers"),
        ([], "not no values: return at least one number"),
    ],
)
def test_what_is_no_vector_is_told_which_function_returned_it_and_what_to_write(
    digits: nb.Subset, returned: Any, why: str
) -> None:
    def mine(graph: nb.graphs.LayeredGraph) -> Any:
        return returned

    for function in (mine, partial(mine)):
        with pytest.raises(
            ValueError, match=rf"^mine \(test_signature.py:\d+\) must return a vector of real numbers, .*{why}"
        ):
            nb.Signature(function).fit_transform(digits.histories([0], 1))


def test_a_function_that_returns_more_for_one_graph_than_for_another_is_named(digits: nb.Subset) -> None:
    def strong(graph: nb.graphs.LayeredGraph) -> Any:
        return graph.blocks[0][graph.blocks[0] > 0.5]

    with pytest.raises(ValueError, match=r"different lengths .*: strong \(test_signature.py:\d+\) must .*moments=True"):
        nb.Signature(strong).fit_transform(digits.histories(range(20), 3))


def test_a_function_may_return_a_number(digits: nb.Subset) -> None:
    histories = digits.histories([0, 1], 2)
    largest = nb.Signature(lambda graph: graph.degree().max()).fit_transform(histories)
    assert largest.shape == (2, 2)
    assert largest.tolist() == [[history.graph(epoch).degree().max() for epoch in (1, 2)] for history in histories]


def test_it_is_a_scikit_learn_transformer() -> None:
    signature = nb.Signature("degree", weighting="linear", alpha=0.3)
    copy = clone(signature)
    assert copy.get_params() == signature.get_params()
    assert "weighting='linear'" in repr(signature)
    assert make_pipeline(copy, StandardScaler()).get_params()["signature__alpha"] == 0.3


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"centrality": "degre"}, "unknown centrality 'degre'; did you mean 'degree'"),
        ({"representation": "unroled"}, "unknown representation 'unroled'; did you mean"),
        ({"representation": "unrolled", "sign": "both"}, "unknown sign .* 'both' .*positive, negative, pos-neg"),
        ({"weighting": "square"}, "unknown weighting 'square'"),
    ],
)
def test_unknown_parameters_are_refused_when_fitted(digits: nb.Subset, parameters: dict[str, str], message: str) -> None:
    with pytest.raises(UnknownNameError, match=message):
        nb.Signature(**parameters).fit(digits.histories([0], 1))  # type: ignore[arg-type]


def test_weights_that_are_not_finite_give_nan_signatures_not_a_crash() -> None:
    weights = nb.graphs.random_weights("digits-lenet", seed=0)
    weights["fc2.weight"][0, 0] = np.nan
    for key, signature in snapshot_signatures(weights, "digits-lenet").items():
        assert np.isnan(signature).all(), key


def test_the_shuffled_control_has_the_same_weights_and_another_structure(digits: nb.Subset) -> None:
    history = digits.history(100, 10)
    graph, control = history.graph(10), history.graph(10, "rolled-shuffled")
    weights = history.weights(10)["fc2.weight"]
    assert control.layer_sizes == graph.layer_sizes
    fc2 = control.blocks[graph.layers.index("fc2") - 1]
    np.testing.assert_array_equal(np.sort(np.abs(weights), axis=None), np.sort(fc2, axis=None))  # type: ignore[arg-type]
    assert not np.allclose(control.degree(), graph.degree(), rtol=0.01)


def test_moments_are_said_with_true_or_false_and_of_functions(digits: nb.Subset) -> None:
    [history] = digits.histories([0], 1)
    with pytest.raises(ValueError, match="moments must be True, False or None, not 'no'"):
        nb.Signature(spectrum, moments="no").fit([history])  # type: ignore[arg-type]
    for ask in (nb.Signature("degree", moments=False).fit, lambda _: history.signature("degree", moments=False)):
        with pytest.raises(ValueError, match=r"'degree' is five moments: .* such as lambda graph: graph.degree\(\)"):
            ask([history])
    assert nb.Signature("degree", moments=True).transform([history]).shape == (1, 5)
