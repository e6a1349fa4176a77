"""A description of an architecture of one's own: read, or refused with the layer and what is wrong of it."""

from __future__ import annotations

from typing import Any

import pytest

from nndynbench.graphs import ArchitectureError, architecture, architecture_names

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


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([CONV | {"stride": 0}, FC], "layer 'conv1' has 0 for stride, which is a whole number from 1 on"),
        ([CONV | {"kernel": [3, 1]}, FC], r"layer 'conv1' has \[3, 1\] for kernel, which is a whole number"),
        ([CONV | {"filters": "4"}, FC], "layer 'conv1' has '4' for filters"),
        ([{"kind": "conv", "name": "conv1", "filters": 4}, FC], "layer 'conv1' lacks kernel"),
        ([CONV | {"groups": 2}, FC], "unknown fact of layer 'conv1' 'groups'.*valid: .*padding"),
        ([CONV, POOL | {"stride": 0}, FC], "layer 'pool1' has 0 for stride"),
        ([CONV, FC | {"units": 2.5}], "layer 'fc1' has 2.5 for units"),
        ([FC, CONV], r"layer 'conv1' is of kind 'conv', which slides along height and width: it has \(3,\) before it"),
        ([FC, POOL], "layer 'pool1' is of kind 'max-pool', which slides"),
        ([FC | {"units": 64}, FC | {"units": 64}], "two layers have the name 'fc1'"),
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
    with pytest.raises(ArchitectureError, match="of layer 'fc1' the shape alone is known"):
        architecture({"name": "mine", "layers": [tensor]}, width=0.5)
