"""Compares methods at every budget: their scores, their gain over the bar and over the curves alone, and what they add to
these. Results come from the board's submissions, from a folder of stored results, or from fits.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations, product
from operator import call
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from nndynbench.processes import in_processes
from nndynbench.progress import reporting
from nndynbench.protocols.arguments import checked_jobs, checked_names
from nndynbench.protocols.budgets import shared_budgets
from nndynbench.protocols.comparison import Comparison, frame_of
from nndynbench.protocols.harness import loaded_subsets
from nndynbench.protocols.method import MethodError, find_method, is_file_name, method_names
from nndynbench.protocols.metrics import UndefinedMetricError
from nndynbench.protocols.protocol import Protocol, find_protocol
from nndynbench.protocols.references import BAR, references, references_among
from nndynbench.protocols.results import Result, at_budgets
from nndynbench.protocols.scoring import Case, Estimate, case_columns, cases
from nndynbench.protocols.stored import StoredResults
from nndynbench.protocols.triage import RULES, replayed
from nndynbench.protocols.worth import added, ceiling_of, gain
from nndynbench.storage.files import user_path
from nndynbench.submissions.beside import submitted
from nndynbench.subsets import Subset

TRIAGE = "triage"
DEFAULT_FOLDER = Path("results")
Cases: TypeAlias = "Mapping[tuple[object, ...], Case]"


def compare(
    methods: str | Path | Sequence[str | Path] | None = None,
    subsets: str | Subset | Sequence[str | Subset] = (),
    *,
    protocol: str | Protocol = "regression-folds",
    budgets: int | str | Sequence[int] | None = None,
    results: str | Path = DEFAULT_FOLDER,
    submissions: str | Path | None = None,
    jobs: int = -1,
    progress: Callable[[int, int, str], None] | bool | None = None,
) -> Comparison:
    """Score many methods. Each is compared with the bar and, if that is compared or submitted, with the curves alone.

    Parameters
    ----------
    methods
        Names of bundled methods or method files, to compare beside the bar. By default all bundled methods that do the
        protocol's task, except those with a learned network, which need torch and take minutes each.
    subsets
        One subset or several. For "transfer" two or more: each is trained on, and tested on each other one.
    protocol
        The name of a protocol.
    budgets
        By default the protocol's budgets that all subsets have.
    results
        The folder of stored results. A result that is stored there is not fitted again.
    submissions
        A folder of the leaderboard's submissions. Bundled methods (and the bar) that are submitted for exactly these subsets
        are compared too. Their predictions are taken from there, so they are not fitted.
    jobs
        How many methods to fit at a time, in processes; -1 for one per core.
    progress
        True for a bar in a terminal or notebook, or a function that is called with how many methods are done, how many
        there are, and the name of the one that was done.

    Raises
    ------
    UnknownNameError, BudgetError, SplitError, ValueError
        For names, budgets and splits that do not exist, and if no method that is named does the protocol's task. Of several
        methods, one that fails or does not do the task raises nothing: see ``Comparison.failures``.

    Examples
    --------
    >>> import nndynbench
    >>> compared = nndynbench.compare(["constant"], "digits-lenet", protocol="regression-folds", budgets=5)
    >>> compared.rows["metric"].unique().tolist()
    ['r2', 'mae', 'rmse', 'kendall_tau_in_folds', 'spearman_rho_in_folds']
    """
    chosen = find_protocol(protocol)
    loaded = loaded_subsets(subsets)
    jobs, named = checked_jobs(jobs), _fitted_among_all(chosen) if methods is None else checked_names(methods)
    asked = list(dict.fromkeys([BAR, *named]))
    failures = {name: reason for name in asked if (reason := _why_not(name, chosen)) is not None}
    if named and all(name in failures for name in named):
        reasons = "; ".join(f"{name}: {failures[name]}" for name in dict.fromkeys(named))
        raise ValueError(f"none of the methods can be compared under {chosen.name}: {reasons}")
    folder = None if submissions is None else user_path(submissions)
    units = [
        _Unit(part, chosen, shared_budgets(part, chosen, budgets), Path(results), folder, asked=tuple(asked))
        for part in parts_of(loaded, chosen)
    ]
    rows: list[dict[str, Any]] = []
    with reporting(progress, "the bar") as report:
        for unit in units:
            unit.result(BAR, jobs=jobs)
        units = [replace(unit, beside=unit.found_beside(asked, failures, jobs=jobs)) for unit in units]
        tasks: list[_Task] = [(unit, name, _Unit.rows) for name in asked if name not in failures for unit in units]
        if folder is not None:
            others = [name for name in _methods_for(chosen) if name not in asked]
            tasks += [(unit, name, _Unit.rows_submitted) for name in others for unit in units]
        outcomes = in_processes(call, ((rows_of, unit, name) for unit, name, rows_of in tasks), jobs=jobs)
        for done, ((unit, name, _), outcome) in enumerate(zip(tasks, outcomes, strict=True), 1):
            if isinstance(outcome, str):
                failures[name if len(units) == 1 else f"{name} on {unit}"] = outcome
            else:
                rows += outcome
            report(done, len(tasks), name)
    if chosen.name == TRIAGE:
        rows += [row for unit in units for row in unit.replayed_rows()]
    return Comparison(chosen, frame_of(rows), failures, {subset.name: subset.manifest.regime for subset in loaded})


def submitted_results(subsets: Sequence[Subset], protocol: str | Protocol, submissions: Path) -> dict[str, Result]:
    """Returns the submitted result of every bundled method that is submitted for exactly these subsets, by name, with all
    budgets that it has.
    """
    chosen = find_protocol(protocol)
    found = {name: submitted(name, subsets, chosen, submissions) for name in _methods_for(chosen)}
    return {name: result for name, result in found.items() if result is not None}


def compare_results(
    results: Mapping[str, Result],
    subsets: Sequence[Subset],
    protocol: str | Protocol,
    *,
    metrics: Sequence[str] = (),
    beside: Mapping[str, str] | None = None,
) -> Comparison:
    """Compares methods from their predictions; nothing is fitted.

    ``results`` maps each method's name to its result. All budgets are compared, by the protocol's metrics or by the
    ``metrics`` given. What the methods are compared with are the references among them or, by the key of the reference that
    it stands in for, the method that ``beside`` names.
    """
    chosen, by_name = find_protocol(protocol), {subset.name: subset for subset in subsets}
    budgets = sorted({int(budget) for result in results.values() for budget in result.predictions["budget"].unique()})
    unit = _Unit(tuple(subsets), chosen, tuple(budgets), DEFAULT_FOLDER)
    scored = {
        name: cases(result.predictions, by_name, chosen, reads=result.facts.reads, leave_out=True)
        for name, result in results.items()
    }
    there = {key: scored[name] for key, name in (beside or references_among(results)).items()}
    rows = [row for name, own in scored.items() for row in unit.scored_rows(name, results[name], own, there, metrics)]
    if chosen.name == TRIAGE and rows:
        rows += unit.replayed_rows()
    return Comparison(chosen, frame_of(rows), {}, {subset.name: subset.manifest.regime for subset in subsets})


@dataclass(frozen=True)
class _Unit:
    """What is fitted and scored together: one subset, or a pair of subsets on transfer."""

    subsets: tuple[Subset, ...]
    protocol: Protocol
    budgets: tuple[int, ...]
    folder: Path
    submissions: Path | None = None
    beside: Mapping[str, str] = field(default_factory=dict)  # the method of each reference, by its key
    asked: tuple[str, ...] = ()  # all that are compared, among which each needs a name of its own

    def __str__(self) -> str:
        return " and ".join(subset.name for subset in self.subsets)

    def result(self, name: str, *, jobs: int = 1) -> Result:
        """A method's submitted result, or else one that is fitted. Its scores are not used: predictions are scored here."""
        if (submitted := self.submitted(name)) is not None:
            return submitted
        return StoredResults(self.folder).fitted(name, self.subsets, self.protocol, self.budgets, jobs=jobs)

    def submitted(self, name: str) -> Result | None:
        """The submitted result of a bundled method, if it has all these budgets; else None."""
        if self.submissions is None or is_file_name(name):
            return None
        found = submitted(name, self.subsets, self.protocol, self.submissions)
        if found is None or not set(self.budgets) <= set(found.predictions["budget"]):
            return None
        return at_budgets(found, self.budgets)

    def found_beside(self, asked: Sequence[str], failing: Collection[str], *, jobs: int) -> dict[str, str]:
        """The method that serves as each reference, by the reference's key.

        Only methods that are asked for or submitted are considered, so nothing is fitted that nobody asked for.
        """
        known = {name for reference in references() for name in reference.methods if name in method_names()}
        there = [name for name in known if name not in failing and (name in asked or self.submitted(name) is not None)]
        found = {}
        for key, name in references_among(there).items():
            try:
                self.result(name, jobs=jobs)
            except MethodError:
                continue  # it is listed among the failures when it is compared itself
            found[key] = name
        return found

    @cached_property
    def reference_cases(self) -> dict[str, Cases]:
        """The cases of each reference, by its key."""
        return {key: self._cases(self.result(name)) for key, name in self.beside.items()}

    def rows_submitted(self, name: str) -> list[dict[str, Any]] | str:
        """As ``rows``, but without fitting: empty if the method is not submitted."""
        return [] if self.submitted(name) is None else self.rows(name)

    def rows(self, name: str) -> list[dict[str, Any]] | str:
        """A method's rows, or the reason why there are none."""
        try:
            result = self.result(name)
            return self.scored_rows(compared_as(name, self.asked), result, self._cases(result), self.reference_cases)
        except (MethodError, UndefinedMetricError) as failure:
            return str(failure)

    def scored_rows(
        self, method: str, result: Result, own: Cases, beside: Mapping[str, Cases], metrics: Sequence[str] = ()
    ) -> list[dict[str, Any]]:
        """The rows of a method's cases, each compared with the references' cases on the same networks; for all metrics, or
        some.
        """
        columns, chosen = case_columns(result.predictions), metrics or self.protocol.metrics
        return [
            {
                "method": method,
                **dict(zip(columns, key, strict=True)),
                "metric": metric,
                **_scored(case, {name: there[key] for name, there in beside.items() if key in there}, metric),
                **self.ceilings[str(key[0]), metric],
                "reads": "+".join(result.facts.reads) or "none",
                "draws": len(case.draws),
            }
            for key, case in own.items()
            for metric in chosen
        ]

    @cached_property
    def ceilings(self) -> dict[tuple[str, str], dict[str, float | None]]:
        """The columns of `_ceiling`, by subset and metric."""
        return {(subset.name, m): self._ceiling(subset, m) for subset in self.subsets for m in self.protocol.metrics}

    def _ceiling(self, subset: Subset, metric: str) -> dict[str, float | None]:
        """The ceiling (what a recipe's mean can reach) with its interval; None where the protocol has none."""
        known = ceiling_of(subset, self.protocol, metric) or (None, None, None)
        return dict(zip(("ceiling", "ceiling_low", "ceiling_high"), known, strict=True))

    def _cases(self, result: Result) -> Cases:
        by_name = {subset.name: subset for subset in self.subsets}
        found = cases(result.predictions, by_name, self.protocol, reads=result.facts.reads, leave_out=True)
        # Where none is left, this raises the reason.
        return found or cases(result.predictions, by_name, self.protocol, reads=result.facts.reads)

    def replayed_rows(self) -> list[dict[str, Any]]:
        """The rows of triage's rules, which fit nothing. They are the same at every budget, since each rule sets its own."""
        rows = []
        for subset, (name, rule) in product(self.subsets, RULES.items()):
            found = replayed(rule, subset, self.protocol)
            for budget, (metric, case) in product(self.budgets, found.items()):
                facts = {"method": name, "subset": subset.name, "budget": budget, "reads": "curves"}
                rows.append({**facts, "draws": len(case.draws), "metric": metric, **case.row(metric)})
        return rows


