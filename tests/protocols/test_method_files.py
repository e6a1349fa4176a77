"""A method file is loaded as Python runs a script; the entries of its ``METHODS`` are methods by their names there."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from joblib import Parallel, delayed
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.linear_model import Ridge
from sklearn.svm import SVC

import nndynbench as nb
from nndynbench.names import UnknownNameError
from nndynbench.protocols import find_method
from nndynbench.protocols.method import NothingDeclaredWarning

HEAD = """
from __future__ import annotations
from sklearn.dummy import DummyRegressor
import nndynbench as nb

def method(value: float) -> nb.Method:
    return nb.Method(description="a number", source="", reads=set(),
                     regressor=DummyRegressor(strategy="constant", constant=value))

METHODS = {"mine": method(1.0)}
"""


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))


def written(path: Path, *lines: str) -> Path:
    """A method file with one method, "mine", and ``more`` lines at its end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([HEAD, *lines]), encoding="utf-8")
    return path


def constant(name: str | Path) -> float:
    """The number that the file's method predicts."""
    return float(find_method(str(name)).regressor.constant)


USES = {
    "dataclass": ["from dataclasses import dataclass", "@dataclass", "class Settings:", "    alpha: float = 1.0"],
    "named tuple": ["from typing import NamedTuple", "class Pair(NamedTuple):", "    first: int"],
    "type hints": [
        "from typing import get_type_hints",
        "class Settings:",
        "    alpha: Here",
        "class Here: ...",
        "assert get_type_hints(Settings) == {'alpha': Here}",
    ],
    "pickle": ["import pickle", "class Plain: ...", "assert isinstance(pickle.loads(pickle.dumps(Plain())), Plain)"],
    "its own source": ["import inspect", "assert 'METHODS' in inspect.getsource(inspect.getmodule(method))"],
    "its own path": ["from pathlib import Path", "assert Path(__file__).read_text().strip()"],
    "the main guard": ["if __name__ == '__main__':", "    raise SystemExit('run as a script')"],
}


@pytest.mark.parametrize("lines", USES.values(), ids=list(USES))
def test_a_file_does_what_a_script_does(tmp_path: Path, lines: list[str]) -> None:
    file = written(tmp_path / "mine.py", *lines)
    assert constant(file) == 1.0
    if "__main__" not in lines[0]:
        subprocess.run(
            [sys.executable, file], check=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        )


