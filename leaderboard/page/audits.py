"""What the pages say of audits: a method's each claimed score beside the one on a fresh zoo, a subset's how many differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from leaderboard.check import Accepted
from leaderboard.standing import AuditScore, StandingRecord, name_of
from nndynbench.protocols.metrics import METRICS
from nndynbench.protocols.protocol import find_protocol


@dataclass(frozen=True)
class Audit:
    """One submission's record; ``leading`` are its scores in the protocol's first metric, at least one."""

    subset: str
    protocol: str
    record: StandingRecord
    leading: Sequence[AuditScore]


def audits_of(own: Sequence[Accepted], records: Mapping[tuple[str, str], StandingRecord]) -> list[Audit]:
    """The audits of a method's submissions, in their order, of the best record of each file."""
    found = []
    for a in own:
        record, facts = records.get((name_of(a.path), a.sha256)), a.submission
        first = find_protocol(facts.protocol).metrics[0]
        leading = [score for score in record.scores if score.metric == first] if record else []
        if record and leading:
            found.append(Audit(facts.subset.name, facts.protocol, record, leading))
    return found


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
        said = [verdict(score) for audit in own for score in audit.leading]
        counts = (said.count(each) for each in ("inside", "outside: better", "outside: worse"))
        found.append(FreshZoo(*zoo, len(own), *counts))
    return found


def is_told(score: AuditScore) -> bool:
    """Whether the claim has an interval that the fresh score may lie outside of."""
    return score.place is not None


def differs(score: AuditScore) -> bool:
    """Whether the fresh score lies outside the claim's interval."""
    return score.place in ("above", "below")


def verdict(score: AuditScore) -> str:
    """Where the fresh score lies from the claim's interval, better or worse; empty where nobody can say."""
    if not differs(score):
        return score.place or ""
    better = "above" if METRICS[score.metric].direction > 0 else "below"
    return f"outside: {'better' if score.place == better else 'worse'}"
