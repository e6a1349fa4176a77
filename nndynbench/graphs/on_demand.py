"""A network's snapshots by epoch, read when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from functools import lru_cache

from nndynbench.graphs.weights import Weights


class SnapshotsOnDemand(Mapping[int, Weights]):
    """Snapshots by epoch, each read by ``read`` when it is asked for. The latest few of all networks are remembered.

    It can be pickled if ``read`` can.

    Examples
    --------
    >>> import nndynbench
    >>> def read(epoch):
    ...     return nndynbench.graphs.random_weights("digits-lenet", seed=epoch)
    >>> snapshots = nndynbench.graphs.SnapshotsOnDemand([0, 1, 5], read)
    >>> list(snapshots), snapshots[5]["conv1.weight"].shape
    ([0, 1, 5], (4, 1, 3, 3))
    """

    def __init__(self, epochs: Iterable[int], read: Callable[[int], Weights]) -> None:
        self._epochs = dict.fromkeys(sorted(epochs))
        self._read = read

    def __getitem__(self, epoch: int) -> Weights:
        if epoch not in self._epochs:
            raise KeyError(epoch)
        return deepcopy(dict(_latest(self._read, epoch)))  # what a caller writes into it reaches nobody else

    def __contains__(self, epoch: object) -> bool:
        return epoch in self._epochs

    def __iter__(self) -> Iterator[int]:
        return iter(self._epochs)

    def __len__(self) -> int:
        return len(self._epochs)


# One memory for all networks: a sweep of deep ones would not fit if each remembered its own.
@lru_cache(maxsize=8)
def _latest(read: Callable[[int], Weights], epoch: int) -> Weights:
    return read(epoch)
