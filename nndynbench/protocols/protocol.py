"""Protocols as data, from ``protocols.toml``."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

from nndynbench.names import known

Task = Literal["classification", "regression"]


@dataclass(frozen=True)
class Protocol:
    """One protocol; see the head of protocols.toml for what each fact means."""

    name: str
    task: Task
    split: str
    target: str
    metrics: tuple[str, ...]
    source: str


@cache
def protocols() -> dict[str, Protocol]:
    """All protocols, by name."""
    text = files("nndynbench.protocols").joinpath("protocols.toml").read_text(encoding="utf-8")
    return {
        name: Protocol(name, **{**facts, "metrics": tuple(facts["metrics"])}) for name, facts in tomllib.loads(text).items()
    }


def protocol(name: str | Protocol) -> Protocol:
    """One protocol; raises `UnknownNameError` for a name that does not exist."""
    return name if isinstance(name, Protocol) else protocols()[known(name, protocols(), what="protocol")]
