"""A history: what is known of one network up to a budget of epochs, and nothing later."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from nndynbench.storage.computed import kept, key_of

if TYPE_CHECKING:
    from nndynbench.graphs import LayeredGraph, Weights

FloatArray = npt.NDArray[np.float64]

TIER_WEIGHTS = "weights"
TIER_CURVES = "curves"
TIER_HYPERPARAMETERS = "hyperparameters"
INFORMATION_TIERS = (TIER_WEIGHTS, TIER_CURVES, TIER_HYPERPARAMETERS)


class BudgetError(ValueError):
    """An epoch beyond a history's budget, or a budget that the subset does not have."""


class NetworkReader(Protocol):
    """What a history reads one network's data through; a subset provides it."""

    architecture: str
    layer_sizes: dict[str, int]
    identity: str | None
    """What tells this network's data from all other: what is computed from it may be kept. None where it may not."""

    @property
    def hyperparameters(self) -> dict[str, Any]: ...
    def curves(self, last: int) -> pd.DataFrame: ...
    def features(self, last: int) -> pd.DataFrame: ...
    def weights(self, epoch: int) -> Weights: ...
    def graph(self, epoch: int, representation: str) -> LayeredGraph: ...
    def centrality(self, name: str, representation: str, sign: str | None, epochs: Sequence[int]) -> FloatArray: ...
    def signature(
        self, centrality: str | Callable[..., npt.ArrayLike], representation: str, sign: str | None, epochs: Sequence[int]
    ) -> FloatArray: ...


class History:
    """One network's history up to epoch ``epochs``. No public attribute leads to its id, its label, or a later epoch.

    A network that stopped early repeats its last epoch; from its divergence on, a diverged one has NaN. A history is its own
    copy; one that a method is handed cannot be pickled, since what is read of it is recorded.
    """

    __slots__ = ("__epochs", "__is_recorded", "__read", "__reader", "__weakref__")

    def __init__(self, reader: NetworkReader, epochs: int, read: set[str] | None = None) -> None:
        self.__reader = reader
        self.__epochs = epochs
        self.__is_recorded = read is not None
        self.__read: set[str] = set() if read is None else read

    def __copy__(self) -> History:
        return self

    def __deepcopy__(self, memo: object) -> History:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        if self.__is_recorded:
            # What is read there would not be known here.
            raise TypeError(
                "a method's history cannot be sent to another process: fit in one process, or in threads (n_jobs=1)"
            )
        return History, (self.__reader, self.__epochs)

    def __repr__(self) -> str:
        return f"History(architecture={self.architecture!r}, epochs={self.epochs})"

    @property
    def epochs(self) -> int:
        """The budget: the last epoch that can be read."""
        return self.__epochs

    @property
    def architecture(self) -> str:
        """The architecture's family, such as "vgg"."""
        return self.__reader.architecture

    @property
    def layer_sizes(self) -> dict[str, int]:
        """Nodes of each layer of the rolled graph, in the order of `centrality`: ``{"input": 3, "conv1": 6, …}``."""
        return dict(self.__reader.layer_sizes)

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """Every column of the grid."""
        self.__read.add(TIER_HYPERPARAMETERS)
        return dict(self.__reader.hyperparameters)

    @property
    def curves(self) -> pd.DataFrame:
        """By epoch, 1 to the budget: train_loss, train_accuracy, validation_accuracy (percent), seconds.

        Epochs after an early stop or a divergence are absent.
        """
        self.__read.add(TIER_CURVES)
        return self.__reader.curves(self.epochs)

    @property
    def features(self) -> pd.DataFrame:
        """By (epoch, layer), kept epochs from 0 to the budget; columns `nndynbench.features.FEATURES`."""
        self.__read.add(TIER_WEIGHTS)
        return self.__reader.features(self.epochs)

    def weights(self, epoch: int) -> Weights:
        """The weights after an epoch (0: the initialisation), ``{"conv1.weight": array, …}``."""
        self.__check(epoch)
        return self.__reader.weights(epoch)

    def graph(self, epoch: int, representation: str = "rolled") -> LayeredGraph:
        """The snapshot's graph after an epoch, "rolled", "unrolled" or "rolled-shuffled"."""
        from nndynbench.signatures import check_graph

        self.__check(epoch)
        check_graph(representation, None)
        return self.__reader.graph(epoch, representation)

    def centrality(self, name: str, *, representation: str = "rolled", sign: str | None = None) -> FloatArray:
        """A centrality of every node after each epoch, (epochs, nodes); ``sign`` for the unrolled graph."""
        from nndynbench.signatures import check_graph

        self.__read.add(TIER_WEIGHTS)
        check_graph(representation, sign)
        return self.__reader.centrality(name, representation, sign, range(1, self.epochs + 1))

    def signature(
        self,
        centrality: str | Callable[..., npt.ArrayLike],
        *,
        representation: str = "rolled",
        sign: str | None = None,
        epochs: Sequence[int] | None = None,
    ) -> FloatArray:
        """The snapshot signature after each epoch, (epochs, 5); (epochs, 10) for ``sign="pos-neg"``.

        ``centrality`` may be a function of a `LayeredGraph`; see `nndynbench.Signature`. ``epochs`` are 1 to the budget, or
        those that are named; 0 is the initialisation.
        """
        from nndynbench.signatures import SIGNATURE_SIGNS, SIGNS, check_graph

        chosen = range(1, self.epochs + 1) if epochs is None else epochs
        for epoch in chosen:
            self.__check(epoch)
        check_graph(representation, sign, signs=SIGNATURE_SIGNS)
        signs = SIGNS if sign == "pos-neg" else (sign,)
        sides = [self.__reader.signature(centrality, representation, side, chosen) for side in signs]
        return np.concatenate(sides, axis=1)

    def _is_of(self, other: History) -> bool:
        """Whether both are of one network of one subset."""
        identity = self.__reader.identity
        return identity is not None and identity == other.__reader.identity

    def _row(self, function: Callable[[History], Mapping[str, Any]]) -> Mapping[str, Any]:
        """What a function says of this history; where it is kept on disk, so are the tiers that it read."""
        identity = self.__reader.identity
        key = None if identity is None else key_of(function, identity, self.epochs)
        if key is None:
            return function(self)

        def compute() -> dict[str, Any]:
            read: set[str] = set()
            row = function(History(self.__reader, self.__epochs, read))
            plain = {str(name): value.item() if isinstance(value, np.generic) else value for name, value in row.items()}
            return {"row": plain, "read": sorted(read)}

        found: dict[str, Any] = kept(key, compute)
        self.__read.update(found["read"])
        row: Mapping[str, Any] = found["row"]
        return row

    def __check(self, epoch: int) -> None:
        self.__read.add(TIER_WEIGHTS)
        if not isinstance(epoch, (int, np.integer)):
            raise BudgetError(f"epoch {epoch!r} is no whole number")
        if not 0 <= epoch <= self.epochs:
            raise BudgetError(f"epoch {epoch} cannot be read within a budget of {self.epochs}: valid are 0 to {self.epochs}")
