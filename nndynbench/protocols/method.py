"""Methods, which predict a network's final accuracy from its history, and how they are found by name."""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeGuard, get_args

from nndynbench.errors import NndynbenchError
from nndynbench.names import check_name
from nndynbench.protocols.failures import place_in_user_code, told
from nndynbench.protocols.protocol import DEFAULT_PROTOCOLS, Protocol, Task
from nndynbench.protocols.scripts import load_script
from nndynbench.sources import script_code
from nndynbench.storage.files import user_path
from nndynbench.subsets.history import READABLE

if TYPE_CHECKING:
    import pandas as pd

CHOSEN_FILE = "chosen.toml"
SUFFIX = ".py"

Role: TypeAlias = Literal["method", "reference", "trivial", "control"]
ROLES: tuple[Role, ...] = get_args(Role)

# What no file's name has on one system or another.
UNFIT = set('/\\:*?"<>|')

SEED = 0  # of every estimator that leaves its random_state open


class MethodError(NndynbenchError, ValueError):
    """A method that raised, did not return predictions, or read what it had not declared; or a value that is no method."""


class NothingDeclaredWarning(UserWarning):
    """An estimator in ``METHODS`` that does not declare what it reads."""


@dataclass(frozen=True, kw_only=True)
class Method:
    """A method: unfitted scikit-learn estimators whose ``X`` is a sequence of histories.

    ``description`` says in one line what the method does. ``source`` says where it comes from, such as "mine", or a paper
    with its arXiv number or DOI, which the board links.

    ``reads`` is the set of what the method looks at, of "weights", "curves" and "hyperparameters"; the harness refuses a
    method that reads anything else. A method has a classifier (predicts 0 or 1), a regressor (predicts percent), or both.

    ``role`` says what it is there for. A "method" is compared, a "reference" is what others are compared with, and a
    "trivial" one shows how little is enough for a score. A "control" shows what remains of a method when what it reads is
    taken away; ``control_of`` names that method, if the control belongs to one alone.

    ``protocols`` are those that it is for, if it is not for all protocols of its tasks.

    ``needs`` is a library that it cannot do without, such as "torch". Such a method is fitted only if it is named, not when
    all methods are compared.

    ``choices`` are its free parameters, ``{"svc__C": [1, 10]}``. They are chosen on digits-lenet alone: anew in every fold
    when a method is scored there, and once for all other subsets by ``nndynbench tune FOLDER``. ``chosen`` is what was
    chosen once, for each task. Without it the estimators are used on other subsets as they are written, with a
    `NothingChosenWarning`. To choose on the training networks of every fold of any subset, wrap the pipeline in
    scikit-learn's `GridSearchCV` instead.

    Examples
    --------
    >>> import nndynbench
    >>> from sklearn.dummy import DummyRegressor
    >>> method = nndynbench.Method(description="the mean", source="", reads=(), regressor=DummyRegressor())
    >>> nndynbench.check_method(method).tasks
    ('regression',)
    """

    description: str
    source: str
    reads: Collection[str]
    classifier: Any = None
    regressor: Any = None
    role: Role = "method"
    control_of: str = ""
    needs: str = ""
    protocols: Collection[str] = ()
    choices: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    chosen: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    name: str = ""
    """Its name in its file; empty for a method that comes from no file."""
    fingerprint: str = ""
    """SHA-256 of the method's file, of what that imports and of what was chosen: equal for equal methods."""

    def __post_init__(self) -> None:
        for read in self.reads:
            check_name(read, READABLE, what="value in reads")
        check_name(self.role, ROLES, what="method role")
        if self.control_of and self.role != "control":
            raise ValueError(f"a method with control_of={self.control_of!r} must have the role 'control', not {self.role!r}")
        if not self.estimators:
            raise ValueError("a method needs a classifier or a regressor")

    @property
    def estimators(self) -> dict[Task, Any]:
        """Its estimators, by the task that each does."""
        both: dict[Task, Any] = {"classification": self.classifier, "regression": self.regressor}
        return {task: estimator for task, estimator in both.items() if estimator is not None}

    def does(self, protocol: Protocol) -> bool:
        """Whether it has an estimator for a protocol, and is meant for it."""
        return protocol.task in self.estimators and (not self.protocols or protocol.fitted.name in self.protocols)

    def estimator(self, protocol: Protocol) -> Any:
        """The estimator for a protocol's task, with its chosen parameters. Raises ValueError if the method has none, or is
        not for this protocol.
        """
        if self.protocols and protocol.fitted.name not in self.protocols:
            raise ValueError(f"the method is only for {', '.join(self.protocols)}, not for {protocol.name}")
        estimator = self.estimators.get(protocol.task)
        if estimator is None:
            own, needed, other = "regressor", "classifier", DEFAULT_PROTOCOLS["regression"]
            if protocol.task == "regression":
                own, needed, other = "classifier", "regressor", DEFAULT_PROTOCOLS["classification"]
            raise ValueError(
                f"the method has only a {own}, but {protocol.name} is a {protocol.task} protocol: give it {needed}=… too, "
                f"or use another protocol, such as {other}"
            )
        if chosen := self.chosen.get(protocol.task):
            from sklearn.base import clone

            return clone(estimator).set_params(**chosen)
        return estimator


