"""Draws plots as files: each function writes a PNG and returns its path."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nndynbench.centralities import MOMENTS
from nndynbench.drawing import draw_comparison, draw_curves, draw_sample_efficiency, draw_scores, whole_epochs
from nndynbench.numbers import written
from nndynbench.storage.files import user_path, written_whole
from nndynbench.subsets import as_subset

if TYPE_CHECKING:
    import numpy.typing as npt

    from nndynbench.protocols.comparison import Comparison
    from nndynbench.protocols.results import Result
    from nndynbench.subsets import Subset


def score_over_budget(results: Sequence[Result], path: str | Path, *, metric: str | None = None) -> Path:
    """A curve per result and subset: a metric (by default the protocol's first) over the budget, with its 95% band."""
    figure, [axes] = _figure()
    draw_scores(results, metric=metric, ax=axes)
    return _save(figure, user_path(path))


def comparison_over_budget(
    compared: Comparison, path: str | Path, *, metric: str | None = None, methods: Sequence[str] | None = None
) -> Path:
    """A panel per subset with a curve per method over the budget, the bar's 95% band and the ceiling. At a single budget, a
    point with its interval per method, side by side.

    By default the methods are those that `nndynbench.drawing.draw_comparison` chooses.
    """
    metric = metric or compared.protocol.metrics[0]
    rows = compared.rows[(compared.rows["metric"] == metric) & compared.rows["value"].notna()]
    names = list(rows["subset"].unique())
    figure, panels = _figure(len(names))
    for axes, subset in zip(panels, names, strict=True):
        draw_comparison(compared, subset=subset, metric=metric, methods=methods, ax=axes)
    return _save(figure, user_path(path))


def gain_over_networks(curve: pd.DataFrame, path: str | Path, *, title: str = "") -> Path:
    """A method's gain over its reference by how many networks both are fitted on, from the rows of
    `nndynbench.sample_efficiency`.
    """
    from nndynbench.protocols.metrics import METRICS

    figure, [axes] = _figure()
    draw_sample_efficiency(curve, ax=axes)
    axes.set_ylabel(f"gain in {METRICS[str(curve['metric'].iloc[0])].label}, 95% interval")
    axes.set_title(title, fontsize=10)
    return _save(figure, user_path(path))


def transfer_matrix(compared: Comparison, path: str | Path, *, metric: str | None = None) -> Path:
    """A matrix per method: trained on (rows) × tested on (columns), at the last budget."""
    metric = metric or compared.protocol.metrics[0]
    rows = compared.rows[compared.rows["metric"] == metric]
    rows = rows[rows["budget"] == rows["budget"].max()]
    methods = list(rows["method"].unique())
    names = list(dict.fromkeys([*rows["trained_on"], *rows["subset"]]))
    titles = [compared.title_of(name) for name in names]
    columns = 3
    figure, panels = _figure(len(methods), columns=columns, size=(2.8, 2.2))
    for place, (axes, method) in enumerate(zip(panels, methods, strict=True)):
        table = rows[rows["method"] == method].pivot_table(index="trained_on", columns="subset", values="value")
        table = table.reindex(index=names, columns=names)
        axes.imshow(table.to_numpy(), vmin=0, vmax=1, cmap="viridis")
        axes.grid(visible=False)
        axes.set_title(method, fontsize=8)
        is_lowest, is_first = place + columns >= len(methods), place % columns == 0
        axes.set_xticks(range(len(names)), titles if is_lowest else [], rotation=45, ha="right", fontsize=6)
        axes.set_yticks(range(len(names)), titles if is_first else [], fontsize=6)
        axes.set_xlabel("tested on" if is_lowest else "", fontsize=7)
        axes.set_ylabel("trained on" if is_first else "", fontsize=7)
        for (i, j), value in np.ndenumerate(table.to_numpy()):
            if np.isfinite(value):
                color = "white" if value < 0.6 else "black"
                axes.text(j, i, written(value, digits=2), ha="center", va="center", fontsize=7, color=color)
    return _save(figure, user_path(path))


def statistics_over_time(
    signatures: npt.NDArray[np.float64], labels: npt.NDArray[np.int64], weights: npt.NDArray[np.float64], path: str | Path
) -> Path:
    """The weight of each aggregator, then the mean, standard deviation and median of the degrees over the epochs: a line per
    network, blue if its label is high, red if it is low. ``signatures`` is (networks, epochs, 5).
    """
    figure, panels = _figure(4)
    panels[0].bar([moment.replace("_", "\n") for moment in MOMENTS], weights, color="grey")
    panels[0].set_title("absolute weight in a linear SVM, summed over epochs", fontsize=10)
    epochs = np.arange(1, signatures.shape[1] + 1)
    for axes, moment in zip(panels[1:], ("mean", "standard_deviation", "median"), strict=True):
        for label, color in ((0, "tab:red"), (1, "tab:blue")):
            lines = signatures[labels == label][:, :, MOMENTS.index(moment)]
            axes.plot(epochs, lines.T, color=color, alpha=0.15, linewidth=0.7)
            axes.plot(epochs, np.nanmedian(lines, axis=0), color=color, linewidth=2, label="high" if label else "low")
        axes.set_yscale("log")
        whole_epochs(axes)
        axes.set_xlabel("epoch")
        axes.set_title(f"{moment.replace('_', ' ')} of the degrees", fontsize=10)
        axes.legend(frameon=False, fontsize=8)
    return _save(figure, user_path(path))


def learning_curves(subset: str | Subset, path: str | Path) -> Path:
    """The validation accuracy of every network over its epochs, coloured by its learning rate. There is a panel per
    optimiser, since a high rate for one is a low one for another.
    """
    subset = as_subset(subset)
    networks = subset.networks
    optimisers = networks["optimiser"] if "optimiser" in networks else pd.Series("", index=networks.index)
    figure, panels = _figure(optimisers.nunique(), columns=3)
    for axes, (optimiser, own) in zip(panels, networks.groupby(optimisers), strict=True):
        draw_curves(subset, network_ids=list(own.index), ax=axes)
        if optimiser:
            axes.set_title(axes.get_title().replace(subset.name, str(optimiser)), fontsize=10)
    regime = subset.manifest.regime
    figure.suptitle(f"{subset.name} {subset.version} ({regime} regime); dotted: the threshold", fontsize=11)
    # Few dots: hundreds of lines make a large file.
    return _save(figure, user_path(path), dpi=100)


def _figure(panels: int = 1, *, columns: int = 2, size: tuple[float, float] = (6.4, 4.0)) -> tuple[Any, list[Any]]:
    """A figure and its axes, in rows of at most ``columns``; ``size`` is one panel's, in inches."""
    # The object interface: importing pyplot would pick a window system and keep every figure alive.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    wide = min(panels, columns)
    high = -(-panels // wide)
    figure = Figure(figsize=(size[0] * wide, size[1] * high), layout="constrained")
    FigureCanvasAgg(figure)
    all_axes = [figure.add_subplot(high, wide, position + 1) for position in range(panels)]
    for axes in all_axes:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25, linewidth=0.5)
    return figure, all_axes


def _save(figure: Any, path: Path, *, dpi: int = 150) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as partial:
        figure.savefig(partial, dpi=dpi, format="png")
    return path
