"""The commands ``reproduce TARGET``: a table or figure of the paper from our data, beside the paper's own numbers.

A target is one function here; the paper's numbers are in nndynbench/paper/numbers.toml.
"""

from __future__ import annotations

import typer
from rich import box
from rich.console import Console
from rich.table import Column, Table

console = Console()

COLUMNS = ("rolled_nodes", "rolled_edges", "unrolled_nodes", "unrolled_edges", "unrolled_edges_right")

app = typer.Typer(no_args_is_help=True, help="Reproduce a table or figure of the paper.")


@app.callback()
def reproduce() -> None:
    """Reproduce a table or figure of the paper."""


@app.command()
def table5() -> None:
    """Sizes of the rolled and unrolled graphs (appendix, Table 5), counted on graphs of random weights."""
    from nndynbench.graphs import random_weights, rolled, unrolled
    from nndynbench.paper import table5 as paper_sizes

    counts = ("rolled\n|V|", "rolled\n|E|", "unrolled\n|V|", "unrolled\n|E|, paper", "unrolled\n|E|, right")
    table = Table(
        Column("architecture", no_wrap=True),
        *(Column(heading, justify="right", no_wrap=True) for heading in counts),
        title="Table 5; right: without the paper's edges to padding",
        box=box.SIMPLE,
        pad_edge=False,
    )
    differences = 0
    for name, paper in paper_sizes().items():
        weights = random_weights(name, seed=0)
        graph = rolled(weights, name)
        ours = {"rolled_nodes": graph.number_of_nodes, "rolled_edges": graph.number_of_edges}
        if "unrolled_nodes" in paper:
            right, published = unrolled(weights, name), unrolled(weights, name, reference_quirks=True)
            ours["unrolled_nodes"], ours["unrolled_edges"] = published.number_of_nodes, published.number_of_edges
            ours["unrolled_edges_right"] = right.number_of_edges
        differs = [column for column in ours if ours[column] != paper[column]]
        differences += len(differs)
        cells = (f"{ours[c]:,}" + (f" (paper: {paper[c]:,})" if c in differs else "") if c in ours else "–" for c in COLUMNS)
        table.add_row(name, *cells)
    console.print(table)
    if differences:
        console.print(f"[red]{differences} of these numbers differ from the paper's[/red]")
        raise typer.Exit(1)
    console.print("all equal to the paper's")
