"""Finds submissions of bundled methods that are out of date because the code that made their predictions has changed since.

A submission names the commit that made it. What counts is the method's own file, without comments, docstrings and types,
and the parameters chosen for the method. The package's code that all methods share counts on request.
"""

from __future__ import annotations

import ast
import subprocess
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from nndynbench.sources import deciding_files
from nndynbench.submissions import SubmissionFacts

ROOT = Path(__file__).parents[1]
CHOSEN = "baselines/chosen.toml"

# Predictions depend neither on what a word was called in older files, nor on what a method is there for: arguments of the
# latter kind are left out of calls, and of what functions take by keyword alone.
RENAMED = {"tier": "reads"}
LEFT_OUT = {"role", "control_of", "needs"}

# Modules that hold types alone, which decide no prediction either.
TYPES = {"__future__", "collections.abc", "typing"}

# The parts of a statement that hold statements.
STATEMENTS = ("body", "orelse", "finalbody")


def changed_code(submission: SubmissionFacts, *, shared: bool) -> list[str]:
    """The files that decide a bundled method's predictions and have changed since; with ``shared`` also the package's."""
    files = [submission.code, *(_shared_files() if shared else ())]
    changed = [file for file in files if _code(file, submission.commit) != _code(file, None)]
    if _chosen(submission.method, submission.commit) != _chosen(submission.method, None):
        changed.append(CHOSEN)
    return changed


@cache
def _shared_files() -> tuple[str, ...]:
    return tuple(sorted(file.relative_to(ROOT).as_posix() for file in deciding_files("predictions")))


@cache
def _code(file: str, commit: str | None) -> str | None:
    """What a file says at a commit, or now if ``commit`` is None; None if there is no such file."""
    text = _text(file, commit)
    return substance(text) if text is not None and file.endswith(".py") else text


@cache
def _chosen(method: str, commit: str | None) -> Any:
    text = _text(CHOSEN, commit)
    return tomllib.loads(text).get(method) if text is not None else None


@cache
def _text(file: str, commit: str | None) -> str | None:
    if commit is None:
        path = ROOT / file
        return path.read_text(encoding="utf-8") if path.is_file() else None
    shown = ["git", "show", f"{commit}:{file}"]
    done = subprocess.run(shown, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    return None if done.returncode else done.stdout


def substance(text: str) -> str:
    """What a Python source is apart from comments, docstrings, types, and what a method is there for."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if (
            isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
            and ast.get_docstring(node, clean=False) is not None
        ):
            node.body = node.body[1:]
        for part in STATEMENTS:
            if isinstance(statements := getattr(node, part, None), list):
                setattr(node, part, _untyped(statements, fields=isinstance(node, ast.ClassDef)))
        if isinstance(node, ast.arg):
            node.annotation = None
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            node.returns = None
        if isinstance(node, ast.Call):
            node.keywords = [keyword for keyword in node.keywords if keyword.arg not in LEFT_OUT]
        if isinstance(node, ast.arguments):
            kept = [place for place, argument in enumerate(node.kwonlyargs) if argument.arg not in LEFT_OUT]
            node.kwonlyargs, node.kw_defaults = [node.kwonlyargs[p] for p in kept], [node.kw_defaults[p] for p in kept]
        for attribute in ("id", "arg"):
            name = getattr(node, attribute, None)
            if name in RENAMED:
                setattr(node, attribute, RENAMED[name])
    return ast.dump(tree)


def _untyped(statements: list[ast.stmt], *, fields: bool) -> list[ast.stmt]:
    """The statements without imports of types, and without the types of variables. Types of a class's fields stay: a
    dataclass is made of them.
    """
    found: list[ast.stmt] = []
    for statement in statements:
        if isinstance(statement, ast.ImportFrom) and statement.module in TYPES:
            continue
        if isinstance(statement, ast.AnnAssign) and statement.value is not None and not fields:
            found.append(ast.Assign(targets=[statement.target], value=statement.value))
        else:
            found.append(statement)
    return found
