"""Further targets that a protocol may predict: mean accuracies over a network's last epochs. The accuracy after the last
epoch alone jumps by several points under plain SGD.

``late_accuracy``, on the test half, is stored where it was measured. ``late_validation_accuracy`` follows from the curves,
which every subset has, and is not stored. Both are over a network's own last epochs, and are chance for a diverged network.
"""

from __future__ import annotations

import pandas as pd

from nndynbench.errors import NndynbenchError

LATE_ACCURACY = "late_accuracy"
LATE_VALIDATION_ACCURACY = "late_validation_accuracy"
LATE = (LATE_ACCURACY, LATE_VALIDATION_ACCURACY)
LATE_EPOCHS = 5


class TargetError(NndynbenchError, ValueError):
    """A target that a subset does not have; the message names the subsets that have it."""


def late_validation_accuracy(networks: pd.DataFrame, curves: pd.DataFrame, *, chance: float) -> pd.Series:
    """By network id, the mean validation accuracy over its own last five epochs, or over all if it trained fewer.

    Raises
    ------
    TargetError
        If a network that did not diverge has no validation accuracies, or if one diverged and chance is not known (0).
    """
    if chance <= 0 and networks["diverged"].any():
        raise TargetError(
            "the number of classes is unknown, so the accuracy of diverged networks, chance, is unknown too: pack the runs "
            "with classes="
        )
    late = curves["validation_accuracy"].groupby(level="network", sort=False).tail(LATE_EPOCHS)
    means = late.groupby(level="network").mean().reindex(networks.index)
    late_means = means.where(~networks["diverged"], chance).rename(LATE_VALIDATION_ACCURACY)
    if len(without := late_means.index[late_means.isna()]):
        raise TargetError(
            f"network {without[0]} has no validation accuracies in its last epochs (networks without them: {len(without)})"
        )
    return late_means


def epochs_before_late(networks: pd.DataFrame, late_epochs: int = LATE_EPOCHS) -> int:
    """The last epoch before any network's late epochs; a diverged network has no late epochs."""
    trained = networks.loc[~networks["diverged"], "epochs_trained"]
    return max(0, int(trained.min()) - late_epochs) if len(trained) else 0
