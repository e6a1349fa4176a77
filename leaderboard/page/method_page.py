"""What a method's page shows of each view that the method is in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from leaderboard.board import View
from leaderboard.facts import board_facts
from leaderboard.page.audits import Audit, worst


def parts_of(
    method: str, views: Sequence[View], data: Sequence[dict[str, Any]], audits: Sequence[Audit]
) -> list[dict[str, Any]]:
    """A part per view, in order: its ``position``, the method's entries, and what stands beside them. ``data``: what the
    page's scripts read of each view.
    """
    own = [
        (view, chart)
        for view, chart in zip(views, data, strict=True)
        if any(entry.submission.method == method for entry in view.entries)
    ]
    return [{"position": position, **_of_method(*both, method, audits)} for position, both in enumerate(own, start=1)]


def _of_method(view: View, chart: dict[str, Any], method: str, audits: Sequence[Audit]) -> dict[str, Any]:
    """A method's own entries of a view, the worst that fresh zoos gave, and the part of the view's chart that is of it and
    of the references.
    """
    shown_beside = [entry for entry in chart["entries"] if entry["method"] in (method, *chart["references"].values())]
    entries = [entry for entry in view.entries if entry.submission.method == method]
    scores = [scores for entry in entries for scores in entry.scores.values()]
    worth = [
        (name, reference.key, f"{title} {reference.name}")
        for name, title in (("gain", "Gain over"), ("added", "Added to"))
        for reference in board_facts().references
        if any(reference.key in getattr(score, name) for score in scores)
    ]
    fresh = worst(audit for audit in audits if (audit.subset, audit.protocol) == (view.subset, view.protocol.name))
    budgets = sorted({int(budget) for entry in shown_beside for budget in entry["scores"]})
    part = {**chart, "budgets": budgets, "entries": shown_beside, "paper": []}
    return {"view": view, "entries": entries, "worth": worth, "fresh": fresh, "chart": part}
