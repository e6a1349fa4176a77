"""Commands that score methods, or show scores: ``evaluate``, ``compare``, ``plot``, ``report`` and ``tune``."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from nndynbench.cli.console import console, exit_unless_at, print_table, progress_bar
from nndynbench.cli.options import Root
from nndynbench.cli.tables import comparison_tables, said_of_draws, score_tables
from nndynbench.names import check_name
from nndynbench.storage.elsewhere import need_writable

if TYPE_CHECKING:
    from nndynbench.protocols import Protocol
    from nndynbench.protocols.result_facts import SubsetVersion


def evaluate(
    method: Annotated[str, typer.Argument(help="a bundled method such as degree-svm, or FILE.py[:NAME]")],
    subset: Annotated[list[str], typer.Option(help="a subset; repeat for several")],
    budgets: Annotated[
        str | None,
        typer.Option(help='epochs: 5, 1-10, or "1,3,5"; by default those of the protocol that the subsets have'),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(help="a protocol; classification by default, or regression-folds if the method cannot classify"),
    ] = None,
    out: Annotated[Path, typer.Option(help="folder for the result and its plot")] = Path("results"),
    jobs: Annotated[int, typer.Option(help="how many fits to run at a time")] = 1,
    root: Root = None,
    sealed: Annotated[
        bool | None,
        typer.Option(
            help="fit in processes that hold only histories and labels learnt from; by default where these can be forked"
        ),
    ] = None,
    order_seed: Annotated[
        int | None, typer.Option(help="the order seed of an earlier result, to get the same predictions; drawn by default")
    ] = None,
    draws: Annotated[
        int, typer.Option(help="how many draws of the folds, up to 5 (balanced samples: 10); a score is their mean")
    ] = 1,
) -> None:
    """Score a method on subsets, at each budget of epochs, beside the bar.

    An earlier result of the same method at other budgets is joined with the new one. Any other earlier result of that name
    is kept beside it. `compare` does not fit again what is fitted here.
    """
    from nndynbench.comparing import parts_of
    from nndynbench.plots import score_over_budget
    from nndynbench.protocols import evaluate as evaluate_method
    from nndynbench.protocols import find_method, find_protocol
    from nndynbench.protocols.arguments import checked_draws
    from nndynbench.protocols.budgets import shared_budgets
    from nndynbench.protocols.method import default_protocol, is_file_name, label_of
    from nndynbench.protocols.protocol import read_budgets
    from nndynbench.protocols.results import keep, order_seed_at
    from nndynbench.protocols.stored import StoredResults
    from nndynbench.protocols.tuning import TUNING_SUBSET, values_elsewhere
    from nndynbench.sealed.outside import prepare
    from nndynbench.storage.files import joined_names
    from nndynbench.submissions.beside import beside_bar
    from nndynbench.subsets import load

    if is_file_name(method):
        prepare(early=True)  # before the file is executed, which may do anything
    found = find_method(method)
    prepare(early=True)
    chosen = find_protocol(protocol or default_protocol(found))
    loaded = [load(name, root=root) for name in dict.fromkeys(subset)]
    checked_draws(draws, chosen)
    label = label_of(found)
    path = out / f"{label}.{joined_names([part.name for part in loaded])}.{chosen.name}.json"
    need_writable(path)  # before hours of fits, not after them
    with progress_bar(f"evaluating {label}") as report:
        result = evaluate_method(
            found if is_file_name(method) else method,
            loaded,
            protocol=chosen,
            budgets=read_budgets(budgets) if budgets else shared_budgets(loaded, chosen),
            name=label,
            jobs=jobs,
            progress=report,
            sealed=sealed,
            order_seed=order_seed_at(path) if order_seed is None else order_seed,
            draws=draws,
        )
    try:
        kept, lost = keep(result, path), None
    except OSError as failure:
        kept, lost = None, failure
    beside = beside_bar(result, loaded)
    for table in score_tables(result, beside, {part.name: part.manifest.regime for part in loaded}):
        print_table(table)
    console.print(f"[dim]{said_of_intervals(draws, chosen)}[/dim]")
    if found.choices and found.chosen.get(chosen.task) and any(part.name != TUNING_SUBSET for part in loaded):
        values = values_elsewhere(found, chosen.task)
        console.print(f"[dim]free parameters, chosen once on {TUNING_SUBSET}: {escape(values)}[/dim]")
    if unsealed := result.facts.unsealed:
        console.print(f"[yellow]not sealed[/yellow]: fitted in the process that holds the subset, since {escape(unsealed)}")
    if unknown := sorted({int(budget) for budget in beside.loc[beside["bar"].isna() & beside["value"].notna(), "budget"]}):
        command = compare_command(method, [part.name for part in loaded], chosen, unknown, root)
        others = said_of_other_protocols([part.name for part in loaded], chosen)
        console.print(
            escape(f"no bar is stored at budget {', '.join(map(str, unknown))}{others}; to fit it, run: {command}")
        )
    if kept is None:
        raise OSError(f"the result could not be written anywhere, so the output above is all that is left of it: {lost}")
    if kept.earlier is not None:
        console.print(escape(f"an earlier result of another method, version or subset was kept: {kept.earlier}"))
    console.print(escape(f"result: {kept.path} (budgets {', '.join(map(str, sorted(set(kept.result.scores['budget']))))})"))
    console.print(escape(f"plot: {score_over_budget([kept.result], kept.path.with_name(f'{kept.path.stem}.png'))}"))
    console.print(f"[dim]{escape(said_of_citing(result.facts.subsets, chosen, draws))}[/dim]")
    if is_file_name(method) and root is None:
        under = f", under {chosen.predictions}, whose predictions {chosen.name} scores" if chosen.predictions else ""
        console.print(escape(f"next, a row on the leaderboard{under}: {submit_command(kept.path)}"), soft_wrap=True)
    exit_unless_at(kept.path, path)
    asked_unsealed = not (result.facts.sealed or result.facts.unsealed)
    if not asked_unsealed and parts_of(loaded, chosen) == [tuple(loaded)]:
        StoredResults(out).adopt(result, found, loaded, chosen)


def submit_command(result: Path) -> str:
    """The command that makes a submission of a result, with what its author has to fill in."""
    filled_in = "--author NAME --code https://ADDRESS --commit COMMIT --licence LICENCE"
    return f"nndynbench submit {shlex.quote(str(result))} {filled_in}"


def said_of_other_protocols(subsets: Sequence[str], protocol: Protocol) -> str:
    """Under which protocols the leaderboard has the bar on subsets where it has none under this one; empty if it has it."""
    from nndynbench.submissions.beside import protocols_of_bar

    found = {subset: protocols_of_bar(subset) for subset in subsets}
    said = [f"{subset} has it under {', '.join(names)}" for subset, names in found.items() if names]
    has = any(protocol.fitted.name in names for names in found.values())
    return "" if has or not said else f" under {protocol.fitted.name} ({'; '.join(said)})"


def said_of_citing(subsets: Sequence[SubsetVersion], protocol: Protocol, draws: int) -> str:
    """What to state beside a score so that others can make it again, and the commands that print the entries."""
    from nndynbench.citing import citation
    from nndynbench.subsets import catalogue

    named = " and ".join(f"{subset.name} {subset.version}" for subset in subsets)
    counted = f"{draws} draw" if draws == 1 else f"{draws} draws"
    public = [f"nndynbench cite {subset.name}" for subset in subsets if subset.name in catalogue()]
    commands = "; ".join(public or ["nndynbench cite"])
    return f"cite: {named} with nndynbench {citation().version}, protocol {protocol.name}, {counted} ({commands})"


def said_of_intervals(draws: int, protocol: Protocol) -> str:
    """What a table's values and intervals are over: draws of the folds, and what is resampled."""
    most = protocol.fitted.draws
    averaged = f", the mean over {draws} draws of the folds," if draws > 1 else ""
    resampled = "recipes" if protocol.within == "recipe" else "learning rates (or configurations)"
    if protocol.split == "blocked":
        resampled = "blocks of learning rates (or optimisers)"
    same = "; the bar's values use the same draws, as far as the board has them" if draws > 1 else ""
    one = f"; values, also the bar's, use one draw of the folds: --draws {most} gives means" if draws == 1 < most else ""
    return f"each value{averaged} is followed by its 95% interval, from resampling whole {resampled}{same}{one}"


