"""The board: accepted submissions with scores, intervals and ranks, under each protocol that their predictions serve."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from leaderboard.check import Accepted
from leaderboard.refutation import is_worse, refutations
from leaderboard.scores import Leading, Scores
from leaderboard.standing import Standing, StandingRecord, best_records, by_file, name_of, reruns
from leaderboard.store import Store
from leaderboard.units import Unit, scored, units_of
from nndynbench.paper import paper_claims, paper_scores
from nndynbench.protocols.budgets import budgets_of_most
from nndynbench.protocols.protocol import Protocol, find_protocol, protocols
from nndynbench.protocols.references import references_among
from nndynbench.protocols.scoring import Estimate
from nndynbench.submissions import SubmissionFacts
from nndynbench.submissions.admission import is_bundled
from nndynbench.subsets import Subset


@dataclass(frozen=True)
class Entry:
    """A row of the board: a method under one protocol on one subset; on transfer, fitted on one other subset.

    ``kind``: the method's role, or "refuted". ``date``: when the submission last changed. ``refuted``: how the row was
    refuted; None if it was not.
    """

    submission: SubmissionFacts
    kind: str
    standing: Standing
    draft: str | None
    trained_on: str | None
    scores: Mapping[int, Scores]
    ranks: Mapping[int, int] = field(default_factory=dict)
    date: datetime.date | None = None
    refuted: str | None = None


@dataclass(frozen=True)
class View:
    """What the board shows at once: one protocol on one subset.

    ``ceiling``: by metric, what a recipe's mean can reach (see `nndynbench.protocols.worth`). ``leading``: by budget and
    reference, the method that adds most to the reference, of those that see weights and otherwise no more than the reference
    does, and that were rerun or audited. ``claims``: the paper's claims that the rows test, each with our estimate.
    """

    protocol: Protocol
    subset: str
    entries: Sequence[Entry]
    ceiling: Mapping[str, Estimate] = field(default_factory=dict)
    paper: Sequence[Mapping[str, Any]] = ()
    leading: Mapping[int, Mapping[str, Leading]] = field(default_factory=dict)
    claims: Sequence[tuple[Mapping[str, Any], Estimate]] = ()

    @property
    def budgets(self) -> list[int]:
        """The budgets of all rows and of the paper's figures, in order."""
        own = {budget for entry in self.entries for budget in entry.scores}
        return sorted(own | {int(reference["budget"]) for reference in self.paper})

    @property
    def opens_at(self) -> int:
        """The budget that is shown first: the last one that most rows have, though a few may have later ones."""
        rows = Counter(budget for entry in self.entries for budget in entry.scores)
        return max(budgets_of_most(rows), default=self.budgets[-1])

    @property
    def references(self) -> dict[str, str]:
        """The method that stands for each reference, by the reference's key."""
        return references_among({entry.submission.method for entry in self.entries})


