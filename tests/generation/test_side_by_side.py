"""Networks side by side: each becomes what it would have become alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")

import torch
from torch.nn import functional

from generation.architectures import build_module
from generation.grids import DEFAULTS
from generation.images import Images
from generation.plan import SubsetPlan
from generation.training.batches import epoch_batches
from generation.training.network import train_network
from generation.training.plan import NetworkPlan
from generation.training.side_by_side import (
    Group,
    NotSideBySideError,
    check_side_by_side,
    initial_weights,
    train_side_by_side,
)
from generation.training.side_by_side_modules import (
    SideBySideDropout,
    convolved_as_one_product,
    convolved_by_rows,
    side_by_side,
    uniform,
)
from nndynbench.graphs import Weights
from tests.generation.small_runs import begin, outcome


@pytest.fixture
def colour_images(digit_images: Images) -> Images:
    """Digits blown up to 32×32 in three colours: real structure at the size of the other image data."""

    def blown_up(part: tuple[Any, Any], count: int) -> tuple[Any, Any]:
        pixels = np.kron(part[0][:count], np.ones((1, 1, 4, 4), np.uint8))
        return np.concatenate([pixels, 16 - pixels, pixels // 2], axis=1), part[1][:count]

    parts = (blown_up(digit_images.train, 72), blown_up(digit_images.validation, 20), blown_up(digit_images.test, 20))
    return Images("digits in colour", 16, *parts, digest="")


def plans(architecture: str, count: int, **settings: Any) -> list[NetworkPlan]:
    """Networks of different learning rates, weight decays and optimisers."""
    varied = [
        {"learning_rate": 0.02 / (1 + i), "weight_decay": 1e-3 * i, "optimiser": ("momentum", "sgd")[i % 2]}
        for i in range(count)
    ]
    common = {**DEFAULTS, "dropout": 0.0, "batch_size": 32, **settings}
    return [NetworkPlan("tested", i, architecture, {**common, **own}) for i, own in enumerate(varied)]


def alone(plan: NetworkPlan, images: Images, weights: Weights, dtype: torch.dtype, batches: int | None) -> dict[str, Any]:
    """One network trained by torch's own modules and optimiser: its tensors after an epoch, or after some batches."""
    model = build_module(plan.architecture).to(dtype)
    model.load_state_dict({name: torch.from_numpy(value).to(dtype) for name, value in weights.items()}, strict=False)
    recipe = plan.recipe
    optimiser = torch.optim.SGD(
        model.parameters(),
        lr=recipe["learning_rate"],
        momentum=0.9 if recipe["optimiser"] == "momentum" else 0.0,
        weight_decay=recipe["weight_decay"],
    )
    pixels, labels = torch.from_numpy(images.train[0]), torch.from_numpy(images.train[1])
    steps = epoch_batches(pixels, labels, recipe, brightest=images.brightest, seed=plan.batch_seed(1))
    for step, (inputs, targets) in enumerate(steps):
        if step == batches:
            break
        optimiser.zero_grad()
        functional.cross_entropy(model(inputs.to(dtype)), targets).backward()
        optimiser.step()
    return model.state_dict()


def loaded(network_plans: Sequence[NetworkPlan], images: Images, dtype: torch.dtype) -> Group:
    group = Group(network_plans, images, dtype=dtype)
    group.load([initial_weights(plan) for plan in network_plans], [{}] * len(network_plans))
    return group


def largest_difference(group: Group, expected: Sequence[dict[str, Any]]) -> float:
    """The largest distance of a tensor from the expected one, relative to its norm."""
    state = group.model.state_dict()
    return max(
        float((state[name][row] - own[name]).norm() / own[name].norm().clamp_min(1e-12))
        for row, own in enumerate(expected)
        for name in state
    )


CHAINS = ["cifar10-lenet", "imagenet-lenet@0.5", "cifar10-alexnet@0.125", "cifar10-vgg@0.125"]


