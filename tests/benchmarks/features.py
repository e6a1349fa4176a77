"""How fast neural persistence is, beside a spanning tree of all edges of a layer: ``python -m tests.benchmarks.features``.

Both go from a snapshot's weights to the persistence of every layer, on one thread, in turn, round after round; times are
medians over the rounds, of processor time.
"""

from __future__ import annotations

from statistics import median
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from scipy.sparse import csr_array
from scipy.sparse.csgraph import minimum_spanning_tree

from nndynbench.features import neural_persistence
from nndynbench.graphs import architecture
from tests.benchmarks.graphs import SNAPSHOTS_OF, ratio, seconds

console = Console(width=120)


def ours(layers: list[np.ndarray], largest: float) -> list[float]:
    return [neural_persistence(layer, largest=largest) for layer in layers]


def by_scipy(layers: list[np.ndarray], largest: float) -> list[float]:
    """Persistence from the spanning tree of all edges at once, as one would write it by scipy's documentation."""
    found = []
    for layer in layers:
        matrix = np.abs(layer.astype(np.float64)).reshape(len(layer), -1) / largest
        outputs, inputs = matrix.shape
        ends, starts = (axis.ravel() for axis in np.indices(matrix.shape))
        costs = csr_array((2 - matrix.ravel(), (ends, starts + outputs)), shape=(outputs + inputs, outputs + inputs))
        found.append(float(np.linalg.norm(minimum_spanning_tree(costs).data - 1) / np.sqrt(outputs + inputs - 1)))
    return found


def persistences(name: str, rounds: Annotated[int, typer.Option(help="of both ways in turn")] = 5) -> None:
    """Persistence of all layers of an initial and a trained snapshot."""
    for label, snapshot in SNAPSHOTS_OF.items():
        weights = snapshot(name)
        layers = [weights[f"{layer.name}.weight"] for layer in architecture(name).weighted_layers]
        largest = max(float(np.abs(layer).max()) for layer in layers)
        np.testing.assert_allclose(ours(layers, largest), by_scipy(layers, largest), rtol=1e-9)
        own: list[float] = []
        theirs: list[float] = []
        for _ in range(rounds):
            own.append(seconds(ours, layers, largest))
            theirs.append(seconds(by_scipy, layers, largest))
        console.print(
            f"{name}, {label}: {1e3 * median(own):.1f} ms; "
            f"scipy's spanning tree of all edges {1e3 * median(theirs):.0f} ms, {ratio(theirs, own):.3g} times"
        )


if __name__ == "__main__":
    typer.run(persistences)
