"""The built page in a real browser: from a file, offline, on a phone, in the dark, by keyboard."""

from __future__ import annotations

import filecmp
import json
import re
import shutil
import zipfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import Result
from typer.testing import CliRunner

import nndynbench as nb
from leaderboard.__main__ import app
from leaderboard.board import View, without_ranks
from leaderboard.check import Accepted, Refusal, check, submission_files
from leaderboard.facts import board_facts
from leaderboard.page.headline import answers
from leaderboard.page.libraries import as_classic_script
from leaderboard.page.site import words
from leaderboard.page.view_data import as_text, paper_link
from leaderboard.scores import Leading
from leaderboard.shown import number
from leaderboard.standing import STANDING_NAME, STANDINGS, AuditScore, add_record
from leaderboard.store import Store
from nndynbench.protocols.method import method_names
from nndynbench.protocols.metrics import METRICS
from nndynbench.protocols.protocol import protocols
from nndynbench.protocols.scoring import Estimate
from nndynbench.protocols.worth import ceiling, ceiling_interval
from nndynbench.submissions import read_submission, submissions_of, write_submission
from tests.leaderboard.conftest import BUNDLED
from tests.oracles import blended_rises

HOSTILE = '<img src=x onerror="alert(1)"></script><script>alert(2)</script>'
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
]
PAGES = [
    "index.html",
    "about.html",
    "methods/index.html",
    "methods/mine.html",
    "methods/degree-linear.html",
    "subsets/index.html",
    "subsets/digits-lenet.html",
    "code/trivial.html",
]
SCREENS = [(width, scheme) for width in (1440, 1280, 390) for scheme in ("light", "dark")]
HEIGHTS = {1440: 900, 1280: 900, 390: 844}
FIRST_VIEW_BYTES = 300_000
# The edges of each cell of some rows: left, right, top, bottom.
BOXES = """rows => [...document.querySelectorAll(`#scores-table ${rows}`)].map((row) =>
    [...row.cells].map((cell) => cell.getBoundingClientRect()).map((box) => [box.left, box.right, box.top, box.bottom]))
"""
WITH_TWINS = "cifar10-lenet-diverse"
# How long to wait for the browser; on a busy machine, the usual half minute is too short.
PATIENCE_MS = 180_000
CEILING_LINE = ".mark-rule.role-mark line"
AUDIT: dict[str, Any] = {
    "zoo_seed": 634174743,
    "networks": 240,
    "draws": 1,
    "scores": [
        AuditScore(budget=1, metric="r2", claimed=0.5, claimed_interval=(0.4, 0.6), fresh=0.55, fresh_interval=(0.5, 0.6)),
        AuditScore(budget=3, metric="r2", claimed=0.7, claimed_interval=(0.6, 0.8), fresh=0.25, fresh_interval=(0.1, 0.4)),
        AuditScore(budget=3, metric="mae", claimed=9.0, claimed_interval=(8.0, 10.0), fresh=7.5, fresh_interval=(7.0, 8.0)),
        AuditScore(budget=3, metric="kendall_tau", claimed=0.5, fresh=None),
    ],
}
runner = CliRunner(env={"COLUMNS": "400"})


@pytest.fixture(scope="session")
def submitted_and_hostile(submitted: Path, digits: nb.Subset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The submissions, those for transfer, one on a subset with twins, and one from outside whose texts are HTML."""
    folder = Path(shutil.copytree(submitted, tmp_path_factory.mktemp("hostile") / "submissions"))
    result = nb.evaluate("validation-accuracy", digits, protocol="regression-folds", budgets=[1, 3], sealed=False)
    about = {"authors": [HOSTILE], "licence": "MIT", "code": "https://example.org/mine", "commit": "abcdef0", "seeds": [0]}
    for submission in submissions_of(result, method="mine", description=HOSTILE, **about):
        write_submission(submission, folder)
    add_record(folder / "degree-linear" / "digits-lenet.regression-folds.json", "audited", **AUDIT)
    widths = [digits, nb.load("digits-lenet-half"), nb.load("digits-lenet-double")]
    bundled = [
        nb.evaluate("training-loss", widths, protocol="transfer", budgets=3),
        nb.evaluate("validation-accuracy", widths[:2], protocol="transfer", budgets=3),
        nb.evaluate("validation-accuracy", WITH_TWINS, protocol="regression-folds", budgets=[1, 3]),
    ]
    for result in bundled:
        for submission in submissions_of(result, code="baselines/trivial.py", **BUNDLED):
            write_submission(submission, folder)
    return folder


@pytest.fixture(scope="session")
def scores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all builds here keep their scores."""
    return tmp_path_factory.mktemp("scores")


@pytest.fixture(scope="session")
def site(submitted_and_hostile: Path, scores: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(submitted_and_hostile, tmp_path_factory.mktemp("site") / "site", scores)


def build(submissions: Path, out: Path, scores: Path) -> Result:
    options = {"--out": out, "--submissions": submissions, "--scores": scores, "--jobs": 1}
    return runner.invoke(app, ["build", *(str(word) for option in options.items() for word in option)])


def built(submissions: Path, out: Path, scores: Path) -> Path:
    done = build(submissions, out, scores)
    assert out.is_dir(), done.output
    return out


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, from the extra test")
    path = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("no Chromium is installed: apt-get install chromium")
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=path, args=FLAGS, timeout=PATIENCE_MS)
        yield chromium
        chromium.close()


class Watched:
    """A browser's page that remembers what it complained about, and which addresses it requested."""

    def __init__(self, browser: Any, site: Path, **options: Any) -> None:
        self.site = site
        self.page = browser.new_page(**{"viewport": {"width": 1280, "height": 900}, **options})
        self.page.set_default_timeout(PATIENCE_MS)
        self.complaints: list[str] = []
        self.elsewhere: list[str] = []
        self.page.on("console", lambda m: self.complaints.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.complaints.append(dialog.message), dialog.dismiss()))
        self.page.on("request", lambda r: self.elsewhere.append(r.url) if not r.url.startswith(("file:", "data:")) else None)

    def open(self, path: str) -> Any:
        self.page.goto(f"{self.site.as_uri()}/{path}")
        if path.startswith("index.html"):
            self.page.wait_for_selector("#scores-table")
        return self.page

    def chart(self) -> Any:
        """The first chart, scrolled into view, since only then it is drawn."""
        chart = self.page.locator(".chart").first
        chart.scroll_into_view_if_needed()
        self.page.wait_for_selector(".chart[data-drawn]")
        return chart

    def titles(self) -> list[str]:
        return [cell.inner_text().strip() for cell in self.page.query_selector_all("#scores-table thead tr:first-child th")]

    def column(self, title: str, rows: str = "tbody tr:not(.group)") -> list[str]:
        """A column's cells, from top to bottom, without intervals, and with a minus that Python reads."""
        place = self.titles().index(title)
        found = self.page.query_selector_all(f"#scores-table {rows}")
        # A row that says why there are no rows has one cell.
        cells = [row.query_selector_all("th, td")[: place + 1][-1].inner_text() for row in found]
        return [cell.strip().partition("\n")[0].partition(" (")[0].replace("−", "-") for cell in cells]

    def by_method(self, title: str) -> dict[str, str]:
        """A column of all rows, those of references included, keyed by the cell under Method."""
        rows = "tr:not(.group):not(:has(th[scope=col]))"
        return dict(zip(self.column("Method", rows), self.column(title, rows), strict=True))

    def drawn(self) -> int:
        return int(self.page.get_attribute("#chart", "data-drawn"))


