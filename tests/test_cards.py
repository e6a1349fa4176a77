"""How objects show themselves: in one line, as text that fits a terminal, a card in a notebook, a drawing on given axes."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

import nndynbench as nb
from nndynbench.cards import WIDTH, text_table
from nndynbench.protocols import find_protocol


@pytest.fixture(scope="module")
def result(digits: nb.Subset) -> nb.Result:
    return nb.evaluate("constant", digits, protocol="regression", budgets=[1, 2, 10])


@pytest.fixture(scope="module")
def shown(digits: nb.Subset, result: nb.Result) -> dict[str, Any]:
    history = digits.history(100, budget=5)
    rows = pd.DataFrame(
        {"method": ["bar", "constant"], "subset": "digits-lenet", "budget": 5, "metric": "r2", "value": [0.9, 0.0]}
        | {
            "low": [0.8, -0.1],
            "high": [0.95, 0.1],
            "gain": [0.0, -0.9],
            "gain_low": 0.0,
            "gain_high": 0.0,
            "ceiling": np.nan,
        }
    )
    return {
        "subset": digits,
        "history": history,
        "graph": history.graph(epoch=3),
        "result": result,
        "comparison": nb.Comparison(find_protocol("regression-folds"), rows, {"broken": "it raised <ValueError>"}),
        "prediction": nb.Prediction(63.2, 55.0, 70.4, 0.93, 40.0, ()),
    }


KINDS = ["subset", "history", "graph", "result", "comparison", "prediction"]


@pytest.mark.parametrize("kind", KINDS)
def test_an_object_is_named_in_one_line(kind: str, shown: dict[str, Any]) -> None:
    line = repr(shown[kind])
    assert line.startswith(f"{type(shown[kind]).__name__}(")
    assert "\n" not in line
    assert len(line) <= 160


@pytest.mark.parametrize("kind", KINDS)
def test_a_card_is_whole_html_in_which_everything_is_escaped(kind: str, shown: dict[str, Any]) -> None:
    card = shown[kind]._repr_html_()
    Balanced().feed(card)
    assert "<ValueError>" not in card


class Balanced(HTMLParser):
    """Fails if a tag is closed that was not opened last."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_printed_result_fits_80_columns_and_has_every_value_with_its_interval(result: nb.Result) -> None:
    text = str(result)
    assert max(map(len, text.splitlines())) <= 80
    for _, row in result.scores.iterrows():
        if not row["undefined"]:
            assert f"{row['value']:z.3f} ({row['low']:z.2f} to {row['high']:z.2f})".replace("-", "−") in text
        else:
            assert row["undefined"].split()[0] in text


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["method", "R²", "gain", "added", "seconds"]), st.text("abc.", max_size=30), min_size=1
        ),
        min_size=1,
    )
)
def test_columns_that_do_not_fit_come_below_and_none_is_lost(rows: list[dict[str, str]]) -> None:
    lines = text_table(rows).splitlines()
    widest = max(len(value) for row in rows for value in row.values())
    assert max(map(len, lines)) <= max(WIDTH, 2 * (widest + 10))
    words = " ".join(lines).split()
    for row in rows:
        assert all(value in words for value in row.values() if value)


def test_a_result_loads_what_it_saved(result: nb.Result, tmp_path: Path) -> None:
    loaded = nb.Result.load(result.save(tmp_path / "result.json"))
    pd.testing.assert_frame_equal(loaded.scores, result.scores)


def test_a_result_says_why_it_was_not_sealed(result: nb.Result) -> None:
    apart = replace(result, facts=result.facts.model_copy(update={"unsealed": "it holds a lock"}))
    said = "Not sealed: fitted in the process that holds the subset, since it holds a lock."
    assert said in " ".join(str(apart).split())
    assert said in apart._repr_html_()
    assert "sealed" not in str(result)


def test_a_history_shows_nothing_that_it_may_not_know(digits: nb.Subset) -> None:
    read: set[str] = set()
    [history] = digits.histories([100], 5, read=read)
    card = history._repr_html_() + repr(history)
    assert read == set()
    assert str(digits.networks.loc[100, "seed"]) not in card


