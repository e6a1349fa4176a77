"""Random architectures and weights for hypothesis."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from nndynbench.graphs import Architecture, random_weights
from tests.graphs.pixelwise import described


@st.composite
def plain_architectures(draw: st.DrawFn) -> Architecture:
    """One to three convs of any kernel, stride and padding, pools between them, and one or two fully connected layers."""
    shape = (draw(st.integers(1, 3)), draw(st.integers(3, 7)), draw(st.integers(3, 7)))
    entries = []
    height, width = shape[1:]
    for number in range(draw(st.integers(1, 3))):
        kernel = draw(st.integers(1, min(3, height, width)))
        stride, padding = draw(st.integers(1, 2)), draw(st.integers(0, kernel - 1))
        filters = draw(st.integers(1, 3))
        sizes = {"filters": filters, "kernel": kernel, "stride": stride, "padding": padding}
        entries.append({"kind": "conv", "name": f"conv{number}", **sizes})
        height, width = ((size + 2 * padding - kernel) // stride + 1 for size in (height, width))
        if min(height, width) >= 2 and draw(st.booleans()):
            pool, step = draw(st.integers(2, min(3, height, width))), draw(st.integers(1, 2))
            entries.append({"kind": "max-pool", "name": f"pool{number}", "kernel": pool, "stride": step})
            height, width = ((size - pool) // step + 1 for size in (height, width))
    if draw(st.booleans()):
        entries.append({"kind": "fc", "name": "hidden", "units": draw(st.integers(1, 4))})
    entries.append({"kind": "fc", "name": "out", "units": draw(st.integers(1, 4))})
    return described(shape, *entries)


@st.composite
def networks(draw: st.DrawFn) -> tuple[Architecture, dict[str, np.ndarray]]:
    """An architecture with weights; some are 0, some equal others."""
    architecture = draw(plain_architectures())
    weights = random_weights(architecture, seed=draw(st.integers(0, 1000)))
    share = draw(st.sampled_from([0.0, 0.0, 0.3, 0.9]))
    random = np.random.default_rng(draw(st.integers(0, 1000)))
    for name, values in weights.items():
        if draw(st.booleans()):
            values = np.round(values, 1)  # makes many of them equal
        weights[name] = np.where(random.random(values.shape) < share, np.float32(0), values)
    return architecture, weights
