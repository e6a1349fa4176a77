"""Temporal signatures: the snapshot signatures of a history as one vector (paper, section 3.2, S3), for scikit-learn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, TransformerMixin

from nndynbench.arrays import FloatArray
from nndynbench.fingerprint import fingerprint
from nndynbench.names import check_name
from nndynbench.signatures.snapshot import CENTRALITIES, SIGNATURE_SIGNS, NodeFunction, check_graph, check_moments, stacked

if TYPE_CHECKING:
    from nndynbench.subsets.history import History

WEIGHTINGS = ("linear", "exponential")


def weighted(signatures: FloatArray, weighting: str | None, *, alpha: float = 0.5) -> FloatArray:
    """Average each epoch's signature with those before it (paper, section 3.2, S3); the shape (epochs, values) stays.

    None keeps each signature as it is. "linear" is the average weighted by position, Σ j·s_j / Σ j over j ≤ τ. "exponential"
    is s_τ ← α·s_τ + (1 − α)·s_(τ−1), recursively, starting from s_1. An epoch of NaN makes all later epochs NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from nndynbench.signatures import weighted
    >>> weighted(np.array([[1.0], [4.0]]), "linear").ravel().tolist()  # (1·1 + 2·4) / 3
    [1.0, 3.0]
    """
    if weighting is None:
        return signatures
    check_name(weighting, WEIGHTINGS, what="weighting")
    if weighting == "linear":
        steps = np.arange(1.0, len(signatures) + 1)[:, None]
        return np.cumsum(steps * signatures, axis=0) / np.cumsum(steps, axis=0)
    averaged = np.array(signatures, dtype=np.float64)
    for step in range(1, len(averaged)):
        averaged[step] = alpha * averaged[step] + (1 - alpha) * averaged[step - 1]
    return averaged


def _whole_numbers(values: object) -> bool:
    if not isinstance(values, Iterable):
        return False
    return all(isinstance(value, Integral) and not isinstance(value, bool) for value in values)


class Signature(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Temporal signatures: a scikit-learn transformer from a sequence of histories to a matrix.

    Diverged networks have NaN from their divergence on, so put an imputer after it.

    Parameters
    ----------
    centrality
        "degree", "eigenvector", or any function of a `LayeredGraph` that returns a vector or a number.
    representation
        "rolled", "unrolled" or "rolled-shuffled".
    sign
        For the unrolled graph: "positive", "negative", or "pos-neg" for both signatures side by side.
    weighting, alpha
        None, "linear" or "exponential"; see `weighted`.
    concatenate
        True for the signatures of all epochs side by side (5·t values), False for only that of the last epoch.
    epochs
        Which snapshots up to the budget to use, such as ``[1, 5, 10]``; 0 is the initialisation. The default is all epochs
        from 1 on. They are taken in their order in time, each once. Those beyond the budget are left out without a word; if
        none is left, that is an error.
    moments
        For a function: True summarises what it returns by the five moments, False takes it as it is. By default a vector
        with exactly as many values as the graph has nodes is taken for one value per node and summarised; any other
        vector, or a number, is taken as it is. So say False for a vector that may happen to have that length, such as all
        eigenvalues of an adjacency matrix. Values that are taken as they are must be equally many for every graph.

    Examples
    --------
    >>> import nndynbench
    >>> histories = nndynbench.load("digits-lenet").histories([0, 1, 2], budget=5)
    >>> nndynbench.Signature("degree").transform(histories).shape
    (3, 25)
    >>> nndynbench.Signature(lambda graph: [block.max() for block in graph.blocks], epochs=[5]).transform(histories).shape
    (3, 5)
    >>> nndynbench.Signature(lambda graph: graph.degree(), epochs=[5], moments=False).transform(histories).shape
    (3, 51)
    """

    def __init__(
        self,
        centrality: str | NodeFunction = "degree",
        *,
        representation: str = "rolled",
        sign: str | None = None,
        weighting: str | None = None,
        alpha: float = 0.5,
        concatenate: bool = True,
        epochs: Sequence[int] | None = None,
        moments: bool | None = None,
    ) -> None:
        self.centrality = centrality
        self.representation = representation
        self.sign = sign
        self.weighting = weighting
        self.alpha = alpha
        self.concatenate = concatenate
        self.epochs = epochs
        self.moments = moments

    @property
    def own_functions(self) -> list[NodeFunction]:
        """The function, if it is not one of this package's that was named."""
        return [self.centrality] if callable(self.centrality) else []

    def fit(self, X: Sequence[History], y: object = None) -> Self:
        """Nothing to learn; checks the parameters."""
        self._check()
        return self

    def _check(self) -> None:
        if not callable(self.centrality):
            check_name(self.centrality, CENTRALITIES, what="centrality")
        check_graph(self.representation, self.sign, signs=SIGNATURE_SIGNS)
        if self.weighting is not None:
            check_name(self.weighting, WEIGHTINGS, what="weighting")
        if not isinstance(self.alpha, Real) or isinstance(self.alpha, bool) or not 0 < self.alpha <= 1:
            raise ValueError(f"alpha must be a number above 0 and at most 1, not {self.alpha!r}")
        if not isinstance(self.concatenate, (bool, np.bool_)):
            raise ValueError(f"concatenate must be True or False, not {self.concatenate!r}")
        if self.epochs is not None and not _whole_numbers(self.epochs):
            raise ValueError(f"epochs must be whole numbers, such as [1, 5, 10], or None, not {self.epochs!r}")
        check_moments(self.moments, self.centrality)

    def transform(self, X: Sequence[History]) -> FloatArray:
        """The temporal signatures, shape (histories, values)."""
        from nndynbench.subsets.history import as_histories

        self._check()
        code = fingerprint(self.centrality) if callable(self.centrality) else None
        return stacked([self._temporal(history, code) for history in as_histories(X)], of=self.centrality)

    def _temporal(self, history: History, code: str | None) -> FloatArray:
        chosen = None if self.epochs is None else sorted({epoch for epoch in self.epochs if 0 <= epoch <= history.epochs})
        if chosen == []:
            first = min((epoch for epoch in self.epochs or () if epoch > 0), default=None)
            needed = f": it needs {first} or more, as with budgets={first} or --budgets {first}" if first else ""
            raise ValueError(f"none of the epochs {self.epochs} lies within the budget of {history.epochs}{needed}")
        signatures = history._signature(self.centrality, code, self.representation, self.sign, chosen, self.moments)
        signatures = weighted(signatures, self.weighting, alpha=self.alpha)
        return signatures.ravel() if self.concatenate else signatures[-1]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.allow_nan = True
        tags.no_validation = True
        return tags


class SignedLogarithm(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """sign(x)·log(1 + |x|) of each value, for signatures of exploding networks, which span forty orders of magnitude.

    Examples
    --------
    >>> import nndynbench
    >>> nndynbench.SignedLogarithm().fit_transform([[0.0, -9.0, 99.0]]).shape
    (1, 3)
    """

    def fit(self, X: npt.ArrayLike, y: object = None) -> Self:
        """Nothing to learn."""
        return self

    def transform(self, X: npt.ArrayLike) -> FloatArray:
        """The transformed values, in the same shape."""
        values = np.asarray(X, dtype=np.float64)
        return np.asarray(np.sign(values) * np.log1p(np.abs(values)))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.allow_nan = True
        return tags