def test_a_result_is_drawn_on_the_axes_that_are_given_with_whole_epochs(result: nb.Result) -> None:
    axes = Figure().add_subplot()
    assert result.plot(metric="mae", ax=axes) is axes
    [line] = axes.get_lines()
    expected = result.scores[result.scores["metric"] == "mae"]
    np.testing.assert_array_equal(line.get_xydata(), expected[["budget", "value"]])
    assert all(tick == round(tick) for tick in axes.get_xticks())


@pytest.mark.parametrize("metric", ["accuracy", "maee"])
def test_a_metric_that_the_protocol_has_not_is_refused_with_those_it_has(metric: str, result: nb.Result) -> None:
    with pytest.raises(nb.NndynbenchError, match=rf"unknown metric of regression '{metric}'.*valid: .*mae"):
        result.plot(metric=metric, ax=Figure().add_subplot())


def test_the_curves_are_those_of_the_networks_asked_for(digits: nb.Subset) -> None:
    axes = Figure().add_subplot()
    assert digits.plot_curves(network_ids=[3, 5], ax=axes) is axes
    [lines] = [drawn for drawn in axes.collections if isinstance(drawn, LineCollection)]
    for network, line in zip([3, 5], lines.get_segments(), strict=True):
        np.testing.assert_array_equal(line[:, 1], digits.curves.loc[network, "validation_accuracy"])


@pytest.mark.parametrize("centrality", ["degree", "eigenvector"])
def test_a_graph_is_drawn_layer_by_layer_its_nodes_sized_by_centrality(centrality: str, shown: dict[str, Any]) -> None:
    graph = shown["graph"]
    axes = graph.plot(centrality=centrality, ax=Figure().add_subplot())
    edges, nodes = axes.collections
    small = [layer for layer, size in zip(graph.layers, graph.layer_sizes, strict=True) if size <= 64]
    places, sizes = np.asarray(nodes.get_offsets()), nodes.get_sizes()
    values = graph.degree() if centrality == "degree" else graph.eigenvector_centrality()
    for layer in small:
        own = places[:, 0] == graph.layers.index(layer)
        assert own.sum() == len(graph.nodes(layer))
        np.testing.assert_array_equal(np.argsort(sizes[own]), np.argsort(np.abs(values[list(graph.nodes(layer))])))
    assert len(edges.get_segments()) <= 1500
    assert [label.get_text().split("\n")[0] for label in axes.get_xticklabels()] == list(graph.layers)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("wrong", [np.inf, np.nan])
def test_of_a_diverged_networks_graph_what_is_finite_is_drawn(wrong: float) -> None:
    graph = nb.graphs.LayeredGraph(
        (np.array([[1.0, 2.0], [wrong, 4.0]]), np.array([[8.0, 3.0]])), ("input", "hidden", "output")
    )
    axes = graph.plot(ax=Figure().add_subplot())
    edges, nodes = axes.collections
    assert len(edges.get_segments()) == 5
    sizes = nodes.get_sizes()
    # Degrees 1 + wrong, 6, 11, 7 + wrong and 11.
    np.testing.assert_allclose(sizes / sizes.max(), [6 / 11, 1, 1])
    assert axes.get_title().endswith("non-finite values are left out")
    assert len(graph.plot(centrality="eigenvector", ax=Figure().add_subplot()).collections[1].get_sizes()) == 0


def test_a_centrality_that_does_not_exist_is_named(shown: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="eigenvector"):
        shown["graph"].plot(centrality="eigenvektor", ax=Figure().add_subplot())


def test_a_result_says_over_how_many_draws_of_the_folds_its_scores_are_means() -> None:
    said = "Each score is the mean over 2 draws of the folds."
    for draws in (1, 2):
        result = nb.evaluate("constant", "digits-lenet", protocol="regression-folds", budgets=1, draws=draws)
        assert (said in str(result), said in result._repr_html_()) == (draws == 2, draws == 2)
