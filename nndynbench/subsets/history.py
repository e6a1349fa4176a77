"""A history: what is known of one network up to a budget of epochs, and nothing later."""

from __future__ import annotations

import operator
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, SupportsIndex, TypeAlias
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import pandas as pd

from nndynbench.arrays import FloatArray
from nndynbench.errors import NndynbenchError
from nndynbench.fingerprint import fingerprint
from nndynbench.names import name_of

if TYPE_CHECKING:
    from nndynbench.graphs import Architecture, LayeredGraph, Weights
    from nndynbench.subsets.reader import Reader


WEIGHTS = "weights"
CURVES = "curves"
HYPERPARAMETERS = "hyperparameters"
READABLE = (WEIGHTS, CURVES, HYPERPARAMETERS)

Place: TypeAlias = tuple[str | int | None, ...]
"""What a function is applied to: a history, as (ROW, budget), or a snapshot, as (GRAPH, epoch, representation, sign,
moments). The last says whether the value is moments (True), what was returned (False), or either (None): see `Signature`.
"""
SnapshotPlace: TypeAlias = tuple[str, int, str, str | None, bool | None]
ROW, GRAPH = "row", "graph"


class BudgetError(NndynbenchError, ValueError):
    """An epoch beyond a history's budget, or a budget that the subset does not have."""


@dataclass(frozen=True)
class _Held:
    """What a history reads through, up to which epoch, and where its reads are recorded."""

    reader: Reader
    epochs: int
    read: set[str]
    is_recorded: bool


