"""Results: scores with their intervals, the prediction for every test network, and what they came from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from pandas.api.types import is_integer_dtype

from nndynbench.protocols.result_facts import ResultFacts, read_facts, written_facts
from nndynbench.storage.elsewhere import written_somewhere
from nndynbench.storage.files import locked, user_path, write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RESULT_FORMAT = 1
DRAW, DRAWS = "draw", "draws"
FLOATS = ("value", "low", "high", "truth", "prediction", "score")
WHOLE = ("budget", "fold", "network", DRAW)

SCORES, PREDICTIONS = "scores", "predictions"
# The columns that every result file has.
COLUMNS = {
    SCORES: ("subset", "budget", "metric", "value", "low", "high", "undefined"),
    PREDICTIONS: ("subset", "budget", "fold", "network", "truth", "prediction", "score"),
}


@dataclass(frozen=True, repr=False)
class Result:
    """What `nndynbench.evaluate` returns.

    ``scores``: a row per subset, budget and metric, with ``value``, its 95% interval from ``low`` to ``high``, and
    ``draws``, the number of draws of the folds that it is the mean over. ``undefined`` holds the reason if a metric has no
    value or no interval, else it is empty. ``predictions``: a row per subset, budget, fold and test network, with
    ``truth``, ``prediction`` (0/1 or percent), ``score`` (of classifiers), and ``draw`` if there are several. Both have
    ``trained_on`` if the protocol tests another subset than it trains on. ``facts``: method, protocol, what was read,
    subsets with versions and checksums, library versions, seconds; see `ResultFacts`.

    Examples
    --------
    >>> import nndynbench
    >>> nndynbench.evaluate("constant", "digits-lenet", protocol="regression", budgets=[1, 2])
    Result('constant', 'regression', on digits-lenet, budgets 1, 2)
    """

    scores: pd.DataFrame
    predictions: pd.DataFrame
    facts: ResultFacts

    def __repr__(self) -> str:
        named = " ".join(subset.name for subset in self.facts.subsets)
        budgets = ", ".join(map(str, dict.fromkeys(self.scores["budget"]))) if len(self.scores) else "none"
        return f"Result({self.facts.method!r}, {self.facts.protocol!r}, on {named or 'nothing'}, budgets {budgets})"

    def __str__(self) -> str:
        from nndynbench.cards import result_text

        return result_text(self)

    def _repr_html_(self) -> str:
        from nndynbench.cards import result_card

        return result_card(self)

    def plot(self, *, metric: str | None = None, ax: Axes | None = None) -> Axes:
        """Draw a metric (by default the protocol's first) over the budgets, with its 95% interval. Draws on the given
        matplotlib axes, or on a new figure's, and returns them.
        """
        from nndynbench.drawing import draw_scores

        return draw_scores([self], metric=metric, ax=ax)

    @classmethod
    def load(cls, path: str | Path) -> Result:
        """Read what `save` wrote; see `read_result`."""
        return read_result(path)

    def save(self, path: str | Path) -> Path:
        """Write the result as JSON; returns the path."""
        target = user_path(path)
        content = {
            "format": RESULT_FORMAT,
            **written_facts(self.facts),
            "scores": _records(_without_ones(self.scores)),
            "predictions": _records(self.predictions),
        }
        write_whole(target, json.dumps(content, indent=1))
        return target


def read_result(path: str | Path) -> Result:
    """Read what `Result.save` wrote.

    Raises
    ------
    ValueError
        For a file that is cut short, of another format, or whose tables lack columns or rows, or hold something other than
        numbers or the result's subsets in them; names the file.
    FileNotFoundError
        For a file that does not exist.

    Examples
    --------
    >>> import nndynbench
    >>> result = nndynbench.evaluate("constant", "digits-lenet", protocol="regression", budgets=1)
    >>> nndynbench.read_result(result.save("constant.json"))
    Result('constant', 'regression', on digits-lenet, budgets 1)
    """
    if not (file := user_path(path)).exists():
        raise FileNotFoundError(f"there is no file {path}")
    if file.suffix == ".py":
        raise ValueError(
            f"{path} is a method file, not a result file: evaluate it first (nndynbench evaluate {path} --subset …), "
            "then give the result file that this writes"
        )
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as damage:
        raise ValueError(f"{path} is not a result file: {damage}") from damage
    if not isinstance(content, dict) or content.pop("format", None) != RESULT_FORMAT:
        raise ValueError(f"{path} is not a result file of format {RESULT_FORMAT}")
    if missing := {"scores", "predictions"} - content.keys():
        raise ValueError(f"{path} is not a result file: it lacks {', '.join(sorted(missing))}")
    try:
        facts = read_facts(content)
    except ValueError as damage:
        raise ValueError(f"{path} is not a result file: {damage}") from damage
    try:
        scores, predictions = (_checked_table(content[name], name, facts) for name in (SCORES, PREDICTIONS))
    except ValueError as damage:
        raise ValueError(f"{path} is not a result file: its {damage}") from damage
    return Result(scores, predictions, facts)


def _checked_table(rows: Any, name: str, facts: ResultFacts) -> pd.DataFrame:
    """A table of a result file. It may have no scores: `joined` leaves out those that are over some of the draws alone.

    Raises
    ------
    ValueError
        Naming the table, the column and the value.
    """
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError(f"{name} are not a list of rows")
    if not rows:
        if name == PREDICTIONS:
            raise ValueError(f"{name} have no row")
        return _numbered(pd.DataFrame(columns=[*COLUMNS[name], DRAWS]))
    try:
        table = _numbered(pd.DataFrame(rows))
    except (ValueError, TypeError, OverflowError) as damage:
        raise ValueError(f"{name} are not numbers: {damage}") from damage
    if missing := [column for column in COLUMNS[name] if column not in table]:
        raise ValueError(f"{name} lack {', '.join(missing)}")
    for column in WHOLE:
        if column in table and not is_integer_dtype(table[column]):
            wrong = [value for value in table[column] if not isinstance(value, int) or isinstance(value, bool)]
            raise ValueError(f"{name} have {(wrong or list(table[column]))[0]!r} for {column}, which must be a whole number")
    for column in ("truth", "prediction"):
        if column in table and not np.isfinite(table[column]).all():
            raise ValueError(f"{name} lack a finite {column} in some rows")
    known = {subset.name for subset in facts.subsets}
    for column in ("subset", "trained_on"):
        if unknown := set(map(str, table.get(column, ()))) - known:
            raise ValueError(f"{name} are of {', '.join(sorted(unknown))}, but its subsets are {', '.join(sorted(known))}")
    return table


def at_budgets(result: Result, budgets: Iterable[int]) -> Result:
    """The part of a result at some budgets."""
    wanted = list(budgets)
    scores, predictions = (table[table["budget"].isin(wanted)] for table in (result.scores, result.predictions))
    return Result(scores.reset_index(drop=True), predictions.reset_index(drop=True), result.facts)


def joined(stored: Result, fresh: Result) -> Result:
    """Joins two results of one method, at different budgets or under different draws of the folds.

    Scores at budgets that both have are left out, since they are over some of the draws alone.
    """
    both = set(stored.predictions["budget"]) & set(fresh.predictions["budget"])
    scores = pd.concat([part.scores[~part.scores["budget"].isin(both)] for part in (stored, fresh)])
    scores = scores.sort_values("budget", kind="stable", ignore_index=True)
    predictions = together([stored.predictions, fresh.predictions])
    predictions = without_one_draw(predictions.sort_values(["budget", DRAW], kind="stable", ignore_index=True))
    facts = fresh.facts.model_copy(
        update={
            "reads": tuple(sorted({*stored.facts.reads, *fresh.facts.reads})),
            "sealed": bool(stored.facts.sealed and fresh.facts.sealed),
            "unsealed": fresh.facts.unsealed or stored.facts.unsealed,
            "seconds": round(stored.facts.seconds + fresh.facts.seconds, 3),
        }
    )
    return Result(scores, predictions, facts)


def together(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Joins tables of predictions into one, with each row's draw of the folds."""
    return pd.concat([table.assign(**{DRAW: draws_of(table)}) for table in tables], ignore_index=True)


def draws_of(predictions: pd.DataFrame) -> pd.Series:
    """Each row's draw of the folds; 0 if the table names none."""
    return predictions[DRAW] if DRAW in predictions else pd.Series(0, index=predictions.index, dtype=np.int64)


def budgets_and_draws(result: Result | None) -> set[tuple[int, int]]:
    """Every pair of a budget and a draw of the folds that a result has predictions for."""
    if result is None:
        return set()
    return {
        (int(budget), int(draw))
        for budget, draw in zip(result.predictions["budget"], draws_of(result.predictions), strict=True)
    }


def without_one_draw(predictions: pd.DataFrame) -> pd.DataFrame:
    """The predictions, without the column of draws if all are of the first draw."""
    return predictions if draws_of(predictions).any() else predictions.drop(columns=DRAW, errors="ignore")


class Kept(NamedTuple):
    """What became of a result: everything that its file holds now, which file that is, and where an earlier file that could
    not be joined was moved.
    """

    result: Result
    path: Path
    earlier: Path | None


def keep(result: Result, path: Path) -> Kept:
    """Write a result to a path where an earlier one may be, without losing that.

    An earlier result of the same method at other budgets is joined with the new one. Any other earlier result, and one under
    more draws of the folds, is renamed: ``name.1.json``, and so on. If the file cannot be written, the earlier one stays and
    the result is `written_somewhere` else.
    """
    with _alone_in(path.parent):
        if not path.exists():
            return Kept(result, written_somewhere(result.save, path), None)
        earlier, fresh = readable_result(path), budgets_and_draws(result)
        others = {(budget, draw) for budget, draw in budgets_and_draws(earlier) if (budget, 0) not in fresh}
        if earlier is not None and earlier.facts.same_source(result.facts) and budgets_and_draws(earlier) <= fresh | others:
            whole = joined(at_budgets(earlier, {budget for budget, _ in others}), result) if others else result
            return Kept(whole, written_somewhere(whole.save, path), None)
        moved = next(free for n in count(1) if not (free := path.with_name(f"{path.stem}.{n}{path.suffix}")).exists())
        # The earlier file is moved only when the new one is whole.
        written = written_somewhere(result.save, path.with_name(f"{moved.stem}.fresh{path.suffix}"))
        if written.parent != path.parent:
            return Kept(result, written, None)
        path.rename(moved)
        written.rename(path)
        return Kept(result, path, moved)


def order_seed_at(path: Path) -> int | Literal["drawn"] | None:
    """The seed of an earlier result's order, so that another budget can be joined with it; "drawn" if there is no earlier
    result.
    """
    earlier = readable_result(path)
    return "drawn" if earlier is None else earlier.facts.order_seed


def readable_result(path: Path) -> Result | None:
    """The result in a file; None if there is no file, or none that can be read."""
    try:
        return read_result(path)
    except (OSError, ValueError):
        return None


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Makes others that write results to the folder wait. Where files cannot be locked, nobody waits."""
    with ExitStack() as held:
        with suppress(OSError):
            held.enter_context(locked(folder / ".lock"))
        yield


def _without_ones(scores: pd.DataFrame) -> pd.DataFrame:
    """The scores as they are stored: without the column of draws if each is of a single draw."""
    return (
        scores if (scores.get(DRAWS, pd.Series(dtype=np.int64)) > 1).any() else scores.drop(columns=DRAWS, errors="ignore")
    )


def _numbered(table: pd.DataFrame) -> pd.DataFrame:
    # A column of nothing but null (the scores of a regression) reads as objects.
    if "metric" in table and DRAWS not in table:
        table = table.assign(**{DRAWS: 1})
    return table.astype({column: np.float64 for column in FLOATS if column in table})


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    # Not pandas' to_json: it rounds to 15 digits, and a score must read back as it was.
    return table.astype(object).where(table.notna(), None).to_dict("records")  # type: ignore[return-value]
