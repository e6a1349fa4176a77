"""A quarter of an hour of a GPU, tried on a CPU: images come in parts, ended networks go home in parts and load there."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import nndynbench as nb
from generation.borrowed import check_asked, earlier_pack, train_while_groups_fit
from generation.engines import Job, Report
from generation.engines.job import Stop, Unit
from generation.images import Images, load_images
from generation.parcels import MissingPartsError, cut, join
from generation.plan import PlanMismatchError
from generation.released import ReleasedVersionError
from generation.retrain import stored_plan
from nndynbench.storage.files import DamagedFileError
from tests.copied_pack import copied_pack
from tests.generation.small_runs import begin, write_grid
from tests.generation.test_command_line import generation


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files of several sizes, one below another folder, one empty."""
    made = tmp_path / "things"
    (made / "below").mkdir(parents=True)
    for name, size in (("a", 10), ("below/b", 70_000), ("c", 0)):
        (made / name).write_bytes(np.random.default_rng(size).bytes(size))
    return made


def test_what_was_cut_is_joined_again(tmp_path: Path, folder: Path) -> None:
    parts = cut(folder, tmp_path / "parts", part_bytes=20_000)
    assert len(parts) > 3
    assert max(part.stat().st_size for part in parts) <= 20_000
    [joined] = join(tmp_path / "parts", tmp_path / "elsewhere")
    for path in ("a", "below/b", "c"):
        assert (joined / path).read_bytes() == (folder / path).read_bytes()


def test_joining_again_leaves_what_another_process_has_mapped_as_it_is(tmp_path: Path) -> None:
    images = load_images("digits", cache=tmp_path / "images")
    cut(tmp_path / "images" / "digits", tmp_path / "parts", part_bytes=50_000)
    path = tmp_path / "images" / "digits" / "train-pixels.npy"
    mapped, before = np.load(path, mmap_mode="r"), path.stat().st_ino
    join(tmp_path / "parts", tmp_path / "images")
    np.testing.assert_array_equal(mapped, images.train[0])
    assert path.stat().st_ino != before, "written over in place"
    assert load_images("digits", cache=tmp_path / "images").digest == images.digest
    assert not list((tmp_path / "images").glob("*.partial"))


def test_parts_that_have_not_come_and_damaged_ones_are_named(tmp_path: Path, folder: Path) -> None:
    _, second, *_ = cut(folder, tmp_path / "parts", part_bytes=20_000)
    content = second.read_bytes()
    second.unlink()
    with pytest.raises(MissingPartsError, match=second.name):
        join(tmp_path / "parts", tmp_path)
    second.write_bytes(content[:-1] + b"?")
    with pytest.raises(DamagedFileError, match=second.name):
        join(tmp_path / "parts", tmp_path)


