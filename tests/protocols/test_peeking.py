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
from sklearn.metrics import r2_score

import nndynbench as nb
from nndynbench.protocols import MethodError
from nndynbench.subsets import BudgetError
from nndynbench.subsets.history import History, reader_of

BUDGET = 1
# An epoch that every network of digits-lenet has trained, and the last one that any has.
LATER, LAST = 10, 15

# The R² of chance is 0, and what a method gains by guessing stays below this. A peek that succeeds has more than the other.
CHANCE, SUCCEEDS = 0.05, 0.4


# A peek says the mean accuracy of so many networks whose numbers are the nearest: with fewer, R² falls by their noise.
NEAREST = 9


class Peeker(RegressorMixin, BaseEstimator):
    """Looks for a number that tells a network's final accuracy, and says that of the nearest; else it says the mean."""

    def __init__(self, peek: Callable[[Any, int, int], float]) -> None:
        self.peek = peek

    def fit(self, X: Sequence[Any], y: Any) -> Peeker:
        self.mean_ = float(np.mean(y))
        self.labels_ = y
        self.seen_ = np.array([self.looked(history, place, len(X)) for place, history in enumerate(X)])
        self.y_ = np.array(y)
        return self

    def predict(self, X: Sequence[Any]) -> Any:
        return np.array([self.said(self.looked(history, place, len(X))) for place, history in enumerate(X)])

    def said(self, found: float) -> float:
        known = np.isfinite(self.seen_)
        if not known.any() or not np.isfinite(found):
            return self.mean_
        nearest = np.argsort(np.abs(self.seen_[known] - found), kind="stable")[:NEAREST]
        return float(self.y_[known][nearest].mean())

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
        return iter([1] if self.times == 1 else [LATER])


def size(weights: Any) -> float:
    """How long all weights are together: in the end, it goes with the accuracy."""
    return float(np.sqrt(sum(np.sum(np.square(values, dtype=float)) for values in weights.values())))


def ends_at(reader: Any) -> float:
    """The accuracy at the end of the network behind a reader."""
    return float(reader.curves(LAST)["validation_accuracy"].loc[LATER:].iloc[-1])


def is_reader(value: Any) -> bool:
    return hasattr(value, "weights") and hasattr(value, "keep")


def in_state(state: Any) -> Any:
    """The reader in what Python's own protocols hand out; None if there is none."""
    if is_reader(state):
        return state
    parts = state.values() if isinstance(state, dict) else state if isinstance(state, (list, tuple)) else ()
    return next((found for found in map(in_state, parts) if found is not None), None)


def held_by(history: Any) -> Any:
    """The reader of a history, by its name or among the objects that the history refers to."""
    for name in ("_History__reader", "_reader"):
        if hasattr(history, name):
            return getattr(history, name)
    return next(value for value in gc.get_referents(history) if hasattr(value, "weights"))


class Collecting(pickle._Pickler):  # type: ignore[misc, name-defined]
    """A pickler that takes the readers out of what it is to write."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO())
        self.readers: list[Any] = []

    def persistent_id(self, value: Any) -> str | None:
        if not is_reader(value):
            return None
        self.readers.append(value)
        return "reader"


def pickled(history: Any) -> Any:
    """The reader of a history, as Python's own pickler comes across it."""
    pickler = Collecting()
    pickler.dump(history)
    return pickler.readers[0]


def number_of(reader: Any) -> float:
    """A network's number where it is stored, or what a sealed process has in its place."""
    return float(reader.source.network if hasattr(reader, "source") else reader._number)


def beyond(curves: Any) -> float:
    """The last number beside a history's own validation accuracies in memory."""
    values = curves.to_numpy()
    while values.base is not None:
        values = values.base
    return float(values[2, LATER])


def own_accuracy(networks: Any, curves: Any, history: Any) -> float:
    """The final accuracy of the network whose first epoch is the history's."""
    first = curves.xs(1, level="epoch")["train_loss"]
    [network] = first.index[first == history.curves["train_loss"].loc[1]]
    return float(networks.loc[network, "final_accuracy"])


def of_subset(subset: Any, history: Any) -> float:
    return own_accuracy(subset.networks, subset.curves, history)


def of_pack(pack: Any, history: Any) -> float:
    return own_accuracy(pack.table("networks"), pack.table("curves"), history)


