"""What the plots show is what the tables say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from typer.testing import CliRunner

import nndynbench as nb
from nndynbench import plots
from nndynbench.cli import app


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
