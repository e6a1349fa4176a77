"""A view as the page's scripts read it, and as a table to download."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Mapping
from typing import Any

from leaderboard.board import Entry, View
from leaderboard.scores import Scores
from leaderboard.shown import DIGITS
from nndynbench.protocols.metrics import METRICS
from nndynbench.protocols.scoring import Estimate

ARXIV = re.compile(r"arxiv[ :]\s*(\d{4}\.\d{4,5})", re.IGNORECASE)
DOI = re.compile(r"\bdoi[ :]\s*(10\.\d{4,9}/[\w.()/:;-]*\w)", re.IGNORECASE)


def plain(view: View, trained: View | None = None) -> dict[str, Any]:
    """A view with its numbers rounded to six decimals, an estimate as [value, low, high].

    With the view of the same predictions on the networks that learned anything, τ there stands beside.
    """
    beside = _tau_by_method(trained) if trained else {}
    return {
        "protocol": view.protocol.name,
        "subset": view.subset,
        "metrics": [{"name": metric, "better": METRICS[metric].direction} for metric in view.protocol.metrics],
        "budgets": view.budgets,
        "opens_at": view.opens_at,
        "beside": bool(trained),
        "ceiling": {metric: _plain(estimate) for metric, estimate in view.ceiling.items()},
        "references": view.references,
        "paper": [dict(reference) for reference in view.paper],
        "entries": [_plain_entry(entry, beside) for entry in view.entries],
    }


def paper_link(source: str | None) -> str | None:
    """The address of a method's paper, where its source gives an arXiv number or a DOI."""
    if found := ARXIV.search(source or ""):
        return f"https://arxiv.org/abs/{found.group(1)}"
    if found := DOI.search(source or ""):
        return f"https://doi.org/{found.group(1)}"
    return None


def as_csv(view: View) -> str:
    """A row per method, budget and (on transfer) subset that was trained on, with every number and its interval."""
    metrics, references = view.protocol.metrics, view.references
    worth = [f"{name}_{what}" for name in ("gain", "added") for what in references]
    numbers = [f"{name}{end}" for name in (*metrics, *worth) for end in ("", "_low", "_high")]
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(["subset", "protocol", "method", "kind", "trained_on", "budget", "draws", "rank", *numbers, *_FACTS])
    for entry in view.entries:
        for budget, scores in entry.scores.items():
            own: list[Estimate | str | None] = [scores.metrics[metric] for metric in metrics]
            own += [found.get(what) for found in (scores.gain, scores.added) for what in references]
            values = [number for estimate in own for number in _three(estimate)]
            what = [view.subset, view.protocol.name, entry.submission.method, entry.kind, entry.trained_on or ""]
            writer.writerow([*what, budget, scores.draws, entry.ranks.get(budget, ""), *values, *_facts(entry).values()])
    return written.getvalue()


_FACTS = ("sees", "standing", "date", "authors", "source", "code", "commit", "licence", "seconds")


def _facts(entry: Entry) -> dict[str, Any]:
    submission = entry.submission
    texts = (as_text("; ".join(submission.authors)), as_text(submission.source or ""))
    said = ("+".join(submission.reads), entry.standing, entry.date or "", *texts)
    rest = (submission.code, submission.commit, submission.licence, submission.seconds)
    return dict(zip(_FACTS, (*said, *rest), strict=True))


def as_text(value: str) -> str:
    """What a stranger wrote, as a spreadsheet takes it for text and for no formula."""
    return re.sub(r"(^|;)(\s*)(?=[=+@-])", r"\1\2'", value)


def _three(estimate: Estimate | str | None) -> list[float | str]:
    return [round(number, DIGITS) for number in estimate] if isinstance(estimate, tuple) else [""] * 3


def _plain_entry(entry: Entry, beside: Mapping[tuple[str, int], Any]) -> dict[str, Any]:
    submission = entry.submission
    return {
        "method": submission.method,
        "description": submission.description,
        "source": submission.source,
        "paper_link": paper_link(submission.source),
        "authors": submission.authors,
        "trained_on": entry.trained_on,
        "kind": entry.kind,
        "standing": entry.standing,
        "draft": entry.draft,
        "refuted": entry.refuted,
        "sealed": submission.sealed,
        "date": entry.date.isoformat() if entry.date else None,
        "reads": submission.reads,
        "seconds": submission.seconds,
        "code": submission.code,
        "scores": {
            str(budget): {
                **_plain_scores(scores),
                "rank": entry.ranks.get(budget),
                "draws": scores.draws,
                "trained_tau": beside.get((submission.method, budget)),
            }
            for budget, scores in entry.scores.items()
        },
    }


def _tau_by_method(trained: View) -> dict[tuple[str, int], Any]:
    return {
        (entry.submission.method, budget): _plain(scores.metrics["kendall_tau_in_folds"])
        for entry in trained.entries
        for budget, scores in entry.scores.items()
    }


def _plain_scores(scores: Scores) -> dict[str, Any]:
    numbers: dict[str, Any] = {metric: _plain(value) for metric, value in scores.metrics.items()}
    worth = {"gain": scores.gain, "added": scores.added}
    return numbers | {name: {key: _plain(value) for key, value in found.items()} for name, found in worth.items()}


def _plain(estimate: Estimate | str) -> list[float | None] | str:
    if isinstance(estimate, str):
        return estimate
    return [round(number, DIGITS) if math.isfinite(number) else None for number in estimate]
