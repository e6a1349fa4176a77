"""from_module: a user's own CNN or ResNet as a rolled graph, or an error that says which layer and why."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from nndynbench.graphs import NotRepresentableError, from_module, rolled

torch = pytest.importorskip("torch")
nn = torch.nn
functional = torch.nn.functional


class Residual(nn.Module):
    """A basic block with a projection shortcut."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.project = nn.Conv2d(inputs, outputs, 1, 2, bias=False)

    def forward(self, x):
        hidden = self.second(functional.relu(self.norm(self.first(x))))
        return functional.relu(hidden + self.project(x))


class Classifier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3)
        self.block = Residual(8, 12)
        self.head = nn.Linear(12 * 16, 5)

    def forward(self, x):
        x = self.block(functional.max_pool2d(self.stem(x), 2))
        return self.head(x.view(x.size(0), -1))


def returning(forward, **modules):
    """A module with the given forward."""
    model = type("Model", (nn.Module,), {"forward": forward})()
    for name, module in modules.items():
        model.add_module(name, module)
    return model


def test_layers_come_in_the_order_of_the_forward_pass_not_of_their_registration():
    model = returning(
        lambda self, x: self.last(self.first(x).flatten(1)), last=nn.Linear(4 * 9, 2), first=nn.Conv2d(1, 4, 2)
    )
    graph = from_module(model)
    assert graph.layers == ("input", "first", "last")
    assert graph.layer_sizes == (1, 4, 2)


def test_shortcuts_are_no_layers_even_with_weights():
    graph = from_module(Classifier())
    assert graph.layers == ("input", "stem", "block.first", "block.second", "head")
    assert graph.layer_sizes == (3, 8, 12, 12, 5)


def test_blocks_are_those_of_the_rolled_definition():
    model = Classifier()
    graph = from_module(model)
    kernel = model.block.first.weight.detach().numpy().astype(np.float64)
    np.testing.assert_allclose(graph.blocks[1], np.sqrt((kernel**2).sum(axis=(2, 3))), rtol=1e-13)
    head = model.head.weight.detach().numpy().astype(np.float64).reshape(5, 12, 16)
    np.testing.assert_allclose(graph.blocks[-1], np.sqrt((head**2).sum(axis=2)), rtol=1e-13)
    assert graph.node_attributes("head").shape == (5, 12 * 16 + 1)


@pytest.mark.parametrize(
    "name", ["digits-lenet", "cifar10-lenet", "cifar10-vgg", "cifar10-alexnet", "cifar10-resnet32", "imagenet-resnet50"]
)
def test_the_zoos_own_modules_give_the_graphs_of_their_architectures(name):
    if name == "imagenet-resnet50":
        pytest.importorskip("torchvision")
    from generation.architectures import build_module

    model = build_module(name, dropout=0.5)
    expected, graph = rolled(model, name), from_module(model)
    assert graph.layers == expected.layers
    assert all(np.array_equal(ours, theirs) for ours, theirs in zip(graph.blocks, expected.blocks, strict=True))


def test_a_torchvision_vgg_is_represented():
    models = pytest.importorskip("torchvision").models
    graph = from_module(models.vgg11_bn(num_classes=7))
    assert graph.layer_sizes[:3] == (3, 64, 128)
    assert graph.layer_sizes[-3:] == (4096, 4096, 7)


class Filters(nn.Conv2d):
    """A conv of somebody's own class, which otherwise works like any conv."""


class Standardised(nn.Conv2d):
    def forward(self, x):
        return functional.conv2d(x, self.weight - self.weight.mean())


def test_what_acts_on_each_channel_alone_is_no_layer():
    model = returning(
        lambda self, x: self.last((self.one((x - self.mean) / self.deviation) * self.scale)[:, :, 0, 0]),
        one=Filters(3, 4, 3),
        last=nn.utils.parametrizations.weight_norm(nn.Linear(4, 2)),
    )
    model.register_buffer("mean", torch.full((1, 3, 1, 1), 0.5))
    model.register_buffer("deviation", torch.full((1, 3, 1, 1), 0.5))
    model.register_parameter("scale", nn.Parameter(torch.ones(4, 1, 1)))
    graph = from_module(model)
    assert graph.layers == ("input", "one", "last")
    np.testing.assert_allclose(graph.blocks[1], np.abs(model.last.weight.detach().numpy()), rtol=1e-6)


