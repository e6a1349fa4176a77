"""Results on disk: a method's result is fitted once per subset, protocol and budget, and read back afterwards.

``<folder>/<subset>/<protocol>/<method>.<key>.json``, the key from the subset's checksum, the method's file and its chosen
parameters, the code that hands histories over, and scikit-learn's version: a change of any of them is another file. What is
stored are predictions: they are scored again whenever they are read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from nndynbench.protocols.harness import evaluate, rescore
from nndynbench.protocols.method import Method, find_method
from nndynbench.protocols.protocol import Protocol
from nndynbench.protocols.results import Result, read_result

if TYPE_CHECKING:
    from nndynbench.subsets import Subset

# What decides the predictions of an unchanged method on an unchanged subset.
CODE = (
    *("columns.py", "signatures/snapshot.py", "signatures/temporal.py", "subsets/history.py", "subsets/stored.py"),
    *("protocols/harness.py", "protocols/tuning.py"),
)


@dataclass(frozen=True)
class StoredResults:
    """A folder of results."""

    folder: Path

    def result(
        self, name: str, subsets: Sequence[Subset], protocol: Protocol, budgets: Sequence[int], *, jobs: int = 1
    ) -> Result:
        """A method's result, scored from what `fitted` gives; raises what that raises."""
        return rescore(self.fitted(name, subsets, protocol, budgets, jobs=jobs), subsets, protocol)

    def fitted(
        self, name: str, subsets: Sequence[Subset], protocol: Protocol, budgets: Sequence[int], *, jobs: int = 1
    ) -> Result:
        """A method's predictions, read where they are stored; the budgets that are missing are evaluated and stored first.
        Its scores are those of when it was stored.

        Raises
        ------
        MethodError
            If the method fails.
        """
        method, fitted = find_method(name), protocol.fitted
        budgets = list(dict.fromkeys(budgets))
        subsets = sorted(subsets, key=lambda subset: subset.name)
        path = self._path(name, method, subsets, fitted)
        stored = read_result(path) if path.is_file() else None
        if missing := _missing(stored, budgets):
            fresh = evaluate(method, subsets, protocol=fitted, epochs=missing, name=_label(name), jobs=jobs)
            stored = fresh if stored is None else _joined(stored, fresh)
            path.parent.mkdir(parents=True, exist_ok=True)
            stored.save(path)
        assert stored is not None
        return _at(stored, budgets)

    def holds(self, name: str, subsets: Sequence[Subset], protocol: Protocol, budgets: Sequence[int]) -> bool:
        """Whether `result` would fit nothing."""
        path = self._path(name, find_method(name), subsets, protocol.fitted)
        return path.is_file() and not _missing(read_result(path), budgets)

    def _path(self, name: str, method: Method, subsets: Sequence[Subset], protocol: Protocol) -> Path:
        parts = (
            *(subset.checksum for subset in subsets),
            method.fingerprint,
            repr(protocol),
            _code(),
            version("scikit-learn"),
        )
        key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
        folder = "+".join(f"{subset.name}-{subset.version}" for subset in subsets)
        return self.folder / folder / protocol.name / f"{_label(name)}.{key}.json"


def _label(name: str) -> str:
    """A method's name, also of one in a file: "my_method" of "folder/my_method.py"."""
    return name.rpartition("/")[2].replace(".py:", "-").removesuffix(".py")


def _missing(stored: Result | None, budgets: Sequence[int]) -> list[int]:
    known = set(stored.scores["epochs"]) if stored is not None else set()
    return [budget for budget in budgets if budget not in known]


def _at(result: Result, budgets: Iterable[int]) -> Result:
    wanted = list(budgets)
    scores, predictions = (table[table["epochs"].isin(wanted)] for table in (result.scores, result.predictions))
    return Result(scores.reset_index(drop=True), predictions.reset_index(drop=True), result.facts)


def _joined(stored: Result, fresh: Result) -> Result:
    scores, predictions = (
        pd.concat([getattr(stored, table), getattr(fresh, table)]).sort_values("epochs", kind="stable", ignore_index=True)
        for table in ("scores", "predictions")
    )
    facts = {
        **fresh.facts,
        "tier": sorted({*stored.facts["tier"], *fresh.facts["tier"]}),
        "seconds": round(stored.facts["seconds"] + fresh.facts["seconds"], 3),
    }
    return Result(scores, predictions, facts)


@cache
def _code() -> str:
    package = files("nndynbench")
    return hashlib.sha256(b"".join(package.joinpath(*path.split("/")).read_bytes() for path in CODE)).hexdigest()
