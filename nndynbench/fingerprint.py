"""Fingerprints of functions. Functions with equal fingerprints compute the same, so what one computed may be kept for
another.

They are taken from the code that runs, not from its source file: from the bytecode and constants of a function, of what it
is closed over, and of every function that it names, however far away. Installed code counts by its name and its files, with
those of everything that it imports (`nndynbench.sources`), and by every library's version. A function that reaches anything
else, such as an object or a module of one's own, has no fingerprint. Nor has one that seems to look outside: at files, the
environment, the network, the clock, or random numbers that it did not seed. That is judged by the names in its code, so a
function may lose its fingerprint for nothing; it is then only computed again.
"""

from __future__ import annotations

import dis
import hashlib
import platform
import re
import site
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import _lru_cache_wrapper, cache, partial
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

from nndynbench.sources import DECIDES, INSTALLED, PACKAGE, ChangedCodeError, is_small, package_code, running_code

# A longer container is a user's own data, and slow to go through at each call.
LARGEST = 1000
CONTAINERS = (list, tuple, set, frozenset, dict)
HEAP_TYPE = 1 << 9  # of classes that are made while Python runs
CONSTANTS = (bool, int, float, complex, str, bytes, type(None), type(...))
FACTS_OF_CODE = ("argcount", "code", "exceptiontable", "flags", "kwonlyargcount", "names", "varnames")
IMPORTING = frozenset({"IMPORT_NAME"})
NAMING = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})

# What looks outside. These names of functions and attributes, of whatever library; but not torch's `load_state_dict`, which
# takes weights that are there already, nor `load_digits`, whose images come with scikit-learn.
OUTSIDE = re.compile(r"open|read|imread|read_\w+|load(?!_state_dict$|_digits$)(txt|mat|_\w+)?|genfromtxt|fromfile|memmap")
# Everything from these modules.
OUTSIDE_MODULES = frozenset(
    [
        *("_io", "genericpath", "glob", "h5py", "io", "nt", "ntpath", "os", "pathlib", "posix", "posixpath", "shutil"),
        *("http", "requests", "socket", "sqlite3", "subprocess", "urllib"),
        *("datetime", "importlib", "random", "secrets", "time", "uuid"),
    ]
)
# And what draws numbers, unless the function makes a generator of its own.
DRAWING = frozenset({"random", "rand", "randn", "randint", "randperm"})
GENERATORS = frozenset({"default_rng", "Generator", "RandomState"})


class _NoFingerprintError(ValueError):
    """Something that may change without being noticed."""


class _LooksOutsideError(_NoFingerprintError):
    """Code that seems to depend on more than its argument."""


def fingerprint(function: Callable[..., Any]) -> str | None:
    """SHA-256 of everything that decides what a function returns for an argument; None if that cannot be told."""
    try:
        parts = [environment(), *_parts(function, {})]
    except (_NoFingerprintError, ChangedCodeError, RecursionError):
        return None
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _parts(value: Any, seen: dict[int, str]) -> Iterator[str]:
    """What a value is, in words that are equal for equal values. ``seen`` numbers the functions that were passed already."""
    kind = type(value)  # exact types only: a user's own subclass may say anything about itself
    if kind in CONSTANTS:
        yield repr(value)
        return
    if isinstance(value, np.generic) and kind.__module__ == "numpy" and not kind.__flags__ & HEAP_TYPE:
        yield f"{value.dtype.str} {value.tobytes().hex()}"
        return
    if (name := _installed_name(value)) is not None:
        yield from _installed_parts(name, value, seen)
        return
    yield kind.__name__
    if kind in CONTAINERS and len(value) > LARGEST:
        raise _NoFingerprintError
    if kind in (list, tuple):
        yield str(len(value))
        for item in value:
            yield from _parts(item, seen)
    elif kind in (set, frozenset):
        yield from sorted("\n".join(_parts(item, seen)) for item in value)
    elif kind is dict:
        yield from _parts(list(value.items()), seen)
    elif kind is slice:  # a constant of bytecode from Python 3.14 on
        yield from _parts([value.start, value.stop, value.step], seen)
    elif kind is _lru_cache_wrapper:
        yield from _parts(value.__wrapped__, seen)
    elif kind is partial and not vars(value):
        yield from _parts([value.func, value.args, value.keywords], seen)
    elif isinstance(value, CodeType):
        yield from (repr(getattr(value, f"co_{fact}")) for fact in FACTS_OF_CODE)
        yield from _parts(value.co_consts, seen)
    elif id(value) in seen:
        yield seen[id(value)]
    elif isinstance(value, FunctionType):
        seen[id(value)] = f"function {len(seen)}"
        yield from _function_parts(value, seen)
    else:
        raise _NoFingerprintError


