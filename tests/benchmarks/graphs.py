"""How fast a snapshot's weights become signatures, beside networkx, igraph and scipy: ``python -m tests.benchmarks.graphs``.

Each way goes from a snapshot's weights to the rolled graph, its degree and eigenvector centrality, and their signatures, on
one thread. All ways run in turn, round after round in one process; times are medians over the rounds, ratios medians of
the rounds' ratios. Snapshots are the standard initialisation and the weights after twenty training steps.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from statistics import median
from typing import Annotated
from unittest import mock

import igraph
import networkx
import numpy as np
import scipy.sparse
import scipy.stats
import typer
from rich import box
from rich.console import Console
from rich.table import Column, Table
from scipy.sparse.linalg import eigsh
from threadpoolctl import threadpool_limits

from nndynbench.centralities import moments
from nndynbench.centralities.bipartite import Bipartite
from nndynbench.graphs import LayeredGraph, Weights, architecture, rolled, unrolled
from tests.graphs.trained import initial, trained

console = Console(width=120)

ROUNDS = {"cifar10-lenet": 20, "cifar10-resnet44": 5, "cifar10-vgg": 5, "imagenet-resnet50": 1}
STACK = 50
SNAPSHOTS = 24_000
# Runs of the fast ways in each round, so that their medians do not hang on a few milliseconds.
REPEATS = {"cifar10-lenet": 10, "cifar10-resnet44": 5, "cifar10-vgg": 10, "imagenet-resnet50": 5}

app = typer.Typer(help=__doc__)


def ours(weights: Weights, name: str) -> np.ndarray:
    graph = rolled(weights, name)
    return moments(np.stack([graph.degree(), graph.eigenvector_centrality()]))


def edge_weights(weights: Weights, name: str) -> list[np.ndarray]:
    """The rolled graph's blocks as one would write them down."""
    blocks = []
    for layer in architecture(name).weighted_layers:
        weight = weights[f"{layer.name}.weight"].astype(np.float64)
        blocks.append(np.linalg.norm(weight.reshape(len(weight), layer.input_shape[0], -1), axis=2))
    return blocks


