"""Seconds of the leaderboard's check and builds, nothing kept and then everything: ``python -m tests.benchmarks.page``.

Processor time of all processes beside the clock's, since the clock's means little on a busy machine. ``--skip-first``
leaves out the first build of all submissions, which takes minutes, and with it the second.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--method", default="n-cut", help="whose own rows are built")
    parser.add_argument("--jobs", default="-1")
    parser.add_argument("--skip-first", action="store_true")
    chosen = parser.parse_args()
    table = Table("what", "processor seconds", "seconds", title="python -m leaderboard")
    with tempfile.TemporaryDirectory() as folder:
        own, every = (Path(folder) / name for name in ("own", "all"))
        builds = [(f"build --only {chosen.method}", ["--only", chosen.method], own)]
        builds += [] if chosen.skip_first else [("build", [], every)]
        for what, options, kept in builds:
            for time_of_it in ("first", "second"):
                places = ["--out", str(kept / "page"), "--scores", str(kept / "scores")]
                table.add_row(f"{what}, the {time_of_it}", *seconds("build", *options, *places, "--jobs", chosen.jobs))
        scores = Path(folder) / "checked"
        for time_of_it in ("first", "second"):
            table.add_row(f"check, the {time_of_it}", *seconds("check", "--scores", str(scores), "--jobs", chosen.jobs))
    Console().print(table)


def seconds(*command: str) -> tuple[str, str]:
    """Processor time and the clock's of one command of the leaderboard."""
    before, clock = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, "-m", "leaderboard", *command], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return f"{processor:.1f}", f"{time.perf_counter() - clock:.1f}"


if __name__ == "__main__":
    main()
