"""What slow functions computed, kept between processes: ``computed.sqlite`` of the home folder.

SQLite gives what processes that share a file need: a value is there whole or not at all, also after a kill. Values are JSON
beside a checksum, so nothing is unpickled, and what is damaged is computed again. The file may be removed at any time. Where
no folder can be written, or ``NNDYNBENCH_CACHE`` is off, nothing is kept.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import zlib
from pathlib import Path
from threading import Lock
from typing import Any

from nndynbench.storage.places import memory_folders

FILE = "computed.sqlite"

# In seconds: what is computed faster is not worth looking up.
SLOW = 0.001

_lock = Lock()
_opened: dict[tuple[int, tuple[Path, ...]], sqlite3.Connection | None] = {}


def is_on() -> bool:
    """Whether values are kept: as ``NNDYNBENCH_CACHE`` says (0, false, no, off), else they are."""
    return os.environ.get("NNDYNBENCH_CACHE", "").strip().lower() not in {"0", "false", "no", "off"}


def key_of(code: str, *facts: object) -> str:
    """The key of what a function of a fingerprint says of something that the facts identify."""
    return hashlib.sha256(repr((code, *facts)).encode()).hexdigest()


def stored_value(key: str) -> Any:
    """The value that is kept under a key; None where there is none, or what is there cannot be read."""
    if not is_on():
        return None
    for value, checksum in _run("SELECT value, checksum FROM computed WHERE key = ?", key):
        if isinstance(value, bytes) and checksum == _checksum(key, value):
            try:
                return json.loads(value)
            except ValueError:  # whatever wrote it
                break
    return None


def store_value(key: str, value: Any, seconds: float) -> None:
    """Keep a value that took so long to compute, if that is slow and JSON can hold it."""
    if seconds < SLOW or not is_on():
        return
    try:
        text = json.dumps(value).encode()
    except (TypeError, ValueError):
        return
    _run("INSERT OR REPLACE INTO computed VALUES (?, ?, ?)", key, text, _checksum(key, text))


def _checksum(key: str, value: bytes) -> int:
    # Over the key too: a flipped bit may also make it another's.
    return zlib.crc32(value, zlib.crc32(key.encode()))


def _run(statement: str, *values: object) -> list[Any]:
    """The rows that a statement gives; none where nothing can be kept. After an error this process tries no more."""
    place = os.getpid(), tuple(memory_folders())
    with _lock:
        try:
            if place not in _opened:
                _opened[place] = _connection(place[1])
            connection = _opened[place]
            return [] if connection is None else connection.execute(statement, values).fetchall()
        except sqlite3.Error:
            _opened[place] = None
            return []


def _connection(folders: tuple[Path, ...]) -> sqlite3.Connection | None:
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return _connected(folder / FILE)
        except (OSError, sqlite3.Error):  # read-only, or full
            continue
    return None


def _connected(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        # A power cut may cost what was kept, which is checked when it is read: no waiting for the disk.
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("CREATE TABLE IF NOT EXISTS computed (key TEXT PRIMARY KEY, value BLOB, checksum INTEGER)")
        if connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",):
            return connection
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError:  # no database, or a damaged one: another is begun
        pass
    connection.close()
    path.unlink()
    return _connected(path)