def test_a_folder_that_is_not_there_or_empty_is_not_cut(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("nowhere", "empty"):
        with pytest.raises(FileNotFoundError, match=f"nothing to cut: there are no files in .*{name}$"):
            cut(tmp_path / name, tmp_path / "parts", part_bytes=20_000)
    assert not (tmp_path / "parts").exists()


def test_what_an_earlier_pack_was_not_trained_with_is_refused(tmp_path: Path) -> None:
    earlier = nb.load("imagenet-lenet")
    plan = stored_plan(earlier, tmp_path)
    check_asked(earlier, plan, keep=None, precision=None)
    check_asked(earlier, plan, keep=10, precision="float32")
    with pytest.raises(PlanMismatchError, match=r"trained with --keep 10: --keep 20 would"):
        check_asked(earlier, plan, keep=20, precision=None)
    with pytest.raises(PlanMismatchError, match=r"trained with --precision float32: --precision bfloat16 would"):
        check_asked(earlier, plan, keep=None, precision="bfloat16")


def test_no_group_is_begun_that_would_not_fit(tmp_path: Path, digit_images: Images) -> None:
    """The clock is set by hand and read before and after each group: the first takes 40 of 70 seconds, so no other fits."""
    made = begin(tmp_path, digit_images, trainer="side by side", epochs=1, rates=(0.01, 0.02))
    load_images("digits", cache=tmp_path / "images")
    job = Job(made, made.order, tmp_path / "images", side_by_side=2)
    ticks = itertools.chain([0, 0], itertools.repeat(40))
    found = train_while_groups_fit(job, digit_images, seconds=70, clock=lambda: next(ticks))
    assert (found.finished, found.networks, found.longest_group) == (2, 4, 40)
    assert made.finished(made.order) == made.order[:2]


def test_what_a_borrowed_machine_made_loads_at_home_and_can_be_made_again(tmp_path: Path) -> None:
    grid = write_grid(tmp_path / "small.toml", epochs=2)
    load_images("digits", cache=tmp_path / "home" / "images")
    generation("cut", tmp_path / "home" / "images" / "digits", "--into", tmp_path / "parts", "--megabytes", 0.05)
    there = ("--out", tmp_path / "there", "--result", tmp_path / "result", "--parts", tmp_path / "parts")
    told = generation(
        *("borrow", "digits-lenet", *there, "--seconds", 3000, "--device", "cpu", "--side-by-side", 2, "--grid", grid),
        *("--version", "0.3.0"),
    )
    assert "2 of 2 networks have ended" in told
    generation("join", tmp_path / "result", "--into", tmp_path / "home")
    subset = nb.load("digits-lenet", root=tmp_path / "home")
    assert subset.version == "0.3.0"
    assert subset.tiers == ["networks", "centralities", "graphs"]
    assert {tier: facts.mantissa_bits for tier, facts in subset.manifest.tiers.items() if tier != "networks"} == {
        "centralities": 8,
        "graphs": 8,
    }
    assert subset.history(0, 2).graph(2).number_of_edges > 0
    assert "not reproduced" not in generation(
        "retrain", "digits-lenet", "--root", tmp_path / "home", "--sample", 2, "--workers", 1
    )


def test_a_loan_in_which_no_network_ended_is_gone_on_with_in_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = write_grid(tmp_path / "small.toml", epochs=2)
    load_images("digits", cache=tmp_path / "images")
    cut(tmp_path / "images" / "digits", tmp_path / "parts", part_bytes=50_000)

    def borrow(out: str) -> str:
        there = ("--out", tmp_path / out, "--result", tmp_path / f"from-{out}", "--parts", tmp_path / "parts")
        group = ("--device", "cpu", "--side-by-side", 2, "--workers", 1)
        return generation("borrow", "digits-lenet", *there, "--seconds", 3000, *group, "--grid", grid)

    with monkeypatch.context() as short:
        short.setattr("generation.cli.borrowing.Job", OneEpoch)
        assert "no network has ended" in borrow("first")
    generation("join", tmp_path / "from-first", "--into", tmp_path / "second")
    states = sorted((tmp_path / "second").rglob("state-0001.safetensors"))
    assert len(states) == 2
    assert "2 of 2 networks have ended" in borrow("second")


class OneEpoch(Job):
    """A job whose loan ends during the first epoch."""

    def train(self, unit: Unit, images: Images, *, stop: Stop, report: Report) -> None:
        asked = itertools.count()
        super().train(unit, images, stop=lambda: next(asked) > 1, report=report)


def test_a_pack_of_other_libraries_is_refused_with_a_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("generation.restore.version", lambda library: "0.0")
    options = ("--out", tmp_path, "--result", tmp_path / "result", "--seconds", 1, "--device", "cpu")
    with pytest.raises(PlanMismatchError, match=r"but 0\.0 is installed; or begin a set of its own with --grid paper$"):
        generation("borrow", "imagenet-lenet", *options)


def test_a_pack_of_another_trainer_or_kind_of_device_is_not_gone_on_with() -> None:
    assert earlier_pack("digits-lenet", "cpu") is None
    assert earlier_pack("cifar10-vgg", "cpu") is None
    imagenet = earlier_pack("imagenet-lenet", "cpu")
    assert imagenet is not None
    assert imagenet.name == "imagenet-lenet"


def test_folders_that_were_cut_into_one_place_are_all_joined(tmp_path: Path, folder: Path) -> None:
    other = folder.rename(tmp_path / "others")
    (tmp_path / "things").mkdir()
    (tmp_path / "things" / "d").write_bytes(b"d")
    for each in (other, tmp_path / "things"):
        cut(each, tmp_path / "parts", part_bytes=20_000)
    joined = join(tmp_path / "parts", tmp_path / "elsewhere")
    assert [path.name for path in joined] == ["others", "things"]
    assert (joined[0] / "below/b").read_bytes() == (other / "below/b").read_bytes()


def test_a_joined_pack_replaces_an_unfinished_version_whole_and_no_released_one(tmp_path: Path, digits: nb.Subset) -> None:
    home = tmp_path / "home"
    for version in ("0.9.0", "1.0.0"):
        copied_pack(digits.folder, home, version, others=True)
        came = copied_pack(digits.folder, tmp_path / version, version)
        cut(came.parent, tmp_path / f"parts-{version}", part_bytes=10_000_000)
    (home / "digits-lenet" / "0.9.0" / "graphs.h5").write_bytes(b"of other networks")
    join(tmp_path / "parts-0.9.0", home)
    joined = nb.load("digits-lenet", root=home, version="0.9.0")
    assert joined.checksum == digits.checksum
    assert {path.name for path in joined.folder.iterdir()} == {*digits.manifest.files, "subset.json"}
    with pytest.raises(ReleasedVersionError, match=r"1\.0\.0 has other networks"):
        join(tmp_path / "parts-1.0.0", home)
    assert nb.load("digits-lenet", root=home, version="1.0.0").checksum != digits.checksum
    assert sorted(path.name for path in home.iterdir()) == ["digits-lenet"]
