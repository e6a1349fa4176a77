"""What the board shows first, which rows the others are read beside, and how rows are grouped: board.toml."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from nndynbench.protocols.method import find_method
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
    """Rows that stand below the methods, by the role of their method."""

    kind: str
    name: str
    meaning: str


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
    """The role of a bundled method; whatever others submit is a method."""
    return find_method(submission.method).role if is_bundled(submission) else "method"
