"""The order of a table's methods is by what they share: the same networks, under the same draws of the folds."""

from __future__ import annotations

import numpy as np
import pytest

from leaderboard.scores import ranks
from nndynbench.protocols.protocol import find_protocol
from nndynbench.protocols.scored import Scored
from nndynbench.protocols.scoring import Case, Draw

PROTOCOL = find_protocol("regression-folds")
TRUTH = np.linspace(10, 90, 60)


def case_of(*errors: float) -> Case:
    """A method's case; under each draw of the folds its predictions are wrong by so much, up and down in turn."""
    wrong = np.where(np.arange(60) % 2, 1.0, -1.0)
    draws = [
        Draw(number, np.arange(60), np.arange(60), Scored(TRUTH, TRUTH + error * wrong, TRUTH, np.arange(60) % 5))
        for number, error in enumerate(errors)
    ]
    return Case(PROTOCOL, tuple(draws))


def test_methods_are_ranked_under_the_draws_that_all_of_them_have() -> None:
    better, worse = case_of(2.0, 20.0), case_of(8.0)
    assert better.value("r2") < worse.value("r2")  # a mean over two draws, and the score under the first
    assert ranks(PROTOCOL, {"better": better, "worse": worse}) == {"better": 1, "worse": 2}


@pytest.mark.parametrize("protocol", ["regression-folds", "regression"])
def test_smaller_errors_have_the_better_rank_whichever_way_the_metric_counts(protocol: str) -> None:
    rows = find_protocol(protocol)
    assert {"regression-folds": "r2", "regression": "mae"}[protocol] == rows.metrics[0]
    assert ranks(rows, {"far": case_of(8.0), "near": case_of(2.0)}) == {"near": 1, "far": 2}


def test_no_method_has_no_rank() -> None:
    assert ranks(PROTOCOL, {}) == {}