def compare_command(
    method: str, subsets: Sequence[str], protocol: Protocol, budgets: Sequence[int], root: str | None
) -> str:
    """The command that scores a method beside a bar that it fits."""
    where = [f"--subset {shlex.quote(subset)}" for subset in subsets] + ([f"--root {shlex.quote(root)}"] if root else [])
    asked = f'--protocol {protocol.name} --budgets "{",".join(map(str, budgets))}"'  # PowerShell splits what is not quoted
    return f"nndynbench compare --method {shlex.quote(method)} {' '.join(where)} {asked}"


def compare(
    subset: Annotated[list[str] | None, typer.Option(help="a subset; repeat for several; all at hand by default")] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(help="a method or method file; repeat for several; by default all bundled ones that need no torch"),
    ] = None,
    protocol: Annotated[str, typer.Option(help="a protocol")] = "regression-folds",
    budgets: Annotated[str | None, typer.Option(help='epochs: 5, 1-10, or "1,3,5"; by default the protocol\'s')] = None,
    metric: Annotated[
        str | None, typer.Option(help="the metric that the table and the plot show; the protocol's first by default")
    ] = None,
    out: Annotated[Path, typer.Option(help="folder for the comparison and its plot")] = Path("results"),
    results: Annotated[Path, typer.Option(help="folder of stored results, which are not fitted again")] = Path("results"),
    submissions: Annotated[
        Path | None,
        typer.Option(
            help="also compare with bundled methods' submissions in this folder; the board's by default for method files"
        ),
    ] = None,
    jobs: Annotated[int, typer.Option(help="how many methods to run at a time; -1 for one per core")] = -1,
    root: Root = None,
) -> None:
    """Compare methods at each budget: their scores, their gain over the bar and over the curves alone, and what they add.

    The bar is always included. The curves alone are included if you ask for them or if they are submitted. If you give only
    method files, they are compared with all bundled methods as the leaderboard has them; those are not fitted again. An
    earlier comparison of the same subsets and protocol is replaced.
    """
    from nndynbench.comparing import compare as compare_methods
    from nndynbench.comparing import compared_as
    from nndynbench.plots import comparison_over_budget, transfer_matrix
    from nndynbench.protocols import comparison_file, find_protocol
    from nndynbench.protocols.method import is_file_name
    from nndynbench.protocols.protocol import read_budgets
    from nndynbench.storage.elsewhere import written_somewhere
    from nndynbench.submissions.beside import submissions_folder
    from nndynbench.subsets import load

    chosen = find_protocol(protocol)
    shown = check_name(metric, chosen.metrics, what=f"metric of {chosen.name}") if metric else chosen.metrics[0]
    loaded = [load(name, root=root) for name in subset or subsets_with_split(chosen, root)]
    path = comparison_file(out, list(dict.fromkeys(part.name for part in loaded)), chosen.name)
    need_writable(path)  # before hours of fits, not after them
    if submissions is None and method and all(map(is_file_name, method)):
        submissions = submissions_folder()
        if said := said_of_few_submissions(submissions):
            console.print(f"[dim]{said}[/dim]")
    with progress_bar("the bar") as report:
        compared = compare_methods(
            method,
            loaded,
            protocol=chosen,
            budgets=read_budgets(budgets) if budgets else None,
            results=results,
            submissions=submissions,
            jobs=jobs,
            progress=report,
        )
    asked = [path.with_suffix(f".{suffix}") for suffix in ("csv", "json")]
    written = [written_somewhere(compared.save, each) for each in asked]
    for table in comparison_tables(compared, shown, bold={compared_as(name, method or ()) for name in method or ()}):
        print_table(table)
    if said := said_of_draws(compared, shown):
        console.print(f"[dim]{said}[/dim]")
    for name, reason in compared.failures.items():
        console.print(f"[yellow]no result[/yellow] {escape(name)}: {escape(reason)}")
    if root is None and (missing := subsets_missing()):
        console.print(f"[dim]not at hand: {', '.join(missing)}[/dim]")
    if compared.rows.loc[compared.rows["metric"] == shown, "value"].notna().any():
        plot = transfer_matrix if chosen.test == "another" else comparison_over_budget
        written.append(plot(compared, written[0].with_suffix(".png"), metric=shown))
    else:
        console.print(f"[yellow]no plot[/yellow]: {shown} has no value")
    console.print(escape("written: " + ", ".join(map(str, written))))
    exit_unless_at(written[: len(asked)], asked)


