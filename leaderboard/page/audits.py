"""Per method, each claimed score beside the fresh-zoo score; per subset, how many fall outside the claimed interval."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from leaderboard.check import Accepted
from leaderboard.refutation import refutation
from leaderboard.standing import AuditScore, StandingRecord, name_of
from nndynbench.protocols.metrics import METRICS
from nndynbench.protocols.protocol import find_protocol


@dataclass(frozen=True)
class Audit:
    """One submission's record of one zoo; ``leading`` are its scores in the protocol's first metric, at least one.
    ``earlier``: whether the file held something else then.
    """

    subset: str
    protocol: str
    record: StandingRecord
    leading: Sequence[AuditScore]
    earlier: bool = False


def audit_rows_of(own: Sequence[Accepted], records: Mapping[str, Sequence[StandingRecord]]) -> list[Audit]:
    """The audits of a method's submissions, in their order: of the records `by_file`, all audits of each file as it is now,
    and those that refute it.
    """
    found = []
    for a in own:
        facts = a.submission
        first = find_protocol(facts.protocol).metrics[0]
        for record in records.get(name_of(a.path), []):
            earlier = record.sha256 != a.sha256
            if earlier and refutation(record, facts) is None:
                continue
            if leading := [score for score in record.scores if score.metric == first]:
                found.append(Audit(facts.subset.name, facts.protocol, record, leading, earlier))
    return found


def worst(audits: Iterable[Audit]) -> dict[tuple[int, str], AuditScore]:
    """By budget and metric, the worst of one submission's fresh scores, so that no better zoo hides it. A score that is not
    defined on a zoo gives way to one that is.
    """

    def goodness(score: AuditScore) -> float:
        return math.inf if score.fresh is None else score.fresh * METRICS[score.metric].direction

    scores = sorted((score for audit in audits for score in audit.record.scores), key=goodness, reverse=True)
    return {(score.budget, score.metric): score for score in scores}


class FreshZoo(NamedTuple):
    """What a fresh zoo said of all submissions audited on it under one protocol: in its first metric, how many scores lie
    inside the claim's interval, better and worse.
    """

    protocol: str
    seed: int
    networks: int
    submissions: int
    inside: int
    better: int
    worse: int


def fresh_zoos(audits: Iterable[Audit]) -> list[FreshZoo]:
    """Those of one subset's audits, by protocol and seed."""
    by_zoo: dict[tuple[str, int, int], list[Audit]] = {}
    for audit in audits:
        seed, networks = audit.record.zoo_seed, audit.record.networks
        if seed is not None and networks is not None:
            by_zoo.setdefault((audit.protocol, seed, networks), []).append(audit)
    found = []
    for zoo, own in by_zoo.items():
        said = [audit_verdict(score) for audit in own for score in audit.leading]
        counts = (said.count(each) for each in ("inside", "outside: better", "outside: worse"))
        found.append(FreshZoo(*zoo, len(own), *counts))
    return found


def is_told(score: AuditScore) -> bool:
    """Whether the claim has an interval that the fresh score may lie outside of."""
    return score.place is not None


def differs(score: AuditScore) -> bool:
    """Whether the fresh score lies outside the claim's interval."""
    return score.place in ("above", "below")


def audit_verdict(score: AuditScore) -> str:
    """Where the fresh score lies from the claim's interval, better or worse; empty where nobody can say."""
    if not differs(score):
        return score.place or ""
    better = "above" if METRICS[score.metric].direction > 0 else "below"
    return f"outside: {'better' if score.place == better else 'worse'}"
