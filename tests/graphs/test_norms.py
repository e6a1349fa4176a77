"""Norms of rows, computed in both ways, against sums without rounding; also without numba, or a folder for its code."""

from __future__ import annotations

import builtins
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nndynbench.graphs import norms

numba = pytest.importorskip("numba")
caching = pytest.importorskip("numba.core.caching")


@pytest.fixture
def compiled_anew():
    norms._compiled.cache_clear()
    yield
    norms._compiled.cache_clear()


def found_by(way, rows: np.ndarray) -> np.ndarray:
    out = np.empty(len(rows))
    way(rows, out=out)
    return out


@st.composite
def many_rows(draw: st.DrawFn) -> np.ndarray:
    shape = draw(st.integers(0, 200)), draw(st.integers(1, 130))
    dtype = draw(st.sampled_from(["f4", "f8", "f2", ">f4"]))
    scale = draw(st.sampled_from([0, 1e-3, 1, 1e4]))
    rows = (scale * np.random.default_rng(draw(st.integers(0, 10_000))).standard_normal(shape)).astype(dtype)
    if draw(st.booleans()):
        rows.flags.writeable = False
    return rows[::2] if draw(st.booleans()) else rows


@pytest.mark.parametrize("way", [norms.row_norms, norms.norms_in_passes, norms.norms_in_a_loop])
@given(rows=many_rows())
def test_a_rows_norm_is_the_root_of_its_exact_sum_of_squares(way, rows):
    exact = [math.sqrt(math.fsum(float(value) ** 2 for value in row)) for row in rows]
    np.testing.assert_allclose(found_by(way, rows), exact, rtol=1e-14)


@pytest.mark.parametrize("way", [norms.row_norms, norms.norms_in_passes])
def test_weights_that_are_not_finite_show(way):
    rows = np.array([[1, np.nan], [np.inf, 1], [-np.inf, np.nan], [3, 4]], np.float32)
    np.testing.assert_array_equal(found_by(way, rows), [np.nan, np.inf, np.nan, 5])


def test_a_row_has_the_same_norm_to_the_bit_wherever_it_stands():
    rows = np.random.default_rng(0).standard_normal((10_001, 9)).astype(np.float32)
    for way in (norms.row_norms, norms.norms_in_passes):
        together = found_by(way, rows)
        for first in (64, 6400, 9984):
            np.testing.assert_array_equal(found_by(way, rows[first:]), together[first:])


def test_without_numba_numpy_does_it(compiled_anew, monkeypatch):
    real = builtins.__import__

    def without_numba(name, *arguments, **options):
        if name == "numba":
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without_numba)
    assert norms._compiled() is None
    np.testing.assert_array_equal(found_by(norms.row_norms, np.array([[3.0, 4.0]], np.float32)), [5])


def test_where_no_folder_can_be_written_it_compiles_for_this_process(compiled_anew, monkeypatch):
    monkeypatch.setattr(caching.CompileResultCacheImpl, "_locator_classes", [])
    with pytest.raises(RuntimeError, match="cannot cache"):
        numba.njit(cache=True)(norms.norms_in_a_loop)
    np.testing.assert_array_equal(found_by(norms.row_norms, np.array([[3.0, 4.0]], np.float32)), [5])
