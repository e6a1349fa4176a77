"""Files of a run that are cut short, of another network, or on a full disk: named, and the earlier pack stays."""

from __future__ import annotations

import logging
import resource
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import nndynbench as nb
from generation.images import Images, OtherImagesError, load_images
from generation.pack import NothingToPackError, pack_subset
from generation.plan import SubsetPlan, begun_plan
from generation.record import Record
from generation.runs import TrainingState, write_arrays
from nndynbench.storage.files import DamagedFileError
from tests.generation.small_runs import begin, job, train_in_this_process


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, digit_images: Images) -> Path:
    """Two networks of three epochs; not to be written to."""
    out = tmp_path_factory.mktemp("trained")
    train_in_this_process(job(begin(out, digit_images, epochs=3)), digit_images)
    return out


@pytest.fixture
def made(trained: Path, tmp_path: Path) -> SubsetPlan:
    """A copy of the trained networks, packed."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    plan = begun_plan("digits-lenet", tmp_path)
    pack_subset(plan)
    return plan


def packed(made: SubsetPlan) -> nb.Subset:
    return nb.load("digits-lenet", root=made.folder.parents[1])


def test_a_damaged_snapshot_is_left_out_with_its_network_and_named(
    made: SubsetPlan, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = made.order
    snapshot = made.run(first).folder / "snapshot-0002.safetensors"
    snapshot.write_bytes(snapshot.read_bytes()[:1000])
    with caplog.at_level(logging.WARNING):
        pack_subset(made)
    assert f"network {first} is left out" in caplog.text
    assert str(snapshot) in caplog.text
    assert packed(made).network_ids == [second]
    (made.run(second).folder / "snapshot-0001.safetensors").unlink()
    with pytest.raises(NothingToPackError, match=r"nothing to pack: no network in .* is finished and undamaged"):
        pack_subset(made)
    assert packed(made).network_ids == [second]


def test_a_whole_state_that_another_version_wrote_is_named_and_kept(made: SubsetPlan) -> None:
    run = made.run(made.order[0])
    path = run.folder / "state-0002.safetensors"
    write_arrays(path, {"weights/w": np.zeros(3, np.float32)}, '{"epoch": 2, "luck": 3}')
    with pytest.raises(DamagedFileError, match=r"state-0002\.safetensors was written by another version of this code"):
        run.read_state()
    assert path.exists()


@pytest.mark.parametrize("size", [0, 2_000, 15_000])
def test_on_a_full_disk_the_earlier_pack_stays(made: SubsetPlan, size: int) -> None:
    folder = packed(made).folder
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            pack_subset(made)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in folder.parent.iterdir() if path.name != "runs"] == [folder.name]


@pytest.mark.parametrize("content", [b"", b'{"grid": "digi', b"[]", b"null", b'{"grid": "digits"}', b"\xff"])
def test_a_damaged_plan_is_named(made: SubsetPlan, content: bytes) -> None:
    (made.folder / "plan.json").write_bytes(content)
    with pytest.raises(DamagedFileError, match=r"plan\.json is damaged"):
        begun_plan("digits-lenet", made.folder.parents[1])


@pytest.mark.parametrize("content", [b"", b'{"network": 0', b"null", b'{"network": 77}'])
def test_a_damaged_record_is_named(made: SubsetPlan, content: bytes) -> None:
    (made.run(made.order[0]).folder / "network.json").write_bytes(content)
    with pytest.raises(DamagedFileError, match=r"network\.json is damaged"):
        pack_subset(made)


@pytest.mark.parametrize("name", ["images.json", "train-pixels.npy", "test-labels.npy"])
@pytest.mark.parametrize("size", [0, 20, 100])
def test_damaged_images_are_named(tmp_path: Path, name: str, size: int) -> None:
    load_images("digits", cache=tmp_path)
    path = tmp_path / "digits" / name
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(OtherImagesError, match=f"{path} is damaged"):
        load_images("digits", cache=tmp_path)


def test_a_state_of_another_network_is_refused(
    tmp_path: Path, digit_images: Images, caplog: pytest.LogCaptureFixture
) -> None:
    made = begin(tmp_path, digit_images, epochs=3)
    first, second = made.order
    for network, epochs in ((first, (1, 2)), (second, (2,))):
        for epoch in epochs:
            made.run(network).write_state(TrainingState(epoch, {}, {}, Record(network=network, seed=0, device="")))
    state = "state-0002.safetensors"
    shutil.copy(made.run(second).folder / state, made.run(first).folder / state)
    with caplog.at_level(logging.WARNING):
        found = made.run(first).read_state()
    assert found is not None
    assert found.epoch == 1
    assert f"is a state of network {second}" in caplog.text
