"""Stops a method that never returns, so that it costs a maintainer an hour and not the night."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from nndynbench.protocols import MethodError

MINUTES = 60.0
"""By default, for one submission: twice what any of the board's own took, the slowest 27 minutes."""

AGAIN = 60.0  # seconds until another alarm, should something have swallowed the first


class _TimeIsUp(BaseException):  # no Exception: what answers a method's questions turns those into answers
    pass


@contextmanager
def time_limit(minutes: float) -> Iterator[None]:
    """Raise MethodError in this block once it has taken ``minutes``; 0 is no limit. What is fitted meanwhile ends with the
    evaluation that is interrupted. For the main thread; Windows has no such alarm, and no limit.
    """
    if not hasattr(signal, "SIGALRM"):
        yield
        return
    before = signal.signal(signal.SIGALRM, _stop)
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, 60 * minutes, AGAIN)
            yield
        finally:
            signal.signal(signal.SIGALRM, signal.SIG_IGN)  # first: an alarm here would leave the timer as it is
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
    except _TimeIsUp:
        raise MethodError(f"it was stopped after {minutes:g} minutes: --minutes gives it more") from None


def _stop(signum: int, frame: FrameType | None) -> NoReturn:
    raise _TimeIsUp
