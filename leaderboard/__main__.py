"""``python -m leaderboard``: check, rerun and audit submissions, submit the bundled methods, build the page."""

from __future__ import annotations

import math
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from leaderboard.check import SUBMISSIONS, Accepted, Refusal, check_all, files_of, submission_files, subsets_at_hand
from leaderboard.standing import AuditScore, Interval
from leaderboard.store import Store
from leaderboard.time_limit import MINUTES, time_limit
from nndynbench.cli.console import CommandLine, opened, progress_bar, run
from nndynbench.numbers import NOTHING, written, written_interval

app = CommandLine(help=__doc__)
console = opened(soft_wrap=True)

RESULTS = Path("results")
SCORES = RESULTS / "scores"

Folder = Annotated[Path, typer.Option("--submissions", help="the folder of submissions")]
OwnFolder = Annotated[Path, typer.Option("--submissions", help="the folder of submissions; created if it is missing")]

Minutes = Annotated[
    float,
    typer.Option(
        min=0, help="stop a method that takes longer for one submission (0, and Windows: no limit), and go on with the next"
    ),
]
Scores = Annotated[
    Path, typer.Option(help="what earlier checks and builds computed, by the files' checksums; it is not computed again")
]


@app.command()
def check(
    files: Annotated[list[Path] | None, typer.Argument(help="submission files; all by default")] = None,
    submissions: Folder = SUBMISSIONS,
    drafts: Annotated[bool, typer.Option(help="also accept outside submissions to versions below 1.0.0")] = False,
    bundled: Annotated[
        bool,
        typer.Option(
            help="for maintainers: also accept submissions of methods in baselines/ that were neither rerun nor audited"
        ),
    ] = False,
    rerun: Annotated[
        bool, typer.Option(help="rerun methods in baselines/, and record the submissions that are reproduced")
    ] = False,
    code: Annotated[
        str | None,
        typer.Option(help="with --rerun: FILE.py[:NAME] of a method that is not in baselines/; the file is executed"),
    ] = None,
    missing: Annotated[bool, typer.Option(help="with --rerun: skip submissions that are already recorded")] = False,
    minutes: Minutes = MINUTES,
    refute: Annotated[
        bool, typer.Option(help="with --rerun: record rows from outside that are not reproduced as refuted")
    ] = False,
    report: Annotated[
        Path | None, typer.Option(help="write a Markdown file with what was accepted and where it will stand")
    ] = None,
    before: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="the folder of submissions before a change: a method that is there keeps its authors and its code",
        ),
    ] = None,
    scores: Scores = SCORES,
    jobs: Annotated[int, typer.Option(help="how many files to check at a time, in processes; -1 for one per core")] = -1,
) -> None:
    """Score submissions again, and refuse each one that is wrong, naming the file, the field and the reason.

    Predictions do not show which method made them. So a submission of a method in baselines/ is refused unless standing.json
    has a rerun or an audit of the file as it is, or --rerun reproduces it now.
    """
    from leaderboard.authors import of_one_origin
    from leaderboard.rerun import refused_name, self_reported
    from leaderboard.standing import best_records, read_records, unrecorded
    from nndynbench.sealed.outside import prepare

    if code and not (rerun and files and len({path.resolve().parent for path in files}) == 1):
        raise typer.BadParameter("needs --rerun and the files of one method", param_hint="--code")
    if rerun:
        prepare(early=True)
    known = cache(lambda folder: best_records(read_records(folder)))
    refused, outcomes = 0, []
    paths = files or submission_files(submissions)
    if rerun and missing:
        paths = unrecorded(paths)
    for outcome in of_one_origin(check_all(paths, below=submissions, store=Store(scores), jobs=jobs), before=before):
        if isinstance(outcome, Accepted) and outcome.draft and not drafts:
            outcome = Refusal(outcome.path, "method", outcome.draft)
        if rerun and isinstance(outcome, Accepted):
            # Another process may have recorded it meanwhile.
            outcome = _rerun(outcome, code, minutes, refute=refute) if not missing or unrecorded([outcome.path]) else outcome
        elif not bundled and isinstance(outcome, Accepted):
            reason = refused_name(outcome, known(outcome.path.resolve().parents[1]))
            outcome = Refusal(outcome.path, "method", reason) if reason else outcome
        outcomes.append(outcome)
        if isinstance(outcome, Refusal):
            refused += 1
            console.print(f"[red]refused[/red] {escape(str(outcome))}")
    if report:
        from leaderboard.comment import comment

        said = comment(outcomes, submissions, store=Store(scores), before=before, jobs=jobs)
        report.write_text(said, encoding="utf-8")
    console.print(f"{len(paths) - refused} of {len(paths)} submissions accepted")
    accepted = [outcome for outcome in outcomes if isinstance(outcome, Accepted)]
    if left := self_reported(accepted, read_records(submissions)):
        console.print(
            f"self-reported submissions of bundled methods on finished subsets: {len(left)}; run check --rerun --missing"
        )
    if refused:
        raise typer.Exit(1)


