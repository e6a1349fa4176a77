"""The site: it builds strictly, has every public name, and answers a newcomer within two clicks from its front page."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from urllib.parse import urldefrag

import pytest

import nndynbench as nb
from nndynbench.cli import app

pytest.importorskip("mkdocs")

ROOT = Path(__file__).parents[1]
FRONT = "index.html"

# Questions of a newcomer, each with words from the main part of the page that answers it.
QUESTIONS = {
    "how to install it": "pip install",
    "the first score": "nndynbench evaluate degree-svm",
    "a method of one's own": "make_pipeline",
    "how to submit it": "A submission is one JSON file",
    "runs of one's own": "nndynbench predict checkpoints/",
    "how to cite it": "@software{nndynbench",
    "the licence": "CC BY 4.0",
    "the API of any name": "eigenvector_centrality",
    "what was found": "what distance adds to the bar",
    "what a column means": "accuracy on the test half of the test images, after the last epoch",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    # Not with --quiet: mkdocs would not count the warnings that it does not print, and a broken link would pass.
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


class Links(HTMLParser):
    """The addresses that a page links to, and its text."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.targets: set[str] = set()
        self.text = ""
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        address = dict(attrs).get("href") or ""
        if tag == "a" and address and not re.match(r"[a-z]+:", address):
            self.targets.add(urldefrag(address).url)

    def handle_data(self, data: str) -> None:
        self.text += data


def two_clicks_from_the_front(site: Path) -> set[str]:
    reached = {FRONT}
    for _ in range(2):
        for page in sorted(reached):
            links = {os.path.normpath((site / page).parent / target) for target in Links(site / page).targets if target}
            reached |= {os.path.relpath(link, site) for link in links if link.endswith(".html")}
    return reached


@pytest.mark.parametrize("question", list(QUESTIONS))
def test_a_newcomers_question_is_answered_within_two_clicks(question: str, site: Path) -> None:
    pages = [Links(site / page).text for page in two_clicks_from_the_front(site)]
    assert any(QUESTIONS[question] in " ".join(text.split()) for text in pages)


def test_no_page_is_further_than_two_clicks(site: Path) -> None:
    pages = {str(path.relative_to(site)) for path in site.rglob("*.html")} - {"404.html"}
    assert pages - two_clicks_from_the_front(site) == set()


@pytest.mark.parametrize(
    "module", [nb, nb.graphs, nb.centralities, nb.features, nb.signatures], ids=lambda module: module.__name__
)
def test_every_public_name_has_its_entry(module: ModuleType, site: Path) -> None:
    reference = "".join(path.read_text(encoding="utf-8") for path in (site / "reference").glob("*.html"))
    headings = set(re.findall(r'<h[23] id="[\w.]*?(\w+)" class="doc doc-heading"', reference))
    names = [name for name in module.__all__ if not isinstance(getattr(module, name), ModuleType)]
    assert [name for name in names if name not in headings and name != "__version__"] == []


def test_every_command_has_its_entry(site: Path) -> None:
    page = Links(site / "reference" / "commands.html").text
    names = [command.name for command in app.registered_commands]
    assert len(names) > 15
    assert [name for name in names if f"nndynbench {name}" not in page] == []


def test_no_page_shows_markdown_that_was_not_understood(site: Path) -> None:
    for page in site.rglob("*.html"):
        content = page.read_text(encoding="utf-8")
        assert "<p>```" not in content, page
        assert not re.search(r"\]\([\w/.-]+\.md", content), page
