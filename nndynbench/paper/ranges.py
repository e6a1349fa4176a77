"""The ranges of the paper's Table 2 in words, to stand beside ours (`SubsetSummary.ranges`)."""

from __future__ import annotations

from nndynbench.numbers import NOTHING
from nndynbench.paper import paper_table2

# What each range is, by its key in Table 2.
RANGES = {"early_stopping": "epochs trained", "accuracy": "final accuracy", "threshold": "threshold"}


def paper_ranges(column: str | None) -> dict[str, str]:
    """The ranges of a column of Table 2 ("CIFAR-10 LeNet", …), by the keys of `RANGES`; dashes where there is no such
    column.
    """
    paper = paper_table2().get(column or "")
    if paper is None:
        return dict.fromkeys(RANGES, NOTHING)
    return {
        "early_stopping": str(paper["early_stopping"]),
        "accuracy": f"{paper['accuracy']}%",
        "threshold": f"{paper['threshold']}%",
    }