def edge_list(blocks: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    first = np.cumsum([0, blocks[0].shape[1], *map(len, blocks)])
    ends, starts = [], []
    for position, block in enumerate(blocks):
        rows, columns = np.indices(block.shape)
        ends.append(rows.ravel() + first[position + 1])
        starts.append(columns.ravel() + first[position])
    return np.concatenate(ends), np.concatenate(starts), np.concatenate([block.ravel() for block in blocks])


def signature(values: np.ndarray) -> list[float]:
    return [np.median(values), values.mean(), values.std(), scipy.stats.skew(values), scipy.stats.kurtosis(values)]


def by_networkx(weights: Weights, name: str) -> np.ndarray:
    graph = networkx.Graph()
    graph.add_weighted_edges_from(zip(*(part.tolist() for part in edge_list(edge_weights(weights, name))), strict=True))
    degrees = dict(graph.degree(weight="weight"))
    centralities = networkx.eigenvector_centrality_numpy(graph, weight="weight")
    return np.array([signature(np.array(list(values.values()))) for values in (degrees, centralities)])


def by_igraph(weights: Weights, name: str) -> np.ndarray:
    ends, starts, values = edge_list(edge_weights(weights, name))
    graph = igraph.Graph(zip(ends.tolist(), starts.tolist(), strict=True))
    graph.es["weight"] = values
    centralities = np.array(graph.eigenvector_centrality(weights="weight"))
    degrees = np.array(graph.strength(weights="weight"))
    return np.array([signature(degrees), signature(centralities / np.linalg.norm(centralities))])


def by_scipy(weights: Weights, name: str) -> np.ndarray:
    ends, starts, values = edge_list(edge_weights(weights, name))
    both_ways = (np.concatenate([ends, starts]), np.concatenate([starts, ends]))
    adjacency = scipy.sparse.coo_array((np.tile(values, 2), both_ways)).tocsr()
    vector = eigsh(adjacency, k=1, which="LA")[1][:, 0]
    return np.array([signature(np.asarray(adjacency.sum(axis=1)).ravel()), signature(vector * np.sign(vector.sum()))])


OTHERS: dict[str, Callable[[Weights, str], np.ndarray]] = {
    "networkx": by_networkx,
    "igraph": by_igraph,
    "scipy eigsh": by_scipy,
}


def seconds(function: Callable[[], object]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


@app.command()
def rolled_graphs(
    name: Annotated[str, typer.Argument(help=f"one of {', '.join(ROUNDS)}")],
    rounds: Annotated[int | None, typer.Option(help="rounds of all ways in turn")] = None,
    without: Annotated[list[str] | None, typer.Option(help="ways to leave out: networkx, igraph, scipy eigsh")] = None,
) -> None:
    """Weights to signatures, per snapshot, in milliseconds, beside the other ways."""
    chosen = {way: function for way, function in OTHERS.items() if way not in (without or [])}
    table = Table("snapshot", "way", *(Column(heading, justify="right") for heading in ("ms", "times ours")), box=box.SIMPLE)
    for label, snapshot in (("initial", initial), ("trained", trained)):
        weights = snapshot(name)
        expected = ours(weights, name)
        for way, function in chosen.items():
            np.testing.assert_allclose(function(weights, name), expected, rtol=1e-6, atol=1e-7, err_msg=way)
        times: dict[str, list[float]] = {"ours": [], f"ours, {STACK} at a time": [], **{way: [] for way in chosen}}
        stacked = {tensor: np.stack([values] * STACK) for tensor, values in weights.items()} if "lenet" in name else None
        for _ in range(rounds or ROUNDS[name]):
            times["ours"].append(median(seconds(lambda: ours(weights, name)) for _ in range(REPEATS[name])))
            if stacked:
                runs = [seconds(lambda: ours(stacked, name)) / STACK for _ in range(REPEATS[name])]
                times[f"ours, {STACK} at a time"].append(median(runs))
            for way, function in chosen.items():
                times[way].append(seconds(lambda: function(weights, name)))
        for way, measured in times.items():
            if measured:
                ratio = median(theirs / own for theirs, own in zip(measured, times["ours"], strict=True))
                table.add_row(label, way, f"{1e3 * median(measured):.3f}", f"{ratio:.2f}" if ratio < 10 else f"{ratio:.0f}")
    console.print(f"{name}: rolled graph, both centralities and their signatures")
    console.print(table)


@app.command()
def memory_bound(name: Annotated[str, typer.Argument()] = "imagenet-resnet50", rounds: int = 5) -> None:
    """Eigenvector centrality beside reading each weight once per half-step, and the memory that it takes."""
    for label, snapshot in (("initial", initial), ("trained", trained)):
        weights = snapshot(name)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        ours(weights, name)
        extra = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        graph = rolled(weights, name)
        with mock.patch.object(Bipartite, "to_even", autospec=True, side_effect=Bipartite.to_even) as counted:
            graph.eigenvector_centrality()
        half_steps = 2 * counted.call_count
        solved, read, multiplied = [], [], []
        for _ in range(rounds):
            solved.append(seconds(graph.eigenvector_centrality))
            read.append(half_steps * seconds(lambda: [block.sum() for block in graph.blocks]))
            multiplied.append(half_steps * seconds(lambda: [block @ np.ones(block.shape[1]) for block in graph.blocks]))
        console.print(
            f"{name}, {label}: {half_steps} half-steps in {1e3 * median(solved):.0f} ms; each weight summed once per half-step "
            f"{1e3 * median(read):.0f} ms (ratio {median(a / b for a, b in zip(solved, read, strict=True)):.2f}), multiplied "
            f"once {1e3 * median(multiplied):.0f} ms ({median(a / b for a, b in zip(solved, multiplied, strict=True)):.2f}); "
            f"peak extra memory of the whole way {extra / 1e3:.0f} MB"
        )


@app.command()
def many_snapshots(name: Annotated[str, typer.Argument()] = "cifar10-lenet") -> None:
    """24,000 snapshots, a network's 50 epochs at a time, on one core."""
    stacks = []
    for seed in range(8):
        noise = np.random.default_rng(seed)
        drift = np.linspace(0, 1, STACK)
        start, end = initial(name), trained(name)
        stacks.append(
            {
                tensor: np.stack([(start[tensor] + share * (end[tensor] - start[tensor])) for share in drift]).astype(np.float32)
                * np.float32(noise.uniform(0.5, 2))
                for tensor in start
            }
        )
    taken = seconds(lambda: [ours(stacks[number % len(stacks)], name) for number in range(SNAPSHOTS // STACK)])
    console.print(f"{SNAPSHOTS:,} snapshots of {name} in {taken:.1f} s")


@app.command()
def unrolled_graphs(name: Annotated[str, typer.Argument()] = "cifar10-vgg") -> None:
    """Degree and eigenvector centrality of the unrolled graph, with the memory that they take."""
    for label, snapshot in (("initial", initial), ("trained", trained)):
        weights = snapshot(name)
        graphs: dict[str, LayeredGraph] = {}
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

        def degrees() -> None:
            graphs["signed"] = unrolled(weights, name)
            graphs["signed"].degree()

        taken = seconds(degrees)
        extra = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        console.print(
            f"{name}, {label}: {graphs['signed'].number_of_edges:,} edges; weights to degree {taken:.3f} s, {extra / 1e3:.0f} MB "
            f"more than before"
        )
        for sign in ("positive", "negative"):
            graphs[sign] = graphs["signed"].subgraph(sign)
        for sign, graph in graphs.items():
            started = time.perf_counter()
            pair = graph.principal_pair()
            taken = time.perf_counter() - started
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
            console.print(f"  {sign}: eigenvector {taken:.2f} s, residual {pair.residual:.1e}, peak extra {peak / 1e3:.0f} MB")


if __name__ == "__main__":
    with threadpool_limits(1):
        app()
