"""Keeps what checks and builds computed for later ones: a file per fact, named by the SHA-256 of all that decides it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nndynbench.storage.files import write_whole


@dataclass(frozen=True)
class Store:
    """A folder of facts; without one, nothing is remembered."""

    folder: Path | None = None

    def read(self, key: str) -> Any:
        """What is kept under a key, or None."""
        if self.folder is None:
            return None
        try:
            return json.loads((self.folder / f"{key}.json").read_bytes())
        except (OSError, ValueError):  # not there, or cut short: it is computed anew
            return None

    def write(self, key: str, facts: Any) -> None:
        if self.folder is not None:
            write_whole(self.folder / f"{key}.json", json.dumps(facts, separators=(",", ":")))


def key_of(*parts: object) -> str:
    """The SHA-256 of some facts, each by its ``repr``."""
    return hashlib.sha256("\n".join(map(repr, parts)).encode()).hexdigest()
