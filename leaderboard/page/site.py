"""Builds the site: the board, a page per method and per subset, the bundled methods' code, and the data they draw."""

from __future__ import annotations

import json
import shutil
import tomllib
import zipfile
import zlib
from collections.abc import Mapping, Sequence
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
from leaderboard.page.audits import Audit, audit_rows_of, audit_verdict, differs, fresh_zoos, is_told, worst
from leaderboard.page.headline import answers, last_changed
from leaderboard.page.libraries import write_libraries
from leaderboard.page.subset_page import page_facts
from leaderboard.page.view_data import as_csv, paper_link, plain
from leaderboard.shown import number
from leaderboard.standing import STANDINGS, StandingRecord, audits_by_file, name_of
from leaderboard.store import Store
from nndynbench.citing import citation, package_bibtex, paper_bibtex
from nndynbench.numbers import NOTHING
from nndynbench.paper.verdicts import reservations, shown, verdict
from nndynbench.protocols.method import baselines_folder
from nndynbench.protocols.metrics import METRICS
from nndynbench.protocols.protocol import protocols
from nndynbench.protocols.scoring import Estimate
from nndynbench.storage.files import folder_written_whole
from nndynbench.storage.versions import is_unfinished
from nndynbench.submissions import json_schema
from nndynbench.subsets import Subset

# Its τ stands beside the scores of the protocol whose predictions it ranks.
TRAINED = "trained"

ASSETS = ("style.css", "cells.js", "charting.js", "matrix.js", "table.js", "board.js", "pages.js")
METHODS, PAPER = "method", "paper"
ARCHIVE = "submissions.zip"
ZIPPED = (1980, 1, 1, 0, 0, 0)  # a date for all: the same submissions give the same archive


def build_site(
    out: Path,
    views: Sequence[View],
    accepted: Sequence[Accepted],
    subsets: Mapping[str, Subset],
    records: list[StandingRecord],
    *,
    store: Store = Store(),  # noqa: B008 (frozen)
    only: Sequence[str] = (),
) -> Path:
    """Write the site into a folder; an older one there is replaced when the new one is whole.

    ``only``: the methods that it is about, where it does not show all of them.

    Raises
    ------
    FileExistsError
        For a folder with something else in it.
    """
    need_free_or_older(out)
    with folder_written_whole(out) as fresh:
        libraries = write_libraries(fresh / "assets", store.folder)
        _write_site(fresh, views, accepted, subsets, records, libraries, only)
        _write_downloads(fresh / ARCHIVE, accepted, older=out / ARCHIVE)
    return out / "index.html"


def need_free_or_older(out: Path) -> None:
    """Raise FileExistsError for a folder that holds something else than an older page."""
    if out.exists() and any(out.iterdir()) and not (out / "assets" / "board.js").is_file():
        raise FileExistsError(f"{out} holds something other than an older page: choose another folder")


def _write_site(
    out: Path,
    views: Sequence[View],
    accepted: Sequence[Accepted],
    subsets: Mapping[str, Subset],
    records: list[StandingRecord],
    libraries: Mapping[str, str],
    only: Sequence[str],
) -> None:
    for asset in ASSETS:
        (out / "assets" / asset).write_bytes(files("leaderboard.page").joinpath("assets", asset).read_bytes())
    shared = {
        "words": words(),
        "links": links(),
        "references": board_facts().references,
        "libraries": libraries,
        "version": version("nndynbench"),
        "updated": last_changed(views),
    }
    templates = _templates()

    def write(path: str, template: str, **content: Any) -> None:
        target = out / path
        target.parent.mkdir(parents=True, exist_ok=True)
        up = "../" * path.count("/")
        target.write_text(templates.get_template(template).render(up=up, **shared, **content), encoding="utf-8")

    data = _data(views)
    _write_data(out / "data", views, data)
    write("index.html", "index.html", index=_index(views, subsets, only), answers=answers(views), only=only)
    write("about.html", "about.html", bibtex="\n\n".join([package_bibtex(), paper_bibtex()]))
    by_method: dict[str, list[Accepted]] = {}
    for a in accepted:
        by_method.setdefault(a.submission.method, []).append(a)
    write("methods/index.html", "methods.html", submissions=[own[0].submission for own in by_method.values()])
    audited: list[Audit] = []
    by_file = audits_by_file(records)
    for method, own in by_method.items():
        audits = audit_rows_of(own, by_file)
        audited += audits
        write(
            f"methods/{method}.html",
            "method.html",
            submissions=[a.submission for a in own],
            paper=paper_link(own[0].submission.source),
            parts=_parts_of(method, views, data, audits),
            audits=audits,
        )
    of_subset = {name: [view for view in views if view.subset == name] for name in subsets}
    write("subsets/index.html", "subsets.html", subsets=[(subset, of_subset[name]) for name, subset in subsets.items()])
    for name, subset in subsets.items():
        write(
            f"subsets/{name}.html",
            "subset.html",
            subset=subset,
            facts=page_facts(subset),
            views=of_subset[name],
            claims=_claims(subset, of_subset[name]),
            fresh_zoos=fresh_zoos(audit for audit in audited if audit.subset == name),
            unfinished=is_unfinished(subset.version),
        )
    for source in sorted(baselines_folder().glob("*.py")):
        write(f"code/{source.stem}.html", "code.html", name=source.name, text=source.read_text(encoding="utf-8"))
    schema = json.dumps(json_schema(), indent=1)
    (out / "submission.schema.json").write_text(schema + "\n", encoding="utf-8")


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


