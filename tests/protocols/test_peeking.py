"""Methods that look where they should not: each scores no better than chance, or is stopped."""

from __future__ import annotations

import copy
import gc
import io
import pickle
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, RegressorMixin

import nndynbench as nb
from nndynbench.protocols import MethodError

BUDGET = 1

# The R² of chance is 0, and what a method gains by guessing stays below this. A peek that succeeds has 0.6 and more.
CHANCE = 0.05


class Peeker(RegressorMixin, BaseEstimator):
    """Looks for a number that tells a network's final accuracy, and interpolates in it; else it predicts the mean."""

    def __init__(self, peek: Callable[[Any, int, int], float]) -> None:
        self.peek = peek

    def fit(self, X: Sequence[Any], y: Any) -> Peeker:
        self.mean_ = float(np.mean(y))
        self.labels_ = y
        self.seen_ = np.array([self.looked(history, place, len(X)) for place, history in enumerate(X)])
        self.y_ = np.array(y)
        return self

    def predict(self, X: Sequence[Any]) -> Any:
        found = np.array([self.looked(history, place, len(X)) for place, history in enumerate(X)])
        known = np.isfinite(self.seen_)
        if not known.any():
            return np.full(len(X), self.mean_)
        order = np.argsort(self.seen_[known])
        near = np.interp(found, self.seen_[known][order], self.y_[known][order])
        return np.where(np.isfinite(found), near, self.mean_)

    def looked(self, history: Any, place: int, count: int) -> float:
        try:
            return float(self.peek(history, place, count))
        except Exception:
            return np.nan


class Late(int):
    """An epoch that answers every comparison as a check wants."""

    def __le__(self, other: object) -> bool:
        return True

    def __lt__(self, other: object) -> bool:
        return True

    def __ge__(self, other: object) -> bool:
        return True

    def __gt__(self, other: object) -> bool:
        return False

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 1

    def __index__(self) -> int:
        return 1


class Twice(list):  # type: ignore[type-arg]
    """Epochs that are different ones when they are read a second time."""

    def __iter__(self) -> Iterator[int]:
        self.times = getattr(self, "times", 0) + 1
        return iter([1] if self.times == 1 else [10])


def last_norm(weights: Any) -> float:
    return float(np.log(np.linalg.norm(next(iter(weights.values())))))


def in_state(state: Any) -> float:
    """Looks for something that leads further in what Python's own protocols hand out."""
    text = repr(state)
    assert "Reader" in text or "Subset" in text or "Pack" in text
    return 0.0


def held_by(history: Any) -> Any:
    """The reader of a history, by its name or among the objects that the history refers to."""
    for name in ("_History__reader", "_reader"):
        if hasattr(history, name):
            return getattr(history, name)
    return next(value for value in gc.get_referents(history) if hasattr(value, "weights"))


def through_frames() -> Any:
    frame = sys._getframe()
    while frame is not None:
        for value in frame.f_locals.values():
            if hasattr(value, "tested_on") or hasattr(value, "networks"):
                return value
        frame = frame.f_back  # type: ignore[assignment]
    raise LookupError


@cache
def objects() -> list[Any]:
    """All objects of the process that may refer to others."""
    return gc.get_objects()


def of_type(name: str) -> Any:
    return next(value for value in objects() if type(value).__name__ == name)


def from_tables(history: Any, place: int, count: int) -> float:
    """The final accuracy of a network of this learning rate, from any table in memory that has it."""
    import pandas as pd

    for value in objects():
        if isinstance(value, pd.DataFrame) and "final_accuracy" in value:
            rate = history.hyperparameters["learning_rate"]
            return float(value.loc[value["learning_rate"] == rate, "final_accuracy"].mean())
    raise LookupError