@pytest.mark.parametrize("imports", ["from helper import SIZE", "import helper", "import helper.part"])
def test_what_lies_beside_a_file_is_imported_whatever_the_current_folder(
    tmp_path: Path, imports: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "folder" / "helper"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("SIZE = 3.0\n")
    (package / "part.py").write_text("")
    value = "SIZE" if "from" in imports else "helper.SIZE"
    written(package.parent / "mine.py", imports, f"METHODS = {{'mine': method({value})}}")
    for folder, name in ((tmp_path, "folder/mine.py"), (package, "../mine.py"), (package.parent, "mine.py")):
        monkeypatch.chdir(folder)
        assert constant(name) == 3.0


def test_what_a_function_imports_when_it_is_called_is_found(digits: nb.Subset, tmp_path: Path) -> None:
    (tmp_path / "late_helper.py").write_text("def top(graph):\n    return [graph.blocks[0].max()]\n")
    written(
        tmp_path / "mine.py",
        "from sklearn.impute import SimpleImputer",
        "from sklearn.linear_model import Ridge",
        "from sklearn.pipeline import make_pipeline",
        "def top(graph):",
        "    from late_helper import top",
        "    return top(graph)",
        "METHODS = {'mine': make_pipeline(nb.Signature(top), SimpleImputer(), Ridge())}",
    )
    with pytest.warns(NothingDeclaredWarning):
        assert nb.check_method(str(tmp_path / "mine.py")).reads == ("weights",)


def test_files_of_two_folders_have_each_their_own_helper(tmp_path: Path) -> None:
    for value in (1.0, 2.0):
        (tmp_path / f"{value}").mkdir()
        (tmp_path / f"{value}" / "helper.py").write_text(f"VALUE = {value}\n")
        written(tmp_path / f"{value}" / "mine.py", "from helper import VALUE", "METHODS = {'mine': method(VALUE)}")
    assert [constant(tmp_path / folder / "mine.py") for folder in ("1.0", "2.0", "1.0")] == [1.0, 2.0, 1.0]


def test_a_file_and_its_helper_are_read_again_where_they_changed(tmp_path: Path) -> None:
    file = written(tmp_path / "mine.py", "from helper import VALUE", "METHODS = {'mine': method(VALUE)}")
    for value in ("1.0", "2.25", "3.125"):  # of different lengths, by which Python tells versions of the same second apart
        (tmp_path / "helper.py").write_text(f"VALUE = {value}\n")
        assert constant(file) == float(value)
    for value in ("4.0", "5.0"):
        written(file, f"METHODS = {{'mine': method({value})}}")
        assert constant(file) == float(value)


def test_a_module_of_the_callers_own_with_a_helpers_name_stays_the_callers(tmp_path: Path) -> None:
    own, theirs = tmp_path / "own", tmp_path / "theirs"
    own.mkdir()
    (own / "namesake.py").write_text("VALUE = 1.0\n")
    sys.path.insert(0, str(own))
    import namesake  # type: ignore[import-not-found]

    file = written(theirs / "mine.py", "import namesake", "METHODS = {'mine': method(namesake.VALUE)}")
    (theirs / "namesake.py").write_text("VALUE = 2.0\n")
    assert constant(file) == 2.0
    assert sys.modules["namesake"] is namesake
    assert namesake.VALUE == 1.0


def test_two_files_of_one_name_do_not_replace_each_other(tmp_path: Path) -> None:
    owner = ["class Owner(DummyRegressor): ...", "METHODS = {'mine': Owner()}"]
    files = [written(tmp_path / folder / "mine.py", *owner) for folder in ("a", "b")]
    with pytest.warns(NothingDeclaredWarning):
        regressors = [find_method(str(file)).regressor for file in files]
    for regressor in regressors:
        assert type(pickle.loads(pickle.dumps(regressor))) is type(regressor)


def test_what_a_file_defines_works_in_other_processes(tmp_path: Path) -> None:
    (tmp_path / "distant_helper.py").write_text("def doubled(values):\n    return 2 * values\n")
    file = written(
        tmp_path / "mine.py",
        "from distant_helper import doubled",
        "class Doubling(DummyRegressor):",
        "    def predict(self, X):",
        "        return doubled(super().predict(X))",
        "METHODS = {'mine': nb.Method(description='', source='', reads=set(),",
        "                             regressor=Doubling(strategy='constant', constant=4.0))}",
    )
    regressor = find_method(str(file)).regressor.fit([[0.0]], [1.0])
    sys.path.remove(str(tmp_path))
    [found] = Parallel(n_jobs=2)([delayed(regressor.predict)([[0.0]])])
    np.testing.assert_array_equal(found, [8.0])


@pytest.mark.parametrize(
    "place", ["mine.py", "a folder/mine.py", "a:b/mine.py", "old.py:new/mine.py", "x.py/mine.py", "été/mine.v2.py", "a:b.py"]
)
def test_a_file_is_named_with_or_without_a_method_behind_it(tmp_path: Path, place: str) -> None:
    file = written(tmp_path / place)
    assert find_method(str(file)).name == find_method(f"{file}:mine").name == "mine"
    with pytest.raises(UnknownNameError, match=r"unknown method of .*\.py 'other' \(valid: mine\)"):
        find_method(f"{file}:other")


def test_a_file_is_named_from_the_home_folder_and_by_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    file = written(tmp_path / "mine.py")
    assert find_method("~/mine.py").name == "mine"
    assert nb.check_method(file).tasks == ("regression",)


@pytest.mark.parametrize("character", '/\\:*?"<>|')
def test_a_name_that_no_file_could_have_on_some_system_is_refused(tmp_path: Path, character: str) -> None:
    name = f"k{character}3"
    with pytest.raises(ValueError, match=rf"{re.escape(repr(name))} cannot be a method's name: result files are named"):
        find_method(str(written(tmp_path / "mine.py", f"METHODS = {{{name!r}: method(1.0)}}")))


def test_a_name_that_lacks_its_suffix_is_told_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "entropy.py")
    with pytest.raises(UnknownNameError, match=r"unknown method 'entropy'; did you mean 'entropy\.py'"):
        find_method("entropy")


