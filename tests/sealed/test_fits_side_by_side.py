"""What a fit computes serves the fits that run beside it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

import nndynbench as nb
from nndynbench.sealed.channel import Channel
from nndynbench.sealed.desk import Desk, networks_of
from nndynbench.sealed.inside import _Questions, _SealedNetwork
from nndynbench.sealed.outside import _served
from nndynbench.subsets.history import ROW

Fit = list[_SealedNetwork]


@pytest.fixture
def begun(digits: nb.Subset) -> Iterator[Callable[[], Fit]]:
    """Begins a fit on two networks of one subset, as its sealed process sees them; a thread answers from outside."""
    histories = digits.histories([0, 1], 1)
    with ExitStack() as ended:

        def begin() -> Fit:
            outside, inside = (Channel(end.makefile("rb"), end.makefile("wb")) for end in socket.socketpair())
            desk = threading.Thread(target=_served, args=(outside, Desk(histories, set())))
            desk.start()
            ended.callback(desk.join)
            ended.callback(inside.say, {"predictions": []})
            questions = _Questions(inside)
            return [_SealedNetwork(number, questions, networks_of(histories)) for number in (0, 1)]

        yield begin


def test_what_a_fit_computed_is_not_computed_again_by_one_that_began_before(begun: Callable[[], Fit]) -> None:
    first, second = begun(), begun()
    code, place, value = "a function of this test", (ROW, 1), {"row": {"a": 1.0}, "read": ["curves"]}
    assert [network.known(code, place) for network in (*first, *second)] == [None] * 4
    first[1].keep(code, place, value, 0.0)
    assert first[0].known(code, place) is None  # once this is answered, what was said before has arrived
    assert second[1].known(code, place) == value
