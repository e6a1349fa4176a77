"""Computes every score of a submission again, from its predictions and the stored labels."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from nndynbench.names import UnknownNameError
from nndynbench.protocols.protocol import Protocol, find_protocol
from nndynbench.protocols.results import DRAW
from nndynbench.protocols.scoring import Case, cases, named_unknown
from nndynbench.protocols.sides import sides
from nndynbench.storage.places import NotAtHandError
from nndynbench.submissions.files import RefusedError
from nndynbench.submissions.schema import Submission, SubsetReference
from nndynbench.subsets import BudgetError, SplitError, Subset, load
from nndynbench.subsets.catalogue import read_as
from nndynbench.subsets.splits import Fold

TOLERANCE = 1e-9
"""How far a claimed score may be from the recomputed one: in absolute terms for scores up to 1, relative to it above."""

CaseKey: TypeAlias = tuple[int, str | None]
"""(budget, the subset trained on if the protocol tests another one)"""


def accepted_predictions(submission: Submission, *, subsets: Mapping[str, Subset] | None = None) -> pd.DataFrame:
    """The predictions of a submission whose claimed scores are all right, with their truths, in the form that a result has.

    Parameters
    ----------
    submission
        As it was read.
    subsets
        Loaded subsets by name, which many submissions can share. Others are loaded from the usual places.

    Raises
    ------
    RefusedError
        Naming the field: an unknown protocol, subset or budget, another version or checksum, a missing, extra or duplicate
        network, an invalid prediction, or a score that differs.
    """
    predictions, tested, chosen = _read(submission, subsets)
    _check_scores(submission, chosen, cases_by_budget(predictions, tested, chosen))
    return predictions


def predictions_with_truths(submission: Submission, *, subsets: Mapping[str, Subset] | None = None) -> pd.DataFrame:
    """As `accepted_predictions`, but without checking the claimed scores: for a submission that was accepted before."""
    return _read(submission, subsets)[0]


def _read(submission: Submission, subsets: Mapping[str, Subset] | None) -> tuple[pd.DataFrame, Subset, Protocol]:
    chosen = _protocol(submission)
    tested = _subset(submission.subset, subsets, "subset")
    others = {other.name: _subset(other, subsets, f"trained_on.{i}") for i, other in enumerate(submission.trained_on)}
    _check_budgets(submission, chosen, [tested, *others.values()])
    return _predictions(submission, chosen, tested, others), tested, chosen


def cases_by_budget(
    predictions: pd.DataFrame, tested: Subset, chosen: Protocol, *, reads: Collection[str] | None = None
) -> dict[CaseKey, Case]:
    """The cases of one subset's predictions, by budget and subset trained on; networks that the protocol leaves out are left
    out.
    """
    found = {}
    for key, case in cases(predictions, {tested.name: tested}, chosen, reads=reads, leave_out=True).items():
        _, budget, *others = key
        found[int(str(budget)), str(others[0]) if others else None] = case
    return found


def _protocol(submission: Submission) -> Protocol:
    try:
        chosen = find_protocol(submission.protocol)
    except UnknownNameError as error:
        raise RefusedError("protocol", str(error)) from None
    if chosen.predictions:
        raise RefusedError(
            "protocol", f"{chosen.name} is scored from the predictions for {chosen.predictions}: submit those"
        )
    if (chosen.test == "another") != bool(submission.trained_on):
        raise RefusedError(
            "trained_on", "must name the training subsets under a transfer protocol, and be absent under any other"
        )
    names = [submission.subset.name, *(other.name for other in submission.trained_on)]
    for place, name in enumerate(names[1:]):
        if name in names[: place + 1]:
            reason = "is the tested subset" if name == names[0] else "appears twice"
            raise RefusedError(f"trained_on.{place}.name", f"{name} {reason}")
    return chosen


def _subset(named: SubsetReference, at_hand: Mapping[str, Subset] | None, field: str) -> Subset:
    subset = (at_hand or {}).get(named.name)
    if subset is None:
        try:
            subset = load(named.name, version=named.version)
        except (UnknownNameError, NotAtHandError) as error:
            raise RefusedError(f"{field}.name", str(error)) from None
    elif subset.version not in (named.version, read_as(named.name, named.version)):
        # Another version, from some cache or the hub, may have other labels.
        raise RefusedError(f"{field}.name", f"{named.name} is scored as version {subset.version}, not {named.version}")
    if subset.checksum != named.checksum:
        raise RefusedError(
            f"{field}.checksum", f"{subset.name} {subset.version} has {subset.checksum}, not {named.checksum}"
        )
    return subset


def _check_budgets(submission: Submission, chosen: Protocol, subsets: list[Subset]) -> None:
    for budget in submission.budgets:
        for subset in subsets:
            try:
                subset.check_budget(budget, target=chosen.target)
            except BudgetError as error:
                raise RefusedError("budgets", str(error)) from None


def _predictions(submission: Submission, chosen: Protocol, tested: Subset, others: Mapping[str, Subset]) -> pd.DataFrame:
    """The table that `nndynbench.protocols.scoring.cases` reads, in the split's order, whatever the file's order is."""
    columns = submission.predictions.columns()
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise RefusedError("predictions", f"its columns differ in length: {lengths}")
    if chosen.task == "classification":
        _check_classes(columns)
    elif "score" in columns:
        raise RefusedError("predictions.score", f"is for classification only, and {chosen.name} is a regression")
    given = pd.DataFrame(columns)
    expected = _expected_rows(given, submission, chosen, tested, others)
    keys = list(expected.columns)
    if missing_column := next((key for key in keys if key not in given), None):
        raise RefusedError(f"predictions.{missing_column}", "is missing")
    if surplus := next((name for name in given if name not in (*keys, "prediction", "score")), None):
        raise RefusedError(f"predictions.{surplus}", f"is not a column of {chosen.name}")
    merged = given
    if not _same_rows(given, expected):
        if unknown := named_unknown(given["network"], tested):
            raise RefusedError("predictions.network", unknown)
        _check_rows(given[keys], expected)
        merged = expected.merge(given, on=keys, how="left", sort=False)
    truth = tested.target(chosen.target).loc[merged["network"]].to_numpy(dtype=np.float64)
    return merged.assign(subset=tested.name, truth=truth, score=merged.get("score", np.nan))


def _check_classes(columns: Mapping[str, list[object]]) -> None:
    if wrong := sorted({value for value in columns["prediction"] if value not in (0, 1)}, key=str):
        raise RefusedError("predictions.prediction", f"must be 0 or 1, not {wrong[0]}")
    if "score" not in columns:
        raise RefusedError("predictions.score", "is missing: ROC AUC is computed from it")


def _expected_rows(
    given: pd.DataFrame, submission: Submission, chosen: Protocol, tested: Subset, others: Mapping[str, Subset]
) -> pd.DataFrame:
    draws = _draws_by_budget(given, submission, chosen)
    try:
        each = [_tested_rows(sides(chosen, tested, tested, draw), draw) for draw in range(max(draws.values()))]
    except SplitError as error:
        raise RefusedError("protocol", str(error)) from None
    outer = [(b, o, each[: draws[b]]) for b in submission.budgets for o in others or [""]]
    rows = [np.concatenate(of_draws, axis=1) for _, _, of_draws in outer]
    counts = [part.shape[1] for part in rows]
    draw, fold, network = np.concatenate(rows, axis=1)
    columns: dict[str, npt.ArrayLike] = {"budget": np.repeat([budget for budget, _, _ in outer], counts)}
    if others:
        columns["trained_on"] = np.repeat([other for _, other, _ in outer], counts)
    columns |= {DRAW: draw} if DRAW in given else {}
    return pd.DataFrame({**columns, "fold": fold, "network": network})


def _tested_rows(folds: Sequence[Fold], draw: int) -> npt.NDArray[np.int64]:
    """Draw, fold and network of each test network, (3, networks)."""
    networks = np.concatenate([np.asarray(test, dtype=np.int64) for _, test in folds])
    fold = np.repeat(np.arange(len(folds)), [len(test) for _, test in folds])
    return np.stack([np.full(len(networks), draw), fold, networks])


def _draws_by_budget(given: pd.DataFrame, submission: Submission, chosen: Protocol) -> dict[int, int]:
    """How many draws of the folds each budget must have: as many as its rows name, or 1 if they name none."""
    draws = dict.fromkeys(submission.budgets, 1)
    if DRAW in given and len(given):
        if (last := int(given[DRAW].max())) >= chosen.draws:
            reason = f"{last} is not below {chosen.draws}, the number of draws of {chosen.name}"
            raise RefusedError(f"predictions.{DRAW}", reason)
        largest = given.groupby("budget")[DRAW].max()
        draws = {budget: 1 + int(largest.get(budget, 0)) for budget in draws}
    return draws


def _same_rows(given: pd.DataFrame, expected: pd.DataFrame) -> bool:
    """Whether the rows are already in the split's order, as the harness writes them; then nothing needs to be sorted."""
    return len(given) == len(expected) and all(
        np.array_equal(given[key].to_numpy(), expected[key].to_numpy()) for key in expected.columns
    )


