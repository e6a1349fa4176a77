"""Draws on matplotlib axes: a result's scores, a comparison's, a subset's learning curves, a graph's layers.

Each function takes the axes to draw on, or makes a figure of its own, and returns the axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from nndynbench.numbers import epochs

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from nndynbench.graphs import LayeredGraph
    from nndynbench.protocols.comparison import Comparison
    from nndynbench.protocols.results import Result
    from nndynbench.subsets.subset import Subset

# At most this many nodes of a layer, and edges of a graph, are drawn: the most central and the heaviest.
MOST_NODES = 64
MOST_EDGES = 1500

LARGEST_NODE = 220.0  # points²

# How far apart, in epochs, the intervals of methods are drawn if there is a single budget.
BESIDE = 0.04

# A layer of this many nodes fills its column.
FULL_COLUMN = 24

# Drawn after the bar, as far as they are compared; at most so many methods are drawn.
DRAWN_FIRST = ("hyperparameters", "validation-accuracy", "degree-linear", "degree-svm")
MOST_METHODS = 14

# Metrics in which a coin gets a half.
COIN_METRICS = ("accuracy", "balanced_accuracy", "roc_auc")


def draw_scores(results: Sequence[Result], *, metric: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw a metric (by default the protocol's first) over the budget, with its 95% band, a curve per result and subset.

    Raises
    ------
    UnknownNameError
        For a metric that the protocol does not have.
    """
    from nndynbench.names import check_name
    from nndynbench.protocols.metrics import METRICS
    from nndynbench.protocols.protocol import find_protocol

    chosen = find_protocol(results[0].facts.protocol)
    metric = check_name(metric or chosen.metrics[0], chosen.metrics, what=f"metric of {chosen.name}")
    axes: Axes = _axes(ax)
    for result in results:
        scores = result.scores[(result.scores["metric"] == metric) & result.scores["value"].notna()]
        apart = ["subset", *(["trained_on"] if "trained_on" in scores else [])]
        for key, part in scores.groupby(apart, sort=False):
            label = " trained on ".join([f"{result.facts.method} on {key[0]}", *map(str, key[1:])])
            [line] = axes.plot(part["budget"], part["value"], marker="o", markersize=4, label=label)
            draw_interval(axes, part, color=line.get_color(), alpha=0.15)
    if metric in COIN_METRICS:
        axes.axhline(0.5, color="grey", linestyle=":", linewidth=1, label="a coin")
    whole_epochs(axes)
    axes.set_xlabel("training epochs seen")
    label_score(axes, metric)
    axes.set_title(f"{chosen.name}: {METRICS[metric].label} over the budget, 95% intervals", fontsize=10)
    axes.legend(frameon=False, fontsize=8)
    return axes


