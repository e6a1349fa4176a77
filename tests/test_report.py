"""The document of results: what it says about protocols that were compared, and about those that follow from them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

import nndynbench as nb
from nndynbench import report
from nndynbench.numbers import written, written_interval
from nndynbench.paper import tables, verdicts
from nndynbench.paper.reproduction import Reproduction
from nndynbench.protocols import find_protocol, stored
from nndynbench.report import sections
from nndynbench.report.beside import CURVES_TRIO, LOSSES_TRIO, Trio
from nndynbench.report.board import Board, Part
from nndynbench.report.prose import with_numbers
from nndynbench.report.ranking import board_methods, ranked, shortlist, trivial
from nndynbench.report.reasons import without_data
from nndynbench.report.seeds import what_the_seeds_say
from nndynbench.report.sentences import beside_controls, what_learning_gives, what_the_ranking_says
from nndynbench.submissions.beside import submitted
from tests.oracles import drawn_whole, students_levels
from tests.submitted import copied

CURVES, BOTH, CONTROL = CURVES_TRIO.base, CURVES_TRIO.with_distance, CURVES_TRIO.permuted
SUBMISSIONS = {
    "digits-lenet.regression-folds": ["bar", "curve-bar", "constant", "degree-linear", "validation-accuracy"],
    "digits-lenet.blocked": ["bar", "curve-bar", "constant", "degree-linear"],
    "digits-lenet-seeds.seeds": [CURVES, "within-distance", BOTH, CONTROL, *LOSSES_TRIO.labels],
}


def fitted(*arguments: object, **options: object) -> None:
    raise AssertionError("the report fits nothing")


@pytest.fixture(scope="module")
def seeds() -> nb.Subset:
    return nb.load("digits-lenet-seeds")


@pytest.fixture(scope="module")
def submissions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a few of the board's submissions."""
    folder = tmp_path_factory.mktemp("submissions")
    for name, methods in SUBMISSIONS.items():
        subset, protocol = name.split(".")
        copied(folder, *methods, subset=subset, protocol=protocol)
    return folder


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory, submissions: Path, digits: nb.Subset, seeds: nb.Subset) -> str:
    """The document about two subsets, without the part on the paper; nothing may be fitted for it."""
    results = tmp_path_factory.mktemp("results")
    claims = pd.DataFrame({"claim": ["of ours", "of another"], "verdict": ["held", "not testable here: vgg not at hand"]})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verdicts, "claims", lambda *_: Reproduction("Claims", claims))
        patch.setattr(tables, "table4", lambda *_: Reproduction("Table", claims))
        patch.setattr(report, "all_at_hand", lambda _: [digits, seeds])
        patch.setattr(stored, "evaluate", fitted)
        written = report.report(results / "document.md", submissions, results=results)
    pages = [written, *sorted((results / "document").glob("*.md"))]
    return "\n".join(page.read_text(encoding="utf-8") for page in pages)


def predictions(submissions: Path, method: str, subset: nb.Subset, protocol: str) -> pd.DataFrame:
    """A method's submitted predictions at 5 epochs."""
    found = submitted(method, [subset], find_protocol(protocol), submissions)
    assert found is not None
    return found.predictions.query("budget == 5")


def page_of(document: str, protocol: str) -> str:
    [found] = [page for page in document.split("\n# ") if f"Protocol `{protocol}`" in page]
    return found


def row(document: str, protocol: str, method: str) -> list[str]:
    of_it = (f"| `{method}` |", f"| `{method}`¹ |")  # ¹ marks fewer draws than the references have
    [line] = [line for line in page_of(document, protocol).splitlines() if line.startswith(of_it)]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_where_nothing_is_submitted_what_is_written_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "results.md").write_text("what was found before")
    monkeypatch.setattr(report, "all_at_hand", lambda _: [])
    with pytest.raises(FileNotFoundError, match="has no submission to report on"):
        report.report(tmp_path / "results.md", tmp_path / "no-such-folder")
    assert (tmp_path / "results.md").read_text() == "what was found before"


