"""Single files: as a user names them, written whole or not at all, and their size and checksum."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nndynbench.storage.manifest import FileFacts


class DamagedFileError(ValueError):
    """A file that is not what its manifest, or its own checksum, says: truncated, altered or missing."""


def user_path(named: str | os.PathLike[str]) -> Path:
    """The path that a user names: ``~`` is the home folder also where no shell said so. Whoever takes a path asks here."""
    return Path(os.path.expanduser(named))


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield a partial name to write to; rename it to ``path`` at the end, or remove it if anything went wrong."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield partial
        put_in_place(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def remove_partial(folder: Path) -> None:
    """Remove what writers that were killed left in a folder to which nobody else writes now."""
    for partial in folder.glob("*.partial"):
        partial.unlink(missing_ok=True)


def put_in_place(whole: Path, path: Path) -> None:
    """Rename a whole file to ``path``, replacing what is there; after a power cut it is seen whole or not at all."""
    with whole.open("rb") as file:
        os.fsync(file.fileno())
    whole.replace(path)


def file_facts(path: Path) -> FileFacts:
    """Size and SHA-256 of a file as it is now."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return FileFacts(bytes=path.stat().st_size, sha256=digest)
