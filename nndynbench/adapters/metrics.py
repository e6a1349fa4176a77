"""What a library calls its metrics, as the curves of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nndynbench.given import ACCURACIES
from nndynbench.recording.record import RunError


def curves_from(metrics: Mapping[str, Any], names: Mapping[str, str], *, fractions: bool) -> dict[str, Any]:
    """The curves of an epoch: those of ``names`` (curve to metric) that the library has logged; accuracies in percent."""
    return {
        curve: percent(float(metrics[metric]), metric, fractions=fractions and curve in ACCURACIES)
        for curve, metric in names.items()
        if metric in metrics
    }


def percent(value: float, name: str, *, fractions: bool) -> float:
    """A value as it is, or, of ``fractions``, a hundredfold.

    Raises
    ------
    RunError
        For a fraction above 1.
    """
    if fractions and value > 1:
        raise RunError(f"{name} is {value:g}, no fraction: say fractions=False, where accuracies are logged in percent")
    return 100 * value if fractions else value
