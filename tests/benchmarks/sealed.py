"""What sealed evaluation costs, in processor seconds of all its processes: ``python -m tests.benchmarks.sealed``.

The server is forked before the subset is loaded, as by the command line. With ``--new`` it is a new interpreter, as in a
process that holds a subset already; what it spends until the first method is fitted is printed separately.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

import nndynbench as nb
from nndynbench.protocols import method_names
from nndynbench.sealed import server

METHODS = ("constant", "training-loss", "degree-linear", "weight-statistics", "per-layer-degree")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subset", default="digits-lenet")
    parser.add_argument("--protocol", default="regression-folds")
    parser.add_argument("--budget", type=int, default=5)
    parser.add_argument("--method", action="append", help="repeat for several")
    parser.add_argument("--new", action="store_true")
    chosen = parser.parse_args()
    method_names()
    server.server(fork=not chosen.new)
    seconds("constant", chosen, sealed=False)  # imports are not what is measured
    begun = spent()
    seconds("constant", chosen, sealed=True)
    started = spent() - begun + (spent_by_server() if chosen.new else 0.0)
    table = Table("method", "here", "sealed", "more", title=f"{chosen.protocol} on {chosen.subset}, {chosen.budget} epochs")
    table.add_row("the server, and the first method", "", "", f"{started:.2f}")
    for name in chosen.method or METHODS:
        here, there = (seconds(name, chosen, sealed=sealed) for sealed in (False, True))
        table.add_row(name, f"{here:.2f}", f"{there:.2f}", f"{there - here:.2f}")
    Console().print(table)


def seconds(name: str, chosen: argparse.Namespace, *, sealed: bool) -> float:
    """Processor seconds of one evaluation, on a newly loaded subset."""
    subset = nb.load(chosen.subset)
    nb.evaluate("constant", subset, protocol=chosen.protocol, budgets=1, sealed=False)
    begun = spent()
    nb.evaluate(name, subset, protocol=chosen.protocol, budgets=chosen.budget, sealed=sealed)
    time.sleep(0.5)  # the last process counts once the server has seen its end
    return spent() - begun


def spent() -> float:
    return sum(os.times()[:4]) + spent_by_server()


def spent_by_server() -> float:
    """Processor seconds of the server, with all its forks that have ended."""
    fields = Path(f"/proc/{server.server().pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
