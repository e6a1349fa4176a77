"""Loads a user's Python file as Python runs a script: its folder comes first on the path, what lies beside it can be
imported, and its module can be found by code that looks for it (dataclasses, pickles, type hints).
"""

from __future__ import annotations

import hashlib
import importlib
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType

PACKAGE = __name__.partition(".")[0]

# Libraries that pickle functions and classes for other processes, and can be told to send the code along.
PICKLERS = ("cloudpickle", "joblib.externals.cloudpickle")

# Modules that were imported from beside a script. Loading a script again imports them again, as a new run would.
_beside: dict[str, ModuleType] = {}


def load_script(path: Path, *, alone: bool = False) -> ModuleType:
    """Execute a file as a module of its own, anew each time. What it imports from beside itself is read anew too, unless the
    file stands ``alone``.

    Its ``__name__`` is not ``__main__``, so code that is only for running the file as a script is not executed. Raises
    whatever the file raises; then nothing of the file's module is left behind.
    """
    path = path.absolute()
    folder = path.resolve().parent
    name = f"{re.sub(r'[^A-Za-z0-9]', '_', path.stem)}_{hashlib.sha256(bytes(path)).hexdigest()[:8]}"
    spec = spec_from_file_location(name, path, loader=_Uncached(name, str(path)))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module
    with nullcontext() if alone else _first_on_path(folder):
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    _send_along(module)
    return module


class _Uncached(SourceFileLoader):
    """Compiles the source each time. Python's cache tells a newer source by whole seconds, so it would miss a quick edit."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


@contextmanager
def _first_on_path(folder: Path) -> Iterator[None]:
    """Put a folder first on the import path. It stays there, since functions import when they are called."""
    if str(folder) in sys.path:
        sys.path.remove(str(folder))
    sys.path.insert(0, str(folder))
    for name, module in _beside.items():
        if sys.modules.get(name) is module:
            del sys.modules[name]
    _beside.clear()
    importlib.invalidate_caches()
    namesakes = _namesakes(folder)
    for name in namesakes:
        del sys.modules[name]
    before = set(sys.modules)
    try:
        yield
    finally:
        _beside.update(_imported_from(folder, set(sys.modules) - before))
        for module in _beside.values():
            _send_along(module)
        sys.modules.update(namesakes)  # other code still needs them


def _namesakes(folder: Path) -> dict[str, ModuleType]:
    """Modules imported so far from elsewhere that have the names of files in the folder."""
    tops = {name for name in sys.modules if "." not in name} - {PACKAGE, "__main__", *sys.stdlib_module_names}
    hiding = {top for top in tops if (folder / f"{top}.py").is_file() or (folder / top / "__init__.py").is_file()}
    hiding -= set(_imported_from(folder, hiding))
    return {name: module for name, module in sys.modules.items() if name.partition(".")[0] in hiding}


def _imported_from(folder: Path, names: set[str]) -> dict[str, ModuleType]:
    """Of the modules named, those whose outermost package is also named and lies in the folder itself."""
    found = {}
    for name in names:
        if name.partition(".")[0] not in names:
            continue
        top = sys.modules[name.partition(".")[0]]
        places = [Path(place).parent for place in getattr(top, "__path__", None) or [getattr(top, "__file__", None) or ""]]
        if folder in [place.resolve() for place in places]:
            found[name] = sys.modules[name]
    return found


def _send_along(module: ModuleType) -> None:
    """Have a module's functions and classes pickled with their code, since no other process could import it by its name."""
    for name in PICKLERS:
        try:
            importlib.import_module(name).register_pickle_by_value(module)
        except (ImportError, ValueError):  # no such library, or the module has removed itself from sys.modules
            continue
