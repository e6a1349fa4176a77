"""Compares a result with the bar, from the predictions that the leaderboard has of the bar; nothing is fitted.

The bar's submissions are shipped with the package; a clone has those of all bundled methods.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nndynbench.protocols.protocol import Protocol, find_protocol
from nndynbench.protocols.references import BAR
from nndynbench.protocols.result_facts import ResultFacts, SubsetVersion
from nndynbench.protocols.results import Result, together, without_one_draw
from nndynbench.protocols.scoring import Case, case_columns, cases
from nndynbench.protocols.worth import Worth, worth
from nndynbench.submissions.files import RefusedError, read_submission, submission_file
from nndynbench.submissions.recomputation import accepted_predictions
from nndynbench.submissions.schema import Submission
from nndynbench.subsets import load

if TYPE_CHECKING:
    from nndynbench.subsets import Subset


def submissions_folder() -> Path:
    """The folder of the submissions at hand: all of them in a clone, the bar's inside an installed package."""
    package = Path(__file__).parents[1]
    inside = package / "submissions" / "stored"
    return inside if inside.is_dir() else package.parent / "leaderboard" / "submissions"


def protocols_of_bar(subset: str) -> list[str]:
    """The protocols under which the bar is submitted for a subset."""
    files = (submissions_folder() / BAR).glob(f"{subset}.*.json")
    return sorted(path.name.removeprefix(f"{subset}.").removesuffix(".json") for path in files)


def submitted(method: str, subsets: Sequence[Subset], protocol: Protocol, folder: Path | None = None) -> Result | None:
    """A method's submissions for exactly these subsets, as a result without scores; None if one is missing or is refused."""
    root, by_name = folder or submissions_folder(), {subset.name: subset for subset in subsets}
    tables, read = [], list[Submission]()
    for subset in subsets:
        path = root / submission_file(method, subset.name, protocol.fitted.name)
        if not path.is_file():
            return None
        try:
            submission = read_submission(path)
            predictions = accepted_predictions(submission, subsets=by_name)
        except RefusedError:
            return None
        if submission.subset.checksum != subset.checksum:
            return None
        if "trained_on" in predictions:
            predictions = predictions[predictions["trained_on"].isin(list(by_name))]
        tables.append(predictions)
        read.append(submission)
    return Result(pd.DataFrame(columns=["budget"]), without_one_draw(together(tables)), _facts_of(read))


def _facts_of(submissions: Sequence[Submission]) -> ResultFacts:
    """The facts of one method's submissions, of which there is one for each subset."""
    first = submissions[0]
    return ResultFacts(
        method=first.method,
        description=first.description,
        source=first.source or "",
        reads=tuple(sorted({read for submission in submissions for read in submission.reads})),
        protocol=first.protocol,
        subsets=tuple(SubsetVersion(**submission.subset.model_dump()) for submission in submissions),
        libraries=first.libraries,
        seconds=sum(submission.seconds for submission in submissions),
        order_seed=first.order_seed if len(submissions) == 1 else None,
        sealed=all(submission.sealed for submission in submissions),
    )


def beside_bar(result: Result, subsets: Sequence[Subset] | None = None) -> pd.DataFrame:
    """What a result is worth beside the bar: a row per subset, budget and, on transfer, ``trained_on``.

    ``metric`` is the protocol's first, ``value`` the result's score, ``bar`` the bar's under the same draws of the folds,
    and ``gain`` how much better the result is. ``added``, for regressions, is how much R² rises when the bar is blended with
    the result. ``gain`` and ``added`` have their 95% intervals beside them (``…_low``, ``…_high``). Numbers are NaN where
    the leaderboard has no bar. ``print(beside.T)`` shows all of them on 80 columns.

    Parameters
    ----------
    result
        From `nndynbench.evaluate`.
    subsets
        The result's subsets, if they are loaded already.

    Examples
    --------
    >>> import nndynbench
    >>> result = nndynbench.evaluate("constant", "digits-lenet", protocol="regression-folds", budgets=5)
    >>> beside = nndynbench.beside_bar(result)
    >>> bool(beside.loc[0, "gain"] < 0)
    True
    """
    protocol = find_protocol(result.facts.protocol)
    loaded = subsets or [load(subset.name, version=subset.version) for subset in result.facts.subsets]
    by_name = {subset.name: subset for subset in loaded}
    for of in result.facts.subsets:
        if by_name[of.name].checksum != of.checksum:
            raise ValueError(
                f"the result is of other networks than the {of.name} {of.version} in {by_name[of.name].folder}: give the "
                "subset that was evaluated, as in beside_bar(result, [subset])"
            )
    bars = _bars(loaded, protocol)
    own, columns, rows = cases(result.predictions, by_name, protocol, leave_out=True), case_columns(result.predictions), []
    for key in result.predictions[columns].drop_duplicates().itertuples(index=False, name=None):
        rows.append({**dict(zip(columns, key, strict=True)), **_numbers(protocol, own.get(key), bars.get(key))})
    return pd.DataFrame(rows).astype({"value": float, "bar": float})


def _numbers(protocol: Protocol, case: Case | None, bar: Case | None) -> dict[str, Any]:
    """A row's numbers; ``case`` is None where the protocol scores none of its networks."""
    metric = protocol.metrics[0]
    beside = None if case is None or bar is None else bar.of_draws(draw.number for draw in case.draws)
    of_bar = None if beside is None else beside.value_or_none(metric)
    own = None if case is None else case.value_or_none(metric)
    numbers: dict[str, Any] = {"metric": metric, "value": own, "bar": of_bar}
    both = Worth(None, None) if case is None or bar is None else worth(case, bar)
    for name, estimate in both._asdict().items():
        value, low, high = estimate or (np.nan,) * 3
        numbers |= {name: value, f"{name}_low": low, f"{name}_high": high}
    return numbers


def _bars(subsets: Sequence[Subset], protocol: Protocol) -> Mapping[tuple[object, ...], Case]:
    groups = [subsets] if protocol.test == "another" else [[subset] for subset in subsets]
    results = [submitted(BAR, group, protocol) for group in groups]
    by_name = {subset.name: subset for subset in subsets}
    return {
        k: case
        for r in results
        if r is not None
        for k, case in cases(r.predictions, by_name, protocol, leave_out=True).items()
    }
