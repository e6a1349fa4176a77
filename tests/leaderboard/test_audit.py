"""The audit: a submitted method on a zoo that did not exist when it was submitted."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

import nndynbench as nb
from leaderboard.__main__ import app
from leaderboard.audit import FreshZoo, audit, can_be_audited, train_fresh_zoo
from leaderboard.check import Accepted, check
from nndynbench.protocols.protocol import find_protocol
from nndynbench.subsets import Subset


@pytest.fixture
def accepted(submitted: Path, at_hand: dict[str, Subset]) -> Accepted:
    outcome = check(submitted / "degree-linear" / "digits-lenet.regression-folds.json", at_hand)
    assert isinstance(outcome, Accepted)
    return outcome


def test_on_the_same_zoo_fresh_and_claimed_are_equal(accepted: Accepted, digits: nb.Subset) -> None:
    scores = audit(accepted, FreshZoo(digits, 0))
    assert {score.budget for score in scores} == {1, 3}
    assert [score.fresh for score in scores] == pytest.approx([score.claimed for score in scores], abs=1e-9)


def test_on_another_zoo_they_are_the_methods_scores_there(accepted: Accepted) -> None:
    half = nb.load("digits-lenet-half")
    there = nb.evaluate("degree-linear", half, protocol="regression-folds", budgets=3).scores.set_index("metric")["value"]
    scores = audit(accepted, FreshZoo(half, 0), budgets=[3])
    assert {score.metric: score.fresh for score in scores} == pytest.approx(there.to_dict())
    assert all(score.fresh != score.claimed for score in scores)


def test_a_method_from_outside_is_audited_by_its_file(accepted: Accepted, digits: nb.Subset, tmp_path: Path) -> None:
    code = tmp_path / "mean.py"
    code.write_text(
        "import nndynbench as nb\n"
        "from sklearn.dummy import DummyRegressor\n"
        "METHODS = {'mean': nb.Method(description='mean', source='', reads=set(), regressor=DummyRegressor())}\n"
    )
    r2 = next(score for score in audit(accepted, FreshZoo(digits, 0), code=str(code)) if score.metric == "r2")
    assert r2.fresh == pytest.approx(0, abs=0.02)
    assert r2.claimed != r2.fresh


def test_transfer_is_not_audited(accepted: Accepted) -> None:
    assert can_be_audited(accepted, find_protocol("regression-folds"))
    assert not can_be_audited(accepted, find_protocol("transfer"))


def test_what_is_wrong_with_the_code_is_said_before_anything_is_trained(
    tmp_path: Path, accepted: Accepted, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = accepted.path.read_text().replace(f'"method": "{accepted.submission.method}"', '"method": "outside"')
    content = content.replace(f'"code": "{accepted.submission.code}"', '"code": "https://example.org/outside"')
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / accepted.path.name).write_text(content)
    monkeypatch.setattr("leaderboard.audit.train_fresh_zoo", lambda *_, **__: pytest.fail("training began"))
    done = CliRunner().invoke(app, ["audit", "outside", "--submissions", str(tmp_path)])
    assert "give its file, --code" in str(done.exception)


def test_a_method_that_is_not_submitted_cannot_be_audited(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["audit", "nobody", "--submissions", str(tmp_path)])
    assert isinstance(done.exception, ValueError)
    assert "nobody has no submission on digits-lenet to audit" in str(done.exception)


@pytest.mark.slow
def test_another_seed_gives_another_zoo(tmp_path: Path, accepted: Accepted, digits: nb.Subset) -> None:
    pytest.importorskip("torch")
    zoo = train_fresh_zoo(tmp_path, seed=7, networks=40)
    assert zoo.subset.manifest.zoo_seed == 7
    assert len(zoo.subset.networks) == 40
    ours = digits.networks.loc[zoo.subset.networks.index]
    assert (ours["learning_rate"] == zoo.subset.networks["learning_rate"]).all()
    assert (ours["seed"] != zoo.subset.networks["seed"]).all()
    assert (ours["final_accuracy"] != zoo.subset.networks["final_accuracy"]).any()
    assert all(score.fresh is not None for score in audit(accepted, zoo))
