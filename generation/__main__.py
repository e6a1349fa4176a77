"""``python -m generation``: plan, train, watch, pack and repeat a subset."""

from __future__ import annotations

import signal

from nndynbench.cli.console import need, run


def main() -> None:
    """Run a command. A scheduler's request to end works like Ctrl-C: training stops at the end of the epoch."""
    need("torch")
    from generation.cli import app

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    run(app, "python -m generation")


if __name__ == "__main__":
    main()