class History:
    """One network's history up to epoch ``epochs``. No public attribute leads to its id, its label, or a later epoch.

    A network that stopped early repeats its last epoch. A diverged network has NaN from its divergence on. Copying a
    history returns the history itself. A history that a method receives cannot be pickled, since its reads are recorded.

    Examples
    --------
    >>> import nndynbench
    >>> history = nndynbench.load("digits-lenet").history(100, budget=5)
    >>> history.centrality("degree").shape, history.signature("degree").shape
    ((5, 51), (5, 5))
    >>> history.graph(6)
    Traceback (most recent call last):
    ...
    nndynbench.subsets.history.BudgetError: epoch 6 cannot be read within a budget of 5: valid epochs are 0 to 5
    """

    # Nothing is stored here: Python's own protocols (copy, pickle, `__getstate__`) reveal what slots and dictionaries hold.
    __slots__ = ("__weakref__",)

    def __init__(self, reader: Reader, epochs: int, read: set[str] | None = None) -> None:
        _held[self] = _Held(reader, epochs, set() if read is None else read, read is not None)

    def __copy__(self) -> History:
        return self

    def __deepcopy__(self, memo: object) -> History:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        held = _held[self]
        if held.is_recorded:
            # What the other process reads would not be recorded in this one.
            raise TypeError(
                "a method's history cannot be sent to another process: fit in one process, or in threads (n_jobs=1)"
            )
        return History, (held.reader, held.epochs)

    def __repr__(self) -> str:
        return f"History(architecture={self.architecture!r}, epochs={self.epochs})"

    def _repr_html_(self) -> str:
        from nndynbench.cards import html_card

        layers = ", ".join(f"{layer} {size}" for layer, size in self.layer_sizes.items())
        return html_card("History", {"architecture": self.architecture, "epochs": self.epochs, "nodes by layer": layers})

    @property
    def epochs(self) -> int:
        """The budget: the last epoch that can be read."""
        return _held[self].epochs

    @property
    def architecture(self) -> str:
        """The architecture's family, such as "vgg"."""
        return _held[self].reader.architecture

    @property
    def layer_sizes(self) -> dict[str, int]:
        """Nodes of each layer of the rolled graph, in the order of `centrality`: ``{"input": 3, "conv1": 6, …}``."""
        return dict(_held[self].reader.layer_sizes)

    @property
    def _described(self) -> Architecture:
        return _held[self].reader.described

    @property
    def _classes(self) -> int:
        """How many classes the network tells apart; fewer than 2 if that is unknown."""
        return self._described.classes

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """Every column of the grid."""
        _held[self].read.add(HYPERPARAMETERS)
        return dict(_held[self].reader.hyperparameters)

    @property
    def curves(self) -> pd.DataFrame:
        """A row per epoch, from 1 to the budget: train_loss, train_accuracy, validation_accuracy (accuracies in percent).

        Epochs after an early stop or a divergence are absent.
        """
        _held[self].read.add(CURVES)
        return _held[self].reader.curves(_held[self].epochs)

    @property
    def features(self) -> pd.DataFrame:
        """A row per (epoch, layer), for kept epochs from 0 to the budget; the columns are `nndynbench.features.FEATURES`."""
        _held[self].read.add(WEIGHTS)
        return _held[self].reader.features(_held[self].epochs)

    def weights(self, epoch: SupportsIndex) -> Weights:
        """The weights after an epoch (0: the initialisation), ``{"conv1.weight": array, …}``."""
        return _held[self].reader.weights(_epoch(_held[self], epoch))

    def graph(self, epoch: SupportsIndex, representation: str = "rolled") -> LayeredGraph:
        """The graph of the snapshot after an epoch: "rolled", "unrolled" or "rolled-shuffled"."""
        from nndynbench.signatures import check_graph

        chosen = _epoch(_held[self], epoch)
        kind = _text(representation)
        check_graph(kind, None)
        return _held[self].reader.graph(chosen, kind)

    def centrality(self, name: str, *, representation: str = "rolled", sign: str | None = None) -> FloatArray:
        """A centrality of every node after each epoch, (epochs, nodes). ``sign`` is for the unrolled graph."""
        from nndynbench.signatures import check_graph

        held, kind, side = _held[self], _text(representation), _text(sign)
        held.read.add(WEIGHTS)
        check_graph(kind, side)
        return held.reader.centrality(_text(name), kind, side, range(1, held.epochs + 1))

    def signature(
        self,
        centrality: str | Callable[..., npt.ArrayLike],
        *,
        representation: str = "rolled",
        sign: str | None = None,
        epochs: Sequence[int] | None = None,
        moments: bool | None = None,
    ) -> FloatArray:
        """The snapshot signature after each epoch, (epochs, 5); (epochs, 10) for ``sign="pos-neg"``.

        ``centrality`` may be a function of a `LayeredGraph`; ``moments`` says whether what it returns is summarised. See
        `nndynbench.Signature`. ``epochs`` selects epochs; by default these are 1 to the budget. 0 is the initialisation.
        """
        code = fingerprint(centrality) if callable(centrality) else None
        return self._signature(centrality, code, representation, sign, epochs, moments)

    def _signature(
        self,
        centrality: str | Callable[..., npt.ArrayLike],
        code: str | None,
        representation: str,
        sign: str | None,
        epochs: Sequence[int] | None,
        moments: bool | None,
    ) -> FloatArray:
        """Like `signature`, for a function whose fingerprint is known."""
        from nndynbench.signatures import SIGNATURE_SIGNS, SIGNS, check_graph, check_moments, stacked

        held, kind, side = _held[self], _text(representation), _text(sign)
        held.read.add(WEIGHTS)
        # Converted once: what is checked is what is read, whatever a caller's numbers and sequences return the second time.
        if epochs is not None and not isinstance(epochs, Iterable):
            raise BudgetError(f"epochs must be a list, such as [1, 2], not {epochs!r}")
        chosen = [_epoch(held, epoch) for epoch in (range(1, held.epochs + 1) if epochs is None else epochs)]
        if not chosen:
            raise BudgetError("epochs must have at least one epoch, such as [1, 2]")
        check_graph(kind, side, signs=SIGNATURE_SIGNS)
        check_moments(moments, centrality)
        sides = []
        for part in SIGNS if side == "pos-neg" else (side,):
            if callable(centrality):
                places: list[SnapshotPlace] = [(GRAPH, epoch, kind, part, moments) for epoch in chosen]
                values = [_function_value(held.reader, centrality, code, place) for place in places]
                sides.append(stacked(values, of=centrality))
            else:
                sides.append(held.reader.signature(_text(centrality), kind, part, chosen))
        return np.concatenate(sides, axis=1)

    def _is_of(self, other: History) -> bool:
        """Whether both are histories of the same network of the same subset."""
        identity = _held[self].reader.identity
        return identity is not None and identity == _held[other].reader.identity

    def _row(self, function: Callable[[History], Mapping[str, Any]], code: str | None) -> Mapping[str, Any]:
        """What a function with a fingerprint returns for this history. What it read is kept along with its result."""
        held = _held[self]
        if code is None:
            return _checked_row(function, function(self))
        place = ROW, held.epochs
        found = held.reader.known(code, place)
        if found is None:
            read: set[str] = set()
            start = time.perf_counter()
            row = _checked_row(function, function(History(held.reader, held.epochs, read)))
            seconds = time.perf_counter() - start
            found = {"row": row, "read": sorted(read)}
            held.reader.keep(code, place, found, seconds)
        held.read.update(found["read"])
        return dict(found["row"])