PEEKS: dict[str, Callable[[Any, int, int], float]] = {
    "its place in the list": lambda history, place, count: place / count,
    "its place, by the seed that everybody knows": lambda history, place, count: float(
        np.argsort(np.random.default_rng(0).permutation(count))[
            np.argsort(np.random.default_rng(0).permutation(count))[place]
        ]
        if count > 100
        else np.random.default_rng(0).permutation(count)[place] / count
    ),
    "an epoch that lies": lambda history, place, count: last_norm(history.weights(Late(10))),
    "a graph of an epoch that lies": lambda history, place, count: float(history.graph(Late(10)).degree().std()),
    "epochs that change": lambda history, place, count: history.signature("degree", epochs=Twice([1]))[-1, 2],
    "a later epoch of the signature": lambda history, place, count: history.signature("degree", epochs=[Late(10)])[-1, 2],
    "a later epoch of the curves": lambda history, place, count: history.curves["validation_accuracy"].loc[10],
    "what the curves are a part of": lambda history, place, count: history.curves.to_numpy().base[BUDGET, 2],
    "its state": lambda history, place, count: in_state(history.__getstate__()),
    "its state, of any object": lambda history, place, count: in_state(object.__getstate__(history)),
    "how it is reduced": lambda history, place, count: in_state(history.__reduce_ex__(2)),
    "how any object is reduced": lambda history, place, count: in_state(object.__reduce_ex__(history, 2)),
    "a copy": lambda history, place, count: in_state(copy.copy(history).__reduce_ex__(4)),
    "a pickle": lambda history, place, count: float(len(pickle.dumps(history))),
    "a Python pickle": lambda history, place, count: pickle._Pickler(io.BytesIO()).save(history) or 1.0,  # type: ignore
    "what its reader reads": lambda history, place, count: last_norm(held_by(history).weights(10)),
    "its network's number": lambda history, place, count: held_by(history)._network,
    "its address": lambda history, place, count: id(history),
    "a frame": lambda history, place, count: float(len(repr(through_frames()))) * 0 + 1,
    "a subset in memory": lambda history, place, count: of_type("Subset").networks["final_accuracy"].iloc[place],
    "a stored network in memory": lambda history, place, count: of_type("PackedNetwork")._network,
    "a table in memory": from_tables,
    "the subset, loaded": lambda history, place, count: float(
        nb.load("digits-lenet").networks["final_accuracy"].iloc[place]
    ),
    "a subset, made": lambda history, place, count: len(
        nb.Subset(next((Path(nb.__file__).parent / "bundled" / "digits-lenet").iterdir())).networks
    ),
}

R2_OF_A_PEEK = {"a later epoch's accuracy": lambda history, place, count: history.curves["validation_accuracy"].iloc[-1]}


def r2(method: Any, subset: Any, **options: Any) -> float:
    # A fixed order: in some random orders, a network's place in the list scores by luck.
    result = nb.evaluate(method, subset, **{"protocol": "regression", "budgets": BUDGET, "order_seed": 0, **options})
    assert result.facts.sealed
    return float(result.scores.set_index("metric").loc["r2", "value"])


@pytest.mark.parametrize("what", PEEKS)
def test_a_peeking_method_scores_no_better_than_chance(what: str, digits: nb.Subset) -> None:
    assert r2(Peeker(PEEKS[what]), digits) < CHANCE


def test_a_peek_that_succeeds_would_be_seen(digits: nb.Subset) -> None:
    method = Peeker(R2_OF_A_PEEK["a later epoch's accuracy"])
    assert r2(method, digits, budgets=10) > 0.5


class Remembering(RegressorMixin, BaseEstimator):
    """Tries to pass on what it learns in a fold to the next one."""

    known: dict[Any, float] = {}  # noqa: RUF012

    def fit(self, X: Sequence[Any], y: Any) -> Remembering:
        self.mean_ = float(np.mean(y))
        for history, value in zip(X, y, strict=True):
            type(self).known[tuple(history.hyperparameters.values())] = value
            vars(sys).setdefault("remembered", {})[tuple(history.hyperparameters.values())] = value
        return self

    def predict(self, X: Sequence[Any]) -> Any:
        known = {**type(self).known, **vars(sys).get("remembered", {})}
        return np.array([known.get(tuple(history.hyperparameters.values()), self.mean_) for history in X])


def test_a_fold_knows_nothing_of_what_another_one_learnt(digits: nb.Subset) -> None:
    assert r2(Remembering(), digits, protocol="regression-folds") < CHANCE


