"""A description of an architecture of one's own: read, or refused with the layer and what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nndynbench.graphs import ArchitectureError, architecture, architecture_names, random_weights
from nndynbench.names import UnknownNameError

CONV = {"kind": "conv", "name": "conv1", "filters": 4, "kernel": 3}
POOL = {"kind": "max-pool", "name": "pool1", "kernel": 2, "stride": 2}
FC = {"kind": "fc", "name": "fc1", "units": 3}


def described(*layers: dict[str, Any]) -> dict[str, Any]:
    return {"name": "mine", "input_shape": [1, 8, 8], "layers": list(layers)}


def test_a_description_is_read() -> None:
    assert architecture(described(CONV, POOL, FC)).layer_sizes == {"input": 1, "conv1": 4, "fc1": 3}


@pytest.mark.parametrize("name", architecture_names())
def test_a_description_makes_the_architecture_that_it_is_of(name: str) -> None:
    assert architecture(architecture(name).description) == architecture(name)


def test_an_architecture_is_its_callers_own() -> None:
    names = ("digits-lenet", "imagenet-resnet50")
    before = [architecture(name).description for name in names]
    given = described(CONV, FC) | {"initialisation": {"conv": "zero"}}
    mine = architecture(given)
    for each in (*map(architecture, names), architecture(described(FC)), mine):
        each.initialisation["conv"] = "normal-0.01"  # type: ignore[index]
        each.entries[0]["units"] = 7  # type: ignore[index]
    assert [architecture(name).description for name in names] == before
    assert architecture(described(CONV)).initialisation["conv"] == "pytorch"
    assert given == described(CONV, FC) | {"initialisation": {"conv": "zero"}}
    assert "units" not in CONV


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([CONV | {"stride": 0}, FC], "layer 'conv1' has 0 for stride, which must be a whole number of at least 1"),
        ([CONV | {"kernel": [3, 1]}, FC], r"layer 'conv1' has \[3, 1\] for kernel, which must be a whole number"),
        ([CONV | {"filters": "4"}, FC], "layer 'conv1' has '4' for filters"),
        ([{"kind": "conv", "name": "conv1", "filters": 4}, FC], "layer 'conv1' lacks kernel"),
        ([CONV | {"groups": 2}, FC], "unknown key of layer 'conv1': 'groups'.*valid: .*padding"),
        ([CONV, POOL | {"stride": 0}, FC], "layer 'pool1' has 0 for stride"),
        ([CONV, FC | {"units": 2.5}], "layer 'fc1' has 2.5 for units"),
        (
            [FC, CONV],
            r"layer 'conv1' is of kind 'conv', which slides along height and width, but the shape before it is \(3,\)",
        ),
        ([FC, POOL], "layer 'pool1' is of kind 'max-pool', which slides"),
        (
            [{"kind": "avg-pool", "name": "pool1"}, FC],
            "unknown kind of layer 'pool1': 'avg-pool'; did you mean",
        ),
        ([FC | {"units": 64}, FC | {"units": 64}], "two layers are named 'fc1'"),
    ],
)
def test_what_no_layer_can_be_is_refused_and_the_layer_named(layers: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ArchitectureError, match=f"mine: {message}"):
        architecture(described(*layers))


def test_a_width_scales_convs_alone_where_there_is_no_dense_layer() -> None:
    assert architecture(described(CONV, CONV | {"name": "conv2"}), width=0.5).layer_sizes == {
        "input": 1,
        "conv1": 2,
        "conv2": 2,
    }


def test_a_network_of_which_shapes_alone_are_known_has_no_width() -> None:
    tensor = {"kind": "tensor", "name": "fc1", "shape": [3, 2]}
    with pytest.raises(ArchitectureError, match="only the shape of layer 'fc1' is known"):
        architecture({"name": "mine", "layers": [tensor]}, width=0.5)


def own_file(folder: Path, initialisation: str) -> Path:
    """A file with an architecture of one's own, whose weights are drawn by ``initialisation``."""
    layers = '[{ kind = "conv", name = "conv1", filters = 4, kernel = 3 }, { kind = "fc", name = "fc1", units = 3 }]'
    path = folder / "mine.toml"
    path.write_text(f"[mine]\ninput_shape = [1, 8, 8]\ninitialisation = {initialisation}\nlayers = {layers}\n")
    return path


@pytest.mark.parametrize(
    ("initialisation", "message"),
    [
        (
            '{ conv = "kaiming-normal" }',
            r"unknown initialisation of conv in .*mine\.toml: mine 'kaiming-normal'; did you mean 'kaiming-normal-fan-in'\? "
            r"\(valid: pytorch, kaiming-normal-fan-in, kaiming-normal-fan-out, zero, normal-0\.01\)",
        ),
        ('{ fc = "normal-small" }', "unknown initialisation of fc .* 'normal-small'; did you mean"),
        ('{ fc = "normal--1" }', "unknown initialisation of fc .* 'normal--1'"),
        ("{ bias = 0 }", r"unknown initialisation of bias .* 0 \(valid"),
        ('{ convs = "zero" }', r"unknown key of the initialisation in .*mine: 'convs'; did you mean 'conv'\?"),
        ('"zero"', "initialisation must be a table of conv, fc, bias, not 'zero'"),
    ],
)
def test_an_initialisation_that_is_none_is_refused_with_the_valid_ones(
    initialisation: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises((UnknownNameError, ArchitectureError), match=message):
        architecture(own_file(tmp_path, initialisation))


def test_a_description_with_an_unknown_initialisation_is_read_and_not_drawn() -> None:
    """Such a description is of a network that was recorded with its weights, however these were drawn."""
    mine = architecture(described(CONV, FC) | {"initialisation": {"conv": "xavier"}})
    with pytest.raises(UnknownNameError, match=r"unknown initialisation of conv in mine 'xavier' \(valid: pytorch"):
        random_weights(mine, seed=0)


def test_what_an_initialisation_does_not_say_is_drawn_as_by_pytorch(tmp_path: Path) -> None:
    drawn = random_weights(architecture(own_file(tmp_path, '{ conv = "normal-1e-3", bias = "zero" }')), seed=0)
    assert 0 < np.abs(drawn["conv1.weight"]).max() < 1e-2
    assert not drawn["fc1.bias"].any()
    bound = 1 / np.sqrt(drawn["fc1.weight"].shape[1])
    assert 0.9 * bound < np.abs(drawn["fc1.weight"]).max() <= bound