def test_a_transposition_before_the_first_layer_or_behind_the_last_changes_no_block():
    model = returning(
        lambda self, x: self.last(self.first(x.transpose(1, 2))).transpose(1, 2),
        first=nn.Conv1d(3, 8, 2),
        last=nn.Conv1d(8, 5, 2),
    )
    assert from_module(model).layer_sizes == (3, 8, 5)


def test_a_layer_called_input_is_told_from_the_input():
    model = returning(lambda self, x: self.output(self.input(x)), input=nn.Linear(4, 8), output=nn.Linear(8, 2))
    graph = from_module(model)
    assert graph.layers == ("input_", "input", "output")
    assert graph.node_attributes("input").shape == (8, 4 + 1)
    assert graph.to_networkx().number_of_nodes() == 14


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Sequential(nn.Conv2d(4, 8, 3), nn.Conv2d(8, 8, 3, groups=8)), "'1' is a conv of 8 groups"),
        (nn.Sequential(nn.Conv2d(4, 8, 3), nn.ConvTranspose2d(8, 4, 3)), "'1' is a ConvTranspose2d"),
        (nn.Sequential(nn.LSTM(4, 8)), "'0' is a LSTM"),
        (nn.Sequential(nn.ReLU()), "no conv or linear layer"),
        (
            nn.Sequential(nn.Conv2d(1, 3, 3), nn.Flatten(), nn.Linear(10, 2)),
            "'2' has 10 inputs, not a multiple of the 3 nodes",
        ),
        (nn.Sequential(nn.Conv2d(3, 16, 3), nn.AvgPool2d(2), nn.Conv2d(8, 8, 4)), "'2' has 8 inputs, not the 16 nodes"),
        (nn.Sequential(nn.Linear(10, 64), nn.Unflatten(1, (4, 4, 4)), nn.Conv2d(4, 8, 4)), "'1' may move or merge"),
        (nn.Sequential(nn.Linear(4, 8), nn.Flatten(), nn.Linear(24, 2)), "'2' has 24 inputs, not the 8 nodes"),
        (
            nn.Sequential(nn.Conv2d(3, 8, 3), nn.PixelShuffle(2), nn.Flatten(), nn.Linear(32, 2)),
            "'1' may move or merge the nodes of '0'",
        ),
        (
            nn.Sequential(nn.Conv2d(3, 8, 3), nn.GLU(1), nn.Flatten(), nn.Linear(16, 2)),
            "'1' may move or merge the nodes of '0' on their way to '3'",
        ),
        (
            returning(
                lambda self, x: self.last(self.one(x).permute(0, 2, 3, 1).flatten(1)),
                one=nn.Conv2d(1, 4, 3),
                last=nn.Linear(16, 2),
            ),
            "'permute' may move or merge the nodes of 'one' on their way to 'last'",
        ),
        (
            returning(lambda self, x: self.last(self.one(x)[:, ::2]), one=nn.Linear(2, 8), last=nn.Linear(4, 2)),
            "'getitem' may move or merge the nodes of 'one' on their way to 'last'",
        ),
        (
            returning(
                lambda self, x: self.last((lambda h: torch.cat([h.relu(), (-h).relu()], 1))(self.one(x))),
                one=nn.Linear(2, 4),
                last=nn.Linear(8, 1),
            ),
            "'cat' joins 2 branches by cat",
        ),
        (
            returning(lambda self, x: self.last(torch.cat([self.one(x), x], 1)), one=nn.Linear(2, 2), last=nn.Linear(4, 1)),
            "'cat' joins 2 branches by cat",
        ),
        (
            returning(lambda self, x: self.one(x) * self.gate(x).sigmoid(), one=nn.Linear(2, 2), gate=nn.Linear(2, 2)),
            "'mul' joins 2 branches by mul",
        ),
        (
            returning(lambda self, x: self.one(x) + self.other(x), one=nn.Conv2d(2, 2, 1), other=nn.Conv2d(2, 2, 1)),
            "two branches of equally many layers, ending in 'one' and 'other'",
        ),
        (returning(lambda self, x: self.one(self.one(x)), one=nn.Conv2d(2, 2, 1)), "'one' is used twice"),
        (
            returning(lambda self, x, y: self.two(self.one(x)) + y, one=nn.Linear(2, 2), two=nn.Linear(2, 2)),
            "the module has 2 inputs, x, y",
        ),
        (
            returning(lambda self, x: self.one(x) @ self.norm.weight, one=nn.Linear(2, 2), norm=nn.BatchNorm1d(2)),
            "'norm.weight' is used in a function",
        ),
        (
            returning(lambda self, x: functional.linear(x, self.one.weight), one=nn.Linear(2, 2)),
            "'one.weight' is used in a function",
        ),
        (nn.Sequential(Standardised(1, 2, 3)), "'0.weight' is used in a function"),
        (returning(lambda self, x: self.one(x) if x.sum() > 0 else x, one=nn.Linear(2, 2)), "torch.fx cannot follow"),
        (returning(lambda self, x: (self.one(x), x), one=nn.Linear(2, 2)), "returns 2 values"),
    ],
)
def test_what_cannot_be_represented_says_which_layer_and_why(model, message):
    with pytest.raises(NotRepresentableError, match=message.replace("(", r"\(")):
        from_module(model)


