"""Krylov methods for the largest singular triplet and eigenpair, for many small matrices side by side or one large one.

Golub-Kahan bidiagonalisation and symmetric Lanczos, both with full reorthogonalisation (Golub & Van Loan, "Matrix
Computations", 4th ed., sections 10.1 and 10.4). The leading axes of every array stack matrices of one size. Each matrix has
its own recurrence, and all stop together once the last residual is small enough.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from nndynbench.arrays import RealArray

Product = Callable[[RealArray], RealArray]

FIRST_CHECK = 6
MOST_STEPS_BETWEEN_CHECKS = 8

# Of the norm of the matrix: what is left below this of a new direction is rounding, in units of the precision.
NOTHING_LEFT = 45


class Triplet(NamedTuple):
    """σ (...,), left (..., m) and right (..., n) singular vectors of a matrix B, and the residual ‖Az − σz‖ / σ (...,) of
    the symmetric matrix A = [0 B; Bᵀ 0] with z = (left, right) / √2.
    """

    value: RealArray
    left: RealArray
    right: RealArray
    residual: RealArray


class Pair(NamedTuple):
    """λ (...,), unit eigenvector (..., n), and the residual ‖Av − λv‖ / λ (...,)."""

    value: RealArray
    vector: RealArray
    residual: RealArray


def largest_triplet(
    to_left: Product,
    to_right: Product,
    start: RealArray,
    left_size: int,
    *,
    tolerance: float,
    max_steps: int,
    every_step: bool,
) -> Triplet:
    """Golub-Kahan bidiagonalisation of the matrix with products ``to_left`` (B) and ``to_right`` (Bᵀ).

    ``start`` (..., n) is the first right vector, of any length. ``every_step`` computes the residual after every step, which
    pays if a step costs more than the singular values of a small bidiagonal matrix.
    """
    # One step more than the smaller side: the last step adds no vector, but couples what the other side still holds.
    steps = min(max_steps, min(left_size, start.shape[-1]) + 1)
    left = _Basis((*start.shape[:-1], steps, left_size), start.dtype)
    right = _Basis((*start.shape[:-1], steps + 1, start.shape[-1]), start.dtype)
    diagonal: list[RealArray] = []
    above: list[RealArray] = []
    right.append(start)
    check = 1 if every_step else FIRST_CHECK
    scale = beta = np.zeros(start.shape[:-1], start.dtype)
    for step in range(steps):
        candidate = to_left(right.last)
        if step:
            candidate -= beta[..., None] * left.last
        alpha = left.append(candidate, scale)
        scale = np.maximum(scale, alpha)
        beta = right.append(to_right(left.last) - alpha[..., None] * right.last, scale)
        diagonal.append(alpha)
        if step + 1 == check or step + 1 == steps:
            p, values, q = np.linalg.svd(_bidiagonal(diagonal, above))
            sigma = values[..., 0]
            # Bᵀ leaves the left space by β times the last entry of p alone.
            residual = _relative(beta * np.abs(p[..., -1, 0]) / np.sqrt(2.0), sigma)
            if (residual <= tolerance).all():
                break
            check += 1 if every_step else _steps_to_go(step + 1, residual, tolerance)
        above.append(beta)
    return Triplet(sigma, left.combine(p[..., :, 0]), right.combine(q[..., 0, :]), residual)


def largest_pair(multiply: Product, start: RealArray, *, tolerance: float, max_steps: int) -> Pair:
    """Symmetric Lanczos for the algebraically largest eigenvalue of the matrix with the product ``multiply``."""
    steps = min(max_steps, start.shape[-1])
    basis = _Basis((*start.shape[:-1], steps + 1, start.shape[-1]), start.dtype)
    diagonal: list[RealArray] = []
    beside: list[RealArray] = []
    basis.append(start)
    check = FIRST_CHECK
    scale = beta = np.zeros(start.shape[:-1], start.dtype)
    for step in range(steps):
        candidate = multiply(basis.last)
        scale = np.maximum(scale, np.sqrt(np.vecdot(candidate, candidate)))
        if step:
            candidate = candidate - beta[..., None] * basis.previous
        alpha = np.vecdot(candidate, basis.last)
        beta = basis.append(candidate - alpha[..., None] * basis.last, scale)
        diagonal.append(alpha)
        if step + 1 == check or step + 1 == steps:
            # Symmetric; the lower triangle is all that is read.
            values, vectors = np.linalg.eigh(np.swapaxes(_bidiagonal(diagonal, beside), -1, -2))
            residual = _relative(beta * np.abs(vectors[..., -1, -1]), np.abs(values[..., -1]))
            if (residual <= tolerance).all():
                break
            check += _steps_to_go(step + 1, residual, tolerance)
        beside.append(beta)
    return Pair(values[..., -1], basis.combine(vectors[..., :, -1]), residual)


def _bidiagonal(diagonal: list[RealArray], above: list[RealArray]) -> RealArray:
    """The upper bidiagonal matrix (..., steps, steps) of two lists over the steps."""
    matrix = np.zeros((*diagonal[0].shape, len(diagonal), len(diagonal)))
    for step, entry in enumerate(diagonal):
        matrix[..., step, step] = entry
    for step, entry in enumerate(above):
        matrix[..., step, step + 1] = entry
    return matrix


def _relative(error: RealArray, value: RealArray) -> RealArray:
    return error / np.where(value > 0, value, 1.0)


def _steps_to_go(steps: int, residual: RealArray, tolerance: float) -> int:
    """Half of the steps that would be left if the residual kept its mean rate of decrease; it will fall faster."""
    slowest = float(residual.max())
    if not tolerance < slowest < 1:
        return FIRST_CHECK
    expected = steps * np.log(tolerance) / np.log(slowest) - steps
    return int(np.clip(expected / 2, 1, MOST_STEPS_BETWEEN_CHECKS))


class _Basis:
    """Orthonormal vectors, grown one at a time, for each matrix of the stack."""

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        # Pages of an empty array cost memory only once they are written.
        self.vectors: RealArray = np.empty(shape, dtype)
        self.count = 0
        self.nothing = NOTHING_LEFT * np.finfo(dtype).eps

    @property
    def last(self) -> RealArray:
        return self.vectors[..., self.count - 1, :]

    @property
    def previous(self) -> RealArray:
        return self.vectors[..., self.count - 2, :]

    def append(self, vector: RealArray, scale: RealArray | float = 0.0) -> RealArray:
        """Add what is left of ``vector`` outside the span of the basis, at unit length; return the norm of what was left.

        The caller has already removed its large components, so that one pass over the basis leaves only rounding errors. If
        nothing is left but rounding errors at ``scale``, the space is invariant: the norm and the added vector are then 0.
        """
        if self.count:
            basis = self.vectors[..., : self.count, :]
            vector = vector - np.vecmat(np.matvec(basis, vector), basis)
        norm: RealArray = np.sqrt(np.vecdot(vector, vector))
        norm = norm * (norm > self.nothing * scale)
        np.divide(vector, np.where(norm, norm, np.inf)[..., None], out=self.vectors[..., self.count, :])
        self.count += 1
        return norm

    def combine(self, coefficients: RealArray) -> RealArray:
        vectors = self.vectors[..., : coefficients.shape[-1], :]
        combined: RealArray = np.vecmat(coefficients.astype(vectors.dtype, copy=False), vectors)
        return combined
