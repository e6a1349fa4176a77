"""Networks that are still on the plateau where training begins: their loss is that of chance."""

from __future__ import annotations

import math

import pandas as pd

from nndynbench.errors import NndynbenchError

# A network whose loss is by less below that of chance has learned nothing yet that its curves would show.
MARGIN = 0.03


class PlateauError(NndynbenchError, ValueError):
    """A plateau that cannot be told: of unknown classes, or without training losses."""


def on_plateau(networks: pd.DataFrame, curves: pd.DataFrame, *, budget: int, chance: float) -> pd.Series:
    """By network id, whether its training loss is within 0.03 of chance at a budget; the last one where training ended
    before, and true of a network that has diverged by then, which has none.

    Raises
    ------
    PlateauError
        Where chance is not known (0), or a network that did not diverge has no training loss.
    """
    if chance <= 0:
        raise PlateauError("how many classes there are is not known, so neither is the loss of chance")
    until = curves.loc[curves.index.get_level_values("epoch") <= budget, "train_loss"]
    last = until.groupby(level="network").last().reindex(networks.index)
    learned = last < math.log(100 / chance) - MARGIN
    if len(without := networks.index[last.isna() & ~networks["diverged"]]):
        raise PlateauError(f"{len(without)} networks, such as {without[0]}, have no training loss up to epoch {budget}")
    diverged = networks["diverged"] & (networks["epochs_trained"] < budget)
    return (~learned | diverged).rename("on_plateau")
