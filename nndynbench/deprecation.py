"""Names that changed: the old ones are understood for a version, with a warning that says the new one."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

Called = TypeVar("Called", bound=Callable[..., Any])


def renamed_keyword(old: str, new: str) -> Callable[[Called], Called]:
    """A function or a class whose keyword ``new`` was called ``old`` takes both."""

    def taking_both(called: Called) -> Called:
        inner: Callable[..., Any] = called.__init__ if isinstance(called, type) else called  # type: ignore[misc]

        @wraps(inner)  # inspect shows the keywords of today
        def by_either_name(*arguments: Any, **options: Any) -> Any:
            if old in options:
                if new in options:
                    raise TypeError(f"{called.__name__}() takes {new} or its older name {old}, not both")
                warnings.warn(f"{called.__name__}({old}=) is called {new} now", DeprecationWarning, stacklevel=2)
                options[new] = options.pop(old)
            return inner(*arguments, **options)

        if not isinstance(called, type):
            return cast(Called, by_either_name)
        called.__init__ = by_either_name  # type: ignore[misc]
        return called

    return taking_both
