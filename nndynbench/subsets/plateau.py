"""Which networks are still on the plateau where training begins: their loss is that of chance."""

from __future__ import annotations

import math

import pandas as pd

from nndynbench.errors import NndynbenchError

# A network whose loss is less than this below that of chance has learned nothing yet that its curves would show.
MARGIN = 0.03


class PlateauError(NndynbenchError, ValueError):
    """The plateau cannot be determined: the number of classes is unknown, or training losses are missing."""


def on_plateau(networks: pd.DataFrame, curves: pd.DataFrame, *, budget: int, chance: float) -> pd.Series:
    """By network id, whether its training loss is no more than 0.03 below that of chance at a budget.

    If training ended before the budget, the last loss counts. A network that has diverged by then has no loss, and counts as
    on the plateau.

    Raises
    ------
    PlateauError
        If chance is not known (0), or a network that did not diverge has no training loss.
    """
    if chance <= 0:
        raise PlateauError(
            "the number of classes is unknown, so the loss at chance is unknown too: pack the runs with classes="
        )
    until = curves.loc[curves.index.get_level_values("epoch") <= budget, "train_loss"]
    last = until.groupby(level="network").last().reindex(networks.index)
    learned = last < math.log(100 / chance) - MARGIN
    if len(without := networks.index[last.isna() & ~networks["diverged"]]):
        raise PlateauError(
            f"network {without[0]} has no training loss up to epoch {budget} (networks without one: {len(without)})"
        )
    diverged = networks["diverged"] & (networks["epochs_trained"] < budget)
    return (~learned | diverged).rename("on_plateau")
