"""Whether this process is sealed, and which subsets' data it ever held."""

from __future__ import annotations

from nndynbench.errors import NndynbenchError


class SealedError(NndynbenchError, RuntimeError):
    """A sealed process tried to load a subset."""


_sealed = False
_data_read: list[str] = []


def seal() -> None:
    """Seal this process: from now on it may load no subset."""
    global _sealed
    _sealed = True


def refuse_where_sealed(what: str) -> None:
    """Raise `SealedError` in a sealed process."""
    if _sealed:
        raise SealedError(f"{what} may not be loaded where a method is fitted: the method is handed all that it may see")


def note_data(subset: str) -> None:
    """Note that this process holds data of a subset, so no sealed process may be a copy of it."""
    _data_read.append(subset)


def data_read() -> list[str]:
    """The subset of each file that this process has read, in this order."""
    return list(_data_read)


def holds_data() -> bool:
    """Whether this process ever held data of a subset."""
    return bool(_data_read)
