"""Builds the site: the board, a page per method and per subset, the bundled methods' code, and the data they draw."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Undefined, select_autoescape
from markupsafe import Markup

from leaderboard.board import View
from leaderboard.check import Accepted
from leaderboard.facts import board_facts
from leaderboard.page.archive import write_archive
from leaderboard.page.audits import Audit, audit_rows_of, audit_verdict, differs, fresh_zoos, is_told
from leaderboard.page.headline import answers, last_changed
from leaderboard.page.libraries import write_libraries
from leaderboard.page.method_page import parts_of
from leaderboard.page.subset_page import claims_on, page_facts
from leaderboard.page.view_data import as_csv, paper_link, plain
from leaderboard.shown import number
from leaderboard.standing import STANDINGS, StandingRecord, by_file
from leaderboard.store import Store
from nndynbench.citing import citation, package_bibtex, paper_bibtex
from nndynbench.numbers import NOTHING
from nndynbench.protocols.method import baselines_folder
from nndynbench.protocols.metrics import METRICS
from nndynbench.protocols.protocol import protocols
from nndynbench.protocols.scoring import Estimate
from nndynbench.storage.files import folder_written_whole
from nndynbench.storage.versions import is_unfinished
from nndynbench.submissions import json_schema
from nndynbench.subsets import Subset
from nndynbench.subsets.history import READABLE

# Its τ stands beside the scores of the protocol whose predictions it ranks.
TRAINED = "trained"

ASSETS = ("style.css", "cells.js", "charting.js", "matrix.js", "table.js", "board.js", "pages.js")
METHODS, PAPER = "method", "paper"
ARCHIVE = "submissions.zip"


@dataclass(frozen=True)
class BoardContent:
    """What a site is built from. ``only``: the methods that it is about, where it does not show all of them."""

    views: Sequence[View]
    accepted: Sequence[Accepted]
    subsets: Mapping[str, Subset]
    records: list[StandingRecord]
    only: Sequence[str] = ()

    def by_method(self) -> dict[str, list[Accepted]]:
        """The submissions of each method."""
        found: dict[str, list[Accepted]] = {}
        for a in self.accepted:
            found.setdefault(a.submission.method, []).append(a)
        return found


class _Writer:
    """Writes pages from templates into a folder, each with ``shared`` and a content of its own."""

    def __init__(self, out: Path, shared: Mapping[str, Any]) -> None:
        self.out, self.shared, self.templates = out, shared, _templates()

    def write(self, path: str, template: str, **own: Any) -> None:
        target = self.out / path
        target.parent.mkdir(parents=True, exist_ok=True)
        text = self.templates.get_template(template).render(up="../" * path.count("/"), **self.shared, **own)
        target.write_text(text, encoding="utf-8")


def build_site(out: Path, content: BoardContent, *, store: Store = Store()) -> Path:  # noqa: B008 (frozen)
    """Write the site into a folder; an older one there is replaced when the new one is whole.

    Raises
    ------
    FileExistsError
        For a folder with something else in it.
    """
    need_free_or_older(out)
    with folder_written_whole(out) as fresh:
        libraries = write_libraries(fresh / "assets", store.folder)
        _write_site(fresh, content, libraries)
        write_archive(fresh / ARCHIVE, content.accepted, older=out / ARCHIVE)
    return out / "index.html"


def need_free_or_older(out: Path) -> None:
    """Raise FileExistsError for a folder that holds something else than an older page."""
    if out.exists() and any(out.iterdir()) and not (out / "assets" / "board.js").is_file():
        raise FileExistsError(f"{out} holds something other than an older page: choose another folder")


def _write_site(out: Path, content: BoardContent, libraries: Mapping[str, str]) -> None:
    for asset in ASSETS:
        (out / "assets" / asset).write_bytes(files("leaderboard.page").joinpath("assets", asset).read_bytes())
    data = _data(content.views)
    _write_data(out / "data", content.views, data)
    pages = _Writer(
        out,
        {
            "words": words(),
            "links": links(),
            "references": board_facts().references,
            "libraries": libraries,
            "version": version("nndynbench"),
            "updated": last_changed(content.views),
        },
    )
    pages.write("index.html", "index.html", index=_index(content), answers=answers(content.views), only=content.only)
    pages.write("about.html", "about.html", bibtex="\n\n".join([package_bibtex(), paper_bibtex()]))
    known = by_file(content.records)
    audits = {method: audit_rows_of(own, known) for method, own in content.by_method().items()}
    _write_methods(pages, content, data, audits)
    _write_subsets(pages, content, [audit for own in audits.values() for audit in own])
    for source in sorted(baselines_folder().glob("*.py")):
        pages.write(f"code/{source.stem}.html", "code.html", name=source.name, text=source.read_text(encoding="utf-8"))
    schema = json.dumps(json_schema(), indent=1)
    (out / "submission.schema.json").write_text(schema + "\n", encoding="utf-8")


def _write_methods(
    pages: _Writer, content: BoardContent, data: Sequence[dict[str, Any]], audits: Mapping[str, Sequence[Audit]]
) -> None:
    by_method = content.by_method()
    pages.write(
        "methods/index.html", "methods.html", methods=[(own[0].submission, _reads(own)) for own in by_method.values()]
    )
    for method, own in by_method.items():
        pages.write(
            f"methods/{method}.html",
            "method.html",
            submissions=[a.submission for a in own],
            reads=_reads(own),
            paper=paper_link(own[0].submission.source),
            parts=parts_of(method, content.views, data, audits[method]),
            audits=audits[method],
        )


def _reads(own: Sequence[Accepted]) -> list[str]:
    """What a method was seen to read, by any of its submissions."""
    return [part for part in READABLE if any(part in a.submission.reads for a in own)]


def _write_subsets(pages: _Writer, content: BoardContent, audits: Sequence[Audit]) -> None:
    views = {name: [view for view in content.views if view.subset == name] for name in content.subsets}
    listed = [(subset, views[name]) for name, subset in content.subsets.items()]
    pages.write("subsets/index.html", "subsets.html", subsets=listed)
    for name, subset in content.subsets.items():
        pages.write(
            f"subsets/{name}.html",
            "subset.html",
            subset=subset,
            facts=page_facts(subset),
            views=views[name],
            claims=claims_on(subset, views[name]),
            fresh_zoos=fresh_zoos(audit for audit in audits if audit.subset == name),
            unfinished=is_unfinished(subset.version),
        )


@cache
def words() -> dict[str, dict[str, Any]]:
    """What the page calls things, metrics as the package does."""
    said = tomllib.loads(files("leaderboard.page").joinpath("words.toml").read_text(encoding="utf-8"))
    return {**said, "metrics": {name: metric.words for name, metric in METRICS.items()}}


def links() -> dict[str, str]:
    """Where the page leads to outside of itself; what is not public yet, in citation.toml, is empty."""
    cited = citation()
    data = f"https://doi.org/{cited.doi}" if cited.doi else ""
    return {"paper": cited.paper.url, "documentation": cited.site, "repository": cited.repository, "data": data}


def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("leaderboard.page"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": _number, "estimate": _estimate, "verdict": audit_verdict}
    environment.tests |= {"differing": differs, "told": is_told}
    return environment


def _number(value: float | Undefined | None) -> str:
    return number(None if isinstance(value, Undefined) else value)


def _estimate(found: Estimate | str | Undefined | None) -> Markup:
    """A number with its interval; a dash where there is none, and the reason where a text says why."""
    if isinstance(found, str):
        return Markup('<span class="note" title="{}">undefined</span>').format(found)
    if not found:
        return Markup(NOTHING)
    value, low, high = map(number, found)
    return Markup(f'{value} <span class="interval">({low} to {high})</span>')  # numbers alone: nothing to escape


def _data(views: Sequence[View]) -> list[dict[str, Any]]:
    """What the page's scripts read of each view."""
    trained = {view.subset: view for view in views if view.protocol.name == TRAINED}
    ranked = protocols()[TRAINED].predictions
    return [plain(view, trained.get(view.subset) if view.protocol.name == ranked else None) for view in views]