def _rerun(accepted: Accepted, code: str | None, minutes: float, *, refute: bool) -> Accepted | Refusal:
    """Fit a submission's method again, and record that it was reproduced; refused if its scores or what it reads differ.
    Of a method from outside that is recorded, too.
    """
    from leaderboard.rerun import NoRerunError, rerun
    from leaderboard.standing import add_record
    from nndynbench.protocols import MethodError
    from nndynbench.protocols.method import file_of
    from nndynbench.submissions.admission import is_bundled
    from nndynbench.subsets import SplitError

    try:
        with time_limit(minutes):
            compared = rerun(accepted, code=code)
    except NoRerunError as impossible:
        console.print(f"[yellow]not rerun[/yellow] {escape(str(impossible))}")
        return accepted
    except (MethodError, SplitError) as failure:
        return Refusal(accepted.path, "method", f"failed when it was rerun: {failure}")
    if not compared.reproduced:
        field, reason = compared.fault
        if not is_bundled(accepted.submission) and not refute:
            reason = f"{reason} (if the fault is not this machine's or --code's, record that with --refute)"
        elif not is_bundled(accepted.submission):
            facts: dict[str, Any] = {"code": file_of(code) if code else None, "reason": f"{field}: {reason}"}
            add_record(accepted.path, "refuted", sha256=accepted.sha256, **facts)
            reason = f"{reason} (recorded in standing.json: the row is refuted until that record is taken away)"
        return Refusal(accepted.path, field, reason)
    add_record(accepted.path, "rerun", sha256=accepted.sha256, code=file_of(code) if code else None)
    console.print(f"reproduced {escape(str(accepted.path))}: largest difference {compared.difference:.3g}")
    return accepted


@app.command()
def best(submissions: Folder = SUBMISSIONS) -> None:
    """Write which method on the board is best for each kind of input that a run may give; `nndynbench predict` uses it."""
    from leaderboard.best import write_best

    console.print(escape(f"written: {write_best(folder=submissions)}"))


@app.command()
def refresh(
    method: Annotated[list[str] | None, typer.Option(help="a bundled method; repeat for several; all by default")] = None,
    subset: Annotated[list[str] | None, typer.Option(help="a subset; repeat for several; all at hand by default")] = None,
    protocol: Annotated[list[str] | None, typer.Option(help="a protocol; repeat for several; all by default")] = None,
    budgets: Annotated[str | None, typer.Option(help='epochs: 5, 1-10, or "1,3,5"; by default the protocol\'s')] = None,
    draws: Annotated[
        int | None,
        typer.Option(help="at most this many draws of the folds; by default all for the methods in board.toml, else 1"),
    ] = None,
    submissions: OwnFolder = SUBMISSIONS,
    results: Annotated[Path, typer.Option(help="folder of stored results, which are not fitted again")] = RESULTS,
    missing: Annotated[bool, typer.Option(help="skip what is already submitted and up to date")] = False,
    shared: Annotated[
        bool, typer.Option(help="with --missing: treat code that all methods share as part of each method")
    ] = False,
    scores: Scores = SCORES,
    jobs: Annotated[int, typer.Option(help="how many methods to run at a time, in processes; -1 for one per core")] = 1,
) -> None:
    """Submit the bundled methods: evaluate, check and write each one, the quickest first.

    With --missing, submit only what is missing, refused or out of date. A submission is out of date if it has another
    version or checksum of a subset, other budgets or fewer draws of the folds, or if the method's file or chosen parameters
    changed since the commit that the submission names. With --shared, it is also out of date if other code of the package
    changed. Changes to comments and docstrings do not count. You may interrupt the command at any time; run it again to
    continue.
    """
    from leaderboard.refresh import out_of_date, submit_all, tasks
    from nndynbench.protocols.protocol import read_budgets

    asked = read_budgets(budgets) if budgets else None
    chosen = tasks(methods=method, subset_names=subset, protocol_names=protocol, chosen_budgets=asked, draws=draws)
    todo = chosen
    if missing:
        store = Store(scores)
        reasons = [out_of_date(task, submissions, shared=shared, store=store) for task in chosen]
        todo = [task for task, reason in zip(chosen, reasons, strict=True) if reason]
    console.print(f"{len(todo)} of {len(chosen)} tasks to do")
    if missing:
        for reason, count in Counter(filter(None, reasons)).most_common():
            console.print(f"  {count} {escape(reason)}")
    failed = 0
    made = submit_all(todo, submissions, results, jobs=jobs, shared=shared)
    for done, (result, left) in enumerate(made, start=1):
        progress = f"[dim]{done} of {len(todo)}, about {math.ceil(left / 60)} min left[/dim]"
        if result.failure:
            failed += 1
            console.print(f"{progress} [red]failed[/red] {escape(f'{result.task}: {result.failure}')}")
        else:
            console.print(f"{progress} submitted {escape(str(result.task))}")
    if failed:
        console.print(f"{failed} of {len(todo)} tasks failed")
        raise typer.Exit(1)


