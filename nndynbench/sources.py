"""Hashes the code that a kept value depends on. The code is found by following imports recursively. Every cache of the
project uses this one rule.

`code_of` is for modules of this package: it hashes their sources, those of the modules that they import, even inside a
function, and the data files that they name. `script_code` is for a user's own file with the helpers beside it,
`package_code` for installed packages, which need what they declare, or what they import if they declare nothing. The
standard library counts by Python's version, a package of many files by its own version.
"""

from __future__ import annotations

import ast
import hashlib
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES, PathFinder
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions, version
from pathlib import Path

from nndynbench.errors import NndynbenchError

PACKAGE = __name__.partition(".")[0]
ROOT = Path(__file__).parents[1]

SOURCE = ".py"
STUB = ".pyi"
DATA = re.compile(r"""(?P<quote>["'])(?P<name>[\w.-]+\.(?:toml|json|csv))(?P=quote)""")

# What may be the name of a file in a user's file, and up to how many bytes such a file is read.
NAMED = re.compile(r"""["'](?P<name>[\w./-]{1,200}\.\w{1,10})["']""")
LARGEST_NAMED = 1 << 24

# The name that a declared requirement begins with, and what marks one that is only for an extra.
REQUIRED = re.compile(r"[\w.-]+")
OPTIONAL = re.compile(r";.*\bextra\b")

# The folders of installed packages.
INSTALLED = frozenset({"site-packages", "dist-packages"})

# The fields of a statement that hold statements.
STATEMENTS = ("body", "orelse", "finalbody", "handlers", "cases")

# More files than any package of one person's own has, and fewer than a library has.
MANY_FILES = 500

STARTED = time.time()

# The modules that decide each kind of kept value, with everything of the project that they import. A change there changes
# the key.
DECIDES = {
    # What a user's own function is handed.
    "graphs": ("nndynbench.subsets.history", "nndynbench.subsets.reader", "nndynbench.subsets.packed"),
    # What an unchanged method predicts on an unchanged subset.
    "predictions": (
        "nndynbench.protocols.harness",
        "nndynbench.protocols.fitting",
        "nndynbench.sealed.inside",
        "nndynbench.sealed.desk",
        "nndynbench.subsets.history",
        "nndynbench.subsets.reader",
        "nndynbench.subsets.packed",
        "nndynbench.columns",
        "nndynbench.signatures",
        "nndynbench.centralities",
        "nndynbench.features",
        "nndynbench.graphs",
    ),
    # Whether a submission is accepted.
    "acceptance": ("leaderboard.check", "nndynbench.submissions", "nndynbench.submissions.recomputation"),
    # Scores and ranks of accepted submissions.
    "scores": ("leaderboard.scores", "leaderboard.units"),
}

# Modules that show values to a reader. Values import them to show themselves; no kept value depends on them.
SHOW = ("nndynbench.cards", "nndynbench.drawing")


class ChangedCodeError(NndynbenchError, ValueError):
    """Code was changed after this process began, so what runs here may be something else."""


def code_of(*modules: str) -> str:
    """SHA-256 of the sources of some modules of this project and of everything of it that they import."""
    return code_and_time(*modules)[0]


def running_code(*modules: str) -> str:
    """The same, where it is of the code that this process runs.

    Raises
    ------
    ChangedCodeError
        If one of the files was changed after this process began.
    """
    code, changed = code_and_time(*modules)
    if changed > STARTED:
        raise ChangedCodeError(f"{PACKAGE} was changed after this process started")
    return code