def _write_data(folder: Path, views: Sequence[View], data: Sequence[dict[str, Any]]) -> None:
    folder.mkdir(exist_ok=True)
    for view, own in zip(views, data, strict=True):
        # A script, not JSON that is fetched: a page opened from a file may load the one and not the other.
        content = json.dumps(own, separators=(",", ":"), ensure_ascii=True)
        (folder / f"{view.subset}.{view.protocol.name}.js").write_text(f"window.receiveView({content});\n", encoding="utf-8")
        (folder / f"{view.subset}.{view.protocol.name}.csv").write_text(as_csv(view), encoding="utf-8")


def _index(content: BoardContent) -> dict[str, Any]:
    views, subsets = content.views, content.subsets
    there = [(view.subset, view.protocol.name) for view in views]
    rows = [(view.subset, view.protocol.name) for view in views if view.entries]
    wanted = [(shown.subset, shown.protocol) for shown in board_facts().first]
    first = next((pair for pair in wanted if pair in rows), (rows or there or [("", "")])[0])
    names = list(dict.fromkeys(subset for subset, _ in there))
    groups = [{"kind": group.kind, "name": group.name, "meaning": group.meaning} for group in board_facts().groups]
    return {
        "first": {"subset": first[0], "protocol": first[1]},
        "only": list(content.only),
        "standings": STANDINGS,
        "references": [{"key": r.key, "name": r.name, "meaning": r.meaning} for r in board_facts().references],
        "groups": [
            {"kind": METHODS, "name": "", "meaning": ""},
            *groups,
            {"kind": PAPER, "name": "The paper's figures", "meaning": "as the paper gives them"},
        ],
        "subsets": [
            {
                "name": name,
                "protocols": [protocol for protocol in protocols() if (name, protocol) in there],
                **(_about(subsets[name]) if name in subsets else {"summary": "not at hand; only the paper's figures shown"}),
            }
            for name in names
        ],
        "words": words(),
    }


def _about(subset: Subset) -> dict[str, Any]:
    manifest = subset.manifest
    how = f"{manifest.networks} of {manifest.networks_planned} networks, {words()['regimes'][manifest.regime]}"
    return {
        "summary": f"{manifest.summary} ({how})",
        "version": manifest.version,
        "unfinished": is_unfinished(manifest.version),
    }
