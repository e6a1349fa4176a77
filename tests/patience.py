"""How long a test waits for another process before it fails: one that hangs, not one on a machine that others keep busy."""

from __future__ import annotations

PATIENCE_SECONDS = 900