def test_triage_follows_from_the_predictions_of_regression_folds(
    document: str, submissions: Path, digits: nb.Subset
) -> None:
    regrets = []
    for _, fold in predictions(submissions, "degree-linear", digits, "regression-folds").groupby("fold"):
        tenth = round(len(fold) / 10)
        regrets.append(fold["truth"].nlargest(tenth).mean() - fold.nlargest(tenth, "prediction")["truth"].mean())
    assert row(document, "triage", "degree-linear")[1].startswith(f"{np.mean(regrets):.3f} (")


def test_the_rules_that_fit_nothing_stand_beside_the_methods(document: str, digits: nb.Subset) -> None:
    first = digits.curves.xs(1, level="epoch")["validation_accuracy"]
    regrets = []
    for _, tested in (fold for draw in range(5) for fold in digits.split("folds", draw)):
        own, accuracies, tenth = first[tested], digits.networks["final_accuracy"][tested], round(len(tested) / 10)
        least = own.nlargest(tenth).min()
        sure, tied = accuracies[own > least], accuracies[own == least]  # of equal ones the mean over their orders counts
        regrets.append(accuracies.nlargest(tenth).mean() - (sure.sum() + (tenth - len(sure)) * tied.mean()) / tenth)
    assert row(document, "triage", "stop-after-one-epoch")[1].startswith(f"{np.mean(regrets):.3f} (")
    assert "`successive-halving`, which fits nothing, has a regret of" in document


def test_the_ranking_among_the_trained_is_a_column(document: str, submissions: Path, digits: nb.Subset) -> None:
    all_tested = predictions(submissions, "degree-linear", digits, "regression-folds")
    learned = all_tested[all_tested["truth"] >= digits.manifest.chance + 5]
    taus = [fold[["truth", "prediction"]].corr("kendall").iloc[0, 1] for _, fold in learned.groupby("fold")]
    assert row(document, "regression-folds", "degree-linear")[-2] == f"{np.mean(taus):.3f}"


def test_what_has_no_number_here_is_counted_not_listed(document: str) -> None:
    assert "| of ours | held |" in document
    assert "of another" not in document
    assert "- 1 more need subsets or results that are not at hand; `nndynbench reproduce claims` lists them" in document


def test_findings_are_one_screen_that_leads_to_a_page_per_question(document: str) -> None:
    first = document.split("\n# ")[0]
    [line] = [line for line in first.splitlines() if line.startswith("| digits-lenet |")]
    _, networks, epochs, bar, adding, most, *_ = (cell.strip() for cell in line.strip("|").split("|"))
    assert (networks, epochs, adding) == ("240", "5", "0 of 1")  # degree-linear alone sees weights
    assert bar in row(document, "regression-folds", "bar")
    assert most.startswith("`degree-linear` ")
    assert "| on the plateau" not in first  # that is on the question's own page
    assert "(document/prediction.md)" in first
    assert len(first.split("## Withdrawn")[0].splitlines()) < 45
    assert "(document/classification.md)" not in first  # nothing is submitted


@pytest.mark.parametrize("trio", [CURVES_TRIO, LOSSES_TRIO], ids=["curves", "exact losses"])
def test_the_first_question_is_of_seeds_with_what_distance_adds(
    document: str, submissions: Path, seeds: nb.Subset, trio: Trio
) -> None:
    def deviations(values: pd.Series) -> pd.Series:
        return values - values.groupby(seeds.recipes.loc[values.index]).transform("mean")

    def gained(curves: pd.DataFrame, both: pd.DataFrame) -> float:
        truth, without, with_it = map(deviations, (curves["truth"], curves["prediction"], both["prediction"]))
        blended, apart = without.copy(), with_it - without
        for fold in curves["fold"].unique():
            others = curves["fold"] != fold
            weight = (apart * (truth - without))[others].sum() / (apart**2)[others].sum()
            blended[~others] += np.clip(weight, 0, 1) * apart[~others]
        errors = [((truth - predicted) ** 2).sum() / (truth**2).sum() for predicted in (without, blended)]
        return errors[0] - errors[1]

    methods = (trio.base, trio.with_distance)
    curves, both = (predictions(submissions, method, seeds, "seeds").set_index("network") for method in methods)
    draws = [(part, both[both["draw"] == draw].loc[part.index]) for draw, part in curves.groupby("draw")]
    assert len(draws) == 5
    [line] = [line for line in document.split("\n# ")[0].splitlines() if f"distance adds to {trio.words}**" in line]
    assert line.split("|")[-2].strip().startswith(f"**{np.mean([gained(*draw) for draw in draws]):+.3f} (")


