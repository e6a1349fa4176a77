"""Single files: written whole or not at all, and checked against their manifest before they are read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nndynbench.storage.manifest import FileFacts, Manifest


class DamagedFileError(ValueError):
    """A file that is not what its manifest says: truncated, altered or missing."""


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield a partial name to write to; rename it to ``path`` at the end, or remove it if anything went wrong."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def file_facts(path: Path) -> FileFacts:
    """Size and SHA-256 of a file as it is now."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return FileFacts(bytes=path.stat().st_size, sha256=digest)


# Files found good in this process, by path, size and modification time: hashing is not repeated at every read.
_found_good: set[tuple[str, int, int]] = set()


def checked(folder: Path, name: str, manifest: Manifest, *, again: bool = False) -> Path:
    """The path of one of a subset's files, after checking its size and SHA-256 (once; ``again`` always).

    Raises
    ------
    DamagedFileError
        Naming the file with the expected and the found checksum, or saying that it is missing.
    """
    path, expected = folder / name, manifest.files[name]
    if not path.is_file():
        raise DamagedFileError(f"{path} is missing; {manifest.subset} {manifest.version} lists it")
    stat = path.stat()
    seen = (str(path.resolve()), stat.st_size, stat.st_mtime_ns)
    if seen in _found_good and not again:
        return path
    found = file_facts(path)
    if found != expected:
        raise DamagedFileError(
            f"{path} is damaged: expected {expected.bytes} bytes with SHA-256 {expected.sha256}, "
            f"found {found.bytes} bytes with SHA-256 {found.sha256}"
        )
    _found_good.add(seen)
    return path