def between(moving, first, last):
    """A module of two layers and a function between them."""
    modules = {"moving": moving} if isinstance(moving, nn.Module) else {}
    return returning(lambda self, x: self.last(moving(self.first(x))), first=first, last=last, **modules)


@pytest.mark.parametrize(
    "pooled",
    [
        lambda h: h.mean((2, 3)),
        lambda h: h.amax(dim=(-2, -1)),
        lambda h: h.sum(3).sum(-1),
        lambda h: h.flatten(2).mean(2),
        lambda h: h.view(h.size(0), h.shape[1], -1).mean(-1),
        lambda h: functional.adaptive_avg_pool2d(h, 1).squeeze(-1).squeeze(-1),
        lambda h: functional.avg_pool2d(h, h.size(2)).squeeze(),
        lambda h: functional.max_pool2d(h, 2)[:, :, 0, 0],
        lambda h: h.mean(axis=[2, 3], keepdim=True).reshape((-1, 8)),
        lambda h: (h / h.norm(dim=1, keepdim=True)).relu_().mean((2, 3)),
        lambda h: functional.pad(h - h.mean(1, keepdim=True), (1, 1, 1, 1)).mean((2, 3)),
        lambda h: (h + 0.1 * torch.randn_like(h)).mean((2, 3)),
    ],
)
def test_positions_may_be_reduced_before_a_linear_layer(pooled):
    model = between(pooled, nn.Conv2d(3, 8, 3), nn.Linear(8, 5))
    assert model(torch.rand(2, 3, 6, 6)).shape == (2, 5)
    assert from_module(model).layer_sizes == (3, 8, 5)


@pytest.mark.parametrize(
    "flattened",
    [
        lambda h: torch.flatten(h, 1),
        lambda h: h.view(-1, 8 * 16),
        lambda h: h.reshape(h.shape[0], -1),
        lambda h: functional.max_pool2d(h.flatten(2).view(-1, 8, 4, 4), 1).flatten(1),
    ],
)
def test_all_positions_may_be_flattened_before_a_linear_layer(flattened):
    model = between(flattened, nn.Conv2d(3, 8, 3), nn.Linear(8 * 16, 5))
    assert model(torch.rand(2, 3, 6, 6)).shape == (2, 5)
    assert from_module(model).layer_sizes == (3, 8, 5)


