"""The harness gives the score that scikit-learn gives by hand, and one clear error for each way that a method can fail."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from scipy.stats import kendalltau, spearmanr
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.metrics import accuracy_score, balanced_accuracy_score, mean_absolute_error, r2_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import nndynbench as nb
from nndynbench.cli.tables import score_tables
from nndynbench.names import UnknownNameError
from nndynbench.numbers import written
from nndynbench.protocols import MethodError, Result, find_method, find_protocol, read_result
from nndynbench.protocols.results import at_budgets, joined
from nndynbench.protocols.scoring import NO_INTERVAL, score
from nndynbench.submissions import RefusedError, accepted_predictions, submissions_of
from nndynbench.subsets import BudgetError, UnknownNetworkError


def degree_signatures_by_hand(digits: nb.Subset, epochs: int) -> dict[int, np.ndarray]:
    """Signatures from the signatures table alone: an early-stopped network repeats its last epoch."""
    table = digits.signatures.xs(("rolled", "", "degree"), level=("representation", "sign", "centrality"))
    last = digits.networks["epochs_trained"]
    vectors = {}
    for network in digits.network_ids:
        own = table.loc[network].to_numpy()
        vectors[network] = np.concatenate([own[min(epoch, last[network])] for epoch in range(1, epochs + 1)])
    return vectors


def signed_logarithm(values: np.ndarray) -> np.ndarray:
    return np.sign(values) * np.log1p(np.abs(values))


@pytest.mark.parametrize("epochs", [1, 5, 12])
def test_classification_equals_scikit_learn_by_hand(digits: nb.Subset, epochs: int) -> None:
    signatures, label = degree_signatures_by_hand(digits, epochs), digits.networks["label"]
    truth, predicted, aucs = [], [], []
    for train, test in digits.split("sample_folds"):
        train_x, test_x = (signed_logarithm(np.stack([signatures[n] for n in side])) for side in (train, test))
        scaler = StandardScaler().fit(train_x)
        machine = SVC(kernel="linear").fit(scaler.transform(train_x), label.loc[train])
        predicted += list(machine.predict(scaler.transform(test_x)))
        truth += list(label.loc[test])
        aucs.append(roc_auc_score(label.loc[test], machine.decision_function(scaler.transform(test_x))))
    scores = nb.evaluate("degree-svm", digits, budgets=epochs, order_seed=None).scores.set_index("metric")["value"]
    assert scores["accuracy"] == accuracy_score(truth, predicted)
    assert scores["balanced_accuracy"] == balanced_accuracy_score(truth, predicted)
    assert scores["roc_auc"] == pytest.approx(np.mean(aucs), abs=1e-15)


def test_regression_equals_scikit_learn_by_hand(digits: nb.Subset) -> None:
    signatures, target = degree_signatures_by_hand(digits, 5), digits.networks["final_accuracy"]
    [(train, test)] = digits.split("holdout")
    train_x, test_x = (signed_logarithm(np.stack([signatures[n] for n in side])) for side in (train, test))
    scaler = StandardScaler().fit(train_x)
    predicted = LinearRegression().fit(scaler.transform(train_x), target.loc[train]).predict(scaler.transform(test_x))
    scores = nb.evaluate("degree-linear", digits, protocol="regression", budgets=5).scores.set_index("metric")["value"]
    assert scores["mae"] == pytest.approx(mean_absolute_error(target.loc[test], predicted), abs=1e-12)
    assert scores["r2"] == pytest.approx(r2_score(target.loc[test], predicted), abs=1e-12)
    assert scores["kendall_tau"] == pytest.approx(kendalltau(target.loc[test], predicted).statistic, abs=1e-12)
    assert scores["spearman_rho"] == pytest.approx(spearmanr(target.loc[test], predicted).statistic, abs=1e-12)


def test_more_epochs_tell_more_and_every_value_lies_in_its_interval(digits: nb.Subset) -> None:
    scores = nb.evaluate("degree-svm", digits, budgets=[1, 10]).scores
    accuracy = scores[scores["metric"] == "accuracy"].set_index("budget")
    assert accuracy.loc[10, "value"] > accuracy.loc[1, "value"] + 0.2
    assert ((scores["low"] <= scores["value"]) & (scores["value"] <= scores["high"])).all()


def test_a_plain_scikit_learn_pipeline_is_a_method(digits: nb.Subset) -> None:
    own = make_pipeline(nb.Signature(lambda graph: graph.degree()), SimpleImputer(), StandardScaler(), SVC())
    result = nb.evaluate(own, digits, budgets=3, name="mine")
    assert result.facts.method == "mine"
    assert result.facts.reads == ("weights",)
    assert len(result.predictions) == 234


def test_a_saved_result_reads_back_the_same(digits: nb.Subset, tmp_path: Path) -> None:
    result = nb.evaluate("degree-svm", digits, budgets=[2, 4])
    again = read_result(result.save(tmp_path / "result.json"))
    assert again.facts == result.facts
    np.testing.assert_array_equal(again.scores["value"], result.scores["value"])
    np.testing.assert_array_equal(again.predictions["score"], result.predictions["score"])
    for other in ("{}", '{"format": 1, "scores": []}', '{"format": 1, '):
        (tmp_path / "other.json").write_text(other)
        with pytest.raises(ValueError, match=r"other\.json is not a result file"):
            read_result(tmp_path / "other.json")


STORED = Path(__file__).parent / "result-of-0.1.0.json"


def test_a_result_file_keeps_its_format(tmp_path: Path) -> None:
    stored = read_result(STORED)
    assert stored.facts.order_seed == 1
    assert stored.facts.subsets[0].name == "digits-lenet"
    assert stored.save(tmp_path / "again.json").read_text(encoding="utf-8") == STORED.read_text(encoding="utf-8")


def test_a_result_file_of_before_orders_and_seals_is_read(tmp_path: Path) -> None:
    content = json.loads(STORED.read_text(encoding="utf-8"))
    for later in ("fingerprint", "order_seed", "sealed"):
        del content[later]
    (tmp_path / "older.json").write_text(json.dumps(content), encoding="utf-8")
    facts = read_result(tmp_path / "older.json").facts
    assert (facts.fingerprint, facts.order_seed, facts.sealed, facts.unsealed) == ("", None, None, "")


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"method": None, "libraries": None}, "it lacks libraries, method"),
        ({"seconds": "long"}, "seconds: .* number"),
        ({"subsets": [{"name": "digits-lenet", "version": "1.0.0", "checksum": 5}]}, r"subsets\.0\.checksum: .* string"),
    ],
)
def test_a_result_file_with_other_facts_is_refused(tmp_path: Path, changed: dict[str, Any], complaint: str) -> None:
    content = {**json.loads(STORED.read_text(encoding="utf-8")), **changed}
    (tmp_path / "r.json").write_text(json.dumps({k: v for k, v in content.items() if v is not None}), encoding="utf-8")
    with pytest.raises(ValueError, match=rf"r\.json is not a result file: {complaint}"):
        read_result(tmp_path / "r.json")


def without(column: str) -> Callable[[dict[str, Any]], None]:
    return lambda row: row.pop(column)


@pytest.mark.parametrize(
    ("table", "change", "complaint"),
    [
        ("predictions", without("network"), "its predictions lack network"),
        ("predictions", without("prediction"), "its predictions lack prediction"),
        ("scores", without("budget"), "its scores lack budget"),
        ("predictions", lambda row: row.update(network=0.5), "its predictions have 0.5 for network, .* whole number"),
        ("predictions", lambda row: row.update(fold="x"), "its predictions have 'x' for fold, .* whole number"),
        ("predictions", lambda row: row.update(budget=True), "its predictions have True for budget, .* whole number"),
        ("predictions", lambda row: row.update(prediction="x"), "its predictions are not numbers: .*'x'"),
        ("predictions", lambda row: row.update(prediction=10**400), "its predictions are not numbers"),
        ("predictions", lambda row: row.update(truth=None), "its predictions lack a finite truth"),
        ("predictions", lambda row: row.update(subset="x"), "its predictions are of x, but its subsets are digits-lenet"),
    ],
)
def test_a_result_file_says_which_column_of_its_tables_is_wrong(
    tmp_path: Path, table: str, change: Callable[[dict[str, Any]], None], complaint: str
) -> None:
    content = json.loads(STORED.read_text(encoding="utf-8"))
    for row in content[table]:
        change(row)
    (tmp_path / "r.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ValueError, match=rf"r\.json is not a result file: {complaint}"):
        read_result(tmp_path / "r.json")


@pytest.mark.parametrize(
    ("predictions", "complaint"), [([], "have no row"), (5, "are not a list of rows"), ([1], "are not a list of rows")]
)
def test_a_result_file_without_predictions_is_refused(tmp_path: Path, predictions: object, complaint: str) -> None:
    content = {**json.loads(STORED.read_text(encoding="utf-8")), "predictions": predictions}
    (tmp_path / "r.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ValueError, match=rf"r\.json is not a result file: its predictions {complaint}"):
        read_result(tmp_path / "r.json")


def test_a_result_file_without_scores_is_read_and_joined(tmp_path: Path) -> None:
    stored = read_result(STORED)
    empty = at_budgets(stored, []).scores
    again = read_result(Result(empty, stored.predictions, stored.facts).save(tmp_path / "r.json"))
    assert (len(again.scores), len(at_budgets(again, [1]).predictions)) == (0, len(stored.predictions))
    assert joined(again, stored).scores.columns.tolist()[:4] == ["subset", "budget", "metric", "value"]


def test_a_network_that_a_subset_does_not_have_is_named_beside_the_bar_and_when_submitted(
    digits: nb.Subset, tmp_path: Path
) -> None:
    result = nb.evaluate("constant", digits, protocol="regression-folds", budgets=1)
    result.predictions.loc[0, "network"] = 99_999
    again = read_result(result.save(tmp_path / "r.json"))
    said = r"digits-lenet 1\.0\.0 has no network 99999 \(it has 240, from 0 to 239\)"
    with pytest.raises(UnknownNetworkError, match=said):
        nb.beside_bar(again)
    facts = {"authors": ["Ada"], "licence": "MIT", "code": "https://example.org", "commit": "1234567", "seeds": []}
    [submission] = submissions_of(again, method="mine", **facts)
    with pytest.raises(RefusedError, match=rf"^predictions\.network: {said}"):
        accepted_predictions(submission)


class Constant(RegressorMixin, BaseEstimator):
    """Predicts ``value`` for everyone."""

    def __init__(self, value: Any = 50.0) -> None:
        self.value = value

    def fit(self, X: Any, y: Any) -> Constant:
        return self

    def predict(self, X: Any) -> np.ndarray:
        return np.full(len(X), self.value)


def test_networks_of_one_group_are_scored_without_an_interval_and_it_is_said_why(digits: nb.Subset) -> None:
    result = nb.evaluate("validation-accuracy", digits, protocol="regression-folds", budgets=3, order_seed=0)
    rates = digits.networks["learning_rate"].loc[result.predictions["network"]].to_numpy()
    protocol = find_protocol("regression-folds")
    alone = result.predictions[rates == rates[0]]
    one = replace(result, predictions=alone, scores=score(alone, [digits], protocol))
    own = one.scores.set_index("metric")
    assert own.loc["r2", "value"] == pytest.approx(r2_score(alone["truth"], alone["prediction"]))
    assert own[["low", "high"]].isna().all(axis=None)
    assert own["undefined"].eq(NO_INTERVAL).all()
    beside = nb.beside_bar(result, [digits]).assign(gain_low=np.nan, gain_high=np.nan)
    console = Console(width=2000, record=True, file=StringIO())
    console.print(*score_tables(one, beside, {digits.name: "full"}))
    for shown in (str(one), console.export_text()):
        assert written(own.loc["r2", "value"]) in shown
        assert "no interval: it is drawn from groups" in " ".join(shown.split())
        assert "nan" not in shown


def test_an_undefined_metric_says_why_and_the_others_are_scored(digits: nb.Subset) -> None:
    scores = nb.evaluate(Constant(), digits, protocol="regression", budgets=1).scores.set_index("metric")
    assert "all predictions are equal" in scores.loc["kendall_tau", "undefined"]
    assert np.isnan(scores.loc["kendall_tau", "value"])
    assert scores.loc["mae", "undefined"] == ""
    assert scores.loc["mae", "value"] > 0


class Raises(Constant):
    def fit(self, X: Any, y: Any) -> Constant:
        raise ZeroDivisionError("by accident")


class WrongShape(Constant):
    def predict(self, X: Any) -> np.ndarray:
        return np.ones((len(X), 2))


class Masks(Constant):
    def predict(self, X: Any) -> np.ndarray:
        return np.ma.masked_array(super().predict(X), mask=[True] + [False] * (len(X) - 1))


class Exits(Constant):
    def fit(self, X: Any, y: Any) -> Constant:
        sys.exit(0)


class Garbled(Constant):
    def fit(self, X: Any, y: Any) -> Constant:
        class OddError(Exception):
            def __str__(self) -> str:
                raise TypeError

        raise OddError


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (Raises(), "ZeroDivisionError: by accident"),
        (WrongShape(), r"predictions have shape \(48, 2\), expected \(48,\)"),
        (Constant(np.nan), "48 of 48 predictions are not finite"),
        (Constant(np.inf), "48 of 48 predictions are not finite"),
        (Constant(-1e200), r"predictions go up to 1e\+200 in size; at most 1e\+100 is allowed"),
        (Constant(1j), "TypeError: predictions are complex numbers, not real numbers"),
        (Constant(np.datetime64("2021-05-10")), "TypeError: predictions are dates, not real numbers"),
        (Constant(np.timedelta64(3, "h")), "TypeError: predictions are times, not real numbers"),
        (Constant("50"), "TypeError: predictions are strings, not real numbers"),
        (Constant(b"50"), "TypeError: predictions are bytes, not real numbers"),
        (Constant([{}]), "TypeError: predictions are dict, not real numbers"),
        (Masks(), "TypeError: 1 of 48 predictions are masked"),
        (Exits(), r"SystemExit: 0 \(test_evaluate.py:"),
        (Garbled(), r"OddError \(test_evaluate.py:"),
    ],
)
def test_a_failing_method_is_named_with_budget_and_fold(digits: nb.Subset, method: Any, message: str) -> None:
    where = f"{type(method).__name__} on digits-lenet, regression, budget 3, fold 0: "
    with pytest.raises(MethodError, match=where + message):
        nb.evaluate(method, digits, protocol="regression", budgets=3)


@pytest.mark.parametrize("value", [50, Fraction(101, 2), Decimal("50.5"), np.float32(50.5), True])
def test_real_numbers_of_any_kind_are_predictions(digits: nb.Subset, value: Any) -> None:
    found = nb.evaluate(Constant([value]), digits, protocol="regression", budgets=1).predictions["prediction"]
    assert set(found) == {float(value)}


class Devours(LinearRegression):
    """Fits and predicts by what it can see, and destroys the lists and labels that it is handed."""

    def fit(self, X: Any, y: Any) -> Devours:
        self.mean_ = float(np.mean(y))
        y[:] = -1
        while len(X) > 1:
            X.pop()
        return self

    def predict(self, X: Any) -> np.ndarray:
        predictions = np.array([self.mean_ + len(history.curves) for history in X])
        X.append(X.pop(0))
        X.clear()
        return predictions


class Spares(Devours):
    """Does the same, but to copies."""

    def fit(self, X: Any, y: Any) -> Devours:
        return super().fit(list(X), np.array(y))

    def predict(self, X: Any) -> np.ndarray:
        return super().predict(list(X))


def test_what_a_method_does_to_its_lists_and_labels_changes_nothing_else(digits: nb.Subset) -> None:
    before = digits.networks.copy()
    devouring, sparing = (
        nb.evaluate(method, digits, protocol="regression-folds", budgets=2, order_seed=1).predictions
        for method in (Devours(), Spares())
    )
    pd.testing.assert_frame_equal(devouring, sparing)
    pd.testing.assert_frame_equal(digits.networks, before)


def test_an_error_in_a_users_function_says_where(digits: nb.Subset, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "import nndynbench as nb\n"
        "from sklearn.linear_model import Ridge\n"
        "from sklearn.pipeline import make_pipeline\n"
        "def strongest(graph):\n"
        "    return graph.missing\n"
        "def varying(graph):\n"
        "    return [1.0] * (3 + (graph.blocks[0].max() > 0.5))\n"
        "METHODS = {f.__name__: nb.Method(description='a', source='b', reads={'weights'},\n"
        "           regressor=make_pipeline(nb.Signature(f), Ridge())) for f in (strongest, varying)}\n"
    )
    with pytest.raises(MethodError, match=r"fold 0: AttributeError: .*missing.* \(mine\.py:5 in strongest\)"):
        nb.evaluate(f"{file}:strongest", digits, protocol="regression", budgets=1)
    with pytest.raises(
        MethodError,
        match=r"signatures of different lengths \((3|15), (4|20)\): varying \(mine\.py:6\) must return the same number",
    ):
        nb.evaluate(f"{file}:varying", digits, protocol="regression", budgets=5)
    with pytest.raises(
        ValueError, match=r"mine\.py holds several methods: write .*mine\.py:NAME, where NAME is one of strongest, varying"
    ):
        find_method(str(file))


class Percent(ClassifierMixin, Constant):
    pass


class Scores(ClassifierMixin, Constant):
    """Returns ``value`` as its decision function, whatever that is."""

    def predict(self, X: Any) -> np.ndarray:
        return np.ones(len(X))

    def decision_function(self, X: Any) -> np.ndarray:
        return np.tile(self.value, (len(X), 1)).squeeze()


@pytest.mark.parametrize(
    ("value", "message"),
    [([np.nan], r"\d+ of \d+ scores are not finite"), ([1.0, 2.0], r"scores have shape \(\d+, 2\)")],
)
def test_a_classifiers_scores_are_checked_as_its_predictions(digits: nb.Subset, value: list[float], message: str) -> None:
    with pytest.raises(MethodError, match=f"Scores on digits-lenet, classification, budget 1, fold 0: {message}"):
        nb.evaluate(Scores(value), digits, budgets=1)


def test_what_is_named_twice_counts_once(digits: nb.Subset) -> None:
    once, twice = (
        nb.evaluate("validation-accuracy", subsets, protocol="triage", budgets=epochs)
        for subsets, epochs in ((digits, 3), ([digits, "digits-lenet"], [3, 3]))
    )
    pd.testing.assert_frame_equal(once.scores, twice.scores)
    pd.testing.assert_frame_equal(once.predictions, twice.predictions)


def test_a_classifier_that_predicts_no_class_is_refused(digits: nb.Subset) -> None:
    with pytest.raises(MethodError, match="a classifier must predict 0 or 1"):
        nb.evaluate(Percent(50.0), digits, budgets=1)


class ReadsCurves(Constant):
    def predict(self, X: Any) -> np.ndarray:
        return np.array([history.curves["validation_accuracy"].iloc[-1] for history in X])


def test_a_method_that_reads_what_it_did_not_declare_is_refused(digits: nb.Subset) -> None:
    method = nb.Method(description="", source="", reads={"weights"}, regressor=ReadsCurves())
    with pytest.raises(
        MethodError, match=r"declares that it reads \['weights'\], but also read \['curves'\]: add 'curves' to its reads"
    ):
        nb.evaluate(method, digits, protocol="regression", budgets=1)


def test_networks_that_diverge_are_imputed_inside_the_fold(digits: nb.Subset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every other network's signatures become NaN, like those of a diverged network: the bundled method copes with them."""
    signature = nb.History._signature

    def sometimes_diverged(self: nb.History, *args: Any, **options: Any) -> np.ndarray:
        values = signature(self, *args, **options)
        return np.full_like(values, np.nan) if self.hyperparameters["dropout"] in (0.0, 0.4) else values

    monkeypatch.setattr(nb.History, "_signature", sometimes_diverged)
    method = nb.Method(
        description="", source="", reads={"weights", "hyperparameters"}, classifier=bundled("degree-svm").classifier
    )
    assert len(nb.evaluate(method, digits, budgets=2, sealed=False).predictions) == 234


