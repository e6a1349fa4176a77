"""Seconds of each bundled method at one budget, scores and intervals included: ``python -m tests.benchmarks.board``.

It prints processor time of one core beside the clock's, which means little on a busy machine. Everything is computed in this
process (`tests.benchmarks.sealed` says what another one costs). With ``--kept``, results that an earlier run kept are also
read back and timed.
"""

from __future__ import annotations

import argparse
import os
import time

from rich.console import Console
from rich.table import Table

import nndynbench as nb
from nndynbench.protocols import find_method, find_protocol, method_names


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subset", default="digits-lenet")
    parser.add_argument("--protocol", default="regression-folds")
    parser.add_argument("--budget", type=int, default=5)
    parser.add_argument("--method", action="append", help="all that do the task by default; repeat")
    parser.add_argument("--kept", action="store_true", help="each also as the second run in which values are kept")
    chosen = parser.parse_args()
    task = "classifier" if find_protocol(chosen.protocol).task == "classification" else "regressor"
    names = chosen.method or [name for name in method_names() if getattr(find_method(name), task) is not None]
    heads = ["method", "processor seconds", "seconds", *(["kept: processor seconds", "ratio"] if chosen.kept else [])]
    table = Table(*heads, title=f"{chosen.protocol} on {chosen.subset}, {chosen.budget} epochs")
    total = 0.0
    for name in names:
        processor, clock = seconds(name, chosen, cache="off")
        total += processor
        cells = [f"{processor:.2f}", f"{clock:.2f}"]
        if chosen.kept:
            seconds(name, chosen, cache="on")
            kept, _ = seconds(name, chosen, cache="on")
            cells += [f"{kept:.2f}", f"{processor / kept:.1f}"]
        table.add_row(name, *cells)
    table.add_section()
    table.add_row("all", f"{total:.1f}")
    Console().print(table)


def seconds(name: str, chosen: argparse.Namespace, *, cache: str) -> tuple[float, float]:
    """Processor time and the clock's of one evaluation, on a newly loaded subset."""
    os.environ["NNDYNBENCH_CACHE"] = cache
    subset = nb.load(chosen.subset)
    nb.evaluate("constant", subset, protocol=chosen.protocol, budgets=1)  # imports and tables are not what is measured
    clock, processor = time.perf_counter(), time.process_time()
    nb.evaluate(name, subset, protocol=chosen.protocol, budgets=chosen.budget, sealed=False)
    return time.process_time() - processor, time.perf_counter() - clock


if __name__ == "__main__":
    main()
