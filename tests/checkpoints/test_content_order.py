"""The order in which a checkpoint's tensors are read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nndynbench.checkpoints import read_content
from nndynbench.graphs import describe


def test_the_tensors_of_a_safetensors_file_come_sorted_by_name(tmp_path: Path) -> None:
    save_file = pytest.importorskip("safetensors.numpy").save_file
    layers = {f"{place}.weight": np.ones((4, 4), dtype=np.float32) for place in (0, 2, 4, 10, 12)}
    save_file(layers, tmp_path / "network.safetensors")
    read = read_content(str(tmp_path / "network.safetensors"))
    assert list(read) == sorted(layers)
    assert list(describe(read).layer_sizes)[1:] == ["0", "2", "4", "10", "12"]
