"""What the documents say works: every snippet runs, every link leads somewhere, every public name is explained.

The README's two commands for a fresh machine are run by .ci/run itself.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest

import nndynbench as nb
from nndynbench.numbers import estimate, number
from nndynbench.protocols import find_protocol
from nndynbench.submissions import read_submission
from nndynbench.submissions.beside import protocols_of_bar
from nndynbench.subsets import catalogue
from nndynbench.subsets.loading import names_with

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
FINDINGS = (ROOT / "docs" / "findings.md").read_text(encoding="utf-8")
LIBRARY = (ROOT / "docs" / "library.md").read_text(encoding="utf-8")
FOLDERS = (".", "docs", "generation", "leaderboard")
DOCUMENTS = [path for folder in FOLDERS for path in sorted((ROOT / folder).glob("*.md"))]
# Pages that only the site has: links to them are checked when the site is built.
SITE_PAGES = set(re.findall(r": ([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), flags=re.MULTILINE))


def snippets(language: str, document: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", document, flags=re.DOTALL)


def shell_commands() -> list[str]:
    blocks = [block for block in snippets("sh") if "venv" not in block]
    return [line for block in blocks for line in block.strip().splitlines()]


def test_it_has_one_command_to_score_and_one_to_test() -> None:
    assert [block.startswith("python3 -m venv") for block in snippets("sh")] == [True, False, True]
    assert re.findall(r"<!-- command: (\w+) -->", README) == ["score", "test"]


@pytest.mark.parametrize("snippet", snippets("python"), ids=["load", "own-method"])
def test_a_python_snippet_runs_as_it_is(snippet: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(snippet, "README.md", "exec"), {"__name__": "__main__"})


def test_the_own_method_of_the_readme_takes_15_lines() -> None:
    [_, own] = snippets("python")
    body = [line for line in own.splitlines() if line.strip()]
    assert len(body) <= 15


def test_the_shell_snippets_run_in_order(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for command in shell_commands():
        assert command.startswith("python -m generation ")
        arguments = [sys.executable, *command.split()[1:]]
        done = subprocess.run(arguments, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "zoo" / "digits-lenet").is_dir()


def test_the_librarys_snippets_run_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    for snippet in snippets("python", LIBRARY):
        exec(compile(snippet, "library.md", "exec"), names)


def test_findings_are_numbers_of_the_results() -> None:
    [short] = re.findall(r"## What the numbers say so far\n(.*?)\n## ", README, flags=re.DOTALL)
    of_audits = r"### Networks trained anew\n.*?(?=\n### )"  # which standing.json holds
    found = [short, re.sub(of_audits, "", FINDINGS, flags=re.DOTALL)]
    numbers = {number for item in found for number in re.findall(r"(?<![\d.])\d\.\d{3}(?: \(\S+ to [^\s)]+\))?", item)}
    pages = [ROOT / "docs" / "results.md", *sorted((ROOT / "docs" / "results").glob("*.md"))]
    results = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    assert len(numbers) > 15
    assert [number for number in sorted(numbers) if number not in results] == []


def test_points_and_shares_in_the_findings_are_of_the_results_or_of_a_submission() -> None:
    said = " ".join(FINDINGS.split())
    seeds = (ROOT / "docs" / "results" / "seeds.md").read_text(encoding="utf-8")
    points = set(re.findall(r"(?<![\d.])\d\.\d(?![\d])", re.sub(r"width=\S+", "", said)))
    assert {number for number in points if f"{number} points" not in seeds} == {"0.4"}
    assert "the best of them ends 0.4 points short" in said
    assert f"{submitted_score('bar', 'cifar10-lenet-seeds.seeds', 'regret_keeping_3', 5):.1f}" == "0.4"
    shares = re.findall(r"(\d+)% of the labels", said)
    assert shares == [f"{100 * submitted_score('hyperparameters', 'cifar10-lenet.classification', 'accuracy', 5):.0f}"]


def submitted_score(method: str, view: str, metric: str, budget: int) -> float:
    scores = read_submission(ROOT / "leaderboard" / "submissions" / method / f"{view}.json").scores
    [value] = [score.value for score in scores if (score.metric, score.budget) == (metric, budget)]
    assert value is not None
    return value


def test_the_findings_count_the_other_subsets_of_the_results() -> None:
    results = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    [table] = re.findall(r"\| subset \| networks \|.*?\n((?:\|.*\n)+)", results)
    assert len(table.splitlines()) - 1 == 11  # and the line below the heads
    assert "eleven other subsets" in " ".join(README.split())
    assert "eleven other subsets" in " ".join(FINDINGS.split())


def test_the_readmes_table_is_that_of_the_results() -> None:
    results = (ROOT / "docs" / "results.md").read_text(encoding="utf-8").split("\ncifar10-lenet-seeds, ")[0]
    rows = {
        "the bar: hyperparameters and curves": "the bar",
        "the bar, with each layer's distance": "the bar, with each layer's distance from its initialisation",
        "what distance adds": "**what distance adds to the bar**",
        "curves, the recipe and exact losses": "curves, the recipe and exact losses",
        "what distance adds to these": "**what distance adds to curves, the recipe and exact losses**",
    }
    for said, meant in rows.items():
        pairs = zip(cells(README, said), cells(results, meant), strict=True)
        assert all(full.startswith(short) for short, full in pairs), said


def test_the_page_on_few_networks_has_the_table_that_its_command_wrote() -> None:
    folder = ROOT / "docs" / "results"
    curve = pd.read_csv(folder / "cifar10-lenet-diverse.by-networks.csv")
    page = (folder / "few-networks.md").read_text(encoding="utf-8")
    for networks, rows in curve.groupby("networks"):
        expected = [
            cell
            for row in rows.sort_values("budget").to_dict("records")
            for cell in (number(row["beside"]), number(row["value"]), estimate(row, "gain", signed=True))
        ]
        assert cells(page, str(networks)) == expected
    assert set(curve["budget"]) == {1, 5}
    assert set(curve["metric"]) == {"r2"}


def test_the_readme_names_the_subsets_with_every_graph_and_those_without_a_bar_by_default() -> None:
    [whole] = re.findall(r"A clone has all of (.*?) after epochs 1 to 5\.", README, flags=re.DOTALL)
    complete = names_with("graphs")
    assert set(re.findall(r"`(.+?)`", whole)) == set(complete)
    for zoo in map(nb.load, complete):
        history = zoo.history(int(zoo.networks.index[-1]), budget=5)
        assert all(history.graph(epoch).edges for epoch in range(1, 6))
    of_seeds = [name for name in catalogue() if name.endswith("-seeds")]
    assert {name: protocols_of_bar(name) for name in of_seeds} == {name: ["seeds"] for name in of_seeds}
    assert all("regression-folds" in protocols_of_bar(name) for name in catalogue() if name not in of_seeds)


def test_the_audits_are_counted_as_they_are_recorded() -> None:
    # A fresh score inside the claimed interval, better or worse, in the protocol's first metric; all of them are scores that
    # are better where they are higher.
    counts: dict[str, Counter[str]] = {}
    for record, score in audited():
        low, high = score["claimed_interval"]
        place = "better" if score["fresh"] > high else "worse" if score["fresh"] < low else "inside"
        counts.setdefault(record["file"].split("/")[1].split(".")[0], Counter())[place] += 1
    submitting = (ROOT / "docs" / "submitting.md").read_text(encoding="utf-8")
    for subset, count in counts.items():
        expected = [count.total(), count["inside"], count["better"], count["worse"]]
        assert cells(submitting, f"`{subset}`") == [str(number) for number in expected], subset
    inside = {subset: f"{count['inside']} of {count.total()}" for subset, count in counts.items()}
    said = " ".join(FINDINGS.split())
    assert all(text in said for subset, text in inside.items() if subset != "digits-lenet-seeds"), inside
    [scores, within] = re.findall(r"Of the (\d+) scores of the 13 methods audited there, (\d+) lie inside", said)[0]
    assert inside["digits-lenet-seeds"] == f"{within} of {scores}"


def test_the_findings_tell_what_the_bar_has_on_the_fresh_zoo() -> None:
    fresh = {
        (record["file"], score["budget"]): f"{score['fresh']:.3f}"
        for record, score in audited()
        if record["file"].endswith("digits-lenet-seeds.seeds.json")
    }
    for method in ("bar", "bar-and-layer-distance"):
        first, third, fifth = (fresh[f"{method}/digits-lenet-seeds.seeds.json", budget] for budget in (1, 3, 5))
        assert re.search(rf"\bhas {first}, {third}\s+and {fifth}", FINDINGS), method


def audited() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Each record of an audit with each of its scores in its protocol's first metric."""
    records = json.loads((ROOT / "leaderboard" / "standing.json").read_text(encoding="utf-8"))
    first = {name: find_protocol(name).metrics[0] for name in ("classification", "regression-folds", "seeds")}
    return [
        (record, score)
        for record in records
        for score in record.get("scores", [])
        if score["metric"] == first[record["file"].split(".")[-2]]
    ]


