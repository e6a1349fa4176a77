"""What a ranking says, in words that depend on its numbers."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from nndynbench.protocols.comparison import BAR
from nndynbench.protocols.metrics import metric_facts
from nndynbench.protocols.triage import RULES
from nndynbench.report.markdown import count, epochs, estimate
from nndynbench.report.ranking import CONTROLS, Row, weights_only


def what_the_ranking_says(last: dict[str, Row], metric: str, budget: int) -> Iterator[str]:
    """Of a board; ``last`` holds its rows at the last budget, the best first."""
    ranks = {name: rank for rank, name in enumerate(last)}
    on_weights = weights_only(last)
    yield from best_on_weights(last, metric_facts()[metric].label, budget)
    for trivial in ("hyperparameters", "learning-rate", "validation-accuracy"):
        if trivial in last:
            beaten = sum(ranks[trivial] < ranks[name] for name in on_weights)
            yield (
                f"- `{trivial}` alone has {estimate(last[trivial])}: better than {count(beaten, len(on_weights))} methods "
                "that read only weights."
            )
    if adding := [name for name, row in last.items() if row.get("added_low", 0) > 0]:
        names = (f"`{name}` ({estimate(last[name], 'added', signed=True)})" for name in adding)
        weighty = [f"`{name}`" for name in adding if "weights" in last[name]["tier"]]
        yield f"- These add to the bar's R², by an interval above 0: {', '.join(names)}."
        yield f"- Of them, these read weights: {', '.join(weighty)}." if weighty else "- None of them reads weights."
    elif any("added" in row and not pd.isna(row["added"]) for row in last.values()):
        yield "- No method adds to the bar's R² by an interval above 0."
    yield from beside_controls(last)


def best_on_weights(last: dict[str, Row], label: str, budget: int) -> Iterator[str]:
    for name in weights_only(last)[:1]:
        yield (
            f"- At {epochs(budget)} the best method that reads only weights is `{name}`: {label} {estimate(last[name])}. "
            f"The bar has {estimate(last[BAR])}: a gain of {estimate(last[name], 'gain', signed=True)}."
        )


def beside_controls(last: dict[str, Row]) -> Iterator[str]:
    for method, controls in CONTROLS.items():
        if found := {name: what for name, what in controls.items() if {method, name} <= last.keys()}:
            values = ", ".join(f"{what} {estimate(last[name])}" for name, what in found.items())
            yield f"- `{method}` has {estimate(last[method])}; the same {values}."


def among_the_trained(ranks: dict[str, Row]) -> Iterator[str]:
    best = next((name for name in ranks if ranks[name]["tier"] == "weights"), None)
    if best is not None:
        yield (
            f"- Chance is easily told from trained. Among the networks that learned anything, `{best}` ranks best of those "
            f"that read only weights: τ {estimate(ranks[best])}; the bar has {estimate(ranks[BAR])}."
        )


def what_triage_says(last: dict[str, Row], saved: dict[str, Row]) -> Iterator[str]:
    """Of the methods against the rules that fit nothing; ``last`` are their rows of regret, ``saved`` of epochs saved."""
    on_weights = weights_only(last)
    if on_weights:
        least = [f"`{name}`" for name in on_weights if last[name]["value"] == last[on_weights[0]]["value"]]
        yield (
            f"- Least regret of the methods that read only weights: {estimate(last[on_weights[0]])}, by {', '.join(least)}. "
            f"The bar has {estimate(last[BAR])}."
        )
    for rule in RULES:
        if rule in last:
            fewer = sum(last[name]["value"] < last[rule]["value"] for name in on_weights)
            more = sum(saved[name]["value"] > saved[rule]["value"] for name in on_weights)
            yield (
                f"- `{rule}`, which fits nothing, has a regret of {estimate(last[rule])} and saves {estimate(saved[rule])}% "
                f"of the epochs. Of the methods that read only weights, {count(fewer, len(on_weights))} have less regret, "
                f"{count(more, len(on_weights))} save more."
            )