@pytest.mark.parametrize("architecture", [*CHAINS, "cifar10-resnet32@0.25"])
def test_an_epoch_side_by_side_equals_torch_alone_in_float64(architecture: str, colour_images: Images) -> None:
    group = loaded(plans(architecture, 3), colour_images, torch.float64)
    group.epoch(1)
    expected = [alone(plan, colour_images, initial_weights(plan), torch.float64, None) for plan in group.plans]
    assert largest_difference(group, expected) <= 1e-9


@pytest.mark.parametrize("architecture", CHAINS)
def test_a_step_side_by_side_equals_torch_alone_in_float32(architecture: str, colour_images: Images) -> None:
    group = loaded(plans(architecture, 3), colour_images, torch.float32)
    inputs, labels = next(group.begin(1))
    group.step(inputs, labels)
    expected = [alone(plan, colour_images, initial_weights(plan), torch.float32, 1) for plan in group.plans]
    assert largest_difference(group, expected) <= 1e-6


def test_a_step_with_batch_norm_equals_torch_alone_in_float32(colour_images: Images) -> None:
    """Compared over all weights of a network together: batch norm's biases start at zero, so after a step they are its
    gradient, which float32 only has to five digits.
    """
    group = loaded(plans("cifar10-resnet32@0.25", 3), colour_images, torch.float32)
    inputs, labels = next(group.begin(1))
    group.step(inputs, labels)
    state = group.model.state_dict()
    for row, plan in enumerate(group.plans):
        expected = alone(plan, colour_images, initial_weights(plan), torch.float32, 1)
        ours, theirs = (
            torch.cat([tensors[name].flatten() for name in state])
            for tensors in ({name: value[row] for name, value in state.items()}, expected)
        )
        assert float((ours - theirs).norm() / theirs.norm()) <= 1e-6


def test_torchvisions_resnet50_with_its_projections_can_be_trained_side_by_side(colour_images: Images) -> None:
    group = loaded(plans("imagenet-resnet50", 2, batch_size=16), colour_images, torch.float64)
    inputs, labels = next(group.begin(1))
    group.step(inputs, labels)
    expected = [alone(plan, colour_images, initial_weights(plan), torch.float64, 1) for plan in group.plans]
    assert largest_difference(group, expected) <= 1e-9


@pytest.mark.parametrize(("stride", "padding"), [((1, 1), (0, 0)), ((2, 2), (1, 1)), ((1, 2), (2, 0)), ((3, 1), (0, 2))])
@pytest.mark.parametrize("images_are_shared", [True, False])
def test_convs_as_products_equal_grouped_convs_and_their_gradients(
    stride: tuple[int, int], padding: tuple[int, int], images_are_shared: bool
) -> None:
    random = torch.Generator().manual_seed(0)
    seen = 6 if images_are_shared else 3 * 6
    shapes = ((4, seen, 9, 8), (3, 5, 6, 3, 2), (3, 5))
    inputs, weight, bias = (torch.randn(shape, generator=random, dtype=torch.float64).requires_grad_() for shape in shapes)
    groups = 1 if images_are_shared else 3
    expected = functional.conv2d(inputs, weight.flatten(0, 1), bias.flatten(), stride, padding, groups=groups)
    convolved = convolved_as_one_product if images_are_shared else convolved_by_rows
    found = convolved(inputs, weight, bias, stride=stride, padding=padding)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    upstream = torch.randn(expected.shape, generator=random, dtype=torch.float64)
    gradients = [torch.autograd.grad(outputs, (inputs, weight, bias), upstream) for outputs in (found, expected)]
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def test_label_noise_is_every_networks_own(colour_images: Images) -> None:
    group = Group(plans("cifar10-lenet", 3, label_noise=0.25), colour_images)
    truth = torch.from_numpy(colour_images.train[1])
    wrong = group.labels != truth[:, None]
    assert wrong.sum(0).tolist() == [18, 18, 18]
    assert not torch.equal(wrong[:, 0], wrong[:, 1])


