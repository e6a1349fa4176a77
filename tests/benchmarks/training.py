"""What training costs: ``python -m tests.benchmarks.training epoch|side-by-side|products|packing``.

``epoch``: a LeNet epoch on CIFAR-10 against a plain PyTorch loop with torchvision's transforms in a DataLoader, as a user
would write it, both on the same two cores (two networks at once, one thread each). ``side-by-side``: many networks as one
module against that loop, for a GPU. ``products``: a step in bfloat16 with convs over few positions as matrix products, and
with torch's convs alone. ``packing``: megabytes of snapshots packed per second. Each prints its peak memory.
"""

from __future__ import annotations

import os
import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table
from torch.nn import functional

from generation.architectures import build_module
from generation.grids import read_grid
from generation.images import Images, load_images
from generation.restore import record_of
from generation.runs import NetworkRun
from generation.training import NetworkPlan, train_network
from generation.training.network import one_core
from generation.training.products import with_products
from tests.generation.as_described import as_described

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
console = Console()

LEARNING_RATE = 0.01
CACHE = Path(tempfile.gettempdir()) / "nndynbench-benchmark-images"


def network_plan(subset: str, network: int, *, images: int, epochs: int, precision: str = "float32") -> NetworkPlan:
    """A network trained the paper's way, but without dropout, on the first ``images`` training images."""
    recipe = read_grid("paper").recipe(0) | {
        "learning_rate": LEARNING_RATE,
        "dropout": 0.0,
        "training_images": images,
        "epochs": epochs,
        "patience": 0,
        "precision": precision,
    }
    return NetworkPlan(subset, network, subset, recipe, kept_epochs=(0,))


def plain_loop(subset: str, images: Images, count: int, epochs: int, device: str = "cpu", workers: int = 0) -> list[float]:
    """The reference: a loop with torchvision's transforms in a DataLoader; returns the mean loss of each epoch."""
    from torch.utils.data import DataLoader, Dataset

    from tests.conftest import pytest_configure

    pytest_configure()  # torchvision's operators, where torch is a CPU build
    from torchvision import transforms

    transform = transforms.Compose(
        [
            transforms.RandomCrop(32, padding=4),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize((0.5,) * 3, (0.5,) * 3),
        ]
    )
    pixels, labels = (np.array(part[:count]) for part in images.train)

    class Pictures(Dataset[Any]):
        def __len__(self) -> int:
            return count

        def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
            from PIL import Image

            return transform(Image.fromarray(pixels[index].transpose(1, 2, 0))), int(labels[index])

    loader = DataLoader(Pictures(), batch_size=128, shuffle=True, num_workers=workers)
    model = as_described(build_module(subset)).to(device)
    optimiser = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE, momentum=0.9)
    means = []
    for _ in range(epochs):
        losses = []
        for inputs, targets in loader:
            optimiser.zero_grad()
            loss = functional.cross_entropy(model(inputs.to(device)), targets.to(device))
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        means.append(float(np.mean(losses)))
    return means


def ours(plan: NetworkPlan, images: Images, barrier: Any) -> tuple[float, float, float]:
    """One of our one-thread networks: seconds of its epochs (training and validation), last loss, peak megabytes."""
    with tempfile.TemporaryDirectory() as folder:
        run = NetworkRun(Path(folder))
        barrier.wait()
        train_network(plan, images, run)
        record = run.record()
    assert record is not None
    seconds = sum(row.seconds for row in record.epochs)
    return seconds, record.epochs[-1].train_loss, peak_megabytes()


def timed_plain_loop(subset: str, images: Images, count: int, epochs: int, barrier: Any) -> tuple[float, float, float]:
    torch.set_num_threads(1)
    barrier.wait()
    start = time.perf_counter()
    losses = plain_loop(subset, images, count, epochs)
    return time.perf_counter() - start, losses[-1], peak_megabytes()


def peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@app.command()
def epoch(
    images: Annotated[Path, typer.Option(help="the folder of CIFAR-10")],
    count: Annotated[int, typer.Option(help="training images")] = 10_000,
    epochs: int = 3,
    repeats: int = 3,
    cache: Path = CACHE,
) -> None:
    """A LeNet epoch, two networks at once on two cores, one thread each, against the plain loop the same way."""
    cifar = load_images("cifar10", source=images, cache=cache)
    ratios = []
    table = Table("repeat", "our s an epoch", "plain s an epoch", "ratio", "our loss", "plain loss", "our MB", "plain MB")
    for repeat in range(repeats):
        plans = [network_plan("cifar10-lenet", 2 * repeat + i, images=count, epochs=epochs) for i in range(2)]
        mine = at_once(ours, [(plan, cifar) for plan in plans])
        theirs = at_once(timed_plain_loop, [("cifar10-lenet", cifar, count, epochs)] * 2)
        ratios.append(theirs[0] / mine[0])
        cells = (mine[0] / epochs, theirs[0] / epochs, ratios[-1], mine[1], theirs[1], mine[2], theirs[2])
        table.add_row(str(repeat), *(f"{cell:.2f}" for cell in cells))
    console.print(table)
    console.print(f"{count} images; median ratio {np.median(ratios):.2f}")


