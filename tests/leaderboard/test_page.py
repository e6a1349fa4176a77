"""The built page in a real browser: from a file, offline, on a phone, in the dark, by keyboard."""

from __future__ import annotations

import filecmp
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

import nndynbench as nb
from leaderboard.__main__ import app
from leaderboard.check import Accepted, check, submission_files
from leaderboard.page.libraries import as_classic_script
from leaderboard.page.site import words
from nndynbench.protocols.metrics import METRICS
from nndynbench.protocols.protocol import protocols
from nndynbench.protocols.worth import ceiling
from nndynbench.submissions import read_submission, submissions_of, write_submission
from tests.leaderboard.conftest import BUNDLED

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
PAGES = ["index.html", "methods/mine.html", "methods/degree-linear.html", "subsets/digits-lenet.html", "code/trivial.html"]
WITH_TWINS = "cifar10-lenet-diverse"
# Of a busy machine's browser; the usual half minute is too short for one.
PATIENCE_MS = 180_000
CEILING_LINE = ".mark-rule.role-mark line"
runner = CliRunner(env={"COLUMNS": "400"})


@pytest.fixture(scope="session")
def submitted_and_hostile(submitted: Path, digits: nb.Subset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The submissions, those for transfer, one on a subset with twins, and one from outside whose texts are HTML."""
    folder = Path(shutil.copytree(submitted, tmp_path_factory.mktemp("hostile") / "submissions"))
    result = nb.evaluate("validation-accuracy", digits, protocol="regression-folds", epochs=[1, 3])
    about = {"authors": [HOSTILE], "licence": "MIT", "code": "https://example.org/mine", "commit": "abcdef0", "seeds": [0]}
    for submission in submissions_of(result, method="mine", description=HOSTILE, **about):
        write_submission(submission, folder)
    widths = [digits, nb.load("digits-lenet-half"), nb.load("digits-lenet-double")]
    bundled = [
        nb.evaluate("training-loss", widths, protocol="transfer", epochs=3),
        nb.evaluate("validation-accuracy", widths[:2], protocol="transfer", epochs=3),
        nb.evaluate("validation-accuracy", WITH_TWINS, protocol="regression-folds", epochs=[1, 3]),
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
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the extra test")
    path = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("no Chromium is installed: apt-get install chromium")
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=path, args=FLAGS, timeout=PATIENCE_MS)
        yield chromium
        chromium.close()


class Watched:
    """A browser's page that remembers what it complained about, and whom it called."""

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
        if path.partition("#")[0] != "code/trivial.html":
            self.page.wait_for_selector(".chart[data-drawn]", state="attached")
        return self.page

    def column(self, title: str) -> list[str]:
        """A column's cells, top to bottom, without their intervals; a minus as Python reads it."""
        titles = [cell.inner_text().strip() for cell in self.page.query_selector_all("#scores-table thead th")]
        rows = self.page.query_selector_all("#scores-table tbody tr")
        cells = [row.query_selector_all("th, td")[titles.index(title)].inner_text() for row in rows]
        return [cell.strip().partition("\n")[0].partition(" (")[0].replace("−", "-") for cell in cells]

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


@pytest.mark.parametrize("path", PAGES)
def test_a_page_opens_from_a_file_and_calls_nobody(path: str, watched: Watched) -> None:
    page = watched.open(path)
    assert page.query_selector("h1").inner_text()
    assert page.title()


def test_the_table_shows_the_recomputed_scores(watched: Watched, submitted: Path, digits: nb.Subset) -> None:
    watched.open(FIRST)
    shown = dict(zip(watched.column("Method"), watched.column("R²"), strict=True))
    assert set(shown) == {"bar the bar", "training-loss trivial", "degree-linear", "constant trivial", "mine"}
    accepted = check(submitted / "degree-linear" / "digits-lenet.regression-folds.json")
    assert isinstance(accepted, Accepted)
    at = accepted.predictions[accepted.predictions["epochs"] == 3]
    error, spread = at["truth"] - at["prediction"], at["truth"] - at["truth"].mean()
    assert shown["degree-linear"] == f"{1 - (error**2).sum() / (spread**2).sum():.3f}"


def test_choosing_changes_the_table_and_the_address(watched: Watched) -> None:
    page = watched.open(FIRST)
    third = watched.column("R²")
    page.select_option("#budget", "1")
    assert watched.column("R²") != third
    assert page.inner_text("#scores-table caption") == "digits-lenet, regression-folds, after 1 epoch"
    page.select_option("#protocol", "classification")
    page.wait_for_selector("text=digits-lenet, classification, after 1 epoch")
    assert set(watched.column("Method")) == {"degree-svm", "training-loss trivial"}
    assert page.url.endswith("#subset=digits-lenet&protocol=classification&budget=1")
    address = page.url
    page.goto("about:blank")
    page.goto(address)
    page.wait_for_selector("text=digits-lenet, classification, after 1 epoch")


def test_sorting_by_mouse_and_by_keyboard(watched: Watched) -> None:
    page = watched.open(FIRST)
    page.click("#scores-table thead th:has-text('MAE')")
    errors = [float(cell) for cell in watched.column("MAE")]
    assert errors == sorted(errors)
    assert len(set(errors)) > 2
    page.focus("#scores-table thead th:has-text('MAE') [role=button]")
    page.keyboard.press("Enter")
    assert [float(cell) for cell in watched.column("MAE")] == sorted(errors, reverse=True)
    assert page.get_attribute("#scores-table thead th:has-text('MAE')", "aria-sort") == "descending"


def test_searching(watched: Watched) -> None:
    page = watched.open(FIRST)
    page.fill("input[type=search]", "degree")
    assert watched.column("Method") == ["degree-linear"]
    page.fill("input[type=search]", "nothing of the kind")
    assert "no row matches" in page.inner_text("#scores-table tbody")


def test_information_tiers_filter_the_rows(watched: Watched) -> None:
    page = watched.open(FIRST)
    page.uncheck("input[name=tier][value=curves]")
    page.uncheck("input[name=tier][value=hyperparameters]")
    assert set(watched.column("Method")) == {"degree-linear", "constant trivial"}
    assert {cell.inner_text() for cell in page.query_selector_all("#scores-table tbody th .interval")} == {
        "sees weights",
        "sees nothing",
    }


def test_the_chart_draws_what_is_ticked(watched: Watched) -> None:
    page = watched.open(FIRST)
    before = watched.drawn()
    assert before == page.locator("#scores-table input:checked").count() > 1
    lines = page.locator("#chart svg .mark-line path")
    assert lines.count() == before
    page.uncheck("input[aria-label='draw degree-linear']")
    page.wait_for_selector(f"#chart[data-drawn='{before - 1}']")
    assert lines.count() == before - 1
    page.click("#show-none")
    page.wait_for_selector("text=No method is drawn: tick some in the table.")
    page.check("input[aria-label='draw mine']")
    page.wait_for_selector("#chart[data-drawn='1']")
    page.select_option("#metric", "kendall_tau")
    page.wait_for_selector("#chart svg >> text=Kendall's τ")


def test_the_rank_correlation_among_the_trained_stands_beside(watched: Watched) -> None:
    page = watched.open(FIRST)
    beside = dict(zip(watched.column("Method"), watched.column("τ, trained"), strict=True))
    page.select_option("#protocol", "trained")
    page.wait_for_selector("text=digits-lenet, trained, after 3 epochs")
    assert beside == dict(zip(watched.column("Method"), watched.column("Kendall's τ"), strict=True))
    assert len(set(beside.values())) > 2


def test_the_first_view_is_sorted_by_what_a_method_adds(watched: Watched) -> None:
    page = watched.open(FIRST)
    titles = [cell.inner_text().strip() for cell in page.query_selector_all("#scores-table thead th")]
    assert titles[:5] == ["Chart", "Method", "Added", "R²", "τ, trained"]
    rows = [tuple(map(float, row)) for row in zip(watched.column("Added"), watched.column("R²"), strict=True)]
    assert [added for added, _ in rows] == sorted((added for added, _ in rows), reverse=True)
    page = watched.open("index.html")
    assert (page.input_value("#subset"), page.input_value("#protocol")) == (WITH_TWINS, "regression-folds")


def test_an_unfinished_version_and_how_it_was_trained_are_said(watched: Watched) -> None:
    manifest = nb.load(WITH_TWINS).manifest
    for path in (f"index.html#subset={WITH_TWINS}&protocol=regression-folds", f"subsets/{WITH_TWINS}.html"):
        said = watched.open(path).inner_text("main")
        assert manifest.version in said
        assert f"{manifest.networks} of {manifest.networks_planned} networks" in said
        assert words()["regimes"][manifest.regime] in said
        assert ("This version is unfinished" in said) == (int(manifest.version[0]) < 1)


def test_the_ceiling_is_drawn_and_stands_below_the_scores(watched: Watched) -> None:
    page = watched.open(f"index.html#subset={WITH_TWINS}&protocol=regression-folds&budget=3")
    expected = {metric: f"{ceiling(nb.load(WITH_TWINS).networks, metric):.3f}" for metric in ("r2", "mae", "rmse")}
    below = page.locator("#scores-table tfoot tr > *").all_inner_texts()
    titles = [cell.inner_text().strip() for cell in page.query_selector_all("#scores-table thead th")]
    assert [below[titles.index(title)] for title in ("R²", "MAE", "RMSE")] == list(expected.values())
    for metric, value in expected.items():
        page.select_option("#metric", metric)
        page.wait_for_selector(f"#chart svg >> text=ceiling {value}")
        line, inside = (page.locator(f"#chart svg {part}").first.bounding_box() for part in (CEILING_LINE, ".background"))
        assert inside["y"] <= line["y"] <= inside["y"] + inside["height"]
        assert line["width"] == pytest.approx(inside["width"], abs=4)
    assert "ceiling" in page.inner_text("#chart-caption")
    page.select_option("#metric", "kendall_tau")
    page.wait_for_selector("#chart svg >> text=Kendall's τ")
    assert page.locator(f"#chart svg {CEILING_LINE}").count() == 0


TRANSFER = "index.html#subset=digits-lenet&protocol=transfer&budget=3"


def matrix(page: Any) -> dict[tuple[str, str], str]:
    """The shown matrix by (trained on, tested on), without intervals."""
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
    page.wait_for_selector("text=digits-lenet, regression-folds, after 3 epochs")
    assert page.locator("#matrix-section").is_hidden()
    assert page.locator("#chart-section").is_visible()


def test_a_methods_page_says_what_was_trained_on(watched: Watched) -> None:
    page = watched.open(TRANSFER)
    page.click("#scores-table >> text=training-loss from digits-lenet-half")
    page.wait_for_selector("h1")
    table = page.locator("[aria-label='Scores on digits-lenet, transfer']")
    assert set(table.locator("tbody th:first-child").all_inner_texts()) == {"digits-lenet-half", "digits-lenet-double"}


def test_gain_and_added_are_zero_for_the_bar_itself(watched: Watched) -> None:
    watched.open(FIRST)
    gains, additions = (dict(zip(watched.column("Method"), watched.column(c), strict=True)) for c in ("Gain", "Added"))
    assert (gains["bar the bar"], additions["bar the bar"]) == ("0.000", "0.000")
    assert float(gains["degree-linear"]) < 0
    assert float(additions["training-loss trivial"]) == pytest.approx(0, abs=0.05)


def test_the_papers_figures_are_reference_rows(watched: Watched) -> None:
    page = watched.open("index.html#subset=cifar10-lenet&protocol=classification&budget=5")
    page.wait_for_selector("tr.paper")
    assert "> 0.930" in watched.column("accuracy")
    page.select_option("#protocol", "regression")
    page.wait_for_selector("text=Table 4, epochs 3-5")
    assert (watched.column("MAE"), watched.column("R²")) == (["17.1"], ["0.670"])


def test_a_link_leads_to_the_method_and_back(watched: Watched) -> None:
    page = watched.open(FIRST)
    page.click("#scores-table >> text=degree-linear")
    page.wait_for_selector(".chart svg")
    assert page.inner_text("h1") == "degree-linear"
    page.click("h2 >> text=regression-folds")
    page.wait_for_selector("text=digits-lenet, regression-folds, after 3 epochs")


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


@pytest.mark.parametrize("path", [*PAGES, TRANSFER])
def test_a_phone_shows_a_page_without_scrolling_sideways(path: str, browser: Any, site: Path) -> None:
    phone = Watched(browser, site, viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    page = phone.open(path)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert phone.complaints == []
    page.close()


def test_the_dark_scheme_is_dark(browser: Any, site: Path) -> None:
    night = Watched(browser, site, color_scheme="dark")
    page = night.open(FIRST)
    colours = "getComputedStyle(document.querySelector('{}')).{}"
    background = page.evaluate(colours.format("body", "backgroundColor"))
    text = page.evaluate(colours.format("#scores-table tbody td", "color"))
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
    # Preloading style sheets is a call that the page's own policy forbids, and that axe does not need here.
    found = axe.Axe().run(page, options={"preload": False}).response["violations"]
    serious = [(issue["id"], issue["nodes"][0]["html"]) for issue in found if issue["impact"] in ("serious", "critical")]
    assert serious == []
    page.close()


def test_a_refused_file_changes_no_page(submitted_and_hostile: Path, site: Path, scores: Path, tmp_path: Path) -> None:
    submissions = Path(shutil.copytree(submitted_and_hostile, tmp_path / "submissions"))
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
    assert done.exit_code == 1
    assert "left out" in done.output
    assert "evil/x.json" in done.output


def test_a_folder_with_something_else_is_left_alone(submissions: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    done = build(submissions, tmp_path, tmp_path / "scores")
    assert isinstance(done.exception, FileExistsError)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_the_page_has_words_for_every_metric_and_protocol() -> None:
    assert set(words()["metrics"]) == set(METRICS)
    assert set(words()["protocols"]) == set(protocols())
    assert set(words()["regimes"]) == {"full", "diverse", "reduced"}


def test_a_module_without_default_export_is_an_error() -> None:
    assert "window.A=x;" in as_classic_script("const x=1;export{x as default};", "A")
    with pytest.raises(ValueError, match="exports no default"):
        as_classic_script("const x=1;export{x as y};", "A")
