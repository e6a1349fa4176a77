"""Submission files, ``<method>/<subset>.<protocol>.json``: read without trust, and written compactly."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from nndynbench.errors import NndynbenchError
from nndynbench.storage.files import write_whole
from nndynbench.submissions.schema import Submission, SubmissionFacts

FactsT = TypeVar("FactsT", bound=SubmissionFacts)

LARGEST_FILE = 8_000_000
LONGEST_QUOTE = 120
LONGEST_REASON = 1000


PATTERNS_IN_WORDS = {
    "method": "must be lower-case letters and digits, joined by single - or _, such as edge-entropy",
    "licence": "must be an SPDX expression such as Apache-2.0 or MIT",
    "code": "must be an https address, such as https://github.com/ada/x",
    "commit": "must be 7 to 64 hexadecimal digits (git rev-parse HEAD)",
}


class RefusedError(NndynbenchError, ValueError):
    """A submission that is not accepted. ``field`` says where, ``reason`` why; both are safe to print."""

    def __init__(self, field: str, reason: str) -> None:
        self.field, self.reason = quoted(field), quoted(reason, longest=LONGEST_REASON)
        super().__init__(f"{self.field}: {self.reason}")


def quoted(text: object, *, longest: int = LONGEST_QUOTE) -> str:
    """Anything as one short printable line, since what a stranger wrote may hold control codes, or fill a screen."""
    line = "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in str(text))
    return line if len(line) <= longest else f"{line[:longest]}…"


def submission_file(method: str, subset: str, protocol: str) -> Path:
    """Where a method's submission on a subset belongs, below ``leaderboard/submissions/``."""
    return Path(method) / f"{subset}.{protocol}.json"


def submission_path(submission: SubmissionFacts) -> Path:
    """Where a submission belongs, below ``leaderboard/submissions/``."""
    return submission_file(submission.method, submission.subset.name, submission.protocol)


def read_submission(path: Path, *, below: Path | None = None) -> Submission:
    """Read a file that anyone may have written.

    ``below`` is the folder of submissions, by default the folder two levels up. The file's path below it must be that of
    `submission_path`.

    Raises
    ------
    RefusedError
        For anything but a regular file of at most 8 MB, in its right place, with one JSON object of the right shape.
    """
    return in_its_place(parsed(content_of(path)), path, below)


def parsed(content: bytes) -> Submission:
    """A submission from a file's content; raises `RefusedError`."""
    try:
        facts = json.loads(content.decode("utf-8"), object_pairs_hook=_without_duplicates, parse_constant=_no_constant)
    except RefusedError:
        raise
    except RecursionError:
        raise RefusedError("file", "is nested too deeply") from None
    except ValueError as error:
        raise RefusedError("file", f"is not JSON in UTF-8: {error}") from None
    try:
        return Submission.model_validate(facts)
    except ValidationError as invalid:
        raise refusal(invalid) from None
    except RecursionError:
        raise RefusedError("file", "is nested too deeply") from None


def write_submission(submission: Submission, folder: Path) -> Path:
    """Write a submission where it belongs below ``folder``, a line per field and numbers without blanks; returns the
    path.
    """
    fields = submission.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    # A score without a value is kept: it states that the metric is not defined.
    fields["scores"] = [score.model_dump(exclude_defaults=True) for score in submission.scores]
    fields = {"format": submission.format, **fields}
    columns = submission.predictions.columns()
    fields["predictions"] = {name: [_shortest(value) for value in values] for name, values in columns.items()}
    lines = [f"{json.dumps(name)}: {_compact(value)}" for name, value in fields.items()]
    path = folder / submission_path(submission)
    write_whole(path, "{\n" + ",\n".join(lines) + "\n}\n")
    return path


def content_of(path: Path) -> bytes:
    """The bytes of a regular file that is not too large; raises `RefusedError` for any other."""
    if path.is_symlink() or not path.is_file():
        raise RefusedError("file", "is not a regular file")
    if (size := path.stat().st_size) > LARGEST_FILE:
        raise RefusedError("file", f"has {size} bytes; at most {LARGEST_FILE} are allowed")
    return path.read_bytes()


def in_its_place(submission: FactsT, path: Path, below: Path | None = None) -> FactsT:
    """The submission, if its file is where it belongs, as `read_submission` says; else raises `RefusedError`."""
    right, found = submission_path(submission), Path(os.path.abspath(path))
    if found.relative_to(os.path.abspath(below) if below else found.parent.parent) != right:
        raise RefusedError("file", f"belongs at {right}, given its method, subset and protocol")
    if found.parent.is_symlink():
        raise RefusedError("file", "is in a folder that is a symbolic link")
    return submission


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # json keeps the last of two equal names: a reader of the file may look at the first.
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise RefusedError(name, "appears twice")
        found[name] = value
    return found


def _no_constant(name: str) -> NoReturn:
    raise RefusedError("file", f"holds {name}, but every number must be finite")


def refusal(invalid: ValidationError, *, most: int = 1) -> RefusedError:
    """The error that tells at most so many of the faults, and how many more there are."""
    errors = invalid.errors(include_url=False, include_context=False)
    (field, first), *others = [_fault(error) for error in errors[:most]]
    more = f" (and {len(errors) - most} more)" if len(errors) > most else ""
    return RefusedError(field, "; ".join([first, *(f"{where}: {why}" for where, why in others)]) + more)


def _fault(error: ErrorDetails) -> tuple[str, str]:
    """Where a fault is, and what it is, in words."""
    field = ".".join(str(part) for part in error["loc"]) or "file"
    found = "" if error["type"] in ("missing", "extra_forbidden") else f", not {_shown(error['input'])}"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "string_pattern_mismatch":
        message = PATTERNS_IN_WORDS.get(field, message)
    own = {"extra_forbidden": "is not a field of a submission", "missing": "is missing"}
    return field, f"{own.get(error['type'], message)}{found}"


def _shown(value: object) -> str:
    if isinstance(value, (str, int, float, bool)) or value is None:
        return quoted(ascii(value), longest=60)
    return f"a {type(value).__name__}"


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _shortest(value: Any) -> Any:
    return int(value) if isinstance(value, float) and abs(value) < 1e15 and value == int(value) else value
