"""What a ranking says, in words that depend on its numbers."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import pandas as pd

from nndynbench.numbers import epochs, estimate, listed, number
from nndynbench.protocols.metrics import METRICS
from nndynbench.protocols.references import BAR, references
from nndynbench.protocols.triage import RULES
from nndynbench.report.markdown import count, named
from nndynbench.report.ranking import (
    Row,
    beside_weights,
    controls_of,
    is_control,
    is_learned,
    most_adding,
    shortlist,
    trivial,
    weights_only,
)

CONSTANT = "constant"


def what_the_ranking_says(last: dict[str, Row], metric: str, budget: int) -> Iterator[str]:
    """Of a board; ``last`` holds its rows at the last budget, the best first."""
    yield from best_on_weights(last, metric, budget)
    yield from (_beside_the_weights(name, last, metric) for name in trivial(last))
    yield from what_adds(last, metric)
    yield from beside_controls({name: last[name] for name in shortlist(last)})


def best_on_weights(last: dict[str, Row], metric: str, budget: int) -> Iterator[str]:
    """The best that reads only weights, beside the bar; said as plainly where it is a control, or where it is of no use."""
    names = weights_only(last)
    if not names:
        return
    label, best = METRICS[metric].label, names[0]
    found = f"`{best}`: {label} {estimate(last[best])}"
    if lacking := _lacking(best, last, metric):
        kind = "a control, " if is_control(best) else ""
        yield f"- At {epochs(budget)} no method that reads only weights is of use. The best is {kind}{found}, {lacking}."
        yield f"- {_bar(last, metric)}."
        return
    methods = [name for name in names if not is_control(name)]
    if not is_control(best):
        yield f"- At {epochs(budget)} the best method that reads only weights is {found}. {_bar(last, metric, best)}."
    elif methods:
        yield (
            f"- At {epochs(budget)} the best method that reads only weights is a control, {found}. The best that is no "
            f"control is `{methods[0]}`, {estimate(last[methods[0]])}. {_bar(last, metric, methods[0])}."
        )
    else:
        yield f"- At {epochs(budget)} only controls read weights alone. The best is {found}. {_bar(last, metric)}."


def _bar(last: dict[str, Row], metric: str, method: str | None = None) -> str:
    """What the bar has, and a method's gain over it where that says anything."""
    text = f"The bar has {estimate(last[BAR])}"
    if lacking := _lacking(BAR, last, metric):
        return f"{text}: {lacking}. A gain over such a bar, or what is added to it, says nothing"
    if method is None:
        return text
    gain = f"{text}. Over it, `{method}` has a gain of {estimate(last[method], 'gain', signed=True)}"
    return gain + (", under the draws that both have" if _draws_differ(method, last) else "")


def _draws_differ(method: str, last: dict[str, Row]) -> bool:
    """Whether a method and the bar have other draws of the folds, so that their scores do not differ by the gain."""
    return bool(last[method].get("draws") != last[BAR].get("draws"))


def _lacking(name: str, last: dict[str, Row], metric: str) -> str:
    """Why a score is of no use: below 0 where it is an R², or no better than always the same answer; empty where it is."""
    value, faults = last[name]["value"], []
    if METRICS[metric].blends and value < 0:
        faults.append("below 0")
    if CONSTANT in last and METRICS[metric].direction * (value - last[CONSTANT]["value"]) <= 0:
        faults.append(f"no better than `{CONSTANT}`, {number(last[CONSTANT]['value'])}")
    return " and ".join(faults)


def _beside_the_weights(name: str, last: dict[str, Row], metric: str) -> str:
    """How many methods that read only weights a trivial one beats; a tie is no victory."""
    others = [other for other in weights_only(last) if not is_control(other)]
    ahead = [METRICS[metric].direction * (last[name]["value"] - last[other]["value"]) for other in others]
    beaten, equal = sum(difference > 0 for difference in ahead), sum(difference == 0 for difference in ahead)
    ties = f", and equal to {equal}" if equal else ""
    return (
        f"- `{name}` alone has {estimate(last[name])}: better than {count(beaten, len(ahead))} methods that read only "
        f"weights{ties}."
    )


def what_adds(last: dict[str, Row], metric: str) -> Iterator[str]:
    """Which methods add to the bar, and how weak that is as evidence; nothing of a bar that is of no use itself."""
    if _lacking(BAR, last, metric):
        return
    if adding := [name for name, row in last.items() if row.get("added_low", 0) > 0]:
        names = (f"{named(name)}, {estimate(last[name], 'added', signed=True)}" for name in adding)
        weighty = [named(name) for name in adding if "weights" in last[name]["reads"]]
        reading = f"Of these, {listed(weighty)} read{'s' * (len(weighty) == 1)} weights" if weighty else ""
        whose = reading or "None of them reads weights"
        yield f"- These methods add to the bar's R² with an interval above 0: {'; '.join(names)}. {whose}."
    elif _have(last, "added"):
        yield "- No method adds to the bar's R² with an interval above 0."
    yield from _weak_evidence(last)
    yield from _what_adds_to_curves(last)


