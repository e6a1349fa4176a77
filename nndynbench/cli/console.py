"""Where commands with wide tables print."""

from __future__ import annotations

import sys

from rich.console import Console

# A table of many columns is not folded into 80 characters because it is piped into a file.
console = Console() if sys.stdout.isatty() else Console(width=160)