def draw_sample_efficiency(curve: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw a method's gain over its reference by how many networks both are fitted on, a line per budget with its 95%
    intervals. ``curve`` has the rows of `nndynbench.sample_efficiency`.
    """
    axes: Axes = _axes(ax)
    for budget, part in curve.groupby("budget", sort=True):
        label = f"after {epochs(int(str(budget)))}"
        spread = [part["gain"] - part["gain_low"], part["gain_high"] - part["gain"]]
        axes.errorbar(part["networks"], part["gain"], yerr=spread, marker="o", markersize=4, capsize=3, label=label)
    axes.axhline(0, color="grey", linestyle=":", linewidth=1)
    axes.set_xscale("log")
    axes.set_xticks(sizes := sorted(curve["networks"].unique()), [str(size) for size in sizes])
    axes.minorticks_off()
    axes.set_xlabel("networks that both are fitted on")
    axes.legend(frameon=False, fontsize=8)
    return axes


def draw_comparison(
    compared: Comparison,
    *,
    subset: str | None = None,
    metric: str | None = None,
    methods: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a curve per method over the budget, on one subset, with the bar's 95% band and the ceiling. At a single budget,
    draw a point with its interval per method, side by side.

    By default it is the first subset and the protocol's first metric. At most fourteen methods are drawn, since a curve for
    each of fifty could not be told apart: the bar, ``hyperparameters``, ``validation-accuracy``, ``degree-linear`` and
    ``degree-svm``, as far as they are compared, then the best of the others at the last budget.

    Raises
    ------
    UnknownNameError
        For a subset, metric or method that is not compared.
    ValueError
        If no method has a value, and for transfer, which is a matrix.
    """
    from nndynbench.names import check_name
    from nndynbench.protocols.references import BAR

    chosen = check_name(metric or compared.protocol.metrics[0], compared.protocol.metrics, what="metric")
    if compared.protocol.test == "another":
        raise ValueError("transfer is a matrix of subsets: draw it with nndynbench.plots.transfer_matrix")
    rows = compared.rows[(compared.rows["metric"] == chosen) & compared.rows["value"].notna()]
    if rows.empty:
        raise ValueError(f"no method has a value for {chosen}")
    names = list(rows["subset"].unique())
    name = check_name(subset or names[0], names, what="compared subset")
    part = rows[rows["subset"] == name]
    axes: Axes = _axes(ax)
    alone, shown = len(set(part["budget"])) == 1, list(methods or _worth_showing(part, chosen))
    for position, method in enumerate(shown):
        check_name(method, list(part["method"].unique()), what="compared method")
        curve = part[part["method"] == method].sort_values("budget")
        if alone:
            curve = curve.assign(budget=curve["budget"] + BESIDE * (position - (len(shown) - 1) / 2))
        is_bar = method == BAR
        style: dict[str, Any] = {"color": "black" if is_bar else f"C{position % 10}", "linewidth": 2.2 if is_bar else 1.2}
        style["linestyle"] = "-" if position < 10 else "--"
        axes.plot(curve["budget"], curve["value"], marker="o", markersize=3, label=method, **style)
        draw_interval(axes, curve, color=style["color"], alpha=0.12 if is_bar else 0.04)
    if (known := part["ceiling"].dropna()).size:
        axes.axhline(known.iloc[0], color="grey", linestyle=":", linewidth=1, label="what a recipe's mean can reach")
    axes.set_title(f"{compared.title_of(name)}: {compared.protocol.name}", fontsize=10)
    axes.set_xticks(sorted(part["budget"].unique()))
    axes.set_xlabel("training epochs seen" + (", methods side by side" if alone else ""))
    label_score(axes, chosen)
    axes.legend(frameon=False, fontsize=6, loc="center left", bbox_to_anchor=(1, 0.5))
    return axes


def _worth_showing(rows: pd.DataFrame, metric: str) -> list[str]:
    from nndynbench.protocols.metrics import METRICS
    from nndynbench.protocols.references import BAR

    last = rows[rows["budget"] == rows["budget"].max()].set_index("method")["value"]
    best = last.sort_values(ascending=METRICS[metric].direction < 0).index
    always = [name for name in (BAR, *DRAWN_FIRST) if name in best]
    return [*always, *(name for name in best if name not in always)][:MOST_METHODS]


def draw_curves(subset: Subset, *, network_ids: Sequence[int] | None = None, ax: Axes | None = None) -> Axes:
    """Draw the validation accuracy of every network, or of those named, over its epochs. Lines are coloured by learning rate
    or, if there is none, by final accuracy. The subset's threshold is dotted.

    Raises
    ------
    ValueError
        For a subset without a single validation accuracy.
    UnknownNetworkError
        For an id that is not in the subset.
    """
    from matplotlib.collections import LineCollection
    from matplotlib.colors import LogNorm

    from nndynbench.subsets.subset import unknown_networks

    chosen = subset.network_ids if network_ids is None else list(network_ids)
    if unknown := sorted(set(chosen) - set(subset.network_ids)):
        raise unknown_networks(subset, unknown)
    axes: Axes = _axes(ax)
    networks = subset.networks.loc[chosen]
    every = subset.curves.pivot_table(values="validation_accuracy", index="network", columns="epoch")
    if every.empty:
        raise ValueError(f"no network of {subset.name} has a validation accuracy: there is no curve to draw")
    # A network that diverged in its first epoch has no curve.
    shown = every.reindex(networks.index).dropna(how="all")
    lines = [np.column_stack([row.dropna().index, row.dropna()]) for _, row in shown.iterrows()]
    rates = networks.get("learning_rate")
    by_rate = rates is not None and pd.api.types.is_numeric_dtype(rates) and bool((rates > 0).all())
    values = networks.loc[shown.index, "learning_rate" if by_rate else "final_accuracy"]
    norm = LogNorm() if by_rate else None
    drawn = LineCollection(lines, array=values, cmap="plasma", norm=norm, linewidths=0.7, alpha=0.6)
    axes.add_collection(drawn)
    axes.autoscale()
    axes.set_ylim(np.nanmin(every) - 2, np.nanmax(every) + 2)
    whole_epochs(axes)
    axes.axhline(subset.manifest.threshold, color="grey", linestyle=":", linewidth=1)
    axes.set_xlabel("epoch")
    axes.set_ylabel("validation accuracy, percent")
    axes.set_title(f"{subset.name}: {len(shown)} networks", fontsize=10)
    if lines:
        axes.figure.colorbar(drawn, ax=axes, label="learning rate" if by_rate else "final accuracy, percent")
    return axes


def draw_graph(graph: LayeredGraph, *, centrality: str = "degree", ax: Axes | None = None) -> Axes:
    """Draw the layers as columns, from the input on the left. Nodes are sized by a centrality, edges by their absolute
    weight, and negative edges are red.

    Of a layer of more than 64 nodes the most central are drawn, and of a graph of more than 1,500 edges the heaviest; the
    labels say how many nodes there are. In the graph of a network that has diverged, what is not finite is left out, and the
    title says so.

    Raises
    ------
    UnknownNameError
        For a centrality that does not exist.
    ValueError
        For a stack of graphs.
    """
    from nndynbench.names import check_name
    from nndynbench.signatures import CENTRALITIES

    measure = CENTRALITIES[check_name(centrality, CENTRALITIES, what="centrality")]
    if graph.stack:
        raise ValueError(f"a stack of {graph.stack} graphs cannot be drawn: take one snapshot's graph")
    axes: Axes = _axes(ax)
    with np.errstate(invalid="ignore"):  # of a network that has diverged
        values = np.abs(measure(graph.blocks))
    values = np.where(np.isfinite(values), values, np.nan)  # sorted last
    places = np.full((graph.number_of_nodes, 2), np.nan)
    for column, layer in enumerate(graph.layers):
        own = np.asarray(graph.nodes(layer))
        drawn = np.sort(own[np.argsort(-values[own], kind="stable")[:MOST_NODES]])
        places[drawn] = np.column_stack([np.full(len(drawn), column), _spread(len(drawn))])
    all_finite = _draw_edges(axes, graph, places) and np.isfinite(values).all()
    there = np.isfinite(places[:, 0]) & np.isfinite(values)
    largest = values[there].max(initial=0.0) or 1.0
    axes.scatter(
        places[there, 0],
        places[there, 1],
        s=LARGEST_NODE * values[there] / largest,
        color="C0",
        edgecolors="white",
        linewidths=0.4,
    )
    names = [
        f"{layer}\n{size}" if size <= MOST_NODES else f"{layer}\n{MOST_NODES} of {size}"
        for layer, size in zip(graph.layers, graph.layer_sizes, strict=True)
    ]
    axes.set_xticks(range(len(graph.layers)), names, fontsize=8)
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    left_out = "" if all_finite else "; non-finite values are left out"
    axes.set_title(f"nodes by {centrality.replace('_', ' ')}, edges by weight{left_out}", fontsize=10)
    return axes


def draw_interval(axes: Any, curve: pd.DataFrame, *, color: object, alpha: float) -> None:
    """Draw the 95% interval of a curve as a band or, at a single budget, where a band has no width, as a bar."""
    if len(curve) == 1:
        axes.vlines(curve["budget"], curve["low"], curve["high"], color=color, linewidth=1.2)
    else:
        axes.fill_between(curve["budget"], curve["low"], curve["high"], color=color, alpha=alpha, linewidth=0)


def label_score(axes: Any, metric: str) -> None:
    """Label the axis of a metric, and show no more of it than is worth showing."""
    from nndynbench.protocols.metrics import METRICS

    facts = METRICS[metric]
    axes.set_ylabel(facts.label)
    if facts.shown is not None:
        (low, high), (lowest, highest) = axes.get_ylim(), facts.shown
        axes.set_ylim(max(low, lowest), min(high, highest))


def whole_epochs(axes: Any) -> None:
    """Put ticks at whole epochs only."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _draw_edges(axes: Any, graph: LayeredGraph, places: npt.NDArray[np.float64]) -> bool:
    """Draw the finite edges between places; return whether all edges are finite."""
    from matplotlib.collections import LineCollection

    ends, starts, weights = graph.edges()
    finite = np.isfinite(weights)
    shown = np.isfinite(places[ends, 0]) & np.isfinite(places[starts, 0]) & finite
    ends, starts, weights = ends[shown], starts[shown], weights[shown]
    heaviest = np.argsort(-np.abs(weights), kind="stable")[:MOST_EDGES][::-1]
    weights = weights[heaviest]
    largest = np.abs(weights).max(initial=0.0) or 1.0
    lines = np.stack([places[starts[heaviest]], places[ends[heaviest]]], axis=1)
    share = np.abs(weights) / largest
    colors = np.where(weights[:, None] < 0, (0.84, 0.15, 0.16), (0.4, 0.4, 0.4))
    colors = np.column_stack([colors, 0.08 + 0.72 * share])
    axes.add_collection(LineCollection(list(lines), colors=colors, linewidths=0.2 + 1.4 * share, zorder=0))
    return bool(finite.all())


def _spread(count: int) -> npt.NDArray[np.float64]:
    """Heights of nodes in a column, the first on top, centred on 0. Few nodes stand no farther apart than many."""
    return np.linspace(1, -1, count) * min(1, count / FULL_COLUMN) if count > 1 else np.zeros(count)


def _axes(ax: Axes | None) -> Any:
    if ax is not None:
        return ax
    from matplotlib import pyplot

    _, axes = pyplot.subplots(layout="constrained")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, linewidth=0.5)
    return axes
