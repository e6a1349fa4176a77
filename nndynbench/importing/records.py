"""Makes a record of what a zoo logged about a run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from nndynbench.errors import NndynbenchError
from nndynbench.recording.record import RunRecord, up_to_divergence


class ZooLayoutError(NndynbenchError, ValueError):
    """A folder that is not laid out as its zoo was published; names the file and what is missing in it."""


def record_of(
    description: dict[str, Any],
    hyperparameters: Mapping[str, int | float | str],
    curves: Sequence[dict[str, Any]],
    *,
    test_fraction: float,
) -> RunRecord:
    """A run's record. Its curves end where it diverged. ``test_fraction``, from 0 to 1, is its outcome if it is finite."""
    epochs, has_diverged = up_to_divergence(curves)
    return RunRecord(
        architecture=description,
        hyperparameters=dict(hyperparameters),
        epochs=epochs,
        test_accuracy=100 * test_fraction if math.isfinite(test_fraction) else None,
        diverged=has_diverged,
    )
