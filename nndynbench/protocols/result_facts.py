"""What a result came from: the record beside its scores and predictions. Only this module reads and writes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from nndynbench.errors import first_problem

# Facts in which two results may differ and still be of one method on the same networks, so that their budgets can be joined.
OF_ONE_EVALUATION = {"reads", "seconds", "sealed", "unsealed"}

# Facts that are written only if they are not empty.
SELDOM = ("unsealed", "reference_networks")


class SubsetVersion(BaseModel):
    """A version of a subset, with the SHA-256 over the checksums of its tables and splits."""

    model_config = ConfigDict(frozen=True)

    name: str
    version: str
    checksum: str


class ResultFacts(BaseModel):
    """What a result came from.

    Fields that a later version adds to a file are not kept.

    Examples
    --------
    >>> import nndynbench
    >>> facts = nndynbench.evaluate("constant", "digits-lenet", protocol="regression", budgets=1).facts
    >>> facts.method, facts.protocol, facts.reads, facts.subsets[0].version
    ('constant', 'regression', (), '1.0.0')
    """

    model_config = ConfigDict(frozen=True)

    method: str
    description: str
    source: str
    """Where the method is from, such as a paper; may be empty."""
    fingerprint: str = ""
    """Fingerprint of the method's file; empty for an estimator, and in results from before it was recorded."""
    reads: tuple[str, ...]
    """What the method looked at, in alphabetical order."""
    protocol: str
    subsets: tuple[SubsetVersion, ...]
    libraries: dict[str, str]
    """Versions of libraries, by name."""
    seconds: float
    """How long all fits took together."""
    order_seed: int | None = None
    """Seed of the order in which networks were handed over; None in results from before it could be seeded."""
    sealed: bool | None = None
    """Whether every fit ran in a process of its own, without the subset; None in results from before that was possible."""
    unsealed: str = ""
    """Why they did not, unless that was asked for."""
    reference_networks: int | None = None
    """On how many networks of each training side the method was fitted at most; None for all of them."""

    def same_source(self, other: ResultFacts) -> bool:
        """Whether two results are of one method on the same networks, so that their budgets can be joined."""
        mine, others = (facts.model_dump(exclude=OF_ONE_EVALUATION) for facts in (self, other))
        return mine == others


def written_facts(facts: ResultFacts) -> dict[str, Any]:
    """The facts as JSON has them."""
    return facts.model_dump(mode="json", exclude={fact for fact in SELDOM if not getattr(facts, fact)})


def read_facts(content: Mapping[str, Any]) -> ResultFacts:
    """Reads the facts from JSON; raises ValueError, with one line, if they are invalid."""
    try:
        return ResultFacts.model_validate(content)
    except ValidationError as invalid:
        if missing := sorted(str(error["loc"][0]) for error in invalid.errors() if error["type"] == "missing"):
            raise ValueError(f"it lacks {', '.join(missing)}") from invalid
        raise ValueError(first_problem(invalid)) from invalid