@pytest.mark.parametrize(
    "placed", [lambda h: h[:, :, None, None], lambda h: h.unflatten(1, (8, 1, 1)), nn.Unflatten(1, (8, 1, 1))]
)
def test_units_may_become_channels(placed):
    model = between(placed, nn.Sequential(nn.Flatten(), nn.Linear(3, 8), nn.ReLU()), nn.Conv2d(8, 5, 1))
    first = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Flatten(), nn.Linear(8, 8))
    assert from_module(between(placed, first, nn.Conv2d(8, 5, 1))).layer_sizes == (3, 8, 8, 5)
    assert model(torch.rand(2, 3)).shape == (2, 5, 1, 1)


@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Linear(8, 10)),
        nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.AdaptiveAvgPool2d(8), nn.ReLU(), nn.Linear(8, 10)),
        between(lambda h: h.flatten(2), nn.Conv2d(3, 8, 3, padding=1), nn.Linear(64, 10)),
        between(lambda h: h.view(h.size(0), h.size(1), -1), nn.Conv2d(3, 8, 3, padding=1), nn.Linear(64, 10)),
        between(lambda h: h.mean(3), nn.Conv2d(3, 8, 3, padding=1), nn.Linear(8, 10)),
    ],
)
def test_a_linear_layer_along_a_convs_positions_is_refused(model):
    assert model(torch.rand(2, 3, 8, 8)).shape[-1] == 10
    with pytest.raises(NotRepresentableError, match=r"acts on the positions of .*flatten these from dim 1"):
        from_module(model)


@pytest.mark.parametrize(
    ("moving", "inputs"),
    [
        (lambda h: h.mean(1).flatten(1), 64),
        (lambda h: h.sum(1).flatten(1), 64),
        (lambda h: h.amax(dim=1).flatten(1), 64),
        (lambda h: h.mean(1, keepdim=True).flatten(1), 64),
        (lambda h: h.cumsum(1).flatten(1), 512),
        (lambda h: functional.max_pool3d(h, (2, 1, 1)).flatten(1), 256),
        (nn.Sequential(nn.MaxPool3d((2, 1, 1)), nn.Flatten()), 256),
        (lambda h: functional.pad(h, (0, 0, 0, 0, 4, 4)).flatten(1), 1024),
        (lambda h: h.reshape(2, -1, 4).flatten(1), 512),
        (lambda h: h.view(-1, 4, 2, 64).flatten(1), 512),
        (lambda h: h.as_strided((2, 512), (1, 2)), 512),
        (lambda h: torch.matmul(h, h).flatten(1), 512),
        (lambda h: (h + h.flip(1)).flatten(1), 512),
        (lambda h: h.flatten(1).sort(1)[0], 512),
        (lambda h: h.transpose_(1, 2).flatten(1), 512),
    ],
)
def test_what_moves_or_merges_channels_is_refused(moving, inputs):
    model = between(moving, nn.Conv2d(3, 8, 3, padding=1), nn.Linear(inputs, 10))
    assert model(torch.rand(2, 3, 8, 8)).shape == (2, 10)
    with pytest.raises(NotRepresentableError, match="may move or merge the nodes of 'first' on their way to 'last'"):
        from_module(model)


@pytest.mark.parametrize(
    ("moving", "inputs"),
    [
        (lambda h: functional.max_pool1d(h, 2), 4),
        (lambda h: h.view(-1, 4), 4),
        (lambda h: h @ h.t() @ h, 8),
        (lambda h: h.mean(1, keepdim=True), 1),
        (lambda h: functional.pad(h, (4, 4)), 16),
    ],
)
def test_what_moves_or_merges_units_is_refused(moving, inputs):
    model = between(moving, nn.Linear(3, 8), nn.Linear(inputs, 10))
    assert model(torch.rand(2, 3)).shape[-1] == 10
    with pytest.raises(NotRepresentableError, match="may move or merge the nodes of 'first' on their way to 'last'"):
        from_module(model)


