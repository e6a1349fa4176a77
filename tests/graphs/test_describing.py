"""How a state dict is described: as a chain of its layers, or by the reason why its weights are no graph."""

from __future__ import annotations

import warnings

import numpy as np
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


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (nn.ConvTranspose2d(4, 4, 3), None),  # its shapes are those of a conv
        (nn.ConvTranspose2d(4, 8, 3, groups=2), "'unit.weight' is a transposed conv's: its shape is (4, 4, 3, 3)"),
        (
            nn.ConvTranspose2d(6, 4, 3),
            "'unit.weight' is a transposed conv's: its shape is (6, 4, 3, 3), and that of its bias (4,)",
        ),
        (
            nn.LayerNorm((5, 4)),
            "'unit.weight' is not that of a conv or linear layer: its shape is (5, 4), and that of its bias (5, 4)",
        ),
        (nn.Conv2d(4, 6, 3), None),
        (nn.Linear(4, 6), None),
    ],
)
def test_a_weight_whose_bias_is_not_of_its_outputs_is_no_layer_of_the_graph(layer, message):
    no_graph = describe(nn.ModuleDict({"unit": layer}).state_dict()).no_graph
    assert no_graph is None if message is None else no_graph.startswith(message)


@pytest.mark.parametrize("name", ["embedding", "word_embeddings", "tok_embed", "Emb", "wte"])
def test_an_embedding_is_told_by_its_name_and_its_lack_of_a_bias(name):
    # An embedding of as many words as dimensions: its shape would fit that of the next layer.
    described = describe(
        nn.ModuleDict({"encoder": nn.ModuleDict({name: nn.Embedding(8, 8)}), "last": nn.Linear(8, 3)}).state_dict()
    )
    assert described.no_graph.startswith(f"'encoder.{name}' is an embedding by its name")
    for other in ({name: nn.Linear(8, 8), "last": nn.Linear(8, 3)}, {"member": nn.Linear(8, 8, bias=False)}):
        assert describe(nn.ModuleDict(other).state_dict()).no_graph is None


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_recurrent_weights_are_no_layers_that_follow_each_other(kind):
    # An RNN's shapes, (7, 5) and (7, 7), would fit each other and the next layer.
    described = describe(nn.ModuleDict({"recurrent": kind(5, 7), "last": nn.Linear(7, 3)}).state_dict())
    assert described.no_graph.startswith("'recurrent.weight_ih_l0' is a recurrent layer's")


@pytest.mark.parametrize(
    "parted", [old_weight_norm, parametrizations.weight_norm, parametrizations.spectral_norm, parametrizations.orthogonal]
)
def test_a_state_dict_that_holds_a_weight_in_parts_is_no_graph_of_the_other_layers(parted):
    described = describe(nn.Sequential(nn.Linear(3, 4), parted(nn.Linear(4, 4)), nn.Linear(4, 2)).state_dict())
    assert "is a part of a weight under" in described.no_graph


def test_layers_in_the_order_of_a_safetensors_file_are_taken_by_their_numbers(tmp_path):
    """Such a file sorts tensors by name: "10.weight" comes before "4.weight"."""
    safetensors = pytest.importorskip("safetensors.torch")
    chain = nn.Sequential(nn.Conv2d(1, 4, 3), *[nn.ReLU()] * 3, nn.Conv2d(4, 8, 3), *[nn.ReLU()] * 5, nn.Linear(32, 10))
    safetensors.save_file(chain.state_dict(), tmp_path / "network.safetensors")
    read = safetensors.load_file(tmp_path / "network.safetensors")
    layers = dict(sorted(read.items()))
    assert describe(layers) == describe(read) == describe(chain.state_dict())
    assert describe(layers).layer_sizes == {"input": 1, "0": 4, "4": 8, "10": 10}


def test_a_state_dict_keeps_its_own_order_where_that_is_not_the_alphabet():
    layers = {f"{name}.weight": torch.ones(4, 4) for name in ("stem", "block2", "block1")}
    assert list(describe(layers).layer_sizes)[1:] == ["stem", "block2", "block1"]


def test_layers_of_one_shape_in_alphabetical_order_are_a_graph_only_in_a_given_order() -> None:
    state = {f"{name}.weight": np.ones((4, 4), np.float32) for name in ("body", "head", "stem")}
    described = describe(state)
    assert described.no_graph is not None
    assert described.no_graph.startswith("'body' and 'head' have one shape, and the names are in alphabetical order")
    ordered = describe(state, order=["stem", "body", "head"])
    assert (ordered.no_graph, list(ordered.layer_sizes)) == (None, ["input", "stem", "body", "head"])
    assert list(describe(state, order=["stem", "head"]).layer_sizes) == ["input", "stem", "head"]
    with pytest.raises(ValueError, match=r"order must name layers .* not \['stem', 'neck'\] \(it has body, head, stem\)"):
        describe(state, order=["stem", "neck"])
    with pytest.raises(ValueError, match="order= is for state dicts"):
        describe(nn.Linear(3, 4), order=["0"])


def test_a_modules_own_state_dict_is_in_the_order_of_its_layers() -> None:
    module = nn.ModuleDict({"encoder": nn.Linear(8, 8), "head": nn.Linear(8, 8), "out": nn.Linear(8, 3)})
    described = describe(module.state_dict())
    assert (described.no_graph, described.classes) == (None, 3)


def test_numbers_in_names_tell_the_order_of_layers_of_one_shape() -> None:
    for names in (["dense", "dense_1", "dense_2", "dense_10"], ["block1.conv", "block2.conv"]):
        state = {f"{name}.weight": np.ones((4, 4), np.float32) for name in sorted(names)}
        described = describe(state)
        assert (described.no_graph, list(described.layer_sizes)[1:]) == (None, names)


def test_a_whole_checkpoint_is_told_which_part_of_it_to_pass() -> None:
    checkpoint = {"epoch": 3, "model_state_dict": nn.Linear(4, 2).state_dict(), "optimizer_state_dict": {"state": {}}}
    with pytest.raises(ValueError, match=r"whole checkpoint, .* content\['model_state_dict'\]$"):
        describe(checkpoint)
    with pytest.raises(ValueError, match=r"\(tensors: fc\.bias\)$"):
        describe({"fc.bias": torch.zeros(3)})


def test_the_last_of_layers_in_alphabetical_order_is_not_taken_for_the_output() -> None:
    layers = {"classifier.0": (10, 64), "features.0": (8, 3, 3, 3), "features.3": (16, 8, 3, 3)}
    described = describe({f"{name}.weight": np.ones(shape, np.float32) for name, shape in layers.items()})
    assert described.no_graph is not None
    assert described.classes == 0


def test_without_a_graph_the_last_weight_is_not_taken_for_the_output() -> None:
    head_first = nn.ModuleDict({"head": nn.Linear(7, 10), "encoder": nn.LSTM(5, 7)})
    for network in (head_first, head_first.state_dict()):
        assert (describe(network).no_graph is None, describe(network).classes) == (False, 0)
