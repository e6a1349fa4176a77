"""Makes submissions from a result of `nndynbench evaluate`, one per tested subset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
from pydantic import ValidationError

from nndynbench.protocols.protocol import find_protocol
from nndynbench.protocols.results import DRAW
from nndynbench.submissions.files import RefusedError, refusal
from nndynbench.submissions.schema import Submission

if TYPE_CHECKING:
    from nndynbench.protocols.results import Result

MOST_FAULTS = 5  # of one submission that are told at once


def submissions_of(
    result: Result,
    *,
    authors: Sequence[str],
    licence: str,
    code: str,
    commit: str,
    seeds: Sequence[int],
    method: str | None = None,
    description: str | None = None,
) -> list[Submission]:
    """A submission per subset that the result tested.

    Parameters
    ----------
    result
        From `nndynbench.evaluate`. Each submission has the seconds of all its subsets together.
    authors, licence, code, commit
        Who submits, under which terms (an SPDX expression), where the code is (an https address), and its commit.
    seeds
        Every seed that the method used.
    method, description
        Used in place of the result's own.

    Raises
    ------
    RefusedError
        Naming the fields that are not as the schema wants them.
    """
    facts = result.facts
    if (few := facts.reference_networks) is not None:
        raise RefusedError(
            "reference_networks", f"a submitted method is fitted on all networks of each training side, not on {few}"
        )
    chosen = find_protocol(facts.protocol)
    references = {subset.name: subset.model_dump() for subset in facts.subsets}
    made = []
    for name in dict.fromkeys(result.predictions["subset"]):
        predictions = result.predictions[result.predictions["subset"] == name]
        scores = result.scores[result.scores["subset"] == name]
        fields: dict[str, Any] = {
            "method": method or facts.method,
            "description": description or facts.description,
            "source": facts.source or None,
            "authors": list(authors),
            "licence": licence,
            "code": code,
            "commit": commit,
            "reads": list(facts.reads),
            "protocol": chosen.name,
            "budgets": [int(budget) for budget in dict.fromkeys(predictions["budget"])],
            "subset": references[name],
            "libraries": facts.libraries,
            "seeds": list(seeds),
            "order_seed": facts.order_seed,
            "sealed": facts.sealed,
            "seconds": facts.seconds,
            "scores": _scores(scores),
            "predictions": _columns(predictions, with_score=chosen.task == "classification"),
        }
        if "trained_on" in predictions:
            fields["trained_on"] = [references[other] for other in dict.fromkeys(predictions["trained_on"])]
        try:
            made.append(Submission.model_validate(fields))
        except ValidationError as invalid:
            raise refusal(invalid, most=MOST_FAULTS) from None
    return made


def _scores(scores: pd.DataFrame) -> list[dict[str, Any]]:
    keys = ["budget", "metric", "value", *(["trained_on"] if "trained_on" in scores else [])]
    return [
        {**{str(k): v for k, v in row.items()}, "value": None if pd.isna(row["value"]) else float(row["value"])}
        for row in scores[keys].to_dict("records")
    ]


def _columns(predictions: pd.DataFrame, *, with_score: bool) -> dict[str, Any]:
    names = ["budget", *([DRAW] if DRAW in predictions else []), "fold", "network", "prediction"]
    names += ["score"] if with_score else []
    names += ["trained_on"] if "trained_on" in predictions else []
    return {name: predictions[name].tolist() for name in names}
