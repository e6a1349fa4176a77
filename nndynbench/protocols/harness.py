"""The harness: fits a method inside each fold on histories cut at each budget, and scores what it predicts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from nndynbench.protocols.intervals import draw_resamples, interval
from nndynbench.protocols.method import Method, find_method
from nndynbench.protocols.metrics import METRICS, Scored, UndefinedMetricError
from nndynbench.protocols.protocol import Protocol, protocol
from nndynbench.protocols.results import Result
from nndynbench.subsets import load
from nndynbench.subsets.history import INFORMATION_TIERS

if TYPE_CHECKING:
    from nndynbench.subsets import Subset

FloatArray = npt.NDArray[np.float64]

RECORDED_LIBRARIES = ("nndynbench", "numpy", "scipy", "scikit-learn", "pandas")


class MethodError(ValueError):
    """A method that raised, returned something else than predictions, or read what it had not declared."""


def evaluate(
    method: Any,
    subsets: str | Subset | Sequence[str | Subset],
    *,
    protocol: str | Protocol = "classification",
    epochs: int | Sequence[int] = 5,
    name: str | None = None,
    jobs: int = 1,
) -> Result:
    """Score a method.

    Parameters
    ----------
    method
        A scikit-learn estimator whose ``X`` is a sequence of histories, a `Method`, the name of a bundled method
        ("degree-svm"), or a file with one ("my_method.py", "my_method.py:NAME").
    subsets
        One subset, by name or loaded, or several.
    protocol
        The name of a protocol.
    epochs
        The budget, or several: how many epochs the method may see.
    name
        What to call it in the result; by default the bundled name, or the estimator's class.
    jobs
        Fits at a time, in threads.

    Raises
    ------
    UnknownNameError, BudgetError, SplitError
        For a subset, protocol, method, budget or split that is not to be had, listing what is.
    MethodError
        Naming subset, budget and fold, if the method fails.
    """
    chosen = _protocol(protocol)
    resolved = find_method(method) if isinstance(method, str) else method
    estimator = resolved.estimator(chosen) if isinstance(resolved, Method) else resolved
    label = name or (method if isinstance(method, str) else type(_last_step(estimator)).__name__)
    loaded = [load(s) if isinstance(s, str) else s for s in ([subsets] if _is_one(subsets) else subsets)]
    budgets = [epochs] if isinstance(epochs, (int, np.integer, str)) else list(epochs)
    start = time.perf_counter()
    read: set[str] = set()
    runs = [
        _Run(subset, chosen, estimator, subset.budget(budget), label)
        for subset in loaded
        for budget in budgets
    ]
    predictions = pd.concat([run.predictions(jobs, read) for run in runs], ignore_index=True)
    declared = set(resolved.tier) if isinstance(resolved, Method) else set(INFORMATION_TIERS)
    if undeclared := read - declared:
        raise MethodError(f"{label} declares the tier {sorted(declared)} and read {sorted(undeclared)}")
    facts = {
        "method": label,
        "description": resolved.description if isinstance(resolved, Method) else repr(estimator),
        "source": resolved.source if isinstance(resolved, Method) else "",
        "tier": sorted(read),
        "protocol": chosen.name,
        "subsets": [{"name": s.name, "version": s.version, "checksum": s.checksum} for s in loaded],
        "libraries": {library: version(library) for library in RECORDED_LIBRARIES},
        "seconds": round(time.perf_counter() - start, 3),
    }
    return Result(_scores(predictions, loaded, chosen), predictions, facts)


@dataclass(frozen=True)
class _Run:
    """One method at one budget on one subset."""

    subset: Subset
    protocol: Protocol
    estimator: Any
    epochs: int
    label: str

    def predictions(self, jobs: int, read: set[str]) -> pd.DataFrame:
        """A row per fold and test network."""
        from joblib import Parallel, delayed

        folds = self.subset.split(self.protocol.split)
        ids = sorted({network for fold in folds for side in fold for network in side})
        histories = dict(zip(ids, self.subset.histories(ids, self.epochs, read=read), strict=True))
        # Threads: the histories share the subset's tables, and the fits are short.
        fitted = Parallel(n_jobs=jobs, prefer="threads")(
            delayed(self._fold)(number, fold, histories) for number, fold in enumerate(folds)
        )
        return pd.concat(fitted, ignore_index=True)

    def _fold(self, number: int, fold: tuple[list[int], list[int]], histories: dict[int, Any]) -> pd.DataFrame:
        from sklearn.base import clone

        train, test = fold
        target = self.subset.networks[self.protocol.target]
        where = f"{self.label} on {self.subset.name}, {self.protocol.name}, budget {self.epochs}, fold {number}"
        seen, asked = [histories[network] for network in train], [histories[network] for network in test]
        try:
            estimator = clone(self.estimator).fit(seen, target.loc[train].to_numpy())
            predicted = np.asarray(estimator.predict(asked), dtype=np.float64)
            score = _score(estimator, asked) if self.protocol.task == "classification" else np.full(len(test), np.nan)
        except Exception as error:
            raise MethodError(f"{where}: {type(error).__name__}: {error}") from error
        self._check(predicted, len(test), where)
        return pd.DataFrame(
            {
                "subset": self.subset.name,
                "epochs": self.epochs,
                "fold": number,
                "network": test,
                "truth": target.loc[test].to_numpy(dtype=np.float64),
                "prediction": predicted,
                "score": score,
            }
        )

    def _check(self, predicted: FloatArray, count: int, where: str) -> None:
        if predicted.shape != (count,):
            raise MethodError(f"{where}: predictions have shape {predicted.shape}, expected {(count,)}")
        if not np.isfinite(predicted).all():
            raise MethodError(f"{where}: {np.sum(~np.isfinite(predicted))} of {count} predictions are not finite")
        if self.protocol.task == "classification" and not np.isin(predicted, (0, 1)).all():
            raise MethodError(f"{where}: a classifier must predict 0 or 1, not {sorted(set(predicted.tolist()) - {0.0, 1.0})[:3]}")


def _scores(predictions: pd.DataFrame, subsets: Sequence[Subset], chosen: Protocol) -> pd.DataFrame:
    networks = {subset.name: subset.networks for subset in subsets}
    rows = []
    for (subset, epochs), part in predictions.groupby(["subset", "epochs"], sort=False):
        scored = Scored(*(part[c].to_numpy() for c in ("truth", "prediction", "score", "fold")))
        clusters = cluster_of(networks[str(subset)]).loc[part["network"]]
        resamples = draw_resamples(clusters, scored, need_classes=chosen.task == "classification")
        for metric in chosen.metrics:
            row = {"subset": subset, "epochs": epochs, "metric": metric, "redrawn": resamples.redrawn, "undefined": ""}
            try:
                row["value"] = METRICS[metric](scored)
                row["low"], row["high"] = interval(metric, scored, resamples)
            except UndefinedMetricError as reason:
                row["undefined"] = str(reason)
            rows.append(row)
    return pd.DataFrame(rows, columns=["subset", "epochs", "metric", "value", "low", "high", "redrawn", "undefined"])


def cluster_of(networks: pd.DataFrame) -> pd.Series:
    """What the bootstrap draws as one: a configuration's networks on a drawn grid, a learning rate's on any other."""
    return networks["configuration" if "configuration" in networks else "learning_rate"]


def _score(estimator: Any, histories: Sequence[Any]) -> FloatArray:
    """A classifier's score for "high": its decision function, else its probability, else its prediction."""
    if hasattr(estimator, "decision_function"):
        return np.asarray(estimator.decision_function(histories), dtype=np.float64)
    if hasattr(estimator, "predict_proba"):
        return np.asarray(estimator.predict_proba(histories)[:, 1], dtype=np.float64)
    return np.asarray(estimator.predict(histories), dtype=np.float64)


def _protocol(name: str | Protocol) -> Protocol:
    return protocol(name)


def _is_one(subsets: Any) -> bool:
    return isinstance(subsets, str) or hasattr(subsets, "manifest")


def _last_step(estimator: Any) -> Any:
    return estimator.steps[-1][1] if hasattr(estimator, "steps") else estimator
