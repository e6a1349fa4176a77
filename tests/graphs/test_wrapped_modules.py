"""What a training script holds is often more than a network: wrappers, arguments with defaults, arithmetic with sizes."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest

from nndynbench.graphs import NotRepresentableError, from_module, rolled

torch = pytest.importorskip("torch")
nn = torch.nn
functional = torch.nn.functional


@pytest.fixture
def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 10))


@contextlib.contextmanager
def process_group(tmp_path):
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


class ModelEmaV2(nn.Module):
    """Like timm's, it has no forward."""

    def __init__(self, model):
        super().__init__()
        self.module = model


class ModelEma:
    """Like timm's first version, it is no module itself."""

    def __init__(self, model):
        self.ema = model

    def state_dict(self):
        return self.ema.state_dict()


WRAPPERS = {
    "DataParallel": nn.DataParallel,
    "compile": torch.compile,
    "AveragedModel": torch.optim.swa_utils.AveragedModel,
    "both": lambda model: nn.DataParallel(torch.compile(model)),
    "averaged of compiled": lambda model: torch.optim.swa_utils.AveragedModel(torch.compile(model)),
    "timm's EMA": ModelEmaV2,
    "timm's first EMA": ModelEma,
}


def same(graph, other) -> bool:
    equal = (np.array_equal(one, two) for one, two in zip(graph.blocks, other.blocks, strict=True))
    return graph.layers == other.layers and all(equal)


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
def test_a_wrapped_network_has_the_graph_of_the_network(net, wrap):
    assert same(from_module(wrap(net)), from_module(net))


def test_a_network_of_a_process_group_is_unwrapped(net, tmp_path):
    with process_group(tmp_path):
        assert same(from_module(nn.parallel.DistributedDataParallel(net)), from_module(net))


def test_a_part_may_be_wrapped(net):
    plain = nn.Sequential(nn.Sequential(net[0], net[1]), nn.Flatten(), net[3])
    for wrap in (nn.DataParallel, torch.compile):
        parts = nn.Sequential(wrap(nn.Sequential(net[0], net[1])), nn.Flatten(), net[3])
        assert from_module(parts).layer_sizes == from_module(plain).layer_sizes


def test_a_network_compiled_in_place_is_followed_and_stays_compiled(net):
    net.compile()
    net[0].compile()
    compiled = [net._compiled_call_impl, net[0]._compiled_call_impl]
    assert from_module(net).layer_sizes == (1, 4, 10)
    assert [net._compiled_call_impl, net[0]._compiled_call_impl] == compiled


@pytest.mark.parametrize("wrap", [nn.DataParallel, torch.compile, torch.optim.swa_utils.AveragedModel])
def test_a_wrapped_network_of_the_catalogue_has_its_names(wrap):
    from generation.architectures import build_module

    model = build_module("digits-lenet", dropout=0.0)
    assert same(rolled(wrap(model), "digits-lenet"), rolled(model, "digits-lenet"))


class LeNet(nn.Module):
    def __init__(self, size=14):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(1, 6, 5), nn.Linear(6 * size * size, 10)

    def features(self, x):
        return functional.max_pool2d(functional.relu(self.conv(x)), 2)


def with_forward(forward, size=14):
    return type("Net", (LeNet,), {"forward": forward})(size)


def flag(self, x, return_features=False):
    hidden = torch.flatten(self.features(x), 1)
    return (self.fc(hidden), hidden) if return_features else self.fc(hidden)


def labels(self, x, labels=None, *, reduction="mean"):
    made = self.fc(torch.flatten(self.features(x), 1))
    return made if labels is None else functional.cross_entropy(made, labels, reduction=reduction)


def more(self, x, *others, **options):
    return self.fc(self.features(x).flatten(options.get("start", 1)))


def a_loop_over_sizes(self, x):
    hidden, features = self.features(x), 1
    for size in hidden.size()[1:]:
        features *= size
    return self.fc(hidden.view(-1, features))


