"""Seconds of the leaderboard's check and builds, first with nothing kept, then with everything:
``python -m tests.benchmarks.page``.

It prints processor time of all processes beside the clock's, which means little on a busy machine. ``--skip-first`` leaves
out the builds of all submissions, the first of which takes a minute.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time

from rich.console import Console
from rich.table import Table

from nndynbench.protocols.references import references


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--method", default="within-distance", help="whose own rows are built; the default has one")
    parser.add_argument("--jobs", default="-1")
    parser.add_argument("--skip-first", action="store_true")
    chosen = parser.parse_args()
    table = Table("what", "processor seconds", "seconds", title="python -m leaderboard")
    with tempfile.TemporaryDirectory() as folder:

        def timed(what: str, command: str, *options: str, kept: str) -> None:
            places = ["--scores", f"{folder}/{kept}/scores", "--jobs", chosen.jobs]
            places += ["--out", f"{folder}/{kept}/page"] if command == "build" else []
            table.add_row(what, *seconds(command, *options, *places))

        own = ["--only", chosen.method]
        timed(f"build --only {chosen.method}, nothing kept", "build", *own, kept="own")
        timed(f"build --only {chosen.method}, all kept", "build", *own, kept="own")
        methods = [name for reference in references() for name in reference.methods]
        beside = [part for name in methods for part in ("--only", name)]
        timed("build --only the references, nothing kept", "build", *beside, kept="references")
        timed(f"build --only {chosen.method}, the references kept", "build", *own, kept="references")
        if not chosen.skip_first:
            timed("build, nothing kept", "build", kept="all")
            timed("build, all kept", "build", kept="all")
        timed("check, nothing kept", "check", "--bundled", kept="checked")
        timed("check, all kept", "check", "--bundled", kept="checked")
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
