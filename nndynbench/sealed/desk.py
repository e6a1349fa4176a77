"""Answers what a sealed process asks about the histories of one fit, up to their budget, and records what was read.

Nothing that comes from inside is trusted: the histories' own checks decide which epochs may be read, and record it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from nndynbench.sealed.inside import Networks
from nndynbench.subsets.history import (
    CURVES,
    GRAPH,
    HYPERPARAMETERS,
    READABLE,
    ROW,
    WEIGHTS,
    History,
    Place,
    checked_epoch,
    reader_of,
)
from nndynbench.subsets.packed import PackedNetwork

SMALL = 1 << 20  # if a network's snapshots have at most this many bytes, they are handed over together
LARGE = 1 << 26  # if all networks' values have more bytes than this, they are handed over one by one

Answer = dict[int, Any]
"""By the network's number, the answer about the one that was asked about, or about all at once if that is as quick."""


class Desk:
    """Answers questions about the histories of one fit, numbered as they are handed over; adds what was asked for to
    ``read``.
    """

    def __init__(self, histories: Sequence[History], read: set[str]) -> None:
        self._histories = histories
        self._readers = [reader_of(history) for history in histories]
        self._read = read

    def answer(self, message: Mapping[str, Any]) -> Answer | Exception:
        """What was asked for, or the error that it raised."""
        questions: dict[str, Callable[..., Answer]] = {
            "hyperparameters": self._hyperparameters,
            "curves": self._curves,
            "features": self._features,
            "weights": self._weights,
            "graph": self._graph,
            "centrality": self._centrality,
            "signature": self._signature,
            "known": self._known,
        }
        try:
            options = dict(message)
            question = questions[options.pop("ask")]
            return question(self._number(options.pop("network")), **options)
        except Exception as error:
            return error

    def keep(self, message: Mapping[str, Any]) -> None:
        """Keep what a function returned for a history, if it has the right form."""
        number, place = self._number(message["network"]), self._place(message["place"])
        value = message["keep"]
        if place[0] == ROW and not (
            isinstance(value, dict) and isinstance(value.get("row"), dict) and set(value.get("read", [""])) <= SOURCES
        ):
            raise ValueError("a row to keep must come with what it was read from")
        self._readers[number].keep(str(message["code"]), place, value, float(message["seconds"]))

    def _hyperparameters(self, number: int) -> Answer:
        self._read.add(HYPERPARAMETERS)
        return {each: reader.hyperparameters for each, reader in enumerate(self._readers)}

    def _curves(self, number: int) -> Answer:
        self._read.add(CURVES)
        return self._rows("curves")

    def _features(self, number: int) -> Answer:
        self._read.add(WEIGHTS)
        return self._rows("features")

    def _rows(self, table: Any) -> Answer:
        """For each network a frame that holds its rows, the position of the first of them, and the one after the last."""
        answer: Answer = {}
        sources = [cast("PackedNetwork", reader.source) for reader in self._readers]
        for pack in dict.fromkeys(source.pack for source in sources):
            numbers = [each for each, source in enumerate(sources) if source.pack is pack]
            rows, ends = pack.rows_of(table, [sources[each].network for each in numbers], self._histories[0].epochs)
            firsts = [0, *ends[:-1]]
            answer |= {n: (rows, int(first), int(end)) for n, first, end in zip(numbers, firsts, ends, strict=True)}
        return answer

    def _weights(self, number: int, *, epoch: int) -> Answer:
        return {number: self._ahead(number, epoch, lambda chosen: self._readers[number].weights(chosen))}

    def _graph(self, number: int, *, epoch: int, representation: str) -> Answer:
        source = self._readers[number].graph_source
        return {number: self._ahead(number, epoch, lambda chosen: source(chosen, representation))}

    def _ahead(self, number: int, epoch: int, read: Callable[[int], Any]) -> dict[int, Any]:
        """What an epoch holds and, if that is small, what the later ones up to the budget hold, which are asked for next."""
        history = self._histories[number]
        first = checked_epoch(history, epoch)
        found = {first: read(first)}
        size = sum(values.nbytes for values in _parts(found[first]).values())
        if size * history.epochs <= SMALL:
            with contextlib.suppress(Exception):  # a missing epoch is reported when it is asked for
                found |= {later: read(later) for later in range(first + 1, history.epochs + 1)}
        return found

    def _centrality(self, number: int, *, name: str, representation: str, sign: str | None) -> Answer:
        options: Any = {"representation": representation, "sign": sign}
        own = self._histories[number].centrality(name, **options)
        stored = set(self._readers[number].source.epochs("centralities"))
        if representation != "rolled" or not stored or own.nbytes * len(self._histories) > LARGE:
            return {number: own}
        try:
            return {each: history.centrality(name, **options) for each, history in enumerate(self._histories)}
        except Exception:  # another network's error is reported when that network is asked about
            return {number: own}

    def _signature(
        self, number: int, *, centrality: str, representation: str, sign: str | None, epochs: Sequence[int]
    ) -> Answer:
        if not isinstance(centrality, str):
            raise TypeError(f"{centrality!r} is not the name of a centrality")
        # Stored signatures are read for all networks at once; others are derived for the network that was asked about.
        stored = self._readers[number].stores_signature(centrality, representation, sign)
        options: Any = {"representation": representation, "sign": sign, "epochs": epochs}
        numbers = range(len(self._histories)) if stored else [number]
        return {each: self._histories[each].signature(centrality, **options) for each in numbers}

    def _known(self, number: int, *, code: str, place: Sequence[Any], alone: bool = False) -> Answer:
        where = self._place(place)
        numbers = [number] if alone else range(len(self._readers))
        found = {each: self._readers[each].known(str(code), where) for each in numbers}
        if where[0] == ROW:
            self._read.update(read for value in found.values() if value is not None for read in value["read"])
        return found

    def _number(self, number: Any) -> int:
        if type(number) is not int or not 0 <= number < len(self._histories):
            raise ValueError(f"there is no network {number!r:.100}")
        return number

    def _place(self, place: Sequence[Any]) -> Place:
        kind, *rest = place
        if kind == ROW:
            return ROW, self._histories[0].epochs
        if kind == GRAPH:
            epoch, representation, sign, moments = rest
            side, summarised = None if sign is None else str(sign), None if moments is None else bool(moments)
            return GRAPH, checked_epoch(self._histories[0], epoch), str(representation), side, summarised
        raise ValueError(f"nothing is kept for {kind!r:.100}")


SOURCES = frozenset(READABLE)


def _parts(source: Any) -> Mapping[str, Any]:
    """The arrays of a snapshot's weights, or of what a graph is made of."""
    parts: Mapping[str, Any] = source[1] if isinstance(source, tuple) else source
    return parts


def networks_of(histories: Sequence[History]) -> Networks:
    """What a sealed process is told about the networks before it asks."""
    if not histories:
        raise ValueError("there are no networks")
    reader = reader_of(histories[0])
    return Networks(len(histories), reader.described, reader.layer_sizes)
