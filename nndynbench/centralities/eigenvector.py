"""Eigenvector centrality (paper, section 2.1), exact to rounding, without ever forming the adjacency matrix.

Edges run between consecutive layers, so the graph is bipartite: layers 0, 2, 4, … against layers 1, 3, 5, …. The
principal eigenvector of such a graph is the largest singular triplet of its biadjacency matrix, both vectors side by
side over √2. Golub-Kahan bidiagonalisation with full reorthogonalisation finds it (Golub & Van Loan, "Matrix
Computations", 4th ed., section 10.4); power iteration would oscillate between λ and −λ.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from nndynbench.graphs.layered import Block

FloatArray = npt.NDArray[np.float64]

# Steps between looks at the residual: a look costs a small singular value decomposition.
STEPS_BETWEEN_CHECKS = 4

# Of the entries of a unit vector in float64.
ROUNDING = 1e-15


class ConvergenceWarning(RuntimeWarning):
    """An eigenvector was not found to the asked tolerance; NaN stands in its place."""


class PrincipalPair(NamedTuple):
    """The largest eigenvalue (...,), its unit eigenvector (..., nodes), and ‖Av − λv‖ / λ (...,)."""

    value: FloatArray
    vector: FloatArray
    residual: FloatArray


def eigenvector_centrality(
    blocks: Sequence[Block], *, tolerance: float = 1e-12, max_steps: int = 500
) -> FloatArray:
    """Eigenvector centrality of every node, shape (..., nodes): unit L2 norm, non-negative sum.

    Non-finite weights give NaN. So does a graph that does not converge within ``max_steps``, with a
    `ConvergenceWarning`. Where the largest eigenvalue is multiple (equal components) the vector is the one in its
    eigenspace reached from a uniform start; a graph whose weights are all zero gives the uniform vector.
    """
    return principal_pair(blocks, tolerance=tolerance, max_steps=max_steps).vector


def principal_pair(blocks: Sequence[Block], *, tolerance: float = 1e-12, max_steps: int = 500) -> PrincipalPair:
    """Largest eigenvalue of the graph with its eigenvector and relative residual; see `eigenvector_centrality`."""
    finite = np.logical_and.reduce([_is_finite(block) for block in blocks])
    if not finite.all():
        blocks = [np.where(finite[..., None, None], b, 0.0) if isinstance(b, np.ndarray) else b for b in blocks]
        if finite.ndim == 0:
            nodes = blocks[0].shape[-1] + sum(block.shape[-2] for block in blocks)
            return PrincipalPair(np.array(np.nan), np.full(nodes, np.nan), np.array(np.nan))
    bipartite = _Bipartite(blocks)
    value, even, odd, residual = _largest_triplet(bipartite, tolerance, max_steps)
    vector = bipartite.interleave(even, odd) / np.sqrt(2.0)
    norm = np.linalg.norm(vector, axis=-1, keepdims=True)
    uniform = np.full(vector.shape[-1], 1 / np.sqrt(vector.shape[-1]))
    vector = np.where((value > 0)[..., None], vector / np.where(norm > 0, norm, 1.0), uniform)
    vector *= np.where(vector.sum(axis=-1, keepdims=True) < 0, -1.0, 1.0)
    # The nodes of a lighter component have exactly 0; what is left there is rounding.
    vector[np.abs(vector) < ROUNDING] = 0.0
    found = residual <= tolerance
    if not found[finite].all():
        warnings.warn(
            f"no eigenvector within {max_steps} steps for {np.sum(finite & ~found)} graph(s), "
            f"largest relative residual {residual[finite].max():.1e}; NaN returned in its place",
            ConvergenceWarning,
            stacklevel=2,
        )
    kept = finite & found
    return PrincipalPair(
        np.where(finite, value, np.nan), np.where(kept[..., None], vector, np.nan), np.where(finite, residual, np.nan)
    )


class _Bipartite:
    """The biadjacency matrix of a chain of blocks, from odd layers (columns) to even layers (rows)."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        self.blocks = blocks
        first = blocks[0]
        self.stack: tuple[int, ...] = first.shape[:-2]
        sizes = [first.shape[-1], *(block.shape[-2] for block in blocks)]
        self.even_size, self.odd_size = sum(sizes[0::2]), sum(sizes[1::2])
        starts = [0, 0]
        self.places: list[slice] = []
        for position, size in enumerate(sizes):
            start = starts[position % 2]
            self.places.append(slice(start, start + size))
            starts[position % 2] += size

    def to_even(self, odd: FloatArray) -> FloatArray:
        return self._half_step(odd, np.zeros((*self.stack, self.even_size)), parity=1)

    def to_odd(self, even: FloatArray) -> FloatArray:
        return self._half_step(even, np.zeros((*self.stack, self.odd_size)), parity=0)

    def _half_step(self, values: FloatArray, out: FloatArray, parity: int) -> FloatArray:
        for position, block in enumerate(self.blocks):
            near, far = self.places[position], self.places[position + 1]
            if position % 2 == parity:
                out[..., far] += np.matvec(block, values[..., near]) if isinstance(block, np.ndarray) else block.matvec(values[near])
            else:
                out[..., near] += np.vecmat(values[..., far], block) if isinstance(block, np.ndarray) else block.rmatvec(values[far])
        return out

    def interleave(self, even: FloatArray, odd: FloatArray) -> FloatArray:
        """Both sides' vectors as one over all nodes, layer after layer."""
        sides = (even, odd)
        return np.concatenate([sides[i % 2][..., place] for i, place in enumerate(self.places)], axis=-1)


