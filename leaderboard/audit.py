"""The audit: labels are public, so a method is tried on a zoo that did not exist when it was submitted."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from leaderboard.check import Accepted
from leaderboard.standing import AuditScore
from nndynbench.protocols import evaluate
from nndynbench.protocols.protocol import Protocol
from nndynbench.subsets import Subset, load

AUDITED_SUBSET = "digits-lenet"
ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class FreshZoo:
    """A zoo trained with a seed drawn for this audit."""

    subset: Subset
    seed: int


def train_fresh_zoo(out: Path, *, seed: int, networks: int | None = None) -> FreshZoo:
    """Train ``digits-lenet`` anew: the same grid, other initialisations, batches and so other networks.

    Raises
    ------
    RuntimeError
        Where ``python -m generation`` fails (its extra may not be installed), with what it said. Its progress is shown.
    """
    command = [sys.executable, "-m", "generation", "train", AUDITED_SUBSET, "--out", str(out.resolve()), "--seed", str(seed)]
    command += ["--networks", str(networks)] if networks else []
    done = subprocess.run(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {done.stderr.strip()[-500:] or 'it was stopped'}")
    return FreshZoo(load(AUDITED_SUBSET, root=out), seed)


def audit(
    accepted: Accepted, zoo: FreshZoo, *, code: str | None = None, budgets: list[int] | None = None
) -> list[AuditScore]:
    """A submission's scores on a fresh zoo beside those it claims.

    Parameters
    ----------
    accepted
        A submission for ``digits-lenet``.
    zoo
        From `train_fresh_zoo`.
    code
        The method's file (``FILE.py[:NAME]``), read and trusted by whoever audits, since it is executed; a bundled
        method is found by its name.
    budgets
        Some of the submission's; by default all.
    """
    submission = accepted.submission
    chosen = [budget for budget in submission.budgets if not budgets or budget in budgets]
    fresh = evaluate(
        code or submission.method,
        zoo.subset,
        protocol=submission.protocol,
        budgets=chosen,
        name=submission.method,
        sealed=True,
        order_seed=submission.order_seed,
    )
    defined = fresh.scores[fresh.scores["undefined"] == ""]
    found = {(row["budget"], row["metric"]): float(row["value"]) for row in defined.to_dict("records")}
    return [
        AuditScore(
            budget=score.budget, metric=score.metric, claimed=score.value, fresh=found.get((score.budget, score.metric))
        )
        for score in submission.scores
        if score.budget in chosen
    ]


def can_be_audited(accepted: Accepted, protocol: Protocol) -> bool:
    """Whether a submission is one that a fresh zoo can answer."""
    return accepted.submission.subset.name == AUDITED_SUBSET and protocol.test == "same"
