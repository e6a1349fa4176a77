"""The order of a table's methods is by what they share: the same networks, under the same draws of the folds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from leaderboard.scores import most_added, ranks
from nndynbench.protocols.protocol import find_protocol
from nndynbench.protocols.scored import Scored
from nndynbench.protocols.scoring import Case, Draw
from nndynbench.protocols.worth import added, added_in_resamples
from tests.oracles import blended_rises, students_levels

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


def noisy_case(seed: int, spread: float) -> Case:
    """A method's case, whose errors are drawn."""
    prediction = TRUTH + np.random.default_rng(seed).normal(0, spread, 60)
    return Case(PROTOCOL, (Draw(0, np.arange(60), np.arange(60), Scored(TRUTH, prediction, TRUTH, np.arange(60) % 5)),))


def test_what_adds_most_is_the_best_of_all_with_an_interval_that_allows_for_the_choice() -> None:
    reference, methods = noisy_case(0, 15), {"near": noisy_case(1, 15), "far": noisy_case(2, 30)}
    found = most_added(methods, reference)
    assert found is not None
    said = {name: case.draws[0].scored.prediction for name, case in methods.items()}
    other = reference.draws[0].scored.prediction
    total = np.sum((TRUTH - TRUTH.mean()) ** 2)
    values = {name: min(blended_rises(own, other, TRUTH, np.arange(60) % 5)) / total for name, own in said.items()}
    assert (found.method, found.compared) == (max(values, key=values.__getitem__), 2) == ("near", 2)
    assert found.added.value == pytest.approx(values["near"])

    resampled = np.stack([added_in_resamples(case, reference) for case in methods.values()])
    errors = resampled - np.array(list(values.values()))[:, None]
    deviations = (np.mean(errors**4, axis=1) / 3) ** 0.25
    scales = deviations + np.median(deviations)
    low, high = students_levels(60)
    wider = norm.ppf(high) / norm.ppf(0.975)
    upward = wider * np.max(errors / scales[:, None], axis=0)
    own_low, own_high = np.quantile(resampled[0], [low, high])
    assert found.added.low == pytest.approx(min(own_low, values["near"] - np.quantile(upward, 0.975) * scales[0]))
    assert found.added.low < own_low
    assert found.added.high == pytest.approx(own_high)


def test_what_adds_most_is_chosen_under_the_draws_that_all_have() -> None:
    # The bar is worse under the second draw, so that more is added to it there.
    bar = two_draws(noisy_case(0, 10), noisy_case(1, 40))
    methods = {"of both": two_draws(noisy_case(2, 20), noisy_case(3, 10)), "of one": noisy_case(4, 15)}
    alone = {name: added(case, bar).value for name, case in methods.items()}
    assert alone["of both"] > alone["of one"] > added(methods["of both"].of_draws({0}), bar).value
    found = most_added(methods, bar)
    assert found is not None
    assert found.method == "of one"
    assert found.added.value == pytest.approx(alone["of one"])
    leads = most_added({"of both": methods["of both"], "of one": noisy_case(5, 90)}, bar)
    assert leads is not None
    assert leads.added.value == pytest.approx(alone["of both"])  # of the chosen one all draws count


def two_draws(first: Case, second: Case) -> Case:
    return Case(PROTOCOL, (first.draws[0], replace(second.draws[0], number=1)))


def test_where_nothing_can_be_added_nothing_adds_most() -> None:
    one_fold = Draw(0, np.arange(60), np.arange(60), Scored(TRUTH, TRUTH, TRUTH, np.zeros(60, dtype=int)))
    assert most_added({"mine": Case(PROTOCOL, (one_fold,))}, Case(PROTOCOL, (one_fold,))) is None