_Task: TypeAlias = tuple[_Unit, str, Callable[[_Unit, str], list[dict[str, Any]] | str]]


def _scored(case: Case, beside: Mapping[str, Case], metric: str) -> dict[str, Any]:
    """A metric with its interval, its gain over each reference and, for R², what the method adds to each."""
    row: dict[str, Any] = case.row(metric)
    if np.isnan(row["value"]):
        return row
    for reference in references():
        if (other := beside.get(reference.key)) is None:
            continue
        with suppress(UndefinedMetricError):
            row |= _prefixed(reference.gain, gain(case, other, metric))
            if metric == case.protocol.blended:
                row |= _prefixed(reference.added, added(case, other))
    return row


def _prefixed(name: str, estimate: Estimate) -> dict[str, float]:
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def parts_of(subsets: Sequence[Subset], protocol: Protocol) -> list[tuple[Subset, ...]]:
    """The subsets that each result of a comparison is of: one alone, or two if a method is tested on another than it learns
    from.
    """
    if protocol.test == "same":
        return [(subset,) for subset in subsets]
    if len(subsets) < 2:
        raise ValueError(f"{protocol.name} trains on one subset and tests on another: name at least two subsets")
    return list(combinations(subsets, 2))


def _why_not(name: str, protocol: Protocol) -> str | None:
    """Why a method cannot be compared; None if it can. Raises for a method that does not exist."""
    method = find_method(name)
    try:
        method.estimator(protocol)
    except ValueError as reason:
        return str(reason)
    return None


def compared_as(name: str, asked: Collection[str] = ()) -> str:
    """What a method is called in the rows: its own name, or its file's if a bundled method, or one of another file that is
    asked for too, has the same name.
    """
    if not is_file_name(name):
        return name
    own, files = find_method(name).name, [other for other in asked if other != name and is_file_name(other)]
    return name if own in method_names() or any(find_method(other).name == own for other in files) else own


def _fitted_among_all(protocol: Protocol) -> list[str]:
    """The bundled methods for a protocol that need nothing but the package."""
    return [name for name in _methods_for(protocol) if not find_method(name).needs]


def _methods_for(protocol: Protocol) -> list[str]:
    """The bundled methods that are for a protocol."""
    return [name for name in method_names() if find_method(name).does(protocol)]
