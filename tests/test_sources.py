"""Kept values depend on all code that decides them: a file's imports, their imports, and those of installed packages."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from nndynbench import sources
from nndynbench.centralities import moments
from nndynbench.fingerprint import environment, fingerprint
from nndynbench.protocols import find_method
from nndynbench.sources import code_and_time, deciding_files, files_behind, package_code, script_code


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of installed packages, one of which needs another's code; they count as older than this process."""
    folder = tmp_path / "site-packages"
    for name, text in {
        "seal_features/__init__.py": "from seal_features.inner import feature\n",
        "seal_features/inner.py": "import seal_deeper\ndef feature(graph):\n    return [seal_deeper.scale(1.0)]\n",
        "seal_deeper.py": "FACTOR = 2.0\ndef scale(value):\n    return FACTOR * value\n",
        "seal_stranger.py": "VALUE = 1\n",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(sources, "STARTED", float("inf"))
    forget()
    yield folder
    forget()
    for name in [name for name in sys.modules if name.startswith("seal_")]:
        del sys.modules[name]


def forget() -> None:
    """Forget what is cached, as if a new process began."""
    remembered = (sources._package_files, sources._imports_of, sources._distributions)
    for remembering in (package_code, code_and_time, environment, *remembered):
        remembering.cache_clear()


def fresh(module: str) -> Any:
    for name in [name for name in sys.modules if name.startswith("seal_")]:
        del sys.modules[name]
    importlib.invalidate_caches()
    return importlib.import_module(module)


EDITED = {
    "seal_features/__init__.py": True,
    "seal_features/inner.py": True,
    "seal_deeper.py": True,
    "seal_stranger.py": False,
}


@pytest.mark.parametrize("file", EDITED)
def test_an_installed_package_counts_with_all_that_it_imports(installed: Path, file: str) -> None:
    before = package_code("seal_features"), fingerprint(fresh("seal_features").feature)
    assert None not in before
    (installed / file).write_text((installed / file).read_text() + "# edited, under the same version\n")
    forget()
    after = package_code("seal_features"), fingerprint(fresh("seal_features").feature)
    assert [old != new for old, new in zip(before, after, strict=True)] == [EDITED[file]] * 2


@pytest.mark.parametrize("file", EDITED)
def test_a_package_that_declares_what_it_needs_counts_with_that_alone(installed: Path, file: str) -> None:
    """Not with what it may import: libraries import a good part of what is installed somewhere."""
    (installed / "seal_features/optional.py").write_text("def draw():\n    import seal_stranger\n")
    for name, needs in {"seal_features": ["Seal.Deeper>=1", "seal-stranger; extra == 'plot'"], "seal_deeper": []}.items():
        folder = installed / f"{name}-1.0.dist-info"
        folder.mkdir()
        (folder / "top_level.txt").write_text(name)
        declared = "".join(f"Requires-Dist: {need}\n" for need in needs)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{declared}")
    forget()
    before = package_code("seal_features")
    (installed / file).write_text((installed / file).read_text() + "# edited, under the same version\n")
    forget()
    assert (package_code("seal_features") != before) == EDITED[file]


def test_a_broken_installation_of_another_package_stops_no_fingerprint(installed: Path) -> None:
    (broken := installed / "seal_deeper-1.0.dist-info").mkdir()
    (broken / "top_level.txt").write_text("seal_deeper")  # and no METADATA
    forget()
    assert fingerprint(fresh("seal_features").feature) is not None


def test_a_function_that_imports_an_installed_module_counts_its_files(installed: Path) -> None:
    namespace: dict[str, Any] = {"__name__": "a_method_file"}
    exec("def late(graph):\n    import seal_deeper\n    return [seal_deeper.FACTOR]", namespace)
    fresh("seal_deeper")
    before = fingerprint(namespace["late"])
    (installed / "seal_deeper.py").write_text("FACTOR = 3.0\n")
    forget()
    assert None is not before != fingerprint(namespace["late"])


def test_a_value_that_an_installed_module_is_given_while_it_runs_is_seen(installed: Path) -> None:
    module = fresh("seal_deeper")
    before = fingerprint(module.scale)
    module.FACTOR = 5.0
    assert fingerprint(module.scale) != before


def test_a_package_changed_after_the_process_began_has_no_fingerprint(
    installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    function = fresh("seal_features").feature
    monkeypatch.setattr(sources, "STARTED", 0.0)
    forget()
    assert fingerprint(function) is None


@pytest.mark.usefixtures("installed")
def test_this_package_changed_after_the_process_began_gives_no_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    def plain(graph: Any) -> Any:
        return graph.degree()

    def by_name(graph: Any) -> Any:
        return moments(graph.degree())

    assert None not in (fingerprint(plain), fingerprint(by_name))
    monkeypatch.setattr(sources, "STARTED", 0.0)
    assert (fingerprint(plain) is None, fingerprint(by_name) is None) == (False, True)  # what all run on is remembered
    environment.cache_clear()
    assert fingerprint(plain) is None


def test_a_large_library_counts_by_its_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mine.py"
    path.write_text("import sklearn, numpy\n")
    first = script_code(path)
    installed = {"numpy": "1.0", "scikit-learn": "1.0"}
    monkeypatch.setattr(sources, "version", lambda name: installed.get(name) or metadata.version(name))
    for name in installed:
        before = script_code(path)
        sources._version.cache_clear()
        monkeypatch.setitem(installed, name, "2.0")
        assert script_code(path) not in (first, before)
    sources._version.cache_clear()


def test_a_method_files_fingerprint_is_of_its_helpers_too(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("from deeper import VALUE\n")
    (tmp_path / "deeper.py").write_text("VALUE = 1\n")
    (tmp_path / "beside.py").write_text("VALUE = 1\n")
    path = tmp_path / "mine.py"
    path.write_text(
        "import helper\nimport nndynbench as nb\nfrom sklearn.dummy import DummyRegressor\n"
        "METHODS = {'mine': nb.Method(description='', source='', reads=set(), regressor=DummyRegressor())}\n"
    )
    first = find_method(str(path)).fingerprint, script_code(path)
    (tmp_path / "beside.py").write_text("VALUE = 2\n")
    forget()
    assert (find_method(str(path)).fingerprint, script_code(path)) == first
    (tmp_path / "deeper.py").write_text("VALUE = 2\n")
    forget()
    second = find_method(str(path)).fingerprint, script_code(path)
    assert first[0] != second[0]
    assert first[1] != second[1]


def test_what_a_module_imports_late_and_by_re_export_and_the_data_that_it_names_count() -> None:
    found = {str(path.relative_to(sources.ROOT)) for path in files_behind("nndynbench.subsets.reader")}
    assert "nndynbench/signatures/snapshot.py" in found  # imported in a function, by a lazy package's name
    assert "nndynbench/graphs/unrolled.py" in found  # through that one
    assert "nndynbench/graphs/architectures.toml" in found  # data
    assert not [name for name in found if "/cli/" in name or "/report/" in name or name.endswith("plots.py")]


def test_a_class_is_not_the_module_of_its_name_in_lower_case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor on macOS and Windows, whose disks find the module under the class's name."""
    exists = Path.exists
    for name in ("is_file", "is_dir"):
        found = getattr(Path, name)
        monkeypatch.setattr(Path, name, lambda path, f=found: f(path if exists(path) else path.with_name(path.name.lower())))
    assert (sources.ROOT / "nndynbench" / "Columns.py").is_file()
    assert [path.name for path in files_behind("nndynbench.columns")].count("columns.py") == 1
    assert files_behind("nndynbench.Columns") == files_behind("nndynbench.Signatures") == set()


def test_scores_hang_on_metrics_and_their_words_not_on_fits() -> None:
    found = {path.name for path in deciding_files("scores")}
    assert {"metric.py", "regression.py", "intervals.py", "worth.py", "scores.py", "claims.toml", "board.toml"} <= found
    assert not {"harness.py", "fitting.py"} & found


def test_how_values_are_shown_and_scored_changes_no_key_of_what_a_function_computes() -> None:
    found = {str(path.relative_to(sources.ROOT)) for path in deciding_files("graphs")}
    assert not [name for name in found if name.startswith("nndynbench/protocols/")]
    assert not {"nndynbench/cards.py", "nndynbench/drawing.py"} & found


def test_what_a_file_imports_since_it_was_edited_counts_in_the_same_process(tmp_path: Path) -> None:
    path, helper = tmp_path / "mine.py", tmp_path / "own_helper.py"
    path.write_text("VALUE = 1\n")
    script_code(path)
    path.write_text("from own_helper import VALUE\n")
    helper.write_text("VALUE = 1\n")
    before = script_code(path)
    helper.write_text("VALUE = 2\n")
    assert script_code(path) != before


def test_a_file_that_a_method_file_names_counts(tmp_path: Path) -> None:
    path, settings = tmp_path / "mine.py", tmp_path / "settings.toml"
    path.write_text("from pathlib import Path\nTEXT = Path(__file__).with_name('settings.toml').read_text()\n")
    settings.write_text("cut = 0.1\n")
    before = script_code(path)
    (tmp_path / "another.toml").write_text("")
    assert script_code(path) == before
    settings.write_text("cut = 0.2\n")
    assert script_code(path) != before


@pytest.mark.parametrize("helper", ["own_helper.py", "own_package/inner.py"])
def test_a_file_that_a_helper_names_counts(tmp_path: Path, helper: str) -> None:
    """Where it lies beside the helper, or beside the method file."""
    path, module = tmp_path / "mine.py", tmp_path / helper
    module.parent.mkdir(exist_ok=True)
    (module.parent / "__init__.py").touch()
    path.write_text(f"import {helper.partition('/')[0].removesuffix('.py')}\n")
    module.write_text("TABLE = open('table.csv').read()\n")
    seen = [script_code(path)]
    for place in {module.parent, tmp_path}:
        for text in ("1\n", "2\n"):
            (place / "table.csv").write_text(text)
            seen.append(script_code(path))
    assert len(set(seen)) == len(seen)
    (tmp_path / "another.csv").write_text("1\n")
    assert script_code(path) == seen[-1]
