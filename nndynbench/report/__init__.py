"""docs/results.md, a screen of findings, and a page per question: from the board, so no sentence outlives its number."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nndynbench.paper import tables, verdicts
from nndynbench.paper.reproduction import all_at_hand
from nndynbench.protocols import Comparison
from nndynbench.protocols.references import BAR
from nndynbench.protocols.sides import share_of_known_rates
from nndynbench.protocols.stored import StoredResults
from nndynbench.report.board import Board, read_board
from nndynbench.report.findings import prediction_finding, seeds_finding
from nndynbench.report.prose import prose, with_numbers
from nndynbench.report.sections import blocked, ranking, reproduced_rows, transfer, triage
from nndynbench.report.seeds import PROTOCOL as SEEDS
from nndynbench.report.seeds import can_be_said, seeds_section
from nndynbench.storage.files import user_path, write_whole
from nndynbench.submissions.known import KnownResults
from nndynbench.subsets import Subset, subsets

COMMAND = "nndynbench report"
BACK = f"Written by `{COMMAND}`. The findings in short: [results](../results.md)."


@dataclass(frozen=True)
class Page:
    """A question's page: its file's name, its title, and the section of each subset's comparison under a protocol. What is
    predicted and tested there stands in `prose`.
    """

    name: str
    title: str
    protocol: str
    section: Callable[[Comparison, Subset, Board, Path], Iterator[str]]


PREDICTION = Page("prediction", "How accurate will a network become?", "regression-folds", ranking)
PAGES = (
    PREDICTION,
    Page("last-epochs", "How accurate will a network be over its last epochs?", "late-folds", ranking),
    Page("regression", "What does the paper's own regression give?", "regression", ranking),
    Page("extrapolation", "How well do methods extrapolate beyond what training saw?", "blocked", blocked),
    Page("triage", "Which networks should go on training?", "triage", triage),
    Page("classification", "Will a network end high or low?", "classification", ranking),
)
SEEDS_PAGE, SEEDS_TITLE = "seeds", "Which seed of a recipe will end best?"
TRANSFER_PAGE, TRANSFER_TITLE, TRANSFER = "transfer", "Does the order of networks carry over?", "transfer-apart"
PAPER_PAGE, PAPER_TITLE = "paper", "What the paper says and what is found here"

# Written by a command of its own, and by hand.
FEW_NETWORKS_PAGE = "few-networks"


def report(
    out: Path,
    submissions: Path,
    *,
    results: Path = Path("results"),
    root: str | Path | None = None,
    jobs: int = 1,
    progress: Callable[[int, int, str], None] | None = None,
) -> Path:
    """Write the document, one screen of findings, and in a folder beside it a page per question with its plots.

    Parameters
    ----------
    out
        The document, by habit docs/results.md.
    submissions
        The folder of the board's submissions: what is not there is left out, and nothing is fitted.
    results
        A folder of stored results, for what nobody submits: the paper's regression by windows of epochs.
    root
        A folder of packed subsets, instead of the usual places.
    jobs
        Subsets at a time, in processes.
    progress
        Called with how many subsets and protocols are compared, how many there are, and which was the last.

    Raises
    ------
    FileNotFoundError
        Where nothing is submitted: what is written already is left as it is.
    """
    out, submissions, results = user_path(out), user_path(submissions), user_path(results)
    at_hand = all_at_hand(root)
    board = read_board(at_hand, submissions, jobs=jobs, progress=progress)
    if not board.comparisons:
        raise FileNotFoundError(f"{submissions} has no submission to report on")
    folder = out.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    written = [page.name for page in PAGES if _page(page, board, folder)]
    written += [name for name, write in ((SEEDS_PAGE, _seeds), (TRANSFER_PAGE, _transfer)) if write(board, folder)]
    known = KnownResults(submissions, StoredResults(results), fits=False)
    lines = [f"# {PAPER_TITLE}\n\n{BACK}"]
    lines += reproduced_rows(verdicts.claims(known, root), "reproduce claims")
    lines += reproduced_rows(tables.table4(known, root), "reproduce table4")
    _write(folder / f"{PAPER_PAGE}.md", lines)
    written.append(PAPER_PAGE)
    if (folder / f"{FEW_NETWORKS_PAGE}.md").is_file():
        written.append(FEW_NETWORKS_PAGE)
    withdrawn = with_numbers(str(prose("withdrawn")), board).replace("FOLDER", folder.name)
    _write(out, [*_head(at_hand, root), *_findings(board, folder.name, written), "", withdrawn])
    return out


def _write(path: Path, lines: Sequence[str]) -> None:
    write_whole(path, "\n".join(lines).rstrip() + "\n")


def _page(page: Page, board: Board, folder: Path) -> bool:
    """Write a question's page, of the subsets that have the bar; whether there is any."""
    found = [(subset, compared) for subset, compared in _compared(board, page.protocol) if _has_bar(compared)]
    lines = [line for subset, compared in found for line in page.section(compared, subset, board, folder)]
    if found:
        head = f"# {page.title}\n\n{prose(page.name)}\n\nProtocol `{page.protocol}`. {BACK}"
        _write(folder / f"{page.name}.md", [head, *lines])
    return bool(found)


