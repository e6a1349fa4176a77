"""Nothing that is shown fails where the output's encoding lacks a sign, such as in a file on Windows."""

from __future__ import annotations

import io

import pytest

import nndynbench as nb
from nndynbench.comparing import compare_results
from nndynbench.plain import printable


@pytest.mark.parametrize("encoding", ["cp1252", "cp437", "ascii"])
def test_results_and_comparisons_are_printed_in_any_encoding(
    encoding: str, digits: nb.Subset, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = nb.evaluate("constant", digits, protocol="regression-folds", budgets=5)
    compared = compare_results({"constant": result}, [digits], "regression-folds")
    value = result.scores.set_index("metric").loc["r2", "value"]
    monkeypatch.setattr("sys.stdout", output := io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    print(result)
    print(compared)
    output.seek(0)
    shown = output.read()
    assert value < 0
    assert shown.count(f"-{-value:.3f} (-") == 2
    assert ("Kendall's τ in folds" if encoding == "cp437" else "Kendall's tau in folds") in shown
    assert "?" not in shown


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [("utf-8", "−0.1 ≥ τ²; 名 \ud800?"), ("cp1252", "-0.1 >= tau²; ? ??"), ("ascii", "-0.1 >= tau^2; ? ??")],
)
def test_a_sign_that_an_encoding_lacks_has_a_plain_one_in_its_place(
    encoding: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    assert printable("−0.1 ≥ τ²; 名 \ud800?") == shown.replace("\ud800", "?")