def test_the_seeds_page_has_both_sides_of_the_plateau_and_what_is_known_of_the_recipes(
    document: str, seeds: nb.Subset
) -> None:
    [page] = [part for part in document.split("\n# ") if part.startswith("Which seed of a recipe")]
    on = seeds.on_plateau(5)
    sizes = seeds.recipes[on].value_counts()
    lines = [line for line in page.splitlines() if line.startswith("| on the plateau")]
    assert len(lines) == 2  # beside the curves, and beside exact losses
    assert all(line.rstrip(" |").endswith(f", {sizes[sizes > 1].sum():,} networks") for line in lines)
    assert "64 recipes × 24 seeds" in page
    assert "was chosen around the plateau" in page
    assert "(digits-lenet-seeds.seeds.png)" in page


def test_by_optimiser_distances_and_what_they_add_are_of_its_recipes_alone(document: str, seeds: nb.Subset) -> None:
    [page] = [part for part in document.split("\n# ") if part.startswith("Which seed of a recipe")]
    own = seeds.networks[seeds.networks["optimiser"] == "adam"]
    recipes = seeds.recipes.loc[own.index]
    *added, correlations = (line for line in page.splitlines() if f"Adam, {recipes.nunique()} recipes" in line)
    assert len(added) == 2
    assert all(line.startswith("| with Adam") for line in added)

    features = seeds.features.loc[own.index]
    relative = features.xs(5, level="epoch")["distance_from_initial"] / features.xs(0, level="epoch")["l2_norm"]
    distance = relative.map(np.log10).groupby("network").mean()
    farther, better = (v - v.groupby(recipes).transform("mean") for v in (distance, own["late_accuracy"]))
    factor = 10 ** np.sqrt((farther**2).mean())
    drawn = [np.corrcoef(farther.to_numpy()[own], better.to_numpy()[own])[0, 1] for own in drawn_whole(recipes.to_numpy())]
    shown = f"{written(farther.corr(better), signed=True)} ({interval_of(drawn, recipes.nunique())})"
    assert correlations.split("|")[-2].strip() == f"× {factor:.2f}, r = {shown}"


def interval_of(resampled: list[float], clusters: int) -> str:
    low, high = np.quantile(resampled, students_levels(clusters))
    return written_interval(low, high, digits=2)