def test_results_are_called_by_the_name_in_methods(digits: nb.Subset, tmp_path: Path) -> None:
    file = written(tmp_path / "entropy.py", "METHODS = {'edge-entropy': method(1.0)}")
    for name in (str(file), f"{file}:edge-entropy"):
        result = nb.evaluate(name, digits, protocol="regression-folds", budgets=1)
        assert result.facts.method == "edge-entropy"


@pytest.mark.parametrize(("learner", "task"), [(SVC(), "classification"), (Ridge(), "regression")])
def test_an_estimator_in_methods_is_a_method_that_declares_no_tier(tmp_path: Path, learner: Any, task: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        f"from {type(learner).__module__.rpartition('.')[0]} import {type(learner).__name__}\n"
        "from sklearn.impute import SimpleImputer\n"
        "from sklearn.pipeline import make_pipeline\n"
        "import nndynbench as nb\n"
        "def degree(graph):\n    return graph.degree()\n"
        f"METHODS = {{'mine': make_pipeline(nb.Signature(degree), SimpleImputer(), {learner!r})}}\n"
    )
    with pytest.warns(NothingDeclaredWarning, match=r"mine\.py: 'mine' does not declare what it reads, so it may"):
        check = nb.check_method(str(file))
    assert (check.tasks, check.reads) == ((task,), ("weights",))
    with pytest.warns(NothingDeclaredWarning):
        assert "0x" not in find_method(str(file)).description


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("method", "'mine' is not a method: method is a function: write make_pipeline"),
        ("DummyRegressor", r"'mine' is not a method: DummyRegressor is a class: write DummyRegressor\(\)"),
        ("nb.Signature()", "'mine' is not a method: Signature predicts nothing: put a learner after it"),
        ("42", "'mine' is not a method: 42 is neither"),
    ],
)
def test_a_value_that_is_no_method_is_told_what_to_write_instead(tmp_path: Path, value: str, message: str) -> None:
    with pytest.raises(ValueError, match=rf"mine\.py: {message}"):
        find_method(str(written(tmp_path / "mine.py", f"METHODS = {{'mine': {value}}}")))


@pytest.mark.parametrize("methods", ["{}", "[method(1.0)]", "{1: method(1.0)}", "{'': method(1.0)}", "{'a/b': method(1.0)}"])
def test_methods_are_a_dict_from_names_that_a_file_can_have(tmp_path: Path, methods: str) -> None:
    with pytest.raises(
        ValueError, match=r"mine\.py(: 'a/b' cannot be a method's name| must define METHODS, a dict from names)"
    ):
        find_method(str(written(tmp_path / "mine.py", f"METHODS = {methods}")))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("METHODS = {", r"SyntaxError: '\{' was never closed"),
        ("import no_such_module", "ModuleNotFoundError.*mine.py:1"),
        ("import sys\nsys.exit(3)", "SystemExit: 3.*mine.py:2"),
        ("raise type('Odd', (Exception,), {'__str__': lambda self: 1 / 0})", "Odd.*mine.py:1"),
    ],
)
def test_a_method_file_that_cannot_be_executed_says_why(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "mine.py").write_text(content)
    before = set(sys.modules)
    with pytest.raises(ValueError, match=f"mine.py cannot be executed: {message}"):
        find_method(str(tmp_path / "mine.py"))
    assert not {name for name in set(sys.modules) - before if name.startswith("mine")}


@pytest.mark.parametrize(
    ("given", "protocol", "instead"),
    [
        ("regressor", "classification", "give it classifier=… too, or use another protocol, such as regression-folds"),
        ("classifier", "regression-folds", "give it regressor=… too, or use another protocol, such as classification"),
    ],
)
def test_a_method_without_the_protocols_estimator_is_told_what_to_do(given: str, protocol: str, instead: str) -> None:
    dummies = {"regressor": DummyRegressor(), "classifier": DummyClassifier()}
    method = nb.Method(description="", source="", reads=(), **{given: dummies[given]})
    with pytest.raises(ValueError, match=f"only a {given}, but {protocol} is .*: {instead}"):
        nb.evaluate(method, "digits-lenet", protocol=protocol, budgets=1)
