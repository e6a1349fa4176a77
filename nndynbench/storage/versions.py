"""Versions of subsets: numbers separated by points, three of them in a release."""

from __future__ import annotations

import re

# The first version that takes submissions from outside. Versions below it are unfinished.
FIRST_OPEN = (1, 0, 0)


def is_version(text: str, *, numbers: int | None = None) -> bool:
    """Whether a text is a version and, if ``numbers`` is given, has this many numbers."""
    return re.fullmatch(r"[0-9]+(\.[0-9]+)*", text) is not None and numbers in (None, text.count(".") + 1)


def version_numbers(version: str) -> tuple[int, ...]:
    """A version's numbers, by which versions are ordered: 0.10.0 comes after 0.9.0. A part that is no number comes first."""
    return tuple(int(part) if part.isdecimal() else -1 for part in version.split("."))


def is_unfinished(version: str) -> bool:
    """Whether a version of a subset is below 1.0.0."""
    return version_numbers(version) < FIRST_OPEN