def _installed_parts(name: str, value: Any, seen: dict[int, str]) -> Iterator[str]:
    """What is found in an installed module: its name, the files of its package and, for a function there, what it is now."""
    yield name
    module = value.__name__ if isinstance(value, ModuleType) else value.__module__
    if _looks_outside([name.rpartition(".")[2]], [module]):
        raise _LooksOutsideError
    yield from _module_parts(module)
    top = module.partition(".")[0]
    is_looked_through = top != PACKAGE and top not in sys.stdlib_module_names and is_small(top)
    if isinstance(value, FunctionType) and is_looked_through and id(value) not in seen:
        seen[id(value)] = f"function {len(seen)}"
        try:
            yield from list(_function_parts(value, seen))
        except _LooksOutsideError:
            raise
        except _NoFingerprintError:  # its files must be enough
            yield "not looked through"


def _module_parts(module: str) -> Iterator[str]:
    top = module.partition(".")[0]
    if top == PACKAGE:
        yield running_code(module)
    elif top not in sys.stdlib_module_names:
        yield package_code(top)


def _function_parts(function: FunctionType, seen: dict[int, str]) -> Iterator[str]:
    imported = _names(function.__code__, IMPORTING)
    if not all(map(_is_installed, imported)) or vars(function).keys() - {"__wrapped__"}:
        raise _NoFingerprintError
    names = _all_names(function.__code__)
    named = {name: function.__globals__[name] for name in _names(function.__code__, NAMING) if name in function.__globals__}
    modules = {value.__name__.rpartition(".")[2] for value in named.values() if isinstance(value, ModuleType)}
    draws_unseeded = not DRAWING.isdisjoint(names | modules) and GENERATORS.isdisjoint(names)
    if draws_unseeded or _looks_outside(names, imported):
        raise _LooksOutsideError
    for module in imported:
        yield from _module_parts(module)
    try:
        closed_over = [cell.cell_contents for cell in function.__closure__ or ()]
    except ValueError as not_yet_set:
        raise _NoFingerprintError from not_yet_set
    for part in (function.__code__, function.__defaults__, function.__kwdefaults__, closed_over, named):
        yield from _parts(part, seen)


def _looks_outside(names: Iterable[str], modules: Iterable[str]) -> bool:
    return any(map(OUTSIDE.fullmatch, names)) or not OUTSIDE_MODULES.isdisjoint(each.partition(".")[0] for each in modules)


@cache
def _all_names(code: CodeType) -> frozenset[str]:
    """All names of globals, attributes and imports in a function, and in the functions defined in it."""
    return frozenset(code.co_names).union(*(_all_names(part) for part in code.co_consts if isinstance(part, CodeType)))


@cache
def _names(code: CodeType, instructions: frozenset[str]) -> tuple[str, ...]:
    """The names in some instructions of a function, and of the functions defined in it."""
    own = {i.argval for i in dis.get_instructions(code) if i.opname in instructions}
    inner = {name for part in code.co_consts if isinstance(part, CodeType) for name in _names(part, instructions)}
    return tuple(sorted(own | inner))


def _installed_name(value: Any) -> str | None:
    """The name of an installed module, or of something that is found there under its name; else None."""
    if isinstance(value, ModuleType):
        return value.__name__ if _is_installed(value.__name__) else None
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str) or not _is_installed(module):
        return None
    return f"{module}.{name}" if getattr(sys.modules.get(module), name, None) is value else None


def _is_installed(module: str) -> bool:
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names or top == PACKAGE:
        return True
    return not INSTALLED.isdisjoint(Path(getattr(sys.modules.get(top), "__file__", None) or "").parts)


@cache
def environment() -> str:
    """What all functions run on: the interpreter, the libraries, and this package's code that makes what they are handed.

    Raises
    ------
    ChangedCodeError
        If that code was changed after this process began.
    """
    # Not `sys.path`, which libraries change while they are imported.
    folders = map(Path, (*site.getsitepackages(), site.getusersitepackages()))
    libraries = sorted({path.name for folder in folders for path in folder.glob("*.dist-info")})
    return " ".join([sys.version, platform.machine(), running_code(*DECIDES["graphs"]), *libraries])
