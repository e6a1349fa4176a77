"""Snapshot arrays: what was written is read back, at the precision that was asked for, by any worker."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from nndynbench.storage.arrays import FLOAT32_MANTISSA_BITS, SnapshotArrays, rounded, write_snapshot_arrays

SHAPES = {"conv": (2, 3), "fc": (4,)}
LARGE = {"fc": (512, 600)}  # over 1 MB for all epochs: a chunk per snapshot


def snapshots(shapes: dict[str, tuple[int, ...]], epochs: dict[int, list[int]], seed: int = 0) -> dict:
    random = np.random.default_rng(seed)
    return {
        network: [{name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()} for _ in kept]
        for network, kept in epochs.items()
    }


@pytest.mark.parametrize("shapes", [SHAPES, LARGE], ids=["one chunk a network", "one chunk a snapshot"])
@pytest.mark.parametrize("bits", [FLOAT32_MANTISSA_BITS, 12])
def test_every_part_of_every_kept_epoch_is_read_back(shapes: dict[str, tuple[int, ...]], bits: int, tmp_path: Path) -> None:
    epochs = {7: [0, 1, 2, 9], 3: [0, 1], 5: [0, 4]}
    written = snapshots(shapes, epochs)
    write_snapshot_arrays(tmp_path / "x.h5", shapes, epochs, written.items(), mantissa_bits=bits)
    reader = SnapshotArrays(tmp_path / "x.h5")
    assert reader.networks == [7, 3, 5]
    for network, kept in epochs.items():
        assert reader.epochs(network) == kept
        values = reader.parts(reader.read(network, kept))
        for name in shapes:
            flat = np.stack([rounded(snapshot[name].ravel(), bits) for snapshot in written[network]])
            np.testing.assert_array_equal(values[name], flat.reshape(-1, *shapes[name]))
    assert reader.epochs(4) == []


def test_epochs_are_read_in_the_order_asked_for_and_may_repeat(tmp_path: Path) -> None:
    epochs = {0: [0, 1, 5]}
    written = snapshots(SHAPES, epochs)
    write_snapshot_arrays(tmp_path / "x.h5", SHAPES, epochs, written.items())
    values = SnapshotArrays(tmp_path / "x.h5").read(0, [5, 0, 5])
    np.testing.assert_array_equal(values[0], values[2])
    np.testing.assert_array_equal(values[1][:6].reshape(2, 3), written[0][0]["conv"])


def test_what_is_read_is_the_callers_own(tmp_path: Path) -> None:
    epochs = {0: [0, 1]}
    write_snapshot_arrays(tmp_path / "x.h5", SHAPES, epochs, snapshots(SHAPES, epochs).items())
    reader = SnapshotArrays(tmp_path / "x.h5")
    first = reader.read(0, [0, 1])
    kept = first.copy()
    first[:] = 0
    np.testing.assert_array_equal(reader.read(0, [0, 1]), kept)


finite = st.floats(-(2.0**100), 2.0**100, width=32, allow_subnormal=False)


@given(arrays.arrays(np.float32, st.integers(1, 20), elements=finite), st.integers(1, 22))
def test_rounding_keeps_the_nearest_value_of_so_many_bits(values: np.ndarray, bits: int) -> None:
    kept = rounded(values, bits)
    # The last remaining bit of a float is worth 2^(exponent - bits): at most half of that is lost.
    _, exponent = np.frexp(values.astype(np.float64))
    assert (np.abs(kept.astype(np.float64) - values) <= np.ldexp(0.5, exponent - 1 - bits)).all()
    np.testing.assert_array_equal(rounded(kept, bits), kept)
    assert (kept.view(np.uint32) & np.uint32((1 << (FLOAT32_MANTISSA_BITS - bits)) - 1) == 0).all()


def test_values_that_are_not_finite_survive_rounding() -> None:
    values = np.array([np.nan, np.inf, -np.inf, 0.0], dtype=np.float32)
    np.testing.assert_array_equal(rounded(values, 12), values)


def test_a_failed_write_leaves_no_file(tmp_path: Path) -> None:
    def interrupted() -> object:
        yield from snapshots(SHAPES, {0: [0]}).items()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_snapshot_arrays(tmp_path / "x.h5", SHAPES, {0: [0], 1: [0]}, interrupted())  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
