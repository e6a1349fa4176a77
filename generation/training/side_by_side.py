"""Trains many networks side by side on the same batches, as one module, which pays on a GPU.

Every network keeps the files of `generation.runs`, as if it were trained alone: any of them can be resumed in any group.
While an epoch trains, other processes turn the snapshots of the epoch before into signatures and features, and write them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from generation.architectures import build_module, initialise, snapshot
from generation.device import device_name
from generation.grids import MOMENTUM
from generation.images import Images
from generation.record import Record
from generation.runs import Arrays, NetworkRun, TrainingState
from generation.training.batches import epoch_batches, normalised, training_labels
from generation.training.network import one_core
from generation.training.plan import NetworkPlan
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
from generation.training.side_by_side_modules import dropouts, load_side_by_side, side_by_side
from nndynbench.errors import NndynbenchError
from nndynbench.graphs import Weights, architecture
from nndynbench.storage.files import DamagedFileError

# What networks of one group may differ in; everything else decides which batches they see, or how they run.
MAY_VARY = ("learning_rate", "dropout", "optimiser", "weight_decay", "initialisation_scale", "label_noise", "configuration")


class NotSideBySideError(NndynbenchError, ValueError):
    """Networks that cannot be trained side by side; says why."""


def check_side_by_side(plans: Sequence[NetworkPlan]) -> None:
    """Raise `NotSideBySideError` unless the networks see the same batches and their update rule is implemented here."""
    first = plans[0].recipe
    if first["batches"] != "shared":
        batches = first["batches"]
        raise NotSideBySideError(f"networks with batches = {batches!r} see different batches: train them one by one")
    for plan in plans:
        if plan.recipe["optimiser"] not in MOMENTUM:
            optimiser = plan.recipe["optimiser"]
            raise NotSideBySideError(f"no side-by-side update rule for {optimiser!r} (valid: {', '.join(MOMENTUM)})")
        for setting, value in plan.recipe.items():
            if setting not in MAY_VARY and value != first[setting]:
                other = f"network {plans[0].network} has {first[setting]!r}"
                raise NotSideBySideError(f"network {plan.network} has {setting} {value!r}, but {other}: train them apart")


class Group:
    """Networks under training as one module: their weights, momentum and data, all on one device.

    ``dtype`` float64 is for checking against networks trained alone: float32 training is chaotic.
    """

    def __init__(
        self, plans: Sequence[NetworkPlan], images: Images, *, device: str = "cpu", dtype: torch.dtype = torch.float32
    ) -> None:
        check_side_by_side(plans)
        self.plans = list(plans)
        self.images = images
        self.device = torch.device(device)
        self.dtype = dtype
        self.recipe = plans[0].recipe
        count = self.recipe["training_images"] or len(images.train[0])
        self.pixels = torch.from_numpy(np.asarray(images.train[0][:count])).to(self.device)
        self.labels = self._training_labels(torch.from_numpy(np.array(images.train[1][:count])))
        self._build()

    def _training_labels(self, labels: Tensor) -> Tensor:
        """(images, networks): label noise is every network's own."""
        classes = architecture(self.plans[0].architecture).classes
        own = [training_labels(labels, plan.recipe, classes, seed=plan.label_noise_seed) for plan in self.plans]
        return torch.stack(own, dim=1).to(self.device)

    def _build(self) -> None:
        """A side-by-side module without weights, and every network's hyperparameters, as (networks,)."""
        module = build_module(self.plans[0].architecture).to(self.device, self.dtype)
        self.model = side_by_side(module, len(self.plans)).to(self.device, self.dtype)
        self.parameters = list(self.model.parameters())
        self.velocities = [torch.zeros_like(parameter, requires_grad=False) for parameter in self.parameters]
        self.rates = self._per_network(plan.recipe["learning_rate"] for plan in self.plans)
        self.momenta = self._per_network(MOMENTUM[plan.recipe["optimiser"]] for plan in self.plans)
        self.decays = self._per_network(plan.recipe["weight_decay"] for plan in self.plans)
        for salt, layer in enumerate(dropouts(self.model)):
            layer.salt = salt
            layer.rates = self._per_network((plan.recipe["dropout"] for plan in self.plans), torch.float32)

    def _per_network(self, values: Iterator[float], dtype: torch.dtype | None = None) -> Tensor:
        return torch.tensor(list(values), dtype=dtype or self.dtype, device=self.device)

    def load(self, weights: Sequence[Weights], optimisers: Sequence[Arrays]) -> None:
        """Give every network its weights and its momentum (none where it has not yet moved)."""
        load_side_by_side(self.model, [{name: torch.from_numpy(value) for name, value in own.items()} for own in weights])
        for position, velocity in enumerate(self.velocities):
            for row, arrays in enumerate(optimisers):
                if (stored := arrays.get(f"{position}/momentum_buffer")) is not None:
                    velocity[row] = torch.from_numpy(stored).to(velocity)

    def select(self, rows: Sequence[int]) -> None:
        """Go on with some of the networks; the others leave."""
        state, velocities, labels = self.model.state_dict(), self.velocities, self.labels
        self.plans = [self.plans[row] for row in rows]
        index = torch.tensor(rows, device=self.device)
        self._build()
        self.model.load_state_dict({name: tensor[index] for name, tensor in state.items()})
        self.velocities = [velocity[index] for velocity in velocities]
        self.labels = labels[:, index]

    def epoch(self, epoch: int) -> tuple[list[float], list[float]]:
        """One epoch: every network's mean loss over its batches, and accuracy in percent. A loss that is not finite stays
        that way, and disturbs no other network.
        """
        losses, right, visited = [], torch.zeros(len(self.plans), dtype=torch.int64, device=self.device), 0
        for step, (inputs, labels) in enumerate(self.begin(epoch)):
            loss, hits = self.step(inputs, labels, step)
            losses.append(loss)
            right += hits
            visited += len(labels)
        # The one place that waits for the device.
        return torch.stack(losses).double().mean(0).tolist(), _percent(right, visited)

    def begin(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Make ready for an epoch's steps: dropout on, with this epoch's masks; returns its batches, each for a `step`."""
        self.model.train()
        keys = torch.tensor([plan.dropout_seed(epoch) for plan in self.plans], device=self.device)
        for layer in dropouts(self.model):
            layer.keys = keys
        seed = self.plans[0].batch_seed(epoch)
        return epoch_batches(self.pixels, self.labels, self.recipe, brightest=self.images.brightest, seed=seed)

    def step(self, inputs: Tensor, labels: Tensor, step: int = 0) -> tuple[Tensor, Tensor]:
        """One update on a batch, images (n, channels, h, w) and labels (n, networks); losses and hits, (networks,) each."""
        for layer in dropouts(self.model):
            layer.step = step
        with self._precision():
            outputs = self._outputs(inputs)
            losses = functional.cross_entropy(outputs, labels, reduction="none")
        losses = losses.mean(0)
        # Each network's loss depends on its own weights alone: the gradient of the sum is every one's own.
        gradients = torch.autograd.grad(losses.sum(), self.parameters)
        with torch.no_grad():
            self._update(gradients)
        return losses.detach(), (outputs.detach().argmax(1) == labels).sum(0)

    def _outputs(self, inputs: Tensor) -> Tensor:
        """(n, classes, networks), as cross_entropy takes further axes."""
        outputs: Tensor = self.model(inputs.to(self.dtype))
        by_network: Tensor = outputs.unflatten(1, (len(self.plans), -1))
        return by_network.transpose(1, 2)

    def _update(self, gradients: Sequence[Tensor]) -> None:
        """Torch's SGD with every network's own learning rate, momentum and weight decay."""
        for parameter, velocity, gradient in zip(self.parameters, self.velocities, gradients, strict=True):
            shape = (-1,) + (1,) * (parameter.dim() - 1)
            decayed = torch.addcmul(gradient, self.decays.view(shape), parameter)
            velocity.mul_(self.momenta.view(shape)).add_(decayed)
            parameter.addcmul_(self.rates.view(shape), velocity, value=-1)

    def right(self, pixels: Any, labels: Any) -> Tensor:
        """How many of these images every network has right, dropout off: (networks,)."""
        self.model.eval()
        right = torch.zeros(len(self.plans), dtype=torch.int64, device=self.device)
        # As many images at once as in training: activations of all networks must fit.
        size = self.recipe["batch_size"]
        with torch.no_grad(), self._precision():
            for start in range(0, len(pixels), size):
                part = slice(start, start + size)
                inputs = normalised(torch.from_numpy(np.array(pixels[part])).to(self.device), self.images.brightest)
                truth = torch.from_numpy(np.array(labels[part])).to(self.device)
                right += (self._outputs(inputs).argmax(1) == truth[:, None]).sum(0)
        return right

    def validation_accuracies(self) -> list[float]:
        pixels, labels = (part[: self.recipe["validation_images"] or None] for part in self.images.validation)
        return _percent(self.right(pixels, labels), len(labels))

    def finite(self) -> list[bool]:
        """Whether all of a network's weights are finite."""
        whole = [torch.isfinite(parameter.detach()).flatten(1).all(1) for parameter in self.parameters]
        return torch.stack(whole).all(0).tolist()

    def states(self) -> Iterator[tuple[Weights, Arrays]]:
        """Every network's weights and momentum, on the CPU, as it would have had them alone."""
        weights = snapshot(self.model)
        velocities = [np.asarray(velocity.float().cpu().numpy()) for velocity in self.velocities]
        for row, plan in enumerate(self.plans):
            moving = MOMENTUM[plan.recipe["optimiser"]] > 0
            buffers = {f"{i}/momentum_buffer": velocity[row].copy() for i, velocity in enumerate(velocities) if moving}
            yield {name: value[row].copy() for name, value in weights.items()}, buffers

    def _precision(self) -> Any:
        if self.recipe["precision"] == "bfloat16":
            return torch.autocast(self.device.type, dtype=torch.bfloat16)
        return nullcontext()


@dataclass
class Member:
    """One network of a group: its files, its record, and the description of its latest epoch while that is being made."""

    plan: NetworkPlan
    run: NetworkRun
    record: Record
    described: Future[Record] | None = field(default=None, repr=False)

    @property
    def epochs(self) -> int:
        return len(self.record.epochs)

    @property
    def ended(self) -> bool:
        return ended(self.plan, self.record)

    def settle(self) -> None:
        """Wait until the latest epoch is described and written."""
        if self.described is not None:
            self.record = self.described.result()
            self.described = None


def train_side_by_side(
    plans: Sequence[NetworkPlan],
    images: Images,
    runs: Sequence[NetworkRun],
    *,
    device: str,
    describers: Executor,
    stop: Callable[[], bool] = lambda: False,
    report: Callable[[Record], None] = lambda record: None,
) -> int:
    """Train networks side by side to their ends, from where ``runs`` left them; returns how many have ended.

    Each is trained as by `train_network`; ``describers`` are the processes that make signatures and features. After a kill
    the networks may be at different epochs: those behind catch up first, then all go on together.
    """
    check_side_by_side(plans)
    with one_core(plans[0].architecture):
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = plans[0].recipe["precision"] == "tf32"
        torch.backends.cudnn.benchmark = True  # every step has the same shapes: the fastest kernels are worth looking for
        unfinished = [(plan, run) for plan, run in zip(plans, runs, strict=True) if not run.finished]
        members = list(describers.map(partial(_member, device=device_name(device)), *zip(*unfinished, strict=True)))
        group: Group | None = None
        grouped: list[Member] = []
        while (training := [member for member in members if not member.ended]) and not stop():
            epoch = min(member.epochs for member in training)
            active = [member for member in training if member.epochs == epoch]
            if group is None or not {id(member) for member in active} <= {id(member) for member in grouped}:
                group = _load(active, images, device)
            elif len(active) < len(grouped):
                group.select([grouped.index(member) for member in active])
            grouped = active
            _train_epoch(group, grouped, describers, report)
        for member in members:
            member.settle()
        # A kill between a network's last state and its final record leaves one that has ended but lacks its accuracies.
        unmarked = [member for member in members if member.ended and not member.run.finished]
        if unmarked:
            _finish(_load(unmarked, images, device), unmarked, report)
        return sum(run.finished for run in runs)


def _member(plan: NetworkPlan, run: NetworkRun, *, device: str) -> Member:
    """A network as its files have it, or as it begins: its initialisation is described at once."""
    torch.set_num_threads(1)
    initial = initial_weights(plan)
    state = run.read_state()
    if not run.has_snapshot(0):
        run.write_snapshot(0, initial)
    return Member(plan, run, new_record(plan, device, initial) if state is None else resumed(state.record, device))


def _percent(right: Tensor, total: int) -> list[float]:
    return (100 * right.double() / total).tolist()


def initial_weights(plan: NetworkPlan) -> Weights:
    """A network's snapshot 0, drawn on the CPU by the same function wherever it is trained."""
    model = build_module(plan.architecture)
    initialise(model, plan.architecture, seed=plan.seed, scale=plan.recipe["initialisation_scale"])
    return snapshot(model)


def _load(members: Sequence[Member], images: Images, device: str) -> Group:
    """A group from its members' files."""
    group = Group([member.plan for member in members], images, device=device)
    weights, optimisers = [], []
    for member in members:
        member.settle()
        state = member.run.read_state()
        if state is not None and state.epoch != member.epochs:
            raise DamagedFileError(
                f"{member.run.folder} has lost the state of epoch {member.epochs}: run the same command again to continue"
            )
        weights.append(state.weights if state is not None else _initial(member.run))
        optimisers.append(state.optimiser if state is not None else {})
    group.load(weights, optimisers)
    return group


def _train_epoch(group: Group, members: Sequence[Member], describers: Executor, report: Callable[[Record], None]) -> None:
    start = time.perf_counter()
    epoch = members[0].epochs + 1
    losses, accuracies = group.epoch(epoch)
    validation, finite = group.validation_accuracies(), group.finite()
    seconds = (time.perf_counter() - start) / len(members)
    late = is_late(members[0].plan, epoch)
    test_accuracies = _percent(group.right(*group.images.test), len(group.images.test[1])) if late else []
    for member in members:
        member.settle()
    for row, (member, state) in enumerate(zip(members, group.states(), strict=True)):
        if not (finite[row] and math.isfinite(losses[row])):
            member.record.diverged = True
            continue
        add_epoch(member.record, loss=losses[row], accuracy=accuracies[row], validation=validation[row], seconds=seconds)
        if late:
            add_late_accuracy(member.record, test_accuracies[row])
        training_state = TrainingState(epoch, *state, member.record)
        member.described = describers.submit(_keep_epoch, member.plan, member.run, training_state)
    for member in members:
        report(member.record)
    if any(member.ended for member in members):
        _finish(group, members, report)


def _finish(group: Group, members: Sequence[Member], report: Callable[[Record], None]) -> None:
    """Write the final records of those members that have ended; the test half is looked at here and after late epochs."""
    halves = (group.images.validation, group.images.test)
    in_validation, in_test = (group.right(*half) for half in halves)
    validation_size, test_size = (len(labels) for _, labels in halves)
    test, both = _percent(in_test, test_size), _percent(in_validation + in_test, validation_size + test_size)
    for row, member in enumerate(members):
        if not member.ended:
            continue
        member.settle()
        if member.record.diverged:
            keep_last(member.plan, member.run, member.record, _initial(member.run))
        last = finished(member.plan, member.record, test=test[row], both_halves=both[row])
        member.record = last
        member.run.finish(last)
        report(last)


def _keep_epoch(plan: NetworkPlan, run: NetworkRun, state: TrainingState) -> Record:
    torch.set_num_threads(1)
    keep_epoch(plan, run, state, _initial(run))
    return state.record


def _initial(run: NetworkRun) -> Weights:
    initial = run.read_snapshot(0)
    if initial is None:
        raise DamagedFileError(f"{run.folder} has lost its snapshot 0: run the same command again to continue")
    return initial
