"""A graph copies one moment: the weights that the next pass in evaluation mode would use. The module stays as it was."""

from __future__ import annotations

import copy
import warnings

import numpy as np
import pytest

from nndynbench.graphs import NotRepresentableError, from_module, random_weights, rolled, unrolled

torch = pytest.importorskip("torch")
nn = torch.nn
prune = pytest.importorskip("torch.nn.utils.prune")

pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")


def pruned(layer):
    prune.l1_unstructured(layer, "weight", 0.5)
    return layer


def pruned_twice(layer):
    prune.random_unstructured(layer, "weight", 0.3)
    prune.l1_unstructured(layer, "weight", 0.5)
    return layer


def pruned_biases(layer):
    prune.l1_unstructured(layer, "bias", 2)
    return layer


def scaled(layer):
    class Doubled(nn.Module):
        def forward(self, weight):
            return 2 * weight

    nn.utils.parametrize.register_parametrization(layer, "weight", Doubled())
    return layer


DERIVED = {
    "weight_norm": nn.utils.weight_norm,
    "spectral_norm": nn.utils.spectral_norm,
    "pruning": pruned,
    "pruning twice": pruned_twice,
    "pruned biases": pruned_biases,
    "parametrized weight_norm": nn.utils.parametrizations.weight_norm,
    "parametrized spectral_norm": nn.utils.parametrizations.spectral_norm,
    "orthogonal": nn.utils.parametrizations.orthogonal,
    "parametrization of one's own": scaled,
    "none": lambda layer: layer,
}


def network(kind, seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(kind(nn.Linear(6, 5)), nn.ReLU(), nn.Dropout(0.5), nn.Linear(5, 3))


def effective(model):
    """The first layer's weight and bias in evaluation mode, found from its outputs."""
    with torch.no_grad():
        layer = model[0].eval()
        bias = layer(torch.zeros(1, 6))[0]
        return (layer(torch.eye(6)) - bias).T.numpy(), bias.numpy()


@pytest.mark.parametrize("kind", DERIVED.values(), ids=DERIVED)
@pytest.mark.parametrize("training", [True, False])
def test_derived_weights_are_those_of_the_next_pass_after_a_state_is_loaded(kind, training):
    trained, loaded = network(kind).train(training), network(kind, seed=1).train(training)
    with torch.no_grad():
        trained(torch.rand(2, 6))
    loaded.load_state_dict(trained.state_dict())
    graph = from_module(loaded)
    weight, bias = effective(loaded)
    np.testing.assert_allclose(graph.blocks[0], np.abs(weight), atol=1e-6)
    np.testing.assert_allclose(graph.node_attributes("0"), np.column_stack([weight, bias]), atol=1e-6)


@pytest.mark.parametrize("kind", DERIVED.values(), ids=DERIVED)
@pytest.mark.parametrize("training", [True, False])
def test_the_module_is_left_as_it_was(kind, training):
    model = network(kind).train(training)
    model[3].train(not training)  # one part is in another mode
    modes = [module.training for module in model.modules()]
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    before = model[0].__dict__.get("weight")
    from_module(model)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    assert model[0].__dict__.get("weight") is before
    torch.manual_seed(0)
    expected = copy.deepcopy(model)(torch.ones(2, 6)) if kind is DERIVED["none"] else None
    torch.manual_seed(0)
    answer = model(torch.ones(2, 6))
    answer.sum().backward()
    assert expected is None or torch.equal(answer, expected)


def test_a_module_in_training_mode_is_traced_as_in_evaluation():
    class Auxiliary(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last, self.beside = nn.Linear(4, 3), nn.Linear(3, 2), nn.Linear(3, 2)

        def forward(self, x):
            hidden = self.first(x)
            return (self.last(hidden), self.beside(hidden)) if self.training else self.last(hidden)

    model = Auxiliary().train()
    assert from_module(model).layers == ("input", "first", "last")
    assert model.training


def test_mode_and_compilation_are_as_before_also_behind_an_error():
    model = nn.Sequential(nn.Linear(4, 3), nn.LSTM(3, 2)).train()
    with pytest.raises(NotRepresentableError):
        from_module(model)
    assert all(module.training for module in model.modules())


@pytest.mark.parametrize(
    "make",
    [
        lambda model, state: from_module(model),
        lambda model, state: rolled(model, "digits-lenet"),
        lambda model, state: rolled(state, "digits-lenet"),
        lambda model, state: rolled({name: tensor.numpy() for name, tensor in state.items()}, "digits-lenet"),
        lambda model, state: unrolled(model, "digits-lenet"),
        lambda model, state: unrolled(state, "digits-lenet").subgraph("positive"),
    ],
)
def test_training_that_goes_on_changes_no_graph(make):
    from generation.architectures import build_module

    model = build_module("digits-lenet", dropout=0.0)
    graph = make(model, model.state_dict())
    before = [graph.degree(), *(graph.node_attributes(layer).copy() for layer in graph.layers)]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    after = [graph.degree(), *(graph.node_attributes(layer) for layer in graph.layers)]
    assert all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))


