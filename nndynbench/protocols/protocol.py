"""Protocols as data, from ``protocols.toml``."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from nndynbench.names import check_name
from nndynbench.protocols.metrics import METRICS

Task = Literal["classification", "regression"]


@dataclass(frozen=True)
class Protocol:
    """One protocol. The head of protocols.toml explains each field."""

    name: str
    task: Task
    target: str
    metrics: tuple[str, ...]
    source: str
    budgets: str
    split: str | None = None
    draws: int = 1
    test: Literal["same", "another"] = "same"
    predictions: str | None = None
    above_chance: Mapping[str, float] = field(default_factory=dict)
    plateau: Literal["on", "off"] | None = None
    within: Literal["recipe"] | None = None
    cells_apart: bool = False
    groups: tuple[tuple[str, ...], ...] = ()
    earlier_metrics: tuple[str, ...] = ()
    superseded: str = ""

    @property
    def fitted(self) -> Protocol:
        """The protocol whose fits this one scores: itself, or the one that ``predictions`` names."""
        return find_protocol(self.predictions) if self.predictions else self

    @property
    def blended(self) -> str | None:
        """The metric that measures what one method adds to another; None if there is none. Only predictions in percent can
        be blended.
        """
        return next((metric for metric in self.metrics if METRICS[metric].blends), None)

    def lowest_scored(self, *, images: str, chance: float) -> float | None:
        """The lowest final accuracy, in percent, at which a network is scored; None if all are."""
        if not self.above_chance:
            return None
        return chance + self.above_chance.get(images, self.above_chance["default"])


@cache
def protocols() -> dict[str, Protocol]:
    """All protocols, by name.

    Examples
    --------
    >>> import nndynbench
    >>> nndynbench.protocols()["classification"].metrics
    ('accuracy', 'balanced_accuracy', 'roc_auc')
    """
    text = files("nndynbench.protocols").joinpath("protocols.toml").read_text(encoding="utf-8")
    return {name: _protocol(name, facts) for name, facts in tomllib.loads(text).items()}


def find_protocol(name: str | Protocol) -> Protocol:
    """One protocol; raises `UnknownNameError` for a name that does not exist."""
    return name if isinstance(name, Protocol) else protocols()[check_name(name, protocols(), what="protocol")]


# The protocol that a method is scored under by default, by its task.
DEFAULT_PROTOCOLS: dict[Task, str] = {"classification": "classification", "regression": "regression-folds"}


def read_budgets(text: str) -> list[int]:
    """Reads ``"5"``, ``"1-10"`` or ``"1,3,5"`` as a list of budgets without duplicates; raises ValueError for
    anything else.
    """
    if not re.fullmatch(r"\d+(-\d+)?(,\d+(-\d+)?)*", text):
        raise ValueError(f"budgets must be written as 5, 1-10, or 1,3,5, not {text!r}")
    chosen: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        span = range(int(first), int(last or first) + 1)
        if not span:
            raise ValueError(f"{part!r} is an empty range: write {last}-{first}")
        chosen += span
    return list(dict.fromkeys(chosen))


def _protocol(name: str, facts: dict[str, Any]) -> Protocol:
    several = {name: tuple(facts.get(name, ())) for name in ("metrics", "earlier_metrics")}
    several["groups"] = tuple(map(tuple, facts.get("groups", ())))
    return Protocol(name, **{**facts, **several})