def bundled(name: str) -> nb.Method:
    from nndynbench.protocols import find_method

    return find_method(name)


@pytest.mark.parametrize("budget", [0, 99, "16", [1, "five"]])
def test_a_bad_budget_is_refused(digits: nb.Subset, budget: Any) -> None:
    with pytest.raises(BudgetError, match="valid budgets are whole numbers from 1 to 15"):
        nb.evaluate("degree-svm", digits, budgets=budget)


def test_no_budget_at_all_is_refused(digits: nb.Subset) -> None:
    with pytest.raises(ValueError, match="no budget given"):
        nb.evaluate("degree-svm", digits, budgets=[])


def test_unknown_protocols_and_methods_are_refused(digits: nb.Subset) -> None:
    with pytest.raises(UnknownNameError, match="unknown protocol 'clasification'; did you mean 'classification'"):
        nb.evaluate("degree-svm", digits, protocol="clasification")
    with pytest.raises(UnknownNameError, match="unknown method 'degre-svm'; did you mean 'degree-svm'"):
        nb.evaluate("degre-svm", digits)
    with pytest.raises(ValueError, match="has only a classifier, but regression is a regression protocol"):
        nb.evaluate("degree-svm", digits, protocol="regression")
    with pytest.raises(FileNotFoundError, match=r"nowhere\.py"):
        nb.evaluate("nowhere.py", digits)
    with pytest.raises(UnknownNameError, match="unknown value in reads 'weight'; did you mean 'weights'"):
        nb.Method(description="", source="", reads={"weight"}, regressor=Constant())


