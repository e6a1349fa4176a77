"""The command ``submit``: turn a result into a checked submission file, and say how to propose it."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from nndynbench.cli.console import opened

if TYPE_CHECKING:
    from nndynbench.protocols import Result
    from nndynbench.submissions.schema import Submission

console = opened(soft_wrap=True)

IN_A_CLONE = Path("leaderboard/submissions")


def submit(
    result: Annotated[Path, typer.Argument(help="a result file that `nndynbench evaluate` wrote")],
    author: Annotated[list[str], typer.Option(help="an author's name; repeat for several")],
    code: Annotated[str, typer.Option(help="the https address of the method's code")],
    commit: Annotated[str, typer.Option(help="the commit of that code, in hexadecimal")],
    licence: Annotated[str, typer.Option(help="the licence of that code, an SPDX expression such as MIT or Apache-2.0")],
    method: Annotated[
        str | None, typer.Option(help="the method's name on the board; by default its name in the result")
    ] = None,
    description: Annotated[str | None, typer.Option(help="a description in one line; by default the method's own")] = None,
    seed: Annotated[
        list[int] | None,
        typer.Option(help="a seed that the method sets; repeat for several; by default 0, which is used where it sets none"),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(help="the folder of submissions; by default that of the clone you are in, else one in this folder"),
    ] = None,
) -> None:
    """Check a result as the leaderboard will, and write it as a submission. The command never prompts.

    A result of a protocol that scores another one's predictions is submitted under that other protocol.
    """
    from nndynbench.protocols import read_result
    from nndynbench.protocols.method import SEED
    from nndynbench.submissions import accepted_predictions, submissions_of, write_submission
    from nndynbench.submissions.admission import checked_name, is_bundled, refused_admission

    to = to or submissions_around(Path.cwd())
    made = submissions_of(
        of_submitted_protocol(read_result(result)),
        authors=author,
        licence=licence,
        code=code,
        commit=commit,
        seeds=seed or [SEED],
        method=method,
        description=description,
    )
    for submission in made:
        checked_name(submission)
        accepted_predictions(submission)
    taken = said_of_taken_name(made[0], to)  # before anything is written: the file may be another's
    for submission in made:
        replaced = said_of_replaced(submission, to)
        path = write_submission(submission, to)
        checked = f"{len(submission.scores)} scores of {submission.method} under {submission.protocol} recomputed"
        console.print(escape(f"checked: {checked}; wrote {path}"))
        if replaced:
            console.print(f"[yellow]note[/yellow]: {replaced}")
    console.print(escape(said_of_terms(made[0])))
    if taken:
        console.print(f"[yellow]note[/yellow]: {escape(taken)}")
    if looks_like_an_estimator(made[0].description):
        console.print(
            f"[yellow]note[/yellow]: the board will show {escape(repr(made[0].description))} as the description: "
            "say in one line what the method does, with --description"
        )
    shown = f"--only {made[0].method} --submissions {quote(str(to))}"
    console.print(escape(f"see it as a row:        python -m leaderboard build {shown} --out site/"))
    if reasons := sorted({reason for submission in made if (reason := refused_admission(submission))}):
        console.print(f"this is a draft: you can build it into a page of your own, but not propose it: {'; '.join(reasons)}")
    elif is_bundled(made[0]):
        console.print(
            f"{made[0].method} is a method in baselines/: the leaderboard takes the file once a maintainer has rerun it "
            "(python -m leaderboard check --rerun)"
        )
    else:
        console.print(escape("\n".join(steps_to_propose(made, to))))


def submissions_around(folder: Path) -> Path:
    """Where a submission is written from a folder: the submissions of the clone that it is in, else a folder like these
    below it.
    """
    clone = next((place for place in (folder, *folder.parents) if is_clone(place)), folder)
    return IN_A_CLONE if clone == folder else clone / IN_A_CLONE


def is_clone(folder: Path) -> bool:
    """Whether a folder is a clone of the project, or at least has its leaderboard."""
    return (folder / "leaderboard" / "board.toml").is_file()


def of_submitted_protocol(result: Result) -> Result:
    """A result under the protocol that its predictions are submitted for; most are so already."""
    from nndynbench.protocols import find_protocol
    from nndynbench.protocols.stored import as_fitted
    from nndynbench.subsets import load

    if not find_protocol(result.facts.protocol).predictions:
        return result
    return as_fitted(result, [load(subset.name, version=subset.version) for subset in result.facts.subsets])


def said_of_terms(submission: Submission) -> str:
    """What the submission states that nobody can check, for its author to read."""
    seeds = ", ".join(map(str, submission.seeds))
    return (
        f"it states: by {', '.join(submission.authors)}; code {submission.code} at {submission.commit}, licensed under "
        f"{submission.licence}; seed{'s' * (len(submission.seeds) > 1)} {seeds}"
    )


def steps_to_propose(made: Sequence[Submission], to: Path) -> list[str]:
    """The commands that propose a method's submissions, which were written to a folder of submissions."""
    from nndynbench.submissions import submission_path

    method, written = made[0].method, Path(os.path.abspath(to))
    clone = next((place for place in written.parents if is_clone(place)), None)
    if clone is not None and written == clone / IN_A_CLONE:
        lines = [f"propose it, in {clone}, which must be a clone of your own fork of the project:"]
    else:
        lines = ["propose it, in a clone of your own fork of the project:"]
        lines.append(f"  cp -r {quote(str(written / method))} {IN_A_CLONE.as_posix()}/")
    files = " ".join((IN_A_CLONE / submission_path(submission)).as_posix() for submission in made)
    added = (IN_A_CLONE / method).as_posix()
    push = f'git switch -c {method} && git add {added} && git commit -m "Submit {method}" && git push -u origin {method}'
    lines += [f"  python -m leaderboard check {files}", f"  {push}"]
    return [*lines, "then open a pull request; docs/submitting.md says what is checked there"]


def said_of_replaced(submission: Submission, folder: Path) -> str:
    """What is lost when a submission takes the place of an earlier one with other budgets; empty where nothing is."""
    from nndynbench.submissions.files import RefusedError, read_submission, submission_path

    path = folder / submission_path(submission)
    if not path.exists():
        return ""
    try:
        earlier = set(read_submission(path).budgets)
    except RefusedError:
        return "the earlier file there, which was no valid submission, is replaced"
    before, now = (", ".join(map(str, sorted(budgets))) for budgets in (earlier, set(submission.budgets)))
    if before == now:
        return ""
    return f"the earlier file there had the budgets {before}; it is replaced by this one, with {now}"


def said_of_taken_name(submission: Submission, folder: Path) -> str:
    """How the method's files that are there are somebody else's; empty where they are not."""
    from nndynbench.submissions.admission import is_bundled
    from nndynbench.submissions.origins import origin_of, origins_in, other_origin

    if is_bundled(submission):
        return ""
    differs = other_origin(submission.method, origin_of(submission), origins_in(folder / submission.method))
    return (
        f"{differs}: if that file is on the board, the check refuses yours; --method gives another name" if differs else ""
    )


def looks_like_an_estimator(description: str) -> bool:
    """Whether a description is only how Python shows an estimator, such as "Ridge(alpha=2)"."""
    return re.fullmatch(r"[A-Za-z_]\w*\(.*\)", description) is not None