def views(
    accepted: Sequence[Accepted],
    subsets: Mapping[str, Subset],
    records: list[StandingRecord],
    *,
    dates: Mapping[Path, datetime.date] | None = None,
    store: Store = Store(),  # noqa: B008 (frozen)
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> list[View]:
    """Every view that has a row, scored; views that have figures of the paper alone come last.

    ``store`` holds what earlier builds computed. ``jobs`` units of work are scored at a time, in processes. ``progress`` is
    called with the number of submissions that are scored, and the number of all. ``dates``: when each file last changed.
    """
    facts: dict[str, Any] = {}
    missing: list[tuple[Unit, list[Protocol]]] = []
    best, known = best_records(records), by_file(records)
    rerun, refuted = reruns(records), refutations(accepted, records)
    verified = {a.path for a in accepted if a.path not in refuted and _may_lead(a, best, rerun, known)}
    units = units_of(accepted, verified, refuted)
    done, total = 0, len(accepted)
    for unit in units:
        found = {key: store.read(key) for protocol in unit.served for key in unit.keys(protocol)}
        absent = [p for p in unit.served if any(found[key] is None for key in unit.keys(p))]
        facts |= found
        if absent:
            missing.append((unit, absent))
        else:
            done += len(unit.accepted)
    for unit, computed in scored(missing, subsets, store, jobs):
        facts |= computed
        done += len(unit.accepted)
        if progress:
            progress(done, total)
    every = [_view(unit, protocol, facts, best, refuted, dates or {}) for unit in units for protocol in unit.served]
    made = [view for view in every if view.entries or view.paper]  # a protocol may score none of a subset's networks
    order = {pair: position for position, pair in enumerate((p, s) for p in protocols() for s in subsets)}
    made.sort(key=lambda view: order[view.protocol.name, view.subset])
    return made + _views_of_the_paper_alone(made)


def _may_lead(
    a: Accepted,
    best: Mapping[tuple[str, str], StandingRecord],
    rerun: Collection[tuple[str, str]],
    records: Mapping[str, Sequence[StandingRecord]],
) -> bool:
    """Whether a row may lead, and be a reference for what leads: it was rerun or audited. One whose code is not ours must
    have been rerun, since predictions that were moved a little towards the labels can pass an audit. Nor must it have been
    found worse than it claims on a fresh zoo, whatever its file held then; of ours such a score tells about the subset.
    """
    key = (name_of(a.path), a.sha256)
    if is_bundled(a.submission):
        return key in best
    first = find_protocol(a.submission.protocol).metrics[0]
    own = [score for record in records.get(name_of(a.path), ()) for score in record.scores if score.metric == first]
    return key in rerun and not any(map(is_worse, own))


def without_ranks(made: Sequence[View]) -> list[View]:
    """The same views without ranks and without what adds most: both mean nothing among a few methods that somebody chose."""
    return [replace(view, entries=[replace(entry, ranks={}) for entry in view.entries], leading={}) for view in made]


def _view(
    unit: Unit,
    protocol: Protocol,
    facts: Mapping[str, Any],
    records: Mapping[tuple[str, str], StandingRecord],
    refuted: Mapping[Path, str],
    dates: Mapping[Path, datetime.date],
) -> View:
    *own, together = unit.keys(protocol)
    ranked = {(row["method"], tuple(row["place"])): row["rank"] for row in facts[together]["ranks"]}
    entries = []
    for key, a in zip(own, unit.accepted, strict=True):
        scores = {tuple(row["place"]): _read_scores(row) for row in facts[key]}
        record = records.get((name_of(a.path), a.sha256))
        for other in dict.fromkeys(other for _, other in scores):
            entries.append(
                Entry(
                    submission=a.submission,
                    kind=unit.kind_of(a),
                    standing="refuted" if a.path in refuted else record.standing if record else "self-reported",
                    draft=a.draft,
                    trained_on=other,
                    scores={budget: found for (budget, o), found in scores.items() if o == other},
                    ranks={b: rank for (m, (b, o)), rank in ranked.items() if (m, o) == (a.submission.method, other)},
                    date=dates.get(a.path),
                    refuted=refuted.get(a.path),
                )
            )
    leading: dict[int, dict[str, Leading]] = {}
    for row in facts[together]["leading"]:
        best = Leading(row["method"], Estimate(*row["added"]), row["compared"], row["chance"], row["smallest"])
        leading.setdefault(row["budget"], {})[row["reference"]] = best
    return View(
        protocol=protocol,
        subset=unit.subset,
        entries=entries,
        ceiling={metric: Estimate(*found) for metric, found in facts[together]["ceiling"].items()},
        paper=_references(unit.subset, protocol.name),
        leading=leading,
        claims=[(paper_claims()[index], Estimate(*ours)) for index, ours in facts[together]["claims"]],
    )


def _read_scores(row: Mapping[str, Any]) -> Scores:
    metrics = {metric: value if isinstance(value, str) else Estimate(*value) for metric, value in row["metrics"].items()}
    gain, added = ({key: Estimate(*value) for key, value in row[name].items()} for name in ("gain", "added"))
    return Scores(metrics, gain, added, row["draws"])


def _views_of_the_paper_alone(made: Sequence[View]) -> list[View]:
    there = {(view.protocol.name, view.subset) for view in made}
    missing = {(str(score["protocol"]), str(score["subset"])) for score in paper_scores()} - there
    return [View(protocols()[p], subset, [], paper=_references(subset, p)) for p, subset in sorted(missing)]


def _references(subset: str, protocol: str) -> list[Mapping[str, Any]]:
    return [score for score in paper_scores() if score["subset"] == subset and score["protocol"] == protocol]
