"""Names and orders of arguments that changed. The old ones are understood for a version, with a warning that gives the new
one.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Any, TypeVar, cast

Called = TypeVar("Called", bound=Callable[..., Any])


def renamed_keyword(old: str, new: str) -> Callable[[Called], Called]:
    """Decorates a function or a class whose keyword ``new`` was called ``old``, so that it takes both."""

    def taking_both(called: Called) -> Called:
        inner: Callable[..., Any] = called.__init__ if isinstance(called, type) else called  # type: ignore[misc]

        @wraps(inner)  # inspect shows the keywords of today
        def by_either_name(*arguments: Any, **options: Any) -> Any:
            if old in options:
                if new in options:
                    raise TypeError(f"{called.__name__}() takes {new} or its older name {old}, not both")
                _warn(f"{called.__name__}({old}=) is now called {new}")
                options[new] = options.pop(old)
            return inner(*arguments, **options)

        if not isinstance(called, type):
            return cast(Called, by_either_name)
        called.__init__ = by_either_name  # type: ignore[misc]
        return called

    return taking_both


def reordered(*earlier: str, told_by: Callable[[Any], bool]) -> Callable[[Called], Called]:
    """Decorates a function whose first arguments were in another order, ``earlier``, so that it takes both. ``told_by`` says
    whether the first argument is of the earlier order.
    """

    def taking_both(called: Called) -> Called:
        @wraps(called)
        def in_either_order(*arguments: Any, **options: Any) -> Any:
            if not arguments or not told_by(arguments[0]):
                return called(*arguments, **options)
            order = ", ".join(name for name in signature(called).parameters if name in earlier)
            _warn(f"{called.__name__}() now takes its arguments in the order ({order})")
            named = dict(zip(earlier, arguments, strict=False))
            if len(arguments) > len(earlier) or named.keys() & options.keys():
                raise TypeError(f"{called.__name__}() takes ({order}), each once")
            return called(**named, **options)

        return cast(Called, in_either_order)

    return taking_both


def _warn(message: str) -> None:
    """Warn where the function was called, however many of these decorators stand around it."""
    level = 1
    while sys._getframe(level).f_code.co_filename == __file__:
        level += 1
    warnings.warn(message, DeprecationWarning, stacklevel=level + 1)
