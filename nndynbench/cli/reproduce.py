"""The commands ``reproduce TARGET``: a table or figure of the paper from our data, beside the paper's own numbers.

Table 5 is counted here; every other target is a function of `nndynbench.paper`, listed at the end. The paper's numbers are
in nndynbench/paper/numbers.toml.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import pandas as pd
import typer
from rich import box
from rich.table import Column, Table

from nndynbench.cli.console import NOTHING, console, print_table

if TYPE_CHECKING:
    from nndynbench.paper.reproduction import Reproduction

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
        cells = {c: f"{ours[c]:,}" + (f" (paper: {paper[c]:,})" if c in differs else "") for c in ours}
        table.add_row(name, *(cells.get(column, NOTHING) for column in COLUMNS))
    print_table(table)
    if differences:
        console.print(f"[red]{differences} of these numbers differ from the paper's[/red]")
        raise typer.Exit(1)
    console.print("all equal to the paper's")


Results = Annotated[Path, typer.Option(help="folder of stored results: what is there is not fitted again")]
Out = Annotated[Path, typer.Option(help="folder for tables and plots")]
Root = Annotated[str | None, typer.Option(help="a folder of packed subsets, instead of the usual places")]


def _register(name: str, target: str, explanation: str) -> None:
    """A command that runs a function of `nndynbench.paper` and prints what it returns."""

    def command(results: Results = Path("results"), out: Out = Path("results"), root: Root = None) -> None:
        module, _, function = target.partition(":")
        show(getattr(import_module(f"nndynbench.paper.{module}"), function)(results, root), out / name)

    app.command(name, help=explanation)(command)


for _name, _target, _explanation in (
    ("table2", "tables:table2", "Ranges of early stopping and accuracy of the networks (Table 2)."),
    ("table3", "tables:table3", "Regression on the ImageNet sample per window of epochs (Table 3)."),
    ("table4", "tables:table4", "Regression on CIFAR-10 per window of epochs (Table 4)."),
    ("figure4", "figures:figure4", "Classification with degree signatures, rolled and unrolled (Figure 4)."),
    ("figure5", "figures:figure5", "Classification on the ImageNet sample (Figure 5)."),
    ("figure6", "figures:figure6", "Training to early stopping against graphs and centralities, as measured (Figure 6)."),
    ("figure7", "figures:figure7", "What a linear SVM weighs, and degrees over time: VGG (Figure 7)."),
    ("figure8", "figures:figure8", "What a linear SVM weighs, and degrees over time: LeNet (Figure 8)."),
    ("figure9", "figures:figure9", "What a linear SVM weighs, and degrees over time: ResNet-44 (Figure 9)."),
    ("figure10", "figures:figure10", "Classification with eigenvector signatures (Figure 10)."),
    ("figure11", "figures:figure11", "Classification of ResNet-32 (Figure 11)."),
    ("claims", "verdicts:claims", "Every claim of the paper: held, not held, or not testable here."),
):
    _register(_name, _target, _explanation)


def show(reproduced: Reproduction, stem: Path) -> None:
    """Print a reproduction, and write its rows as CSV."""
    table = Table(*reproduced.rows.columns, title=reproduced.title, box=box.SIMPLE)
    for row in reproduced.rows.itertuples(index=False):
        table.add_row(*("" if pd.isna(value) else str(value) for value in row))
    print_table(table)
    for note in reproduced.notes:
        console.print(f"[dim]{note}[/dim]")
    stem.parent.mkdir(parents=True, exist_ok=True)
    reproduced.rows.to_csv(f"{stem}.csv", index=False)
    drawn = [draw(stem.parent / name) for name, draw in reproduced.plots.items()]
    console.print("written: " + ", ".join([f"{stem}.csv", *map(str, drawn)]))
