"""How fast a snapshot's weights become signatures, beside networkx, igraph and scipy: ``python -m tests.benchmarks.graphs``.

Each way goes from a snapshot's weights to the rolled graph, its degree and eigenvector centrality, and their signatures, on
one thread. All ways run in turn, round after round in one process; times are medians over the rounds, ratios medians of
the rounds' ratios. Snapshots are the standard initialisation and the weights after twenty training steps.
"""

from __future__ import annotations

import time
import tracemalloc
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
from nndynbench.graphs import Weights, architecture, random_weights, rolled, unrolled
from nndynbench.graphs.layered import SIGNS
from tests.graphs.trained import initial, trained

console = Console(width=120)

ROUNDS = {"cifar10-lenet": 20, "cifar10-resnet44": 5, "cifar10-vgg": 5, "imagenet-resnet50": 1}
STACK = 50
SNAPSHOTS = 24_000
# How often the fast ways run in each round, so that their medians do not depend on a few milliseconds.
REPEATS = {"cifar10-lenet": 10, "cifar10-resnet44": 5, "cifar10-vgg": 10, "imagenet-resnet50": 5}

app = typer.Typer(help=__doc__)


def ours(weights: Weights, name: str) -> np.ndarray:
    # As the library reads packs: nobody changes these weights, so the graph may share them.
    graph = rolled(weights, name, copy=False)
    return moments(np.stack([graph.degree(), graph.eigenvector_centrality()]))


def edge_weights(weights: Weights, name: str) -> list[np.ndarray]:
    """The rolled graph's blocks, computed in the obvious way."""
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


SNAPSHOTS_OF = {"initial": initial, "trained": trained}
Kinds = Annotated[list[str], typer.Option("--snapshot", help="initial or trained; both by default")]


def seconds(function: Callable[..., object], *arguments: object) -> float:
    """Processor time: on an idle machine it equals the clock's, and other programs change it little."""
    started = time.process_time()
    function(*arguments)
    return time.process_time() - started


def products(blocks: tuple[np.ndarray, ...]) -> None:
    for block in blocks:
        block @ np.ones(block.shape[1])


def sums(blocks: tuple[np.ndarray, ...]) -> None:
    for block in blocks:
        block.sum()


def ratio(theirs: list[float], own: list[float]) -> float:
    return median(a / b for a, b in zip(theirs, own, strict=True))


def peak_megabytes(function: Callable[..., object], *arguments: object) -> float:
    """The most memory that a call holds at once, beyond what was there before."""
    tracemalloc.start()
    function(*arguments)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak / 1e6


@app.command()
def rolled_graphs(
    name: Annotated[str, typer.Argument(help=f"one of {', '.join(ROUNDS)}")],
    rounds: Annotated[int | None, typer.Option(help="rounds of all ways in turn")] = None,
    without: Annotated[list[str] | None, typer.Option(help="ways to leave out: networkx, igraph, scipy eigsh")] = None,
    snapshots: Kinds = list(SNAPSHOTS_OF),  # noqa: B006
) -> None:
    """Weights to signatures, per snapshot, in milliseconds, beside the other ways."""
    chosen = {way: function for way, function in OTHERS.items() if way not in (without or [])}
    table = Table("snapshot", "way", *(Column(heading, justify="right") for heading in ("ms", "times ours")), box=box.SIMPLE)
    for label in snapshots:
        weights = SNAPSHOTS_OF[label](name)
        stacked = {tensor: np.stack([values] * STACK) for tensor, values in weights.items()}
        expected = ours(weights, name)
        times: dict[str, list[float]] = {way: [] for way in ("ours", "ours, stacked", *chosen)}
        for _ in range(rounds or ROUNDS[name]):
            times["ours"].append(median(seconds(ours, weights, name) for _ in range(REPEATS[name])))
            if "lenet" in name:
                runs = [seconds(ours, stacked, name) / STACK for _ in range(REPEATS[name])]
                times["ours, stacked"].append(median(runs))
            for way, function in chosen.items():
                started = time.process_time()
                theirs = function(weights, name)
                times[way].append(time.process_time() - started)
                np.testing.assert_allclose(theirs, expected, rtol=1e-6, atol=1e-7, err_msg=way)
        for way, measured in times.items():
            if measured:
                table.add_row(label, way, f"{1e3 * median(measured):.3f}", f"{ratio(measured, times['ours']):.3g}")
    console.print(f"{name}: rolled graph, both centralities and their signatures; stacked: {STACK} snapshots at a time")
    console.print(table)