def _compared(board: Board, protocol: str) -> list[tuple[Subset, Comparison]]:
    return [(subset, c) for subset in board.subsets.values() if (c := board.of(subset.name, protocol)) is not None]


def _has_bar(compared: Comparison) -> bool:
    """Whether the bar is there at the last budget."""
    rows = compared.rows
    return BAR in set(rows.loc[rows["budget"] == rows["budget"].max(), "method"])


def _seeds(board: Board, folder: Path) -> bool:
    found = [subset for subset, compared in _compared(board, SEEDS) if can_be_said(compared)]
    if found:
        lines = [line for subset in found for line in seeds_section(board, subset, folder)]
        _write(folder / f"{SEEDS_PAGE}.md", [f"# {SEEDS_TITLE}\n\n{BACK}", *_introduction(), *lines])
    return bool(found)


def _introduction() -> Iterator[str]:
    """What the tables of every zoo of seeds have."""
    yield from (f"\n{prose(name)}" for name in (SEEDS_PAGE, "leaving", "distance"))


def _transfer(board: Board, folder: Path) -> bool:
    found = board.groups(TRANSFER)
    if found:
        networks = {subset.name: subset.manifest.networks for subset in board.subsets.values()}
        sections = [transfer(each, folder, networks, known_rates=_known_rates(each, board)) for each in found]
        lines = [line for section in sections for line in section]
        _write(folder / f"{TRANSFER_PAGE}.md", [f"# {TRANSFER_TITLE}\n\n{BACK}", *lines])
    return bool(found)


def _known_rates(compared: Comparison, board: Board) -> list[float]:
    pairs = compared.rows[["trained_on", "subset"]].drop_duplicates().itertuples(index=False)
    return [share_of_known_rates(compared.protocol, board.subsets[source], board.subsets[goal]) for source, goal in pairs]


def _head(at_hand: Sequence[Subset], root: str | Path | None) -> Iterator[str]:
    table = subsets(root=root)
    missing = [str(name) for name in table.index[table["networks"] == 0]]
    absent = f" Missing subsets:\n{', '.join(missing)}." if missing else ""
    yield f"""# Results

Written by `{COMMAND}` from the board's submissions: change no number here by hand. Every method is measured against two
**references**, which see no weights: the **bar** sees all hyperparameters and the curves so far, the other sees the curves
alone. A method's **gain** is how much better it scores than the reference: the difference, positive where the method is
better, also for errors and regrets. What it **adds** is how much the reference's R² rises when the method's predictions are
blended in, whether or not the reference is calibrated first: the smaller number counts.

Brackets hold 95% intervals: learning rates, recipes or (extrapolating) blocks are resampled whole. They are of these
networks, fits and folds: where each cell of a grid is one network, networks trained anew often score outside them, as
[audits](submitting.md#what-a-row-is-worth) count. Nor do they allow for a method having been picked as the best of many.
Those on the leaderboard's front page do, and begin lower: cite them for a method named because it adds most.{absent}"""


def _findings(board: Board, folder: str, written: Sequence[str]) -> Iterator[str]:
    def address(name: str) -> str:
        return f"{folder}/{name}.md"

    if SEEDS_PAGE in written:
        yield from seeds_finding(board, SEEDS_TITLE, address(SEEDS_PAGE))
    if PREDICTION.name in written:
        yield from prediction_finding(board, PREDICTION.title, address(PREDICTION.name))
    links = {page.name: page.title for page in PAGES if page is not PREDICTION}
    links = {FEW_NETWORKS_PAGE: "What are weights worth with few networks to learn from?"} | links
    links |= {TRANSFER_PAGE: TRANSFER_TITLE, PAPER_PAGE: PAPER_TITLE}
    yield ""
    yield from (f"- **[{title}]({address(name)})**" for name, title in links.items() if name in written)
