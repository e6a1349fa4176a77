"""Who may submit to which version. Versions below 1.0.0 are unfinished, and take the bundled methods alone."""

from __future__ import annotations

import hashlib
import time
import unicodedata
from dataclasses import dataclass
from functools import cache

from nndynbench.citing import citation
from nndynbench.protocols.method import Role, baselines_folder, method_files, read_methods
from nndynbench.sources import PACKAGE
from nndynbench.sources import code_of as source_of
from nndynbench.storage.computed import key_of, store_value, stored_value
from nndynbench.storage.versions import is_unfinished
from nndynbench.submissions.files import RefusedError
from nndynbench.submissions.schema import SubmissionFacts
from nndynbench.subsets.catalogue import read_as


@dataclass(frozen=True)
class Bundled:
    """A method of ``baselines/``: the file that defines it, and its role."""

    code: str
    role: Role


def is_bundled(submission: SubmissionFacts) -> bool:
    """Whether a submission says that it is of a method in ``baselines/``, under its own name and with its own file as code.

    Anybody can write that. The leaderboard's check therefore asks for a rerun or an audit of the file.
    """
    return submission.method in bundled() and submission.code == code_of(submission.method)


def checked_name(submission: SubmissionFacts) -> None:
    """Check that a bundled method's name has its own file as code, and that file its own name, and that nobody else takes
    the project's name for an author's; raises `RefusedError`.
    """
    if is_bundled(submission):
        return
    if near := next((name for name in bundled() if folded(name) == folded(submission.method)), None):
        raise RefusedError("method", f"{submission.method} is the name of a method in {code_of(near)}")
    if submission.code.startswith("baselines/"):
        raise RefusedError("method", f"{submission.method} is not a method in baselines/")
    own = {folded(name) for name in citation().authors}
    for place, author in enumerate(submission.authors):
        if folded(author) in own or PACKAGE in folded(author):
            reason = f"names this project's authors ({author}): give those of {submission.method}"
            raise RefusedError(f"authors.{place}", reason)


def folded(name: str) -> str:
    """A name without what the eye passes over: its letters and digits alone, without accents, in one case."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKD", name))).casefold()


def refused_admission(submission: SubmissionFacts) -> str | None:
    """Why a submission is a draft that its version does not take yet; None if it is admitted."""
    if is_bundled(submission):
        return None
    versions = {s.name: read_as(s.name, s.version) for s in (submission.subset, *submission.trained_on)}
    if unfinished := next((name for name, version in versions.items() if is_unfinished(version)), None):
        return f"{unfinished} {versions[unfinished]} is below 1.0.0 and does not accept outside submissions yet"
    return None


def code_of(method: str) -> str:
    """The file in ``baselines/`` that defines a bundled method; raises ValueError for any other name."""
    if method not in bundled():
        raise ValueError(f"{method} is not a method in baselines/")
    return bundled()[method].code


@cache
def bundled() -> dict[str, Bundled]:
    """The bundled methods by name. If an earlier process executed the same files, they are not executed again, since that
    imports scikit-learn.
    """
    files = method_files(baselines_folder())
    contents = [(path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in files]
    key = key_of(source_of("nndynbench.protocols.method"), "bundled methods", contents)
    found = stored_value(key)
    if found is None:
        began, found = time.perf_counter(), {}
        for path in files:
            for name, method in read_methods(path).items():
                found.setdefault(name, [f"baselines/{path.name}", method.role])
        store_value(key, found, time.perf_counter() - began)
    return {name: Bundled(*facts) for name, facts in found.items()}