_held: WeakKeyDictionary[History, _Held] = WeakKeyDictionary()


def as_histories(X: Iterable[History]) -> list[History]:
    """The histories passed to a transformer; raises ValueError if there are none, and for anything else."""
    histories = list(X) if isinstance(X, Iterable) else []
    wrong = [each for each in histories if not isinstance(each, History)] if isinstance(X, Iterable) else [X]
    if wrong:
        raise ValueError(f"X must be a sequence of histories, as Subset.histories returns, not {wrong[0]!r:.100}")
    if not histories:
        raise ValueError("X holds no histories")
    return histories


def _checked_row(function: Callable[..., Any], row: Any) -> dict[str, Any]:
    """A row with plain values, None as NaN; raises ValueError for anything that is not a row."""
    what = f"{name_of(function)} must return a mapping from names to numbers or texts"
    if not isinstance(row, Mapping):
        raise ValueError(f"{what}, not {row!r:.100}")
    plain = {str(name): value.item() if isinstance(value, np.generic) else value for name, value in row.items()}
    for name, value in plain.items():
        if value is None:
            plain[name] = float("nan")
        elif isinstance(value, bool):
            plain[name] = float(value)  # a column of truths is one of numbers, also where some are missing
        elif not isinstance(value, (int, float, str)):
            raise ValueError(f"{what}, not {value!r:.100} for {name}")
    return plain


def reader_of(history: History) -> Reader:
    """The reader behind a history: for the code that is responsible for it, never for a method."""
    return _held[history].reader


def checked_epoch(history: History, epoch: SupportsIndex) -> int:
    """An epoch within a history's budget, whose weights are about to be read; raises `BudgetError` for any other."""
    return _epoch(_held[history], epoch)


def _epoch(held: _Held, epoch: SupportsIndex) -> int:
    """An epoch as a plain Python integer, checked against the budget."""
    held.read.add(WEIGHTS)
    try:
        chosen = operator.index(epoch)
    except TypeError:
        raise BudgetError(f"epoch {epoch!r} is not a whole number") from None
    if isinstance(epoch, bool):
        raise BudgetError(f"epoch {epoch!r} is not a whole number")
    if not 0 <= chosen <= held.epochs:
        raise BudgetError(
            f"epoch {chosen} cannot be read within a budget of {held.epochs}: valid epochs are 0 to {held.epochs}"
        )
    return chosen


def _text(value: Any) -> Any:
    """A text as a plain Python string; anything else as it is."""
    return str.__str__(value) if isinstance(value, str) else value


def _function_value(
    reader: Reader, function: Callable[..., npt.ArrayLike], code: str | None, place: SnapshotPlace
) -> FloatArray:
    """A snapshot's signature by a user's function; remembered, since each fold, budget and process asks again."""
    from nndynbench.signatures import function_signature

    known = reader.known(code, place) if code is not None else None
    if known is not None:
        return np.array(known, dtype=np.float64)
    start = time.perf_counter()
    _, epoch, representation, sign, moments = place
    graph = reader.graph(epoch, representation)
    value = function_signature(function, graph.subgraph(sign) if sign is not None else graph, moments=moments)
    if code is not None:
        reader.keep(code, place, value.tolist(), time.perf_counter() - start)
    return value