def cells(document: str, head: str) -> list[str]:
    """Of the one row of the document's tables that begins with a head."""
    [line] = [line for line in document.splitlines() if line.startswith(f"| {head} |")]
    return [cell.strip(" *") for cell in line.strip("| ").split("|")[1:]]


@pytest.mark.parametrize("page", ["index.md", "your-own-runs.md", "zoos.md"])
def test_a_pages_snippets_run_one_after_the_other(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if page == "your-own-runs.md":
        pytest.importorskip("torch")
    names: dict[str, Any] = {"__name__": "__main__"}
    found = snippets("python", (ROOT / "docs" / page).read_text(encoding="utf-8"))
    assert found
    for snippet in found:
        exec(compile(snippet, page, "exec"), names)
    if page == "your-own-runs.md":
        assert names["new"].name not in set(names["zoo"].networks["run"])  # what is predicted was not learnt from


@pytest.mark.parametrize("module", [nb, nb.centralities, nb.features, nb.graphs], ids=lambda module: module.__name__)
def test_every_public_name_is_in_the_librarys_page(module: ModuleType) -> None:
    words = set(re.findall(r"\w+", LIBRARY))
    assert [name for name in module.__all__ if name not in words] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_linked_file_exists(document: Path) -> None:
    text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = [*re.findall(r"\]\((?!https?://)([^)#]+)\)", text), *re.findall(r'src="(?!https?://)([^"]+)"', text)]
    assert [target for target in targets if not (document.parent / target).exists() and target not in SITE_PAGES] == []
