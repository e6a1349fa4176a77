"""Who may submit to which version: versions below 1.0.0 are unfinished, and take the bundled methods alone."""

from __future__ import annotations

from functools import cache

from nndynbench.protocols.method import baselines_folder, method_names, read_methods
from nndynbench.storage.versions import is_unfinished
from nndynbench.submissions.schema import SubmissionFacts
from nndynbench.subsets.catalogue import read_as


def is_bundled(submission: SubmissionFacts) -> bool:
    """Whether it is one of the methods in ``baselines/``, under its own name and with its own file as code."""
    return submission.method in method_names() and submission.code == code_of(submission.method)


def refused_admission(submission: SubmissionFacts) -> str | None:
    """Why a submission is not admitted, or None where it is.

    A bundled method's name is kept for it, and its file as code for its name.
    """
    if is_bundled(submission):
        return None
    if submission.method in method_names():
        return f"{submission.method} is the name of a method in {code_of(submission.method)}"
    if submission.code.startswith("baselines/"):
        return f"{submission.method} is no method in baselines/"
    versions = {s.name: read_as(s.name, s.version) for s in (submission.subset, *submission.trained_on)}
    if unfinished := next((name for name, version in versions.items() if is_unfinished(version)), None):
        return f"{unfinished} {versions[unfinished]} is below 1.0.0, and takes no submissions from outside yet"
    return None


def code_of(method: str) -> str:
    """The file in ``baselines/`` that defines a bundled method; raises ValueError for another."""
    if method not in _code_by_method():
        raise ValueError(f"{method} is no method of baselines/")
    return _code_by_method()[method]


@cache
def _code_by_method() -> dict[str, str]:
    files = (path for path in sorted(baselines_folder().glob("*.py")) if not path.name.startswith("_"))
    found: dict[str, str] = {}
    for path in files:
        for method in read_methods(path):
            found.setdefault(method, f"baselines/{path.name}")
    return found
