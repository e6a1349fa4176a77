"""Publishing: one commit, a tag per version, and what is published can be loaded by name."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

pytest.importorskip("torch")

import nndynbench as nb
from generation.cli import app
from generation.publish import PublishError, plan_upload, publish
from nndynbench.storage import places
from nndynbench.storage.files import DamagedFileError
from nndynbench.storage.manifest import read_manifest
from nndynbench.storage.places import NotAtHandError
from tests.copied_pack import copied_pack
from tests.patience import PATIENCE_SECONDS
from tests.storage.hub_stand_in import HubStandIn

REPOSITORY = "someone/zoo"


@pytest.fixture
def empty_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubStandIn]:
    """A hub that does not have the repository yet, and a package that bundles nothing."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(places, "bundled_folder", lambda: tmp_path / "nothing")
    with HubStandIn(REPOSITORY, exists=False).serving() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        monkeypatch.setenv("NNDYNBENCH_HUB", REPOSITORY)
        monkeypatch.setenv("NNDYNBENCH_OFFLINE", "0")
        yield hub


@pytest.fixture
def packed(bundled: Path, tmp_path: Path) -> Path:
    """A folder with the bundled zoo, packed as by the trainer."""
    shutil.copytree(bundled, tmp_path / "packed" / "digits-lenet" / bundled.name)
    (tmp_path / "packed" / "digits-lenet" / "runs").mkdir()
    return tmp_path / "packed"


def test_what_is_published_loads_by_name(empty_hub: HubStandIn, packed: Path, digits: nb.Subset) -> None:
    commit = publish(plan_upload(packed, REPOSITORY), REPOSITORY)
    assert empty_hub.tags == {f"digits-lenet-{digits.version}": commit}
    assert len(empty_hub.commits) == 2, "the empty repository and one commit"
    folder = f"digits-lenet/{digits.version}"
    files = {f"{folder}/{file}" for file in (*digits.manifest.files, "subset.json")}
    assert set(empty_hub.commits[commit]) == files | {"README.md", "croissant.json"}
    zoo = nb.download("digits-lenet", tiers=["graphs"])
    assert zoo.checksum == digits.checksum
    pd.testing.assert_frame_equal(zoo.signatures, digits.signatures)


def test_datasets_loads_what_is_published_by_the_repositorys_name(
    empty_hub: HubStandIn, packed: Path, tmp_path: Path
) -> None:
    pytest.importorskip("datasets")
    publish(plan_upload(packed, REPOSITORY), REPOSITORY)
    code = f"""
import datasets
table = datasets.load_dataset("{REPOSITORY}", "digits-lenet-curves", split="all")
print(table.num_rows, *table.column_names)
"""
    environment = os.environ | {"HF_HOME": str(tmp_path / "hf")}  # datasets reads HF_ENDPOINT when it is imported
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=True
    )
    curves = nb.load("digits-lenet").curves.reset_index()
    assert done.stdout.split() == [str(len(curves)), *curves.columns]


def test_a_dry_run_lists_what_would_go_and_sends_nothing(empty_hub: HubStandIn, packed: Path, digits: nb.Subset) -> None:
    done = CliRunner().invoke(app, ["publish", str(packed), "--repo", REPOSITORY, "--dry-run"], env={"COLUMNS": "300"})
    assert done.exit_code == 0, done.output
    listed = re.findall(r"MB\s+(\S+)", done.output)
    assert set(listed) >= {f"digits-lenet/{digits.version}/{file}" for file in (*digits.manifest.files, "subset.json")}
    assert "would publish digits-lenet" in done.output
    assert all(method in ("GET", "HEAD") for method, _ in empty_hub.requests)
    assert not empty_hub.exists


def test_the_command_publishes_and_a_second_time_there_is_nothing_new(empty_hub: HubStandIn, packed: Path) -> None:
    done = CliRunner().invoke(app, ["publish", str(packed), "--repo", REPOSITORY])
    assert done.exit_code == 0, done.output
    with pytest.raises(PublishError, match=f"nothing to publish: {REPOSITORY} lacks none of the versions packed in"):
        plan_upload(packed, REPOSITORY)


def test_the_card_also_describes_what_the_repository_has_already(
    empty_hub: HubStandIn, packed: Path, tmp_path: Path
) -> None:
    publish(plan_upload(packed, REPOSITORY), REPOSITORY)
    other = tmp_path / "other" / "digits-lenet-half" / "1.0.0"
    shutil.copytree(next((packed / "digits-lenet").glob("*.*.*")), other)
    manifest = read_manifest(other).model_copy(update={"subset": "digits-lenet-half"})
    (other / "subset.json").write_text(manifest.model_dump_json())
    commit = publish(plan_upload(tmp_path / "other", REPOSITORY), REPOSITORY)
    card = empty_hub.commits[commit]["README.md"].decode()
    assert "config_name: digits-lenet-curves" in card
    assert "config_name: digits-lenet-half-curves" in card


