"""Checks files against their manifest before they are first read, and remembers on disk which were found good.

A file is remembered by its path, size, modification time and checksum. There is one small file per file found good, in
``found-good/`` of the home folder, so that processes share the memory without a lock. If no folder can be written, the
memory is this process's own.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from nndynbench.storage.files import DamagedFileError, file_facts
from nndynbench.storage.manifest import FileFacts
from nndynbench.storage.places import memory_folders

MEMORY = "found-good"

_found_good: set[str] = set()


def check(path: Path, expected: FileFacts, *, again: bool = False) -> None:
    """Check a file's size and SHA-256, unless it was found good before; with ``again``, even then.

    Raises
    ------
    DamagedFileError
        Naming the file with the expected and the found checksum, or saying that it is missing.
    """
    if not path.is_file():
        raise DamagedFileError(f"{path} is missing, although its manifest lists it")
    mark = _mark(path, expected)
    if not again and _is_remembered(mark):
        return
    found = file_facts(path)
    if not found.same_content(expected):
        raise DamagedFileError(
            f"{path} is damaged: expected {expected.bytes} bytes with SHA-256 {expected.sha256}, "
            f"found {found.bytes} bytes with SHA-256 {found.sha256}"
        )
    # The mark was taken before hashing, so a file that changed meanwhile is hashed again.
    _remember(mark, path)


def remember_good(path: Path, expected: FileFacts) -> None:
    """Remember a file that the caller has just found to be what ``expected`` says."""
    _remember(_mark(path, expected), path)


def _mark(path: Path, expected: FileFacts) -> str:
    stat = path.stat()
    facts = f"\n{stat.st_size}\n{stat.st_mtime_ns}\n{expected.sha256}"
    return hashlib.sha256(os.fsencode(path.resolve()) + facts.encode()).hexdigest()  # not every path is UTF-8


def _is_remembered(mark: str) -> bool:
    if mark not in _found_good and not any(os.path.exists(folder / mark) for folder in _memories()):
        return False
    _found_good.add(mark)
    return True


def _remember(mark: str, path: Path) -> None:
    _found_good.add(mark)
    for folder in _memories():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / mark).write_bytes(os.fsencode(path.resolve()) + b"\n")
        except OSError:  # read-only, or full
            continue
        return


def _memories() -> list[Path]:
    return [folder / MEMORY for folder in memory_folders()]
