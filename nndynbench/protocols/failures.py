"""What a method raised, in words: the error, its place in the user's code, and what to do about it."""

from __future__ import annotations

import sysconfig
import traceback
from pathlib import Path

from nndynbench.errors import NndynbenchError
from nndynbench.sources import INSTALLED

LONGEST_REASON = 500

# Words in which numpy and scikit-learn refuse histories where they expect numbers.
HISTORIES_AS_NUMBERS = ("not 'History'", "[History(")

# Words in which scikit-learn refuses a table without columns, such as one whose columns an imputer dropped.
NO_COLUMNS = "Found array with 0 feature(s)"

PACKAGE = Path(__file__).parents[1]
LIBRARY = Path(sysconfig.get_path("stdlib"))


def why_it_failed(error: BaseException) -> str:
    """What a method raised, in words: the error, its cause, where in the user's code it arose, and what to do if that is
    known.
    """
    said, cause = told(error), f" ({told(error.__cause__)})" if error.__cause__ else ""
    if any(refusal in said for refusal in HISTORIES_AS_NUMBERS):
        return "it takes numbers, not histories: put nndynbench.Signature first, as in make_pipeline(Signature(function), …)"
    if NO_COLUMNS in said:
        return f"no column is left: its functions return only NaN, or nothing, for every network ({said})"
    return f"{said}{cause}{place_in_user_code(error)}"


def place_in_user_code(error: BaseException) -> str:
    """Where a user's code went wrong, such as `` (my_method.py:25 in strongest)``; empty if it is not in a user's code.

    It is the last line that the error passed through outside this package and everything that is installed.
    """
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if PACKAGE not in Path(frame.filename).parents
        and INSTALLED.isdisjoint(Path(frame.filename).parts)
        and Path(frame.filename).is_file()
        and LIBRARY not in Path(frame.filename).parents
    ]
    return f" ({Path(frames[-1].filename).name}:{frames[-1].lineno} in {frames[-1].name})" if frames else ""


def told(error: BaseException) -> str:
    """An error in one line: its class and its message, which is cut if it is long and not this package's own."""
    try:
        said = " ".join(str(error).split())
    except Exception:  # a user's own error class may fail here too
        said = ""
    if len(said) > LONGEST_REASON and not isinstance(error, NndynbenchError):  # our own end with what to do
        said = f"{said[:LONGEST_REASON]}…"
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
