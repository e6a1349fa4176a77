"""The front page's answer: per subset, what the weights alone add to each reference, by rows that were rerun or audited."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from leaderboard.board import View
from leaderboard.facts import board_facts
from leaderboard.scores import Leading
from nndynbench.protocols.metrics import METRICS


@dataclass(frozen=True)
class Answer:
    """What weights add on one subset, by reference, to which metric, when its submissions last changed, and what must be
    known of the subset.
    """

    subset: str
    metric: str
    budget: int
    leading: Mapping[str, Leading]
    updated: datetime.date | None
    note: str = ""


def answers(views: Sequence[View]) -> list[Answer]:
    """An answer per subset that has one, under the first of its protocols and at the budget of board.toml, in its order."""
    headline = board_facts().headline
    found: dict[str, Answer] = {}
    for protocol in headline.protocols:
        for view in views:
            if view.protocol.name == protocol and (leading := view.leading.get(headline.budget)):
                label = METRICS[view.protocol.metrics[0]].label
                note = headline.notes.get(view.subset, "")
                answer = Answer(view.subset, label, headline.budget, leading, last_changed([view]), note)
                found.setdefault(view.subset, answer)
    first = [shown.subset for shown in board_facts().first]
    return sorted(found.values(), key=lambda answer: first.index(answer.subset) if answer.subset in first else len(first))


def last_changed(views: Sequence[View]) -> datetime.date | None:
    """When a submission of some views last changed."""
    return max((entry.date for view in views for entry in view.entries if entry.date), default=None)