@cache
def code_and_time(*modules: str) -> tuple[str, float]:
    """What `code_of` returns, and when the last of the files was changed. Each is read once, then asked for its time."""
    digest, changed = hashlib.sha256(), 0.0
    for path in sorted(files_behind(*modules)):
        digest.update(f"{path.relative_to(ROOT)}\n".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
        changed = max(changed, path.stat().st_mtime)
    return digest.hexdigest(), changed


def deciding_code(what: str) -> str:
    """SHA-256 of the code that decides ``what``, one of `DECIDES`."""
    return code_of(*DECIDES[what])


def deciding_files(what: str) -> set[Path]:
    """The files of the code that decides ``what``."""
    return files_behind(*DECIDES[what])


def files_behind(*modules: str) -> set[Path]:
    """The files of some modules of this project, of everything of it that they import, and of the data that those name."""
    todo, found = [path for module in modules for path in _files(module)], set[Path]()
    while todo:
        path = todo.pop()
        if path in found:
            continue
        found.add(path)
        if path.suffix in (SOURCE, STUB):
            todo += [other for module, names in _imports(path) for other in _imported(module, names)]
            todo += [path.parent / name for name in _data_names(path) if (path.parent / name).is_file()]
    return found


def script_code(path: Path) -> str:
    """SHA-256 of a user's file, of what it imports, from beside it or installed, except this package, and of the files that
    it and the user's own modules name.
    """
    digest = hashlib.sha256(path.read_bytes())
    folder, places = path.resolve().parent, (str(path.resolve().parent), *sys.path)
    for named in _named_in(path, folder):
        digest.update(named.encode())
    for code in _packages_behind([path], places):
        digest.update(code.encode())
    for module in _own_modules(path, places):
        # A name may be meant from the module's own folder, or from that of the file, where it is usually run.
        for place in dict.fromkeys((module.resolve().parent, folder)):
            for named in _named_in(module, place):
                digest.update(named.encode())
    return digest.hexdigest()


def _named_in(source: Path, folder: Path) -> Iterator[str]:
    """A line for each file in a folder that a source names: its name, and its state."""
    for name in sorted({found["name"] for found in NAMED.finditer(source.read_bytes().decode(errors="replace"))}):
        named = folder / name
        with suppress(OSError):  # what this user may not look at
            if named.is_file():
                yield f"{name} {_state_of(named)}"


def _own_modules(path: Path, places: tuple[str, ...]) -> list[Path]:
    """The sources that a user's file imports, directly or not, and that are neither installed nor Python's own."""
    todo, found = sorted(_tops([path])), dict[str, tuple[Path, ...]]()
    while todo:
        top = todo.pop(0)
        if top in found or top == PACKAGE or top in sys.stdlib_module_names:
            continue
        held = (each for each in _package_files(top, places) if each.suffix == SOURCE)
        found[top] = tuple(each for each in held if INSTALLED.isdisjoint(each.parts) and each.resolve() != path.resolve())
        todo += sorted(_tops(found[top]) - found.keys())
    return sorted(each for held in found.values() for each in held)


def _state_of(data: Path) -> str:
    """The SHA-256 of a data file; size and time of one that would take long to read."""
    facts = data.stat()
    if facts.st_size > LARGEST_NAMED:
        return f"{facts.st_size} {facts.st_mtime_ns}"
    return hashlib.sha256(data.read_bytes()).hexdigest()


@cache
def package_code(top: str) -> str:
    """What an installed package, and everything that it needs, is made of.

    Raises
    ------
    ChangedCodeError
        If one of them was changed after this process began.
    """
    return "\n".join(_packages_behind((), tuple(sys.path), changed=True, own=top))


def is_small(top: str) -> bool:
    """Whether a package is looked through file by file."""
    return bool(_package_files(top, tuple(sys.path)))


def _packages_behind(
    files: Iterable[Path], places: tuple[str, ...], *, changed: bool = False, own: str = ""
) -> Iterator[str]:
    """A line for each package that some files import and that these need in turn: its name, and a checksum if it is small,
    else its version.
    """
    todo = sorted({own} - {""} | _tops(files))
    seen: set[str] = set()
    while todo:
        top = todo.pop(0)
        if top in seen or top == PACKAGE or top in sys.stdlib_module_names:
            continue
        seen.add(top)
        held = _package_files(top, places)
        if changed and any(path.stat().st_mtime > STARTED for path in held):
            raise ChangedCodeError(f"{top} was changed after this process started")
        told = hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in held)).hexdigest()
        yield f"{top} {told if held else _version(top)}"
        todo += sorted(_needed(top, held) - seen)


def _needed(top: str, held: Sequence[Path]) -> set[str]:
    """The packages that a small package needs: those that its distribution requires, or that its files import if it comes
    from none. Libraries import half of what is installed somewhere, for the few who have it.
    """
    distributions = []
    for name in _distributions().get(top, ()):
        with suppress(PackageNotFoundError):  # removed since
            distributions.append(distribution(name))
    own = [each for each in distributions if held and Path(str(each.locate_file(""))) in held[0].parents]
    if not own:  # none, or one of the same name elsewhere
        return _tops(held)
    declared = [text for each in own for text in each.requires or () if not OPTIONAL.search(text)]
    required = {_plain(name) for text in declared for name in REQUIRED.findall(text)[:1]}
    return {package for package, names in _distributions().items() if not required.isdisjoint(map(_plain, names))}