@pytest.fixture
def watched(browser: Any, site: Path) -> Iterator[Watched]:
    opened = Watched(browser, site)
    yield opened
    assert opened.complaints == []
    assert opened.elsewhere == []
    opened.page.close()


FIRST = "index.html#subset=digits-lenet&protocol=regression-folds&budget=3"
BAR, CURVES, MINE = "bar the bar", "curve-extrapolation the curves alone", "mine not sealed"


@pytest.mark.parametrize("path", PAGES)
def test_a_page_opens_from_a_file_calls_nobody_and_leads_to_all_others(path: str, watched: Watched) -> None:
    page = watched.open(path)
    assert page.query_selector("h1").inner_text()
    assert page.title()
    names = page.locator("nav > *").all_inner_texts()
    assert names == ["Board", "Methods", "Subsets", "Submit", "Cite", "Paper", "Docs", "Data", "Code"]


def test_the_table_shows_the_recomputed_scores(watched: Watched, submitted: Path, digits: nb.Subset) -> None:
    watched.open(FIRST)
    shown = watched.by_method("R²")
    assert set(shown) == {BAR, CURVES, "training-loss", "degree-linear", "constant", MINE}
    accepted = check(submitted / "degree-linear" / "digits-lenet.regression-folds.json")
    assert isinstance(accepted, Accepted)
    predictions = accepted.predictions()
    at = predictions[predictions["budget"] == 3]
    error, spread = at["truth"] - at["prediction"], at["truth"] - at["truth"].mean()
    assert shown["degree-linear"] == f"{1 - (error**2).sum() / (spread**2).sum():.3f}"


def test_choosing_changes_the_table_and_the_address(watched: Watched) -> None:
    page = watched.open(FIRST)
    third = watched.column("R²")
    page.select_option("#budget", "1")
    assert watched.column("R²") != third
    assert page.text_content("#scores-table caption") == "digits-lenet, regression-folds, after 1 epoch"
    page.select_option("#protocol", "classification")
    page.wait_for_selector("#scores-table:has-text('digits-lenet, classification, after 1 epoch')")
    assert set(watched.column("Method")) == {"degree-svm", "training-loss"}
    assert page.url.endswith("#subset=digits-lenet&protocol=classification&budget=1")


def test_filters_columns_and_the_sort_are_in_the_address(watched: Watched) -> None:
    page = watched.open(FIRST)
    page.click("#scores-table thead >> text=Added to the bar")
    page.uncheck("input[name=reads][value=hyperparameters]")
    page.fill("#find", "degree")
    page.click("summary >> text=Columns")
    page.check("#all-columns input[value=mae]")
    page.uncheck("#all-columns input[value=links]")
    titles, names = watched.titles(), watched.column("Method")
    assert {"sees=weights,curves", "find=degree", "sort=added-bar"} <= set(page.url.partition("#")[2].split("&"))
    address = page.url
    page.goto("about:blank")
    page.goto(address)
    page.wait_for_selector("#scores-table")
    assert (watched.titles(), watched.column("Method")) == (titles, names)
    assert ("MAE" in titles, "Links" in titles, names) == (True, False, ["degree-linear"])
    assert page.get_attribute("#scores-table th:has-text('Added to the bar')", "aria-sort") == "descending"
    page.click("summary >> text=Columns")
    page.click("#usual-columns")
    assert "Links" in watched.titles()


def test_sorting_by_mouse_and_by_keyboard(watched: Watched) -> None:
    page = watched.open(f"{FIRST}&columns=r2,mae")
    page.click("#scores-table thead th:has-text('MAE') button")
    shown = "tbody.method tr"
    errors = [float(cell) for cell in watched.column("MAE", shown)]
    assert errors == sorted(errors)
    assert page.get_attribute("#scores-table thead th:has-text('MAE')", "aria-sort") == "ascending"
    page.keyboard.press("Enter")
    assert [float(cell) for cell in watched.column("MAE", shown)] == sorted(errors, reverse=True)
    assert page.get_attribute("#scores-table thead th:has-text('MAE')", "aria-sort") == "descending"


