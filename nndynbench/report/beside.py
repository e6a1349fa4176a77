"""What distance is measured beside, where seeds of a recipe are told apart: two references, and two that see more."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from nndynbench.protocols.references import BAR as BAR_METHOD
from nndynbench.protocols.references import Reference, references


class Beside(NamedTuple):
    """A reference's method, that with distance, and that with permuted distance.

    ``key``: the reference whose columns of a comparison hold the gain over this one and what is added to it. One that
    ``stands_in`` has that place only in a comparison of its own (`Board.beside`).
    """

    words: str
    method: str
    with_distance: str
    permuted: str
    key: str = BAR_METHOD
    stands_in: bool = False

    @property
    def labels(self) -> dict[str, str]:
        """The words of each method's row."""
        return {
            self.method: self.words,
            self.with_distance: f"{self.words}, with each layer's distance from its initialisation",
            self.permuted: f"control: {self.words}, with permuted distance",
        }

    @property
    def reference(self) -> Reference:
        """The reference in whose columns a comparison holds its numbers."""
        return next(each for each in references() if each.key == self.key)


BAR = Beside("the bar", "bar", "bar-and-layer-distance", "bar-and-permuted-layer-distance")
CURVES = Beside("curves", "within-curves", "within-curves-and-distance", "within-curves-and-permuted-distance", key="curves")
RECIPE = Beside(
    "curves and the recipe",
    "within-bar",
    "within-bar-and-distance",
    "within-bar-and-permuted-distance",
    stands_in=True,
)
LOSSES = Beside(
    "curves, the recipe and exact losses",
    "within-bar-and-losses",
    "within-bar-losses-and-distance",
    "within-bar-losses-and-permuted-distance",
    stands_in=True,
)
REFERENCES = (BAR, CURVES, RECIPE, LOSSES)


def known_references(methods: Collection[str]) -> list[Beside]:
    """The references that are among some methods, with distance too."""
    return [reference for reference in REFERENCES if {reference.method, reference.with_distance} <= set(methods)]