def test_who_leaves_the_plateau_first_goes_with_distance_also_with_the_curves_partialled_out(
    document: str, seeds: nb.Subset
) -> None:
    loss = seeds.curves.pivot_table(values="train_loss", index="network", columns="epoch")
    off = loss < np.log(seeds.manifest.chance**-1 * 100) - 0.03
    first = off.idxmax(axis=1).where(off.any(axis=1), loss.columns.max() + 1)
    seen = [
        seeds.curves[c].xs(e, level="epoch")
        for c in ("train_loss", "train_accuracy", "validation_accuracy")
        for e in (1, 2, 3)
    ]
    relative = seeds.features.xs(3, level="epoch")["distance_from_initial"] / seeds.features.xs(0, level="epoch")["l2_norm"]
    columns = pd.concat([-first, relative.map(np.log10).groupby("network").mean(), *seen], axis=1).loc[first > 3].dropna()
    columns = columns[seeds.recipes.loc[columns.index].duplicated(keep=False)]
    apart = (columns - columns.groupby(seeds.recipes).transform("mean")).to_numpy()
    fitted = LinearRegression(fit_intercept=False).fit(apart[:, 2:], apart[:, :2])
    early, farther = (apart[:, :2] - fitted.predict(apart[:, 2:])).T
    partial, best = np.corrcoef(early, farther)[0, 1], np.corrcoef(apart[:, 0], fitted.predict(apart[:, 2:])[:, 0])[0, 1]

    [page] = [part for part in document.split("\n# ") if part.startswith("Which seed of a recipe")]
    table = page.split("| correlation within recipes |")[1].splitlines()
    at_3 = {line.split("|")[1].strip(): line.split("|")[3].strip() for line in table if line.count("|") == 5}
    assert at_3["networks that have not left the plateau"] == f"{len(columns):,}"
    recipes = seeds.recipes.loc[columns.index].to_numpy()
    alone, equal = [], []
    for drawn in (apart[own] for own in drawn_whole(recipes)):
        alone.append(np.corrcoef(drawn[:, :2].T)[0, 1])
        weights = np.linalg.lstsq(drawn[:, 2:], drawn[:, :2])[0]
        equal.append(np.corrcoef((drawn[:, :2] - drawn[:, 2:] @ weights).T)[0, 1])
    intervals = [interval_of(each, len(np.unique(recipes))) for each in (alone, equal)]
    found = f"{written(np.corrcoef(apart.T)[0, 1], signed=True)} ({intervals[0]})"
    assert at_3["leaving early and distance"] == found
    assert at_3["leaving early and the curves so far"] == written(best, signed=True)
    found = f"**{written(partial, signed=True)} ({intervals[1]})**"
    assert at_3["**leaving early and distance, curves partialled out**"] == found
    assert partial > 0.5
    assert "those whose layers moved farther leave it earlier" in document.split("\n# ")[0]
    assert f"After 15 epochs {(~off.any(axis=1)).sum()} of the 1,536 networks are still on it." in page


def test_nothing_is_said_to_add_whose_interval_holds_0() -> None:
    undefined = scored(BOTH, 0.1, budget=5, metric="r2_within")  # is no interval at all
    rows = [undefined, *(scored(CURVES, 0.0, budget=budget, metric="r2_within") for budget in (1, 3, 5))] + [
        scored(BOTH, 0.1, budget=budget, metric="r2_within", added_to_curves=added)
        | {"added_to_curves_low": added - 0.1, "added_to_curves_high": added + 0.1}
        for budget, added in ((1, 0.05), (3, 0.2))
    ]
    compared = nb.Comparison(find_protocol("seeds"), pd.DataFrame(rows), {})
    board = Board({}, {(("zoo",), Part("seeds")): compared})
    said = list(what_the_seeds_say(board, SimpleNamespace(name="zoo"), [CURVES_TRIO]))  # type: ignore[arg-type]
    assert said == ["Distance adds to curves over all networks at 3 epochs (1 of 2 intervals above 0)."]


@pytest.mark.parametrize(
    ("overall", "on", "off", "expected"),
    [
        (
            *(0.1, 0.2, -0.1),
            "Distance adds to curves over all networks and on the plateau at 1 epoch (2 of 3 intervals above 0). "
            "It adds nothing distinguishable from 0 off the plateau.",
        ),
        (
            *(-0.1, -0.2, 0.1),
            "Distance adds nothing distinguishable from 0 to curves over all networks or on the plateau. "
            "It adds something off the plateau at 1 epoch (1 of 3 intervals above 0; one in 40 would be by chance alone).",
        ),
        (
            *(-0.1, -0.1, -0.1),
            "Distance adds nothing distinguishable from 0 to curves over all networks, on the plateau or off the plateau.",
        ),
    ],
)
def test_what_holds_over_all_networks_is_said_first_and_beside_it_what_does_not(
    overall: float, on: float, off: float, expected: str
) -> None:
    def added(low: float) -> list[dict[str, object]]:
        rows = [scored(CURVES, 0.0, budget=1, metric="r2_within"), scored(BOTH, 0.1, budget=1, metric="r2_within")]
        rows[1] |= {"added_to_curves": low + 0.1, "added_to_curves_low": low, "added_to_curves_high": low + 0.2}
        return rows

    parts = {"seeds": added(overall), "seeds-on-plateau": added(on), "seeds-off-plateau": added(off)}
    of = {(("zoo",), Part(name)): nb.Comparison(find_protocol(name), pd.DataFrame(rows), {}) for name, rows in parts.items()}
    said = what_the_seeds_say(Board({}, of), SimpleNamespace(name="zoo"), [CURVES_TRIO])  # type: ignore[arg-type]
    assert " ".join(said) == expected