def test_epochs_that_are_not_at_hand_end_an_evaluation_before_any_fit() -> None:
    """cifar10-lenet-diverse has the graphs of epochs 1 to 5, and by default classification asks for ten budgets."""
    fitted: list[int] = []

    class Counts(RegressorMixin, BaseEstimator):
        def fit(self, X: Any, y: Any) -> None:
            fitted.append(len(X))

        def predict(self, X: Any) -> Any:
            return np.zeros(len(X))

    def strengths(graph: nb.graphs.LayeredGraph) -> list[float]:
        return [float(block.sum()) for block in graph.blocks]

    method = make_pipeline(nb.Signature(strengths), Counts())
    with pytest.raises(MethodError, match=r"budget 10, fold 0: .* epochs 1 to 5 .* not 6; .*--budgets 1-5.* --root DIR$"):
        nb.evaluate(method, "cifar10-lenet-diverse", protocol="regression", budgets="1-10", sealed=False)
    assert fitted == []


def test_predictions_are_in_the_order_of_the_budgets_asked_for(digits: nb.Subset) -> None:
    rows = nb.evaluate("constant", digits, protocol="regression-folds", budgets=[3, 1, 2]).predictions
    assert rows[["budget", "fold"]].drop_duplicates().to_numpy().tolist() == [[b, f] for b in (3, 1, 2) for f in range(5)]
