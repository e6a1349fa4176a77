"""Names that changed: the old ones are understood for a version, with a warning that says the new one."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, TypeVar

Class = TypeVar("Class", bound=type)


def renamed_keyword(old: str, new: str) -> Callable[[Class], Class]:
    """A class whose keyword ``new`` was called ``old`` takes both."""

    def accepting(cls: Class) -> Class:
        begin: Callable[..., None] = cls.__init__  # type: ignore[misc]

        def begin_by_either(self: Any, **facts: Any) -> None:
            if old in facts:
                warnings.warn(f"{cls.__name__}({old}=) is called {new} now", DeprecationWarning, stacklevel=2)
                facts.setdefault(new, facts.pop(old))
            begin(self, **facts)

        begin_by_either.__wrapped__ = begin  # type: ignore[attr-defined] # inspect shows the fields
        cls.__init__ = begin_by_either  # type: ignore[misc]
        return cls

    return accepting
