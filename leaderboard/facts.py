"""Facts about the board: what board.toml says of it, and the references that its rows are compared with."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from nndynbench.protocols.references import Reference, references
from nndynbench.submissions import SubmissionFacts
from nndynbench.submissions.admission import bundled, is_bundled


@dataclass(frozen=True)
class Shown:
    """A view that may be shown first."""

    subset: str
    protocol: str


@dataclass(frozen=True)
class Group:
    """Rows that stand below the methods, by the role of their method."""

    kind: str
    name: str
    meaning: str


@dataclass(frozen=True)
class Headline:
    """Where the front page takes what weights add from: the first of ``protocols`` that a subset has, at ``budget``.

    ``notes``: what must be known of a subset wherever its number stands first.
    """

    protocols: tuple[str, ...]
    budget: int
    notes: Mapping[str, str]


@dataclass(frozen=True)
class BoardFacts:
    """All of board.toml, and the references that every comparison has.

    ``drawn_again``: the methods that are submitted under all draws of the folds. ``drawn_again_on``: further such methods,
    by subset and protocol. ``audited_images``: the images whose subsets can be trained anew for an audit. ``withdrawn``: why
    methods were withdrawn, by their names.
    """

    first: tuple[Shown, ...]
    references: tuple[Reference, ...]
    groups: tuple[Group, ...]
    headline: Headline
    drawn_again: frozenset[str]
    drawn_again_on: Mapping[tuple[str, str], frozenset[str]]
    audited_images: frozenset[str]
    withdrawn: Mapping[str, str]

    def draws_again(self, method: str, protocol: str, subsets: Iterable[str]) -> bool:
        """Whether a method is submitted under all draws of the folds that a protocol has on these subsets."""
        on = (self.drawn_again_on.get((subset, protocol), frozenset()) for subset in subsets)
        return method in self.drawn_again.union(*on)


@cache
def board_facts() -> BoardFacts:
    """The facts, read once."""
    content = tomllib.loads(files("leaderboard").joinpath("board.toml").read_text(encoding="utf-8"))
    return BoardFacts(
        tuple(Shown(**facts) for facts in content["first"]),
        references(),
        tuple(Group(**facts) for facts in content["groups"]),
        Headline(**{**content["headline"], "protocols": tuple(content["headline"]["protocols"])}),
        frozenset(content["draws"]["methods"]),
        {(view["subset"], view["protocol"]): frozenset(view["methods"]) for view in content["draws"]["views"]},
        frozenset(content["audit"]["images"]),
        content["withdrawn"],
    )


def kind_of(submission: SubmissionFacts) -> str:
    """The role of a bundled method; the role of whatever others submit is "method"."""
    return bundled()[submission.method].role if is_bundled(submission) else "method"
