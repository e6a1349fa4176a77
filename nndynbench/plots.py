"""Plots, where people would rather look than read. Each writes a PNG and returns its path."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nndynbench.protocols.protocol import protocol
from nndynbench.storage.files import written_whole

if TYPE_CHECKING:
    from nndynbench.protocols.results import Result


def score_over_budget(results: Sequence[Result], path: str | Path, *, metric: str | None = None) -> Path:
    """A curve per result and subset: a metric (by default the protocol's first) over the budget, with its 95% band."""
    chosen = protocol(results[0].facts["protocol"])
    metric = metric or chosen.metrics[0]
    figure, axes = _figure()
    for result in results:
        scores = result.scores[(result.scores["metric"] == metric) & result.scores["value"].notna()]
        for subset, part in scores.groupby("subset", sort=False):
            label = f"{result.facts['method']} on {subset}"
            [line] = axes.plot(part["epochs"], part["value"], marker="o", markersize=4, label=label)
            axes.fill_between(part["epochs"], part["low"], part["high"], color=line.get_color(), alpha=0.15, linewidth=0)
    if metric in ("accuracy", "balanced_accuracy", "roc_auc"):
        axes.axhline(0.5, color="grey", linestyle=":", linewidth=1, label="a coin")
    axes.set_xlabel("training epochs seen")
    axes.set_ylabel(metric.replace("_", " "))
    axes.set_title(f"{chosen.name}: {metric.replace('_', ' ')} over the budget, 95% intervals", fontsize=10)
    axes.legend(frameon=False, fontsize=8)
    return _save(figure, Path(path))


def _figure() -> tuple[Any, Any]:
    # The object interface: importing pyplot would pick a window system and keep every figure alive.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, linewidth=0.5)
    return figure, axes


def _save(figure: Any, path: Path) -> Path:
    with written_whole(path) as partial:
        figure.savefig(partial, dpi=150, format="png")
    return path
