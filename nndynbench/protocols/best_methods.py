"""The leaderboard in short, as it is shipped with the package: which method is best for the data that a run has."""

from __future__ import annotations

import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from nndynbench.errors import NndynbenchError

BEST_FILE = "best_methods.toml"


class NoMethodError(NndynbenchError, ValueError):
    """No method of the board reads only the data that was given."""


@dataclass(frozen=True)
class BestMethod:
    """A method, what it reads, whether that includes the weights of epoch 0, and its mean rank over the subsets."""

    name: str
    reads: tuple[str, ...]
    needs_initialisation: bool
    rank: float


def best_path() -> Path:
    return Path(__file__).with_name(BEST_FILE)


@cache
def best_methods() -> tuple[BestMethod, ...]:
    """The methods of ``best_methods.toml``, the best first."""
    listed = tomllib.loads(best_path().read_text(encoding="utf-8"))["methods"]
    found = [BestMethod(m["name"], tuple(m["reads"]), m["needs_initialisation"], m["rank"]) for m in listed]
    return tuple(sorted(found, key=lambda method: method.rank))


def best_method(given: Collection[str], *, initialisation: bool) -> str:
    """Returns the name of the best method on the board that reads only what is given.

    ``given`` are the parts of a run that are at hand, of "weights", "curves" and "hyperparameters"; ``initialisation`` says
    whether the weights of epoch 0 are among them.

    Raises
    ------
    NoMethodError
        If there is no such method.
    """
    for method in best_methods():
        if method.reads and set(method.reads) <= set(given) and (initialisation or not method.needs_initialisation):
            return method.name
    if not given:
        raise NoMethodError("nothing is given to predict from: give weights, curves or hyperparameters")
    raise NoMethodError(
        f"no method on the board predicts from {', '.join(sorted(given))} alone: "
        "give more of weights, curves and hyperparameters"
    )
