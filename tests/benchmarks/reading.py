"""How fast and in how much memory snapshots are read: ``python -m tests.benchmarks.reading [architecture …]``, or
beside another checkout ``--against FOLDER``.

Per architecture, rolled graphs of a few networks are written as the graphs tier (whole floats, and rounded as bundled), as
one HDF5 data set per array, and as one pickle per snapshot (`torch.save`), then every snapshot is read from a warm cache,
all formats in turn, ``ROUNDS`` times. It prints gigabytes of float32 per second of processor time, median and range, and
each format's ratio to one data set per array, paired by round. One core reads, and from a warm cache nothing else takes
time, so other work on the machine counts little. The weights are initial ones that drift, so their low bits are as hard to
compress as those of trained weights.

Against another checkout, such as a worktree of an earlier commit, it times opening `digits-lenet` and reading its graphs in
new processes of both checkouts by turns, ``PAIRS`` times, and prints the median ratio of the pairs.
"""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

import nndynbench as nb
from nndynbench.storage.arrays import SnapshotArrays, write_snapshot_arrays

ROUNDS = 9
PAIRS = 15
EPOCHS = 12
TOTAL_BYTES = 40e6
ARCHITECTURES = ("cifar10-lenet", "cifar10-resnet44", "cifar10-vgg")

Blocks = dict[str, np.ndarray]
Zoo = dict[int, list[Blocks]]


def drifting_zoo(architecture: str) -> Zoo:
    """Rolled graphs of some networks' epochs, about `TOTAL_BYTES` in all."""
    zoo: Zoo = {}
    size = 0
    while size < TOTAL_BYTES:
        network = len(zoo)
        weights = nb.graphs.random_weights(architecture, seed=network)
        random = np.random.default_rng(network)
        zoo[network] = []
        for _ in range(EPOCHS):
            weights = {name: w + random.normal(0, 0.1 * w.std() + 1e-6, w.shape) for name, w in weights.items()}
            graph = nb.graphs.rolled(weights, architecture)
            blocks = {n: np.asarray(b, np.float32) for n, b in zip(graph.layers[1:], graph.blocks, strict=True)}
            zoo[network].append(blocks)
            size += sum(block.nbytes for block in blocks.values())
    return zoo


def write_all(zoo: Zoo, folder: Path) -> dict[str, Path]:
    """The zoo in every format, by the format's name."""
    shapes = {name: block.shape for name, block in zoo[0][0].items()}
    epochs = {network: list(range(EPOCHS)) for network in zoo}
    paths = {name: folder / name for name in ("graphs tier", "graphs tier, 12 bits", "data set per array", "torch.load")}
    write_snapshot_arrays(paths["graphs tier"], shapes, epochs, zoo.items())
    write_snapshot_arrays(paths["graphs tier, 12 bits"], shapes, epochs, zoo.items(), mantissa_bits=12)
    with h5py.File(paths["data set per array"], "w") as file:
        for network, epoch, blocks in snapshots(zoo):
            for name, block in blocks.items():
                file[f"{network}/{epoch}/{name}"] = block
    paths["torch.load"].mkdir()
    for network, epoch, blocks in snapshots(zoo):
        tensors = {name: torch.from_numpy(block) for name, block in blocks.items()}
        torch.save(tensors, paths["torch.load"] / f"{network}-{epoch}.pt")
    return paths


def snapshots(zoo: Zoo) -> Iterator[tuple[int, int, Blocks]]:
    for network, history in zoo.items():
        for epoch, blocks in enumerate(history):
            yield network, epoch, blocks


def read_tier(path: Path, zoo: Zoo) -> None:
    arrays = SnapshotArrays(path)
    for network, epoch, _ in snapshots(zoo):
        arrays.parts(arrays.read(network, [epoch])[0])


def read_data_sets(path: Path, zoo: Zoo) -> None:
    with h5py.File(path, "r") as file:
        for network, epoch, blocks in snapshots(zoo):
            group = file[f"{network}/{epoch}"]
            for name in blocks:
                group[name][...]


def read_pickles(path: Path, zoo: Zoo) -> None:
    for network, epoch, _ in snapshots(zoo):
        torch.load(path / f"{network}-{epoch}.pt")


READERS: dict[str, Callable[[Path, Zoo], None]] = {
    "graphs tier": read_tier,
    "graphs tier, 12 bits": read_tier,
    "data set per array": read_data_sets,
    "torch.load": read_pickles,
}