def test_networks_that_leave_do_not_change_those_that_stay(colour_images: Images) -> None:
    whole = loaded(plans("cifar10-resnet32@0.25", 3), colour_images, torch.float64)
    left = loaded(plans("cifar10-resnet32@0.25", 3), colour_images, torch.float64)
    whole.epoch(1)
    left.epoch(1)
    left.select([0, 2])
    whole.epoch(2)
    left.epoch(2)
    kept = whole.model.state_dict()
    assert largest_difference(left, [{name: value[row] for name, value in kept.items()} for row in (0, 2)]) <= 1e-12


def test_a_diverging_network_disturbs_no_other(colour_images: Images) -> None:
    networks = plans("cifar10-lenet", 3)
    calm = loaded([networks[0], networks[2]], colour_images, torch.float64)
    calm.epoch(1)
    networks[1].recipe["learning_rate"] = 1e60
    wild = loaded(networks, colour_images, torch.float64)
    losses, _ = wild.epoch(1)
    assert [bool(np.isfinite(loss)) for loss in losses] == [True, False, True]
    wild.select([0, 2])
    state = calm.model.state_dict()
    assert largest_difference(wild, [{name: value[row] for name, value in state.items()} for row in (0, 1)]) <= 1e-12


RATES = st.one_of(st.just(0.0), st.floats(0.001, 0.95))  # a rate below a uniform number's resolution would act as 0


@given(rates=st.lists(RATES, min_size=1, max_size=4), seed=st.integers(0, 2**62), step=st.integers(0, 10**6))
@settings(max_examples=30)
def test_dropout_masks_have_each_networks_rate_and_keep_the_mean(rates: list[float], seed: int, step: int) -> None:
    layer = SideBySideDropout()
    layer.rates, layer.step = torch.tensor(rates), step
    layer.keys = torch.tensor([seed + i for i in range(len(rates))])
    images, features = 500, 40
    dropped = layer(torch.ones(images, len(rates) * features)).reshape(images, len(rates), features)
    drawn = images * features
    for network, rate in enumerate(layer.rates.tolist()):
        zeros = int((dropped[:, network] == 0).sum())
        # Six standard deviations of a binomial.
        assert abs(zeros - rate * drawn) <= 6 * (rate * (1 - rate) * drawn) ** 0.5 + 1e-6
        survivors = dropped[:, network][dropped[:, network] != 0]
        assert torch.allclose(survivors, torch.tensor(1 / (1 - rate)))


def test_a_networks_masks_follow_from_its_seed_whoever_is_beside_it() -> None:
    together = uniform(torch.tensor([11, 12, 13]), 5, 1000)
    assert torch.equal(together[1], uniform(torch.tensor([12]), 5, 1000)[0])
    assert not torch.equal(together[1], uniform(torch.tensor([12]), 6, 1000)[0])
    correlations = np.corrcoef(uniform(torch.arange(20), 0, 20_000).numpy())
    assert np.abs(correlations - np.eye(20)).max() < 0.05


def test_dropout_is_off_where_accuracy_is_measured() -> None:
    layer = SideBySideDropout().eval()
    assert torch.equal(layer(torch.ones(3, 4)), torch.ones(3, 4))


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [("batches", "own", "different batches"), ("optimiser", "adam", "update rule")],
)
def test_what_cannot_be_trained_side_by_side_says_why(setting: str, value: str, message: str) -> None:
    networks = plans("cifar10-lenet", 2)
    for network in networks:
        network.recipe[setting] = value
    with pytest.raises(NotSideBySideError, match=message):
        check_side_by_side(networks)


def test_networks_that_see_other_batches_cannot_be_trained_side_by_side() -> None:
    networks = plans("cifar10-lenet", 2)
    networks[1].recipe["batch_size"] = 64
    with pytest.raises(NotSideBySideError, match="network 1 has batch_size 64, but network 0 has 32"):
        check_side_by_side(networks)


def test_a_layer_without_a_side_by_side_form_is_named() -> None:
    with pytest.raises(TypeError, match="GroupNorm"):
        side_by_side(torch.nn.Sequential(torch.nn.GroupNorm(1, 4)), 2)


