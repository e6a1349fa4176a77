"""Units of work: all submissions for one protocol on one subset, scored once, each alone and all beside each other."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from leaderboard.check import BATCH, Accepted
from leaderboard.facts import kind_of
from leaderboard.scores import most_added, ranks, scores_of
from leaderboard.store import Store, key_of
from nndynbench.paper import paper_claims
from nndynbench.processes import in_processes
from nndynbench.protocols.protocol import Protocol, protocols
from nndynbench.protocols.references import references, references_among
from nndynbench.protocols.scoring import Case, Estimate
from nndynbench.protocols.worth import ceiling_of, gain
from nndynbench.sources import deciding_code
from nndynbench.submissions.admission import is_bundled
from nndynbench.submissions.recomputation import CaseKey, cases_by_budget
from nndynbench.subsets import Subset

# The kind of a refuted row, whatever its method's role; board.toml says how its group is called.
REFUTED = "refuted"


@dataclass(frozen=True)
class Unit:
    """What is scored in one go: all submissions for one protocol on one subset, under each protocol that they serve.

    ``verified``: the methods whose submissions were rerun or audited. The others lead nothing and are no reference for what
    leads. ``refuted``: the methods whose rows are refuted. They have no rank.
    """

    fitted: Protocol
    subset: str
    accepted: tuple[Accepted, ...]
    verified: frozenset[str] = frozenset()
    refuted: frozenset[str] = frozenset()

    def kind_of(self, accepted: Accepted) -> str:
        """The role of a row: its method's, or "refuted"."""
        return REFUTED if accepted.submission.method in self.refuted else kind_of(accepted.submission)

    def believes(self, accepted: Accepted) -> bool:
        """Whether what a submission says that its method reads is believed: the code is ours, or was run by us."""
        return accepted.submission.method in self.verified or is_bundled(accepted.submission)

    @property
    def served(self) -> list[Protocol]:
        return [protocol for protocol in protocols().values() if protocol.fitted.name == self.fitted.name]

    @property
    def references(self) -> dict[str, str]:
        return references_among(a.submission.method for a in self.accepted)

    def keys(self, protocol: Protocol) -> list[str]:
        """The keys of what is stored: each submission's scores, in order, and last the comparison of all submissions."""
        return self._keys[protocol.name]

    @cached_property
    def _keys(self) -> dict[str, list[str]]:
        digests = {a.submission.method: a.sha256 for a in self.accepted}
        kinds = {a.submission.method: self.kind_of(a) for a in self.accepted}  # controls have no rank
        beside = [(key, digests[method]) for key, method in self.references.items()]
        found, code = {}, deciding_code("scores")
        for protocol in self.served:
            own = [key_of("scores", a.sha256, self.believes(a), beside, protocol, code) for a in self.accepted]
            what = (sorted(digests.items()), sorted(kinds.items()), sorted(self.verified))
            found[protocol.name] = [*own, key_of("ranks", *what, protocol, code)]
        return found


def units_of(accepted: Sequence[Accepted], verified: Collection[Path], refuted: Collection[Path] = ()) -> list[Unit]:
    """The units of some submissions, of which those at the paths ``verified`` were rerun or audited, and those at
    ``refuted`` refuted.
    """

    def among(group: Sequence[Accepted], paths: Collection[Path]) -> frozenset[str]:
        return frozenset(a.submission.method for a in group if a.path in paths)

    groups: dict[tuple[str, str], list[Accepted]] = {}
    for a in accepted:
        groups.setdefault((a.submission.protocol, a.submission.subset.name), []).append(a)
    return [
        Unit(protocols()[name], subset, tuple(group), among(group, verified), among(group, refuted))
        for (name, subset), group in groups.items()
    ]


def scored(
    missing: Sequence[tuple[Unit, list[Protocol]]], subsets: Mapping[str, Subset], store: Store, jobs: int
) -> Iterable[tuple[Unit, dict[str, Any]]]:
    largest_first = sorted(missing, key=lambda work: -sum(a.path.stat().st_size for a in work[0].accepted))
    work = ((unit, absent, subsets, store) for unit, absent in largest_first)
    # Starting a process takes as long as scoring some dozen submissions.
    unknown = sum(store.read(key) is None for unit, absent in missing for p in absent for key in unit.keys(p)[:-1])
    return in_processes(score, work, jobs=1 if unknown <= BATCH else jobs, in_order=False)