def test_what_is_known_of_a_part_alone_is_said() -> None:
    rows = [scored(CURVES, 0.0, budget=1, metric="r2_within"), scored(BOTH, 0.1, budget=1, metric="r2_within")]
    known = [rows[0], rows[1] | {"added_to_curves": 0.2, "added_to_curves_low": 0.1, "added_to_curves_high": 0.3}]
    parts = {"seeds": rows, "seeds-on-plateau": known}
    of = {(("zoo",), Part(name)): nb.Comparison(find_protocol(name), pd.DataFrame(own), {}) for name, own in parts.items()}
    said = list(what_the_seeds_say(Board({}, of), SimpleNamespace(name="zoo"), [CURVES_TRIO]))  # type: ignore[arg-type]
    assert said == ["Distance adds to curves on the plateau at 1 epoch (1 of 1 intervals above 0)."]


def test_what_was_withdrawn_is_kept_with_its_reason(document: str) -> None:
    [withdrawn] = [part for part in document.split("\n## ") if part.startswith("Withdrawn")]
    assert "The bar was weak" in withdrawn
    assert "An artefact" in withdrawn
    assert "C = 1" in withdrawn


def test_a_number_of_the_board_stands_in_a_sentence_that_goes_without_it() -> None:
    rows = [scored("bar", 0.9, metric="r2")]
    compared = nb.Comparison(find_protocol("regression-folds"), pd.DataFrame(rows), {})
    board = Board({}, {(("zoo",), Part("regression-folds")): compared})
    text = "| It was weak. [[It has {zoo regression-folds 5 bar value}.]] | [[It has {zoo regression-folds 1 bar value}.]] |"
    assert with_numbers(text, board) == "| It was weak. It has 0.900 (0.90 to 0.90). | – |"


def test_what_has_no_data_is_named_and_what_was_not_run_is_not(digits: nb.Subset) -> None:
    half = nb.load("digits-lenet-half")
    found = without_data(half, "classification", ["per-layer-degree"])
    assert found["n-cut"] == "graphs are at hand for 0 of the 240 networks of digits-lenet-half"
    assert not {"degree-svm", "per-layer-degree"} & found.keys()  # the first has stored signatures, the second is submitted
    assert without_data(digits, "classification", []) == {}


def test_extrapolation_says_what_is_added_to_both_references(document: str) -> None:
    beyond = "gain over the bar | added to the bar | gain over the curves alone | added to the curves alone"
    assert f"| {beyond} | R² in regression-folds |" in page_of(document, "blocked")
    assert "| method | R², 1 epoch | R², 5 epochs |" in page_of(document, "blocked")
    assert row(document, "blocked", "bar")[3:5] == ["0.000 (0.000 to 0.000)"] * 2
    assert row(document, "blocked", "curve-bar")[5:7] == ["0.000 (0.000 to 0.000)"] * 2


