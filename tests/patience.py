"""How long a test waits for another process: long enough that only a hanging one fails, not one on a busy machine."""

from __future__ import annotations

PATIENCE_SECONDS = 900