class BeyondLabels(Peeker):
    """Fails if its labels are a view of a larger array, since other labels would then lie beside them in memory."""

    def fit(self, X: Sequence[Any], y: Any) -> BeyondLabels:
        assert y.base is None
        assert y.flags.owndata
        return super().fit(X, y)  # type: ignore[return-value]


def test_labels_are_an_array_of_their_own(digits: nb.Subset) -> None:
    peek = BeyondLabels(lambda history, place, count: np.nan)
    for sealed in (True, False):
        nb.evaluate(peek, digits, protocol="regression", budgets=BUDGET, sealed=sealed)


def test_no_label_of_a_tested_network_is_in_a_sealed_process(digits: nb.Subset) -> None:
    class Searching(Peeker):
        """Counts how often a tested network's accuracy, sent along in disguise, stands in its writable memory."""

        def predict(self, X: Sequence[Any]) -> Any:
            places = [line.split()[0] for line in Path("/proc/self/maps").read_text().splitlines() if " rw-p " in line]
            wanted = np.float64(disguised + 1.0).tobytes()
            found = 0
            for place in places:
                start, end = (int(part, 16) for part in place.split("-"))
                with Path("/proc/self/mem").open("rb", buffering=0) as memory:
                    try:
                        memory.seek(start)
                        found += memory.read(end - start).count(wanted)
                    except OSError:
                        continue
            return np.full(len(X), float(found))

    if not Path("/proc/self/mem").exists():
        pytest.skip("needs Linux, to read memory from /proc")
    train, test = digits.split("holdout")[0]
    learnt = set(digits.networks.loc[train, "final_accuracy"])
    # A label that no training network has, and that is not a number that occurs elsewhere.
    odd = next(v for v in digits.networks.loc[test, "final_accuracy"] if v not in learnt and v != int(v))
    disguised = odd - 1.0
    found = nb.evaluate(Searching(lambda *_: np.nan), digits, protocol="regression", budgets=BUDGET).predictions
    # Only what the search itself makes, as floats and as bytes, is found.
    assert found["prediction"].max() <= 8


def test_orders_are_drawn_anew_and_a_recorded_one_gives_the_same_predictions(digits: nb.Subset) -> None:
    options: dict[str, Any] = {"protocol": "regression-folds", "budgets": BUDGET}
    place = Peeker(lambda history, place, count: place)
    first, other = (nb.evaluate(place, digits, **options) for _ in range(2))
    assert first.facts.order_seed != other.facts.order_seed
    assert not first.predictions.equals(other.predictions)
    for sealed in (True, False):
        again = nb.evaluate(place, digits, order_seed=first.facts.order_seed, sealed=sealed, **options)
        assert again.predictions.equals(first.predictions)


def test_the_seed_of_the_order_is_not_in_a_sealed_process(digits: nb.Subset) -> None:
    secret = 8_123_456_789_012_345

    class Searching(Peeker):
        def items(self, value: Any) -> list[Any]:
            return list(value.values()) if type(value) is dict else list(value)

        def predict(self, X: Sequence[Any]) -> Any:
            halves = (8_123_456_789_000_000, 12_345)
            values = [item for value in gc.get_objects() if type(value) in (dict, list) for item in self.items(value)]
            found = [value for value in values if type(value) is int and value == sum(halves)]
            return np.full(len(X), float(len(found)))

    options: dict[str, Any] = {"protocol": "regression", "budgets": BUDGET, "order_seed": secret}
    assert nb.evaluate(Searching(lambda *_: np.nan), digits, **options).predictions["prediction"].eq(0).all()


def test_the_harness_says_which_epoch_was_asked_for(digits: nb.Subset) -> None:
    class Open(Peeker):
        def looked(self, history: Any, place: int, count: int) -> float:
            return float(self.peek(history, place, count))

    with pytest.raises(MethodError, match="BudgetError: epoch 10 cannot be read within a budget of 1"):
        nb.evaluate(Open(PEEKS["an epoch that lies"]), digits, protocol="regression", budgets=BUDGET)
    with pytest.raises(MethodError, match=r"SealedError: the subset at .* may not be loaded where a method is fitted"):
        nb.evaluate(Open(PEEKS["the subset, loaded"]), digits, protocol="regression", budgets=BUDGET)
