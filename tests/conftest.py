"""What all tests share: the bundled subset, and the real images, or a skip with the reason where there are none."""

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
    # The tests share the cores (`pytest -n auto`): threads of BLAS would only wait for each other. numpy and torch read this
    # when they are imported, which is later.
    for library in ("OMP", "OPENBLAS", "MKL"):
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")
    # No example has a deadline: a busy machine may take any time.
    settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("untimed")
    # No test may use the network, except those of the stand-in hub, which set this to 0.
    os.environ.setdefault("NNDYNBENCH_OFFLINE", "1")
    # What earlier runs of the tests computed must not hide changes of the code. Tests of the cache itself turn it on.
    os.environ.setdefault("NNDYNBENCH_CACHE", "off")
    # A CPU build of torch beside the registry's torchvision lacks the operators that torchvision looks for when imported.
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
    """A package that bundles nothing, so that every subset must come from elsewhere."""
    monkeypatch.setattr(places, "bundled_folder", lambda: tmp_path / "nothing")