def _what_adds_to_curves(last: dict[str, Row]) -> Iterator[str]:
    """How many methods that see weights, and beside them nothing but curves, add to the curves alone."""
    [curves] = [reference for reference in references() if reference.key == "curves"]
    most, compared = most_adding(last, curves)
    if most is None:
        return
    told = sum(last[name][f"{curves.added}_low"] > 0 for name in beside_weights(last, curves))
    yield (
        f"- Of the methods that see weights and otherwise at most curves, {count(told, compared)} add{'s' * (told == 1)} to "
        f"the curves alone with an interval above 0. `{most}` adds most: {estimate(last[most], curves.added, signed=True)}."
    )


def _weak_evidence(last: dict[str, Row]) -> Iterator[str]:
    """Where an interval is above 0: of how many methods, and what the best control has."""
    column = "added" if _have(last, "added") else "gain"
    tried = sorted(_have(last, column), key=lambda name: -last[name][column])
    methods = [name for name in tried if not is_control(name)]
    if not methods or not any(last[name][f"{column}_low"] > 0 for name in tried):
        return
    verb = "adds" if column == "added" else "gains"
    best = f"The best method, `{methods[0]}`, {verb} {estimate(last[methods[0]], column, signed=True)}"
    controls = [name for name in tried if is_control(name)][:1]
    beside = (f"; the best control, `{name}`, {verb} {estimate(last[name], column, signed=True)}" for name in controls)
    weak = f"{len(tried)} methods were tried. With so many, an interval above 0 for one of them is weak evidence"
    yield f"- {weak}. {best}{''.join(beside)}."


def _have(last: dict[str, Row], column: str) -> list[str]:
    """The methods beside the bar that have a number in a column."""
    return [name for name, row in last.items() if name != BAR and not pd.isna(row.get(column))]


def beside_controls(last: dict[str, Row]) -> Iterator[str]:
    for method, controls in controls_of(list(last), last).items():
        values = ", ".join(f"`{name}` {estimate(last[name])}" for name in controls)
        yield f"- `{method}` has {estimate(last[method])}, its control{'s' * (len(controls) > 1)} {values}."


def what_learning_gives(last: dict[str, Row], metric: str, networks: int) -> Iterator[str]:
    """Methods that learn from a subset's networks what to look for in weights, beside the best of those that are told."""
    on_weights = weights_only(last)
    learned = [name for name in on_weights if is_learned(name)]
    told = [name for name in on_weights if not is_learned(name) and not is_control(name)]
    if not learned or not told:
        return
    best = told[0]
    behind = METRICS[metric].direction * (last[learned[0]]["value"] - last[best]["value"]) < 0
    few = f": {networks} networks are few to learn features from" if behind else ""
    scores = listed(f"{named(name)}, {estimate(last[name])}" for name in learned)
    yield f"- Methods that learn their own features of the weights: {scores}."
    yield f"  The best method with given features, `{best}`, has {estimate(last[best])}{few}."


def among_the_trained(ranks: dict[str, Row]) -> Iterator[str]:
    for best in weights_only(ranks)[:1]:
        yield (
            f"- Among the networks that learned something, {named(best)} ranks best by weights alone: "
            f"τ {estimate(ranks[best])}. The bar has {estimate(ranks[BAR])}."
        )


def what_is_known_of_the_rates(shares: Collection[float]) -> str:
    """How much is new under a protocol that keeps cells of the grid apart; ``shares`` are those of the tested networks whose
    learning rate was learnt from, one for each pair of subsets.
    """
    shown = sorted({f"{share:.0%}" for share in shares}, key=lambda text: float(text[:-1]))
    often, by_pair = (shown[0], "") if len(shown) == 1 else (f"{shown[0]} to {shown[-1]}", ", depending on the pair")
    return (
        "No network is tested whose hyperparameters, all together, were learnt from. Its learning rate alone may have been: "
        f"that holds for {often} of the tested networks{by_pair}. Neighbouring cells are learnt from, too, and end alike. "
        "So read each row beside those of `hyperparameters` and `grid-neighbours`, which look at no network."
    )


def what_triage_says(last: dict[str, Row], saved: dict[str, Row]) -> Iterator[str]:
    """Of the methods against the rules that fit nothing; ``last`` are their rows of regret, ``saved`` of epochs saved."""
    on_weights = weights_only(last)
    if on_weights:
        under_its_own = ", each under its own draws of the folds" if _draws_differ(on_weights[0], last) else ""
        least = [named(name) for name in on_weights if last[name]["value"] == last[on_weights[0]]["value"]]
        yield (
            f"- The least regret of a method that reads only weights is {estimate(last[on_weights[0]])}, by "
            f"{', '.join(least)}. The bar has {estimate(last[BAR])}{under_its_own}."
        )
    for rule in RULES:
        if rule in last and on_weights:
            fewer = sum(last[name]["value"] < last[rule]["value"] for name in on_weights)
            yield (
                f"- `{rule}`, which fits nothing, has a regret of {estimate(last[rule])} and saves {estimate(saved[rule])}% "
                f"of the epochs. Of the methods that read only weights, {count(fewer, len(on_weights))} have less regret."
            )
