"""One network, from its seed to its final accuracy, an epoch at a time; all that is learned of it goes into a record."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from generation.architectures import build_module, initialise, snapshot
from generation.device import device_name
from generation.grids import MOMENTUM
from generation.images import Images
from generation.record import Record
from generation.runs import NetworkRun, TrainingState
from generation.training.batches import epoch_batches, normalised, training_labels
from generation.training.plan import NetworkPlan
from generation.training.products import with_products
from generation.training.record import (
    add_epoch,
    add_late_accuracy,
    ended,
    finished,
    is_late,
    keep_epoch,
    keep_last,
    new_record,
    resumed,
)
from nndynbench.graphs import Weights, architecture

EVALUATION_BATCH = 1000

# On images of fewer pixels, oneDNN's preparations cost more than they save: 0.87 against 0.57 ms a step at 8×8.
ONEDNN_PIXELS = 16 * 16


@dataclass
class Training:
    """A network under training: module, optimiser and data, made anew for every (resumed) run."""

    plan: NetworkPlan
    images: Images
    model: nn.Module = field(init=False)
    optimiser: torch.optim.Optimizer = field(init=False)
    core_seconds_before: float = 0.0

    def __post_init__(self) -> None:
        self.started = time.process_time()
        recipe = self.plan.recipe
        self.model = build_module(self.plan.architecture, dropout=recipe["dropout"])
        if recipe["precision"] == "bfloat16":
            self.model = with_products(self.model)
        initialise(self.model, self.plan.architecture, seed=self.plan.seed, scale=recipe["initialisation_scale"])
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # torch has it, its types do not
        self.optimiser = _optimiser(self.model, recipe)
        count = recipe["training_images"] or len(self.images.train[0])
        self.pixels = torch.from_numpy(np.asarray(self.images.train[0][:count]))
        labels = torch.from_numpy(np.array(self.images.train[1][:count]))
        classes = architecture(self.plan.architecture).classes
        self.labels = training_labels(labels, recipe, classes, seed=self.plan.label_noise_seed)

    def epoch(self, epoch: int) -> tuple[float, float] | None:
        """One epoch: mean loss over its batches and accuracy in percent while training; None once a loss is not finite."""
        torch.manual_seed(self.plan.dropout_seed(epoch))
        self.model.train()
        losses: list[float] = []
        right = visited = 0
        for inputs, labels in self._batches(epoch):
            with _precision(self.plan.recipe):
                outputs = self.model(inputs)
                loss = functional.cross_entropy(outputs, labels)
            losses.append(loss.item())
            if not np.isfinite(losses[-1]):
                return None
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            self.optimiser.step()
            right += int((outputs.argmax(1) == labels).sum())
            visited += len(labels)
        if not all(bool(torch.isfinite(parameter).all()) for parameter in self.model.parameters()):
            return None
        return float(np.mean(losses)), 100 * right / visited

    def _batches(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        seed = self.plan.batch_seed(epoch)
        return epoch_batches(self.pixels, self.labels, self.plan.recipe, brightest=self.images.brightest, seed=seed)

    def validation_accuracy(self) -> float:
        count = self.plan.recipe["validation_images"] or None
        pixels, labels = self.images.validation
        return self.accuracy((pixels[:count], labels[:count]))

    def accuracy(self, *parts: tuple[Any, Any]) -> float:
        """Percent right over all images of ``parts``, dropout off."""
        self.model.eval()
        right = total = 0
        with torch.no_grad(), _precision(self.plan.recipe):
            for pixels, labels in parts:
                for start in range(0, len(pixels), EVALUATION_BATCH):
                    part = slice(start, start + EVALUATION_BATCH)
                    inputs = normalised(torch.from_numpy(np.array(pixels[part])), self.images.brightest)
                    right += int((self.model(inputs).argmax(1).numpy() == labels[part]).sum())
                total += len(pixels)
        return 100 * right / total

    @property
    def core_seconds(self) -> float:
        """The processor time that the network has taken so far, runs before this one included. Unlike an epoch's seconds, it
        does not grow with other work on the machine.
        """
        return round(self.core_seconds_before + time.process_time() - self.started, 3)

    def restore(self, state: TrainingState) -> None:
        self.model.load_state_dict({k: torch.from_numpy(v) for k, v in state.weights.items()}, strict=False)
        _restore_optimiser(self.optimiser, state.optimiser)


def train_network(
    plan: NetworkPlan,
    images: Images,
    run: NetworkRun,
    *,
    stop: Callable[[], bool] = lambda: False,
    report: Callable[[Record], None] = lambda record: None,
) -> bool:
    """Train a network to its end, from where ``run`` left it; returns whether it ended (False: ``stop`` said so).

    After every epoch ``run`` holds the state to resume from and the record so far, and ``report`` is called; at the end once
    more. A network ends at its last epoch, by early stopping on the validation half, or by divergence (a loss or weight that
    is not finite), which gives it chance accuracy. The test half is looked at once, at the end, and after late epochs.
    """
    with one_core(plan.architecture):
        training = Training(plan, images)
        initial = snapshot(training.model)
        state = run.read_state()
        if not run.has_snapshot(0):
            run.write_snapshot(0, initial)
        if state is None:
            record = new_record(plan, device_name(), initial)
        else:
            training.restore(state)
            record = resumed(state.record, device_name())
            training.core_seconds_before = record.core_seconds or 0.0
        while not ended(plan, record):
            if stop():
                return False
            _train_epoch(plan, training, run, record, initial)
            report(record)
        last = finished(
            plan,
            record,
            test=float("nan") if record.diverged else training.accuracy(images.test),
            both_halves=float("nan") if record.diverged else training.accuracy(images.validation, images.test),
        )
        last.core_seconds = training.core_seconds
        run.finish(last)
        report(last)
        return True


@contextmanager
def one_core(name: str) -> Iterator[None]:
    """Within this context torch trains on one core: one thread, no denormals, oneDNN where it pays; afterwards as before."""
    threads, onednn = torch.get_num_threads(), bool(torch.backends.mkldnn.enabled)
    _, height, width = architecture(name).input_shape
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    _use_onednn(height * width >= ONEDNN_PIXELS)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_flush_denormal(False)
        _use_onednn(onednn)


def _use_onednn(used: bool) -> None:
    torch.backends.mkldnn.enabled = used  # type: ignore[assignment] # a property of the module


def _train_epoch(plan: NetworkPlan, training: Training, run: NetworkRun, record: Record, initial: Weights) -> None:
    epoch = len(record.epochs) + 1
    start = time.perf_counter()
    measured = training.epoch(epoch)
    if measured is None:
        record.diverged = True
        keep_last(plan, run, record, initial)
        return
    loss, accuracy = measured
    validation = training.validation_accuracy()
    add_epoch(record, loss=loss, accuracy=accuracy, validation=validation, seconds=time.perf_counter() - start)
    if is_late(plan, epoch):
        add_late_accuracy(record, training.accuracy(training.images.test))
    record.core_seconds = training.core_seconds
    weights = snapshot(training.model)
    state = TrainingState(epoch, weights, _optimiser_tensors(training.optimiser), record)
    keep_epoch(plan, run, state, initial)


def _optimiser(model: nn.Module, recipe: dict[str, Any]) -> torch.optim.Optimizer:
    rate, decay = recipe["learning_rate"], recipe["weight_decay"]
    if recipe["optimiser"] == "adam":
        return torch.optim.Adam(model.parameters(), lr=rate, weight_decay=decay, fused=True)
    momentum = MOMENTUM[recipe["optimiser"]]
    return torch.optim.SGD(model.parameters(), lr=rate, momentum=momentum, weight_decay=decay, fused=True)


def _optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, np.ndarray]:
    """The optimiser's state as arrays: ``"3/momentum_buffer"`` is that of the model's fourth parameter."""
    states = optimiser.state_dict()["state"]
    return {
        f"{position}/{name}": np.array(value.numpy(), order="C")
        for position, state in states.items()
        for name, value in state.items()
        if value is not None
    }


def _restore_optimiser(optimiser: torch.optim.Optimizer, tensors: dict[str, np.ndarray]) -> None:
    states: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        position, name = key.split("/")
        states.setdefault(int(position), {})[name] = torch.from_numpy(value)
    optimiser.load_state_dict({**optimiser.state_dict(), "state": states})
    # The fused update walks through memory: a buffer in another order than its channels-last parameter's would be added
    # to the wrong weights.
    for parameter, state in optimiser.state.items():
        for name, value in state.items():
            if torch.is_tensor(value) and value.shape == parameter.shape:
                state[name] = torch.empty_like(parameter, requires_grad=False).copy_(value)


def _precision(recipe: dict[str, Any]) -> Any:
    if recipe["precision"] == "bfloat16":
        return torch.autocast("cpu", dtype=torch.bfloat16)
    return nullcontext()
