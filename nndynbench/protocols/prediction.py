"""Prediction for a run of one's own (the paper's Figure 1): a named method, fitted on a whole subset."""

from __future__ import annotations


class Prediction: ...


def predict() -> None: ...
