"""Modules of many networks side by side: one of each layer holds the weights of all, and runs them in one call.

Networks share one axis with the channels: activations are (images, networks · channels, height, width) or (images,
networks · features). Convs are grouped, dense layers batched products, batch norm keeps every network's own statistics,
and dropout has a rate per network. Any module tree of these layers can be trained side by side, torchvision's too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

UINT32 = 0xFFFFFFFF

# Up to so many input channels per network, a GPU computes a conv as matrix products: a grouped conv of few channels keeps
# little of it busy.
FEW_CHANNELS = 8
# Rows of a product that are a multiple of this many numbers keep its memory accesses aligned.
ALIGNMENT = 8


def side_by_side(model: nn.Module, networks: int) -> nn.Module:
    """Replace every layer of ``model`` that has weights or is random by one that holds ``networks`` of them.

    Parameters keep their names and get an axis in front; they are zero until `load_side_by_side`. The first conv sees the
    same images for all networks, so it runs as one conv with all their filters.

    Raises
    ------
    TypeError
        For a layer with weights that has no side-by-side form.
    """
    images_are_shared = True
    for name, module in list(model.named_modules()):
        layer = _side_by_side_layer(module, networks, images_are_shared)
        if layer is None:
            continue
        images_are_shared = images_are_shared and not isinstance(layer, SideBySideConv2d)
        parent, _, attribute = name.rpartition(".")
        setattr(model.get_submodule(parent), attribute, layer)
    return model


def load_side_by_side(model: nn.Module, weights: Sequence[Mapping[str, Tensor]]) -> None:
    """Give the networks of a side-by-side model their weights, one mapping for each."""
    state = model.state_dict()
    missing = set(state) - set(weights[0])
    if missing:
        raise ValueError(f"the weights lack {', '.join(sorted(missing))}")
    model.load_state_dict({name: torch.stack([network[name] for network in weights]).to(state[name]) for name in state})


class SideBySideConv2d(nn.Module):
    """``weight`` is (networks, outputs, inputs, k, k), ``bias`` (networks, outputs)."""

    def __init__(self, conv: nn.Conv2d, networks: int, *, images_are_shared: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(conv.weight.new_zeros(networks, *conv.weight.shape))
        self.bias = None if conv.bias is None else nn.Parameter(conv.bias.new_zeros(networks, *conv.bias.shape))
        self.stride, self.padding = _pair(conv.stride), _pair(conv.padding)
        self.images_are_shared = images_are_shared

    def forward(self, inputs: Tensor) -> Tensor:
        if inputs.is_cuda and self.weight.shape[2] <= FEW_CHANNELS:
            convolved = convolved_as_one_product if self.images_are_shared else convolved_by_rows
            return convolved(inputs, self.weight, self.bias, stride=self.stride, padding=self.padding)
        groups = 1 if self.images_are_shared else len(self.weight)
        bias = None if self.bias is None else self.bias.flatten()
        return functional.conv2d(inputs, self.weight.flatten(0, 1), bias, self.stride, self.padding, groups=groups)


def _pair(sizes: str | tuple[int, ...]) -> tuple[int, int]:
    """(down, right), as a conv has them."""
    if isinstance(sizes, str):
        raise TypeError(f"no side-by-side form of a conv with padding {sizes!r}")
    down, right = sizes
    return down, right


def convolved_as_one_product(
    inputs: Tensor, weight: Tensor, bias: Tensor | None, *, stride: tuple[int, int], padding: tuple[int, int]
) -> Tensor:
    """`SideBySideConv2d` on images (n, channels, h, w) that all networks share: the images' windows, written out, times the
    filters of all networks.

    The result lies in memory channels last, as pooling likes it.
    """
    images = _padded(inputs, padding)
    for axis, (size, step) in enumerate(zip(weight.shape[3:], stride, strict=True), start=2):
        images = images.unfold(axis, size, step)
    n, _, height, width, *_ = images.shape
    windows = images.permute(0, 2, 3, 1, 4, 5).reshape(n * height * width, -1)
    missing = -windows.shape[1] % ALIGNMENT
    windows, filters = (functional.pad(part, (0, missing)) for part in (windows, weight.flatten(2).flatten(0, 1)))
    products = windows @ filters.t() if bias is None else torch.addmm(bias.flatten(), windows, filters.t())
    return products.reshape(n, height, width, -1).permute(0, 3, 1, 2)


def convolved_by_rows(
    inputs: Tensor, weight: Tensor, bias: Tensor | None, *, stride: tuple[int, int], padding: tuple[int, int]
) -> Tensor:
    """`SideBySideConv2d`'s grouped conv as one matrix product per network: each row of outputs is the rows of inputs that it
    sees, times a banded matrix of the filters.

    For LeNet's second conv that is nearly three times the multiplications, but in large products, for which only rows, not
    windows, need be written out. The result lies in memory channels last.
    """
    networks, outputs, channels, *_ = weight.shape
    padded = _padded(inputs, padding)
    n, _, _, width = padded.shape
    # (networks, n, rows, width · channels)
    rows = padded.unflatten(1, (networks, channels)).permute(1, 0, 3, 4, 2).flatten(3)
    seen = cast(Tensor, _RowsSeen.apply(rows, weight.shape[3], stride[0]))  # type: ignore[no-untyped-call] # torch's
    products = torch.bmm(seen.flatten(1, 2), banded(weight, width=width, step=stride[1]))
    height = seen.shape[2]
    result = products.reshape(networks, n, height, -1, outputs).permute(1, 2, 3, 0, 4).flatten(3)
    if bias is not None:
        result = result + bias.flatten().to(result.dtype)
    return result.permute(0, 3, 1, 2)


def _padded(inputs: Tensor, padding: tuple[int, int]) -> Tensor:
    down, right = padding
    return functional.pad(inputs, (right, right, down, down)) if down or right else inputs


def banded(weight: Tensor, *, width: int, step: int) -> Tensor:
    """Filters (networks, outputs, channels, k, k) as matrices (networks, k · width · channels, positions · outputs), which
    take k rows of inputs to one of outputs.
    """
    size = weight.shape[-1]
    positions = (width - size) // step + 1
    # Copies of a filter's row, written one after another with zeros between them, lie ``step`` further right in each row of
    # ``width`` than in the row before.
    copies = functional.pad(weight, (0, width + step - size)).unsqueeze(-2).expand(*weight.shape[:-1], positions, -1)
    shifted: Tensor = copies.flatten(-2)[..., : positions * width].unflatten(-1, (positions, width))
    # (networks, outputs, channels, k, positions, width)
    return shifted.permute(0, 3, 5, 2, 4, 1).flatten(1, 3).flatten(2)


class _RowsSeen(torch.autograd.Function):
    """(networks, n, rows, values) to (networks, n, rows of outputs, size · values): the rows that each row of outputs sees.
    The gradient adds them up again in ``size`` passes over memory.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, size: int, step: int) -> Tensor:
        ctx.size, ctx.step, ctx.rows = size, step, rows.shape[2]
        return rows.unfold(2, size, step).transpose(3, 4).flatten(3)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        parts: Tensor = gradient.unflatten(3, (ctx.size, -1))
        total = parts.new_zeros(*parts.shape[:2], ctx.rows, parts.shape[4])
        last = (parts.shape[2] - 1) * ctx.step + 1
        for row in range(ctx.size):
            total[:, :, row : row + last : ctx.step] += parts[:, :, :, row]
        return total, None, None


