"""Chooses free parameters by cross-validation on one subset alone. The choice is recorded, and used unchanged on every
other.

A method lists its `choices`. On the tuning subset itself, parameters are chosen anew inside each training fold. For every
other subset, `choose` is run once over the whole tuning subset, and its choice is recorded in ``chosen.toml`` beside the
method files.
"""

from __future__ import annotations

import inspect
import json
import re
import tomllib
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nndynbench.numbers import listed
from nndynbench.protocols.protocol import DEFAULT_PROTOCOLS, Task, find_protocol
from nndynbench.storage.elsewhere import written_somewhere
from nndynbench.storage.files import write_whole

if TYPE_CHECKING:
    from nndynbench.protocols.method import Method


class NothingChosenWarning(UserWarning):
    """A method with choices is scored on a subset for which none of them was made."""


Folds: TypeAlias = list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]
"""For each fold the positions of the networks learnt from, and of those held out."""

TUNING_SUBSET = "digits-lenet"
TUNING_BUDGET = 5
INNER_FOLDS = 3
SCORING: dict[Task, str] = {"classification": "accuracy", "regression": "neg_mean_squared_error"}


def best_of(
    choices: Mapping[str, Sequence[Any]],
    estimator: Any,
    histories: Sequence[Any],
    target: npt.NDArray[Any],
    *,
    groups: npt.NDArray[Any],
    task: Task,
    more: Mapping[str, npt.NDArray[Any]],
) -> dict[str, Any]:
    """The parameters that are best by cross-validation over `inner_folds`; of equal ones the first.

    ``more``: what else the estimator's ``fit`` is passed, one entry per network. (`GridSearchCV` would not pass ``groups``
    on.)
    """
    from sklearn.base import clone
    from sklearn.model_selection import ParameterGrid, cross_val_score

    folds = inner_folds(target, groups, task)

    def score(parameters: Mapping[str, Any]) -> float:
        candidate = clone(estimator).set_params(**clone(dict(parameters), safe=False))
        options: dict[str, Any] = {"scoring": SCORING[task], "error_score": "raise", "params": dict(more)}
        return float(np.mean(cross_val_score(candidate, list(histories), target, cv=folds, **options)))

    best: dict[str, Any] = clone(max(ParameterGrid(dict(choices)), key=score), safe=False)
    return best


def asked_for(estimator: Any, **known: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
    """Copies of what the estimator's ``fit`` has parameters for, of what is ``known`` about the training networks. A
    pipeline hands on what its last step's has; a search of scikit-learn's hands ``groups`` to a ``cv`` that needs them.

    The first two positional parameters are the histories and the target, whatever they are called.
    """
    named = list(inspect.signature(estimator.fit).parameters.values())
    positional = [one.name for one in named if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    free = {one.name for one in named} - set(positional[:2])
    if _splits_by_groups(estimator):
        free.add("groups")
    found = {name: np.array(values) for name, values in known.items() if name in free}
    if hasattr(estimator, "steps") and hasattr(last := estimator.steps[-1][1], "fit"):
        found |= {f"{estimator.steps[-1][0]}__{name}": values for name, values in asked_for(last, **known).items()}
    return found


def _splits_by_groups(estimator: Any) -> bool:
    """Whether it is a search whose ``cv`` needs groups: its ``fit`` takes them without naming them."""
    if not (hasattr(estimator, "refit") and hasattr(getattr(estimator, "cv", None), "get_metadata_routing")):
        return False
    return estimator.cv.get_metadata_routing().split.requests.get("groups") is True


def inner_folds(target: npt.NDArray[Any], groups: npt.NDArray[Any], task: Task) -> Folds:
    """The folds by which parameters are chosen. No group is ever on both sides."""
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    rule = StratifiedGroupKFold if task == "classification" else GroupKFold
    return list(rule(INNER_FOLDS).split(np.zeros(len(target)), target, groups))


def values_elsewhere(method: Method, task: Task) -> str:
    """The values that a method's free parameters have on every subset but the tuning one, such as "svc__C=10"; empty if it
    has none.
    """
    values = method.estimators[task].get_params() | dict(method.chosen.get(task, {}))
    return ", ".join(f"{name}={values[name]!r}" for name in method.choices if name in values)


def warn_if_not_chosen(method: Method, task: Task, subsets: Sequence[str]) -> None:
    """Warn of choices that are made for none of these subsets: the method is used there as it is written."""
    elsewhere = [name for name in subsets if name != TUNING_SUBSET]
    if not method.choices or method.chosen.get(task) or not elsewhere:
        return
    values = values_elsewhere(method, task)
    warnings.warn(
        f"the choices of {method.name or 'a method'} ({', '.join(method.choices)}) are made on {TUNING_SUBSET} alone: on "
        f"{listed(elsewhere)} it is fitted as it is written{f', with {values}' if values else ''}. "
        "Choose them once with nndynbench tune FOLDER (the folder of the method's file), or in every fold with GridSearchCV",
        NothingChosenWarning,
        stacklevel=3,
    )


def choose(method: Method) -> dict[str, dict[str, Any]]:
    """Chooses a method's parameters on the tuning subset, and returns them by task and parameter.

    The networks are those that the task's protocol tests.
    """
    from sklearn.base import clone

    from nndynbench.protocols.method import seeded
    from nndynbench.protocols.scoring import cluster_of
    from nndynbench.subsets import load

    subset = load(TUNING_SUBSET)
    chosen: dict[str, dict[str, Any]] = {}
    for task, unfitted in method.estimators.items() if method.choices else ():
        estimator, protocol = seeded(clone(unfitted)), find_protocol(DEFAULT_PROTOCOLS[task])
        ids = sorted({network for _, test in subset.split(str(protocol.split)) for network in test})
        networks = subset.networks.loc[ids]
        target = networks[protocol.target].to_numpy()
        histories = subset.histories(ids, TUNING_BUDGET)
        groups = cluster_of(networks).to_numpy()
        more = asked_for(estimator, groups=groups, accuracies=networks["final_accuracy"].to_numpy())
        chosen[task] = best_of(method.choices, estimator, histories, target, groups=groups, task=task, more=more)
    return chosen


def record_choices(folder: Path) -> Path:
    """Choose for every method file of a folder, and write ``chosen.toml`` there; returns its path.

    Raises
    ------
    ValueError
        For a value that TOML cannot hold, such as None.
    """
    from nndynbench.protocols.method import CHOSEN_FILE, method_files, read_methods

    lines = [f"# Chosen by cross-validation on {TUNING_SUBSET} at {TUNING_BUDGET} epochs, written by `nndynbench tune`."]
    for path in method_files(folder):
        for name, method in read_methods(path).items():
            for task, parameters in choose(method).items():
                lines += ["", f"[{_key(name)}.{task}]", *(_line(name, *chosen) for chosen in parameters.items())]
    return written_somewhere(partial(write_whole, content="\n".join(lines) + "\n"), folder / CHOSEN_FILE)


def _key(name: str) -> str:
    """A key as TOML writes it: in quotation marks if it has characters other than letters, digits, _ and -."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name)


def _line(method: str, parameter: str, value: Any) -> str:
    """A parameter's line; raises ValueError for a value that would not be read back as it was."""
    try:
        line = f"{_key(parameter)} = {json.dumps(value)}"
        if tomllib.loads(line) == {parameter: value}:
            return line
    except (TypeError, ValueError):
        pass
    raise ValueError(f"{method}: TOML cannot hold {parameter} = {value!r}; choose among numbers, strings and lists of them")
