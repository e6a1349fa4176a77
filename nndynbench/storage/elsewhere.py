"""Writes the work of hours somewhere else if the place that it was meant for cannot be written: a full disk, a quota, a
folder that is gone or read-only.
"""

from __future__ import annotations

import secrets
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from nndynbench.storage.files import write_whole, written_whole

if TYPE_CHECKING:
    import pandas as pd


class SavedElsewhereWarning(UserWarning):
    """A file is in another place than was asked for, since that place could not be written; names both."""


def written_somewhere(write: Callable[[Path], object], path: Path) -> Path:
    """Have ``write`` write a file at a path. If it cannot, the first other folder where it can is used: the temporary one,
    the home folder, the current one. There the file has a new name, so that it replaces nothing. Returns where it is.

    Raises
    ------
    OSError
        If no folder can be written.

    Warns
    -----
    SavedElsewhereWarning
        Naming the place, and why it is not the one that was asked for.
    """
    try:
        write(path)
        return path
    except OSError as failure:
        for folder in _other_folders(path):
            other = folder / f"{path.stem[:100]}.{secrets.token_hex(4)}{path.suffix}"
            with suppress(OSError):
                write(other)
                warnings.warn(
                    f"{path} could not be written ({failure}); saved as {other} instead", SavedElsewhereWarning, stacklevel=2
                )
                return other
        raise


def rows_written_somewhere(rows: pd.DataFrame, path: Path) -> Path:
    """Have rows `written_somewhere`, as CSV: a spreadsheet that shows a file may keep it from being replaced."""

    def write(place: Path) -> None:
        with written_whole(place) as partial:
            rows.to_csv(partial, index=False)

    return written_somewhere(write, path)


def need_writable(path: Path) -> None:
    """Raise OSError where a file could not be written, because of its folder, name or disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    probe = path.with_name(f"{path.name}.probe")
    try:
        write_whole(probe, "")
    finally:
        probe.unlink(missing_ok=True)


def _other_folders(path: Path) -> Iterator[Path]:
    for find in (tempfile.gettempdir, Path.home, Path.cwd):
        with suppress(OSError, RuntimeError):  # no temporary folder, no home, or the current folder is gone
            folder = Path(find())
            if folder != path.parent and folder.is_dir():
                yield folder