def score(
    unit: Unit, absent: Sequence[Protocol], subsets: Mapping[str, Subset], store: Store
) -> tuple[Unit, dict[str, Any]]:
    """Score what is not stored of a unit yet, and store it; returns the unit, and by key what is stored."""
    subset, computed = subsets[unit.subset], {}
    reads = {a.submission.method: a.submission.reads if unit.believes(a) else None for a in unit.accepted}
    predictions = {a.submission.method: a.predictions(subsets) for a in unit.accepted}
    for protocol in absent:
        cases = {
            method: cases_by_budget(table, subset, protocol, reads=reads[method]) for method, table in predictions.items()
        }
        *own, together = unit.keys(protocol)
        for key, a in zip(own, unit.accepted, strict=True):
            if (known := store.read(key)) is None:
                known = _alone(protocol, cases[a.submission.method], {k: cases[m] for k, m in unit.references.items()})
                store.write(key, known)
            computed[key] = known
        computed[together] = {**_together(protocol, unit, cases), "ceiling": _ceilings(protocol, subset)}
        store.write(together, computed[together])
    return unit, computed


def _alone(
    protocol: Protocol, cases: Mapping[CaseKey, Case], references: Mapping[str, Mapping[CaseKey, Case]]
) -> list[dict[str, Any]]:
    """A submission's scores, an entry per budget (on transfer also per subset that it was fitted on)."""
    found = []
    for place, case in cases.items():
        beside = {key: others[place] for key, others in references.items() if place in others}
        scores = scores_of(protocol, case, beside)
        found.append({"place": place, **vars(scores)})
    return found


def _together(protocol: Protocol, unit: Unit, cases: Mapping[str, Mapping[CaseKey, Case]]) -> dict[str, Any]:
    """The comparison of a unit's submissions: the methods' ranks at each budget, which of the verified ones that see weights
    adds most to each verified reference, and the paper's claims that they test.
    """
    methods = [a.submission.method for a in unit.accepted if unit.kind_of(a) == "method"]
    reads = {a.submission.method: a.submission.reads for a in unit.accepted}
    ranked, leading = [], []
    for budget in sorted({budget for own in cases.values() for budget, _ in own}):
        at = {(m, other): case for m in methods for (b, other), case in cases[m].items() if b == budget}
        for (method, other), rank in ranks(protocol, at).items():
            ranked.append({"method": method, "place": (budget, other), "rank": rank})
        if not protocol.blended:
            continue
        for reference in references():
            verified = {m: case for (m, _), case in at.items() if m in unit.verified}
            of_weights = {m: case for m, case in verified.items() if reference.allows_beside_weights(reads[m])}
            beside = unit.references.get(reference.key, "")
            own = cases[beside].get((budget, None)) if beside in unit.verified else None
            if own and (best := most_added(of_weights, own)):
                leading.append({"budget": budget, "reference": reference.key, **asdict(best)})
    return {"ranks": ranked, "leading": leading, "claims": _claims(protocol, unit.subset, cases)}


def _ceilings(protocol: Protocol, subset: Subset) -> dict[str, Estimate]:
    known = {metric: ceiling_of(subset, protocol, metric) for metric in protocol.metrics}
    return {metric: estimate for metric, estimate in known.items() if estimate is not None}


def _claims(protocol: Protocol, subset: str, cases: Mapping[str, Mapping[CaseKey, Case]]) -> list[tuple[int, Estimate]]:
    """The claims of the paper that these submissions can test: each one's place in the list, and our estimate of it."""
    found = []
    for place, claim in enumerate(paper_claims()):
        where = (claim["budget"], claim.get("trained_on"))
        methods = [claim[side] for side in ("method", "better", "worse") if side in claim]
        about = claim["protocol"] == protocol.name and subset in (claim["subset"], *claim.get("family", ()))
        if about and all(where in cases.get(method, ()) for method in methods):
            tested = [cases[method][where] for method in methods]
            metric = claim["metric"]
            found.append((place, gain(tested[0], tested[1], metric) if "better" in claim else tested[0].estimate(metric)))
    return found
