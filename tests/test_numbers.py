"""Numbers are written for people to read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nndynbench.numbers import spans, written, written_interval

FINITE = st.floats(-1e6, 1e6)


@given(FINITE, st.integers(0, 4), st.booleans())
def test_what_is_written_reads_back_as_the_rounded_number(value: float, digits: int, signed: bool) -> None:
    text = written(value, digits=digits, signed=signed)
    assert float(text.replace("−", "-")) == float(f"{value:.{digits}f}")


@given(st.floats(-0.0005, 0.0005, exclude_min=True, exclude_max=True), st.booleans())
def test_a_zero_has_no_sign(value: float, signed: bool) -> None:
    assert written(value, signed=signed) == "0.000"


def test_a_number_below_zero_has_a_minus_sign_not_a_hyphen() -> None:
    assert written(-0.15) == "−0.150"
    assert written(0.0174, signed=True) == "+0.017"
    assert written_interval(-0.004, 0.6) == "0.00 to 0.60"


@pytest.mark.parametrize(
    ("numbers", "words"),
    [([3], "3"), ([1, 2], "1 and 2"), ([1, 3, 5], "1, 3 and 5"), ([*range(1, 11), 13], "1 to 10 and 13")],
)
def test_spans_of_whole_numbers_are_written_as_people_do(numbers: list[int], words: str) -> None:
    assert spans(numbers) == words
