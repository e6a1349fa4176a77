"""Fingerprints of functions. Functions with equal fingerprints compute the same, so what one computed may be kept for
another.

They are taken from the code that runs, not from its source file: from the bytecode and constants of a function, of what it
is closed over, and of every function that it names, however far away. Arrays of numbers count with what is in them.
Installed code counts by its name and its files, with those of everything that it needs (`nndynbench.sources`), and by every
library's version. A function that reaches anything else, such as an object or a module of one's own, has no fingerprint. Nor
has one that seems to look outside: at files, the environment, the network, the clock, or random numbers that it did not
seed. That is judged by the names in its code, so a function may lose its fingerprint for nothing; it is then only computed
again. Nor is every unseeded number seen: `nndynbench.check_method` computes everything twice to find those.
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

# A longer container is a user's own data, and slow to go through at each call. An array is quick to go through.
LARGEST = 1000
LARGEST_ARRAY = 1 << 24  # bytes
NUMERIC = "biufc"
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
# Without a seed, these ask the system for one. (torch's Generator has a fixed one.)
SEEDED = frozenset({"default_rng", "RandomState", "SeedSequence", "PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64"})
# Instructions that only prepare a call; not in all versions of Python.
PREPARING = frozenset({"PRECALL", "PUSH_NULL"})


class _NoFingerprintError(ValueError):
    """Something that may change without being noticed; says what."""


class _LooksOutsideError(_NoFingerprintError):
    """Code that seems to depend on more than its argument."""


def fingerprint(function: Callable[..., Any]) -> str | None:
    """SHA-256 of everything that decides what a function returns for an argument; None if that cannot be told."""
    return _fingerprint_or_reason(function)[0]


def why_no_fingerprint(function: Callable[..., Any]) -> str:
    """Why it cannot be told what decides what a function returns; empty if it can."""
    return _fingerprint_or_reason(function)[1]


def _fingerprint_or_reason(function: Callable[..., Any]) -> tuple[str | None, str]:
    try:
        parts = [environment(), *_parts(function, {})]
    except (_NoFingerprintError, ChangedCodeError, RecursionError) as reason:
        return None, str(reason)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest(), ""


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
        raise _NoFingerprintError(f"it uses a {kind.__name__} of more than {LARGEST} items; an array may be larger")
    if kind in (list, tuple):
        yield str(len(value))
        for item in value:
            yield from _parts(item, seen)
    elif kind in (set, frozenset):
        yield from sorted("\n".join(_parts(item, seen)) for item in value)
    elif kind is dict:
        yield from _parts(list(value.items()), seen)
    elif kind is np.ndarray and value.dtype.kind in NUMERIC:
        if value.nbytes > LARGEST_ARRAY:
            raise _NoFingerprintError(f"it uses an array of more than {LARGEST_ARRAY >> 20} MB")
        yield f"{value.dtype.str} {value.shape} {hashlib.sha256(value.tobytes()).hexdigest()}"
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
        raise _NoFingerprintError(f"it uses {_called(value)}, whose changes would go unnoticed")


def _installed_parts(name: str, value: Any, seen: dict[int, str]) -> Iterator[str]:
    """What is found in an installed module: its name, the files of its package and, for a function there, what it is now."""
    yield name
    module = value.__name__ if isinstance(value, ModuleType) else value.__module__
    _check_outside([name.rpartition(".")[2]], [module])
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
    if own := [module for module in imported if not _is_installed(module)]:
        raise _NoFingerprintError(f"it imports {own[0]}, which is not installed, so its changes would go unnoticed")
    if attributes := vars(function).keys() - {"__wrapped__"}:
        raise _NoFingerprintError(f"{function.__qualname__} has an attribute of its own, {min(attributes)}")
    names = _all_names(function.__code__)
    named = {name: function.__globals__[name] for name in _names(function.__code__, NAMING) if name in function.__globals__}
    modules = {value.__name__.rpartition(".")[2] for value in named.values() if isinstance(value, ModuleType)}
    shares_a_generator = not DRAWING.isdisjoint(names | modules) and GENERATORS.isdisjoint(names)
    if shares_a_generator or _leaves_a_seed_open(function.__code__):
        raise _LooksOutsideError(f"{function.__qualname__} seems to draw random numbers without a seed")
    _check_outside(names, imported)
    for module in imported:
        yield from _module_parts(module)
    try:
        closed_over = [cell.cell_contents for cell in function.__closure__ or ()]
    except ValueError as not_yet_set:
        raise _NoFingerprintError(f"{function.__qualname__} names something that is not defined yet") from not_yet_set
    for part in (function.__code__, function.__defaults__, function.__kwdefaults__, closed_over, named):
        yield from _parts(part, seen)


def _check_outside(names: Iterable[str], modules: Iterable[str]) -> None:
    """Raise `_LooksOutsideError` for names and modules that stand for files, the environment, the network or the clock."""
    found = [*filter(OUTSIDE.fullmatch, names), *(each for each in modules if each.partition(".")[0] in OUTSIDE_MODULES)]
    if found:
        raise _LooksOutsideError(f"its code names {min(found)}, so what it returns may depend on something outside")


def _called(value: object) -> str:
    """What to call something of a user's own."""
    for kind, name in ((ModuleType, "module"), (type, "class")):
        if isinstance(value, kind):
            return f"the {name} {value.__name__}"
    return f"an object of the class {type(value).__name__}"


@cache
def _all_names(code: CodeType) -> frozenset[str]:
    """All names of globals, attributes and imports in a function, and in the functions defined in it."""
    return frozenset(code.co_names).union(*(_all_names(part) for part in code.co_consts if isinstance(part, CodeType)))


@cache
def _leaves_a_seed_open(code: CodeType) -> bool:
    """Whether a function, or one defined in it, makes a generator of random numbers without a seed."""
    steps = [step for step in dis.get_instructions(code) if step.opname not in PREPARING]
    for step, first, second in zip(steps, steps[1:], steps[2:], strict=False):
        if isinstance(step.argval, str) and step.argval in SEEDED:
            is_none = first.opname == "LOAD_CONST" and first.argval is None
            # The second step, if it is not the call, names the argument: `seed=None`.
            is_all = (second.opname, second.arg) == ("CALL", 1) or second.opname in ("KW_NAMES", "LOAD_CONST")
            if (first.opname, first.arg) == ("CALL", 0) or (is_none and is_all):
                return True
    return any(_leaves_a_seed_open(part) for part in code.co_consts if isinstance(part, CodeType))


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
