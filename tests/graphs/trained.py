"""Every architecture at its standard initialisation and after twenty steps of training on real images (scikit-learn's
digits, enlarged): what the deeper networks are tested on where no zoo of them is at hand.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from nndynbench.graphs import Weights, architecture, random_weights

STEPS = 20


@cache
def initial(name: str) -> Weights:
    return random_weights(name, seed=0)


@cache
def trained(name: str, batch: int = 16) -> Weights:
    """Weights after twenty steps of stochastic gradient descent with momentum 0.9; needs torch."""
    import torch
    from sklearn.datasets import load_digits
    from torch.nn import functional

    from generation.architectures import build_module, initialise, snapshot
    from tests.conftest import pytest_configure

    pytest_configure()  # makes torchvision work beside a CPU build of torch, also outside of tests
    described = architecture(name)
    digits = load_digits()
    channels, *size = described.input_shape
    images = torch.from_numpy(digits.images[: STEPS * batch] / 16).float()[:, None]
    images = functional.interpolate(images, size=size, mode="bilinear").expand(-1, channels, -1, -1) - 0.5
    labels = torch.from_numpy(digits.target[: STEPS * batch]).long()
    model = build_module(described)
    initialise(model, described, seed=0)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    for step in range(STEPS):
        chosen = slice(step * batch, (step + 1) * batch)
        optimiser.zero_grad()
        functional.cross_entropy(model(images[chosen]), labels[chosen]).backward()
        optimiser.step()
    return {key: np.ascontiguousarray(value) for key, value in snapshot(model).items()}