@pytest.fixture
def describers() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def train_group(made: SubsetPlan, images: Images, describers: ThreadPoolExecutor, *, epochs: int = 1000) -> int:
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > epochs

    networks, runs = [made.network(n) for n in made.order], [made.run(n) for n in made.order]
    return train_side_by_side(networks, images, runs, device="cpu", describers=describers, stop=stop)


GROUP = {"trainer": "side by side", "rates": (0.002, 0.01, 1e30), "dropouts": (0.0,), "epochs": 5, "patience": 2}


def test_a_group_ends_like_its_networks_alone(tmp_path: Path, digit_images: Images, describers: ThreadPoolExecutor) -> None:
    """In a few steps float32 has no time to drift: ends, early stops and divergences are equal, and weights nearly so."""
    together = begin(tmp_path / "together", digit_images, **GROUP)
    apart = begin(tmp_path / "apart", digit_images, **GROUP | {"trainer": "one by one"})
    assert train_group(together, digit_images, describers) == 3
    for network in apart.order:
        assert train_network(apart.network(network), digit_images, apart.run(network))
        ours, theirs = together.run(network).record(), apart.run(network).record()
        assert ours is not None
        assert theirs is not None
        for fact in ("seed", "diverged", "epochs_trained", "stopped_early"):
            assert getattr(ours, fact) == getattr(theirs, fact), fact
        assert sorted(ours.signatures) == sorted(theirs.signatures)
        assert sorted(ours.features) == sorted(theirs.features)
        assert ours.final_accuracy == pytest.approx(theirs.final_accuracy, abs=2)
        for epoch in range(ours.epochs_trained + 1):
            mine, other = together.run(network).read_snapshot(epoch), apart.run(network).read_snapshot(epoch)
            assert mine is not None
            assert other is not None
            for name in mine:
                np.testing.assert_allclose(mine[name], other[name], rtol=0, atol=1e-3 if epoch else 0)
    assert {together.run(n).record().diverged for n in together.order} == {True, False}  # type: ignore[index]


def test_a_group_stopped_after_every_epoch_ends_as_one_never_stopped(
    tmp_path: Path, digit_images: Images, describers: ThreadPoolExecutor
) -> None:
    never = begin(tmp_path / "never", digit_images, **GROUP)
    always = begin(tmp_path / "always", digit_images, **GROUP)
    train_group(never, digit_images, describers)
    ended = [train_group(always, digit_images, describers, epochs=1) for _ in range(GROUP["epochs"] + 1)]
    assert ended[-1] == 3
    assert outcome(always) == outcome(never)


def test_a_network_left_behind_by_a_kill_catches_up(
    tmp_path: Path, digit_images: Images, describers: ThreadPoolExecutor
) -> None:
    grid = GROUP | {"rates": (0.002, 0.01, 0.02)}
    whole, torn = begin(tmp_path / "whole", digit_images, **grid), begin(tmp_path / "torn", digit_images, **grid)
    train_group(whole, digit_images, describers)
    train_group(torn, digit_images, describers, epochs=2)
    # As if the process had been killed after it wrote two of three states.
    sorted(torn.run(torn.order[1]).folder.glob("state-*"))[-1].unlink()
    train_group(torn, digit_images, describers)
    for network in whole.order:
        ours, theirs = torn.run(network).record(), whole.run(network).record()
        assert ours is not None
        assert theirs is not None
        losses = [[row.train_loss for row in record.epochs] for record in (ours, theirs)]
        np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("architecture", ["cifar10-lenet", "cifar10-resnet32"])
def test_a_gpu_steps_as_the_cpu_does(architecture: str, colour_images: Images) -> None:
    on_cpu = loaded(plans(architecture, 3, dropout=0.3), colour_images, torch.float64)
    on_gpu = Group(on_cpu.plans, colour_images, device="cuda", dtype=torch.float64)
    on_gpu.load([initial_weights(plan) for plan in on_gpu.plans], [{}] * 3)
    on_cpu.epoch(1)
    on_gpu.epoch(1)
    state = {name: value.cpu() for name, value in on_gpu.model.state_dict().items()}
    assert largest_difference(on_cpu, [{name: value[row] for name, value in state.items()} for row in range(3)]) <= 1e-9