def said_of_few_submissions(folder: Path) -> str:
    """That an installed package has no submissions but the bar's, and how to get the rest; empty for a clone's folder."""
    from nndynbench.protocols.references import BAR

    if any(place.is_dir() and place.name != BAR for place in folder.glob("*")):
        return ""
    return (
        "compared with the bar alone: the installed package has no other submissions. To rank the method among all of "
        "them, install the package from a clone with pip install -e ., or give a clone's folder: --submissions "
        "leaderboard/submissions"
    )


def subsets_with_split(protocol: Protocol, root: str | None) -> list[str]:
    """The subsets at hand that have the networks for a protocol."""
    from nndynbench.subsets import SplitError, load
    from nndynbench.subsets.loading import names_at_hand

    names = []
    for name in names_at_hand(root):
        try:
            if protocol.split:
                load(name, root=root).split(protocol.split)
            names.append(name)
        except SplitError as reason:
            console.print(f"[yellow]left out[/yellow] {name}: {reason}")
    if not names:
        raise ValueError(
            f"no subset at hand has the networks for {protocol.name}: name one with --subset, or its folder with --root"
        )
    return names


def subsets_missing() -> list[str]:
    """The catalogue's subsets that are at no place."""
    from nndynbench.subsets import catalogue
    from nndynbench.subsets.loading import names_at_hand

    at_hand = names_at_hand()
    return [name for name in catalogue() if name not in at_hand]


