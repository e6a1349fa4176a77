"""The board: accepted submissions with intervals, gain and added, under every protocol that their predictions serve."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from leaderboard.check import Accepted
from leaderboard.standing import Record, Standing, record_of
from nndynbench.paper import paper_scores
from nndynbench.protocols.metrics import UndefinedMetricError, better
from nndynbench.protocols.protocol import Protocol, protocols
from nndynbench.protocols.scoring import Case, Estimate
from nndynbench.protocols.worth import added, ceiling, gain
from nndynbench.submissions import Submission
from nndynbench.submissions.admission import is_bundled
from nndynbench.submissions.recomputation import cases_by_budget
from nndynbench.subsets import Subset

BAR = "bar"
TRIVIAL_CODE = "baselines/trivial.py"
DIGITS = 6

Kind = Literal["bar", "trivial", "method"]


@dataclass(frozen=True)
class Scores:
    """What one method scores at one budget: per metric an estimate, or the reason why it has none.

    ``gain`` is over the bar in the protocol's first metric, ``added`` to the bar's R²; None where there is no such number.
    """

    metrics: Mapping[str, Estimate | str]
    gain: Estimate | None = None
    added: Estimate | None = None


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
    accepted: Sequence[Accepted], subsets: Mapping[str, Subset], records: list[Record], *, jobs: int = 1
) -> list[View]:
    """Every view that has a row, scored; views of subsets that have the paper's figures alone come last."""
    from joblib import Parallel, delayed

    found: dict[tuple[str, str], list[Any]] = {}
    work = []
    for protocol in protocols().values():
        served = [a for a in accepted if a.submission.protocol == protocol.fitted.name]
        for name, subset in subsets.items():
            group = [a for a in served if a.submission.subset.name == name]
            if not group:
                continue
            rows = {a.submission.method: cases_by_budget(a.predictions, subset, protocol) for a in group}
            bar = rows.get(BAR, {})
            for a in group:
                for other in dict.fromkeys(key[1] for key in rows[a.submission.method]):
                    own = {budget: case for (budget, o), case in rows[a.submission.method].items() if o == other}
                    bars = {budget: case for (budget, o), case in bar.items() if o == other}
                    found.setdefault((protocol.name, name), []).append((a, other))
                    work.append(delayed(scores_by_budget)(protocol, own, bars))
    scored = iter(Parallel(n_jobs=jobs)(work))
    made = []
    for (protocol_name, subset_name), rows_of_view in found.items():
        protocol = protocols()[protocol_name]
        entries = [_entry(a, other, next(scored), records) for a, other in rows_of_view]
        made.append(
            View(
                protocol,
                subset_name,
                entries,
                _ceilings(subsets[subset_name], protocol),
                _references(subset_name, protocol_name),
            )
        )
    there = {(view.protocol.name, view.subset) for view in made}
    alone = {(str(s["protocol"]), str(s["subset"])) for s in paper_scores()} - there
    return made + [View(protocols()[p], s, [], paper=_references(s, p)) for p, s in sorted(alone)]


def scores_by_budget(protocol: Protocol, own: Mapping[int, Case], bars: Mapping[int, Case]) -> dict[int, Scores]:
    """A method's scores at each budget, beside the bar's on the same networks where there is one."""
    return {budget: _scores(protocol, case, bars.get(budget)) for budget, case in own.items()}


def kind_of(submission: Submission) -> Kind:
    """The bar, a trivial method, or any other."""
    if is_bundled(submission) and submission.method == BAR:
        return "bar"
    return "trivial" if is_bundled(submission) and submission.code == TRIVIAL_CODE else "method"


def _scores(protocol: Protocol, case: Case, bar: Case | None) -> Scores:
    metrics: dict[str, Estimate | str] = {}
    for metric in protocol.metrics:
        try:
            metrics[metric] = case.estimate(metric)
        except UndefinedMetricError as reason:
            metrics[metric] = str(reason)
    if bar is None:
        return Scores(metrics)
    gained = _defined(gain, case, bar, protocol.metrics[0])
    # A blend is of accuracies in percent, on the networks that the bar was fitted for.
    blended = _defined(added, case, bar) if protocol.task == "regression" and "r2" in protocol.metrics else None
    return Scores(metrics, gained, blended)


def _defined(function: Any, *arguments: Any) -> Estimate | None:
    try:
        estimate = function(*arguments)
    except UndefinedMetricError:
        return None
    return estimate if all(map(math.isfinite, estimate)) else None


def _entry(accepted: Accepted, trained_on: str | None, scores: Mapping[int, Scores], records: list[Record]) -> Entry:
    record = record_of(accepted.path, records)
    standing = record.standing if record else "self-reported"
    return Entry(accepted.submission, kind_of(accepted.submission), standing, accepted.draft, trained_on, scores)


def _ceilings(subset: Subset, protocol: Protocol) -> dict[str, float]:
    # A protocol that leaves networks out, or trains on others, has another ceiling than the whole subset.
    if protocol.task != "regression" or protocol.above_chance or protocol.test == "another":
        return {}
    values = {metric: ceiling(subset.networks, metric) for metric in protocol.metrics}
    return {metric: value for metric, value in values.items() if value is not None}


def _references(subset: str, protocol: str) -> list[Mapping[str, Any]]:
    return [score for score in paper_scores() if score["subset"] == subset and score["protocol"] == protocol]


def plain(view: View) -> dict[str, Any]:
    """A view as the page's script reads it: numbers rounded to six decimals, an estimate as [value, low, high]."""
    return {
        "protocol": view.protocol.name,
        "subset": view.subset,
        "metrics": [{"name": metric, "better": better(metric)} for metric in view.protocol.metrics],
        "budgets": view.budgets,
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
                "scores": {str(budget): _plain_scores(scores) for budget, scores in entry.scores.items()},
            }
            for entry in view.entries
        ],
    }


def _plain_scores(scores: Scores) -> dict[str, Any]:
    numbers: dict[str, Any] = {metric: _plain(value) for metric, value in scores.metrics.items()}
    return numbers | {"gain": _plain(scores.gain), "added": _plain(scores.added)}


def _plain(estimate: Estimate | str | None) -> list[float | None] | str | None:
    if estimate is None or isinstance(estimate, str):
        return estimate
    return [round(number, DIGITS) if math.isfinite(number) else None for number in estimate]
