"""Mutated submissions: each is refused in one line, or accepted with the right scores; none crashes the check."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import nndynbench as nb
from leaderboard.check import Accepted, check
from nndynbench.submissions import read_submission
from nndynbench.subsets import Subset

FILE = Path("degree-linear") / "digits-lenet.regression.json"

NASTY = ["<script>alert(1)</script>", "../../x", "\x1b[2J", "\ud800", "NaN", ""]
PIECES = [b"{", b"]", b'"', b",", b"[" * 5000, b"9" * 5000]

texts = st.one_of(st.text(max_size=20), st.sampled_from(NASTY))
numbers = st.one_of(
    st.integers(), st.floats(), st.sampled_from([10**400, -1, 0, 1, 1e308, -1e308, 5e-324, float("nan"), float("inf")])
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def original(submitted: Path) -> bytes:
    """A small submission: 48 networks at one budget."""
    facts = json.loads((submitted / FILE).read_text())
    first = [i for i, budget in enumerate(facts["predictions"]["budget"]) if budget == 1]
    facts["predictions"] = {name: [column[i] for i in first] for name, column in facts["predictions"].items()}
    facts["scores"] = [score for score in facts["scores"] if score["budget"] == 1]
    facts["budgets"] = [1]
    return json.dumps(facts).encode()


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of everything in a JSON value."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [(*at, key) for key, _ in inside] + [place for key, inner in inside for place in places(inner, (*at, key))]


def mutate(facts: dict[str, Any], data: st.DataObject) -> None:
    """One change at a random place: another value, none, another key, a number moved a little, or two entries swapped."""
    where = places(facts)
    *path, last = data.draw(st.sampled_from([p for p in where if len(p) == 1] + where))
    parent: Any = facts
    for key in path:
        parent = parent[key]
    change = data.draw(st.sampled_from(["value", "remove", "add", "nudge", "swap"]))
    if change == "remove":
        del parent[last]
    elif change == "add" and isinstance(parent, list):
        parent.insert(last, copy.deepcopy(data.draw(st.one_of(values, st.sampled_from(parent)))))
    elif change == "add":
        parent[data.draw(texts)] = data.draw(values)
    elif change == "nudge" and isinstance(parent[last], float):
        parent[last] *= 1 + data.draw(st.sampled_from([1e-15, 1e-12, 1e-8, 1e-3, -2.0]))
    elif change == "swap" and isinstance(parent, list):
        other = data.draw(st.integers(0, len(parent) - 1))
        parent[last], parent[other] = parent[other], parent[last]
    else:
        parent[last] = data.draw(values)


def assert_refused_or_right(content: bytes, path: Path, at_hand: dict[str, Subset], digits: nb.Subset) -> bool:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    outcome = check(path, at_hand)
    if not isinstance(outcome, Accepted):
        assert str(outcome).isprintable()
        assert len(str(outcome)) < 2000
        return False
    submission = read_submission(path)
    predictions = submission.predictions
    truth = digits.networks["final_accuracy"].loc[predictions.network].to_numpy()
    error = truth - np.array(predictions.prediction)
    claimed = {score.metric: score.value for score in submission.scores}
    expected = {
        "mae": np.mean(np.abs(error)),
        "rmse": np.sqrt(np.mean(error**2)),
        "r2": 1 - np.sum(error**2) / np.sum((truth - truth.mean()) ** 2),
    }
    assert sorted(predictions.network) == sorted(digits.split("holdout")[0][1])
    for metric, value in expected.items():
        assert claimed[metric] == pytest.approx(value, rel=1.1e-9, abs=1.1e-9)
    return True


@settings(max_examples=1400, database=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_with_values_changed_anywhere_it_is_refused_in_a_line_or_right(
    data: Any, original: bytes, at_hand: Any, digits: nb.Subset, tmp_path_factory: Any
) -> None:
    facts = json.loads(original)
    for _ in range(data.draw(st.integers(1, 3))):
        if facts:
            mutate(facts, data)
    path = tmp_path_factory.getbasetemp() / FILE
    assert_refused_or_right(json.dumps(facts).encode(), path, at_hand, digits)


@settings(max_examples=650, database=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_with_bytes_changed_anywhere_it_is_refused_in_a_line_or_right(
    data: Any, original: bytes, at_hand: Any, digits: nb.Subset, tmp_path_factory: Any
) -> None:
    content = bytearray(original)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, max(len(content) - 1, 0)))
        piece = data.draw(st.one_of(st.binary(max_size=8), st.sampled_from(PIECES)))
        content[at : at + data.draw(st.integers(0, 8))] = piece
    path = tmp_path_factory.getbasetemp() / FILE
    assert_refused_or_right(bytes(content), path, at_hand, digits)


def test_unchanged_it_is_accepted(original: bytes, at_hand: Any, digits: nb.Subset, tmp_path: Path) -> None:
    assert assert_refused_or_right(original, tmp_path / FILE, at_hand, digits)