def _check_rows(given: pd.DataFrame, expected: pd.DataFrame) -> None:
    there, wanted = pd.MultiIndex.from_frame(given), pd.MultiIndex.from_frame(expected)
    columns = ", ".join(given.columns)
    for what, rows in (
        ("repeated", there[there.duplicated()]),
        ("missing", wanted.difference(there)),
        ("not in the split", there.difference(wanted)),
    ):
        if len(rows):
            first = ", ".join(map(str, rows[0]))
            raise RefusedError("predictions", f"rows that are {what}: {len(rows)}; the first has ({columns}) = ({first})")


def _check_scores(submission: Submission, chosen: Protocol, found: Mapping[CaseKey, Case]) -> None:
    claimed: dict[tuple[CaseKey, str], float | None] = {}
    for place, score in enumerate(submission.scores):
        key = ((score.budget, score.trained_on), score.metric)
        if key in claimed:
            raise RefusedError(f"scores.{place}", f"{score.metric} at budget {score.budget} appears twice")
        if key[0] not in found or score.metric not in (*chosen.metrics, *chosen.earlier_metrics):
            reason = f"{score.metric} at budget {score.budget} is not a score of {chosen.name} for these predictions"
            raise RefusedError(f"scores.{place}", reason)
        claimed[key] = score.value
    for case_key, case in found.items():
        is_earlier = any((case_key, metric) in claimed for metric in chosen.earlier_metrics)
        for metric in (*chosen.metrics, *chosen.earlier_metrics):
            where = f"scores: {metric} at budget {case_key[0]}" + (f" from {case_key[1]}" if case_key[1] else "")
            if (case_key, metric) in claimed:
                _check_score(claimed[case_key, metric], case.value_or_none(metric), where)
            elif metric in chosen.metrics and not is_earlier:
                raise RefusedError(where, "is missing")


def _check_score(claimed: float | None, right: float | None, where: str) -> None:
    if claimed is None or right is None:
        if claimed is not right:
            said, found = ("no value" if value is None else repr(value) for value in (claimed, right))
            raise RefusedError(where, f"{said} is claimed, but the predictions give {found}")
        return
    # Written so that a NaN would be refused.
    if not abs(claimed - right) <= TOLERANCE * max(1.0, abs(right)):
        raise RefusedError(where, f"{claimed!r} is claimed, but the predictions give {right!r}")
