"""Our tables, figures and claims beside the paper's, with what is missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_absolute_error, r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from typer.testing import CliRunner

import nndynbench as nb
from nndynbench.cli import app
from nndynbench.numbers import written, written_interval
from nndynbench.paper import figures, paper_claims, regression_table
from nndynbench.paper.figures import aggregator_weights, figure4, figure6, figure9
from nndynbench.paper.holdouts import HOLD_OUTS, over_holdouts, regression_case
from nndynbench.paper.tables import table2, table4
from nndynbench.paper.verdicts import RELATIONS, claims, shown, verdict
from nndynbench.paper.windows import window_epochs
from nndynbench.protocols import MethodError, find_method, find_protocol
from nndynbench.protocols.scoring import Estimate
from nndynbench.protocols.stored import StoredResults
from nndynbench.submissions.beside import submissions_folder
from nndynbench.submissions.known import KnownResults
from nndynbench.subsets import catalogue


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results")


def test_windows_are_read_in_two_ways() -> None:
    assert window_epochs("3-5", "half-open") == [4, 5]
    assert window_epochs("3-5", "closed") == [3, 4, 5]
    assert window_epochs("0-2", "half-open") == window_epochs("0-2", "closed") == [1, 2]


def test_table_4_is_the_median_of_linear_regressions_on_the_windows_degrees_over_many_hold_outs(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_lenet = {"LeNet": "cifar10-lenet"}, {"5-7": {"LeNet": {"mae": 12.49, "r2": 0.75}}}
    monkeypatch.setattr("nndynbench.paper.tables.regression_table", lambda _: of_lenet)
    rows, lenet = table4(results).rows, nb.load("cifar10-lenet")
    [ours] = rows.query("reading == 'half-open'").to_dict("records")
    signatures = {network: lenet.history(network, 7).signature("degree")[5:7].ravel() for network in lenet.network_ids}
    x = {network: np.sign(values) * np.log1p(np.abs(values)) for network, values in signatures.items()}
    target = lenet.networks["final_accuracy"]
    scores = []
    for train, test in (fold for draw in range(5) for fold in lenet.split("folds", draw)):
        fitted = make_pipeline(SimpleImputer(), StandardScaler(), LinearRegression())
        predicted = fitted.fit([x[n] for n in train], target[train]).predict([x[n] for n in test])
        scores.append((mean_absolute_error(target[test], predicted), r2_score(target[test], predicted)))
    assert len(scores) == HOLD_OUTS
    for metric, values in zip(("mae", "r2"), np.transpose(scores), strict=True):
        assert ours[metric].startswith(f"{written(np.median(values), digits=2)} (")
        assert ours[f"{metric}: range"] == written_interval(min(values), max(values))
        low, high = (float(end.replace("−", "-")) for end in ours[metric].split("(")[1].rstrip(")").split(" to "))
        assert low < np.median(values) < high


def test_a_claim_about_a_window_is_judged_by_the_median_over_hold_outs(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [claim] = [c for c in paper_claims() if c["subset"] == "cifar10-lenet" and c["place"].startswith("observation 3")]
    monkeypatch.setattr("nndynbench.paper.verdicts.paper_claims", lambda: [claim])
    [judged] = claims(results).rows.to_dict("records")
    found = over_holdouts(regression_case(claim["method"], nb.load("cifar10-lenet"), 7, results), "r2")
    assert found.lowest < 0 < found.median.low
    assert judged["judged by"] == "median r2 of degree-5-7-half-open > 0.5"
    assert judged["ours"] == shown(claim, found.median)
    assert judged["verdict"] == "not held"


def test_table_4_shows_the_papers_numbers_and_says_what_is_missing(tmp_path: Path) -> None:
    reproduced = table4(KnownResults(tmp_path, StoredResults(tmp_path), fits=False))
    columns, windows = regression_table("table4")
    shown = reproduced.rows.drop_duplicates(["paper's column", "window"])
    assert len(shown) == len(columns) * len(windows) == 16
    lenet = shown[shown["paper's column"].str.startswith("LeNet")]
    assert lenet["paper: mae"].tolist() == [14.95, 14.67, 17.09, 12.49]
    assert lenet["paper: r2"].tolist() == [0.16, 0.3, 0.67, 0.75]
    notes = "\n".join(reproduced.notes)
    whole = {"cifar10-lenet", "cifar10-alexnet", "cifar10-resnet44"}
    for name in set(columns.values()):
        trained = nb.subsets().loc[name, "networks"]
        missing = f"{name} holds {trained} of" if trained else f"not at hand: {name}"
        assert (missing in notes) == (name not in whole)
    assert "5.74 and 0.91" in notes
    assert "epoch 0, the initialisation, is in neither" in notes


def test_table_2_has_every_subset_at_hand(results: Path) -> None:
    rows = table2(results).rows.set_index("subset")
    assert {"digits-lenet", "digits-lenet-half", "digits-lenet-double"} <= set(rows.index)
    assert rows.loc["digits-lenet", "final accuracy, test half"] == "9.2 to 96.0"


def test_the_weights_of_a_linear_svm_are_summed_over_epochs_per_aggregator(digits: nb.Subset, results: Path) -> None:
    random = np.random.default_rng(0)
    signatures, labels = random.normal(size=(40, 3, 5)), np.tile([0, 1], 20)
    signatures[labels == 1, :, 2] += 3
    weights = aggregator_weights(signatures, labels)
    flat = np.sign(signatures) * np.log1p(np.abs(signatures))
    by_hand = SVC(kernel="linear").fit(StandardScaler().fit_transform(flat.reshape(40, -1)), labels).coef_
    np.testing.assert_allclose(weights, by_hand.reshape(3, 5), atol=1e-9)
    assert np.abs(weights).sum(axis=0).argmax() == 2


def test_plots_are_written_where_the_table_is(tmp_path: Path) -> None:
    results, out = tmp_path / "results", tmp_path / "out"
    told = CliRunner().invoke(app, ["reproduce", "figure8", "--results", str(results), "--out", str(out)]).stdout
    assert sorted(path.name for path in out.iterdir()) == ["figure8.cifar10-lenet.png", "figure8.csv"]
    assert not results.exists()
    assert all(str(path) in told for path in out.iterdir())


@pytest.mark.usefixtures("nothing_bundled")
def test_a_figure_of_a_subset_that_nothing_stands_for_says_so(results: Path) -> None:
    reproduced = figure9(results)
    assert reproduced.rows.empty
    assert "not at hand: cifar10-resnet44" in reproduced.notes


@pytest.mark.usefixtures("nothing_bundled")
def test_of_a_figure_without_a_row_nothing_is_written(tmp_path: Path) -> None:
    told = CliRunner().invoke(app, ["reproduce", "figure9", "--results", str(tmp_path), "--out", str(tmp_path)])
    assert told.exit_code == 0
    assert "nothing written: there are no rows" in told.stdout
    assert not any(tmp_path.iterdir())


def test_graphs_are_timed_on_random_weights_where_no_others_are_at_hand(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "TIMED_NETWORKS", 1)
    rows = figure6(results).rows.set_index(["subset", "graph"])
    for kind in ("rolled", "unrolled"):
        timed = rows.loc[("cifar10-lenet", kind)]
        assert timed["timed on"] == "random weights"
        assert all(float(timed[f"{step}, seconds"]) > 0 for step in ("graph", "degree", "eigenvector"))


def test_the_papers_numbers_stand_beside_ours_in_a_figure(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for parts, kept in (("LEARNERS", ("svm",)), ("GRAPHS", ("",)), ("AVERAGES", ("",))):
        monkeypatch.setattr(figures, parts, kept)
    paper = figure4(results).rows.set_index(["subset", "method"])["paper"]
    assert paper["cifar10-lenet", "degree-svm"].startswith("> 0.93 at 5 epochs (abstract); ")
    assert paper["cifar10-vgg", "degree-svm"] == "≈ 0.9 at 5 epochs (figure 4)"
    assert paper["cifar10-vgg", "eigenvector-svm"] == ""


@pytest.mark.parametrize("claim", paper_claims(), ids=lambda claim: claim["claim"][:50])
def test_a_claims_facts_name_what_exists(claim: dict) -> None:
    chosen = find_protocol(claim["protocol"])
    assert not chosen.superseded
    assert claim["subset"] in catalogue()
    assert claim["metric"] in chosen.metrics
    methods = [claim[key] for key in ("method", "better", "worse") if key in claim]
    assert len(methods) == (1 if "value" in claim else 2)
    for method in methods:
        find_method(method).estimator(chosen)
    assert claim.get("relation", ">") in RELATIONS


def test_relations_are_those_that_the_paper_uses() -> None:
    assert RELATIONS[">"](0.94, 0.93)
    assert not RELATIONS[">"](0.93, 0.93)
    assert RELATIONS["≈"](0.86, 0.90)
    assert not RELATIONS["≈"](0.84, 0.90)


@pytest.mark.parametrize(
    ("claim", "interval", "expected"),
    [
        ({"relation": ">", "value": 0.93}, (0.94, 0.97), "held"),
        ({"relation": ">", "value": 0.93}, (0.85, 0.92), "not held"),
        ({"relation": ">", "value": 0.93}, (0.90, 0.96), "undecided"),
        ({"relation": "≈", "value": 0.90}, (0.86, 0.94), "held"),
        ({"relation": "≈", "value": 0.90}, (0.70, 0.80), "not held"),
        ({"relation": "≈", "value": 0.90}, (0.40, 0.80), "not held"),
        ({"relation": "≈", "value": 0.90}, (0.60, 0.86), "undecided"),
        ({"relation": "≈", "value": 0.90}, (0.80, 0.88), "undecided"),
        ({"relation": "≈", "value": 0.90}, (0.80, 0.99), "undecided"),
        ({"better": "a", "worse": "b"}, (0.01, 0.05), "held"),
        ({"better": "a", "worse": "b"}, (-0.05, -0.01), "not held"),
        ({"better": "a", "worse": "b"}, (-0.02, 0.03), "undecided"),
        ({"better": "a", "worse": "b"}, (0.0, 0.0), "not held"),
        ({"better": "a", "worse": "b", "tolerance": 0.05}, (-0.04, 0.01), "held"),
        ({"better": "a", "worse": "b", "tolerance": 0.05}, (-0.06, 0.01), "undecided"),
        ({"better": "a", "worse": "b", "tolerance": 0.05}, (-0.09, -0.06), "not held"),
    ],
)
def test_a_claim_is_undecided_where_its_interval_spans_the_line(
    claim: dict, interval: tuple[float, float], expected: str
) -> None:
    assert verdict(claim, Estimate(sum(interval) / 2, *interval)) == expected


def test_a_verdict_on_networks_of_a_reduced_protocol_says_so(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of_vgg = [claim for claim in paper_claims() if claim["subset"] == "cifar10-vgg"]
    on_vgg = [claim for claim in of_vgg if claim.get("method") == "degree-tuned-svm"]
    monkeypatch.setattr("nndynbench.paper.verdicts.paper_claims", lambda: on_vgg)
    [judged] = claims(results).rows["verdict"]
    assert judged.startswith("reduced regime")
    assert judged.partition(": ")[2] in ("held", "not held", "undecided")


def test_a_verdict_on_a_subset_that_is_not_finished_says_so(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_imagenet = [
        claim for claim in paper_claims() if claim["subset"] == "imagenet-lenet" and claim["protocol"] == "regression"
    ]
    monkeypatch.setattr("nndynbench.paper.verdicts.paper_claims", lambda: on_imagenet)
    manifest = nb.load("imagenet-lenet").manifest
    assert manifest.networks < manifest.networks_planned
    [judged] = claims(results).rows["verdict"]
    unfinished = f"unfinished ({manifest.networks} of {manifest.networks_planned} networks): "
    assert judged.removeprefix(unfinished) in ("held", "not held", "undecided")


def test_observation_3_is_measured_on_the_papers_own_windows() -> None:
    asked = {claim["subset"]: claim for claim in paper_claims() if claim["place"].startswith("observation 3")}
    columns = {subset: table for table in ("table3", "table4") for subset in regression_table(table)[0].values()}
    assert asked.keys() == columns.keys()
    for subset, table in columns.items():
        window = list(regression_table(table)[1])[-1]
        assert asked[subset]["method"].endswith(f"windows.py:degree-{window}-half-open")
        assert asked[subset]["budget"] == int(window[-1])


def test_a_claims_number_is_that_of_the_submission_and_of_the_page(tmp_path: Path) -> None:
    known = KnownResults(submissions_folder(), StoredResults(tmp_path), fits=False)
    page = (Path(__file__).parents[2] / "docs/results/paper.md").read_text(encoding="utf-8")
    rows = claims(known).rows
    judged = rows[~rows["verdict"].str.startswith("not testable here")]
    assert len(judged) >= 20
    assert list(judged) == ["claim", "place", "judged by", "epochs", "subset", "ours", "verdict"]
    for row in judged.astype(str).to_numpy():
        assert f"| {' | '.join(row)} |" in page
    assert not any(tmp_path.iterdir())  # nothing was fitted


def test_what_is_not_submitted_is_fitted_in_the_order_that_was_asked_for(tmp_path: Path) -> None:
    subset, protocol = nb.load("digits-lenet"), find_protocol("regression-folds")
    known = KnownResults(tmp_path / "no submissions", StoredResults(tmp_path, order_seed=7))
    result = known.result("validation-accuracy", [subset], protocol, [1])
    assert result.facts.order_seed == 7
    pd.testing.assert_frame_equal(
        known.result("validation-accuracy", [subset], protocol, [1]).predictions, result.predictions
    )
    with pytest.raises(MethodError, match="the result of constant on digits-lenet is not at hand"):
        KnownResults(tmp_path, StoredResults(tmp_path), fits=False).result("constant", [subset], protocol, [1])


def test_what_is_submitted_under_fewer_draws_than_asked_for_is_fitted_under_all(tmp_path: Path) -> None:
    subset, protocol = nb.load("digits-lenet"), find_protocol("regression-folds")
    known = KnownResults(submissions_folder(), StoredResults(tmp_path))
    assert known.result("constant", [subset], protocol, [1]).scores["draws"].unique().tolist() == [1]
    assert known.result("constant", [subset], protocol, [1], draws=2).scores["draws"].unique().tolist() == [2]


@pytest.mark.slow
def test_every_claim_is_held_not_held_undecided_or_not_testable_here(results: Path) -> None:
    rows = claims(results).rows
    assert set(rows["claim"]) == {claim["claim"] for claim in paper_claims()}
    reservations = r"^(stands in: )?((reduced regime(, )?)?(unfinished \([^)]*\)(, )?)*: )?"
    words = rows["verdict"].str.replace(reservations, "", regex=True).str.partition(":")[0]
    assert set(words) <= {"held", "not held", "undecided", "not testable here"}
    judged = rows[words.isin(["held", "not held", "undecided"])]
    assert judged["ours"].str.contains(" to ").all()