def plot(
    results: Annotated[list[Path], typer.Argument(help="result files written by evaluate, all of one protocol")],
    out: Annotated[Path, typer.Option(help="the PNG to write")] = Path("results/plot.png"),
    metric: Annotated[str | None, typer.Option(help="the metric to plot; the protocol's first by default")] = None,
) -> None:
    """Plot stored results: a metric over the budget, a curve per result, with 95% bands."""
    from nndynbench.plots import score_over_budget
    from nndynbench.protocols import read_result

    read = [read_result(path) for path in results]
    if len(names := {result.facts.protocol for result in read}) > 1:
        raise ValueError(f"only results of one protocol can be plotted together, not of {', '.join(sorted(names))}")
    console.print(escape(f"plot: {score_over_budget(read, out, metric=metric)}"))


def report(
    out: Annotated[Path, typer.Option(help="the document to write; its pages are written beside it")] = Path(
        "docs/results.md"
    ),
    submissions: Annotated[
        Path | None, typer.Option(help="the folder of the board's submissions; by default the one at hand")
    ] = None,
    results: Annotated[
        Path, typer.Option(help="a folder of stored results for the paper's regression by windows, which is not submitted")
    ] = Path("results"),
    jobs: Annotated[int, typer.Option(help="how many subsets to read at a time; -1 for one per core")] = 1,
    root: Root = None,
) -> None:
    """Write docs/results.md and a page per question from the board's submissions on every subset at hand.

    Nothing is fitted; what is not submitted is left out.
    """
    from nndynbench.report import report as write_report
    from nndynbench.submissions.beside import submissions_folder

    with progress_bar("reading submissions") as shown:
        path = write_report(out, submissions or submissions_folder(), results=results, root=root, jobs=jobs, progress=shown)
    console.print(escape(f"written: {path}"))


def tune(
    folder: Annotated[Path | None, typer.Argument(help="a folder of method files; the bundled ones by default")] = None,
) -> None:
    """Choose the free parameters of all methods on digits-lenet, and record them in chosen.toml beside the method files."""
    from nndynbench.protocols.method import baselines_folder
    from nndynbench.protocols.tuning import record_choices

    path = record_choices(folder or baselines_folder())
    console.print(escape(f"chosen: {path}"))