def test_an_empty_view_says_why(watched: Watched) -> None:
    page = watched.open(FIRST)
    page.fill("#find", "degree")
    assert watched.column("Method") == ["degree-linear"]
    assert page.inner_text("#count") == "1 of 4 rows"
    page.fill("#find", "nothing of the kind")
    assert watched.column("Method") == ["No method matches “nothing of the kind”."]
    page.fill("#find", "")
    for read in ("weights", "curves"):
        page.uncheck(f"input[name=reads][value={read}]")
    assert watched.column("Method", "tbody.method tr") == ["No method sees so little: also allow weights or curves."]


def test_what_methods_read_filters_rows_and_leave_the_references(watched: Watched) -> None:
    page = watched.open(FIRST)
    page.uncheck("input[name=reads][value=curves]")
    page.uncheck("input[name=reads][value=hyperparameters]")
    assert set(watched.by_method("R²")) == {BAR, CURVES, "degree-linear", "constant"}
    assert set(page.locator("#scores-table tbody .sees").all_inner_texts()) == {"sees weights", "sees nothing"}


def test_trivial_rows_stand_in_a_group_of_their_own_without_a_rank(watched: Watched) -> None:
    page = watched.open(FIRST)
    assert page.locator("#scores-table tbody").count() == 2
    assert set(watched.column("Method", "tbody.method tr")) == {"degree-linear", MINE}
    assert set(watched.column("Method", "tbody.trivial tr:not(.group)")) == {"constant", "training-loss"}
    assert page.inner_text("#scores-table tbody.trivial tr.group").startswith("Trivial methods")
    assert all(rank == "" for name, rank in watched.by_method("Rank").items() if name not in ("degree-linear", MINE))


def test_the_first_view_is_sorted_by_the_main_metric_with_added_beside_it(watched: Watched) -> None:
    page = watched.open(FIRST)
    titles = ["Chart", "Rank", "Method", "R²", "Added to the bar", "Added to the curves alone", "τ, trained"]
    assert watched.titles() == [*titles, "Standing", "Date", "Links"]
    scores = [float(score) for score in watched.column("R²", "tbody.method tr")]
    assert scores == sorted(scores, reverse=True)
    assert [int(rank) for rank in watched.column("Rank", "tbody.method tr")] == [1, 2]
    page = watched.open("index.html")
    assert (page.input_value("#subset"), page.input_value("#protocol")) == (WITH_TWINS, "regression-folds")


def test_the_chart_draws_what_the_table_shows_first_and_what_is_ticked(watched: Watched) -> None:
    page = watched.open(FIRST)
    assert page.locator("#scores-table input:checked").count() == 6  # two references, and the first four
    chart = watched.chart()
    lines = chart.locator("svg .mark-line path")
    assert watched.drawn() == lines.count() == 6
    page.uncheck("input[aria-label='draw degree-linear']")
    page.wait_for_selector("#chart[data-drawn='5']")
    page.click("#show-none")
    page.wait_for_selector("text=No method is drawn: tick some in the table.")
    page.check("input[aria-label='draw mine']")
    page.wait_for_selector("#chart[data-drawn='1']")
    page.select_option("#metric", "kendall_tau_in_folds")
    page.wait_for_selector("#chart svg >> text=Kendall's τ in folds")


def test_the_rank_correlation_among_the_trained_stands_beside(watched: Watched) -> None:
    page = watched.open(FIRST)
    beside = watched.by_method("τ, trained")
    page.select_option("#protocol", "trained")
    page.wait_for_selector("#scores-table:has-text('digits-lenet, trained, after 3 epochs')")
    assert beside == watched.by_method("Kendall's τ in folds")
    assert len(set(beside.values())) > 2


def test_the_front_page_says_what_weights_add_on_each_subset(watched: Watched) -> None:
    page = watched.open("index.html")
    assert page.inner_text("h1").startswith("What do a network's first weights know")
    # Headlines are of five epochs, which no submission here has, so only the board is shown.
    assert page.locator(".answers").count() == 0
    assert page.get_attribute("text=All predictions (ZIP)", "href") == "submissions.zip"


def test_a_view_opens_at_the_last_budget_that_most_rows_have() -> None:
    def entry(*budgets: int) -> Any:
        return SimpleNamespace(scores=dict.fromkeys(budgets))

    def opened(*entries: Any, paper: int = 15) -> int:
        return View(protocols()["classification"], "digits-lenet", entries, paper=[{"budget": paper}]).opens_at

    assert opened(entry(1, 2), entry(1, 2), entry(2, 9)) == 2
    assert opened(entry(1), entry(9)) == 9
    assert opened() == 15


VERIFIED = {
    "bar": ("validation-accuracy", "baselines/bar.py"),
    "curve-extrapolation": ("training-loss", "baselines/learning_curves.py"),
    "degree-linear": ("degree-linear", "baselines/signatures.py"),
}


def test_the_front_pages_number_is_what_the_best_blend_with_weights_adds_at_5_epochs(
    digits: nb.Subset, scores: Path, tmp_path: Path
) -> None:
    """Trivial methods stand in for the references. Oracle: numpy's least squares on the predictions themselves."""
    said, folder = {}, tmp_path / "submissions"
    for name, (method, code) in VERIFIED.items():
        result = nb.evaluate(method, digits, protocol="regression-folds", budgets=5)
        said[name] = result.predictions.set_index("network").loc[digits.network_ids]
        [submission] = submissions_of(result, method=name, code=code, **BUNDLED)
        add_record(write_submission(submission, folder), "rerun")
    page = (built(folder, tmp_path / "site", scores) / "index.html").read_text(encoding="utf-8")
    [shown] = re.findall(r'<ul class="answers".*?</ul>', page, re.DOTALL)
    own, truth, fold = (said["degree-linear"][column].to_numpy() for column in ("prediction", "truth", "fold"))
    total = np.sum((truth - truth.mean()) ** 2)
    for name in ("bar", "curve-extrapolation"):
        value = min(blended_rises(own, said[name]["prediction"].to_numpy(), truth, fold)) / total
        assert re.search(rf'<b class="\w*">{number(value)}</b> to <a href="methods/degree-linear.html"', shown), name
    assert "the weights of the first 5 epochs add" in page


