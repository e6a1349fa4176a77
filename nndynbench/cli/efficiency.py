"""The command ``sample-efficiency``: what a method has over a reference by how many networks both are fitted on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from nndynbench.cli.console import console, exit_unless_at, print_table, progress_bar
from nndynbench.cli.options import Root
from nndynbench.cli.tables import dimmed
from nndynbench.numbers import number
from nndynbench.storage.elsewhere import need_writable, rows_written_somewhere

ALL = "all"


def sample_efficiency(
    method: Annotated[str, typer.Argument(help="a bundled method, or FILE.py[:NAME]")],
    subset: Annotated[str, typer.Option(help="a subset")],
    beside: Annotated[str, typer.Option(help="the reference to compare it with")] = "curve-bar",
    protocol: Annotated[str, typer.Option(help="a protocol that trains and tests on the same subset")] = "regression-folds",
    budgets: Annotated[str, typer.Option(help='epochs: 5, 1-10, or "1,3,5"')] = "1,5",
    sizes: Annotated[str, typer.Option(help='numbers of networks to fit both on, such as "48,all"')] = "48,96,192,all",
    parts: Annotated[int, typer.Option(help="how many parts of each size to draw; scores are means over them")] = 3,
    out: Annotated[Path, typer.Option(help="folder for the table and its plot")] = Path("results"),
    jobs: Annotated[int, typer.Option(help="how many fits to run at a time")] = 1,
    root: Root = None,
) -> None:
    """Compare a method with a reference when both are fitted on few networks, and on many."""
    from nndynbench.plots import gain_over_networks
    from nndynbench.protocols import find_method
    from nndynbench.protocols import sample_efficiency as by_size
    from nndynbench.protocols.method import label_of
    from nndynbench.protocols.metrics import METRICS
    from nndynbench.subsets import load

    loaded = load(subset, root=root)
    label, reference = (label_of(find_method(name)) for name in (method, beside))
    path = out / f"{label}.{loaded.name}.{protocol}.by-networks.csv"
    need_writable(path)  # before hours of fits, not after them
    with progress_bar(f"{label} beside {reference}") as report:
        curve = by_size(
            method,
            loaded,
            beside=beside,
            protocol=protocol,
            budgets=budgets,
            sizes=read_sizes(sizes),
            parts=parts,
            jobs=jobs,
            progress=report,
        )
    metric = METRICS[str(curve["metric"].iloc[0])].label
    table = Table(
        "budget", "networks", metric, f"{reference}'s", "gain", title=f"{escape(label)} on {loaded.name}, {protocol}"
    )
    for row in curve.to_dict("records"):
        cells = [dimmed(row), number(row["beside"]), dimmed(row, "gain", signed=True)]
        table.add_row(str(row["budget"]), str(row["networks"]), *cells)
    print_table(table)
    written = rows_written_somewhere(curve, path)
    title = f"{loaded.name}: {label} over {reference}"
    plot = gain_over_networks(curve, written.with_suffix(".png"), title=title)
    console.print(escape(f"written: {written}, {plot}"))
    exit_unless_at(written, path)


def read_sizes(text: str) -> list[int | None]:
    """``"48,96,all"`` as numbers, None for all; raises ValueError for anything else."""
    sizes = []
    for part in map(str.strip, text.split(",")):
        if part != ALL and not part.isdecimal():
            raise ValueError(f"sizes must be numbers of networks, or '{ALL}', separated by commas, not {text!r}")
        sizes.append(None if part == ALL else int(part))
    return sizes
