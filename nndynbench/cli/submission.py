"""The command ``submit``: turn a result into a checked submission file, and say how to propose it."""

from __future__ import annotations

import re
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from nndynbench.cli.console import opened

if TYPE_CHECKING:
    from nndynbench.submissions.schema import Submission

console = opened(soft_wrap=True)


def submit(
    result: Annotated[Path, typer.Argument(help="a result file that `nndynbench evaluate` wrote")],
    author: Annotated[list[str], typer.Option(help="an author's name; repeat for several")],
    code: Annotated[str, typer.Option(help="the https address of the method's code")],
    commit: Annotated[str, typer.Option(help="the commit of that code, in hexadecimal")],
    licence: Annotated[str, typer.Option(help="the code's licence, an SPDX expression")] = "Apache-2.0",
    method: Annotated[
        str | None, typer.Option(help="the method's name on the board; by default its name in the result")
    ] = None,
    description: Annotated[str | None, typer.Option(help="a description in one line; by default the method's own")] = None,
    seed: Annotated[list[int] | None, typer.Option(help="a seed that the method used; repeat for several")] = None,
    to: Annotated[Path, typer.Option(help="the folder of submissions")] = Path("leaderboard/submissions"),
) -> None:
    """Check a result as the leaderboard will, and write it as a submission. The command never prompts."""
    from nndynbench.protocols import read_result
    from nndynbench.protocols.method import SEED
    from nndynbench.submissions import accepted_predictions, submissions_of, write_submission
    from nndynbench.submissions.admission import checked_name, is_bundled, refused_admission

    made = submissions_of(
        read_result(result),
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
        checked = f"{len(submission.scores)} scores of {submission.method} recomputed"
        console.print(escape(f"checked: {checked}; wrote {path}"))
        if replaced:
            console.print(f"[yellow]note[/yellow]: {replaced}")
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
        name, added = made[0].method, quote(str(to / made[0].method))
        commit = f'git add {added} && git commit -m "Submit {name}"'
        console.print("propose it, in a clone of your own fork of the project:")
        console.print(escape(f"  git switch -c {name} && {commit} && git push -u origin {name}"))
        console.print("then open a pull request; docs/submitting.md says what is checked there")


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
