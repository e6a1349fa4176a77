"""Commands about the package itself: ``methods``, ``protocols``, ``check``, ``cite``, and the option ``--version``."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from nndynbench.cli.console import console, print_table


def version(value: bool) -> None:
    """Print the version and end, where ``--version`` is given."""
    if value:
        from nndynbench.citing import citation

        console.print(f"nndynbench {citation().version}", highlight=False)
        raise typer.Exit


def methods(
    file: Annotated[str | None, typer.Argument(help="a method file; by default the bundled methods")] = None,
) -> None:
    """List methods: what each one is, what it looks at, and which tasks it can do."""
    from nndynbench.protocols import methods as table_of_methods

    table = Table("method", "what it is", "looks at", "tasks")
    for name, row in table_of_methods(file).iterrows():
        table.add_row(*map(escape, (str(name), row["description"], row["reads"] or "nothing", row["tasks"])))
    print_table(table)


def protocols() -> None:
    """List protocols: task, split, metrics, and the budgets that `compare` uses unless told otherwise."""
    from nndynbench.protocols import protocols as all_protocols

    table = Table("protocol", "task", "split", "metrics", "budgets", "what it is")
    for name, protocol in all_protocols().items():
        needs = protocol.split or "two subsets"
        what = f"superseded by {protocol.superseded}" if protocol.superseded else protocol.source
        table.add_row(name, protocol.task, needs, ", ".join(protocol.metrics), protocol.budgets, what)
    print_table(table)


def check(
    method: Annotated[str, typer.Argument(help="a bundled method, or FILE.py[:NAME]")],
    budgets: Annotated[str, typer.Option(help='the epochs to try it with: 5, 1-10, or "1,3,5"')] = "1,2",
) -> None:
    """Try a method on a few networks, in seconds, before an evaluation that takes minutes."""
    from nndynbench.progress import shown_time
    from nndynbench.protocols import check_method
    from nndynbench.protocols.checking import CHECKED_ON, TRAIN
    from nndynbench.protocols.method import is_file_name

    found = check_method(method, budgets=budgets)
    console.print(
        f"{escape(method)}: fits, predicts and predicts the same again; tasks {', '.join(found.tasks)}; "
        f"looked at {', '.join(found.reads) or 'nothing'}; {found.seconds:.1f} seconds"
    )
    if is_file_name(method) and found.evaluate_seconds is not None:
        command = f"nndynbench evaluate {shlex.quote(method)} --subset {CHECKED_ON}"
        takes = f"about {shown_time(found.evaluate_seconds)}" if found.evaluate_seconds > 10 else "a few seconds"
        measured = f"here a fit on {TRAIN} networks took {found.fit_seconds:.2g} seconds"
        console.print(escape(f"next: {command} ({takes} or more: {measured})"), soft_wrap=True)
    for remark in found.remarks:
        console.print(f"[yellow]remark[/yellow] {escape(remark)}")


def cite(
    subset: Annotated[str | None, typer.Argument(help="also cite this subset, in the version at hand")] = None,
) -> None:
    """Print BibTeX entries for the package, a subset's version, and the paper."""
    from nndynbench.citing import package_bibtex, paper_bibtex, subset_bibtex
    from nndynbench.subsets import catalogue_entry, load
    from nndynbench.subsets.loading import names_at_hand

    entries = [package_bibtex()]
    if subset is not None:
        at_hand = subset in names_at_hand()
        entries.append(subset_bibtex(subset, load(subset).version if at_hand else catalogue_entry(subset).version))
    # As it is, also on a narrow terminal: it is pasted elsewhere.
    typer.echo("\n\n".join([*entries, paper_bibtex()]))