def elements(self, x):
    hidden = self.features(x)
    return self.fc(hidden.view(-1, int(hidden.nelement() / hidden.shape[0])))


def product(self, x):
    hidden = self.features(x)
    return self.fc(hidden.view(hidden.size(0), hidden.shape[1] * hidden.shape[2] * hidden.shape[3]))


def numpy_product(self, x):
    hidden = self.features(x)
    return self.fc(hidden.reshape(-1, int(np.prod(hidden.shape[1:]))))


def unpacked(self, x):
    hidden = self.features(x)
    batch, channels, height, width = hidden.shape
    return self.fc(hidden.view(batch, channels * height * width))


def rest(self, x):
    return self.fc(self.features(x).view(x.size(0), -1))


def checked(self, x):
    assert x.dim() == 4
    if x.shape[1] != 1:
        raise ValueError("one channel")
    return self.fc(self.features(x).flatten(1))


@pytest.mark.parametrize(
    "forward",
    [flag, labels, more, a_loop_over_sizes, elements, product, numpy_product, unpacked, rest, checked],
    ids=lambda forward: forward.__name__,
)
def test_ordinary_forwards_are_followed(forward):
    model = with_forward(forward)
    assert model(torch.zeros(2, 1, 32, 32)).shape == (2, 10)
    graph = from_module(model)
    assert (graph.layers, graph.layer_sizes) == (("input", "conv", "fc"), (1, 6, 10))
    weight = model.fc.weight.detach().numpy().reshape(10, 6, -1)
    np.testing.assert_allclose(graph.blocks[1], np.linalg.norm(weight, axis=2), rtol=1e-6)


def test_a_size_that_no_usual_image_has_is_asked_for():
    model = with_forward(a_loop_over_sizes, size=98)
    with pytest.raises(NotRepresentableError, match=r"through the module: .*give input_shape=\(channels, height, width\)"):
        from_module(model)
    assert from_module(model, input_shape=(1, 200, 200)).layer_sizes == (1, 6, 10)
    with pytest.raises(NotRepresentableError, match=r"an input of shape \(1, 20, 20\) does not go through the module: fc"):
        from_module(model, input_shape=(1, 20, 20))


def test_the_part_that_cannot_be_followed_is_named():
    class Gate(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    model = nn.Sequential(nn.Linear(4, 3), nn.Sequential(Gate()), nn.Linear(3, 2))
    with pytest.raises(
        NotRepresentableError, match=r"cannot follow the input through '1\.0', a Gate: .*pass from_module a part"
    ):
        from_module(model)


@pytest.mark.parametrize("kind", [torch.float8_e4m3fn, torch.float8_e5m2, torch.complex64])
def test_weights_of_other_types_are_refused_and_named(kind):
    says = r"'0' is a Linear without readable weights: .*(float32|dequantise)"
    with pytest.raises(NotRepresentableError, match=says):
        from_module(nn.Linear(3, 2).to(kind))


@pytest.mark.parametrize("kind", [torch.int8, torch.uint8, torch.int32, torch.bool])
def test_weights_of_whole_numbers_are_codes_not_weights(kind):
    layer = nn.Linear(3, 2)
    layer.weight = nn.Parameter(torch.ones(2, 3, dtype=kind), requires_grad=False)
    with pytest.raises(NotRepresentableError, match=rf"its weight has values of {str(kind)[6:]}: dequantise it first"):
        from_module(nn.Sequential(layer))


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_other_precisions_are_read(kind):
    graph = from_module(nn.Linear(3, 2).to(kind))
    assert graph.blocks[0].dtype == np.float64


@pytest.mark.parametrize("given", [{"weight": np.ones((2, 3))}, "net", None, np.ones((2, 3))])
def test_what_is_no_module_is_refused_in_a_sentence(given):
    with pytest.raises(TypeError, match="from_module takes a torch module, not"):
        from_module(given)
