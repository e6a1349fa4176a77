"""How far a submission was verified: self-reported, rerun or audited, or refuted; recorded by the maintainers.

Records are in ``standing.json``, beside the folder of submissions. Each holds the SHA-256 of the file that it is about, so
a changed submission is self-reported again. What refutes a row outlives the file's change (`leaderboard.refutation`).
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from nndynbench.storage.files import locked, write_whole

STANDING_NAME = "standing.json"

Standing = Literal["self-reported", "rerun", "audited", "refuted"]
# From the weakest to the strongest: a rerun does not undo an audit, and nothing undoes a refutation.
STANDINGS: tuple[Standing, ...] = get_args(Standing)

Place = Literal["inside", "above", "below"]
Interval = tuple[float, float]


class AuditScore(BaseModel):
    """A score on the fresh zoo beside the claimed one, each with its 95% interval if it has one."""

    model_config = ConfigDict(extra="forbid")

    budget: int
    metric: str
    claimed: float | None
    fresh: float | None
    claimed_interval: Interval | None = None
    fresh_interval: Interval | None = None

    @property
    def place(self) -> Place | None:
        """Where the fresh score lies relative to the claim's interval; None if either is undefined."""
        if self.fresh is None or self.claimed_interval is None:
            return None
        low, high = self.claimed_interval
        return "inside" if low <= self.fresh <= high else "above" if self.fresh > high else "below"


class StandingRecord(BaseModel):
    """What was done to one submission file. ``networks``: how many the fresh zoo has. ``draws``: how many draws of its folds
    were scored. ``code``: the SHA-256 of the method's file that was executed, if it is not one of ``baselines/``.
    ``reason``: how a rerun refuted it.
    """

    model_config = ConfigDict(extra="forbid")

    file: str
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    standing: Standing
    date: datetime.date
    zoo_seed: int | None = None
    networks: int | None = None
    draws: int | None = None
    code: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    reason: str | None = None
    scores: list[AuditScore] = []

    @property
    def budgets(self) -> set[int]:
        """The budgets that were audited."""
        return {score.budget for score in self.scores}


_RECORDS = TypeAdapter(list[StandingRecord])


def read_records(submissions: Path) -> list[StandingRecord]:
    """All records about a folder of submissions; empty if there is no file of them."""
    path = Path(os.path.abspath(submissions)).parent / STANDING_NAME
    return _RECORDS.validate_json(path.read_bytes()) if path.is_file() else []


def by_file(records: Iterable[StandingRecord]) -> dict[str, list[StandingRecord]]:
    """All records of each row, by its file's name and in their order, whatever the file held then."""
    found: dict[str, list[StandingRecord]] = {}
    for record in records:
        found.setdefault(record.file, []).append(record)
    return found


def audits_of(submission: Path, records: list[StandingRecord]) -> list[StandingRecord]:
    """All audits of a submission file as it is now."""
    file = (name_of(submission), _digest(submission))
    return [record for record in records if record.standing == "audited" and (record.file, record.sha256) == file]


def best_records(records: list[StandingRecord]) -> dict[tuple[str, str], StandingRecord]:
    """The best record of each submission file, by its name and the SHA-256 of its content."""
    ordered = sorted(records, key=lambda record: STANDINGS.index(record.standing))
    return {(record.file, record.sha256): record for record in ordered}


def reruns(records: list[StandingRecord]) -> set[tuple[str, str]]:
    """The submission files that were rerun, by name and the SHA-256 of their content."""
    return {(record.file, record.sha256) for record in records if record.standing == "rerun"}


def unrecorded(submissions: Sequence[Path]) -> list[Path]:
    """The submission files that, as they are now, were neither rerun nor audited; each folder's records are read once."""
    known = {folder: best_records(read_records(folder)) for folder in {path.resolve().parents[1] for path in submissions}}

    def is_recorded(path: Path) -> bool:
        return path.is_file() and (name_of(path), _digest(path)) in known[path.resolve().parents[1]]

    return [path for path in submissions if not is_recorded(path)]


def add_record(
    submission: Path,
    standing: Standing,
    *,
    sha256: str | None = None,
    zoo_seed: int | None = None,
    networks: int | None = None,
    draws: int | None = None,
    code: Path | None = None,
    reason: str | None = None,
    scores: list[AuditScore] | None = None,
    date: datetime.date | None = None,
) -> StandingRecord:
    """Write down what was done to a submission file. Several processes may do so at a time.

    A rerun replaces an earlier rerun of the same file. An audit replaces none on another zoo, whatever that gave; of one on
    the same zoo it keeps the scores at other budgets. ``sha256``: of the content that was rerun or audited, if the file may
    have changed meanwhile. ``code``: the method's file, if it is not bundled. ``reason``: how a rerun refuted the file.
    ``date``: by default today.
    """
    made = StandingRecord(
        file=name_of(submission),
        sha256=sha256 or _digest(submission),
        standing=standing,
        date=date or datetime.datetime.now(datetime.UTC).date(),
        zoo_seed=zoo_seed,
        networks=networks,
        draws=draws,
        code=_digest(code) if code else None,
        reason=reason,
        scores=scores or [],
    )
    folder = submission.resolve().parents[1]
    path = folder.parent / STANDING_NAME
    with locked(path.with_suffix(".lock")):
        known = read_records(folder)
        before = next((r for r in known if _work(r) == _work(made)), None)
        record = made if before is None else _joined(made, before)
        others = [r for r in known if _work(r) != _work(made)]
        ordered = sorted([*others, record], key=lambda r: (r.file, STANDINGS.index(r.standing), r.date))
        content = [r.model_dump(mode="json", exclude_defaults=True) for r in ordered]
        write_whole(path, json.dumps(content, indent=1) + "\n")
    return record


def _work(record: StandingRecord) -> tuple[str, Standing, int | None]:
    """What a record is kept by: one of the same work replaces it."""
    return record.file, record.standing, record.zoo_seed


def _joined(record: StandingRecord, before: StandingRecord) -> StandingRecord:
    """A record, joined by the scores of an earlier one at other budgets if both are about the same content and zoo."""
    about = ("sha256", "zoo_seed", "networks", "draws", "code")
    if record.zoo_seed is None or any(getattr(record, name) != getattr(before, name) for name in about):
        return record
    scores = [*record.scores, *(score for score in before.scores if score.budget not in record.budgets)]
    return record.model_copy(update={"scores": sorted(scores, key=lambda score: score.budget)})


def name_of(submission: Path) -> str:
    """What a record calls a submission file: ``METHOD/FILE``."""
    return "/".join(Path(os.path.abspath(submission)).parts[-2:])


def _digest(submission: Path) -> str:
    return hashlib.sha256(submission.read_bytes()).hexdigest()