def at_once(function: Any, arguments: list[tuple[Any, ...]]) -> list[float]:
    """Call a function in as many processes at once as there are ``arguments``; the medians of what it returns."""
    context = get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(len(arguments), context) as pool:
        barrier = manager.Barrier(len(arguments))
        results = [pool.submit(function, *own, barrier) for own in arguments]
        return np.median([result.result() for result in results], axis=0).tolist()


@app.command()
def side_by_side(
    images: Annotated[Path, typer.Option(help="the folder of CIFAR-10")],
    subset: str = "cifar10-lenet",
    networks: int = 240,
    count: int = 50_000,
    device: str = "cuda",
    precision: str = "tf32",
    epochs: int = 2,
    cache: Path = CACHE,
) -> None:
    """Networks side by side against the plain loop with a worker per core, on one device: seconds per network and epoch."""
    from generation.training.side_by_side import Group, initial_weights

    cifar = load_images("cifar10", source=images, cache=cache)
    plans = [network_plan(subset, i, images=count, epochs=epochs, precision=precision) for i in range(networks)]
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
    group = Group(plans, cifar, device=device)
    group.load([initial_weights(plan) for plan in plans], [{}] * networks)
    group.epoch(1)  # the first one chooses kernels
    start = time.perf_counter()
    for number in range(2, epochs + 2):
        losses, _ = group.epoch(number)
    mine = (time.perf_counter() - start) / epochs / networks
    start = time.perf_counter()
    plain = plain_loop(subset, cifar, count, epochs, device, workers=len(os.sched_getaffinity(0)))
    theirs = (time.perf_counter() - start) / epochs
    memory = torch.cuda.max_memory_allocated() / 2**20 if device.startswith("cuda") else peak_megabytes()
    title = f"{subset}, {networks} networks, {count} images, {precision}"
    table = Table("", "s a network and epoch", "loss after", title=title)
    table.add_row("side by side", f"{mine:.4f}", f"{np.mean(losses):.3f} (epoch {epochs + 1})")
    table.add_row("plain loop", f"{theirs:.4f}", f"{plain[-1]:.3f} (epoch {epochs})")
    console.print(table)
    console.print(f"ratio {theirs / mine:.1f}; peak memory {memory:.0f} MB")


@app.command()
def products(steps: int = 15, batch: int = 32) -> None:
    from tests.conftest import pytest_configure

    pytest_configure()  # torchvision's operators, where torch is a CPU build
    table = Table("architecture", "torch's convs, ms", "as products, ms", "times")
    for name in ("cifar10-alexnet", "imagenet-alexnet", "imagenet-resnet50"):
        plain, made = build_module(name), with_products(build_module(name))
        with one_core(name):
            before, after = rounds(steps, [bfloat16_step(model, batch) for model in (plain, made)])
        times = float(np.median(np.array(before) / np.array(after)))
        table.add_row(name, f"{1e3 * float(np.median(before)):.0f}", f"{1e3 * float(np.median(after)):.0f}", f"{times:.2f}")
    console.print(table)


def bfloat16_step(model: torch.nn.Module, batch: int) -> Callable[[], None]:
    """A training step on images that are noise."""
    model = model.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, fused=True)
    images = torch.randn(batch, 3, 32, 32).to(memory_format=torch.channels_last)
    labels = torch.arange(batch) % 10

    def step() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = functional.cross_entropy(model(images), labels)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()

    return step


def rounds(count: int, functions: list[Callable[[], None]]) -> list[list[float]]:
    """The processor seconds of each function, called in turn; the first two rounds do not count."""
    taken: list[list[float]] = [[] for _ in functions]
    for number in range(count + 2):
        for function, seconds in zip(functions, taken, strict=True):
            start = time.process_time()
            function()
            if number >= 2:
                seconds.append(time.process_time() - start)
    return taken


@app.command()
def packing(networks: int = 24, subset: str = "digits-lenet") -> None:
    """Pack a bundled subset's snapshots again: megabytes of float32 weights per second, with all tiers and tables."""
    import nndynbench
    from generation.pack import pack_subset
    from generation.retrain import sample, stored_plan

    zoo = nndynbench.load(subset)
    with tempfile.TemporaryDirectory() as folder:
        made = stored_plan(zoo, Path(folder))
        made.bind(load_images(made.entry.images))
        total = 0
        for network in sample(zoo, networks):
            total += put_back(zoo, made.run(network), network, made.kept_epochs)
        start = time.perf_counter()
        pack_subset(made)
        seconds = time.perf_counter() - start
    console.print(
        f"{networks} networks of {subset}, {total / 1e6:.1f} MB of weights, all tiers: {seconds:.1f} s, "
        f"{total / 1e6 / seconds:.1f} MB/s, peak memory {peak_megabytes():.0f} MB"
    )


def put_back(zoo: Any, run: NetworkRun, network: int, kept: tuple[int, ...]) -> int:
    """Write a packed network's snapshots and record as its run had them; returns the bytes of its weights."""
    last = int(zoo.networks.loc[network, "epochs_trained"])
    run.folder.mkdir(parents=True)
    total = 0
    for epoch in sorted({e for e in kept if e <= last} | {last}):
        weights = zoo.history(network, max(epoch, 1)).weights(epoch)
        run.write_snapshot(epoch, weights)
        total += sum(values.nbytes for values in weights.values())
    run.finish(record_of(zoo, network))
    return total


if __name__ == "__main__":
    app()
