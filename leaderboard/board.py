"""The board: accepted submissions with intervals, gain and added, under every protocol that their predictions serve."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from leaderboard.check import Accepted
from leaderboard.score_store import ScoreStore
from leaderboard.scores import Scores
from leaderboard.standing import Record, Standing, record_of
from nndynbench.paper import paper_scores
from nndynbench.protocols.metrics import better
from nndynbench.protocols.protocol import Protocol, protocols
from nndynbench.protocols.scoring import Case, Estimate
from nndynbench.protocols.worth import ceiling
from nndynbench.submissions import Submission
from nndynbench.submissions.admission import is_bundled
from nndynbench.submissions.recomputation import CaseKey, cases_by_budget
from nndynbench.subsets import Subset

BAR = "bar"
TRIVIAL_CODE = "baselines/trivial.py"
DIGITS = 6

Kind = Literal["bar", "trivial", "method"]


@dataclass(frozen=True)
class Entry:
    """A row of the board: a method under one protocol on one subset, on transfer from one other subset."""

    submission: Submission
    kind: Kind
    standing: Standing
    draft: str | None
    trained_on: str | None
    scores: Mapping[int, Scores]


@dataclass(frozen=True)
class View:
    """What the board shows at once: one protocol on one subset. ``ceiling`` is by metric."""

    protocol: Protocol
    subset: str
    entries: Sequence[Entry]
    ceiling: Mapping[str, float] = field(default_factory=dict)
    paper: Sequence[Mapping[str, Any]] = ()

    @property
    def budgets(self) -> list[int]:
        """All that any row has, in order."""
        own = {budget for entry in self.entries for budget in entry.scores}
        return sorted(own | {int(reference["epochs"]) for reference in self.paper})


def views(
    accepted: Sequence[Accepted],
    subsets: Mapping[str, Subset],
    records: list[Record],
    *,
    store: ScoreStore = ScoreStore(),  # noqa: B008 (frozen)
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> list[View]:
    """Every view that has a row, scored; views of subsets that have the paper's figures alone come last.

    ``store`` holds what earlier builds computed, ``jobs`` rows are scored at a time, in processes. ``progress`` is called
    with how many are scored, and how many there are.
    """
    from joblib import Parallel, delayed

    rows = {
        (protocol.name, subset.name): found
        for protocol in protocols().values()
        for subset in subsets.values()
        if (found := _rows(accepted, subset, protocol))
    }
    work = (
        delayed(store.scores)(protocols()[protocol], row.own, row.bars)
        for (protocol, _), group in rows.items()
        for row in group
    )
    total = sum(map(len, rows.values()))
    scored = []
    for scores in Parallel(n_jobs=jobs, return_as="generator")(work):
        scored.append(scores)
        if progress:
            progress(len(scored), total)
    in_order = iter(scored)
    made = [
        View(
            protocols()[protocol],
            name,
            [_entry(row, next(in_order), records) for row in group],
            _ceilings(subsets[name], protocols()[protocol]),
            _references(name, protocol),
        )
        for (protocol, name), group in rows.items()
    ]
    return made + _views_of_the_paper_alone(made)


@dataclass(frozen=True)
class _Row:
    """What is scored for a row: its cases by budget, and the bar's."""

    accepted: Accepted
    trained_on: str | None
    own: dict[int, Case]
    bars: dict[int, Case]


def _rows(accepted: Sequence[Accepted], subset: Subset, protocol: Protocol) -> list[_Row]:
    """The rows of a view: one per submission, on transfer one per subset that was trained on."""
    cases = {
        a.submission.method: (a, cases_by_budget(a.predictions, subset, protocol))
        for a in accepted
        if a.submission.subset.name == subset.name and a.submission.protocol == protocol.fitted.name
    }
    bar = cases[BAR][1] if BAR in cases else {}
    return [
        _Row(a, other, _from(own, other), _from(bar, other))
        for a, own in cases.values()
        for other in dict.fromkeys(trained_on for _, trained_on in own)
    ]


def _from(cases: Mapping[CaseKey, Case], trained_on: str | None) -> dict[int, Case]:
    return {budget: case for (budget, other), case in cases.items() if other == trained_on}


def _views_of_the_paper_alone(made: Sequence[View]) -> list[View]:
    there = {(view.protocol.name, view.subset) for view in made}
    missing = {(str(score["protocol"]), str(score["subset"])) for score in paper_scores()} - there
    return [View(protocols()[p], subset, [], paper=_references(subset, p)) for p, subset in sorted(missing)]


def kind_of(submission: Submission) -> Kind:
    """The bar, a trivial method, or any other."""
    if is_bundled(submission) and submission.method == BAR:
        return "bar"
    return "trivial" if is_bundled(submission) and submission.code == TRIVIAL_CODE else "method"


def _entry(row: _Row, scores: Mapping[int, Scores], records: list[Record]) -> Entry:
    submission, record = row.accepted.submission, record_of(row.accepted.path, records)
    standing = record.standing if record else "self-reported"
    return Entry(submission, kind_of(submission), standing, row.accepted.draft, row.trained_on, scores)


def _ceilings(subset: Subset, protocol: Protocol) -> dict[str, float]:
    # A protocol that leaves networks out, or trains on others, has another ceiling than the whole subset.
    if protocol.task != "regression" or protocol.above_chance or protocol.test == "another":
        return {}
    values = {metric: ceiling(subset.networks, metric) for metric in protocol.metrics}
    return {metric: value for metric, value in values.items() if value is not None}


def _references(subset: str, protocol: str) -> list[Mapping[str, Any]]:
    return [score for score in paper_scores() if score["subset"] == subset and score["protocol"] == protocol]


def plain(view: View, trained: View | None = None) -> dict[str, Any]:
    """A view as the page's script reads it: numbers rounded to six decimals, an estimate as [value, low, high].

    With the view of the same predictions on the networks that learned anything, τ there stands beside.
    """
    beside = _tau_by_method(trained) if trained else {}
    return {
        "protocol": view.protocol.name,
        "subset": view.subset,
        "metrics": [{"name": metric, "better": better(metric)} for metric in view.protocol.metrics],
        "budgets": view.budgets,
        "beside": bool(trained),
        "ceiling": {metric: round(value, DIGITS) for metric, value in view.ceiling.items()},
        "paper": [dict(reference) for reference in view.paper],
        "entries": [
            {
                "method": entry.submission.method,
                "trained_on": entry.trained_on,
                "kind": entry.kind,
                "standing": entry.standing,
                "draft": entry.draft,
                "tier": entry.submission.tier,
                "seconds": entry.submission.seconds,
                "code": entry.submission.code,
                "scores": {
                    str(budget): _plain_scores(scores) | {"trained_tau": beside.get((entry.submission.method, budget))}
                    for budget, scores in entry.scores.items()
                },
            }
            for entry in view.entries
        ],
    }


def _tau_by_method(trained: View) -> dict[tuple[str, int], Any]:
    return {
        (entry.submission.method, budget): _plain(scores.metrics["kendall_tau"])
        for entry in trained.entries
        for budget, scores in entry.scores.items()
    }


def _plain_scores(scores: Scores) -> dict[str, Any]:
    numbers: dict[str, Any] = {metric: _plain(value) for metric, value in scores.metrics.items()}
    return numbers | {"gain": _plain(scores.gain), "added": _plain(scores.added)}


def _plain(estimate: Estimate | str | None) -> list[float | None] | str | None:
    if estimate is None or isinstance(estimate, str):
        return estimate
    return [round(number, DIGITS) if math.isfinite(number) else None for number in estimate]
