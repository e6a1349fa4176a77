"""What a grid will cost to train: core-hours, from a few steps measured here at the extreme batch sizes, and disk."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from generation.architectures import build_module, snapshot
from generation.images import SIZES, Images
from generation.pack import ARRAY_TIERS
from generation.plan import SubsetPlan
from generation.runs import STATES_KEPT
from generation.training.network import Training, one_core
from generation.training.plan import NetworkPlan
from nndynbench.features import layer_features
from nndynbench.graphs import Weights, architecture
from nndynbench.own_run import OwnRun
from nndynbench.signatures import snapshot_signatures
from nndynbench.subsets.reader import Reader

MEASURED_STEPS = 3
EVALUATED_IMAGES = 256

# The size of a network's state, in sizes of its weights: the weights, and the optimiser's numbers (none of plain SGD).
STATE_SIZES = {"sgd": 1, "momentum": 2, "adam": 3}


@dataclass(frozen=True)
class Speed:
    """Core-seconds on this machine: of a training step, by batch size; of evaluating an image; of describing a snapshot."""

    step: dict[int, float]
    evaluated_image: float
    description: float

    def of_step(self, batch_size: int) -> float:
        """Core-seconds of a step, interpolated linearly between the measured batch sizes."""
        sizes = sorted(self.step)
        return float(np.interp(batch_size, sizes, [self.step[size] for size in sizes]))


@dataclass(frozen=True)
class Disk:
    """Bytes on disk: of all snapshots that stay, of the pack made of them, and of what a network takes besides to train."""

    snapshots: int
    pack: int
    training: int


def measure(plan: SubsetPlan, networks: Sequence[int]) -> Speed:
    """Train a few steps on random images, at the smallest and the largest batch size, and time them by processor time."""
    plans = {plan.network(network).recipe["batch_size"]: plan.network(network) for network in networks}
    steps: dict[int, float] = {}
    with one_core(plan.entry.architecture):
        for size in sorted({min(plans), max(plans)}):
            training = Training(_few_steps(plans[size], size), _random_images(plan, size * MEASURED_STEPS))
            steps[size] = _seconds(partial(training.epoch, 1)) / MEASURED_STEPS
        evaluated = _seconds(lambda: training.accuracy(training.images.test)) / EVALUATED_IMAGES
        weights = snapshot(training.model)
        described = _seconds(lambda: _describe(weights, plan.entry.architecture))
    return Speed(steps, evaluated, described)


def core_seconds(plan: SubsetPlan, network: int, speed: Speed) -> float:
    """The core-seconds that one network takes at a speed, if it trains all of its epochs."""
    made = plan.network(network)
    recipe = made.recipe
    training_images, half = SIZES[plan.entry.images]
    visited = recipe["visits"] or recipe["training_images"] or training_images
    steps = -(-visited // recipe["batch_size"])
    # At the end both halves are evaluated once more, and the test half once by itself.
    evaluated = recipe["epochs"] * (recipe["validation_images"] or half) + (recipe["late_epochs"] + 3) * half
    described = 1 + recipe["epochs"] if recipe["signatures"] == "every epoch" else len(_kept(made))
    return float(
        recipe["epochs"] * steps * speed.of_step(recipe["batch_size"])
        + evaluated * speed.evaluated_image
        + described * speed.description
    )


def disk(plan: SubsetPlan, networks: Sequence[int], *, weights_of: int | None = None) -> Disk:
    """The disk that a folder of runs and its pack take, without records and tables; ``weights_of`` as in
    `SubsetPlan.keep_weights_of`.
    """
    weights, packed = _snapshot_bytes(plan.entry.architecture)
    plans = [plan.network(network) for network in networks]
    kept = sorted((len(_kept(made)) for made in plans), reverse=True)
    with_weights = kept if weights_of is None else kept[: 2 * weights_of]
    largest = max(STATE_SIZES[made.recipe["optimiser"]] for made in plans)
    # A network keeps all of its snapshots until it ends.
    dropped = 0 if weights_of is None else weights * max(kept)
    return Disk(
        snapshots=weights * sum(with_weights),
        pack=packed * sum(with_weights),
        training=weights * STATES_KEPT * largest + dropped,
    )


def _snapshot_bytes(name: str) -> tuple[int, int]:
    """Bytes of a snapshot among the runs, and in a pack's HDF5 tiers: at 23 bits these are hardly compressed."""
    weights = snapshot(build_module(name))
    reader = Reader(OwnRun(name, {0: weights}))
    tiers = [reader.snapshot(tier, 0) for tier in ARRAY_TIERS]
    of_weights, of_tiers = (sum(array.nbytes for part in parts for array in part.values()) for parts in ([weights], tiers))
    return of_weights, of_tiers


def _kept(made: NetworkPlan) -> set[int]:
    last = made.recipe["epochs"]
    return {0, last, *(epoch for epoch in made.kept_epochs if epoch <= last)}


def _few_steps(made: NetworkPlan, batch_size: int) -> NetworkPlan:
    # A network that diverges would end before its last step, and a learning rate changes no step's time.
    few = {"visits": batch_size * MEASURED_STEPS, "training_images": 0, "learning_rate": 1e-9}
    return replace(made, recipe=made.recipe | few)


def _random_images(plan: SubsetPlan, count: int) -> Images:
    described = architecture(plan.entry.architecture)
    random = np.random.default_rng(0)

    def drawn(size: int) -> tuple[np.ndarray, np.ndarray]:
        pixels = random.integers(0, 256, (size, *described.input_shape), dtype=np.uint8)
        return pixels, random.integers(0, described.classes, size)

    return Images(plan.entry.images, 255, drawn(count), drawn(1), drawn(EVALUATED_IMAGES), digest="")


def _describe(weights: Weights, name: str) -> None:
    snapshot_signatures(weights, name)
    layer_features(weights, weights, name)


def _seconds(action: Callable[[], object]) -> float:
    action()  # the first call imports and compiles
    start = time.process_time()
    action()
    return time.process_time() - start
