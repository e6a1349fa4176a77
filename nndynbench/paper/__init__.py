"""The paper's numbers (Vahedian et al. 2021, arXiv 2111.05410), as data with their place in the paper."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

# The keys of a claim that name methods.
METHOD_KEYS = ("method", "better", "worse")


def paper_table2() -> dict[str, dict[str, Any]]:
    """Table 2 by its column ("CIFAR-10 LeNet", …): the ranges of early stopping and of accuracy, and the threshold."""
    return dict(_numbers()["table2"])


def paper_table5() -> dict[str, dict[str, int]]:
    """Table 5 by architecture: the numbers of nodes and edges of the rolled and unrolled graphs."""
    return dict(_numbers()["table5"])


def regression_table(name: str) -> tuple[dict[str, str], dict[str, dict[str, dict[str, float]]]]:
    """Table 3 or 4 ("table3", "table4"): the subset of each column, and the paper's mae and r2 by window and column."""
    table = dict(_numbers()[name])
    return dict(table.pop("columns")), table


def paper_scores() -> list[dict[str, Any]]:
    """Every score of the paper as a row: subset, protocol, method, budget, metric, relation ("=", ">" or "≈"), value, place.

    The methods of Tables 3 and 4 saw only the two epochs of a window; their budget is the epoch with which it ends.
    """
    rows = _stated_scores()
    for name in ("table3", "table4"):
        columns, windows = regression_table(name)
        for window, by_column in windows.items():
            facts = {"protocol": "regression", "method": "degree-linear", "budget": int(window.rpartition("-")[2])}
            place = f"Table {name[-1]}, epochs {window}"
            for column, scores in by_column.items():
                about = {"subset": columns[column], **facts, "relation": "=", "place": place}
                rows += [{**about, "metric": metric, "value": value} for metric, value in scores.items()]
    return rows


def contradictions(place: str) -> list[str]:
    """Where the paper contradicts itself about a table or figure, such as "table4"."""
    return [f"the paper: {statement}" for statement in _numbers()["contradictions"].get(place, [])]


def paper_claims() -> list[dict[str, Any]]:
    """The paper's claims; see the head of claims.toml. Method files beside it are named by their full path."""
    return [
        {key: _method(value) if key in METHOD_KEYS else value for key, value in claim.items()}
        for claim in _claims()["claims"]
    ]


def _method(name: str) -> str:
    return str(Path(__file__).with_name(name)) if ".py:" in name else name


def paper_values(*, subset: str, method: str) -> str:
    """What the paper says about how well a method classifies a subset's networks, such as "≈ 0.9 at 5 epochs (figure 4)", in
    the order of its claims; empty if it says nothing.
    """
    asked = {"subset": subset, "method": method, "protocol": "classification", "metric": "accuracy"}
    found = [claim for claim in paper_claims() if all(claim.get(key) == value for key, value in asked.items())]
    return "; ".join(
        f"{claim['relation']} {claim['value']} at {claim['budget']} epochs ({claim['place']})" for claim in found
    )


def paper_score(*, subset: str, protocol: str, method: str, budget: int) -> str | None:
    """What the paper's text says about a method on a subset at a budget, such as "accuracy > 0.93 (abstract)", or None."""
    asked = {"subset": subset, "protocol": protocol, "method": method, "budget": budget}
    for score in _stated_scores():
        if all(score[key] == value for key, value in asked.items()):
            return f"{score['metric']} {score['relation']} {score['value']} ({score['place']})"
    return None


def _stated_scores() -> list[dict[str, Any]]:
    """The claims that state a score, as rows of `paper_scores`."""
    stated = ("subset", "protocol", "method", "budget", "metric", "relation", "value")
    return [
        {fact: claim[fact] for fact in stated} | {"place": claim["score"]} for claim in paper_claims() if "score" in claim
    ]


@cache
def _numbers() -> dict[str, Any]:
    return _read("numbers.toml")


@cache
def _claims() -> dict[str, Any]:
    return _read("claims.toml")


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads(files("nndynbench.paper").joinpath(name).read_text(encoding="utf-8"))
