"""The references that every method is compared with, as data: references.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from nndynbench.subsets.history import WEIGHTS

if TYPE_CHECKING:
    import pandas as pd

BAR = "bar"


@dataclass(frozen=True)
class Reference:
    """A row that others are compared with: that of the first of ``methods`` that is there.

    ``sees``: what it predicts from, of "curves" and "hyperparameters". A method may read more, to know which networks belong
    together.
    """

    key: str
    methods: tuple[str, ...]
    sees: tuple[str, ...]
    name: str
    meaning: str

    @property
    def gain(self) -> str:
        """The column of a comparison that holds the gain over it."""
        return "gain" if self.key == BAR else f"gain_over_{self.key}"

    @property
    def added(self) -> str:
        """The column of a comparison that holds what is added to it."""
        return "added" if self.key == BAR else f"added_to_{self.key}"

    def allows_beside_weights(self, reads: Collection[str]) -> bool:
        """Whether a method that ``reads`` this sees weights, and besides them no more than the reference does.

        What such a method adds to the reference comes from the weights.
        """
        return {WEIGHTS} <= set(reads) <= {WEIGHTS, *self.sees}


@cache
def references() -> tuple[Reference, ...]:
    """All references, in the order of the file."""
    listed = tomllib.loads(files("nndynbench.protocols").joinpath("references.toml").read_text(encoding="utf-8"))
    return tuple(
        Reference(**{**facts, "methods": tuple(facts["methods"]), "sees": tuple(facts["sees"])})
        for facts in listed["references"]
    )


def beyond_references(rows: pd.DataFrame) -> dict[str, str]:
    """The columns of a comparison's rows that compare with references, with their headings: the gain over each, and what is
    added to it. Columns without a single number are left out.
    """
    heads: dict[str, str] = {}
    for reference in references():
        heads |= {reference.gain: f"gain over {reference.name}", reference.added: f"added to {reference.name}"}
    return {column: head for column, head in heads.items() if column in rows and rows[column].notna().any()}


def references_among(methods: Iterable[str]) -> dict[str, str]:
    """For each reference, by its key, the first of its methods that is among those given. References that have none are left
    out.
    """
    there = set(methods)
    found = {reference.key: next((m for m in reference.methods if m in there), None) for reference in references()}
    return {key: method for key, method in found.items() if method}
