"""What a state dict is described as: a chain of its layers, or the reason why its weights are no graph."""

from __future__ import annotations

import warnings

import pytest

from nndynbench.graphs import describe

torch = pytest.importorskip("torch")
nn = torch.nn
parametrizations = nn.utils.parametrizations


def old_weight_norm(layer):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return nn.utils.weight_norm(layer)


def test_a_state_dict_whose_layers_follow_each_other_is_a_chain():
    described = describe(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(16, 5)).state_dict())
    assert described.no_graph is None
    assert described.layer_sizes == {"input": 3, "0": 4, "2": 5}


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_recurrent_weights_are_no_layers_that_follow_each_other(kind):
    # An RNN's shapes, (7, 5) and (7, 7), would fit each other and the layer behind them.
    described = describe(nn.ModuleDict({"recurrent": kind(5, 7), "last": nn.Linear(7, 3)}).state_dict())
    assert described.no_graph.startswith("'recurrent.weight_ih_l0' is a recurrent layer's")


@pytest.mark.parametrize(
    "parted", [old_weight_norm, parametrizations.weight_norm, parametrizations.spectral_norm, parametrizations.orthogonal]
)
def test_a_state_dict_that_holds_a_weight_in_parts_is_no_graph_of_the_other_layers(parted):
    described = describe(nn.Sequential(nn.Linear(3, 4), parted(nn.Linear(4, 4)), nn.Linear(4, 2)).state_dict())
    assert "is a part of a weight under" in described.no_graph
