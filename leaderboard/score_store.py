"""Scores that an earlier build computed: intervals are most of its cost, and most rows are as they were.

A file is named by the SHA-256 of all that decides its content: predictions, truths, the bar's, the protocol and the code.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from leaderboard.scores import Scores, scores_by_budget
from nndynbench.protocols.protocol import Protocol
from nndynbench.protocols.scoring import Case, Estimate
from nndynbench.storage.files import written_whole

CODE = ("intervals.py", "metrics.py", "metrics.toml", "scoring.py", "worth.py")


@dataclass(frozen=True)
class ScoreStore:
    """A folder of scores; without one, everything is computed anew."""

    folder: Path | None = None

    def scores(self, protocol: Protocol, own: Mapping[int, Case], bars: Mapping[int, Case]) -> dict[int, Scores]:
        """A method's scores at each budget, read where they are stored, else computed and stored."""
        if self.folder is None:
            return scores_by_budget(protocol, own, bars)
        path = self.folder / f"{_key(protocol, own, bars)}.json"
        if path.is_file():
            return {int(budget): _read(facts) for budget, facts in json.loads(path.read_text(encoding="utf-8")).items()}
        computed = scores_by_budget(protocol, own, bars)
        content = json.dumps({budget: _written(scores) for budget, scores in computed.items()})
        with written_whole(path) as partial:
            partial.write_text(content, encoding="utf-8")
        return computed


def _written(scores: Scores) -> dict[str, Any]:
    return {"metrics": dict(scores.metrics), "gain": scores.gain, "added": scores.added}


def _read(facts: dict[str, Any]) -> Scores:
    metrics = {metric: value if isinstance(value, str) else Estimate(*value) for metric, value in facts["metrics"].items()}
    gain, added = (Estimate(*facts[name]) if facts[name] else None for name in ("gain", "added"))
    return Scores(metrics, gain, added)


def _key(protocol: Protocol, own: Mapping[int, Case], bars: Mapping[int, Case]) -> str:
    digest = hashlib.sha256(f"{protocol!r}{_code()}".encode())
    for part in (own, bars):
        for budget, case in part.items():
            digest.update(f"budget {budget}".encode())
            for values in (case.networks, case.clusters, *vars(case.scored).values()):
                digest.update(repr(np.asarray(values).tolist()).encode())
    return digest.hexdigest()


@cache
def _code() -> str:
    package = files("nndynbench.protocols")
    sources = [package.joinpath(file).read_bytes() for file in CODE]
    return hashlib.sha256(b"".join([*sources, Path(scores_by_budget.__code__.co_filename).read_bytes()])).hexdigest()
