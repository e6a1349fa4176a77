"""The command line, ``nndynbench``: a module per group of commands; each is a thin layer over the library."""

from __future__ import annotations

from typing import Annotated

import typer

from nndynbench.cli import about, efficiency, evaluation, graphs, prediction, reproduce, runs, submission, subsets
from nndynbench.cli.console import CommandLine, run

app = CommandLine(help="How good will a neural network become? Predict it from its first training epochs.")


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="print the version and exit", callback=about.version, is_eager=True)
    ] = False,
) -> None: ...


app.command("list")(subsets.list_subsets)
app.command("info")(subsets.info)
app.command("curves")(subsets.curves)
app.command("download")(subsets.download)
app.command("verify")(subsets.verify)
app.command("export")(subsets.export)
app.command("methods")(about.methods)
app.command("protocols")(about.protocols)
app.command("check")(about.check)
app.command("cite")(about.cite)
app.command("evaluate")(evaluation.evaluate)
app.command("compare")(evaluation.compare)
app.command("sample-efficiency")(efficiency.sample_efficiency)
app.command("predict")(prediction.predict)
app.command("plot")(evaluation.plot)
app.command("tune")(evaluation.tune)
app.command("report")(evaluation.report)
app.command("pack")(runs.pack)
app.command("convert")(graphs.convert)
app.add_typer(reproduce.app, name="reproduce")
app.command("submit")(submission.submit)


def main() -> None:
    """Run a command."""
    run(app, "nndynbench")
