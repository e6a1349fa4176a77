"""Free parameters: chosen by cross-validation on one subset alone, recorded, and used unchanged on every other.

A method lists its `choices`. On the tuning subset itself they are chosen anew inside each training fold; for every other
subset `choose` is run once over the whole tuning subset, and its choice recorded in ``chosen.toml`` beside the method files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nndynbench.protocols.protocol import Task, find_protocol
from nndynbench.storage.elsewhere import written_somewhere
from nndynbench.storage.files import written_whole

if TYPE_CHECKING:
    from nndynbench.protocols.method import Method

Folds: TypeAlias = list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]
"""By fold the places of those that are learnt from, and of those that are held out."""

TUNING_SUBSET = "digits-lenet"
TUNING_BUDGET = 5
TUNING_PROTOCOLS: dict[Task, str] = {"classification": "classification", "regression": "regression-folds"}
INNER_FOLDS = 3
SCORING: dict[Task, str] = {"classification": "accuracy", "regression": "neg_mean_squared_error"}


def tuned(
    estimator: Any,
    choices: Mapping[str, Sequence[Any]],
    histories: Sequence[Any],
    target: npt.NDArray[Any],
    *,
    inner: Folds,
    task: Task,
) -> Any:
    """The estimator fitted with the best of its choices, by cross-validation on some folds: see `inner_folds`."""
    return _searched(estimator, choices, histories, target, inner, task).best_estimator_


def inner_folds(target: npt.NDArray[Any], groups: npt.NDArray[Any], task: Task) -> Folds:
    """The folds by which parameters are chosen: a group is never on both sides."""
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    rule = StratifiedGroupKFold if task == "classification" else GroupKFold
    return list(rule(INNER_FOLDS).split(np.zeros(len(target)), target, groups))


def choose(method: Method) -> dict[str, dict[str, Any]]:
    """A method's choices on the networks of the tuning subset that its task's protocol tests, by task and parameter."""
    from sklearn.base import clone

    from nndynbench.protocols.method import seeded
    from nndynbench.protocols.scoring import cluster_of
    from nndynbench.subsets import load

    subset = load(TUNING_SUBSET)
    chosen: dict[str, dict[str, Any]] = {}
    for task, name in TUNING_PROTOCOLS.items():
        unfitted = method.classifier if task == "classification" else method.regressor
        if unfitted is None or not method.choices:
            continue
        estimator = seeded(clone(unfitted))
        ids = sorted({network for _, test in subset.split(str(find_protocol(name).split)) for network in test})
        networks = subset.networks.loc[ids]
        target = networks[find_protocol(name).target].to_numpy()
        histories = subset.histories(ids, TUNING_BUDGET)
        inner = inner_folds(target, cluster_of(networks).to_numpy(), task)
        search = _searched(estimator, method.choices, histories, target, inner, task)
        chosen[task] = dict(search.best_params_)
    return chosen


def record_choices(folder: Path) -> Path:
    """Choose for every method file of a folder, and write ``chosen.toml`` there; returns where it is."""
    from nndynbench.protocols.method import CHOSEN_FILE, read_methods

    lines = [f"# Chosen by cross-validation on {TUNING_SUBSET} at {TUNING_BUDGET} epochs, written by `nndynbench tune`."]
    for path in sorted(folder.glob("*.py")):
        for name, method in read_methods(path).items():
            for task, parameters in choose(method).items():
                lines += ["", f"[{name}.{task}]", *(f"{key} = {json.dumps(value)}" for key, value in parameters.items())]

    def write(path: Path) -> None:
        with written_whole(path) as partial:
            partial.write_text("\n".join(lines) + "\n", encoding="utf-8")

    return written_somewhere(write, folder / CHOSEN_FILE)


def _searched(
    estimator: Any,
    choices: Mapping[str, Sequence[Any]],
    histories: Sequence[Any],
    target: npt.NDArray[Any],
    inner: Folds,
    task: Task,
) -> Any:
    from sklearn.model_selection import GridSearchCV

    search = GridSearchCV(estimator, dict(choices), cv=inner, scoring=SCORING[task], error_score="raise")
    return search.fit(list(histories), target)
