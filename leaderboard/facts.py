"""What the board shows first, which rows the others are read beside, and how rows are grouped: board.toml."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from nndynbench.submissions import SubmissionFacts
from nndynbench.submissions.admission import is_bundled


@dataclass(frozen=True)
class Shown:
    """A view that may be shown first."""

    subset: str
    protocol: str


@dataclass(frozen=True)
class Reference:
    """A row that the others are read beside: the first of ``methods`` that a view has."""

    key: str
    methods: tuple[str, ...]
    name: str
    meaning: str


@dataclass(frozen=True)
class Group:
    """Rows that stand below the methods, by a bundled method's file or by how its description begins."""

    kind: str
    name: str
    meaning: str
    code: str | None = None
    description: str | None = None

    def holds(self, submission: SubmissionFacts) -> bool:
        return submission.code == self.code or bool(self.description and submission.description.startswith(self.description))


@dataclass(frozen=True)
class Headline:
    """Under which protocol, after how many epochs, the front page says what weights add."""

    protocol: str
    budget: int


@dataclass(frozen=True)
class BoardFacts:
    """All of board.toml."""

    first: tuple[Shown, ...]
    references: tuple[Reference, ...]
    groups: tuple[Group, ...]
    headline: Headline


@cache
def board_facts() -> BoardFacts:
    """As they are written down."""
    content = tomllib.loads(files("leaderboard").joinpath("board.toml").read_text(encoding="utf-8"))
    return BoardFacts(
        tuple(Shown(**facts) for facts in content["first"]),
        tuple(Reference(**{**facts, "methods": tuple(facts["methods"])}) for facts in content["references"]),
        tuple(Group(**facts) for facts in content["groups"]),
        Headline(**content["headline"]),
    )


def kind_of(submission: SubmissionFacts) -> str:
    """A reference, one of the groups, or a method."""
    if not is_bundled(submission):
        return "method"
    if any(submission.method in reference.methods for reference in board_facts().references):
        return "reference"
    return next((group.kind for group in board_facts().groups if group.holds(submission)), "method")
