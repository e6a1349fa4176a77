"""Takes the pictures of the page in docs/: ``python -m tests.leaderboard.screenshots site/``, after a build."""

from __future__ import annotations

import shutil
import sys
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from tests.leaderboard.test_page import FLAGS

DOCS = Path(__file__).parents[2] / "docs"

TABLE = "#scores-table"

# name: (page, what it waits for, width, height, colour scheme)
PICTURES = {
    "leaderboard": ("index.html", TABLE, 1280, 1000, "light"),
    "leaderboard-phone": ("index.html", TABLE, 390, 844, "dark"),
    "leaderboard-subset": ("subsets/cifar10-lenet.html", ".chart[data-drawn]", 1000, 1250, "dark"),
}


def main(site: Path) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        for name, (page_name, awaited, width, height, scheme) in PICTURES.items():
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
            page.goto(f"{site.resolve().as_uri()}/{page_name}")
            # A chart is drawn once it comes into view; the table's pictures begin at the top of the page.
            page.locator(awaited.partition("[")[0]).first.scroll_into_view_if_needed()
            page.wait_for_selector(awaited, timeout=180_000)
            if awaited == TABLE:
                page.evaluate("window.scrollTo(0, 0)")
            picture = Image.open(BytesIO(page.screenshot())).convert("RGB").quantize(64)
            picture.save(DOCS / f"{name}.png", optimize=True)
            page.close()
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
