"""The command ``predict``: the final accuracy of a run of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from nndynbench.cli.console import console
from nndynbench.cli.options import FirstEpoch, Pattern, Root, StepsPerEpoch
from nndynbench.numbers import epochs


def predict(
    subset: Annotated[str, typer.Option(help="the subset to fit the method on")],
    run: Annotated[
        Path | None,
        typer.Argument(help="the folder of a recorded run, or of checkpoints, one per epoch; omit it for curves alone"),
    ] = None,
    budget: Annotated[int | None, typer.Option(help="how many epochs of the run to use; 5 by default")] = None,
    method: Annotated[
        str | None, typer.Option(help="a bundled method or method file; by default the board's best for what you give")
    ] = None,
    curves: Annotated[Path | None, typer.Option(help="the run's curves, a CSV file with a row per epoch")] = None,
    hyperparameter: Annotated[
        list[str] | None, typer.Option(help="a hyperparameter, NAME=VALUE; repeat for every one in the grid")
    ] = None,
    first_epoch: FirstEpoch = None,
    pattern: Pattern = None,
    steps_per_epoch: StepsPerEpoch = None,
    root: Root = None,
) -> None:
    """Predict the final accuracy of your own run from its first epochs."""
    from nndynbench.prediction import predict as predict_run
    from nndynbench.subsets import load

    loaded = load(subset, root=root)
    with console.status(f"fitting {method or 'the best method'} on {subset}"):
        predicted = predict_run(
            run,
            loaded,
            method=method,
            budget=budget,
            curves=curves,
            hyperparameters=dict(map(named_value, hyperparameter)) if hyperparameter else None,
            first_epoch=first_epoch,
            pattern=pattern,
            steps_per_epoch=steps_per_epoch,
        )
    console.print(
        f"predicted final accuracy [bold]{predicted.accuracy:.1f}%[/bold], {predicted.low:.1f} to {predicted.high:.1f}% "
        f"({100 * predicted.level:.0f}%, from {escape(predicted.method)}'s errors after {epochs(predicted.budget)} on "
        f"{subset}: {escape(loaded.manifest.summary)})"
    )
    console.print(f"probability of {predicted.threshold:g}% or more: {predicted.probability_high:.2f}")
    if predicted.outside:
        console.print("[yellow]warning[/yellow]: this run is unlike the networks that the method was fitted on:")
        for value in predicted.outside:
            console.print(escape(f"  {value}"))


def named_value(text: str) -> tuple[str, float | str]:
    """``"dropout=0.2"`` as a name and its value, a number where it is one; raises ValueError without a "="."""
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"a hyperparameter must be NAME=VALUE, not {text!r}")
    try:
        return name, float(value)
    except ValueError:
        return name, value
