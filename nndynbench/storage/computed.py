"""Keeps what slow functions computed between processes, in ``computed.sqlite`` of the home folder.

SQLite gives what processes that share a file need: a value is there whole or not at all, even after a kill. Values are JSON
with a checksum, so nothing is unpickled, and what is damaged is computed again. The file may be removed at any time. If no
folder can be written, or ``NNDYNBENCH_CACHE`` is off, nothing is kept.
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

# In seconds. A value that is computed faster is not worth looking up.
SLOW = 0.001

_lock = Lock()
_opened: dict[tuple[int, tuple[Path, ...]], sqlite3.Connection | None] = {}


def is_on() -> bool:
    """Whether values are kept: they are, unless ``NNDYNBENCH_CACHE`` says 0, false, no or off."""
    return os.environ.get("NNDYNBENCH_CACHE", "").strip().lower() not in {"0", "false", "no", "off"}


def key_of(code: str, *facts: object) -> str:
    """The key of a value: the fingerprint (``code``) of the function that computes it, and facts that identify what it is
    about.
    """
    return hashlib.sha256(repr((code, *facts)).encode()).hexdigest()


def stored_value(key: str) -> Any:
    """The value that is kept under a key; None if there is none, or it cannot be read."""
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
    """Keep a value if it took long to compute (``seconds``), and JSON can hold it."""
    if seconds < SLOW or not is_on():
        return
    try:
        text = json.dumps(value).encode()
    except (TypeError, ValueError):
        return
    _run("INSERT OR REPLACE INTO computed VALUES (?, ?, ?)", key, text, _checksum(key, text))


def _checksum(key: str, value: bytes) -> int:
    # The checksum covers the key too, since a flipped bit may turn it into another key.
    return zlib.crc32(value, zlib.crc32(key.encode()))


def _run(statement: str, *values: object) -> list[Any]:
    """The rows that a statement gives; none if nothing can be kept. After an error this process does not try again."""
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
        # Do not wait for the disk: a power cut may damage what was kept, but that is checked when it is read.
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("CREATE TABLE IF NOT EXISTS computed (key TEXT PRIMARY KEY, value BLOB, checksum INTEGER)")
        if connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",):
            return connection
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError:  # no database, or a damaged one: a new one is begun
        pass
    connection.close()
    path.unlink()
    return _connected(path)
