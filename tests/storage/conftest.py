"""A hub on the loopback address that publishes the bundled zoo as another version, and an empty home folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nndynbench.storage import checks, places
from nndynbench.storage.manifest import MANIFEST_NAME, Manifest, read_manifest
from nndynbench.storage.places import bundled_folder
from tests.storage.hub_stand_in import HubStandIn

PUBLISHED = "0.0.9"
"""The version that the stand-in publishes: the bundled files under another number."""


@pytest.fixture(scope="session")
def bundled() -> Path:
    """The bundled zoo's packed folder."""
    [manifest] = (bundled_folder() / "digits-lenet").glob(f"*/{MANIFEST_NAME}")
    return manifest.parent


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder, with no memory of earlier checks."""
    folder = tmp_path / "home"
    monkeypatch.setenv("NNDYNBENCH_HOME", str(folder))
    monkeypatch.setattr(checks, "_found_good", set())
    monkeypatch.setattr(places, "default_home", lambda: folder)
    return folder


@pytest.fixture
def hub(bundled: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubStandIn]:
    """The stand-in, which serves the bundled zoo as version `PUBLISHED`; this process takes it for the hub."""
    hub = HubStandIn()
    publish(hub, read_manifest(bundled).model_copy(update={"version": PUBLISHED}), bundled)
    with hub.serving():
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        monkeypatch.setenv("NNDYNBENCH_HUB", hub.repository)
        monkeypatch.setenv("NNDYNBENCH_OFFLINE", "0")
        yield hub


def publish(hub: HubStandIn, manifest: Manifest, files: Path) -> None:
    """Put a version on the stand-in, as `python -m generation publish` would."""
    folder = f"{manifest.subset}/{manifest.version}"
    content = {f"{folder}/{name}": (files / name).read_bytes() for name in manifest.files}
    content[f"{folder}/{MANIFEST_NAME}"] = manifest.model_dump_json().encode()
    hub.tags[f"{manifest.subset}-{manifest.version}"] = hub.commit(content)
