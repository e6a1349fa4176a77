"""The commands ``reproduce TARGET``: a table or figure of the paper from our data, beside the paper's own numbers.

Every target is a function of `nndynbench.paper`; all but Table 5 are listed at the end. The paper's numbers are in
nndynbench/paper/numbers.toml (tables) and claims.toml (text).
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from nndynbench.cli.console import CommandLine, console, exit_unless_at, print_table
from nndynbench.cli.options import Root
from nndynbench.storage.elsewhere import rows_written_somewhere

if TYPE_CHECKING:
    from nndynbench.paper.reproduction import Reproduction
    from nndynbench.protocols.stored import ResultSource

# In which a bundled method is handed the networks here: whoever runs a command twice gets the same numbers twice.
ORDER_SEED = 0

app = CommandLine(help="Reproduce a table or figure of the paper.")


@app.callback()
def reproduce() -> None:
    """Reproduce a table or figure of the paper."""


Results = Annotated[Path, typer.Option(help="folder of stored results, which are not fitted again")]
Submissions = Annotated[
    Path | None, typer.Option(help="the board's submissions, which are not fitted again; by default those at hand")
]
Out = Annotated[Path, typer.Option(help="folder for tables and plots")]


@app.command()
def table5(
    results: Results = Path("results"),
    submissions: Submissions = None,
    out: Out = Path("results"),
    root: Root = None,
) -> None:
    """Sizes of the rolled and unrolled graphs (Table 5), counted on graphs of random weights. No result or subset is read.

    Exits with status 1 if a number differs from the paper's.
    """
    from nndynbench.paper import tables

    reproduced = tables.table5()
    show(reproduced, out / "table5")
    if tables.EQUAL not in reproduced.notes:
        raise typer.Exit(1)


def _register(name: str, target: str, explanation: str) -> None:
    """A command that runs a function of `nndynbench.paper` and prints what it returns."""

    def command(
        results: Results = Path("results"), submissions: Submissions = None, out: Out = Path("results"), root: Root = None
    ) -> None:
        module, _, function = target.partition(":")
        of = getattr(import_module(f"nndynbench.paper.{module}"), function)
        show(of(_source(results, submissions), root), out / name)

    app.command(name, help=explanation)(command)


def _source(results: Path, submissions: Path | None) -> ResultSource:
    """What is submitted, as the report has it, and fitted where it is not."""
    from nndynbench.protocols.stored import StoredResults
    from nndynbench.submissions.beside import submissions_folder
    from nndynbench.submissions.known import KnownResults

    return KnownResults(submissions or submissions_folder(), StoredResults(results, ORDER_SEED))


for _name, _target, _explanation in (
    ("table2", "tables:table2", "Ranges of the networks' early stopping and accuracy (Table 2)."),
    ("table3", "tables:table3", "Regression on the ImageNet sample per window of epochs (Table 3)."),
    ("table4", "tables:table4", "Regression on CIFAR-10 per window of epochs (Table 4)."),
    ("figure4", "figures:figure4", "Classification with degree signatures, rolled and unrolled (Figure 4)."),
    ("figure5", "figures:figure5", "Classification on the ImageNet sample (Figure 5)."),
    ("figure6", "figures:figure6", "Time to train to early stopping, beside that for graphs and centralities (Figure 6)."),
    ("figure7", "figures:figure7", "Weights of a linear SVM, and degrees over time: VGG (Figure 7)."),
    ("figure8", "figures:figure8", "Weights of a linear SVM, and degrees over time: LeNet (Figure 8)."),
    ("figure9", "figures:figure9", "Weights of a linear SVM, and degrees over time: ResNet-44 (Figure 9)."),
    ("figure10", "figures:figure10", "Classification with eigenvector signatures (Figure 10)."),
    ("figure11", "figures:figure11", "Classification of ResNet-32 (Figure 11)."),
    ("claims", "verdicts:claims", "Every claim of the paper: held, not held, undecided, or not testable here."),
):
    _register(_name, _target, _explanation)


def show(reproduced: Reproduction, stem: Path) -> None:
    """Print a reproduction, and write its rows as CSV and its plots; without any row nothing is written."""
    table = Table(*reproduced.rows.columns, title=reproduced.title, box=box.SIMPLE)
    for row in reproduced.rows.astype(object).where(reproduced.rows.notna(), "").itertuples(index=False):
        table.add_row(*map(str, row))
    print_table(table)
    for note in reproduced.notes:
        console.print(f"[dim]{note}[/dim]")
    if reproduced.rows.empty:
        console.print("nothing written: there are no rows")
        return
    path = stem.with_suffix(".csv")
    written = rows_written_somewhere(reproduced.rows, path)
    drawn = [draw(written.parent / name) for name, draw in reproduced.plots.items()]
    console.print("written: " + ", ".join(escape(str(each)) for each in [written, *drawn]))
    exit_unless_at(written, path)