def test_a_new_version_needs_a_reason_to_supersede_the_old(empty_hub: HubStandIn, packed: Path) -> None:
    publish(plan_upload(packed, REPOSITORY), REPOSITORY)
    old = next((packed / "digits-lenet").glob("*.*.*"))
    new = old.with_name("9.0.0")
    shutil.copytree(old, new)
    (new / "subset.json").write_text(read_manifest(old).model_copy(update={"version": "9.0.0"}).model_dump_json())
    with pytest.raises(PublishError, match=rf'9.0.0 supersedes {old.name}: give the reason .* superseded."{old.name}" = '):
        plan_upload(packed, REPOSITORY)


def test_a_damaged_pack_is_not_published(empty_hub: HubStandIn, packed: Path) -> None:
    path = next((packed / "digits-lenet").glob("*.*.*")) / "weights.h5"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DamagedFileError, match=r"weights.h5 is damaged"):
        plan_upload(packed, REPOSITORY)
    assert empty_hub.tags == {}


def test_an_upload_that_fails_publishes_no_version(empty_hub: HubStandIn, packed: Path) -> None:
    upload = plan_upload(packed, REPOSITORY)
    empty_hub.faults["upload"] = ["refuse"] * 100
    with pytest.raises(RuntimeError, match=r"Error while uploading .* to the Hub"):
        publish(upload, REPOSITORY)
    assert empty_hub.tags == {}
    with pytest.raises(NotAtHandError, match="does not have it"):
        nb.load("digits-lenet")
    empty_hub.faults.clear()
    publish(plan_upload(packed, REPOSITORY), REPOSITORY)
    assert len(nb.load("digits-lenet").networks) == 240


def test_the_card_describes_what_is_published_not_what_was_packed_again_under_its_number(
    empty_hub: HubStandIn, packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(plan_upload(packed, REPOSITORY), REPOSITORY)
    monkeypatch.delenv("NNDYNBENCH_HUB")  # the repository is the one that is named
    old = next((packed / "digits-lenet").glob("*.*.*"))
    before, other = read_manifest(old), packed / "digits-lenet-half" / "1.0.0"
    shutil.copytree(old, other)
    named = before.model_copy(update={"subset": "digits-lenet-half", "version": "1.0.0"})
    (other / "subset.json").write_text(named.model_dump_json())
    (old / "subset.json").write_text(before.model_copy(update={"summary": "packed again"}).model_dump_json())
    commit = publish(plan_upload(packed, REPOSITORY), REPOSITORY)
    assert "packed again" not in empty_hub.commits[commit]["README.md"].decode()


def test_other_networks_under_the_number_of_a_bundled_version_are_not_published(
    empty_hub: HubStandIn, packed: Path, bundled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "bundled_folder", lambda: tmp_path / "bundled")
    same = copied_pack(bundled, tmp_path / "bundled", bundled.name)
    assert plan_upload(packed, REPOSITORY).versions == [("digits-lenet", bundled.name)]
    shutil.rmtree(same)
    copied_pack(bundled, tmp_path / "bundled", bundled.name, others=True)
    with pytest.raises(PublishError, match=rf"is not the digits-lenet {bundled.name} that the package bundles"):
        plan_upload(packed, REPOSITORY)
    assert empty_hub.tags == {}


def test_a_version_needs_a_reason_to_supersede_one_beside_it_and_none_goes_below_what_is_published(
    empty_hub: HubStandIn, packed: Path, bundled: Path
) -> None:
    for version in ("0.1.0", "0.2.0"):
        copied_pack(bundled, packed, version)
    with pytest.raises(PublishError, match=r"digits-lenet 0\.2\.0 supersedes 0\.1\.0: give the reason"):
        plan_upload(packed, REPOSITORY)
    aside = packed.with_name("aside")
    for version in ("0.1.0", "0.2.0"):
        shutil.move(packed / "digits-lenet" / version, aside / "digits-lenet" / version)
    publish(plan_upload(packed, REPOSITORY), REPOSITORY)
    with pytest.raises(PublishError, match=rf"digits-lenet 0\.1\.0 is older than {bundled.name}, already published"):
        plan_upload(aside, REPOSITORY)