def through_frames() -> Any:
    frame = sys._getframe()
    while frame is not None:
        for value in frame.f_locals.values():
            if hasattr(value, "networks") and hasattr(value, "curves"):
                return value
        frame = frame.f_back  # type: ignore[assignment]
    raise LookupError


def objects() -> list[Any]:
    """All objects of the process that may refer to others."""
    return gc.get_objects()


@cache
def of_type(name: str, has: str = "") -> Any:
    """The first object in memory of a type, with something in it; None if there is none."""
    return next((value for value in objects() if type(value).__name__ == name and (not has or has in value)), None)


def of_table(table: Any, history: Any) -> float:
    """The mean final accuracy of a network's recipe."""
    for name, value in history.hyperparameters.items():
        table = table[table[name] == value]
    return float(table["final_accuracy"].mean())


def made() -> Any:
    """The subset, from its files and past its loader."""
    return nb.Subset(next((Path(nb.__file__).parent / "bundled" / "digits-lenet").iterdir()))


def known_order(count: int) -> Any:
    return np.random.default_rng(0).permutation(count)


Peek = Callable[[Any, int, int], float]

# A place tells something where networks lie in an order that is known.
BY_PLACE: dict[str, Peek] = {
    "its place in the list": lambda history, place, count: place / count,
    "its place, by the seed that everybody knows": lambda history, place, count: known_order(count)[place] / count,
}
# What a history itself could give away.
BY_HISTORY: dict[str, Peek] = {
    "an epoch that lies": lambda history, place, count: size(history.weights(Late(LATER))),
    "a graph of an epoch that lies": lambda history, place, count: float(np.std(history.graph(Late(LATER)).degree())),
    "epochs that change": lambda history, place, count: history.signature("degree", epochs=Twice([1]))[-1, 2],
    "a later epoch of the signature": lambda history, place, count: history.signature("degree", epochs=[Late(LATER)])[-1, 2],
    "a later epoch of the curves": lambda history, place, count: history.curves["validation_accuracy"].loc[LATER],
    "what the curves are a part of": lambda history, place, count: beyond(history.curves),
    "its state": lambda history, place, count: ends_at(in_state(history.__getstate__())),
    "its state, of any object": lambda history, place, count: ends_at(in_state(object.__getstate__(history))),
    "how it is reduced": lambda history, place, count: ends_at(in_state(history.__reduce_ex__(2))),
    "how any object is reduced": lambda history, place, count: ends_at(in_state(object.__reduce_ex__(history, 2))),
    "a copy": lambda history, place, count: ends_at(in_state(copy.copy(history).__reduce_ex__(4))),
    "a pickle": lambda history, place, count: ends_at(held_by(pickle.loads(pickle.dumps(history)))),
    "a Python pickle": lambda history, place, count: ends_at(pickled(history)),
    "what its reader reads": lambda history, place, count: size(held_by(history).weights(LATER)),
    "its network's number": lambda history, place, count: number_of(held_by(history)),
}
# What lies about in a process that is not sealed.
BY_PROCESS: dict[str, Peek] = {
    "what the package's own reader reads": lambda history, place, count: size(reader_of(history).weights(LATER)),
    "the curves of the package's own reader": lambda history, place, count: ends_at(reader_of(history)),
    "the number in the package's own reader": lambda history, place, count: number_of(reader_of(history)),
    "a frame": lambda history, place, count: of_subset(through_frames(), history),
    "a subset in memory": lambda history, place, count: of_subset(of_type("Subset"), history),
    "a stored network in memory": lambda history, place, count: of_pack(of_type("PackedNetwork").pack, history),
    "a table in memory": lambda history, place, count: of_table(of_type("DataFrame", "final_accuracy"), history),
    "the subset, loaded": lambda history, place, count: of_subset(nb.load("digits-lenet"), history),
    "a subset, made": lambda history, place, count: of_subset(made(), history),
}
# Nothing makes this one succeed: an address is of no network.
BY_ADDRESS: dict[str, Peek] = {"its address": lambda history, place, count: id(history)}

PEEKS = BY_PLACE | BY_HISTORY | BY_PROCESS | BY_ADDRESS


def r2(method: Any, subset: Any, **options: Any) -> float:
    # A fixed order: in some random orders, a network's place in the list scores by luck.
    result = nb.evaluate(method, subset, **{"protocol": "regression", "budgets": BUDGET, "order_seed": 0, **options})
    assert result.facts.sealed
    return float(result.scores.set_index("metric").loc["r2", "value"])