@app.command()
def audit(
    methods: Annotated[list[str], typer.Argument(metavar="METHOD...", help="submitted methods")],
    subset: Annotated[str | None, typer.Option(help="a subset on the digits images; digits-lenet by default")] = None,
    protocol: Annotated[
        list[str] | None, typer.Option(help="a protocol; repeat for several; by default all with a submission")
    ] = None,
    budgets: Annotated[str | None, typer.Option(help='epochs: 5, 1-10, or "1,3,5"; by default the submission\'s')] = None,
    zoo: Annotated[
        Path | None, typer.Option(help="keep the fresh zoo in this folder, so that the same command can continue it")
    ] = None,
    networks: Annotated[
        int | None, typer.Option(help="train only this many networks, as a trial that is not recorded; all by default")
    ] = None,
    code: Annotated[
        str | None, typer.Option(help="FILE.py[:NAME] of a method that is not bundled; the file is executed")
    ] = None,
    minutes: Minutes = MINUTES,
    submissions: Folder = SUBMISSIONS,
) -> None:
    """Train a fresh zoo with a seed drawn now, and compare the methods' scores on it with their claims, the quickest first.

    The seed is written down before the first network is trained. With --zoo you may interrupt the command at any time; run
    it again to continue. A zoo is drawn only once, and what has been audited on it is skipped. A zoo can only audit what
    was submitted before the zoo was drawn.
    """
    from leaderboard.audit import DRAWS, audited_subsets, draw_zoo, submissions_to_audit, train_fresh_zoo
    from leaderboard.audit import audit as score_on
    from leaderboard.standing import add_record, read_records
    from nndynbench.protocols import find_method, method_names
    from nndynbench.protocols.method import MethodError, file_of
    from nndynbench.protocols.protocol import read_budgets
    from nndynbench.sealed.outside import prepare
    from nndynbench.subsets import SplitError

    prepare(early=True)
    subset, only = subset or audited_subsets()[0], read_budgets(budgets) if budgets else []
    if zoo and networks:
        raise typer.BadParameter(
            "cannot be combined with --zoo, since the zoo of a trial is not kept", param_hint="--networks"
        )
    if code and len(methods) > 1:
        raise typer.BadParameter("can be given for one METHOD only", param_hint="--code")
    chosen = submissions_to_audit(methods, subset, submissions, protocols=protocol or [])
    for method in methods:
        if code is None and method not in method_names():
            raise ValueError(f"{method} is not in baselines/: give its file with --code FILE.py[:NAME]")
    failed = 0
    with nullcontext(zoo) if zoo else tempfile.TemporaryDirectory() as folder:
        drawn, records = draw_zoo(subset, Path(folder), submissions), read_records(submissions)
        for method in methods:  # a faulty one is reported before anything is trained; a stranger's runs after the draw
            with time_limit(minutes):
                find_method(code or method)
        todo = [a for a in chosen if not drawn.has_audited(a, records, only)]
        console.print(f"{len(todo)} of {len(chosen)} submissions to audit")
        for late in [a for a in todo if not drawn.is_later_than(a)]:
            failed += 1
            todo.remove(late)
            reason = "was submitted after the zoo was drawn: audit it on another zoo"
            console.print(f"[red]left out[/red] {escape(f'{late.path}: {reason}')}")
        if todo:
            console.print(f"fresh zoo of {subset} with the seed {drawn.seed}; networks: {networks or 'all'}")
            fresh = train_fresh_zoo(drawn, Path(folder), networks=networks)
        for accepted in todo:
            if drawn.has_audited(accepted, read_records(submissions), only):
                continue  # another process audited it meanwhile
            try:
                with time_limit(minutes):
                    scores = score_on(accepted, fresh, code=code, budgets=only)
            except (MethodError, SplitError) as reason:
                failed += 1
                console.print(f"[red]failed[/red] {escape(f'{accepted.path}: {reason}')}")
                continue
            trained = fresh.manifest.networks
            console.print(_audit_table(accepted, scores, trained))
            # With fewer networks to learn from the problem is another one: claims are compared with whole zoos only.
            if networks is None:
                facts: dict[str, Any] = {"zoo_seed": drawn.seed, "networks": trained, "draws": DRAWS, "scores": scores}
                facts["code"] = file_of(code) if code else None
                add_record(accepted.path, "audited", sha256=accepted.sha256, **facts)
    if failed:
        raise typer.Exit(1)


