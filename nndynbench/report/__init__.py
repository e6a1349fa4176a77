"""docs/results.md: what the numbers say, written from results alone, so that no sentence outlives its number."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from nndynbench.paper import tables, verdicts
from nndynbench.paper.reproduction import all_at_hand
from nndynbench.protocols import Comparison, read_comparison
from nndynbench.report.comparisons import written_comparison
from nndynbench.report.sections import blocked, board, reproduced_rows, transfer, triage
from nndynbench.storage.files import user_path, written_whole
from nndynbench.subsets import Subset, subsets

COMMAND = "nndynbench report"


def report(out: Path, results: Path, *, root: str | Path | None = None) -> Path:
    """Write the document and its plots, from the comparisons that ``nndynbench compare`` wrote into ``results``."""
    out, results = user_path(out), user_path(results)
    text = "\n".join(_document(out, results, root))
    out.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(out) as partial:
        partial.write_text(text.rstrip() + "\n", encoding="utf-8")
    return out


def _document(out: Path, results: Path, root: str | Path | None) -> Iterator[str]:
    at_hand = all_at_hand(root)
    table = subsets(root=root)
    yield f"""# Results

Written by `{COMMAND}` from stored results: change no number here by hand.

A method looks at the first epochs of a network's training and predicts its accuracy at the end. It is measured against **the
bar**: a blend of ordinary learners that see every hyperparameter and the curves so far, but no weights. Two numbers say what
a method knows beyond that:

- **gain**: its score minus the bar's, positive where it is better;
- **added**: how much the bar's R² rises when the method's predictions are blended in; 0 says that the bar already knew.

Accuracies are in percent, MAE and regret in percentage points. In brackets stands the 95% interval: learning rates
(configurations, where hyperparameters were drawn) are resampled together; those of gain and added are paired.

Subsets at hand: {", ".join(f"{s.name} {s.version} ({s.manifest.networks} networks)" for s in at_hand)}. Missing:
{", ".join(str(name) for name in table.index[table["networks"] == 0]) or "none"}. Nothing below speaks of those."""
    sections: dict[str, Callable[[Comparison, Subset, Path, Path], Iterator[str]]] = {
        "regression-folds": board,
        "blocked": blocked,
        "triage": triage,
        "classification": board,
    }
    uncompared: dict[str, list[str]] = {}
    for subset in at_hand:
        for name, section in sections.items():
            if (compared := written_comparison(subset, name, results)) is not None:
                yield from section(compared, subset, out, results)
            else:
                uncompared.setdefault(subset.name, []).append(name)
    for path in sorted(results.glob("compare.*.transfer.json")):
        yield from transfer(read_comparison(path), out, {subset.name: subset.manifest.networks for subset in at_hand})
    yield from reproduced_rows(verdicts.claims(results, root), "reproduce claims")
    yield from reproduced_rows(tables.table4(results, root), "reproduce table4")
    if uncompared:
        yield "\n## Not compared yet\n\n`nndynbench compare --subset SUBSET --protocol PROTOCOL` fills each:\n"
        yield from (f"- {name}: {', '.join(missing)}" for name, missing in uncompared.items())
