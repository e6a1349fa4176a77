"""Convs over few positions as matrix products."""

from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from generation.architectures import build_module, initialise
from generation.training.products import ProductConv2d, with_products


def outputs_and_gradients(model: nn.Module, inputs: Tensor) -> list[Tensor]:
    inputs = inputs.clone().requires_grad_()
    outputs = model(inputs)
    outputs.square().sum().backward()
    assert inputs.grad is not None
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    assert len(gradients) == len(list(model.parameters()))
    found = [outputs.detach(), inputs.grad, *(gradient.clone() for gradient in gradients)]
    model.zero_grad()
    return found


@settings(max_examples=40, deadline=None)
@given(
    size=st.integers(1, 9),
    kernel=st.sampled_from([1, 2, 3, 5]),
    stride=st.integers(1, 2),
    padding=st.integers(0, 2),
    bias=st.booleans(),
)
def test_a_product_has_the_outputs_and_gradients_of_the_conv(
    size: int, kernel: int, stride: int, padding: int, bias: bool
) -> None:
    assume(size + 2 * padding >= kernel)
    torch.manual_seed(0)
    conv = nn.Conv2d(6, 5, kernel, stride, padding, bias=bias).double()
    inputs = torch.randn(3, 6, size, size, dtype=torch.float64)
    expected = outputs_and_gradients(conv, inputs)
    found = outputs_and_gradients(ProductConv2d.of(conv), inputs)
    for ours, torchs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, torchs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["cifar10-alexnet", "imagenet-resnet50"])
def test_a_network_is_the_same_function_with_the_same_parameters(name: str) -> None:
    if name.endswith("resnet50"):
        pytest.importorskip("torchvision")
    plain, made = build_module(name), with_products(build_module(name))
    for model in (plain, made):
        initialise(model, name, seed=1)
        model.double().eval()
    assert list(made.state_dict()) == list(plain.state_dict())
    assert any(isinstance(module, ProductConv2d) for module in made.modules())
    images = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    torch.testing.assert_close(made(images), plain(images), rtol=1e-10, atol=1e-10)


def test_residual_networks_of_cifar10_train_as_before_bit_by_bit() -> None:
    images = torch.randn(4, 3, 32, 32)
    plain, made = build_module("cifar10-resnet32"), with_products(build_module("cifar10-resnet32"))
    for model in (plain, made):
        initialise(model, "cifar10-resnet32", seed=1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(made(images), plain(images))
