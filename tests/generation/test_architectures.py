"""Torch modules from descriptions: their weights make the paper's graphs, and start as the description says."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from generation.architectures import TorchvisionError, _torchvision_beside, build_module, initialise, snapshot
from nndynbench.graphs import architecture, initial_weights, random_weights, rolled
from nndynbench.graphs.architecture import architecture_names
from nndynbench.paper import paper_table5
from tests.generation.as_described import as_described


@pytest.mark.parametrize("name", sorted(paper_table5()))
def test_real_modules_weights_give_table_5s_rolled_row(name: str) -> None:
    graph = rolled(snapshot(build_module(name)), name)
    expected = paper_table5()[name]
    assert (graph.number_of_nodes, graph.number_of_edges) == (expected["rolled_nodes"], expected["rolled_edges"])


@pytest.mark.parametrize("name", [name for name in architecture_names() if "resnet50" not in name])
def test_a_module_runs_and_starts_from_the_weights_that_need_no_torch(name: str) -> None:
    described = architecture(name)
    model = build_module(name).eval()
    initialise(model, name, seed=3)
    assert model(torch.zeros(2, *described.input_shape)).shape == (2, described.classes)
    drawn, found = random_weights(name, seed=3), snapshot(model)
    for tensor, values in drawn.items():
        np.testing.assert_array_equal(found[tensor], values)


def test_a_dropout_at_the_end_leaves_the_outputs_below_zero_too() -> None:
    fc = {"kind": "fc", "name": "fc", "units": 10}
    layers = [fc, {"kind": "dropout", "name": "dropout"}]
    described = architecture({"name": "linear", "input_shape": [1, 8, 8], "layers": layers})
    model = build_module(described).eval()
    initialise(model, described, seed=3)
    images = torch.randn(20, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    weights = random_weights(described, seed=3)
    expected = images.flatten(1).numpy() @ weights["fc.weight"].T + weights["fc.bias"]
    np.testing.assert_allclose(model(images).detach().numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("name", architecture_names())
def test_epoch_0_drawn_without_torch_is_every_tensor_that_training_starts_from(name: str) -> None:
    if "resnet50" in name:
        pytest.importorskip("torchvision")
    model = build_module(name)
    fresh = snapshot(model)
    initialise(model, name, seed=7, scale=1.3)
    drawn, found = initial_weights(name, seed=7, scale=1.3), snapshot(model)
    assert drawn.keys() == found.keys()
    for tensor, values in drawn.items():
        np.testing.assert_array_equal(found[tensor], values)
        if "running" in tensor or (values.ndim == 1 and tensor.replace(".bias", ".weight") not in weighted(name)):
            np.testing.assert_array_equal(values, fresh[tensor])  # batch norm starts as torch has it


def weighted(name: str) -> set[str]:
    """The weights of convs and fully connected layers, by their tensors' names."""
    described = architecture(name)
    return {f"{layer.name}.weight" for layer in (*described.weighted_layers, *described.projections)}


@pytest.mark.parametrize("name", ["cifar10-lenet", "cifar10-alexnet"])
def test_rectifying_after_pooling_gives_the_bits_of_rectifying_before(name: str) -> None:
    """AlexNet's pools overlap, LeNet's do not."""
    model = build_module(name)
    initialise(model, name, seed=3)
    images = torch.randn(4, *architecture(name).input_shape, generator=torch.Generator().manual_seed(1))
    parameters = list(model.parameters())
    found, expected = model(images), as_described(model)(images)
    assert torch.equal(found, expected)
    gradients = (torch.autograd.grad(outputs.square().sum(), parameters) for outputs in (found, expected))
    assert all(torch.equal(one, other) for one, other in zip(*gradients, strict=True))


@pytest.mark.parametrize("reason", [ImportError("no module"), RuntimeError("operator torchvision::nms does not exist")])
def test_without_torchvision_resnet50_says_in_a_sentence_what_to_install(
    monkeypatch: pytest.MonkeyPatch, reason: Exception
) -> None:
    honest = builtins.__import__

    def without(name: str, *arguments: Any, **named: Any) -> Any:
        if name.startswith("torchvision"):
            raise reason
        return honest(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(TorchvisionError) as told:
        build_module("imagenet-resnet50")
    assert "\n" not in str(told.value)
    assert str(reason) in str(told.value)
    assert build_module("cifar10-resnet32") is not None


@pytest.mark.parametrize(("torch_version", "expected"), [("2.13.0+cpu", "0.28.0"), ("2.6.0", "0.21.0"), ("2.7.1", "0.22.1")])
def test_the_torchvision_to_install_is_the_one_built_with_this_torch(torch_version: str, expected: str) -> None:
    """Oracle: the table of releases in torchvision's README."""
    assert _torchvision_beside(torch_version) == expected


def test_the_pinned_pair_was_built_together() -> None:
    lines = (Path(__file__).parents[2] / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = dict(line.split("==") for line in lines if line.startswith("torch"))
    assert _torchvision_beside(pinned["torch"]) == pinned["torchvision"]


def test_dropout_sits_at_the_networks_own_rate() -> None:
    model = build_module("cifar10-vgg", dropout=0.3)
    assert [module.p for module in model.modules() if isinstance(module, torch.nn.Dropout)] == [0.3, 0.3]
