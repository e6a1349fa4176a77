"""A network's snapshots by epoch, read when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache, partial
from typing import Any

from nndynbench.graphs.weights import Weights


class SnapshotsOnDemand(Mapping[int, Weights]):
    """Snapshots by epoch. ``read`` reads one; the latest ``remembered`` ones are not read again.

    It can be pickled if ``read`` can.
    """

    def __init__(self, epochs: Iterable[int], read: Callable[[int], Weights], *, remembered: int = 8) -> None:
        self._epochs = dict.fromkeys(sorted(epochs))
        self._opening = partial(SnapshotsOnDemand, remembered=remembered), (tuple(self._epochs), read)
        self._read = lru_cache(maxsize=remembered)(read)

    def __reduce__(self) -> tuple[Any, ...]:
        return self._opening

    def __getitem__(self, epoch: int) -> Weights:
        if epoch not in self._epochs:
            raise KeyError(epoch)
        return dict(self._read(epoch))

    def __contains__(self, epoch: object) -> bool:
        return epoch in self._epochs

    def __iter__(self) -> Iterator[int]:
        return iter(self._epochs)

    def __len__(self) -> int:
        return len(self._epochs)
