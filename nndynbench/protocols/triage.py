"""Rules that stop networks early without fitting anything, replayed on the stored curves. On triage, methods are compared
with them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from nndynbench.arrays import FloatArray
from nndynbench.protocols.protocol import Protocol
from nndynbench.protocols.scored import Scored
from nndynbench.protocols.scoring import Case, Draw, cluster_of

if TYPE_CHECKING:
    from nndynbench.subsets import Subset
    from nndynbench.subsets.splits import Fold

Replay = tuple[FloatArray, FloatArray]
"""(how high each network is ranked, the epochs that it was trained)"""

Rule = Callable[[FloatArray, FloatArray], Replay]
"""From validation accuracies (networks, epochs) and the epochs that each network can be trained, to a replay."""

TIES_SEED = 0


def accuracies_by_epoch(subset: Subset) -> FloatArray:
    """Validation accuracies, (networks, epochs). After training ended the last one is repeated; before there is any, it is
    chance.
    """
    table = subset.curves.reset_index().pivot_table(index="network", columns="epoch", values="validation_accuracy")
    table = table.reindex(index=subset.networks.index, columns=pd.RangeIndex(1, subset.manifest.epochs + 1))
    return np.asarray(table.ffill(axis=1).fillna(subset.manifest.chance), dtype=np.float64)


def replayed(rule: Rule, subset: Subset, protocol: Protocol) -> dict[str, Case]:
    """For each metric of triage, the case of a rule that is replayed on a subset.

    As a method, a rule ranks the networks of each fold, under every draw of the folds. Only the epochs that it saves are of
    all networks at once, since it needs none that were trained to the end.
    """
    draws = range(protocol.fitted.draws)
    in_folds = Case(
        protocol, tuple(_draw(rule, subset, protocol, subset.split(str(protocol.split), draw), draw) for draw in draws)
    )
    at_once = Case(protocol, (_draw(rule, subset, protocol, [([], subset.network_ids)], 0),))
    return {metric: at_once if metric == "epochs_saved" else in_folds for metric in protocol.metrics}


def _draw(rule: Rule, subset: Subset, protocol: Protocol, folds: Sequence[Fold], number: int) -> Draw:
    accuracies, epochs = accuracies_by_epoch(subset), subset.networks["epochs_trained"].to_numpy(dtype=np.float64)
    ranked, trained, fold_of = np.zeros(len(epochs)), np.zeros(len(epochs)), np.zeros(len(epochs), dtype=np.int64)
    for fold, (_, tested) in enumerate(folds):
        inside = subset.networks.index.get_indexer(pd.Index(tested))
        ranked[inside], trained[inside] = rule(accuracies[inside], epochs[inside])
        fold_of[inside] = fold
    truth, networks = subset.networks[protocol.target].to_numpy(), subset.networks.index.to_numpy()
    scored = Scored(truth, ranked, ranked, fold_of, spent=trained, remaining=epochs - trained)
    return Draw(number, networks, cluster_of(subset.networks).to_numpy(), scored)


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


RULES: dict[str, Rule] = {
    "stop-after-one-epoch": stop_after_one_epoch,
    "successive-halving": successive_halving,
}
