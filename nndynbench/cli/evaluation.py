"""The commands ``evaluate``, ``compare``, ``predict``, ``plot`` and ``tune``: thin layers over `nndynbench.protocols`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Column, Table

from nndynbench.cli.console import console

if TYPE_CHECKING:
    import pandas as pd

    from nndynbench.protocols import Comparison, Protocol



def evaluate(
    method: Annotated[str, typer.Argument(help="a bundled method such as degree-svm, or FILE.py[:NAME]")],
    subset: Annotated[list[str], typer.Option(help="a subset; repeat for several")],
    epochs: Annotated[str, typer.Option(help="budgets: 5, 1-10, or 1,3,5")] = "1-10",
    protocol: Annotated[str | None, typer.Option(help="by default the paper's for the method's task")] = None,
    out: Annotated[Path, typer.Option(help="folder for the result and its plot")] = Path("results"),
    jobs: Annotated[int, typer.Option(help="fits at a time")] = 1,
    root: Annotated[str | None, typer.Option(help="a folder of packed subsets, instead of the usual places")] = None,
) -> None:
    """Score a method on subsets, at each budget of epochs."""
    from nndynbench.paper import paper_score
    from nndynbench.plots import score_over_budget
    from nndynbench.protocols import evaluate as evaluate_method
    from nndynbench.protocols import find_method
    from nndynbench.protocols import protocol as find_protocol
    from nndynbench.protocols.protocol import budgets
    from nndynbench.subsets import load

    found = find_method(method)
    chosen = find_protocol(protocol or ("classification" if found.classifier is not None else "regression"))
    loaded = [load(name, root=root) for name in subset]
    label = method.rpartition("/")[2].removesuffix(".py").replace(":", "-") if ".py" in method else method
    with console.status(f"evaluating {label}"):
        result = evaluate_method(found, loaded, protocol=chosen, epochs=budgets(epochs), name=label, jobs=jobs)
    for part in loaded:
        scores = result.scores[result.scores["subset"] == part.name]
        title = f"{label} on {part.name} ({part.manifest.protocol} protocol), {chosen.name}"
        table = Table("epochs", *chosen.metrics, "paper", title=title)
        for budget, rows in scores.groupby("epochs"):
            cells = [
                row["undefined"] or f"{row['value']:.3f} [dim]{row['low']:.2f}–{row['high']:.2f}[/dim]"
                for _, row in rows.iterrows()
            ]
            paper = paper_score(subset=part.name, protocol=chosen.name, method=label, epochs=int(str(budget)))
            table.add_row(str(budget), *cells, paper or "–")
        console.print(table)
    console.print("[dim]behind each value its 95% interval: learning rates (or configurations) resampled together[/dim]")
    stem = out / f"{label}.{'+'.join(subset)}.{chosen.name}"
    saved = result.save(stem.with_name(f"{stem.name}.json"))
    plotted = score_over_budget([result], stem.with_name(f"{stem.name}.png"))
    console.print(f"result: {saved}\nplot: {plotted}")


def compare(
    subset: Annotated[list[str] | None, typer.Option(help="a subset; repeat for several; all at hand by default")] = None,
    method: Annotated[list[str] | None, typer.Option(help="a method or method file; repeat; all bundled by default")] = None,
    protocol: Annotated[str, typer.Option(help="a protocol")] = "regression-folds",
    epochs: Annotated[str | None, typer.Option(help="budgets: 5, 1-10, or 1,3,5; the protocol's by default")] = None,
    metric: Annotated[
        str | None, typer.Option(help="which metric the table and the plot show; the first by default")
    ] = None,
    out: Annotated[Path, typer.Option(help="folder for the comparison and its plot")] = Path("results"),
    results: Annotated[Path, typer.Option(help="folder of stored results: what is there is not fitted again")] = Path(
        "results"
    ),
    jobs: Annotated[int, typer.Option(help="methods at a time; -1 for one a core")] = -1,
    root: Annotated[str | None, typer.Option(help="a folder of packed subsets, instead of the usual places")] = None,
) -> None:
    """Compare methods at each budget: their scores, their gain over the bar, and what they add to it."""
    from rich.progress import Progress

    from nndynbench.plots import comparison_over_budget, transfer_matrix
    from nndynbench.protocols import compare as compare_methods
    from nndynbench.protocols import comparison_file
    from nndynbench.protocols import protocol as find_protocol
    from nndynbench.protocols.protocol import budgets
    from nndynbench.subsets import load

    chosen = find_protocol(protocol)
    loaded = [load(name, root=root) for name in subset or subsets_with_split(chosen, root)]
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task("the bar", total=None)

        def report(
    out: Annotated[Path, typer.Option(help="the document; its plots go into a folder of its name")] = Path("docs/results.md"),
    results: Annotated[Path, typer.Option(help="the folder into which compare wrote")] = Path("results"),
    root: Annotated[str | None, typer.Option(help="a folder of packed subsets, instead of the usual places")] = None,
) -> None:
    """Write docs/results.md: what the numbers say, from the comparisons of all subsets at hand."""
    from nndynbench.report import report as write_report

    with console.status("reading results"):
        path = write_report(out, results, root=root)
    console.print(f"written: {path}")


def tune(
    folder: Annotated[Path | None, typer.Argument(help="a folder of method files; the bundled ones by default")] = None,
) -> None:
    """Choose all methods' free parameters on digits-lenet, and record them in chosen.toml beside the method files."""
    from nndynbench.protocols.method import baselines_folder
    from nndynbench.protocols.tuning import record_choices

    path = record_choices(folder or baselines_folder())
    console.print(f"chosen: {path}")