@pytest.mark.parametrize("what", PEEKS)
def test_a_peeking_method_scores_no_better_than_chance(what: str, digits: nb.Subset) -> None:
    assert r2(Peeker(PEEKS[what]), digits) < CHANCE


class Open:
    """A history without its guards: it holds its reader as any object does, compares epochs, and cuts its curves."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    def weights(self, epoch: int) -> Any:
        return self._reader.weights(self.checked(epoch))

    def graph(self, epoch: int) -> Any:
        return self._reader.graph(self.checked(epoch), "rolled")

    def signature(self, centrality: str, *, epochs: Sequence[int]) -> Any:
        for epoch in epochs:
            self.checked(epoch)
        return self._reader.signature(centrality, "rolled", None, [int(epoch) for epoch in epochs])

    @property
    def curves(self) -> Any:
        return self._reader.curves(LAST)[:BUDGET] if type(self) is Open else self._reader.curves(LAST)

    def checked(self, epoch: int) -> int:
        if epoch > BUDGET:
            raise BudgetError
        return int(epoch)


class WithLaterRows(Open):
    """An open history whose curves go on."""


def r2_of(peek: Peek, digits: nb.Subset, of: Callable[[int], Any], order: Callable[[int], Any] = np.arange) -> float:
    """The R² of a peek at objects of this process, made for each network, in an order of the networks by their numbers."""
    train, test = (np.array(networks)[order(len(networks))] for networks in digits.split("holdout")[0])
    accuracies = digits.networks["final_accuracy"]
    method = Peeker(peek).fit([of(network) for network in train], accuracies[train].to_numpy())
    return float(r2_score(accuracies[test], method.predict([of(network) for network in test])))


@pytest.mark.parametrize(("what", "order"), list(zip(BY_PLACE, (np.arange, known_order), strict=True)))
def test_a_place_in_a_known_order_would_be_seen(what: str, order: Callable[[int], Any], digits: nb.Subset) -> None:
    assert r2_of(BY_PLACE[what], digits, lambda network: None, order) > SUCCEEDS


@pytest.mark.parametrize("what", BY_HISTORY)
def test_a_peek_at_a_history_without_guards_would_be_seen(what: str, digits: nb.Subset) -> None:
    kind = WithLaterRows if what == "a later epoch of the curves" else Open
    assert (
        r2_of(BY_HISTORY[what], digits, lambda network: kind(reader_of(digits.history(network, budget=BUDGET)))) > SUCCEEDS
    )


# Epochs are read once, so this one sees its first answer.
@pytest.mark.parametrize("what", [what for what in BY_HISTORY if what != "epochs that change"])
def test_a_methods_history_refuses_the_peek_even_where_it_is_not_sealed(what: str, digits: nb.Subset) -> None:
    recorded = History(reader_of(digits.history(100, budget=BUDGET)), BUDGET, set())
    with pytest.raises((BudgetError, TypeError, KeyError, IndexError, AttributeError, StopIteration)):
        BY_HISTORY[what](recorded, 0, 1)


@pytest.fixture
def lying_about(digits: nb.Subset, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Of all objects in memory, those of digits-lenet: other tests have loaded other subsets."""
    own = [digits, digits.networks, reader_of(digits.history(100, budget=BUDGET)).source]
    found = [value for value in gc.get_objects() if any(value is each for each in own)]
    monkeypatch.setattr(sys.modules[__name__], "objects", lambda: found)
    of_type.cache_clear()
    yield
    of_type.cache_clear()


@pytest.mark.usefixtures("lying_about")
@pytest.mark.parametrize("what", BY_PROCESS)
def test_a_peek_at_a_process_that_is_not_sealed_would_be_seen(what: str, digits: nb.Subset) -> None:
    assert r2_of(BY_PROCESS[what], digits, lambda network: digits.history(network, budget=BUDGET)) > SUCCEEDS


def test_a_peek_that_succeeds_in_a_sealed_process_would_be_seen(digits: nb.Subset) -> None:
    method = Peeker(lambda history, place, count: history.curves["validation_accuracy"].iloc[-1])
    assert r2(method, digits, budgets=LATER) > SUCCEEDS


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
