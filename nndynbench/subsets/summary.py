"""A subset in a few numbers from its networks table, for the command line, the card, the leaderboard and Table 2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nndynbench.subsets.subset import Subset


@dataclass(frozen=True)
class SubsetSummary:
    """Ranges are (lowest, highest); accuracies are in percent."""

    networks: int
    epochs_trained: tuple[int, int]
    final_accuracy: tuple[float, float]
    final_accuracy_all: tuple[float, float]
    threshold: float
    high: int
    diverged: int
    hours: float
    """The training time of all networks together."""

    @property
    def low(self) -> int:
        return self.networks - self.high

    @property
    def larger_class(self) -> float:
        """The share of the larger class, in percent."""
        return 100 * max(self.high, self.low) / self.networks

    @property
    def ranges(self) -> dict[str, str]:
        """The ranges that the paper's Table 2 has too, in words, by its keys."""
        (fewest, most), (lowest, highest) = self.epochs_trained, self.final_accuracy
        return {
            "early_stopping": f"{fewest} to {most}",
            "accuracy": f"{lowest:.1f} to {highest:.1f}%",
            "threshold": f"{self.threshold:g}%",
        }


def summarised(subset: Subset) -> SubsetSummary:
    """A subset at hand in a few numbers."""
    networks = subset.networks

    def span(column: str) -> tuple[float, float]:
        return float(networks[column].min()), float(networks[column].max())

    return SubsetSummary(
        networks=len(networks),
        epochs_trained=(int(networks["epochs_trained"].min()), int(networks["epochs_trained"].max())),
        final_accuracy=span("final_accuracy"),
        final_accuracy_all=span("final_accuracy_all"),
        threshold=subset.manifest.threshold,
        high=int(networks["label"].sum()),
        diverged=int(networks["diverged"].sum()),
        hours=float(networks["seconds"].sum()) / 3600,
    )