def test_a_control_is_shown_beside_what_it_is_a_control_of() -> None:
    best = [scored(name, value) for value, name in ((0.9, "bar"), (0.8, "bar-and-permuted-layer-distance"), (0.7, "norms"))]
    others = [scored(f"other-{place}", 0.6, "curves") for place in range(9)]
    last = ranked(pd.DataFrame([*best, *others, scored("bar-and-layer-distance", 0.1, "curves+weights")]), "r2")
    assert {"bar-and-permuted-layer-distance", "bar-and-layer-distance"} <= set(shortlist(last))


def scored(method: str, value: float, reads: str = "weights", **facts: object) -> dict[str, object]:
    """A row of a comparison; the intervals of its gain and of what it adds reach a tenth to either side."""
    numbers: dict[str, object] = {"value": value, "low": value, "high": value}
    for column in ("gain", "added"):
        if column in facts:
            numbers |= {f"{column}_low": facts[column] - 0.1, f"{column}_high": facts[column] + 0.1}  # type: ignore[operator]
    about = {"method": method, "subset": "digits-lenet", "budget": 5, "reads": reads, "ceiling": None, "undefined": ""}
    return about | numbers | facts


def said(metric: str, *rows: dict[str, object]) -> str:
    return "\n".join(what_the_ranking_says(ranked(pd.DataFrame(rows), metric), metric, 5))


def test_an_equal_score_is_not_called_better() -> None:
    rates = scored("learning-rate", 0.7, "hyperparameters")
    methods = [scored(name, value) for name, value in (("a", 0.6), ("b", 0.7), ("c", 0.7), ("d", 0.8))]
    text = said("accuracy", *methods, rates, scored("bar", 0.9, "curves", gain=0.0))
    assert "`learning-rate` alone has 0.700 (0.70 to 0.70): better than 1 of the 4 methods that read only weights" in text
    assert "weights, and equal to 2." in text


@pytest.mark.parametrize(
    ("draws", "words"), [(5, "(−0.150 to 0.050)."), (1, "(−0.150 to 0.050), under the draws that both have.")]
)
def test_a_gain_that_is_not_the_difference_of_the_two_scores_is_said_to_be_of_other_draws(draws: int, words: str) -> None:
    text = said("accuracy", scored("norms", 0.9, gain=-0.05, draws=draws), scored("bar", 0.92, "curves", gain=0.0, draws=5))
    assert f"The bar has 0.920 (0.92 to 0.92). Over it, `norms` has a gain of −0.050 {words}" in text


def test_less_error_is_better() -> None:
    methods = (scored("a", 3.0), scored("b", 1.0, gain=0.0), scored("learning-rate", 2.0, "none"))
    text = said("mae", *methods, scored("bar", 1.0, "curves", gain=0.0))
    assert "`learning-rate` alone has 2.000 (2.00 to 2.00): better than 1 of the 2 methods" in text


def test_a_control_below_0_is_not_praised() -> None:
    rows = (
        scored("control-epoch-0-degree", -0.6, gain=0.7, added=0.6),
        scored("norms", -0.8, gain=0.5, added=0.4),
        scored("constant", -0.7, "none", gain=0.6, added=0.6),
        scored("bar", -1.3, "curves", gain=0.0, added=0.0),
    )
    text = said("r2", *rows)
    assert "no method that reads only weights is of use. The best is a control, `control-epoch-0-degree`: R² −0.600" in text
    assert "The bar has −1.300 (−1.30 to −1.30): below 0 and no better than `constant`, −0.700." in text
    assert "says nothing" in text
    assert "best method" not in text
    assert "add to the bar" not in text


def test_a_control_ahead_of_the_methods_is_named_as_one() -> None:
    rows = (scored("control-shuffled-degree", 0.6), scored("norms", 0.5, gain=-0.4), scored("bar", 0.9, "curves", gain=0.0))
    text = said("r2", *rows)
    assert "the best method that reads only weights is a control, `control-shuffled-degree`: R² 0.600" in text
    assert (
        "The best that is no control is `norms`, 0.500 (0.50 to 0.50). The bar has 0.900 (0.90 to 0.90). "
        "Over it, `norms` has a gain of −0.400" in text
    )


