"""What the plots show is what the tables say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from typer.testing import CliRunner

import nndynbench as nb
from nndynbench import plots
from nndynbench.cli import app
from nndynbench.names import UnknownNameError
from nndynbench.protocols import find_protocol


def lines_of(axes: Any) -> LineCollection:
    [lines] = [drawn for drawn in axes.collections if isinstance(drawn, LineCollection)]
    return lines


def test_every_network_has_its_curve_in_the_panel_of_its_optimiser(monkeypatch: pytest.MonkeyPatch) -> None:
    zoo = nb.load("cifar10-lenet-diverse")
    drawn: list[Any] = []
    monkeypatch.setattr(plots, "_save", lambda figure, path, **options: drawn.append(figure))
    plots.learning_curves(zoo, "unwritten.png")
    panels = [axes for axes in drawn[0].axes if axes.get_xlabel() == "epoch"]
    for axes, (optimiser, own) in zip(panels, zoo.networks.groupby("optimiser"), strict=True):
        assert axes.get_title() == f"{optimiser}: {len(own)} networks"
        lines = lines_of(axes)
        np.testing.assert_array_equal(lines.get_array(), own["learning_rate"])
        for network, line in zip(own.index, lines.get_segments(), strict=True):
            np.testing.assert_array_equal(line[:, 1], zoo.curves.loc[network, "validation_accuracy"])


def test_the_curves_command_writes_a_plot_per_subset(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["curves", "digits-lenet-half", "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "digits-lenet-half.png").read_bytes().startswith(b"\x89PNG")


def zoo_of(folder: Path, *measured: dict[str, Any]) -> nb.Subset:
    """A pack of runs of one epoch, six with each of the ``measured`` curves; each of these has its own optimiser."""
    for number, curves in enumerate(measured * 6):
        optimiser = f"optimiser {number % len(measured)}"
        recorder = nb.Recorder(
            folder / f"runs/{number}", hyperparameters={"optimiser": optimiser, "learning_rate": 1 + number}
        )
        recorder.epoch(train_loss=1.0, **curves)
        recorder.finish(test_accuracy=50 + number)
    return nb.pack(folder / "runs", name="mine", out=folder / "zoo")


def test_a_zoo_without_validation_accuracies_is_refused_with_the_reason(tmp_path: Path) -> None:
    zoo = zoo_of(tmp_path, {})
    with pytest.raises(ValueError, match="no network of mine has a validation accuracy"):
        zoo.plot_curves(ax=Figure().add_subplot())


def test_a_panel_without_curves_stays_empty_beside_the_others(tmp_path: Path) -> None:
    zoo = zoo_of(tmp_path, {"validation_accuracy": 40.0}, {})
    for optimiser, number in (("optimiser 0", 6), ("optimiser 1", 0)):
        own = zoo.networks.index[zoo.networks["optimiser"] == optimiser]
        axes = zoo.plot_curves(network_ids=list(own), ax=Figure().add_subplot())
        assert len(lines_of(axes).get_segments()) == number
    assert plots.learning_curves(zoo, tmp_path / "curves.png").is_file()


def comparison(epochs: list[int]) -> nb.Comparison:
    rows = [
        {"method": method, "budget": budget, "value": value, "low": value - 0.1, "high": value + 0.2}
        for method, value in (("bar", 0.8), ("constant", 0.5))
        for budget in epochs
    ]
    facts = {"subset": "digits-lenet", "metric": "accuracy", "ceiling": np.nan}
    return nb.Comparison(find_protocol("classification"), pd.DataFrame(rows).assign(**facts), {})


def test_at_a_single_budget_every_method_has_its_interval_as_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr(plots, "_save", lambda figure, path, **options: drawn.append(figure))
    plots.comparison_over_budget(comparison([5]), "unwritten.png")
    [axes] = drawn[0].axes
    segments = [bar.get_segments()[0] for bar in axes.collections]
    np.testing.assert_allclose([segment[:, 1] for segment in segments], [[0.7, 1.0], [0.4, 0.7]])
    first, second = (segment[0, 0] for segment in segments)
    assert first != second
    assert first + second == pytest.approx(2 * 5)


def test_over_several_budgets_an_interval_is_a_band(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr(plots, "_save", lambda figure, path, **options: drawn.append(figure))
    plots.comparison_over_budget(comparison([1, 5]), "unwritten.png")
    [axes] = drawn[0].axes
    assert len(axes.collections) == 2
    assert not any(isinstance(band, LineCollection) for band in axes.collections)


def test_a_single_result_at_a_single_budget_has_its_interval(digits: nb.Subset, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr(plots, "_save", lambda figure, path, **options: drawn.append(figure))
    result = nb.evaluate("constant", digits, protocol="classification", budgets=1)
    plots.score_over_budget([result], "unwritten.png")
    [low, high] = lines_of(drawn[0].axes[0]).get_segments()[0][:, 1]
    [score] = result.scores[result.scores["metric"] == "accuracy"].to_dict("records")
    assert (low, high) == pytest.approx((score["low"], score["high"]))


def test_a_comparison_draws_one_subset_on_axes_of_ones_own() -> None:
    axes = Figure().add_subplot()
    compared = comparison([1, 5])
    assert compared.plot(ax=axes) is axes
    assert [line.get_label() for line in axes.lines] == ["bar", "constant"]
    np.testing.assert_array_equal(axes.lines[0].get_xydata(), [[1, 0.8], [5, 0.8]])
    assert [line.get_label() for line in compared.plot(methods=["constant"]).lines] == ["constant"]
    unknown = [
        ({"subset": "mnist"}, "subset 'mnist'"),
        ({"metric": "r2"}, "metric 'r2'"),
        ({"methods": ["x"]}, "method 'x'"),
    ]
    for wrong, why in unknown:
        with pytest.raises(UnknownNameError, match=why):
            compared.plot(**wrong)  # type: ignore[arg-type]


def test_learning_rates_that_are_texts_leave_the_colours_to_the_final_accuracy(tmp_path: Path) -> None:
    for number in range(3):
        recorder = nb.Recorder(tmp_path / f"runs/{number}", hyperparameters={"learning_rate": f"cosine from 0.{number}"})
        recorder.epoch(validation_accuracy=40.0 + number)
        recorder.finish(test_accuracy=50.0 + number)
    zoo = nb.pack(tmp_path / "runs", name="mine", out=tmp_path / "zoo")
    axes = zoo.plot_curves(ax=Figure().add_subplot())
    np.testing.assert_array_equal(lines_of(axes).get_array(), [50.0, 51.0, 52.0])
