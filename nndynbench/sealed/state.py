"""Whether this process is sealed, and whether it ever held data of a subset."""

from __future__ import annotations

from nndynbench.errors import NndynbenchError


class SealedError(NndynbenchError, RuntimeError):
    """A subset that a sealed process was to load."""


_sealed = False
_holds_data = False


def seal() -> None:
    """From now on this process may load no subset."""
    global _sealed
    _sealed = True


def refuse_where_sealed(what: str) -> None:
    """Raise `SealedError` in a sealed process."""
    if _sealed:
        raise SealedError(f"{what} may not be loaded where a method is fitted: it is handed the histories that it may see")


def note_data() -> None:
    """From now on this process holds data of a subset: no sealed one may be its copy."""
    global _holds_data
    _holds_data = True


def holds_data() -> bool:
    """Whether this process ever held data of a subset."""
    return _holds_data
