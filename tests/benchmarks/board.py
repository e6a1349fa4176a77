"""Seconds of each bundled method at one budget, scores and intervals included: ``python -m tests.benchmarks.board``.

Processor time of one core beside the clock's, since the clock's means little on a busy machine.
"""

from __future__ import annotations

import argparse
import time

from rich.console import Console
from rich.table import Table

import nndynbench as nb
from nndynbench.protocols import find_method, method_names, protocol


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subset", default="digits-lenet")
    parser.add_argument("--protocol", default="regression-folds")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--method", action="append", help="all that do the task by default; repeat")
    chosen = parser.parse_args()
    subset = nb.load(chosen.subset)
    task = "classifier" if protocol(chosen.protocol).task == "classification" else "regressor"
    names = chosen.method or [name for name in method_names() if getattr(find_method(name), task) is not None]
    nb.evaluate("constant", subset, protocol=chosen.protocol, epochs=1)  # imports and tables are not what is measured
    table = Table("method", "processor seconds", "seconds", title=f"{chosen.protocol}, {chosen.epochs} epochs")
    total = 0.0
    for name in names:
        clock, processor = time.perf_counter(), time.process_time()
        nb.evaluate(name, subset, protocol=chosen.protocol, epochs=chosen.epochs)
        used = time.process_time() - processor
        total += used
        table.add_row(name, f"{used:.2f}", f"{time.perf_counter() - clock:.2f}")
    table.add_section()
    table.add_row("all", f"{total:.1f}", "")
    Console().print(table)


if __name__ == "__main__":
    main()