def _write_downloads(path: Path, accepted: Sequence[Accepted], *, older: Path) -> None:
    """All submissions in one archive; an older one of the same contents is taken as it is."""
    contents = {name_of(a.path): a.path.read_bytes() for a in sorted(accepted, key=lambda a: a.path)}
    if _checksums(older) == [(name, zlib.crc32(content)) for name, content in contents.items()]:
        shutil.copyfile(older, path)
        return
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in contents.items():
            archive.writestr(zipfile.ZipInfo(name, ZIPPED), content, zipfile.ZIP_DEFLATED)


def _checksums(archive: Path) -> list[tuple[str, int]]:
    """Names and checksums of what is in an archive; none of one that is not there, or damaged."""
    try:
        with zipfile.ZipFile(archive) as opened:
            return [(held.filename, held.CRC) for held in opened.infolist()]
    except (OSError, zipfile.BadZipFile):
        return []


def _index(views: Sequence[View], subsets: Mapping[str, Subset], only: Sequence[str]) -> dict[str, Any]:
    there = [(view.subset, view.protocol.name) for view in views]
    rows = [(view.subset, view.protocol.name) for view in views if view.entries]
    wanted = [(shown.subset, shown.protocol) for shown in board_facts().first]
    first = next((pair for pair in wanted if pair in rows), (rows or there or [("", "")])[0])
    names = list(dict.fromkeys(subset for subset, _ in there))
    groups = [{"kind": group.kind, "name": group.name, "meaning": group.meaning} for group in board_facts().groups]
    return {
        "first": {"subset": first[0], "protocol": first[1]},
        "only": list(only),
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
        "epochs": manifest.epochs,
        "unfinished": is_unfinished(manifest.version),
    }


def _claims(subset: Subset, views: Sequence[View]) -> list[tuple[Mapping[str, Any], str, str]]:
    """The paper's claims that the rows on a subset test: (claim, ours, verdict)."""
    found = []
    for view in views:
        for claim, ours in view.claims:
            stands_in = "" if claim["subset"] == subset.name else f"stands in for {claim['subset']}: "
            found.append((claim, shown(claim, ours), f"{stands_in}{reservations([subset])}{verdict(claim, ours)}"))
    return found


def _parts_of(
    method: str, views: Sequence[View], data: Sequence[dict[str, Any]], audits: Sequence[Audit]
) -> list[dict[str, Any]]:
    own = [
        (view, chart)
        for view, chart in zip(views, data, strict=True)
        if any(entry.submission.method == method for entry in view.entries)
    ]
    return [{"position": position, **_of_method(*both, method, audits)} for position, both in enumerate(own, start=1)]


def _of_method(view: View, chart: dict[str, Any], method: str, audits: Sequence[Audit]) -> dict[str, Any]:
    """A method's own entries of a view, the worst that fresh zoos gave, and the part of the view's chart that is of it and
    of the references.
    """
    shown_beside = [entry for entry in chart["entries"] if entry["method"] in (method, *chart["references"].values())]
    entries = [entry for entry in view.entries if entry.submission.method == method]
    scores = [scores for entry in entries for scores in entry.scores.values()]
    worth = [
        (name, reference.key, f"{title} {reference.name}")
        for name, title in (("gain", "Gain over"), ("added", "Added to"))
        for reference in board_facts().references
        if any(reference.key in getattr(score, name) for score in scores)
    ]
    fresh = worst(audit for audit in audits if (audit.subset, audit.protocol) == (view.subset, view.protocol.name))
    budgets = sorted({int(budget) for entry in shown_beside for budget in entry["scores"]})
    part = {**chart, "budgets": budgets, "entries": shown_beside, "paper": []}
    return {"view": view, "entries": entries, "worth": worth, "fresh": fresh, "chart": part}
