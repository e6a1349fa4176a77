"""Why a table of the document has a dash where a number would stand."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

import pandas as pd
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from nndynbench.numbers import epochs
from nndynbench.protocols import Comparison, find_method, find_protocol, method_names
from nndynbench.report.ranking import Row
from nndynbench.storage.places import NotAtHandError
from nndynbench.subsets import Subset

UNRECORDED = "no reason is recorded"


def no_values(rows: pd.DataFrame, where: Callable[[Row], str]) -> Iterator[str]:
    """A line for each reason for which rows have no value; ``where`` says which cell a row is."""
    empty = rows[rows["value"].isna()].to_dict("records")
    yield from lines((f"`{row['method']}`{where(dict(row))}", row.get("undefined") or UNRECORDED) for row in empty)


def lines(cells: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Cells and their reasons as lines, the cells of one reason together."""
    by_reason: dict[str, list[str]] = {}
    for cell, reason in cells:
        by_reason.setdefault(reason, []).append(cell)
    yield from (f"\nNo value (–) for {', '.join(found)}: {reason}." for reason, found in by_reason.items())


def failures(compared: Comparison) -> Iterator[str]:
    """A line for the methods that have no result, by the reason."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in compared.failures.items():
        by_reason.setdefault(reason.partition(";")[0], []).append(f"`{name}`")
    yield from (f"\nNo result for {', '.join(names)}: {reason}." for reason, names in by_reason.items())


def without_data(subset: Subset, protocol: str, submitted: Collection[str]) -> dict[str, str]:
    """The bundled methods that are not submitted here and cannot be, by name, with what is missing for them: seen in what
    their columns raise of a network that no tier of graphs or weights at hand has.
    """
    readers = ((network, subset.reader(network)) for network in subset.network_ids)
    bare = next((network for network, held in readers if not held.epochs("graphs") and not held.epochs("weights")), None)
    if bare is None:
        return {}
    history, found = subset.history(bare, 1), {}
    for name in method_names():
        method = find_method(name)
        if name in submitted or method.needs or not method.does(find_protocol(protocol)):
            continue
        estimator = method.estimator(find_protocol(protocol))
        if not isinstance(estimator, Pipeline):
            continue
        try:
            clone(estimator[0]).fit_transform([history])
        except NotAtHandError:
            held = max(subset.networks_in("graphs"), subset.networks_in("weights"))
            found[name] = f"graphs are at hand for {held} of the {len(subset.networks)} networks of {subset.name}"
        except Exception:
            continue
    return found


def at_budget(row: Row) -> str:
    return f" at {epochs(row['budget'])}"