class SideBySideLinear(nn.Module):
    """``weight`` is (networks, outputs, inputs), ``bias`` (networks, outputs)."""

    def __init__(self, linear: nn.Linear, networks: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(linear.weight.new_zeros(networks, *linear.weight.shape))
        self.bias = nn.Parameter(linear.weight.new_zeros(networks, linear.out_features))

    def forward(self, inputs: Tensor) -> Tensor:
        per_network = inputs.reshape(len(inputs), len(self.weight), -1).transpose(0, 1)
        outputs = torch.baddbmm(self.bias[:, None], per_network, self.weight.transpose(1, 2))
        return outputs.transpose(0, 1).flatten(1)


class SideBySideBatchNorm2d(nn.Module):
    """Every tensor is (networks, channels)."""

    running_mean: Tensor
    running_var: Tensor
    momentum: float

    def __init__(self, norm: nn.BatchNorm2d, networks: int) -> None:
        super().__init__()
        shape = (networks, norm.num_features)
        self.weight = nn.Parameter(norm.weight.new_zeros(shape))
        self.bias = nn.Parameter(norm.weight.new_zeros(shape))
        self.register_buffer("running_mean", norm.weight.new_zeros(shape))
        self.register_buffer("running_var", norm.weight.new_zeros(shape))
        if norm.momentum is None:
            raise TypeError(f"no side-by-side form of {norm}: it averages over all batches")
        self.momentum, self.eps = norm.momentum, norm.eps

    def forward(self, inputs: Tensor) -> Tensor:
        statistics = self.running_mean.view(-1), self.running_var.view(-1)
        scale, shift = self.weight.flatten(), self.bias.flatten()
        return functional.batch_norm(
            inputs, *statistics, scale, shift, training=self.training, momentum=self.momentum, eps=self.eps
        )


class SideBySideDropout(nn.Module):
    """Dropout at every network's own rate, its masks drawn from every network's own key.

    ``rates`` and ``keys`` are (networks,); set them and ``step`` (the count of training steps) before a training step.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rates = torch.zeros(0)
        self.keys = torch.zeros(0, dtype=torch.int64)
        self.step = 0
        self.salt = 0

    def forward(self, inputs: Tensor) -> Tensor:
        if not self.training:
            return inputs
        per_network = inputs.reshape(len(inputs), len(self.rates), -1)
        drawn = uniform(self.keys, (self.step << 4) + self.salt, len(inputs) * per_network.shape[2])
        drawn = drawn.reshape(len(self.rates), len(inputs), -1).transpose(0, 1)
        rates = self.rates[:, None]
        # A rate of 1 would be 0/0: such a network is silent.
        scale = torch.where(drawn >= rates, 1 / (1 - rates), 0.0).to(inputs.dtype)
        return (per_network * scale).reshape(inputs.shape)


def dropouts(model: nn.Module) -> list[SideBySideDropout]:
    """The dropout layers of a side-by-side model, in order."""
    return [module for module in model.modules() if isinstance(module, SideBySideDropout)]


def uniform(keys: Tensor, counter: int, count: int) -> Tensor:
    """``count`` numbers in [0, 1) for each 63-bit key (networks,): shape (networks, count), from key and counter alone.

    A hash of key, counter and position, by two rounds of Wellons' 32-bit mixer (github.com/skeeto/hash-prospector). Unlike a
    generator's, a network's numbers depend neither on the networks beside it nor on the device.
    """
    positions = torch.arange(count, device=keys.device, dtype=torch.int64)
    low, high = keys & UINT32, keys >> 32
    seeds = _mixed(_mixed((low + counter) & UINT32) ^ high)
    mixed = _mixed(_mixed(positions)[None] ^ seeds[:, None])
    return (mixed >> 8).to(torch.float32) * 2.0**-24


def _mixed(values: Tensor) -> Tensor:
    values = ((values ^ (values >> 16)) * 0x7FEB352D) & UINT32
    values = ((values ^ (values >> 15)) * 0x846CA68B) & UINT32
    return values ^ (values >> 16)


def _side_by_side_layer(module: nn.Module, networks: int, images_are_shared: bool) -> nn.Module | None:
    """The side-by-side form of one layer; None for one that runs on the activations of all as it is."""
    if isinstance(module, nn.Conv2d):
        if module.groups != 1 or module.dilation != (1, 1):
            raise TypeError(f"no side-by-side form of {module}")
        return SideBySideConv2d(module, networks, images_are_shared=images_are_shared)
    if isinstance(module, nn.Linear):
        return SideBySideLinear(module, networks)
    if isinstance(module, nn.BatchNorm2d):
        return SideBySideBatchNorm2d(module, networks)
    if isinstance(module, nn.Dropout):
        return SideBySideDropout()
    if next(module.parameters(recurse=False), None) is not None:
        raise TypeError(f"no side-by-side form of {module}")
    return None