def test_answers_are_of_the_headlines_protocols_in_the_order_of_the_subsets_that_are_shown_first() -> None:
    two = {"a": Leading("a", Estimate(0.02, 0.01, 0.03), 4, 0.001, 0.015)}
    view = View(protocols()["regression-folds"], "digits-lenet", [], leading={5: two})
    other = View(protocols()["regression-folds"], WITH_TWINS, [], leading={5: two})
    assert [answer.subset for answer in answers([view, other])] == [WITH_TWINS, "digits-lenet"]
    assert answers([View(protocols()["blocked"], "digits-lenet", [], leading={5: two})]) == []


def test_a_subset_of_seeds_is_answered_for_by_which_seed_ends_best() -> None:
    two = {"a": Leading("a", Estimate(0.02, 0.01, 0.03), 4, 0.001, 0.015)}
    seeds, others = (
        View(protocols()[protocol], subset, [], leading={5: two})
        for protocol, subset in (("seeds", "digits-lenet-seeds"), ("regression-folds", "digits-lenet"))
    )
    both = View(protocols()["regression-folds"], "digits-lenet-seeds", [], leading={5: two})
    found = {answer.subset: answer.metric for answer in answers([others, both, seeds])}
    assert found == {"digits-lenet-seeds": "R² within recipes", "digits-lenet": "R²"}


def test_what_is_shown_first_is_there() -> None:
    last = board_facts().first[-1]
    assert last.protocol in protocols()
    assert last.subset in nb.subsets().index
    bundled = set(method_names())
    assert all(bundled & set(reference.methods) for reference in board_facts().references)