def method_names() -> list[str]:
    """Names of the bundled methods, such as "degree-svm"."""
    return list(_bundled_methods())


def methods(file: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """The bundled methods, or those of a method file, as a table by name.

    Its columns: description, reads (which of "weights", "curves" and "hyperparameters" the method may look at), tasks
    ("classification", "regression"), role, control_of (the method that it is a control of), and source.

    Examples
    --------
    >>> import nndynbench
    >>> nndynbench.methods().loc["degree-svm", "reads"]
    'weights'
    """
    import pandas as pd

    found = _bundled_methods() if file is None else read_methods(user_path(file))
    rows = [
        {
            "method": name,
            "description": method.description,
            "reads": ", ".join(read for read in READABLE if read in method.reads),
            "tasks": ", ".join(method.estimators),
            "role": method.role,
            "control_of": method.control_of,
            "source": method.source,
        }
        for name, method in found.items()
    ]
    return pd.DataFrame(rows).set_index("method")


def as_method(method: Any) -> Any:
    """Returns a method or an estimator as it is, or finds the one that a name or a path means; see `find_method`.

    Raises
    ------
    MethodError
        For anything else, saying what to write instead.
    UnknownNameError, FileNotFoundError, ValueError
        As `find_method`.
    """
    if isinstance(method, (str, os.PathLike)):
        return find_method(os.fspath(method))
    if isinstance(method, Method) or (problem := why_no_estimator(method)) is None:
        return method
    raise MethodError(f"not a method: {problem}")


def find_method(name: str | os.PathLike[str]) -> Method:
    """A bundled method by name, or one from a file: ``path/to/file.py`` or ``path/to/file.py:NAME``.

    A file defines ``METHODS``, a dict from names to methods. If no name is given, it must hold exactly one. The file is
    executed as Python runs a script; see `nndynbench.protocols.scripts`.

    Raises
    ------
    UnknownNameError
        For a name that neither the bundled methods nor the file has.
    FileNotFoundError, ValueError
        For a file that does not exist, cannot be executed, or defines no ``METHODS``, or several if none is named.
    """
    if isinstance(name, os.PathLike):
        name = os.fspath(name)
    if not is_file_name(name):
        return _bundled_methods()[check_name(name, _bundled_methods(), what="method", instead=_file_meant(name))]
    path, label = _path_and_label(name)
    methods = read_methods(path)
    if not label and len(methods) == 1:
        return next(iter(methods.values()))
    if not label:
        raise ValueError(f"{path} holds several methods: write {path}:NAME, where NAME is one of {', '.join(methods)}")
    return methods[check_name(label, methods, what=f"method of {path}")]


def is_file_name(name: object) -> TypeGuard[str]:
    """Whether a method's name refers to a file: ``path/to/file.py`` or ``path/to/file.py:NAME``."""
    return isinstance(name, str) and (name.endswith(SUFFIX) or f"{SUFFIX}:" in name)


def file_of(name: str) -> Path:
    """The file that ``path/to/file.py`` or ``path/to/file.py:NAME`` refers to."""
    return _path_and_label(name)[0]


def _path_and_label(name: str) -> tuple[Path, str]:
    """Splits a name into the file and the method's name in it. The path may contain colons."""
    ends = [place + len(SUFFIX) for place in range(len(name)) if name.startswith(SUFFIX, place)]
    parts = [(name[:end], name[end + 1 :]) for end in ends if name[end : end + 1] in ("", ":")]
    files = [(path, label) for text, label in parts if (path := user_path(text)).is_file()]
    first, label = parts[0]
    return files[0] if files else (user_path(first), label)


def _file_meant(name: str) -> str:
    """The method file that a name without its suffix means; empty if there is none."""
    path = f"{name}{SUFFIX}"
    return path if Path(path).is_file() else ""


def read_methods(path: Path) -> dict[str, Method]:
    """Executes a method file and returns its ``METHODS``, with the choices recorded in ``chosen.toml`` beside it.

    A scikit-learn estimator in place of a `Method` is taken as one that may look at everything, with a
    `NothingDeclaredWarning`.

    Raises
    ------
    FileNotFoundError, ValueError
        For a file that does not exist or cannot be executed, or whose ``METHODS`` are invalid.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no method file {path}")
    try:
        module = load_script(path, alone=is_bundled(path))
    except (Exception, SystemExit) as error:  # whatever a user's file raises
        raise ValueError(f"{path} cannot be executed: {told(error)}{place_in_user_code(error)}") from error
    found = getattr(module, "METHODS", None)
    if not isinstance(found, Mapping) or not found or not all(isinstance(name, str) and name.strip() for name in found):
        raise ValueError(f"{path} must define METHODS, a dict from names to nndynbench.Method")
    if unfit := [name for name in found if not name.isprintable() or UNFIT & set(name)]:
        raise ValueError(f"{path}: {unfit[0]!r} cannot be a method's name: result files are named after it")
    recorded = path.parent / CHOSEN_FILE
    chosen = tomllib.loads(recorded.read_text(encoding="utf-8")) if recorded.is_file() else {}
    methods = {name: _as_method(value, f"{path}: {name!r}") for name, value in found.items()}
    return {name: _recorded(name, method, chosen.get(name, {}), path) for name, method in methods.items()}


def _as_method(value: Any, what: str) -> Method:
    """A value of ``METHODS`` as a method; ``what`` names the value in errors."""
    if isinstance(value, Method):
        return value
    if (problem := why_no_estimator(value)) is not None:
        raise ValueError(f"{what} is not a method: {problem}")
    everything = "does not declare what it reads, so it may look at everything: wrap it in nndynbench.Method"
    warnings.warn(f"{what} {everything}", NothingDeclaredWarning, 2)
    task = "classifier" if classifies(value) else "regressor"
    return Method(description=described(value), source="", reads=READABLE, **{task: value})


def classifies(estimator: Any) -> bool:
    """Whether scikit-learn says that an estimator is a classifier. An estimator that it knows nothing about is no
    classifier.
    """
    from sklearn.base import is_classifier

    try:
        return bool(is_classifier(estimator))
    except AttributeError:  # an estimator without scikit-learn's tags
        return False


def default_protocol(method: Any) -> str:
    """The protocol that a method or an estimator is scored under by default: the first of its own, else classification if it
    classifies.
    """
    if isinstance(method, Method) and method.protocols:
        return next(iter(method.protocols))
    return DEFAULT_PROTOCOLS[tasks_of(method)[0]]


def tasks_of(method: Any) -> tuple[Task, ...]:
    """The tasks that a method, or an estimator, does."""
    if isinstance(method, Method):
        return tuple(method.estimators)
    return ("classification",) if classifies(method) else ("regression",)


def why_no_estimator(value: Any) -> str | None:
    """Why a value is no scikit-learn estimator that predicts, with what to write instead; None if it is one."""
    shown = getattr(value, "__name__", None) or type(value).__name__
    if isinstance(value, type):
        return f"{shown} is a class: write {shown}()" if hasattr(value, "fit") else f"{shown} is a class, not an estimator"
    if hasattr(value, "fit") and hasattr(value, "predict"):
        return None
    if hasattr(value, "fit") and hasattr(value, "transform"):
        return f"{shown} predicts nothing: put a learner after it, as in make_pipeline({shown}(…), Ridge())"
    if callable(value):
        return f"{shown} is a function: write make_pipeline(nndynbench.Signature({shown}), Ridge())"
    return f"{value!r:.100} is neither a name, nor a Method, nor a scikit-learn estimator"


def described(estimator: Any) -> str:
    """An estimator in one line, without the memory addresses in it."""
    return re.sub(r" at 0x[0-9a-f]+>", ">", " ".join(repr(estimator).split()))


def label_of(method: Any) -> str:
    """What to call a method in results: its name, else the class of the estimator that predicts."""
    if isinstance(method, Method):
        return method.name or label_of(list(method.estimators.values())[-1])
    return type(method.steps[-1][1] if hasattr(method, "steps") else method).__name__


def _recorded(name: str, method: Method, chosen: Mapping[str, Any], path: Path) -> Method:
    chosen = chosen or method.chosen
    fingerprint = hashlib.sha256(f"{script_code(path)} {sorted(chosen.items())!r}".encode()).hexdigest()
    return replace(method, name=name, chosen=chosen, fingerprint=fingerprint)


def baselines_folder() -> Path:
    """The folder of the bundled method files: inside an installed package, or beside the package in a clone."""
    package = Path(__file__).parents[1]
    inside = package / "baselines"
    return inside if inside.is_dir() else package.parent / "baselines"


def is_bundled(path: Path) -> bool:
    """Whether a method file is one of this project's own, which import nothing from beside themselves."""
    own = (baselines_folder(), Path(__file__).parents[1])
    return any(folder.resolve() in path.resolve().parents for folder in own)


def method_files(folder: Path) -> list[Path]:
    """The method files of a folder, in order; a name that begins with _ is a helper's."""
    return [path for path in sorted(folder.glob("*.py")) if not path.name.startswith("_")]


@cache
def _bundled_methods() -> dict[str, Method]:
    found: dict[str, Method] = {}
    for path in method_files(baselines_folder()):
        found |= read_methods(path)
    return found


def seeded(estimator: Any) -> Any:
    """Sets a fixed seed wherever the estimator has left one open, and returns the estimator."""
    parameters = estimator.get_params(deep=True).items()
    return estimator.set_params(**{k: SEED for k, v in parameters if k.split("__")[-1] == "random_state" and v is None})