def test_an_interval_above_0_stands_beside_that_of_the_best_control() -> None:
    reads = "curves+hyperparameters+weights"
    rows = (
        scored("bar-and-weight-statistics", 0.9, reads, gain=0.3, added=0.3),
        scored("bar-and-epoch-0", 0.8, reads, gain=0.2, added=0.2),
        scored("norms", 0.5, gain=-0.4, added=0.0),
        scored("bar", 0.7, "curves+hyperparameters", gain=0.0, added=0.0),
    )
    text = said("r2", *rows)
    assert "`bar-and-epoch-0` (a control), +0.200 (0.100 to 0.300)" in text
    assert "3 methods were tried. With so many, an interval above 0 for one of them is weak evidence." in text
    assert (
        "The best method, `bar-and-weight-statistics`, adds +0.300 (0.200 to 0.400); the best control, "
        "`bar-and-epoch-0`, adds +0.200 (0.100 to 0.300)." in text
    )


@pytest.mark.parametrize(("value", "few"), [(0.6, ": 240 networks are few to learn features from."), (0.8, ".")])
def test_what_is_learned_stands_beside_what_is_told(value: float, few: str) -> None:
    rows = [scored("weight-statistics", 0.7), scored("graph-network", value), scored("node-sets", 0.5), scored("norms", 0.4)]
    text = "\n".join(what_learning_gives(ranked(pd.DataFrame(rows), "r2"), "r2", 240))
    learned = f"`graph-network`, {value:.3f} ({value:.2f} to {value:.2f}) and `node-sets` (a control), 0.500"
    assert f"learn their own features of the weights: {learned}" in text
    assert text.endswith(f"The best method with given features, `weight-statistics`, has 0.700 (0.70 to 0.70){few}")
    assert not list(what_learning_gives(ranked(pd.DataFrame(rows[:1]), "r2"), "r2", 240))


def test_what_is_shown_follows_roles_and_controls_stand_beside_theirs() -> None:
    ranks = [
        *(scored(f"method-{rank}", 0.9 - rank / 100, "curves") for rank in range(12)),
        scored("degree-forest", 0.7),
        scored("control-epoch-0-degree", 0.6),
        scored("control-shuffled-eigenvector", 0.5),
        scored("curve-bar", 0.4, "curves"),
        scored("training-loss", 0.3, "curves"),
        scored("learning-rate", 0.2, "hyperparameters"),
    ]
    last = ranked(pd.DataFrame(ranks), "r2")
    beside = {"degree-forest", "control-epoch-0-degree", "control-shuffled-eigenvector"}
    always = {"curve-bar", "training-loss", "learning-rate"}
    assert set(shortlist(last)) == {*list(last)[:3], *beside, *always}
    assert set(board_methods(last)) == {*list(last)[:10], *beside, *always}
    assert list(beside_controls(last)) == [
        "- `degree-forest` has 0.700 (0.70 to 0.70), its control `control-epoch-0-degree` 0.600 (0.60 to 0.60)."
    ]
    assert trivial(last) == ["learning-rate", "training-loss"]


def test_hidden_methods_are_not_said_to_be_below(digits: nb.Subset, tmp_path: Path) -> None:
    rows = [scored(f"method-{rank}", 0.9 - rank / 100, gain=-rank / 100) | {"metric": "accuracy"} for rank in range(12)]
    rows.append(scored("bar", 0.9, "curves", gain=0.0) | {"metric": "accuracy"})
    compared = nb.Comparison(find_protocol("classification"), pd.DataFrame(rows), {})
    text = "\n".join(sections.ranking(compared, digits, Board({}, {}), tmp_path))
    assert "3 more methods are not shown" in text
    shown = [rank for rank in range(12) if f"| `method-{rank}` |" in text]
    assert shown == list(range(9))
    # Nothing is said about a hidden method, and none is counted as worse than the bar.
    assert not [rank for rank in range(9, 12) if f"method-{rank}" in text]


