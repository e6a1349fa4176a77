"""The front page's answer: per subset, what the weights alone add to each reference."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from leaderboard.board import View
from leaderboard.facts import board_facts
from leaderboard.scores import Leading


@dataclass(frozen=True)
class Answer:
    """What weights add on one subset, by reference, and when its submissions last changed."""

    subset: str
    budget: int
    leading: Mapping[str, Leading]
    updated: datetime.date | None


def answers(views: Sequence[View]) -> list[Answer]:
    """An answer per subset that has one, under the protocol and at the budget of board.toml, in its order."""
    headline = board_facts().headline
    found = [
        Answer(view.subset, headline.budget, view.leading[headline.budget], last_changed([view]))
        for view in views
        if view.protocol.name == headline.protocol and view.leading.get(headline.budget)
    ]
    first = [shown.subset for shown in board_facts().first]
    return sorted(found, key=lambda answer: first.index(answer.subset) if answer.subset in first else len(first))


def last_changed(views: Sequence[View]) -> datetime.date | None:
    """When a submission of some views last changed."""
    return max((entry.date for view in views for entry in view.entries if entry.date), default=None)