def _plain(name: str) -> str:
    """A distribution's name in the spelling that is the same for all ways to write it."""
    return re.sub(r"[-_.]+", "-", name).lower()


@cache
def _distributions() -> Mapping[str, Sequence[str]]:
    """For each installed package, the names of the distributions that it comes from. It takes a while to find them."""
    return {package: [name for name in names if name] for package, names in packages_distributions().items()}


@cache
def _version(top: str) -> str:
    """The version of the distribution that a package comes from; empty if it is not installed."""
    for name in (top, *_distributions().get(top, ())):
        with suppress(PackageNotFoundError):
            return version(name)
    return ""


@cache
def _package_files(top: str, places: tuple[str, ...]) -> tuple[Path, ...]:
    """The code files of a package; none if it is not there, or has too many files."""
    spec = PathFinder.find_spec(top, list(places))
    if spec is None:
        return ()
    folders = [Path(place) for place in spec.submodule_search_locations or ()]
    if not folders:
        return (Path(spec.origin),) if spec.origin is not None and Path(spec.origin).is_file() else ()
    endings = (SOURCE, *EXTENSION_SUFFIXES)
    found = []
    for folder in folders:
        for path in folder.rglob("*"):
            if path.name.endswith(endings):
                found.append(path)
                if len(found) > MANY_FILES:
                    return ()
    return tuple(sorted(found))


def _tops(files: Iterable[Path]) -> set[str]:
    """The outermost packages that some files import."""
    sources = [path for path in files if path.suffix == SOURCE]
    return {module.partition(".")[0] for path in sources for module, _ in _imports(path) if module}


def _imports(path: Path) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """What a file imports anywhere: modules, each with the names that are taken from it."""
    return _imports_of(path, path.read_bytes())


@cache
def _imports_of(path: Path, source: bytes) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The same of what the file holds now: a user's file may be edited while this process runs."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):  # for another version of Python, or never imported
        return ()
    found: list[tuple[str, tuple[str, ...]]] = []
    todo: list[ast.AST] = [*tree.body]
    while todo:  # only statements: most of a tree is expressions, which import nothing
        node = todo.pop()
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            todo += node.orelse
        elif isinstance(node, ast.Import):
            found += [(alias.name, ()) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(path, node)
            found.append((base, tuple(alias.name for alias in node.names)))
        else:
            for part in STATEMENTS:
                todo += getattr(node, part, ())
    return tuple(found)


def _absolute(path: Path, node: ast.ImportFrom) -> str:
    """The module that an import names. A relative import in another project is empty, since it stays within its package."""
    if not node.level:
        return node.module or ""
    if ROOT not in path.parents:
        return ""
    package = path.relative_to(ROOT).parts[: -node.level]
    return ".".join([*package, *([node.module] if node.module else [])])


def _imported(module: str, names: tuple[str, ...]) -> Iterator[Path]:
    """The files behind an import from this project: for a package, those that define what is taken from it."""
    folder = ROOT.joinpath(*module.split("."))
    if not folder.is_dir():
        yield from _files(module)
        return
    for name in names:
        inner = f"{module}.{name}"
        if _files(inner):
            yield from _files(inner)
            continue
        start = folder / f"__init__{STUB}" if (folder / f"__init__{STUB}").is_file() else folder / f"__init__{SOURCE}"
        if not start.is_file():
            continue
        origins = [other for other, taken in _imports(start) if name in taken]
        if not origins:
            yield start
        for other in origins:
            yield from _imported(other, (name,)) if other != module else _files(f"{module}.{name}")


def _files(module: str) -> list[Path]:
    """The file of a module of this project; for a package, the files that say what is in it. None for one that shows."""
    if module.partition(".")[0] not in (PACKAGE, "leaderboard", "generation") or module in SHOW:
        return []
    path = ROOT.joinpath(*module.split("."))
    if path.is_dir() and path.name in _names_in(path.parent):
        return [file for file in (path / f"__init__{SOURCE}", path / f"__init__{STUB}") if file.is_file()]
    source = path.with_name(f"{path.name}{SOURCE}")
    return [source] if source.is_file() and source.name in _names_in(source.parent) else []


@cache
def _names_in(folder: Path) -> frozenset[str]:
    """What is in a folder, as it is written: to some disks the class ``Subset`` is the file ``subset.py`` too."""
    return frozenset(os.listdir(folder))


@cache
def _data_names(path: Path) -> set[str]:
    """The texts in a source that are names of data files."""
    return {found["name"] for found in DATA.finditer(path.read_text(encoding="utf-8", errors="replace"))}