@app.command()
def memory_bound(name: Annotated[str, typer.Argument()] = "imagenet-resnet50", rounds: int = 5) -> None:
    """Eigenvector centrality beside reading each weight once per half-step, and the memory that it takes."""
    for label, snapshot in SNAPSHOTS_OF.items():
        weights = snapshot(name)
        extra = peak_megabytes(ours, weights, name)
        graph = rolled(weights, name)
        with mock.patch.object(Bipartite, "to_even", autospec=True, side_effect=Bipartite.to_even) as counted:
            graph.eigenvector_centrality()
        half_steps = 2 * counted.call_count
        solved, read, multiplied = [], [], []
        for _ in range(rounds):
            solved.append(seconds(graph.eigenvector_centrality))
            read.append(half_steps * seconds(sums, graph.blocks))
            multiplied.append(half_steps * seconds(products, graph.blocks))
        console.print(
            f"{name}, {label}: {half_steps} half-steps in {1e3 * median(solved):.0f} ms; peak extra memory from weights to "
            f"signatures {extra:.0f} MB\n"
            f"  each weight multiplied once per half-step {1e3 * median(multiplied):.0f} ms: "
            f"{ratio(solved, multiplied):.2f} times\n"
            f"  each weight summed once per half-step {1e3 * median(read):.0f} ms: {ratio(solved, read):.2f} times"
        )


@app.command()
def many_snapshots(name: Annotated[str, typer.Argument()] = "cifar10-lenet") -> None:
    """24,000 snapshots, a network's 50 epochs at a time, on one core."""
    # The epochs of eight networks, each on its way from its own initial weights to the trained ones.
    way = np.linspace(0, 1, STACK, dtype=np.float32)
    end = trained(name)
    stacks = [
        {tensor: np.stack([(1 - share) * start[tensor] + share * end[tensor] for share in way]) for tensor in start}
        for start in (random_weights(name, seed=seed) for seed in range(8))
    ]
    taken = seconds(lambda: [ours(stacks[number % len(stacks)], name) for number in range(SNAPSHOTS // STACK)])
    console.print(f"{SNAPSHOTS:,} snapshots of {name}, {STACK} at a time, in {taken:.1f} s")


@app.command()
def unrolled_graphs(name: Annotated[str, typer.Argument()] = "cifar10-vgg") -> None:
    """Degree and eigenvector centrality of the unrolled graph, with the memory that they take."""
    for label, snapshot in SNAPSHOTS_OF.items():
        weights = snapshot(name)
        taken, peak = seconds(degrees, weights, name), peak_megabytes(degrees, weights, name)
        signed = unrolled(weights, name, copy=False)
        console.print(
            f"{name}, {label}: {signed.number_of_edges:,} edges; weights to the degrees of the signed graph and of both "
            f"subgraphs {taken:.2f} s, peak extra memory {peak:.0f} MB"
        )
        for sign, graph in {**{sign: signed.subgraph(sign) for sign in SIGNS}, "signed": signed}.items():
            taken = seconds(graph.principal_pair)
            console.print(f"  {sign}: eigenvector centrality {taken:.2f} s, residual {graph.principal_pair().residual:.1e}")


def degrees(weights: Weights, name: str) -> None:
    """The degrees of the signed unrolled graph and of both of its subgraphs."""
    signed = unrolled(weights, name, copy=False)
    for graph in (signed, *(signed.subgraph(sign) for sign in SIGNS)):
        graph.degree()


if __name__ == "__main__":
    with threadpool_limits(1):
        app()
