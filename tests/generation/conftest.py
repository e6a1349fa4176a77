"""The images that the trainer's tests share."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from generation.images import Images, load_images


@pytest.fixture(scope="session")
def digit_images() -> Images:
    return load_images("digits")
