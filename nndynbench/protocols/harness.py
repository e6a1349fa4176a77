"""The harness: fits a method inside each fold on histories cut at each budget, and scores what it predicts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from importlib.metadata import version
from itertools import permutations
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from nndynbench.protocols.method import SEED, Method, MethodError, as_method, described, label_of, seeded, why_it_failed
from nndynbench.protocols.protocol import Protocol, Task
from nndynbench.protocols.protocol import protocol as find_protocol
from nndynbench.protocols.results import Result
from nndynbench.protocols.scoring import cluster_of, score
from nndynbench.protocols.tuning import TUNING_SUBSET, tuned
from nndynbench.subsets import load
from nndynbench.subsets.history import INFORMATION_TIERS

if TYPE_CHECKING:
    from nndynbench.subsets import History, Subset

FloatArray = npt.NDArray[np.float64]

NUMBERS = (Real, Decimal)

RECORDED_LIBRARIES = ("nndynbench", "numpy", "scipy", "scikit-learn", "pandas")


def evaluate(
    method: Any,
    subsets: str | Subset | Sequence[str | Subset],
    *,
    protocol: str | Protocol = "classification",
    epochs: int | Sequence[int] = 5,
    name: str | None = None,
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Result:
    """Score a method.

    Parameters
    ----------
    method
        A scikit-learn estimator whose ``X`` is a sequence of histories, a `Method`, the name of a bundled method
        ("degree-svm"), or a file with one ("my_method.py", "my_method.py:NAME").
    subsets
        One subset, by name or loaded, or several. For a protocol that tests another subset than it trains on
        ("transfer"): two or more, every one is trained on and tested on each other one.
    protocol
        The name of a protocol.
    epochs
        The budget, or several: how many epochs the method may see.
    name
        What to call it in the result; by default its name in ``METHODS``, or the estimator's class.
    jobs
        Fits at a time, in threads.
    progress
        Called with how many fits are done, and how many there are.

    Raises
    ------
    UnknownNameError, BudgetError, SplitError
        For a subset, protocol, method, budget or split that is not to be had, listing what is.
    MethodError
        Naming subset, budget and fold, if the method fails.
    """
    chosen = find_protocol(protocol)
    resolved = as_method(method)
    estimator = resolved.estimator(chosen) if isinstance(resolved, Method) else resolved
    label = name or label_of(resolved)
    loaded = loaded_subsets(subsets)
    budgets = [epochs] if isinstance(epochs, (int, np.integer, str)) else list(dict.fromkeys(epochs))
    if not budgets:
        raise ValueError("no budget to evaluate at: name one or more in epochs")
    start = time.perf_counter()
    read: set[str] = set()
    choices = dict(resolved.choices) if isinstance(resolved, Method) else {}
    fits = [fit for budget in budgets for fit in _fits(loaded, chosen.fitted, budget, read)]
    predictions = _predictions(fits, estimator, choices, label, jobs, progress or (lambda done, total: None))
    declared = set(resolved.tier) if isinstance(resolved, Method) else set(INFORMATION_TIERS)
    if undeclared := read - declared:
        raise MethodError(f"{label} declares the tier {sorted(declared)} and read {sorted(undeclared)}")
    facts = {
        "method": label,
        "description": resolved.description if isinstance(resolved, Method) else described(estimator),
        "source": resolved.source if isinstance(resolved, Method) else "",
        "fingerprint": resolved.fingerprint if isinstance(resolved, Method) else "",
        "tier": sorted(read),
        "protocol": chosen.name,
        "subsets": [{"name": s.name, "version": s.version, "checksum": s.checksum} for s in loaded],
        "libraries": {library: version(library) for library in RECORDED_LIBRARIES},
        "seconds": round(time.perf_counter() - start, 3),
    }
    return Result(score(predictions, loaded, chosen), predictions, facts)


def rescore(result: Result, subsets: Sequence[Subset], protocol: str | Protocol) -> Result:
    """The result of a protocol that scores another one's predictions, such as "trained", from that one's result.

    Raises
    ------
    ValueError
        For a result of another protocol than the one whose predictions are scored.
    """
    chosen = find_protocol(protocol)
    if result.facts["protocol"] != chosen.fitted.name:
        raise ValueError(f"{chosen.name} scores predictions of {chosen.fitted.name}, not of {result.facts['protocol']}")
    facts = {**result.facts, "protocol": chosen.name}
    return Result(score(result.predictions, subsets, chosen), result.predictions, facts)


@dataclass(frozen=True)
class Fit:
    """One fit: the histories that the method is fitted on and those that it is asked about, by network id."""

    trained_on: Subset
    tested_on: Subset
    protocol: Protocol
    epochs: int
    fold: int
    train: Mapping[int, History]
    test: Mapping[int, History]

    def predictions(self, estimator: Any, choices: dict[str, Sequence[Any]], label: str) -> pd.DataFrame:
        """A row per test network.

        Raises
        ------
        MethodError
            Naming subset, budget and fold, if the method raises or returns something else than predictions.
        """
        from sklearn.base import clone

        subset = self.tested_on.name
        other = f" (trained on {self.trained_on.name})" if self.trained_on is not self.tested_on else ""
        where = f"{label} on {subset}{other}, {self.protocol.name}, budget {self.epochs}, fold {self.fold}"
        facts = self.trained_on.networks.loc[list(self.train)]
        target = facts[self.protocol.target].to_numpy()
        # Ids follow the grid, so a history's place in the list would tell its learning rate.
        shuffled = np.random.default_rng(SEED).permutation(len(self.test))
        histories = list(self.test.values())
        # Lists and labels of its own: a method may do with them what it likes.
        seen, asked = list(self.train.values()), [histories[position] for position in shuffled]
        try:
            fresh = seeded(clone(estimator))
            if choices and self.trained_on.name == TUNING_SUBSET:
                groups = cluster_of(facts).to_numpy()
                fitted = tuned(fresh, choices, seen, target.copy(), groups=groups, task=self.protocol.task)
            else:
                fitted = fresh.fit(seen, target.copy())
            predicted = real_numbers(fitted.predict(list(asked)), what="predictions")
            scores = _score(fitted, asked) if self.protocol.task == "classification" else None
        except (Exception, SystemExit) as error:
            raise MethodError(f"{where}: {why_it_failed(error)}") from error
        check_predictions(predicted, len(asked), self.protocol.task, where)
        if scores is None:
            scores = np.full(len(asked), np.nan)
        else:
            check_numbers(scores, len(asked), where, what="scores")
        places = np.argsort(shuffled)
        truth = self.tested_on.networks.loc[list(self.test), self.protocol.target].to_numpy(dtype=np.float64)
        key = {"subset": subset, "epochs": self.epochs, "fold": self.fold, "network": list(self.test)}
        if self.protocol.test == "another":
            key["trained_on"] = self.trained_on.name
        return pd.DataFrame({**key, "truth": truth, "prediction": predicted[places], "score": scores[places]})


def loaded_subsets(subsets: str | Subset | Sequence[str | Subset]) -> list[Subset]:
    """One subset or several, by name or loaded, as a list of loaded ones, each once.

    Raises
    ------
    ValueError
        For two subsets of one name: results tell subsets apart by it.
    """
    several: Sequence[str | Subset] = (
        subsets if isinstance(subsets, Sequence) and not isinstance(subsets, str) else [subsets]
    )
    loaded: dict[str, Subset] = {}
    for subset in (load(subset) if isinstance(subset, str) else subset for subset in several):
        if loaded.setdefault(subset.name, subset).checksum != subset.checksum:
            raise ValueError(f"{subset.name} is there in two versions, {loaded[subset.name].version} and {subset.version}")
    return list(loaded.values())


def check_predictions(predicted: FloatArray, count: int, task: Task, where: str) -> None:
    """Raise `MethodError` for predictions of the wrong shape, that are not finite, or that are no classes."""
    check_numbers(predicted, count, where, what="predictions")
    if task == "classification" and not np.isin(predicted, (0, 1)).all():
        raise MethodError(
            f"{where}: a classifier must predict 0 or 1, not {sorted(set(predicted.tolist()) - {0.0, 1.0})[:3]}"
        )


def check_numbers(numbers: FloatArray, count: int, where: str, *, what: str) -> None:
    """Raise `MethodError` for other than one finite number for each network."""
    if numbers.shape != (count,):
        raise MethodError(f"{where}: {what} have shape {numbers.shape}, expected {(count,)}")
    if not np.isfinite(numbers).all():
        raise MethodError(f"{where}: {np.sum(~np.isfinite(numbers))} of {count} {what} are not finite")


def _fits(subsets: Sequence[Subset], protocol: Protocol, budget: int, read: set[str]) -> Iterator[Fit]:
    if protocol.test == "another":
        if len(subsets) < 2:
            raise ValueError(f"{protocol.name} trains on one subset and tests another: name at least two")
        known = {subset.name: _histories(subset, subset.network_ids, budget, read) for subset in subsets}
        for source, goal in permutations(subsets, 2):
            yield Fit(source, goal, protocol, budget, 0, known[source.name], known[goal.name])
        return
    for subset in subsets:
        folds = subset.split(str(protocol.split))
        histories = _histories(
            subset, sorted({network for fold in folds for side in fold for network in side}), budget, read
        )
        for fold, sides in enumerate(folds):
            train, test = ({network: histories[network] for network in side} for side in sides)
            yield Fit(subset, subset, protocol, subset.budget(budget), fold, train, test)


def _histories(subset: Subset, ids: Sequence[int], budget: int, read: set[str]) -> dict[int, History]:
    return dict(zip(ids, subset.histories(ids, budget, read=read), strict=True))


def _predictions(
    fits: Sequence[Fit], estimator: Any, choices: Any, label: str, jobs: int, progress: Callable[[int, int], None]
) -> pd.DataFrame:
    from joblib import Parallel, delayed

    # Threads: the histories share the subset's tables, and the fits are short.
    working = Parallel(n_jobs=jobs, prefer="threads", return_as="generator")
    parts = []
    for part in working(delayed(fit.predictions)(estimator, choices, label) for fit in fits):
        parts.append(part)
        progress(len(parts), len(fits))
    predictions: pd.DataFrame = pd.concat(parts, ignore_index=True)
    return predictions


def real_numbers(values: Any, *, what: str) -> FloatArray:
    """What a method returned, as numbers.

    Raises
    ------
    TypeError
        For dates, texts, complex numbers and the like, and for masked values: nothing that numpy would make numbers of.
    """
    if np.ma.is_masked(values):
        raise TypeError(f"{np.sum(np.ma.getmaskarray(values))} of {np.size(values)} {what} are masked")
    array = np.asarray(values)
    if array.dtype.kind == "O" and all(isinstance(value, NUMBERS) for value in array.flat):
        array = array.astype(np.float64)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{what} are {_kind_of(array)}, not real numbers")
    return array.astype(np.float64)


def _kind_of(array: npt.NDArray[Any]) -> str:
    if array.dtype.kind == "O":
        return ", ".join(sorted({type(value).__name__ for value in array.flat if not isinstance(value, NUMBERS)}))
    return {"c": "complex numbers", "M": "dates", "m": "times", "U": "texts", "S": "bytes"}.get(
        array.dtype.kind, str(array.dtype)
    )


def _score(estimator: Any, histories: Sequence[Any]) -> FloatArray:
    """A classifier's score for "high": its decision function, else its probability, else its prediction."""
    if hasattr(estimator, "decision_function"):
        found = estimator.decision_function(list(histories))
    elif hasattr(estimator, "predict_proba"):
        found = estimator.predict_proba(list(histories))[:, 1]
    else:
        found = estimator.predict(list(histories))
    return real_numbers(found, what="scores")
