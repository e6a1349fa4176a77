"""Methods compared at every budget: rows of scores, gains and additions, as a value that is shown, drawn and saved."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nndynbench.protocols.protocol import Protocol
from nndynbench.storage.files import joined_names, user_path, written_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NUMBERS = ("value", "low", "high", "gain", "added", "ceiling")


@dataclass(frozen=True, repr=False)
class Comparison:
    """What `compare` returns.

    ``rows``: a row per method, subset, budget and metric. ``value`` is the score, ``gain`` the gain over the bar (positive
    is better) and ``added``, for R², what the method adds to the bar; each has its 95% interval (``…low``, ``…high``).
    ``gain_over_curves`` and ``added_to_curves`` say the same about the curves alone, where those are compared or submitted.
    ``ceiling`` is the score of a predictor that knows the configuration's expected accuracy, ``reads`` what the method
    reads, and ``draws`` how many draws of the folds the value is the mean over. ``undefined`` gives the reason if there is
    no value or no interval. On transfer, ``trained_on`` is the subset that was trained on.

    ``failures``: the methods that gave no result, with the reason (for several subsets the key is "method on subset").
    ``regimes``: the regime that each subset was trained under.

    Examples
    --------
    >>> import nndynbench
    >>> compared = nndynbench.compare(["constant", "learning-rate"], "digits-lenet", protocol="regression-folds", budgets=5)
    >>> compared.rows.query("metric == 'r2'").set_index("method").loc["constant", "value"] < 0
    np.True_
    """

    protocol: Protocol
    rows: pd.DataFrame
    failures: Mapping[str, str]
    regimes: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        methods, subsets = (list(dict.fromkeys(self.rows[column])) for column in ("method", "subset"))
        return f"Comparison({self.protocol.name!r}, {len(methods)} methods, on {' '.join(map(str, subsets)) or 'nothing'})"

    def __str__(self) -> str:
        from nndynbench.cards import comparison_text

        return comparison_text(self)

    def _repr_html_(self) -> str:
        from nndynbench.cards import comparison_card

        return comparison_card(self)

    def title_of(self, subset: str) -> str:
        """A subset's name, marked if its regime was a reduced one."""
        return f"{subset} (reduced regime)" if self.regimes.get(subset) == "reduced" else subset

    def table(self, metric: str | None = None, column: str = "value") -> pd.DataFrame:
        """One column of the rows for one metric (by default the protocol's first), as methods × (subset, budget)."""
        rows = self.rows[self.rows["metric"] == (metric or self.protocol.metrics[0])]
        keys = ["trained_on", "subset", "budget"] if "trained_on" in rows else ["subset", "budget"]
        return rows.pivot_table(index="method", columns=keys, values=column, sort=False, dropna=False)

    def plot(
        self,
        *,
        subset: str | None = None,
        metric: str | None = None,
        methods: Sequence[str] | None = None,
        ax: Axes | None = None,
    ) -> Axes:
        """Draw a metric of one subset over the budgets, a curve for each method.

        By default it is the protocol's first metric, the first subset, and the methods that
        `nndynbench.drawing.draw_comparison` chooses. Draws on the given matplotlib axes, or on a new figure's, and returns
        them.
        """
        from nndynbench.drawing import draw_comparison

        return draw_comparison(self, subset=subset, metric=metric, methods=methods, ax=ax)

    def save(self, path: str | Path) -> Path:
        """Write the rows as ``.csv``, or everything as ``.json``; returns the path.

        Raises
        ------
        ValueError
            For another suffix.
        """
        target = user_path(path)
        if target.suffix not in (".csv", ".json"):
            raise ValueError(f"a comparison can be saved as .csv or .json, not as {target.name!r}")
        target.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(target) as partial:
            if target.suffix == ".csv":
                self.rows.to_csv(partial, index=False)
            else:
                rows = self.rows.astype(object).where(self.rows.notna(), None).to_dict("records")
                content = {
                    "protocol": self.protocol.name,
                    "regimes": dict(self.regimes),
                    "rows": rows,
                    "failures": dict(self.failures),
                }
                partial.write_text(json.dumps(content, indent=1), encoding="utf-8")
        return target


def comparison_file(folder: str | Path, subsets: Sequence[str], protocol: str) -> Path:
    """The file in a folder to which the command ``compare`` writes a comparison."""
    return user_path(folder) / f"compare.{joined_names(subsets)}.{protocol}.json"


def frame_of(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The rows as a frame in which columns of numbers are floats, even if they hold no number."""
    frame = pd.DataFrame(rows) if rows else pd.DataFrame(columns=["method", "subset", "budget", "metric", *NUMBERS, "reads"])
    numbers = [column for column in frame if str(column).startswith(NUMBERS)]
    return frame.astype(dict.fromkeys(numbers, np.float64))
