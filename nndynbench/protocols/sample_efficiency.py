"""How a method's score, and its gain over a reference, depend on the number of networks that both are fitted on.

A researcher with runs of their own has tens of them, not hundreds, so a method is worth most if it needs few.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from nndynbench.progress import reporting
from nndynbench.protocols.arguments import checked_budgets, checked_count
from nndynbench.protocols.harness import evaluate
from nndynbench.protocols.intervals import quantiles
from nndynbench.protocols.metrics import METRICS
from nndynbench.protocols.protocol import Protocol, find_protocol
from nndynbench.protocols.scoring import Case, Estimate, cases
from nndynbench.subsets import Subset, as_subset

CURVE_BAR = "curve-bar"
SIZES = (48, 96, 192, None)
PARTS = 3


def sample_efficiency(
    method: Any,
    subset: str | Subset,
    *,
    beside: Any = CURVE_BAR,
    protocol: str | Protocol = "regression-folds",
    budgets: int | str | Sequence[int] = (1, 5),
    sizes: Sequence[int | None] = SIZES,
    parts: int = PARTS,
    jobs: int = 1,
    progress: Callable[[int, int], None] | bool | None = None,
) -> pd.DataFrame:
    """Evaluate a method and a reference on equal, ever larger parts of the training networks.

    Parameters
    ----------
    method, beside
        The method and the reference that it is compared with, as `nndynbench.evaluate` takes them.
    subset
        The subset's name, or the loaded subset.
    protocol
        The name of a protocol that tests the same subset.
    budgets
        How many epochs both may see.
    sizes
        How many networks both are fitted on inside each fold; None for the whole training side. Smaller parts are contained
        in larger ones.
    parts
        How many parts of each size are drawn; scores are means over them. Fits on all networks are repeated as often, each
        time with another order of the networks. Folds are drawn once; `nndynbench.evaluate` can average over several
        ``draws``.
    jobs
        How many fits run at a time.
    progress
        True for a bar, or a function that is called with how many evaluations are done and how many there are.

    Returns
    -------
    A row per budget and size: ``networks``, how many were fitted on (for all, the size of the largest training side);
    ``metric``, the protocol's first; the method's ``value`` with its 95% interval from ``low`` to ``high``; the reference's
    score as ``beside``; and the ``gain`` with its paired interval (``gain_low``, ``gain_high``). Intervals resample the
    tested networks, as for any score. What differs between parts is averaged over, and is not in the intervals.

    Raises
    ------
    UnknownNameError, BudgetError, SplitError, MethodError
        As `nndynbench.evaluate`.
    ValueError
        For sizes that are not whole numbers above 0, no parts, or a protocol that tests another subset.

    Examples
    --------
    >>> import nndynbench
    >>> asked = {"beside": "constant", "budgets": 5, "sizes": [48, 96], "parts": 1}
    >>> curve = nndynbench.sample_efficiency("training-loss", "digits-lenet", **asked)
    >>> curve["networks"].tolist()
    [48, 96]
    """
    chosen, loaded = find_protocol(protocol), as_subset(subset)
    if chosen.test == "another":
        raise ValueError(f"{chosen.name} tests on another subset than it trains on: choose a protocol of one subset")
    counts = [checked_count(size, "a size") for size in sizes]
    number_of_parts = checked_count(parts, "parts") or PARTS
    asked = checked_budgets(budgets)
    largest = max(len(learnt) for learnt, _ in loaded.split(str(chosen.split)))
    fits = list(product(counts, range(number_of_parts), (method, beside)))
    found: dict[tuple[int, Any], list[Case]] = {}
    options: dict[str, Any] = {"protocol": chosen, "budgets": asked, "jobs": jobs}
    with reporting(progress, "fitting on parts of the networks") as report:
        for done, (count, part, each) in enumerate(fits, start=1):
            result = evaluate(each, loaded, order_seed=part, reference_networks=count, **options)
            for key, case in cases(result.predictions, {loaded.name: loaded}, chosen, reads=result.facts.reads).items():
                found.setdefault((min(count or largest, largest), key[1]), []).append(case)
            report(done, len(fits))
    rows = [
        {"budget": budget, "networks": networks, **_row(own[::2], own[1::2], chosen.metrics[0])}
        for (networks, budget), own in found.items()
    ]
    return pd.DataFrame(rows).sort_values(["budget", "networks"], ignore_index=True)


def _row(own: Sequence[Case], reference: Sequence[Case], metric: str) -> dict[str, Any]:
    """Means over parts, each with its interval. The gain's interval is from resamples that are the same for both methods."""
    measure, clusters = METRICS[metric], own[0].clusters
    value, other = (float(np.mean([case.value(metric) for case in side])) for side in (own, reference))
    drawn, drawn_other = (np.mean([case.in_resamples(metric) for case in side], axis=0) for side in (own, reference))
    return {
        "metric": metric,
        **Estimate(value, *quantiles(drawn, clusters))._asdict(),
        "beside": other,
        "gain": measure.direction * (value - other),
        **dict(zip(("gain_low", "gain_high"), quantiles(measure.direction * (drawn - drawn_other), clusters), strict=True)),
    }