def test_a_score_under_fewer_draws_of_the_folds_than_a_references_is_marked(digits: nb.Subset, tmp_path: Path) -> None:
    drawn = {"bar": 5, "a": 5, "b": 1}
    rows = [scored(name, 0.9, gain=0.0) | {"metric": "accuracy", "draws": draws} for name, draws in drawn.items()]
    compared = nb.Comparison(find_protocol("classification"), pd.DataFrame(rows), {})
    text = "\n".join(sections.ranking(compared, digits, Board({}, {}), tmp_path))
    assert ("| `b`¹ |" in text, "| `a` |" in text, "| `bar` |" in text) == (True, True, True)
    assert "¹ Under fewer draws of the folds than a reference" in text


@pytest.mark.parametrize("is_few", [True, False])
def test_a_subset_of_few_networks_is_named_so(is_few: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [scored("bar", 0.9, "curves", gain=0.0) | {"metric": "accuracy"}]
    few, compared = nb.load("imagenet-lenet"), nb.Comparison(find_protocol("classification"), pd.DataFrame(rows), {})
    tested = {network for _, test in few.split("sample_folds") for network in test}
    monkeypatch.setattr(sections, "FEW_NETWORKS", len(tested) + is_few)
    text = "\n".join(sections.ranking(compared, few, Board({}, {}), tmp_path))
    assert (f"Only {len(tested)} networks are tested, so it is uncertain" in text) == is_few


def test_a_dash_has_its_reason_below_the_table(tmp_path: Path) -> None:
    reason = "a rank correlation is not defined: all predictions are equal"
    missing = {"value": None, "low": None, "high": None, "undefined": reason}
    rows = [
        scored("bar", 0.5, subset="small", trained_on="large"),
        scored("bar", 0.4, subset="large", trained_on="small"),
        scored("forest", 0.3, subset="small", trained_on="large"),
        scored("forest", 0.0, subset="large", trained_on="small") | missing,
    ]
    frame = pd.DataFrame(rows).assign(metric="kendall_tau").astype({"value": float, "low": float, "high": float})
    compared = nb.Comparison(find_protocol("transfer"), frame, {"norms on small and large": "norms failed; it has no graph"})
    text = "\n".join(sections.transfer(compared, tmp_path, {"small": 48, "large": 480}))
    assert "| `forest` | – | 0.300 (0.30 to 0.30) |" in text or "| `forest` | 0.300 (0.30 to 0.30) | – |" in text
    assert f"No value (–) for `forest`, small → large: {reason}." in text
    assert "No result for `norms on small and large`: norms failed." in text
    assert "small (48 networks): few networks to train on and to test" in text
    assert "Free parameters were chosen" not in text


def test_transfer_says_which_subset_free_parameters_were_chosen_on(tmp_path: Path) -> None:
    rows = [
        scored("bar", 0.5, subset="digits-lenet", trained_on="large") | {"metric": "kendall_tau"},
        scored("bar", 0.4, subset="large", trained_on="digits-lenet") | {"metric": "kendall_tau"},
    ]
    compared = nb.Comparison(find_protocol("transfer"), pd.DataFrame(rows), {})
    text = "\n".join(sections.transfer(compared, tmp_path, {}))
    assert "Free parameters were chosen on digits-lenet" in text
    assert "learning rate" not in text


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        ([0.917, 0.9166], "92% of the tested networks."),
        ([0.1, 0, 1], "0% to 100% of the tested networks, depending on the pair."),
    ],
)
def test_transfer_says_how_many_learning_rates_were_learnt_from(shares: list[float], said: str, tmp_path: Path) -> None:
    rows = [scored("bar", 0.5, subset="small", trained_on="large") | {"metric": "kendall_tau_in_folds"}]
    compared = nb.Comparison(find_protocol("transfer-apart"), pd.DataFrame(rows), {})
    text = "\n".join(sections.transfer(compared, tmp_path, {}, known_rates=shares))
    assert f"Its learning rate alone may have been: that holds for {said}" in text