class LowRank(nn.Module):
    """A linear layer and a change of its weight, as LoRA has it."""

    def __init__(self, activation=None):
        super().__init__()
        self.base, self.down, self.up = nn.Linear(8, 6), nn.Linear(8, 2, bias=False), nn.Linear(2, 6, bias=False)
        self.between = activation or nn.Dropout(0.1)

    def forward(self, x):
        return self.base(x) + self.up(self.between(self.down(x))) * 0.5


def test_a_low_rank_change_of_a_layer_is_not_taken_for_the_network():
    with pytest.raises(NotRepresentableError, match=r"adds '1.down' and '1.up', which have no activation .* to '1.base'"):
        from_module(nn.Sequential(nn.Linear(3, 8), LowRank(), nn.ReLU(), nn.Linear(6, 4)))
    assert from_module(LowRank(nn.ReLU())).layers == ("input", "down", "up")


def test_a_method_that_writes_to_its_input_is_followed():
    def forward(self, x):
        hidden = self.first(x)
        hidden.transpose_(1, 2)
        return self.last(hidden)

    with pytest.raises(NotRepresentableError, match="'transpose_' may move or merge"):
        from_module(returning(forward, first=nn.Conv2d(3, 8, 1), last=nn.Conv2d(8, 2, 1)))


def test_a_module_of_several_inputs_is_refused():
    model = returning(
        lambda self, x: self.alike(self.one(x), self.other(x)),
        one=nn.Linear(3, 4),
        other=nn.Linear(3, 4),
        alike=nn.CosineSimilarity(),
    )
    with pytest.raises(NotRepresentableError, match="'alike' is a CosineSimilarity of 2 values"):
        from_module(model)


@pytest.mark.filterwarnings("ignore:torch.quantize")
def test_a_quantised_layer_is_named():
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), torch.ao.nn.quantized.dynamic.Linear(8, 2))
    with pytest.raises(NotRepresentableError, match=r"'2' is a Linear of torch\.ao\.nn\.quantized\.dynamic"):
        from_module(model)


@pytest.mark.filterwarnings("ignore:Lazy modules")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.LazyConv2d(4, 3), "'0' has weights without values, not initialised"),
        (lambda: nn.LazyLinear(4), "'0' has weights without values, not initialised"),
        (lambda: nn.Linear(4, 2, device="meta"), "'0' has weights without values, on the meta device"),
    ],
)
def test_a_layer_without_values_is_named(make, message):
    with pytest.raises(NotRepresentableError, match=message):
        from_module(nn.Sequential(make()))


@pytest.mark.parametrize("layer", [nn.Linear(4, 2), nn.Conv2d(4, 2, 3)])
def test_a_layer_by_itself_is_a_graph(layer):
    graph = from_module(layer)
    assert (graph.layers, graph.layer_sizes) == (("input", "0"), (4, 2))


@pytest.mark.parametrize("name", ["alexnet", "resnet18", "wide_resnet50_2"])
def test_torchvisions_networks_without_grouped_convs_are_represented(name):
    models = pytest.importorskip("torchvision").models
    graph = from_module(getattr(models, name)(num_classes=7))
    assert graph.layer_sizes[0] == 3
    assert graph.layer_sizes[-1] == 7


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_an_input_shape_is_of_the_modules_own_type(dtype):
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 26 * 26, 10)).to(dtype)
    assert from_module(model, input_shape=(1, 28, 28)).layer_sizes == from_module(model).layer_sizes


@pytest.mark.parametrize("shape", [28, "x", (), (1, 0, 28), (1, -1, 28), (1.0, 28, 28), (None, 28, 28)])
def test_an_input_shape_is_whole_numbers(shape):
    with pytest.raises(NotRepresentableError, match=r"input_shape must be that of one input, such as \(3, 32, 32\)"):
        from_module(nn.Conv2d(1, 4, 3), input_shape=shape)


def test_a_compiled_module_is_refused_with_the_remedy():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiled = torch.jit.script(nn.Conv2d(1, 4, 3))
    with pytest.raises(NotRepresentableError, match=r"compiled by torch\.jit.*pass the module that it was made from"):
        from_module(compiled)
