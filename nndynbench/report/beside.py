"""What distance is measured beside: two references, and where seeds of a recipe are told apart two more that see more."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from nndynbench.protocols.references import BAR, Reference, references


class Trio(NamedTuple):
    """A base method, that with distance, and that with permuted distance.

    ``key``: the reference whose columns of a comparison hold the gain over the base and what is added to it. A base that
    ``stands_in`` has that place only in a comparison of its own.
    """

    words: str
    base: str
    with_distance: str
    permuted: str
    key: str = BAR
    stands_in: bool = False

    @property
    def labels(self) -> dict[str, str]:
        """The words of each method's row."""
        return {
            self.base: self.words,
            self.with_distance: f"{self.words}, with each layer's distance from its initialisation",
            self.permuted: f"control: {self.words}, with permuted distance",
        }

    @property
    def reference(self) -> Reference:
        """The reference in whose columns a comparison holds its numbers."""
        return next(each for each in references() if each.key == self.key)


BAR_TRIO = Trio("the bar", "bar", "bar-and-layer-distance", "bar-and-permuted-layer-distance")
CURVES_TRIO = Trio("curves", "within-curves", "within-curves-and-distance", "within-curves-and-permuted-distance", "curves")
RECIPE_TRIO = Trio(
    "curves and the recipe",
    "within-bar",
    "within-bar-and-distance",
    "within-bar-and-permuted-distance",
    stands_in=True,
)
LOSSES_TRIO = Trio(
    "curves, the recipe and exact losses",
    "within-bar-and-losses",
    "within-bar-losses-and-distance",
    "within-bar-losses-and-permuted-distance",
    stands_in=True,
)
SEEDS_TRIOS = (BAR_TRIO, CURVES_TRIO, RECIPE_TRIO, LOSSES_TRIO)

# Under regression-folds, in the order of the references.
FOLDS_TRIOS = (
    BAR_TRIO._replace(words="the bar: hyperparameters and curves"),
    Trio("the curves alone", "curve-bar", "curve-bar-and-layer-distance", "curve-bar-and-permuted-layer-distance", "curves"),
)


def seeds_trios_among(methods: Collection[str]) -> list[Trio]:
    """The trios of seeds whose base is among some methods, with distance too."""
    return [trio for trio in SEEDS_TRIOS if {trio.base, trio.with_distance} <= set(methods)]