def _largest_triplet(
    bipartite: _Bipartite, tolerance: float, max_steps: int
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Golub-Kahan from a uniform vector over the odd layers: σ, left (even) and right (odd) vectors, residual over σ."""
    steps = min(max_steps, bipartite.even_size, bipartite.odd_size)
    left = _Basis(bipartite.stack, bipartite.even_size, steps)
    right = _Basis(bipartite.stack, bipartite.odd_size, steps + 1)
    bidiagonal = np.zeros((*bipartite.stack, steps, steps))
    right.append(np.full((*bipartite.stack, bipartite.odd_size), 1.0))
    for step in range(steps):
        bidiagonal[..., step, step] = left.append(bipartite.to_even(right.last))
        beta = right.append(bipartite.to_odd(left.last))
        if step + 1 < steps:
            bidiagonal[..., step, step + 1] = beta
        if step + 1 == steps or (step + 1) % STEPS_BETWEEN_CHECKS == 0:
            p, values, q = np.linalg.svd(bidiagonal[..., : step + 1, : step + 1])
            sigma = values[..., 0]
            # For z = (Up, Vq)/√2 the error of A z = σ z is β |last entry of p| / √2.
            error = beta * np.abs(p[..., -1, 0]) / np.sqrt(2.0)
            residual = error / np.where(sigma > 0, sigma, 1.0)
            if (residual <= tolerance).all():
                break
    return sigma, left.combine(p[..., :, 0]), right.combine(q[..., 0, :]), residual


class _Basis:
    """Orthonormal vectors, grown one at a time, for each graph of the stack."""

    def __init__(self, stack: tuple[int, ...], size: int, capacity: int) -> None:
        # Pages of an empty array cost memory only once they are written.
        self.vectors = np.empty((*stack, capacity, size))
        self.count = 0

    @property
    def last(self) -> FloatArray:
        return self.vectors[..., self.count - 1, :]

    def append(self, vector: FloatArray) -> FloatArray:
        """Add ``vector`` less its projection on the basis; return the norm of what was added, 0 once the space is full."""
        size = np.linalg.norm(vector, axis=-1)
        basis = self.vectors[..., : self.count, :]
        for _ in range(2):  # twice is enough (Kahan and Parlett)
            vector = vector - np.vecmat(np.matvec(basis, vector), basis)
        norm = np.linalg.norm(vector, axis=-1)
        # What is left below rounding is no new direction: the space is invariant, and the residual exactly 0.
        norm = np.where(norm > 1e-14 * size, norm, 0.0)
        self.vectors[..., self.count, :] = vector / np.where(norm > 0, norm, 1.0)[..., None] * (norm > 0)[..., None]
        self.count += 1
        return norm

    def combine(self, coefficients: FloatArray) -> FloatArray:
        return np.vecmat(coefficients, self.vectors[..., : coefficients.shape[-1], :])


def _is_finite(block: Block) -> npt.NDArray[np.bool_]:
    if isinstance(block, np.ndarray):
        return np.asarray(np.isfinite(block).all(axis=(-2, -1)))
    return np.asarray(block.is_finite())
