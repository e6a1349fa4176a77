"""`reproduce claims`: each claim of the paper beside our number, and whether it held."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from nndynbench.numbers import written, written_interval
from nndynbench.paper import paper_claims
from nndynbench.paper.holdouts import HOLD_OUTS, ONCE, over_holdouts, regression_case
from nndynbench.paper.reproduction import Reproduction, at_hand
from nndynbench.protocols import MethodError, find_protocol
from nndynbench.protocols.scoring import Case, Estimate, cases
from nndynbench.protocols.stored import ResultSource, as_source
from nndynbench.protocols.worth import gain
from nndynbench.subsets import BudgetError, SplitError, Subset
from nndynbench.subsets.catalogue import paper_column

ABOUT = 0.05

RELATIONS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    "≥": operator.ge,
    "≈": lambda ours, theirs: abs(ours - theirs) <= ABOUT,
}
HELD, NOT_HELD, UNDECIDED = "held", "not held", "undecided"


def claims(results: Path | ResultSource, root: str | Path | None = None) -> Reproduction:
    """Every claim with our number, its interval, and a verdict: held, not held, undecided, or not testable here.

    A claim about a subset that is not at hand is not testable; what a subset of the same family says is shown, marked as
    such.
    """
    rows = [row for claim in paper_claims() for row in _judged(claim, results, root)]
    notes = [
        "held or not held: the whole interval (95%) says so; undecided: it spans the line",
        f"≈ is within {ABOUT}: such a claim can hold only where the interval is narrower than {2 * ABOUT:g}, which takes "
        "some 140 networks that err independently at an accuracy of 0.9; on fewer, as on most subsets here, it can fail or "
        "be undecided, not hold",
        "a comparison holds where the difference on the same networks is above 0, or above −0.05 for a claim of being as "
        "good; its interval is paired",
        "classification is scored on one balanced sample of the networks: another sample, in other folds, moves an accuracy "
        "by hundredths on cifar10-lenet and by up to a tenth where 60 networks or fewer are tested, and no interval covers "
        "that (`nndynbench evaluate degree-tuned-svm --subset cifar10-resnet44 --budgets 5 --draws 10`)",
        f"regression by windows of epochs is judged by the median over {HOLD_OUTS} hold-outs, since the R² of a single one, "
        "such as the paper's, may be anything (`nndynbench reproduce table4` shows the range)",
        "the paper names no C, kernel or scaling: the tuned methods choose them inside each training fold",
        "no tuned method reads what three claims name, so fixed ones judge them: the unrolled AlexNet at epochs 1, 5 and 10 "
        "(a linear kernel, C = 1), eigenvector signatures of the unrolled LeNet, and exponential averages (perceptrons "
        "whose penalty was chosen on digits-lenet)",
        '"stands in" does not test the claim: a subset of the same family on other images',
        '"reduced regime" and "not a subset of the paper" do not test the claim either: the networks were not trained as '
        "the paper's, or on other images",
        '"unfinished" is a weak test: not all of the networks that are planned are trained yet',
    ]
    return Reproduction("The paper's claims", pd.DataFrame(rows), notes)


def _judged(claim: Mapping[str, Any], results: Path | ResultSource, root: str | Path | None) -> list[dict[str, Any]]:
    facts = {"claim": claim["claim"], "place": claim["place"], "judged by": judged_by(claim), "epochs": claim["budget"]}
    needed = [claim["subset"], *([claim["trained_on"]] if "trained_on" in claim else [])]
    found, missing = at_hand(needed, root)
    if not missing:
        return [{**facts, "subset": claim["subset"], **_tested(claim, found, results)}]
    rows = [
        {**facts, "subset": claim["subset"], "ours": "", "verdict": f"not testable here: {', '.join(missing)} not at hand"}
    ]
    for subset in at_hand(claim.get("family", []), root)[0]:
        tested = _tested(claim, [subset], results)
        rows.append({**facts, "subset": subset.name, **tested, "verdict": f"stands in: {tested['verdict']}"})
    return rows


def _tested(claim: Mapping[str, Any], subsets: list[Subset], results: Path | ResultSource) -> dict[str, str]:
    try:
        ours = _ours(claim, subsets, results)
    except (SplitError, BudgetError, MethodError) as reason:
        return {"ours": "", "verdict": f"not testable here: {reason}"}
    return {"ours": shown(claim, ours), "verdict": f"{reservations(subsets)}{verdict(claim, ours)}"}


def verdict(claim: Mapping[str, Any], ours: Estimate) -> str:
    """Whether a claim held. A claim is about a score, or about the difference between two methods on the same networks.

    One that is claimed to be better must be above 0, one that is claimed to be as good above minus a tolerance. A claim is
    undecided if the interval spans the line.
    """
    relation = RELATIONS[">" if "better" in claim else claim["relation"]]
    theirs = -claim.get("tolerance", 0.0) if "better" in claim else claim["value"]
    held = {relation(end, theirs) for end in (ours.low, ours.high)}
    if claim.get("relation") == "≈" and ours.low < theirs - ABOUT and theirs + ABOUT < ours.high:
        return UNDECIDED  # both ends are outside the tolerance, but what is between them is not
    return UNDECIDED if len(held) > 1 else HELD if held == {True} else NOT_HELD


def shown(claim: Mapping[str, Any], ours: Estimate) -> str:
    """Our number beside a claim, with its interval."""
    value = f"difference {written(ours.value, signed=True)}" if "better" in claim else written(ours.value)
    return f"{value} ({written_interval(ours.low, ours.high, digits=3)})"


def reservations(subsets: Sequence[Subset]) -> str:
    """What a verdict must be read with, such as "reduced regime, unfinished (48 of 80 networks): "; empty if there is
    nothing.
    """
    found = ["reduced regime"] if any(subset.manifest.reduced for subset in subsets) else []
    if any(paper_column(subset.name) is None for subset in subsets):
        found.append("not a subset of the paper")
    for manifest in (subset.manifest for subset in subsets):
        if manifest.networks < manifest.networks_planned:
            found.append(f"unfinished ({manifest.networks} of {manifest.networks_planned} networks)")
    return f"{', '.join(found)}: " if found else ""


def judged_by(claim: Mapping[str, Any]) -> str:
    """What a claim's score is compared with: "accuracy of degree-tuned-svm > 0.93", "a against b" for two methods."""
    if "better" in claim:
        return f"{_name(claim['better'])} against {_name(claim['worse'])}"
    metric = f"median {claim['metric']}" if claim["protocol"] == ONCE else claim["metric"]
    return f"{metric} of {_name(claim['method'])} {claim['relation']} {claim['value']:g}"


def _name(method: str) -> str:
    """A method's name without the file that it may be in."""
    return method.rpartition(":")[2]


def _ours(claim: Mapping[str, Any], subsets: list[Subset], results: Path | ResultSource) -> Estimate:
    metric = claim["metric"]
    if claim["protocol"] == ONCE:
        return over_holdouts(regression_case(claim["method"], subsets[0], claim["budget"], results), metric).median
    if "better" in claim:
        better, worse = (_case(claim, claim[side], subsets, results) for side in ("better", "worse"))
        return gain(better, worse, metric)
    return _case(claim, claim["method"], subsets, results).estimate(metric)


def _case(claim: Mapping[str, Any], method: str, subsets: list[Subset], results: Path | ResultSource) -> Case:
    chosen = find_protocol(claim["protocol"])
    result = as_source(results).result(method, subsets, chosen, [claim["budget"]])
    found = cases(result.predictions, {subset.name: subset for subset in subsets}, chosen)
    wanted = (claim["subset"], claim["budget"], claim.get("trained_on"))
    return next(case for key, case in found.items() if len(found) == 1 or (*key, None)[:3] == wanted)
