"""What all tests share: the bundled subset, the real images where they are, and skips with a reason where they are not."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

import nndynbench as nb
from nndynbench.storage import places
from tests.skips import judge


def pytest_configure() -> None:
    # The tests share the cores among themselves (`pytest -n auto`): threads of BLAS would only wait for each other. numpy
    # and torch read this when they are imported, which is later.
    for library in ("OMP", "OPENBLAS", "MKL"):
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")
    # No test is timed: an example may take as long as a busy machine takes.
    settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("untimed")
    # No test but those of the stand-in hub, which say otherwise, may reach for the network.
    os.environ.setdefault("NNDYNBENCH_OFFLINE", "1")
    # What one run of the tests computed must not hide from the next what became of the code, but where that is tested.
    os.environ.setdefault("NNDYNBENCH_CACHE", "off")
    # A CPU build of torch beside the registry's torchvision lacks the operators that torchvision's import looks for.
    try:
        import torch
    except ImportError:
        return
    if not hasattr(torch.ops.torchvision, "nms"):
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        pytest.torchvision_library = library  # type: ignore[attr-defined]  # it lives as long as its object


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    images = os.environ.get("NNDYNBENCH_IMAGES")
    for item in items:
        if "images" in item.keywords and not images:
            item.add_marker(pytest.mark.skip(reason="needs real images: set NNDYNBENCH_IMAGES to their folder"))
        if "slow" in item.keywords and not os.environ.get("NNDYNBENCH_SLOW"):
            item.add_marker(pytest.mark.skip(reason="runs for minutes: set NNDYNBENCH_SLOW=1"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, None]:
    made = yield
    judge(made.get_result())


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report() -> Generator[None, Any, None]:
    made = yield
    judge(made.get_result())


@pytest.fixture(scope="session")
def digits() -> nb.Subset:
    """The bundled zoo: 240 real networks."""
    return nb.load("digits-lenet")


@pytest.fixture(scope="session")
def images_folder() -> Path:
    """The folder with ``cifar10/`` and ``tiny-imagenet/``; for tests marked ``images``."""
    return Path(os.environ["NNDYNBENCH_IMAGES"])


@pytest.fixture
def nothing_bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that bundles nothing, so that every load goes past it."""
    monkeypatch.setattr(places, "bundled_folder", lambda: tmp_path / "nothing")
