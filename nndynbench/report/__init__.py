"""docs/results.md, a screen of findings, and a page per question: from results alone, so no sentence outlives its number."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from nndynbench.paper import tables, verdicts
from nndynbench.paper.reproduction import all_at_hand
from nndynbench.protocols import Comparison, read_comparison
from nndynbench.report.comparisons import can_be_compared, written_comparison
from nndynbench.report.sections import blocked, board, reproduced_rows, transfer, triage
from nndynbench.report.sentences import finding
from nndynbench.storage.files import user_path, written_whole
from nndynbench.subsets import Subset, subsets

COMMAND = "nndynbench report"
BACK = "Written by `nndynbench report`; the findings in short: [results](../results.md)."


@dataclass(frozen=True)
class Page:
    """A question's page: its file's name, its title, and the section of each subset's comparison under a protocol."""

    name: str
    title: str
    protocol: str
    section: Callable[[Comparison, Subset, Path, Path], Iterator[str]]


PAGES = (
    Page("seeds", "Which seed of a recipe will end best?", "seeds", board),
    Page("prediction", "How accurate will a network become?", "regression-folds", board),
    Page("extrapolation", "And far from what training saw?", "blocked", blocked),
    Page("triage", "Which networks to go on training?", "triage", triage),
    Page("classification", "High or low?", "classification", board),
)
TRANSFER, PAPER = "transfer", "paper"
TRANSFERS = ("transfer-apart", "transfer")


def report(out: Path, results: Path, *, root: str | Path | None = None) -> Path:
    """Write the document, one screen of findings, and in a folder beside it a page per question with its plots, from the
    comparisons that ``nndynbench compare`` wrote into ``results``.
    """
    out, results = user_path(out), user_path(results)
    folder = out.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    at_hand = all_at_hand(root)
    findings: list[str] = []
    uncompared: dict[str, list[str]] = {}
    for page in PAGES:
        lines, found = [f"# {page.title}\n\n{BACK}"], []
        for subset in at_hand:
            if (compared := written_comparison(subset, page.protocol, results)) is not None:
                lines += page.section(compared, subset, folder, results)
                found.append(f"- {subset.name}: {finding(compared)}")
            elif can_be_compared(subset, page.protocol):
                uncompared.setdefault(subset.name, []).append(page.protocol)
        if found:
            _write(folder / f"{page.name}.md", lines)
            findings += [f"\n**[{page.title}]({folder.name}/{page.name}.md)**\n", *found]
    lines = [f"# Does the order of networks carry over?\n\n{BACK}"]
    for protocol in TRANSFERS:
        for path in sorted(results.glob(f"compare.*.{protocol}.json")):
            networks = {subset.name: subset.manifest.networks for subset in at_hand}
            lines += transfer(read_comparison(path), folder, networks)
    _write(folder / f"{TRANSFER}.md", lines)
    lines = [f"# What the paper says, and what is found here\n\n{BACK}"]
    lines += reproduced_rows(verdicts.claims(results, root), "reproduce claims")
    lines += reproduced_rows(tables.table4(results, root), "reproduce table4")
    _write(folder / f"{PAPER}.md", lines)
    _write(out, [*_head(at_hand, root), *findings, *_foot(folder.name, uncompared)])
    return out


def _write(path: Path, lines: Sequence[str]) -> None:
    with written_whole(path) as partial:
        partial.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


def _head(at_hand: Sequence[Subset], root: str | Path | None) -> Iterator[str]:
    table = subsets(root=root)
    yield f"""# Results

Written by `{COMMAND}` from stored results: change no number here by hand. A method is measured against two **bars**,
which see no weights: one sees every hyperparameter and the curves so far, the other the curves alone. Its **gain** is its
score minus the bar's, and what it **adds** is how much the bar's R² rises when its predictions are blended in. In brackets
stands the 95% interval: learning rates, configurations or recipes are resampled together.

Subsets at hand: {", ".join(f"{s.name} {s.version} ({s.manifest.networks} networks)" for s in at_hand)}. Missing:
{", ".join(str(name) for name in table.index[table["networks"] == 0]) or "none"}. Nothing below speaks of those."""


def _foot(folder: str, uncompared: Mapping[str, Sequence[str]]) -> Iterator[str]:
    yield f"\nBetween subsets: [transfer]({folder}/{TRANSFER}.md). Beside the paper: [its claims]({folder}/{PAPER}.md).\n"
    yield files("nndynbench.report").joinpath("withdrawn.md").read_text(encoding="utf-8").rstrip()
    if uncompared:
        yield "\n## Not compared yet\n\n`nndynbench compare --subset SUBSET --protocol PROTOCOL` fills each:\n"
        yield from (f"- {name}: {', '.join(missing)}" for name, missing in uncompared.items())
