"""Checks names that a user typed (the error for an unknown one lists the valid ones, and guesses which was meant), lists
names, and names functions.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from nndynbench.errors import NndynbenchError

DEVICES = re.compile(r"(?i)(con|prn|aux|nul|com[1-9]|lpt[1-9])(\..*)?")
"""Names that Windows treats as devices, also with an ending: no file or folder can have them there."""


class UnknownNameError(NndynbenchError, ValueError):
    """A name (of a subset, tier, split, protocol, …) that does not exist."""


def check_name(name: object, valid: Iterable[str], *, what: str, instead: str = "", more: str = "") -> str:
    """Return ``name`` if it is among ``valid``. The error suggests ``instead`` or, by default, the most similar valid name.
    After the valid names it says ``more``.

    Raises
    ------
    UnknownNameError
        ``unknown subset 'cifar-vgg'; did you mean 'cifar10-vgg'? (valid: …)``
    """
    choices = list(valid)
    if isinstance(name, str) and name in choices:
        return name
    close = [instead] if instead else difflib.get_close_matches(str(name), choices, n=1)
    guess = f"; did you mean {close[0]!r}?" if close else ""
    more = f"; {more}" if more else ""
    raise UnknownNameError(f"unknown {what} {name!r}{guess} (valid: {', '.join(choices) or 'none'}{more})")


def first_of(names: Iterable[object], most: int) -> str:
    """The first names of a list, and how many more there are: "a, b and 3 more"."""
    listed = list(map(str, names))
    return ", ".join(listed[:most]) + (f" and {len(listed) - most} more" if len(listed) > most else "")


def name_of(function: Callable[..., Any]) -> str:
    """A function's name in errors, with the place where it is defined: "edge_entropy (edge_entropy.py:12)"."""
    while isinstance(function, partial):
        function = function.func
    code = getattr(function, "__code__", None)
    name = getattr(function, "__qualname__", type(function).__qualname__).rpartition("<locals>.")[2]
    return name if code is None else f"{name} ({Path(code.co_filename).name}:{code.co_firstlineno})"
