"""The command ``evaluate``: score a method, print the table, save the result and its curve."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

console = Console()


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
            paper = paper_score(subset=part.name, protocol=chosen.name, method=label, epochs=int(budget))
            table.add_row(str(budget), *cells, paper or "–")
        console.print(table)
    console.print("[dim]behind each value its 95% interval: learning rates (or configurations) resampled together[/dim]")
    stem = out / f"{label}.{'+'.join(subset)}.{chosen.name}"
    saved = result.save(stem.with_name(f"{stem.name}.json"))
    plotted = score_over_budget([result], stem.with_name(f"{stem.name}.png"))
    console.print(f"result: {saved}\nplot: {plotted}")


def budgets(text: str) -> list[int]:
    """``"5"``, ``"1-10"`` or ``"1,3,5"`` as a list of budgets; raises ValueError for anything else."""
    if not re.fullmatch(r"\d+(-\d+)?(,\d+(-\d+)?)*", text):
        raise ValueError(f"{text!r} names no budgets: write 5, 1-10, or 1,3,5")
    chosen: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        chosen += range(int(first), int(last or first) + 1)
    return chosen
