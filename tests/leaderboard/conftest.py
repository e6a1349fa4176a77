"""Real submissions of small methods on the bundled digits, and what it takes to tamper with them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import nndynbench as nb
from leaderboard.check import subsets_at_hand
from nndynbench.citing import citation
from nndynbench.submissions import submissions_of, write_submission
from nndynbench.subsets import Subset

BUNDLED = {"authors": list(citation().authors), "licence": "Apache-2.0", "commit": "0" * 40, "seeds": [0]}

# (method, the name it is submitted under, its code, protocol). The real bar takes a minute: a forest stands in for it.
SUBMITTED = [
    ("hyperparameters", "bar", "baselines/bar.py", "regression-folds"),
    ("curve-extrapolation", "curve-extrapolation", "baselines/learning_curves.py", "regression-folds"),
    ("training-loss", "training-loss", "baselines/trivial.py", "regression-folds"),
    ("degree-linear", "degree-linear", "baselines/signatures.py", "regression-folds"),
    ("constant", "constant", "baselines/trivial.py", "regression-folds"),
    ("degree-svm", "degree-svm", "baselines/signatures.py", "classification"),
    ("training-loss", "training-loss", "baselines/trivial.py", "classification"),
    ("degree-linear", "degree-linear", "baselines/signatures.py", "regression"),
]


@pytest.fixture(scope="session")
def at_hand() -> dict[str, Subset]:
    return subsets_at_hand()


@pytest.fixture(scope="session")
def submitted(tmp_path_factory: pytest.TempPathFactory, digits: nb.Subset) -> Path:
    """A folder of accepted submissions at budgets 1 and 3; not to be written to."""
    folder = tmp_path_factory.mktemp("submissions")
    for method, name, code, protocol in SUBMITTED:
        result = nb.evaluate(method, digits, protocol=protocol, budgets=[1, 3])
        for submission in submissions_of(result, method=name, code=code, **BUNDLED):
            write_submission(submission, folder)
    return folder


@pytest.fixture
def submissions(submitted: Path, tmp_path: Path) -> Path:
    """A copy of the accepted submissions, to write to."""
    return Path(shutil.copytree(submitted, tmp_path / "submissions"))


@pytest.fixture
def tampered(submissions: Path) -> Callable[..., Path]:
    """Change a submission's facts by a function, and write it where it was."""

    def tamper(change: Callable[[dict[str, Any]], Any], file: str = "degree-svm/digits-lenet.classification.json") -> Path:
        path = submissions / file
        facts = json.loads(path.read_text())
        change(facts)
        path.write_text(json.dumps(facts))
        return path

    return tamper
