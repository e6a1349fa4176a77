"""Convs over few positions as matrix products: in bfloat16 oneDNN's own kernels take two to three times as long for them.

``python -m tests.benchmarks.training products`` measures it. ResNet-50 at 32×32 ends in convs over 2×2 and 1×1 positions,
AlexNet in some over 3×3.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

# The product is faster up to so many output positions, with a 1×1 kernel and with a larger one, and from so many input
# channels on.
POSITIONS_1X1 = 64
POSITIONS = 16
CHANNELS = 64


class ProductConv2d(nn.Conv2d):
    """A square conv that is a matrix product where its output has few positions: the same sums, in another order."""

    @classmethod
    def of(cls, conv: nn.Conv2d) -> ProductConv2d:
        """The same conv, with the same parameters."""
        kernel, stride, padding = conv.kernel_size[0], conv.stride[0], int(conv.padding[0])
        made = cls(conv.in_channels, conv.out_channels, kernel, stride, padding, bias=conv.bias is not None)
        made.weight, made.bias = conv.weight, conv.bias
        return made

    def forward(self, inputs: Tensor) -> Tensor:
        kernel, stride, padding = self.kernel_size[0], self.stride[0], int(self.padding[0])
        height, width = ((size + 2 * padding - kernel) // stride + 1 for size in inputs.shape[2:])
        if height * width > (POSITIONS_1X1 if kernel == 1 else POSITIONS):
            return super().forward(inputs)
        if torch.is_autocast_enabled("cpu"):
            inputs = inputs.to(torch.get_autocast_dtype("cpu"))
        last = inputs.permute(0, 2, 3, 1)
        weight = self.weight.permute(0, 2, 3, 1)
        if inputs.shape[2:] == (1, 1) and kernel == 2 * padding + 1:
            # All but the kernel's centre lies on the padding.
            columns, weight = last, weight[:, padding : padding + 1, padding : padding + 1]
        else:
            padded = functional.pad(last, (0, 0, padding, padding, padding, padding))
            ends = (stride * (height - 1) + 1, stride * (width - 1) + 1)
            shifts = [(row, column) for row in range(kernel) for column in range(kernel)]
            columns = torch.cat([padded[:, r : r + ends[0] : stride, c : c + ends[1] : stride] for r, c in shifts], -1)
        found = functional.linear(columns.reshape(-1, columns.shape[-1]), weight.reshape(self.out_channels, -1), self.bias)
        return found.view(-1, height, width, self.out_channels).permute(0, 3, 1, 2)


def with_products(model: nn.Module) -> nn.Module:
    """The model with each of its square convs of many channels replaced by a `ProductConv2d`; parameters are the same."""
    for name, module in list(model.named_modules()):
        if type(module) is nn.Conv2d and module.in_channels >= CHANNELS and _is_square(module):
            model.set_submodule(name, ProductConv2d.of(module))
    return model


def _is_square(conv: nn.Conv2d) -> bool:
    sizes = (conv.kernel_size, conv.stride, conv.padding)
    return all(size[0] == size[1] for size in sizes) and conv.groups == 1 and set(conv.dilation) == {1}
