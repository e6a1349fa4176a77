"""Results on disk: a method's result is fitted once per subset, protocol and budget, and read back afterwards.

``<folder>/<subset>/<protocol>/<method>.<key>.json``, the key from the subset's checksum, the method's file and its chosen
parameters, the code that makes columns of histories and fits, and scikit-learn's version: a change of any of them is another
file. What is stored are predictions: they are scored again whenever they are read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from nndynbench.protocols.harness import evaluate, rescore
from nndynbench.protocols.method import Method, find_method, label_of
from nndynbench.protocols.protocol import Protocol
from nndynbench.protocols.results import Result, at_budgets, joined, read_result
from nndynbench.storage.files import user_path

if TYPE_CHECKING:
    from nndynbench.subsets import Subset

# What decides the predictions of an unchanged method on an unchanged subset; of a folder, all modules and data.
CODE = (
    *("columns.py", "centralities", "features", "signatures", "graphs/architectures.toml"),
    *(
        f"graphs/{module}.py"
        for module in ("architecture", "initialisation", "layered", "norms", "operators", "rolled", "unrolled", "weights")
    ),
    *("subsets/history.py", "subsets/reader.py", "subsets/packed.py", "storage/pack.py"),
    *("protocols/harness.py", "protocols/method.py", "protocols/tuning.py"),
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
        path = self._path(method, subsets, fitted)
        stored = read_result(path) if path.is_file() else None
        if missing := _missing(stored, budgets):
            fresh = evaluate(method, subsets, protocol=fitted, epochs=missing, name=label_of(method), jobs=jobs)
            stored = fresh if stored is None else joined(stored, fresh)
            path.parent.mkdir(parents=True, exist_ok=True)
            stored.save(path)
        assert stored is not None
        return at_budgets(stored, budgets)

    def holds(self, name: str, subsets: Sequence[Subset], protocol: Protocol, budgets: Sequence[int]) -> bool:
        """Whether `result` would fit nothing."""
        path = self._path(find_method(name), subsets, protocol.fitted)
        return path.is_file() and not _missing(read_result(path), budgets)

    def _path(self, method: Method, subsets: Sequence[Subset], protocol: Protocol) -> Path:
        subsets = sorted(subsets, key=lambda subset: subset.name)
        parts = (
            *(subset.checksum for subset in subsets),
            method.fingerprint,
            repr(protocol),
            _code(),
            version("scikit-learn"),
        )
        key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
        folder = "+".join(f"{subset.name}-{subset.version}" for subset in subsets)
        return user_path(self.folder) / folder / protocol.name / f"{label_of(method)}.{key}.json"


def _missing(stored: Result | None, budgets: Sequence[int]) -> list[int]:
    known = set(stored.scores["epochs"]) if stored is not None else set()
    return [budget for budget in budgets if budget not in known]


@cache
def _code() -> str:
    package = Path(__file__).parents[1]
    listed = [file for path in CODE for file in ((package / path).rglob("*") if "." not in path else [package / path])]
    code = sorted(file for file in listed if file.suffix in {".py", ".toml"})
    return hashlib.sha256(b"".join(file.read_bytes() for file in code)).hexdigest()
