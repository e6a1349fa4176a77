"""Several draws of the folds: a score is the mean over them, its interval has one resampling, and methods pair by draw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, r2_score

import nndynbench as nb
from nndynbench.protocols import Result, stored
from nndynbench.protocols.metrics import UndefinedMetricError
from nndynbench.protocols.protocol import find_protocol, protocols
from nndynbench.protocols.results import budgets_and_draws, keep, read_result
from nndynbench.protocols.scoring import Case, cases, cluster_of
from nndynbench.protocols.stored import StoredResults
from nndynbench.protocols.worth import added, added_in_resamples, gain
from nndynbench.subsets.splits import DRAWN, REDRAWN

METHOD = "validation-accuracy"


def evaluated(digits: nb.Subset, name: str, draws: int | list[int], method: str = METHOD, budgets: object = 2) -> Result:
    return nb.evaluate(method, digits, protocol=name, budgets=budgets, draws=draws, order_seed=1)


def case_of(digits: nb.Subset, result: Result) -> Case:
    [case] = cases(result.predictions, {digits.name: digits}, find_protocol(result.facts.protocol)).values()
    return case


@pytest.fixture(scope="module")
def regressed(digits: nb.Subset) -> Result:
    return evaluated(digits, "regression-folds", 3)


@pytest.fixture(scope="module")
def classified(digits: nb.Subset) -> Result:
    return evaluated(digits, "classification", 3)


def drawn_networks(tables: list[pd.DataFrame], clusters: pd.Series, count: int) -> list[list[pd.DataFrame]]:
    """The resamples written out: in each table, the networks of whole clusters, as often as the clusters are drawn."""
    names = np.unique(clusters.loc[np.unique(np.concatenate([table["network"] for table in tables]))])
    counts = np.random.default_rng(0).multinomial(len(names), np.full(len(names), 1 / len(names)), size=count)
    drawn = [pd.Series(row, names) for row in counts]
    return [
        [table.loc[np.repeat(table.index, often.loc[clusters.loc[table["network"]]])] for table in tables] for often in drawn
    ]


@pytest.mark.parametrize(
    ("fixture", "metric", "oracle"), [("regressed", "r2", r2_score), ("classified", "accuracy", accuracy_score)]
)
def test_a_score_is_the_mean_over_draws_and_in_each_resample_of_the_same_clusters(
    digits: nb.Subset, fixture: str, metric: str, oracle: object, request: pytest.FixtureRequest
) -> None:
    result = request.getfixturevalue(fixture)
    tables = [table for _, table in result.predictions.groupby("draw")]
    expected = np.mean([oracle(table["truth"], table["prediction"]) for table in tables])
    row = result.scores.set_index("metric").loc[metric]
    assert (row["value"], row["draws"]) == (pytest.approx(expected), 3)
    drawn = drawn_networks(tables, cluster_of(digits.networks), 100)
    one_by_one = [np.mean([oracle(each["truth"], each["prediction"]) for each in resample]) for resample in drawn]
    np.testing.assert_allclose(case_of(digits, result).in_resamples(metric)[:100], one_by_one, atol=1e-12)


def test_the_first_draw_of_several_is_the_one_that_stands_alone(digits: nb.Subset, regressed: Result) -> None:
    first = evaluated(digits, "regression-folds", 1).predictions
    own = regressed.predictions.query("draw == 0").drop(columns="draw").reset_index(drop=True)
    pd.testing.assert_frame_equal(own, first)
    assert "draw" not in first


def test_draws_divide_the_networks_otherwise_and_balanced_samples_are_other_ones(
    regressed: Result, classified: Result
) -> None:
    fold_of = regressed.predictions.pivot_table(index="network", columns="draw", values="fold")
    assert fold_of.notna().all().all()
    assert (fold_of[0] != fold_of[1]).mean() > 0.5
    assert (fold_of[1] != fold_of[2]).mean() > 0.5
    samples = [set(own["network"]) for _, own in classified.predictions.groupby("draw")]
    assert len({len(sample) for sample in samples}) == 1
    assert len(samples[0] | samples[1] | samples[2]) > len(samples[0])


def test_two_methods_are_paired_under_the_draws_that_both_have(digits: nb.Subset, regressed: Result) -> None:
    bar = case_of(digits, evaluated(digits, "regression-folds", 2, "training-loss"))
    method = case_of(digits, regressed)
    both = method.of_draws([0, 1])
    assert len(both.draws) == 2
    assert gain(method, bar, "r2") == gain(both, bar, "r2")
    assert added(method, bar) == added(both, bar)
    singles = [(method.of_draws([number]), bar.of_draws([number])) for number in (0, 1)]
    for compare in (lambda a, b: gain(a, b, "r2"), added):
        assert compare(method, bar).value == pytest.approx(np.mean([compare(a, b).value for a, b in singles]))
    drawn = [added_in_resamples(a, b) for a, b in singles]
    np.testing.assert_allclose(added_in_resamples(method, bar), np.mean(drawn, axis=0), atol=1e-12)


def test_methods_are_paired_by_network_in_whatever_order_each_was_tested(digits: nb.Subset, regressed: Result) -> None:
    later, bar = (evaluated(digits, "regression-folds", [1, 2], "training-loss"), case_of(digits, regressed))
    other = case_of(digits, later)
    assert not np.array_equal(bar.of_draws([1]).draws[0].networks, other.draws[0].networks)
    table = [result.predictions.query("draw != 0").set_index(["draw", "network"]) for result in (regressed, later)]
    scores = [r2_score(frame.loc[d, "truth"], frame.loc[d, "prediction"]) for frame in table for d in (1, 2)]
    assert gain(other, bar, "r2").value == pytest.approx(np.mean(scores[2:]) - np.mean(scores[:2]))
    assert gain(bar, other, "r2").value == pytest.approx(-gain(other, bar, "r2").value)


def test_methods_without_a_common_draw_cannot_be_compared(digits: nb.Subset, regressed: Result) -> None:
    other = case_of(digits, evaluated(digits, "regression-folds", [4], "training-loss"))
    with pytest.raises(ValueError, match="same test networks"):
        gain(case_of(digits, regressed), other, "r2")


def test_a_metric_is_undefined_where_it_is_under_one_draw(digits: nb.Subset) -> None:
    result = evaluated(digits, "regression-folds", 2, "training-loss")
    result.predictions.loc[result.predictions["draw"] == 1, "prediction"] = 5.0
    case = case_of(digits, result)
    assert np.isfinite(case.value("r2"))
    with pytest.raises(UndefinedMetricError, match="all predictions are equal"):
        case.value("kendall_tau")


@pytest.mark.parametrize("name", [name for name, protocol in protocols().items() if protocol.fitted.draws == 1])
def test_one_natural_division_is_not_drawn_again(digits: nb.Subset, name: str) -> None:
    with pytest.raises(
        ValueError, match=f"draws=2 is not valid for {name}, which has one division of its networks, and so one draw"
    ):
        evaluated(digits, name, 2)


def test_what_a_protocol_draws_again_has_a_rule_for_it() -> None:
    fitted = [protocol for protocol in protocols().values() if protocol is protocol.fitted]
    assert {protocol.split for protocol in fitted if protocol.draws > 1} == {*REDRAWN, *DRAWN}
    assert not {protocol.split for protocol in fitted if protocol.draws == 1} & {*REDRAWN, *DRAWN}


@pytest.mark.parametrize("draws", [0, 6, [5], [-1], [], True, "2"])
def test_other_draws_are_refused(digits: nb.Subset, draws: object) -> None:
    with pytest.raises(ValueError, match="draws"):
        evaluated(digits, "regression-folds", draws)


def test_stored_results_are_topped_up(digits: nb.Subset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, protocol = [], find_protocol("regression-folds")

    def counted(*arguments: object, **named: object) -> Result:
        asked.append((named["budgets"], named["draws"]))
        return nb.evaluate(*arguments, **named)

    monkeypatch.setattr(stored, "evaluate", counted)
    results = StoredResults(tmp_path)
    results.fitted(METHOD, [digits], protocol, [1])
    found = results.result(METHOD, [digits], protocol, [1, 2], draws=3)
    assert asked == [([1], (0,)), ([1], (1, 2)), ([2], (0, 1, 2))]
    assert results.holds(METHOD, [digits], protocol, [1, 2], draws=3)
    assert not results.holds(METHOD, [digits], protocol, [1, 2], draws=4)
    again = nb.evaluate(
        METHOD, digits, protocol="regression-folds", budgets=[1, 2], draws=3, order_seed=found.facts.order_seed
    )
    pd.testing.assert_frame_equal(found.scores, again.scores)
    keys = ["budget", "draw", "fold", "network"]
    pd.testing.assert_frame_equal(
        found.predictions.set_index(keys).sort_index(), again.predictions.set_index(keys).sort_index(), check_like=True
    )


def test_a_result_of_fewer_draws_does_not_replace_one_of_more(digits: nb.Subset, regressed: Result, tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    keep(regressed, path)
    kept = keep(evaluated(digits, "regression-folds", 1, budgets=[1, 2]), path)
    assert kept.earlier is not None
    assert budgets_and_draws(read_result(kept.earlier)) == {(2, 0), (2, 1), (2, 2)}
    more = keep(evaluated(digits, "regression-folds", 2), path)
    assert more.earlier is None
    assert budgets_and_draws(read_result(path)) == {(1, 0), (2, 0), (2, 1)}
    assert more.result.scores.groupby("budget")["draws"].unique().map(list).to_dict() == {1: [1], 2: [2]}
