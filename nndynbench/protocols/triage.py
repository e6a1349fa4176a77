"""Rules that stop networks early without fitting anything, replayed on the stored curves. On triage, methods are compared
with them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from nndynbench.arrays import FloatArray

if TYPE_CHECKING:
    from nndynbench.subsets import Subset

Replay = tuple[FloatArray, FloatArray]
"""(how high each network is ranked, the epochs that it was trained)"""

TIES_SEED = 0


def accuracies_by_epoch(subset: Subset) -> FloatArray:
    """Validation accuracies, (networks, epochs). After training ended the last one is repeated; before there is any, it is
    chance.
    """
    table = subset.curves.reset_index().pivot_table(index="network", columns="epoch", values="validation_accuracy")
    table = table.reindex(index=subset.networks.index, columns=pd.RangeIndex(1, subset.manifest.epochs + 1))
    return np.asarray(table.ffill(axis=1).fillna(subset.manifest.chance), dtype=np.float64)


def stop_after_one_epoch(accuracies: FloatArray, epochs: FloatArray) -> Replay:
    """Rank by the validation accuracy after the first epoch (Egele et al. 2024, arXiv 2404.04111)."""
    return accuracies[:, 0], np.minimum(epochs, 1)


def successive_halving(accuracies: FloatArray, epochs: FloatArray) -> Replay:
    """After epochs 1, 2, 4, … only the better half by validation accuracy goes on (Jamieson & Talwalkar 2016, arXiv
    1502.07943). A network is ranked by the round that it reached, and within a round by its accuracy there.
    """
    ranked, trained = np.zeros(len(epochs)), np.zeros(len(epochs))
    alive, rung = np.arange(len(epochs)), 1
    while rung < accuracies.shape[1] and len(alive) > 1:
        # Accuracies are in percent, so one more round counts more than any accuracy.
        ranked[alive] = 1000.0 * rung + accuracies[alive, rung - 1]
        trained[alive] = np.minimum(epochs[alive], rung)
        alive = alive[ranking(accuracies[alive, rung - 1])[: (len(alive) + 1) // 2]]
        rung *= 2
    ranked[alive] = 1000.0 * rung + accuracies[alive, min(rung, accuracies.shape[1]) - 1]
    trained[alive] = np.minimum(epochs[alive], rung)
    return ranked, trained


def ranking(values: FloatArray) -> npt.NDArray[np.int64]:
    """Positions, the largest value first. Equal values come in an order drawn once, so that the grid's order is no help."""
    shuffled = np.random.default_rng(TIES_SEED).permutation(len(values))
    return np.asarray(shuffled[np.argsort(-values[shuffled], kind="stable")])


RULES: dict[str, Callable[[FloatArray, FloatArray], Replay]] = {
    "stop-after-one-epoch": stop_after_one_epoch,
    "successive-halving": successive_halving,
}
