"""Builds the site: the board, a page per method and per subset, the bundled methods' code, and the data they draw."""

from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from leaderboard.board import View, plain
from leaderboard.check import Accepted
from leaderboard.page.libraries import write_libraries
from leaderboard.page.subset_facts import SubsetFacts, subset_facts
from leaderboard.standing import Record, record_of
from nndynbench.protocols.method import baselines_folder
from nndynbench.protocols.metrics import metric_facts
from nndynbench.protocols.protocol import protocols
from nndynbench.submissions import json_schema
from nndynbench.submissions.admission import is_unfinished
from nndynbench.subsets import Subset

# What the board shows first, where it is there; else the first view that has a row.
FIRST_SUBSET, FIRST_PROTOCOL = "cifar10-lenet-diverse", "regression-folds"
# Its τ stands beside the scores of the protocol whose predictions it ranks.
TRAINED = "trained"

ASSETS = ("style.css", "cells.js", "charting.js", "matrix.js", "board.js", "pages.js")


def build_site(
    out: Path, views: Sequence[View], accepted: Sequence[Accepted], subsets: Mapping[str, Subset], records: list[Record]
) -> Path:
    """Write the site into a folder; an older one there is replaced when the new one is whole.

    Raises
    ------
    FileExistsError
        For a folder with something else in it.
    """
    need_free_or_older(out)
    partial = out.with_name(f"{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    _write_site(partial, views, accepted, subsets, records)
    shutil.rmtree(out, ignore_errors=True)
    partial.rename(out)
    return out / "index.html"


def _write_site(
    out: Path, views: Sequence[View], accepted: Sequence[Accepted], subsets: Mapping[str, Subset], records: list[Record]
) -> None:
    libraries = write_libraries(out / "assets")
    for asset in ASSETS:
        (out / "assets" / asset).write_bytes(files("leaderboard.page").joinpath("assets", asset).read_bytes())
    shared = {"words": words(), "libraries": libraries, "version": version("nndynbench")}
    templates = _templates()

    def write(path: str, template: str, **content: Any) -> None:
        target = out / path
        target.parent.mkdir(parents=True, exist_ok=True)
        up = "../" * path.count("/")
        target.write_text(templates.get_template(template).render(up=up, **shared, **content), encoding="utf-8")

    for view in views:
        same = [v for v in views if v.subset == view.subset and v.protocol.predictions == view.protocol.name]
        _write_view(out, view, next((v for v in same if v.protocol.name == TRAINED), None))
    write("index.html", "index.html", index=_index(views, subsets))
    for method in dict.fromkeys(entry.submission.method for view in views for entry in view.entries):
        own = [a for a in accepted if a.submission.method == method]
        parts = [_of_method(view, method) for view in views if any(e.submission.method == method for e in view.entries)]
        audits = [(a, record) for a in own if (record := record_of(a.path, records)) and record.scores]
        write(f"methods/{method}.html", "method.html", submissions=[a.submission for a in own], parts=parts, audits=audits)
    for name, subset in subsets.items():
        there = [view for view in views if view.subset == name]
        facts: SubsetFacts = subset_facts(subset)
        unfinished = is_unfinished(subset.version)
        write(f"subsets/{name}.html", "subset.html", subset=subset, facts=facts, views=there, unfinished=unfinished)
    for source in sorted(baselines_folder().glob("*.py")):
        write(f"code/{source.stem}.html", "code.html", name=source.name, text=source.read_text(encoding="utf-8"))
    schema = json.dumps(json_schema(), indent=1)
    (out / "submission.schema.json").write_text(schema + "\n", encoding="utf-8")


@cache
def words() -> dict[str, dict[str, Any]]:
    """What the page calls things, metrics as the package does."""
    said = tomllib.loads(files("leaderboard.page").joinpath("words.toml").read_text(encoding="utf-8"))
    return {**said, "metrics": {metric: asdict(facts) for metric, facts in metric_facts().items()}}


def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("leaderboard.page"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def need_free_or_older(out: Path) -> None:
    """Raise FileExistsError for a folder that holds something else than an older page."""
    if out.exists() and any(out.iterdir()) and not (out / "assets" / "board.js").is_file():
        raise FileExistsError(f"{out} holds something else than an older page: choose another folder")


def _write_view(out: Path, view: View, trained: View | None) -> None:
    # A script, not JSON that is fetched: a page opened from a file may load the one and not the other.
    target = out / "data" / f"{view.subset}.{view.protocol.name}.js"
    target.parent.mkdir(exist_ok=True)
    content = json.dumps(plain(view, trained), separators=(",", ":"), ensure_ascii=True)
    target.write_text(f"window.receiveView({content});\n", encoding="utf-8")


def _index(views: Sequence[View], subsets: Mapping[str, Subset]) -> dict[str, Any]:
    there = [(view.subset, view.protocol.name) for view in views]
    rows = [(view.subset, view.protocol.name) for view in views if view.entries]
    first = (FIRST_SUBSET, FIRST_PROTOCOL)
    if first not in rows:
        first = next((pair for pair in rows if pair[1] == FIRST_PROTOCOL), (rows or there or [("", "")])[0])
    names = list(dict.fromkeys(subset for subset, _ in there))
    return {
        "first": {"subset": first[0], "protocol": first[1]},
        "subsets": [
            {
                "name": name,
                "protocols": [protocol for protocol in protocols() if (name, protocol) in there],
                **(_about(subsets[name]) if name in subsets else {"summary": "not at hand: the paper's figures alone"}),
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


def _of_method(view: View, method: str) -> dict[str, Any]:
    """A method's own entries of a view with the bar's beside, and the view as the chart reads it."""
    shown = [entry for entry in view.entries if entry.submission.method == method or entry.kind == "bar"]
    own = View(view.protocol, view.subset, shown, view.ceiling)
    entries = [entry for entry in view.entries if entry.submission.method == method]
    scores = [scores for entry in entries for scores in entry.scores.values()]
    worth = [name for name in ("gain", "added") if any(getattr(score, name) for score in scores)]
    return {"view": view, "entries": entries, "worth": worth, "chart": plain(own)}