def test_arrays_that_go_on_changing_change_no_graph():
    weights = random_weights("digits-lenet", seed=0)
    graph, shared = rolled(weights, "digits-lenet"), rolled(weights, "digits-lenet", copy=False)
    before = graph.node_attributes("conv1").copy()
    weights["conv1.weight"] += 1
    assert np.array_equal(graph.node_attributes("conv1"), before)
    assert np.shares_memory(shared.tensors["conv1"].weight, weights["conv1.weight"])


@pytest.mark.parametrize("kind", [nn.utils.weight_norm, nn.utils.parametrizations.weight_norm, pruned])
def test_derived_weights_of_a_catalogues_architecture_are_read_from_the_module(kind):
    from generation.architectures import build_module

    plain = build_module("digits-lenet", dropout=0.0)
    derived = copy.deepcopy(plain)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kind(derived.fc1)
    with torch.no_grad():
        weight = derived(torch.zeros(1, 1, 8, 8)) is not None and derived.fc1.weight.detach().numpy()
    graph = rolled(nn.DataParallel(derived), "digits-lenet")
    np.testing.assert_allclose(graph.node_attributes("fc1")[:, :-1], weight, atol=1e-6)


def test_a_weight_that_another_hook_computes_is_refused_and_the_hook_named():
    layer = nn.Linear(4, 2)
    raw = layer.weight
    del layer._parameters["weight"]
    layer.register_parameter("raw", raw)
    layer.weight = raw.detach() * 2

    def equalised(module, _):
        module.weight = module.raw * 2

    layer.register_forward_pre_hook(equalised)
    with pytest.raises(NotRepresentableError, match=r"'0' is a Linear .*weight is computed before each pass by .*equalised"):
        from_module(nn.Sequential(layer))


@pytest.mark.parametrize("sized", [False, True])
def test_hooks_are_called_by_no_pass_of_their_own_and_survive(sized):
    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.last = nn.Sequential(nn.Linear(6, 5), nn.ReLU()), nn.Linear(5, 3)

        def forward(self, x):
            return self.last(self.body(x.reshape(int(x.numel() / 6), 6) if sized else x))

    model, seen = Network(), []
    for name, module in model.named_modules():
        module.register_forward_pre_hook(lambda module, given, name=name: seen.append(f"before {name}"))
        module.register_forward_hook(lambda module, given, made, name=name: seen.append(f"after {name}"))
    assert from_module(model).layer_sizes == (6, 5, 3)
    assert seen == []
    model(torch.zeros(2, 6))
    assert len(seen) == len(set(seen)) == 10


def test_hooks_that_only_look_do_not_matter():
    model = network(DERIVED["none"])
    model[0].register_forward_pre_hook(lambda module, given: None)
    model[0].register_forward_hook(lambda module, given, made: None)
    assert from_module(model).layer_sizes == (6, 5, 3)
