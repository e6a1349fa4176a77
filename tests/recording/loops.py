"""A small training loop in plain PyTorch, for runs to record."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

import nndynbench as nb


def small_cnn(seed: int = 0, filters: int = 5) -> nn.Module:
    """A CNN for 8×8 images that no catalogue has."""
    torch.manual_seed(seed)
    return nn.Sequential(
        *(nn.Conv2d(1, filters, 3, padding=1), nn.BatchNorm2d(filters), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(filters, 7, 3), nn.ReLU(), nn.Flatten(), nn.Linear(28, 10)),
    )


@cache
def digits() -> tuple[torch.Tensor, torch.Tensor]:
    """All 1,797 images of 8×8 digits, (images, 1, 8, 8), and their classes."""
    images, classes = load_digits(return_X_y=True)
    return torch.tensor(images / 16, dtype=torch.float32).reshape(-1, 1, 8, 8), torch.tensor(classes)


def accuracy(model: nn.Module, images: torch.Tensor, classes: torch.Tensor) -> float:
    """Accuracy in percent."""
    model.eval()
    with torch.no_grad():
        return float(100 * (model(images).argmax(1) == classes).float().mean())


def train_epoch(model: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, float]:
    """Train for one epoch on the first 1,000 digits; returns its curves."""
    images, classes = digits()
    model.train()
    losses = []
    for start in range(0, 1000, 100):
        loss = nn.functional.cross_entropy(model(images[start : start + 100]), classes[start : start + 100])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    return {
        "train_loss": float(np.mean(losses)),
        "train_accuracy": accuracy(model, images[:1000], classes[:1000]),
        "validation_accuracy": accuracy(model, images[1000:1400], classes[1000:1400]),
    }


def recorded_run(
    folder: Path,
    *,
    learning_rate: float = 0.01,
    seed: int = 0,
    epochs: int = 3,
    each: Callable[[Any], None] = id,
    **options: Any,
) -> nb.Recorder:
    """Train and record; ``each`` is called with the recorder after every epoch."""
    model = small_cnn(seed)
    optimiser = torch.optim.Adam(model.parameters(), learning_rate)
    hyperparameters = {"learning_rate": learning_rate, "seed": seed}
    recorder = nb.Recorder(folder, model, hyperparameters=hyperparameters, **options)
    for _ in range(epochs):
        recorder.epoch(**train_epoch(model, optimiser))
        each(recorder)
    images, classes = digits()
    recorder.finish(test_accuracy=accuracy(model, images[1400:], classes[1400:]))
    return recorder
