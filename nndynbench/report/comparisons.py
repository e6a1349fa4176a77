"""The comparisons that the document is written from."""

from __future__ import annotations

from pathlib import Path

from nndynbench.protocols import Comparison, compare, comparison_file, find_protocol, method_names, read_comparison
from nndynbench.protocols.comparison import BAR
from nndynbench.protocols.metrics import UndefinedMetricError
from nndynbench.protocols.stored import StoredResults
from nndynbench.subsets import SplitError, Subset


def written_comparison(subset: Subset, name: str, results: Path) -> Comparison | None:
    """A protocol's comparison as it was written; where it scores another's predictions, else from those that are stored."""
    path, chosen = comparison_file(results, [subset.name], name), find_protocol(name)
    if path.is_file():
        return read_comparison(path)
    fitted = comparison_file(results, [subset.name], chosen.fitted.name)
    if not fitted.is_file():
        return None
    rows, stored = read_comparison(fitted).rows, StoredResults(results)
    last = [int(rows["budget"].max())]
    bundled = [method for method in rows["method"].unique() if method in method_names()]
    held = [method for method in bundled if stored.holds(method, [subset], chosen, last)]
    if chosen is chosen.fitted or BAR not in held:
        return None
    try:
        return compare(held, subset, protocol=chosen, budgets=last, results=results, jobs=1)
    except UndefinedMetricError:  # no network learned anything
        return None


def can_be_compared(subset: Subset, name: str) -> bool:
    """Whether a subset has a protocol's split."""
    try:
        subset.split(str(find_protocol(name).split))
    except SplitError:
        return False
    return True
