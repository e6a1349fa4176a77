"""Seeds, all derived from one: no two networks share an initialisation, and every run can be repeated."""

from __future__ import annotations

import hashlib


def derived_seed(*parts: object) -> int:
    """A 63-bit seed from what it is for, such as ``derived_seed(zoo_seed, "digits-lenet", 17, "dropout", epoch)``."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