@pytest.fixture(scope="module")
def drawn_again(digits: nb.Subset, scores: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page whose bar (a stand-in) is scored under two draws of the folds, and a method under the first."""
    folder = tmp_path_factory.mktemp("drawn")
    for method, draws, name, code in (
        ("hyperparameters", 2, "bar", "baselines/bar.py"),
        ("training-loss", 1, "training-loss", "baselines/trivial.py"),
        ("degree-linear", 2, "degree-linear", "baselines/signatures.py"),
    ):
        result = nb.evaluate(method, digits, protocol="regression-folds", budgets=3, draws=draws)
        for submission in submissions_of(result, method=name, code=code, **BUNDLED):
            write_submission(submission, folder / "submissions")
    return built(folder / "submissions", folder / "site", scores)


def test_a_row_says_how_many_draws_of_the_folds_it_rests_on(drawn_again: Path) -> None:
    table = pd.read_csv(drawn_again / "data" / "digits-lenet.regression-folds.csv").set_index("method")
    assert table["draws"].to_dict() == {"bar": 2, "training-loss": 1, "degree-linear": 2}
    assert "(2 draws of the folds)" in (drawn_again / "methods" / "degree-linear.html").read_text(encoding="utf-8")
    assert "draws of the folds)" not in (drawn_again / "methods" / "training-loss.html").read_text(encoding="utf-8")


def test_a_row_of_fewer_draws_than_the_references_is_marked(drawn_again: Path, browser: Any) -> None:
    page = Watched(browser, drawn_again).open("index.html#subset=digits-lenet&protocol=regression-folds&budget=3")
    marked = page.locator("#scores-table tr", has=page.locator(".badge", has_text="1 draw")).all()
    assert ["training-loss" in row.inner_text() for row in marked] == [True]


def test_the_table_and_the_predictions_are_downloads(site: Path, watched: Watched, submitted_and_hostile: Path) -> None:
    page = watched.open(FIRST)
    assert page.get_attribute("#csv", "href") == "data/digits-lenet.regression-folds.csv"
    table = pd.read_csv(site / "data" / "digits-lenet.regression-folds.csv")
    at = table[(table["method"] == "degree-linear") & (table["budget"] == 3)].iloc[0]
    shown = watched.by_method("R²")["degree-linear"], watched.by_method("Added to the bar")["degree-linear"]
    assert shown == (f"{at['r2']:.3f}", f"{at['added_bar']:.3f}")
    with zipfile.ZipFile(site / "submissions.zip") as archive:
        name = "degree-linear/digits-lenet.regression-folds.json"
        assert archive.read(name) == (submitted_and_hostile / name).read_bytes()
        assert len(archive.namelist()) == len(submission_files(submitted_and_hostile))


def test_an_unfinished_version_and_how_it_was_trained_are_said(watched: Watched) -> None:
    manifest = nb.load(WITH_TWINS).manifest
    for path in (f"index.html#subset={WITH_TWINS}&protocol=regression-folds", f"subsets/{WITH_TWINS}.html"):
        said = watched.open(path).inner_text("main")
        assert manifest.version in said
        assert f"{manifest.networks} of {manifest.networks_planned} networks" in said
        assert words()["regimes"][manifest.regime] in said
        assert ("This version is unfinished" in said) == (int(manifest.version[0]) < 1)


def test_the_ceiling_is_drawn_and_stands_among_the_references(watched: Watched) -> None:
    page = watched.open(f"index.html#subset={WITH_TWINS}&protocol=regression-folds&budget=3&columns=r2,mae,rmse")
    networks, shown = nb.load(WITH_TWINS).networks, "what a recipe's mean can reach"
    expected = {metric: f"{ceiling(networks, metric):.3f}" for metric in ("r2", "mae", "rmse")}
    assert [watched.by_method(title)[shown] for title in ("R²", "MAE", "RMSE")] == list(expected.values())
    row = page.locator("#scores-table tr.ceiling").inner_text()
    for metric in expected:
        assert "({:.3f} to {:.3f})".format(*ceiling_interval(networks, metric)) in row
    watched.chart()
    for metric, value in expected.items():
        page.select_option("#metric", metric)
        page.wait_for_selector(f"#chart svg >> text=a recipe's mean can reach {value}")
        line, inside = (page.locator(f"#chart svg {part}").first.bounding_box() for part in (CEILING_LINE, ".background"))
        assert inside["y"] <= line["y"] <= inside["y"] + inside["height"]
        assert line["width"] == pytest.approx(inside["width"], abs=4)
    assert "A method that sees the run itself can do better" in page.inner_text("#chart-caption")
    page.select_option("#metric", "kendall_tau_in_folds")
    page.wait_for_selector("#chart svg >> text=Kendall's τ in folds")
    assert page.locator(f"#chart svg {CEILING_LINE}").count() == 0


TRANSFER = "index.html#subset=digits-lenet&protocol=transfer&budget=3"


def matrix(page: Any) -> dict[tuple[str, str], str]:
    """The matrix that is shown, keyed by (trained on, tested on), without intervals."""
    tested = page.locator("#matrix thead tr:last-child th").all_inner_texts()
    rows = [row.query_selector_all("th, td") for row in page.query_selector_all("#matrix tbody tr")]
    cells = [[cell.inner_text().split()[0] for cell in row] for row in rows]
    return {(row[0], name): value for row in cells for name, value in zip(tested, row[1:], strict=True)}


def test_transfer_is_a_matrix_of_subsets(watched: Watched, submitted_and_hostile: Path) -> None:
    page = watched.open(TRANSFER)
    page.select_option("#matrix-method", "training-loss")
    for metric in ("kendall_tau", "r2_rank_matched"):
        page.select_option("#matrix-metric", metric)
        expected = {}
        for path in (submitted_and_hostile / "training-loss").glob("*.transfer.json"):
            submission = read_submission(path)
            for score in submission.scores:
                if score.metric == metric:
                    expected[score.trained_on, submission.subset.name] = f"{score.value:.3f}".replace("-", "−")
        names = {name for pair in expected for name in pair}
        assert len(expected) == 6
        assert matrix(page) == expected | {(name, name): "–" for name in names}
    assert page.locator("#chart-section").is_hidden()


def test_a_matrix_is_chosen_by_keyboard_and_leaves_open_what_was_not_submitted(watched: Watched) -> None:
    page = watched.open(TRANSFER)
    page.focus("#matrix-method")
    page.keyboard.press("v")
    page.wait_for_selector("text=validation-accuracy, Kendall's τ, after 3 epochs")
    given = {pair for pair, value in matrix(page).items() if value != "–"}
    assert given == {("digits-lenet", "digits-lenet-half"), ("digits-lenet-half", "digits-lenet")}
    page.select_option("#protocol", "regression-folds")
    page.wait_for_selector("#scores-table:has-text('digits-lenet, regression-folds, after 3 epochs')")
    assert page.locator("#matrix-section").is_hidden()
    assert page.locator("#chart-section").is_visible()


def test_a_methods_page_says_what_was_trained_on(watched: Watched) -> None:
    page = watched.open(TRANSFER)
    page.click("#scores-table >> text=training-loss from digits-lenet-half")
    page.wait_for_selector("h1")
    table = page.locator("[aria-label='Scores on digits-lenet, transfer']")
    assert set(table.locator("tbody th:first-child").all_inner_texts()) == {"digits-lenet-half", "digits-lenet-double"}


def test_a_methods_page_shows_claimed_scores_beside_those_of_a_fresh_zoo_and_says_where_they_differ(
    watched: Watched,
) -> None:
    page = watched.open("methods/degree-linear.html")
    said = page.locator("section[aria-labelledby=audits]")
    assert (
        "Of 2 scores in the protocols' first metric, 1 lies outside the 95% interval of the claim: 0 better, 1 worse"
        in said.inner_text()
    )
    assert "240 networks trained with the seed 634174743" in said.inner_text()

    def shown(rows: Any) -> list[list[str]]:
        return [[" ".join(cell.split()) for cell in row.locator("th, td").all_inner_texts()] for row in rows.all()]

    first = said.locator("table").first.locator("tbody tr:not(:has(th[scope=rowgroup]))")
    assert shown(first) == [
        ["1", "0.500 (0.400 to 0.600)", "0.550 (0.500 to 0.600)", "inside"],
        ["3", "0.700 (0.600 to 0.800)", "0.250 (0.100 to 0.400)", "outside: worse"],
    ]
    page.click("summary >> text=In every metric")
    every = shown(said.locator("table").last.locator("tbody tr:not(:has(th[scope=rowgroup]))"))
    assert [row[1:] for row in every[2:]] == [
        ["MAE", "9.000 (8.000 to 10.0)", "7.500 (7.000 to 8.000)", "outside: better"],
        ["Kendall's τ", "0.500", "–", "–"],
    ]
    overview = page.locator("[aria-label='All results side by side'] tbody tr", has_text="regression-folds").first
    assert "0.250 outside: worse" in " ".join(overview.inner_text().split())
    assert "audited" in overview.inner_text()


def test_a_subsets_page_counts_what_a_fresh_zoo_said_of_all(watched: Watched) -> None:
    page = watched.open("subsets/digits-lenet.html")
    [row] = page.locator("[aria-label='Scores on fresh zoos'] tbody tr").all()
    assert row.locator("th, td").all_inner_texts() == ["regression-folds", "1", "1", "0", "1", "240", "634174743"]
    assert watched.open("subsets/digits-lenet-half.html").locator("#fresh").count() == 0


def test_a_method_without_an_audit_has_no_section_about_one(watched: Watched) -> None:
    assert watched.open("methods/constant.html").locator("#audits").count() == 0


def test_gain_and_added_are_zero_for_the_bar_itself(watched: Watched) -> None:
    watched.open(f"{FIRST}&columns=added-bar,gain-bar")
    gains, additions = watched.by_method("Gain over the bar"), watched.by_method("Added to the bar")
    assert (gains[BAR], additions[BAR]) == ("0.000", "0.000")
    assert float(gains["degree-linear"]) < 0
    assert float(additions["training-loss"]) == pytest.approx(0, abs=0.05)


def test_the_papers_figures_are_reference_rows(watched: Watched) -> None:
    page = watched.open("index.html#subset=cifar10-lenet&protocol=classification&budget=5")
    page.wait_for_selector("tr.paper")
    assert "> 0.930" in watched.column("accuracy", "tr.paper")
    page.select_option("#protocol", "regression")
    page.wait_for_selector("text=Table 4, epochs 3-5")
    assert (watched.column("MAE", "tr.paper"), watched.column("R²", "tr.paper")) == (["17.1"], ["0.670"])
    assert watched.column("MAE", "tbody.method tr") == [
        "No method is submitted here yet: only the paper's figures are shown."
    ]


def test_a_link_leads_to_the_method_and_back(watched: Watched) -> None:
    page = watched.open(FIRST)
    page.click("#scores-table >> text=degree-linear")
    page.wait_for_selector("h1 >> text=degree-linear")
    watched.chart()
    page.click("h2 >> text=regression-folds")
    page.wait_for_selector("#scores-table:has-text('digits-lenet, regression-folds, after 3 epochs')")


def test_every_link_of_every_page_leads_somewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 10
    for page in pages:
        for link in re.findall(r'(?:href|src)="([^"#]+)', page.read_text(encoding="utf-8")):
            if not link.startswith(("https://", "data:")):
                assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_html_in_a_text_is_shown_as_text(watched: Watched) -> None:
    page = watched.open("methods/mine.html")
    assert HOSTILE in page.inner_text("main")
    assert page.locator("img").count() == 0
    page = watched.open(FIRST)
    page.hover("tr:has-text('mine')")
    assert page.locator("img").count() == 0


BAD_ENTRIES: list[Any] = [
    None,
    3,
    [],
    {},
    {"scores": None},
    {"scores": {"3": None}},
    {"scores": {"3": {"r2": ["high", None, {}], "rank": {}, "added": 7, "gain": {"bar": "x"}, "trained_tau": [{}]}}},
    {"reads": None},
    {"reads": [None]},
    {"authors": [3]},
    {"method": None},
    {"source": {}},
    {"code": ["https://1.2.3.4.5/x"]},
    {"code": "https://1.2.3.4.5/x"},
    {"seconds": "long"},
    {"kind": 3},
    {"date": 20},
]


@pytest.mark.parametrize("place", ["first", "last"])
def test_a_bad_row_costs_no_other_row(browser: Any, site: Path, tmp_path: Path, place: str) -> None:
    copied = Path(shutil.copytree(site, tmp_path / "site"))
    data = copied / "data" / "digits-lenet.regression-folds.js"
    call = "window.receiveView("
    content = json.loads(data.read_text(encoding="utf-8").removeprefix(call).removesuffix(");\n"))
    good = next(entry for entry in content["entries"] if entry["method"] == "mine")
    bad = [
        {**good, "method": f"bad-{n}", **entry} if isinstance(entry, dict) and entry else entry
        for n, entry in enumerate(BAD_ENTRIES)
    ]
    content["entries"] = [*bad, *content["entries"]] if place == "first" else [*content["entries"], *bad]
    data.write_text(f"{call}{json.dumps(content)});\n", encoding="utf-8")
    shown = {}
    for folder in (site, copied):
        opened = Watched(browser, folder)
        for sort in ("r2", "-method", "seconds", "added-bar", "links"):
            opened.open(
                f"{FIRST}&sort={sort}&columns=rank,sees,r2,added-bar,gain-bar,standing,date,links,authors,seconds,draw"
            )
            shown[folder, sort] = opened.by_method("R²")
        opened.chart()
        counted = opened.page.inner_text("#count")
        assert opened.complaints == []
        opened.page.close()
    assert "more cannot be shown" in counted
    for (folder, sort), scores in shown.items():
        if folder == copied:
            assert shown[site, sort].items() <= scores.items()
            assert all(name.startswith("bad-") for name in scores.keys() - shown[site, sort].keys())


def test_a_row_that_was_not_fitted_sealed_says_so(watched: Watched, site: Path) -> None:
    page = watched.open(FIRST)
    [row] = page.locator("#scores-table tr", has=page.locator(".badge", has_text="not sealed")).all()
    assert row.locator("th a").inner_text() == "mine"
    assert "not sealed: fitted in the process" in (site / "methods" / "mine.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_every_screen_shows_the_main_columns_without_scrolling_sideways(
    width: int, scheme: str, browser: Any, site: Path
) -> None:
    phone = {"is_mobile": True, "has_touch": True} if width == 390 else {}
    seen = Watched(browser, site, viewport={"width": width, "height": HEIGHTS[width]}, color_scheme=scheme, **phone)
    for path in (*PAGES, TRANSFER, FIRST):
        page = seen.open(path)
        assert page.evaluate("document.documentElement.scrollWidth") == width, path
    assert page.evaluate("document.querySelector('#table').scrollWidth <= document.querySelector('#table').clientWidth")
    wanted = {"Rank", "Method", "R²", "Added to the bar"}
    assert wanted | ({"Standing", "Date", "Links"} if width > 390 else set()) <= set(seen.titles())
    first = page.locator("#scores-table tbody tr").first.bounding_box()
    assert first["y"] + first["height"] <= HEIGHTS[width]
    assert seen.complaints == []
    page.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_heads_stand_over_their_columns_and_references_over_no_row_however_it_is_scrolled(
    width: int, browser: Any, site: Path
) -> None:
    low = Watched(browser, site, viewport={"width": width, "height": 420})
    all_columns = (
        "draw,rank,r2,added-bar,added-curves,trained_tau,gain-bar,gain-curves,mae,rmse,kendall_tau_in_folds,standing,date"
    )
    for columns in ("", f"&columns={all_columns}"):
        page = low.open(FIRST + columns)
        page.evaluate("[...document.querySelectorAll('#scores-table tr')].at(-1).scrollIntoView({block: 'end'})")
        page.evaluate("document.querySelector('#table').scrollLeft = 1000")
        [heads, *references] = page.evaluate(BOXES, "thead tr")
        rows = page.evaluate(BOXES, "tbody tr:not(.group)")
        for row in (*references, *rows):
            assert [cell[:2] for cell in row] == [pytest.approx(head[:2], abs=1) for head in heads]
        tops = [row[0][2] for row in (heads, *references)]
        assert tops == sorted(tops)
        assert all(0 <= top < 420 for top in tops), "a reference row is out of sight"
        assert all(upper[0][3] <= lower[0][2] + 1 for upper, lower in pairwise(references))
        last = page.locator("#scores-table tbody tr").last.bounding_box()
        point = [last["x"] + 4, last["y"] + last["height"] / 2]
        assert page.evaluate("([x, y]) => document.elementFromPoint(Math.max(x, 20), y)?.closest('tbody') !== null", point)
    page.close()


def test_the_first_view_loads_little_and_its_chart_later(watched: Watched, site: Path) -> None:
    loaded: list[str] = []
    watched.page.set_viewport_size({"width": 1280, "height": 560})  # the tables of the real board are longer than this one
    watched.page.on("request", lambda request: loaded.append(request.url.partition("#")[0]))
    watched.open("index.html")
    sizes = {url: Path(url.removeprefix("file://")).stat().st_size for url in loaded if url.startswith("file:")}
    assert len(sizes) > 5
    assert sum(sizes.values()) <= FIRST_VIEW_BYTES
    assert not any("charts.js" in url for url in sizes)
    watched.chart()
    assert any("charts.js" in url for url in loaded)


def test_no_number_is_a_negative_zero(watched: Watched) -> None:
    page = watched.open(FIRST)
    written = "[-0.0004, -0.0006, 0, -12345, 1234.5, null].map(window.cells.number)"
    expected = ["0.000", "−0.001", "0.000", "−1.2e+4", "1235", "–"]
    assert page.evaluate(written) == expected
    assert [number(value) for value in (-0.0004, -0.0006, 0, None)] == ["0.000", "−0.001", "0.000", "–"]


def test_the_dark_scheme_is_dark(browser: Any, site: Path) -> None:
    night = Watched(browser, site, color_scheme="dark")
    page = night.open(FIRST)
    colours = "getComputedStyle(document.querySelector('{}')).{}"
    background = page.evaluate(colours.format("body", "backgroundColor"))
    text = page.evaluate(colours.format("#scores-table tbody th", "color"))
    assert sum(map(int, re.findall(r"\d+", background)[:3])) < 150 < 500 < sum(map(int, re.findall(r"\d+", text)[:3]))
    page.close()


@pytest.mark.parametrize(
    ("path", "scheme"),
    [("index.html", "dark"), (TRANSFER, "light"), (TRANSFER, "dark"), *((path, "light") for path in PAGES)],
)
def test_axe_finds_no_serious_issue(path: str, scheme: str, browser: Any, site: Path) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
    seen = Watched(browser, site, color_scheme=scheme)
    page = seen.open(path)
    # Preloading style sheets would be a request that the page's own policy forbids; axe does not need it here.
    found = axe.Axe().run(page, options={"preload": False}).response["violations"]
    serious = [(issue["id"], issue["nodes"][0]["html"]) for issue in found if issue["impact"] in ("serious", "critical")]
    assert serious == []
    page.close()


def test_a_refused_file_changes_no_page(submitted_and_hostile: Path, site: Path, scores: Path, tmp_path: Path) -> None:
    submissions = Path(shutil.copytree(submitted_and_hostile, tmp_path / "submissions"))
    shutil.copy(submitted_and_hostile.parent / STANDING_NAME, tmp_path)
    forged = submissions / "degree-svm" / "digits-lenet.regression.json"
    forged.write_text("[" * 10_000)
    (submissions / "evil").mkdir()
    (submissions / "evil" / "digits-lenet.regression-folds.json").write_text('{"method": "<script>"}')
    again = built(submissions, tmp_path / "site", scores)
    names = sorted(str(path.relative_to(site)) for path in site.rglob("*") if path.is_file())
    assert names == sorted(str(path.relative_to(again)) for path in again.rglob("*") if path.is_file())
    assert filecmp.cmpfiles(site, again, names, shallow=False)[1:] == ([], [])


def test_a_build_says_what_it_left_out(submissions: Path, scores: Path, tmp_path: Path) -> None:
    for path in submission_files(submissions)[1:]:
        path.unlink()
    (submissions / "evil").mkdir()
    (submissions / "evil" / "x.json").write_text("{}")
    done = build(submissions, tmp_path / "site", scores)
    assert done.exit_code == 0  # the other rows are published all the same
    assert "left out" in done.output
    assert "evil/x.json" in done.output


def test_a_folder_with_something_else_is_left_alone(submissions: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    done = build(submissions, tmp_path, tmp_path / "scores")
    assert isinstance(done.exception, FileExistsError)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_a_second_build_computes_nothing_again(
    submitted_and_hostile: Path, site: Path, scores: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def again(*_: Any, **__: Any) -> None:
        raise AssertionError("what was scored is scored again")

    for place in ("leaderboard.check.accepted_predictions", "leaderboard.units.score"):
        monkeypatch.setattr(place, again)
    second = built(submitted_and_hostile, tmp_path / "site", scores)
    assert (second / "data" / "digits-lenet.regression-folds.js").read_bytes() == (
        site / "data" / "digits-lenet.regression-folds.js"
    ).read_bytes()


def test_a_changed_file_or_subset_is_scored_again(submissions: Path, at_hand: dict[str, nb.Subset], tmp_path: Path) -> None:
    path, store = submissions / "constant" / "digits-lenet.regression-folds.json", Store(tmp_path)
    assert isinstance(check(path, at_hand, store), Accepted)
    assert isinstance(check(path, {}, store), Accepted)  # its subset is not among those at hand: it is loaded and scored
    path.write_text(path.read_text().replace('"metric":"r2","value":', '"metric":"r2","value":1', 1))
    assert isinstance(check(path, at_hand, store), Refusal)


def test_only_shows_a_method_beside_the_references(submissions: Path, scores: Path, tmp_path: Path) -> None:
    options = ["--out", str(tmp_path / "site"), "--submissions", str(submissions), "--scores", str(scores), "--jobs", "1"]
    done = runner.invoke(app, ["build", "--only", "degree-linear", *options])
    assert done.exit_code == 0, done.output
    view = (tmp_path / "site" / "data" / "digits-lenet.regression-folds.js").read_text()
    entries = json.loads(view.removeprefix("window.receiveView(").removesuffix(");\n"))["entries"]
    assert {entry["method"] for entry in entries} == {"degree-linear", "bar", "curve-extrapolation"}
    assert not (tmp_path / "site" / "methods" / "constant.html").exists()
    unknown = runner.invoke(app, ["build", "--only", "degree-liner", *options])
    assert "did you mean 'degree-linear'" in str(unknown.exception)


def test_only_takes_reference_rows_that_the_folder_lacks_from_those_at_hand_and_ranks_nothing(
    submitted: Path, scores: Path, tmp_path: Path
) -> None:
    own = tmp_path / "mine" / "degree-linear" / "digits-lenet.regression-folds.json"
    own.parent.mkdir(parents=True)
    shutil.copy(submitted / "degree-linear" / own.name, own)
    options = ["--submissions", str(tmp_path / "mine"), "--scores", str(scores), "--jobs", "1"]
    done = runner.invoke(app, ["build", "--only", "degree-linear", "--out", str(tmp_path / "site"), *options])
    assert done.exit_code == 0, done.output
    rows = pd.read_csv(tmp_path / "site" / "data" / "digits-lenet.regression-folds.csv").set_index("method")
    assert set(rows.index) == {"degree-linear", "bar", "curve-bar"}
    assert rows["rank"].isna().all()
    assert rows.loc["degree-linear", "gain_bar"].notna().all()
    assert (rows.loc["bar", "standing"] != "self-reported").all()


def test_a_strangers_text_is_no_formula_in_a_spreadsheet() -> None:
    said = ("=1+1", "@SUM(A1)", "Ada", "Ada; =1+1", "Ada;-1")  # where ";" ends a cell too
    assert [as_text(value) for value in said] == ["'=1+1", "'@SUM(A1)", "Ada", "Ada; '=1+1", "Ada;'-1"]


def test_the_paper_is_linked_where_a_source_names_it() -> None:
    assert paper_link("Rieck et al. 2019, arXiv 1812.09764") == "https://arxiv.org/abs/1812.09764"
    assert paper_link("Vahedian et al. 2022, doi 10.1145/3511808.3557628") == "https://doi.org/10.1145/3511808.3557628"
    assert paper_link("this benchmark") is None


def test_the_page_has_words_for_every_metric_and_protocol() -> None:
    assert set(words()["metrics"]) == set(METRICS)
    assert set(words()["protocols"]) == set(protocols())
    assert set(words()["regimes"]) == {"full", "diverse", "reduced"}
    assert tuple(words()["standings"]) == STANDINGS


def test_what_a_module_exports_is_dropped() -> None:
    assert "export" not in as_classic_script("const x=1;export{x as y};")


def test_the_references_stand_first_in_their_order(digits: nb.Subset, scores: Path, tmp_path: Path, browser: Any) -> None:
    for method, name, code in (
        ("hyperparameters", "bar", "baselines/bar.py"),
        ("validation-accuracy", "curve-bar", "baselines/bar.py"),
        ("curve-extrapolation", "curve-extrapolation", "baselines/learning_curves.py"),
    ):
        result = nb.evaluate(method, digits, protocol="regression-folds", budgets=3)
        for submission in submissions_of(result, method=name, code=code, **BUNDLED):
            write_submission(submission, tmp_path / "submissions")
    page = Watched(browser, built(tmp_path / "submissions", tmp_path / "site", scores)).open(FIRST)
    pinned = page.locator("#scores-table thead th[scope=row] a").all_inner_texts()
    assert pinned == ["bar", "curve-bar", "curve-extrapolation"]
    page.close()


def test_what_a_phone_folds_is_open_when_it_is_turned(browser: Any, site: Path) -> None:
    page = Watched(browser, site, viewport={"width": 390, "height": 844}).open(FIRST)
    assert page.locator("#subset").is_hidden()
    page.set_viewport_size({"width": 844, "height": 390})
    page.wait_for_selector("#subset", state="visible")
    page.close()


def test_a_page_of_a_few_methods_names_none_that_adds_most() -> None:
    two = {"bar": Leading("a", Estimate(0.02, 0.01, 0.03), 1, 0.001, 0.015)}
    view = View(protocols()["regression-folds"], "digits-lenet", [], leading={5: two})
    assert (len(answers([view])), answers(without_ranks([view]))) == (1, [])


def test_a_methods_page_names_the_commit_of_each_row(submissions: Path, scores: Path, tmp_path: Path) -> None:
    path = submissions / "degree-linear" / "digits-lenet.regression.json"
    path.write_text(path.read_text().replace("0" * 40, "1" * 40))
    page = (built(submissions, tmp_path / "site", scores) / "methods" / "degree-linear.html").read_text(encoding="utf-8")
    assert "2 commits, named with the scores" in page
    # regression-folds also serves trained and triage
    assert [page.count(f"<code>{digit * 12}</code>") for digit in "01"] == [3, 1]


def test_no_page_loads_the_chart_library_before_a_chart_is_seen(site: Path) -> None:
    assert [page.name for page in site.rglob("*.html") if "charts.js" in page.read_text(encoding="utf-8")] == []