def _audit_table(accepted: Accepted, scores: Sequence[AuditScore], networks: int) -> Table:
    def shown(value: float | None, interval: Interval | None) -> str:
        span = f" ({written_interval(*interval, digits=3)})" if interval else ""
        return NOTHING if value is None else f"{written(value)}{span}"

    submission = accepted.submission
    title = f"{submission.method}, {submission.protocol}, on {networks} fresh networks of {submission.subset.name}"
    table = Table("budget", "metric", "claimed", "fresh", "relative to the claim's interval", title=title)
    for score in scores:
        fresh = shown(score.fresh, score.fresh_interval)
        table.add_row(
            str(score.budget), score.metric, shown(score.claimed, score.claimed_interval), fresh, score.place or ""
        )
    return table


@app.command()
def build(
    out: Annotated[Path, typer.Option(help="the folder for the page")],
    submissions: Folder = SUBMISSIONS,
    only: Annotated[
        list[str] | None,
        typer.Option(help="a method; repeat for several: the page shows only these and the reference rows, in seconds"),
    ] = None,
    scores: Scores = SCORES,
    jobs: Annotated[
        int, typer.Option(help="how many files to check and score at a time, in processes; -1 for one per core")
    ] = -1,
) -> None:
    """Build the static page. A refused submission is left out, and named; `check` fails on it."""
    from leaderboard.authors import of_one_origin
    from leaderboard.board import views, without_ranks
    from leaderboard.dates import changed_dates
    from leaderboard.page import BoardContent, build_site, need_free_or_older
    from leaderboard.standing import read_records

    need_free_or_older(out)
    store = Store(scores)
    files = files_of(only, submissions) if only else submission_files(submissions)
    checked = check_all(files, below=submissions, store=store, jobs=jobs)
    outcomes = of_one_origin(track(checked, "checking", len(files), console=console, transient=True))
    accepted = [outcome for outcome in outcomes if isinstance(outcome, Accepted)]
    refusals = [outcome for outcome in outcomes if isinstance(outcome, Refusal)]
    subsets, records, dates = subsets_at_hand(), read_records(submissions), changed_dates(submissions)
    if only and submissions.resolve() != SUBMISSIONS.resolve():
        records += read_records(SUBMISSIONS)  # reference rows may be from there
    with progress_bar("scoring") as report:
        scored = views(accepted, subsets, records, dates=dates, store=store, jobs=jobs, progress=report)
    if only:
        scored = without_ranks(scored)
    content = BoardContent(views=scored, accepted=accepted, subsets=subsets, records=records, only=only or [])
    index = build_site(out, content, store=store)
    for refusal in refusals:
        console.print(f"[red]left out[/red] {escape(str(refusal))}")
    console.print(f"submissions on the page {escape(str(index))}: {len(accepted)}")


@app.command()
def schema() -> None:
    """Print the JSON Schema of a submission."""
    from nndynbench.submissions import json_schema

    console.print_json(data=json_schema())


if __name__ == "__main__":
    run(app, "python -m leaderboard")
