"""Batches of one epoch: which images in which order, how they are augmented, and their labels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

CROP_PADDING = 4


def training_labels(labels: Tensor, recipe: dict[str, Any], classes: int, *, seed: int) -> Tensor:
    """The labels of the training images, a share ``label_noise`` of them replaced by another class drawn at random."""
    if not recipe["label_noise"]:
        return labels
    random = np.random.default_rng(seed)
    noisy = random.choice(len(labels), round(recipe["label_noise"] * len(labels)), replace=False)
    shifted = labels.clone()
    shifted[noisy] = (shifted[noisy] + torch.from_numpy(random.integers(1, classes, len(noisy)))) % classes
    return shifted


def epoch_batches(
    pixels: Tensor, labels: Tensor, recipe: dict[str, Any], *, brightest: int, seed: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of normalised images and labels, in an order and with an augmentation that follow from ``seed`` alone.

    An epoch visits every image once, or ``visits`` images: as many permutations as that takes, one after another. All is
    drawn on the CPU, so a GPU (where ``pixels`` and ``labels`` may lie) sees the same batches. Labels may have further axes,
    such as one per network.
    """
    random = torch.Generator().manual_seed(seed)
    visits = recipe["visits"] or len(pixels)
    rounds = -(-visits // len(pixels))
    order = torch.cat([torch.randperm(len(pixels), generator=random) for _ in range(rounds)])[:visits]
    if recipe["augmentation"]:
        shifts = torch.randint(0, 2 * CROP_PADDING + 1, (2, visits), generator=random)
        flips = torch.rand(visits, generator=random) < 0.5
        shifts, flips = shifts.to(pixels.device), flips.to(pixels.device)
    order = order.to(pixels.device)
    for start in range(0, visits, recipe["batch_size"]):
        part = slice(start, start + recipe["batch_size"])
        images = pixels[order[part]]
        if recipe["augmentation"]:
            images = shifted_and_flipped(images, shifts[0, part], shifts[1, part], flips[part])
        yield normalised(images, brightest), labels[order[part]]


def shifted_and_flipped(images: Tensor, rows: Tensor, columns: Tensor, flips: Tensor) -> Tensor:
    """Images (n, channels, h, w) padded by 4 on every side, cropped back at each one's own offset, mirrored if ``flips``."""
    height, width = images.shape[2:]
    padded = functional.pad(images, (CROP_PADDING,) * 4)
    crops = padded.unfold(2, height, 1).unfold(3, width, 1)
    cropped = crops[torch.arange(len(images), device=images.device), :, rows, columns]
    return torch.where(flips[:, None, None, None], cropped.flip(-1), cropped)


def normalised(images: Tensor, brightest: int) -> Tensor:
    """Pixels 0..brightest to floats −1..1: mean 0.5 and standard deviation 0.5, as the reference code has it."""
    scaled = images.to(torch.float32).mul_(2 / brightest).sub_(1)
    return scaled.contiguous(memory_format=torch.channels_last)