def compare(architecture: str, console: Console) -> None:
    """Print one architecture's table."""
    zoo = drifting_zoo(architecture)
    size = sum(block.nbytes for _, _, blocks in snapshots(zoo) for block in blocks.values())
    with tempfile.TemporaryDirectory() as folder:
        paths = write_all(zoo, Path(folder))
        speeds: dict[str, list[float]] = {name: [] for name in READERS}
        for _ in range(ROUNDS + 1):
            for name, reader in READERS.items():
                start = time.process_time()
                reader(paths[name], zoo)
                speeds[name].append(size / (time.process_time() - start) / 1e9)
        bytes_of = {
            name: sum(file.stat().st_size for file in [path, *path.glob("*")] if file.is_file())
            for name, path in paths.items()
        }
    table = Table("format", "GB/s, median", "range", "against a data set per array", "bytes / float32", title=architecture)
    reference = speeds["data set per array"][1:]
    for name, measured in speeds.items():
        warm = measured[1:]  # the first round warms the cache
        ratio = statistics.median(ours / theirs for ours, theirs in zip(warm, reference, strict=True))
        spread = f"{min(warm):.2f} to {max(warm):.2f}"
        table.add_row(name, f"{statistics.median(warm):.2f}", spread, f"× {ratio:.1f}", f"{bytes_of[name] / size:.2f}")
    console.print(table)


OPENING = """
import re, sys, time
from pathlib import Path
import nndynbench as nb
nb.load
start = time.process_time()
zoo = nb.load("digits-lenet")
print(f"opening digits-lenet: {(time.process_time() - start) * 1e3:.1f} ms in a new process, without the imports")
for network in zoo.network_ids:
    history = zoo.history(network, 10)
    for epoch in range(11):
        history.graph(epoch)
start = time.process_time()
values = 0
for network in zoo.network_ids:
    history = zoo.history(network, 10)
    for epoch in range(11):
        values += sum(block.size for block in history.graph(epoch).blocks)
seconds = time.process_time() - start
print(f"history.graph of all its snapshots: {seconds / 240 / 11 * 1e6:.0f} µs each, {values * 4 / seconds / 1e9:.3f} GB/s")
peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024 / 1e6
print(f"peak memory: {peak:.0f} MB")
"""

LARGEST = """
import re, sys
from pathlib import Path
import nndynbench as nb
from nndynbench.graphs import LayeredGraph
from nndynbench.storage.arrays import SnapshotArrays
import numpy as np
nb.load("digits-lenet").networks
arrays = SnapshotArrays(Path(sys.argv[1]))
for network in arrays.networks:
    for epoch in arrays.epochs(network):
        blocks = arrays.parts(arrays.read(network, [epoch])[0])
        graph = LayeredGraph(tuple(b.astype(np.float64) for b in blocks.values()), ("input", *blocks))
        del blocks, graph
peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024 / 1e6
print(f"peak memory of iterating over the graphs of imagenet-resnet50: {peak:.0f} MB")
"""


def measure_whole_subset() -> None:
    """Opening, the public calls and peak memory, on the bundled subset, in a process of its own."""
    subprocess.run([sys.executable, "-c", OPENING], check=True)


def measure_against(folder: Path, console: Console) -> None:
    """Print the time that this checkout takes, and its ratio to the time of the checkout in ``folder``."""
    here = Path(__file__).parents[2]
    taken: dict[Path, list[list[float]]] = {folder: [], here: []}
    for pair in range(PAIRS):
        for checkout in (folder, here) if pair % 2 else (here, folder):
            command = [sys.executable, "-c", OPENING]
            done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=True)
            taken[checkout].append([float(number) for number in re.findall(r": (\d+\.?\d*) (?:ms|µs|MB)", done.stdout)])
    table = Table("", "here", str(folder), "here / there, median", "range", title=f"{PAIRS} pairs of processes")
    for place, what in enumerate(("opening, ms", "history.graph, µs", "peak memory, MB")):
        ours, theirs = ([values[place] for values in taken[checkout]] for checkout in (here, folder))
        ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
        middle = (f"{statistics.median(values):.1f}" for values in (ours, theirs))
        table.add_row(what, *middle, f"{statistics.median(ratios):.2f}", f"{min(ratios):.2f} to {max(ratios):.2f}")
    console.print(table)


def measure_largest() -> None:
    """Peak memory with the largest architecture's snapshots: 10.8 million edges each."""
    with tempfile.TemporaryDirectory() as folder:
        graph = nb.graphs.rolled(nb.graphs.random_weights("imagenet-resnet50", seed=0), "imagenet-resnet50")
        blocks = {n: np.asarray(b, np.float32) for n, b in zip(graph.layers[1:], graph.blocks, strict=True)}
        shapes = {name: block.shape for name, block in blocks.items()}
        path = Path(folder) / "graphs.h5"
        write_snapshot_arrays(path, shapes, {0: [0, 1], 1: [0, 1]}, ((n, [blocks, blocks]) for n in (0, 1)))
        subprocess.run([sys.executable, "-c", LARGEST, str(path)], check=True)


def main() -> None:
    console = Console()
    if sys.argv[1:2] == ["--against"] and len(sys.argv) == 3:
        measure_against(Path(sys.argv[2]).resolve(), console)
        return
    for architecture in sys.argv[1:] or ARCHITECTURES:
        if not re.fullmatch(r"[\w@.-]+", architecture):
            raise SystemExit(__doc__)
        compare(architecture, console)
    measure_whole_subset()
    measure_largest()


if __name__ == "__main__":
    main()
