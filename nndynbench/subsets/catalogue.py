"""The catalogue: what is known of every subset, read from ``catalogue.toml``."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from nndynbench.names import check_name
from nndynbench.storage.manifest import TierName


@dataclass(frozen=True)
class Superseded:
    """An old version's successor, and why it was needed."""

    by: str
    why: str


@dataclass(frozen=True)
class Bundled:
    """The part of a tier that the repository keeps: values rounded to ``bits`` of mantissa, for some networks and epochs
    (None: all).
    """

    bits: int
    epochs: Sequence[int] | None = None
    networks: int | None = None
    of_each_label: int | None = None


@dataclass(frozen=True)
class CatalogueEntry:
    """The facts of one subset; the head of catalogue.toml explains each of them."""

    name: str
    architecture: str
    images: str
    grid: str
    threshold: float | str
    version: str
    summary: str
    paper: str | None = None
    earlier: Sequence[str] = ()
    superseded: Mapping[str, Superseded] = field(default_factory=dict)
    bundle: Mapping[TierName, Bundled] = field(default_factory=dict)
    beside: Mapping[TierName, Bundled] = field(default_factory=dict)
    features: Sequence[int] | None = None
    seeds: int | None = None


def catalogue() -> dict[str, CatalogueEntry]:
    """Every subset's entry, by name."""
    return {name: _entry(name, **facts) for name, facts in _catalogue()["subsets"].items()}


def catalogue_entry(name: str) -> CatalogueEntry:
    """One subset's entry; raises `UnknownNameError` for a name that is not in the catalogue."""
    entries = catalogue()
    return entries[check_name(name, entries, what="subset")]


def paper_column(name: str) -> str | None:
    """The column of the paper's tables that a subset stands for; None for other subsets, and for packs of one's own."""
    entry = catalogue().get(name)
    return None if entry is None else entry.paper


def read_as(name: str, version: str) -> str:
    """The version with the same networks and tables as this one: this one itself, unless the catalogue names a later one."""
    entry = catalogue().get(name)
    return entry.version if entry is not None and version in entry.earlier else version


def hub_repository() -> str:
    """The hub's repository of packed subsets, unless ``NNDYNBENCH_HUB`` names another."""
    return os.environ.get("NNDYNBENCH_HUB") or str(_catalogue()["hub"])


def is_published() -> bool:
    """Whether there is a repository to download from: the catalogue's, once it is published, or one of the user's own."""
    return bool(os.environ.get("NNDYNBENCH_HUB") or _catalogue()["published"])


def _entry(
    name: str,
    *,
    superseded: Mapping[str, Mapping[str, str]] | None = None,
    bundle: Mapping[TierName, Mapping[str, Any]] | None = None,
    beside: Mapping[TierName, Mapping[str, Any]] | None = None,
    **facts: Any,
) -> CatalogueEntry:
    old = {version: Superseded(**successor) for version, successor in (superseded or {}).items()}
    inside, outside = (
        {tier: Bundled(**_unchanging(part)) for tier, part in (parts or {}).items()} for parts in (bundle, beside)
    )
    return CatalogueEntry(name, superseded=old, bundle=inside, beside=outside, **_unchanging(facts))


def _unchanging(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts with tuples in place of lists: who gets an entry cannot change it for others."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in facts.items()}


@cache
def _catalogue() -> dict[str, Any]:
    return tomllib.loads(files("nndynbench.subsets").joinpath("catalogue.toml").read_text(encoding="utf-8"))
