"""Text for an output whose encoding lacks some signs, such as a file on Windows: plain ones stand in for these."""

from __future__ import annotations

import codecs
import sys

PLAIN = {
    "−": "-",
    "–": "-",
    "±": "+-",
    "×": "x",
    "²": "^2",
    "≈": "~",
    "≤": "<=",
    "≥": ">=",
    "→": "->",
    "…": "...",
    "τ": "tau",
    "ρ": "rho",
}

IN_PLAIN = "nndynbench.plain"
"""The ``errors=`` of an output: what its encoding lacks is written as in ``PLAIN``, anything else as "?"."""


def printable(text: str) -> str:
    """A text as standard output can show it, so that printing it never fails."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, IN_PLAIN).decode(encoding)


def _in_plain(failure: UnicodeError) -> tuple[str, int]:
    if not isinstance(failure, UnicodeEncodeError):
        raise failure
    lacking = failure.object[failure.start : failure.end]
    return "".join(PLAIN.get(sign, "?") for sign in lacking), failure.end


codecs.register_error(IN_PLAIN, _in_plain)
