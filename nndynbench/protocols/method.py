"""Methods: what predicts a network's final accuracy from its history, and where named ones are found."""

from __future__ import annotations

import hashlib
import importlib.util
import sysconfig
import tomllib
import traceback
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from nndynbench.names import known
from nndynbench.protocols.protocol import Protocol
from nndynbench.subsets.history import INFORMATION_TIERS

CHOSEN_FILE = "chosen.toml"

LIBRARY = Path(sysconfig.get_path("stdlib"))

SEED = 0  # of every estimator that leaves its random_state open


@dataclass(frozen=True, kw_only=True)
class Method:
    """A method: unfitted scikit-learn estimators whose ``X`` is a sequence of histories.

    ``tier`` is the set of what it looks at, of "weights", "curves" and "hyperparameters"; reading anything else is refused
    by the harness. A method has a classifier (predicts 0 or 1), a regressor (predicts percent), or both.

    ``choices`` are its free parameters, ``{"svc__C": [1, 10]}``, chosen on digits-lenet alone; ``chosen`` what was chosen
    there for each task, used on every other subset.
    """

    description: str
    source: str
    tier: Collection[str]
    classifier: Any = None
    regressor: Any = None
    choices: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    chosen: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    fingerprint: str = ""
    """Of the file that the method was read from and of what was chosen: equal for equal methods."""

    def __post_init__(self) -> None:
        for tier in self.tier:
            known(tier, INFORMATION_TIERS, what="information tier")
        if self.classifier is None and self.regressor is None:
            raise ValueError("a method needs a classifier or a regressor")

    def estimator(self, protocol: Protocol) -> Any:
        """The estimator for a protocol's task, with its chosen parameters; raises ValueError where the method has none."""
        estimator = self.classifier if protocol.task == "classification" else self.regressor
        if estimator is None:
            other = "regressor" if protocol.task == "classification" else "classifier"
            raise ValueError(f"the method has a {other} alone, and {protocol.name} is a {protocol.task} protocol")
        if chosen := self.chosen.get(protocol.task):
            from sklearn.base import clone

            return clone(estimator).set_params(**chosen)
        return estimator


def method_names() -> list[str]:
    """Names of the bundled methods, such as "degree-svm"."""
    return list(_bundled_methods())


def find_method(name: str) -> Method:
    """A bundled method by name, or one from a file: ``path/to/file.py`` or ``path/to/file.py:NAME``.

    A file defines ``METHODS: dict[str, Method]``; without a name it must hold exactly one. The file is executed.

    Raises
    ------
    UnknownNameError
        For a name that neither the bundled methods nor the file has.
    FileNotFoundError, ValueError
        For a file that does not exist, cannot be executed, defines no ``METHODS``, or several where none is named.
    """
    path, _, label = name.partition(":")
    if not path.endswith(".py"):
        return _bundled_methods()[known(name, _bundled_methods(), what="method")]
    methods = read_methods(Path(path))
    if not label and len(methods) == 1:
        return next(iter(methods.values()))
    if not label:
        raise ValueError(f"{path} holds several methods: write {path}:NAME, of {', '.join(methods)}")
    return methods[known(label, methods, what=f"method of {path}")]


def label_of(name: str) -> str:
    """What to call a method that `find_method` finds: "one" of "folder/file.py:one", "file" of "folder/file.py"."""
    return name.partition(".py:")[2] or Path(name).name.removesuffix(".py")


def read_methods(path: Path) -> dict[str, Method]:
    """The ``METHODS`` of a method file, which is executed, with the choices recorded in ``chosen.toml`` beside it."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no method file {path}")
    spec = importlib.util.spec_from_file_location(f"nndynbench_methods_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever a user's file raises
        raise ValueError(f"{path} cannot be executed: {type(error).__name__}: {error}{place_in_user_code(error)}") from error
    methods = getattr(module, "METHODS", None)
    if not isinstance(methods, dict) or not all(isinstance(method, Method) for method in methods.values()):
        raise ValueError(f"{path} must define METHODS, a dict from names to nndynbench.Method")
    recorded = path.parent / CHOSEN_FILE
    chosen = tomllib.loads(recorded.read_text(encoding="utf-8")) if recorded.is_file() else {}
    return {name: _recorded(method, chosen.get(name, {}), path) for name, method in methods.items()}


def place_in_user_code(error: BaseException) -> str:
    """Where a user's code went wrong, as `` (my_method.py:25 in strongest)``: the last line that an error passed through
    outside this package and what is installed; nothing where there is none.
    """
    ours = Path(__file__).parents[1]
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if ours not in Path(frame.filename).parents
        and not {"site-packages", "dist-packages"} & set(Path(frame.filename).parts)
        and Path(frame.filename).is_file()
        and LIBRARY not in Path(frame.filename).parents
    ]
    return f" ({Path(frames[-1].filename).name}:{frames[-1].lineno} in {frames[-1].name})" if frames else ""


def _recorded(method: Method, chosen: Mapping[str, Any], path: Path) -> Method:
    chosen = chosen or method.chosen
    fingerprint = hashlib.sha256(path.read_bytes() + repr(sorted(chosen.items())).encode()).hexdigest()
    return replace(method, chosen=chosen, fingerprint=fingerprint)


def baselines_folder() -> Path:
    """The bundled method files: inside an installed package, or beside it in a clone."""
    package = Path(__file__).parents[1]
    inside = package / "baselines"
    return inside if inside.is_dir() else package.parent / "baselines"


@cache
def _bundled_methods() -> dict[str, Method]:
    found: dict[str, Method] = {}
    for path in sorted(baselines_folder().glob("*.py")):
        if not path.name.startswith("_"):
            found |= read_methods(path)
    return found


def seeded(estimator: Any) -> Any:
    """The estimator with a fixed seed wherever it has left one open."""
    parameters = estimator.get_params(deep=True).items()
    return estimator.set_params(**{k: SEED for k, v in parameters if k.split("__")[-1] == "random_state" and v is None})
