"""L2 norms of many short rows, summed in float64: compiled if numba is installed, else in passes of numpy.

For rows of float32, numpy needs four passes (as float64, squared, summed, rooted), which take about three times as long.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from nndynbench.arrays import RealArray

Norms = Callable[[RealArray, RealArray], None]

# How many weights in float64 stay in the processor's cache from one pass to the next.
SQUARES_AT_A_TIME = 1 << 16

COMPILED_FOR = {np.dtype(np.float32), np.dtype(np.float64)}

# Rows are taken in multiples of this: a product sums its last few rows in another order, so other cuts would change bits.
ROWS_TOGETHER = 64


def row_norms(rows: RealArray, *, out: RealArray) -> None:
    """Write the L2 norms of ``rows``, (rows, length), to ``out``, (rows,); in float64 whatever the precision of the rows."""
    compiled = _compiled() if {rows.dtype, out.dtype} <= COMPILED_FOR else None
    (compiled or norms_in_passes)(rows, out)


@cache
def _compiled() -> Norms | None:
    """``norms_in_a_loop`` as machine code, kept on disk for the next process if a folder can be written."""
    try:
        import numba
    except ImportError:
        return None
    options: dict[str, Any] = {"nogil": True, "fastmath": {"reassoc", "contract"}}
    try:
        compiled: Norms = numba.njit(cache=True, **options)(norms_in_a_loop)
    except RuntimeError:  # no folder can be written
        compiled = numba.njit(**options)(norms_in_a_loop)
    return compiled


def norms_in_a_loop(rows: RealArray, out: RealArray) -> None:
    for row in range(rows.shape[0]):
        total = 0.0
        for column in range(rows.shape[1]):
            value = np.float64(rows[row, column])
            total += value * value
        out[row] = np.sqrt(total)


def norms_in_passes(rows: RealArray, out: RealArray) -> None:
    length = rows.shape[1]
    at_a_time = ROWS_TOGETHER * max(1, SQUARES_AT_A_TIME // length // ROWS_TOGETHER)
    squares = np.empty((min(at_a_time, len(rows)), length))
    ones = np.ones(length)
    for first in range(0, len(rows), at_a_time):
        some = rows[first : first + at_a_time]
        part = squares[: len(some)]
        np.copyto(part, some)
        np.multiply(part, part, out=part)
        # numpy's sums over short rows take twice as long as a product with ones.
        np.sqrt(part @ ones, out=out[first : first + at_a_time])
