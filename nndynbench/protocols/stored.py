"""Results on disk: a method is fitted once per subset, protocol and budget, and its result is read back afterwards.

A result is in ``<folder>/<subset>-<version>/<protocol>/<method>.<key>.json``. A change of any of these gives another key,
and so another file:

- the subset's checksum (with its arrays, if the method reads weights, since those at hand may be rounded)
- the method's file, with all that it imports, the files that it and the user's other modules name, and its chosen parameters
- the protocol, and the code that decides predictions (`nndynbench.sources.DECIDES`)
- the version of scikit-learn

Stored predictions are scored again whenever they are read. One process at a time fits for a file: all its budgets need one
order of the networks, which others know only when the first of them is stored.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from typing import Protocol as TypingProtocol

from nndynbench.protocols.harness import evaluate, rescore
from nndynbench.protocols.method import Method, as_method, find_method, label_of
from nndynbench.protocols.protocol import Protocol, find_protocol
from nndynbench.protocols.results import Result, at_budgets, budgets_and_draws, joined, readable_result
from nndynbench.sources import deciding_code
from nndynbench.storage.elsewhere import written_somewhere
from nndynbench.storage.files import LONGEST_STEM, joined_names, locked, user_path
from nndynbench.subsets.history import WEIGHTS

if TYPE_CHECKING:
    from nndynbench.subsets import Subset


class FittedElsewhereWarning(UserWarning):
    """Another process fits the same method on the same networks: this one waits, then fits only what is still missing."""


class ResultSource(TypingProtocol):
    """Anything that gives a method's result, or raises `MethodError`."""

    def result(
        self,
        name: str,
        subsets: Sequence[Subset],
        protocol: Protocol,
        budgets: Sequence[int],
        *,
        draws: int = 1,
        jobs: int = 1,
    ) -> Result: ...


def as_fitted(result: Result, subsets: Sequence[Subset]) -> Result:
    """A result of a protocol such as "trained", which scores another one's predictions, as that other one's; any other
    result is scored again.
    """
    fitted = find_protocol(result.facts.protocol).fitted
    facts = result.facts.model_copy(update={"protocol": fitted.name})
    return rescore(replace(result, facts=facts), subsets, fitted)


def as_source(results: str | Path | ResultSource) -> ResultSource:
    """A folder becomes the results that are stored there; any other source is returned as it is."""
    return StoredResults(Path(results)) if isinstance(results, (str, Path)) else results


@dataclass(frozen=True)
class StoredResults:
    """A folder of results. What it lacks is fitted, in a drawn order of the networks or in that of ``order_seed``."""

    folder: Path
    order_seed: int | Literal["drawn"] = "drawn"

    def result(
        self,
        name: str,
        subsets: Sequence[Subset],
        protocol: Protocol,
        budgets: Sequence[int],
        *,
        draws: int = 1,
        jobs: int = 1,
    ) -> Result:
        """A method's result: the predictions from `fitted`, scored now; raises what `fitted` raises."""
        return rescore(self.fitted(name, subsets, protocol, budgets, draws=draws, jobs=jobs), subsets, protocol)

    def fitted(
        self,
        name: str,
        subsets: Sequence[Subset],
        protocol: Protocol,
        budgets: Sequence[int],
        *,
        draws: int = 1,
        jobs: int = 1,
    ) -> Result:
        """A method's predictions, read from where they are stored.

        Budgets and draws of the folds that are missing or cannot be read are evaluated and stored first (`written_somewhere`
        else, if the folder cannot be written). Stored predictions under more draws are returned too. The scores are those of
        when the result was stored. While another process fits for the same file, this one waits.

        Raises
        ------
        MethodError
            If the method fails.

        Warns
        -----
        FittedElsewhereWarning
            Before it waits for another process.
        """
        method, fitted = find_method(name), protocol.fitted
        budgets = list(dict.fromkeys(budgets))
        path = self._path(method, subsets, fitted)
        stored = readable_result(path)
        if _missing(stored, budgets, draws):
            with _alone_with(path):
                stored = readable_result(path)
                order: Any = stored.facts.order_seed if stored is not None else self.order_seed
                for numbers, at in _missing(stored, budgets, draws).items():
                    fresh = evaluate(
                        name,
                        subsets,
                        protocol=fitted,
                        budgets=at,
                        name=label_of(method),
                        jobs=jobs,
                        order_seed=order,
                        draws=numbers,
                    )
                    stored, order = fresh if stored is None else joined(stored, fresh), fresh.facts.order_seed
                    written_somewhere(stored.save, path)
        assert stored is not None
        return at_budgets(stored, budgets)

    def adopt(self, result: Result, method: str | Method, subsets: Sequence[Subset], protocol: Protocol) -> None:
        """Store what a method predicted elsewhere, such as a submission's predictions, if these are of all budgets and draws
        of the folds that are stored already, and of more. The method is the one that predicted: its file may have changed
        since.
        """
        path, predicted = self._path(as_method(method), subsets, protocol.fitted), budgets_and_draws(result)
        if not budgets_and_draws(readable_result(path)) < predicted:
            return
        with _alone_with(path):
            if budgets_and_draws(readable_result(path)) < predicted:
                written_somewhere(as_fitted(result, subsets).save, path)

    def holds(
        self, name: str, subsets: Sequence[Subset], protocol: Protocol, budgets: Sequence[int], *, draws: int = 1
    ) -> bool:
        """Whether `result` can be given without a fit."""
        path = self._path(find_method(name), subsets, protocol.fitted)
        return not _missing(readable_result(path), budgets, draws)

    def _path(self, method: Method, subsets: Sequence[Subset], protocol: Protocol) -> Path:
        subsets = sorted(subsets, key=lambda subset: subset.name)
        parts = (
            *(subset.pack.content if WEIGHTS in method.reads else subset.checksum for subset in subsets),
            method.fingerprint,
            repr(protocol),
            deciding_code("predictions"),
            version("scikit-learn"),
        )
        key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
        folder = joined_names([f"{subset.name}-{subset.version}" for subset in subsets])
        return user_path(self.folder) / folder / protocol.name / f"{label_of(method)}.{key}.json"


def _missing(stored: Result | None, budgets: Sequence[int], draws: int) -> dict[tuple[int, ...], list[int]]:
    """The draws that are not stored, each set of them with the budgets at which it is missing."""
    known = budgets_and_draws(stored)
    missing: dict[tuple[int, ...], list[int]] = {}
    for budget in budgets:
        if absent := tuple(draw for draw in range(draws) if (budget, draw) not in known):
            missing.setdefault(absent, []).append(budget)
    return missing


@contextmanager
def _alone_with(path: Path) -> Iterator[None]:
    """Makes others that would write the same result wait. Where nothing can be locked or written, nobody waits."""
    lock = path.with_name(f"{path.stem[-LONGEST_STEM:]}.lock")  # the end of a name tells it from others
    with ExitStack() as held:
        with suppress(OSError):
            lock.parent.mkdir(parents=True, exist_ok=True)
            if not held.enter_context(locked(lock, blocking=False)):
                warnings.warn(f"another process is fitting {path}: waiting for it", FittedElsewhereWarning, stacklevel=4)
                held.enter_context(locked(lock))
        yield
