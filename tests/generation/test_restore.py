"""Lost runs come back from a pack of them, and training goes on from there as if nothing had been lost."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("torch")

from typer.testing import CliRunner

import nndynbench as nb
from generation.cli import app
from generation.images import load_images
from generation.pack import Selection, pack_subset
from generation.plan import PlanMismatchError, begun_plan, subset_plan
from generation.released import ReleasedVersionError
from generation.restore import plan_beyond, restore
from generation.runs import NetworkRun
from nndynbench.graphs import initial_weights
from nndynbench.storage.files import DamagedFileError
from nndynbench.storage.places import bundled_folder
from nndynbench.subsets.subset import Subset
from tests.generation.small_runs import job, train_in_this_process, write_grid

TABLES = ("networks", "curves", "signatures", "features")


def run(*command: str) -> str:
    done = CliRunner().invoke(app, list(command))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return " ".join(done.output.split())


def train(out: Path, grid: str, networks: int) -> None:
    """Train the first networks and pack them, or go on to them."""
    made = subset_plan("digits-lenet", out, grid=grid)
    images = load_images("digits", cache=out / "images")
    made.bind(images)
    train_in_this_process(job(made, networks), images)
    pack_subset(made)


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_grid(tmp_path_factory.mktemp("grid") / "small.toml", epochs=2, rates=(0.005, 0.02))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, grid: str) -> Path:
    """Four networks, trained in one folder and packed."""
    out = tmp_path_factory.mktemp("whole")
    train(out, grid, 4)
    return out


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory, grid: str) -> Path:
    """The first two of these networks, packed; their runs are lost."""
    out = tmp_path_factory.mktemp("half")
    train(out, grid, 2)
    shutil.rmtree(out / "digits-lenet" / "runs")
    return out


def without_seconds(table: pd.DataFrame) -> pd.DataFrame:
    return table.drop(columns="seconds", errors="ignore").sort_index()


def test_training_beyond_a_pack_gives_the_networks_of_an_uninterrupted_run(
    whole: Path, half: Path, grid: str, tmp_path: Path
) -> None:
    told = run("restore", "digits-lenet", "--root", str(half), "--out", str(tmp_path), "--grid", grid)
    assert "/digits-lenet/runs: 2; 2 of 4" in told
    assert "2 of 4 are trained now" in told
    train(tmp_path, grid, 4)
    _, _, onward = told.partition("train the others with: python -m generation ")
    assert "4 of 4 networks trained" in run(*onward.split(), "--workers", "1")
    expected, found = (nb.load("digits-lenet", root=root) for root in (whole, tmp_path))
    for table in TABLES:
        pd.testing.assert_frame_equal(without_seconds(getattr(found, table)), without_seconds(getattr(expected, table)))
    for network in expected.network_ids:
        for epoch in (0, 2):
            theirs = expected.history(network, 2).weights(epoch)
            ours = found.history(network, 2).weights(epoch)
            assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)


def test_packing_what_was_restored_gives_the_same_files(half: Path, grid: str, tmp_path: Path) -> None:
    run("restore", "digits-lenet", "--root", str(half), "--out", str(tmp_path), "--grid", grid)
    pack_subset(begun_plan("digits-lenet", tmp_path))
    assert nb.load("digits-lenet", root=tmp_path).checksum == nb.load("digits-lenet", root=half).checksum


def test_rounded_values_go_into_packs_of_their_precision_and_into_no_finer_one(
    half: Path, grid: str, tmp_path: Path
) -> None:
    run("restore", "digits-lenet", "--root", str(half), "--out", str(tmp_path / "exact"), "--grid", grid)
    rounded = {"graphs": Selection(mantissa_bits=12)}
    pack_subset(begun_plan("digits-lenet", tmp_path / "exact"), tiers=rounded, into=tmp_path / "light")
    run("restore", "digits-lenet", "--root", str(tmp_path / "light"), "--out", str(tmp_path / "again"), "--grid", grid)
    again = begun_plan("digits-lenet", tmp_path / "again")
    pack_subset(again, tiers=rounded)
    light, repacked = nb.load("digits-lenet", root=tmp_path / "light"), nb.load("digits-lenet", root=tmp_path / "again")
    network = light.network_ids[0]
    for ours, theirs in zip(
        repacked.history(network, 2).graph(2).blocks, light.history(network, 2).graph(2).blocks, strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
    train(tmp_path / "again", grid, 3)
    finer = nb.load("digits-lenet", root=tmp_path / "again").manifest.tiers
    assert (finer["networks"].networks, finer["graphs"].networks, finer["graphs"].mantissa_bits) == (3, 1, 23)


def test_new_networks_are_packed_with_rounded_ones_at_the_bits_that_pack_is_given(
    half: Path, grid: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    run("restore", "digits-lenet", "--root", str(half), "--out", str(tmp_path / "exact"), "--grid", grid)
    pack_subset(
        begun_plan("digits-lenet", tmp_path / "exact"),
        tiers={"graphs": Selection(mantissa_bits=12)},
        into=tmp_path / "light",
    )
    run("restore", "digits-lenet", "--root", str(tmp_path / "light"), "--out", str(tmp_path), "--grid", grid)
    train(tmp_path, grid, 3)
    told = run("pack", "digits-lenet", "--out", str(tmp_path))
    assert "graphs of 1 of 3 networks; of 2 the runs have them rounded to 12 bits or more: pack them with --bits 12" in told
    assert "weights of 1 of 3 networks; of 2 the runs keep none" in told
    assert "graphs" not in run("pack", "digits-lenet", "--out", str(tmp_path), "--bits", "12")
    light, grown = (nb.load("digits-lenet", root=root) for root in (tmp_path / "light", tmp_path))
    assert (grown.manifest.tiers["graphs"].networks, grown.manifest.tiers["graphs"].mantissa_bits) == (3, 12)
    for network in light.network_ids:
        before, after = (zoo.history(network, 2).graph(2).blocks for zoo in (light, grown))
        assert all(np.array_equal(ours, theirs) for ours, theirs in zip(after, before, strict=True))


def test_arrays_come_from_every_folder_that_the_subset_is_read_from(whole: Path, grid: str, tmp_path: Path) -> None:
    made = begun_plan("digits-lenet", whole)
    parts = {"package": ([1], 8), "beside": ([1, 2], 12)}
    first, second = (
        pack_subset(made, tiers={"weights": Selection(epochs=epochs, mantissa_bits=bits)}, into=tmp_path / name)
        for name, (epochs, bits) in parts.items()
    )
    again = plan_beyond(nb.load("digits-lenet", root=whole), tmp_path / "again", grid=grid)
    again.bind(load_images("digits", cache=tmp_path / "images"))
    restore(Subset(first, also=[second]), again)
    for network in again.order:
        assert again.run(network).epochs_with_parts("weights", mantissa_bits=12) == [1, 2]


def test_whole_weights_of_one_folder_win_over_rounded_parts_of_another(whole: Path, grid: str, tmp_path: Path) -> None:
    made = begun_plan("digits-lenet", whole)
    rounded = {"centralities": Selection(epochs=[1, 2], mantissa_bits=8)}
    light = pack_subset(made, tiers=rounded, into=tmp_path / "light")
    full = nb.load("digits-lenet", root=whole)
    again = plan_beyond(full, tmp_path / "again", grid=grid)
    again.bind(load_images("digits", cache=tmp_path / "images"))
    restore(Subset(full.folder, also=[light]), again)
    found = Subset(pack_subset(again))
    for network in full.network_ids:
        ours, theirs = (zoo.history(network, 2).centrality("degree") for zoo in (found, full))
        np.testing.assert_array_equal(ours, theirs)


def test_parts_that_were_cut_short_are_named(tmp_path: Path) -> None:
    run = NetworkRun(tmp_path / "0003")
    run.write_parts("graphs", 1, {"w": np.zeros(3, np.float32)}, mantissa_bits=8)
    [path] = run.folder.glob("graphs-*")
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(DamagedFileError, match=f"{path} is damaged"):
        run.epochs_with_parts("graphs", mantissa_bits=8)


def test_a_network_that_another_process_trains_is_left_to_it(half: Path, grid: str, tmp_path: Path) -> None:
    zoo = nb.load("digits-lenet", root=half)
    made = plan_beyond(zoo, tmp_path, grid=grid)
    held, other = zoo.network_ids
    with made.run(held).locked():
        assert restore(zoo, made) == [other]
    assert not made.run(held).finished


def test_another_kind_of_device_is_refused(half: Path, grid: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zoo = nb.load("digits-lenet", root=half)
    monkeypatch.setattr("generation.restore.device_kind", lambda device: "an abacus")
    with pytest.raises(PlanMismatchError, match="on cpu, not on an abacus: a version must not mix kinds of device"):
        plan_beyond(zoo, tmp_path, grid=grid)


def test_another_cpu_goes_on_and_every_network_names_its_own(
    half: Path, grid: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = nb.load("digits-lenet", root=half)
    run("restore", "digits-lenet", "--root", str(half), "--out", str(tmp_path), "--grid", grid)
    monkeypatch.setattr("generation.training.network.device_name", lambda: "an abacus")
    train(tmp_path, grid, 3)
    after = nb.load("digits-lenet", root=tmp_path)
    [new] = set(after.network_ids) - set(before.network_ids)
    assert after.networks["device"].to_dict() == before.networks["device"].to_dict() | {new: "an abacus"}
    assert after.manifest.settings["device_kind"] == "cpu"


def test_a_grid_that_says_otherwise_is_refused_by_network(half: Path, tmp_path: Path) -> None:
    other = write_grid(tmp_path / "small.toml", epochs=2, rates=(0.005, 0.03))
    with pytest.raises(PlanMismatchError, match=r"network \d .*'learning_rate': 0.03"):
        run("restore", "digits-lenet", "--root", str(half), "--out", str(tmp_path), "--grid", other)


def test_a_pack_of_another_library_version_is_refused(tmp_path: Path) -> None:
    shutil.copytree(bundled_folder() / "digits-lenet-half", tmp_path / "pack" / "digits-lenet-half")
    [manifest] = (tmp_path / "pack").rglob("subset.json")
    libraries = nb.load("digits-lenet-half", root=tmp_path / "pack").manifest.libraries
    manifest.write_text(manifest.read_text().replace(f'"{libraries["torch"]}"', '"1.0.0"'))
    with pytest.raises(PlanMismatchError, match=r"trained with torch 1\.0\.0, but .* is installed"):
        run("restore", "digits-lenet-half", "--root", str(tmp_path / "pack"), "--out", str(tmp_path / "runs"))


def test_what_an_unfinished_training_left_is_not_mixed_with_the_pack(half: Path, grid: str, tmp_path: Path) -> None:
    run("restore", "digits-lenet", "--root", str(half), "--out", str(tmp_path / "exact"), "--grid", grid)
    rounded = {"graphs": Selection(mantissa_bits=12)}
    pack_subset(begun_plan("digits-lenet", tmp_path / "exact"), tiers=rounded, into=tmp_path / "light")
    light = nb.load("digits-lenet", root=tmp_path / "light")
    made = plan_beyond(light, tmp_path / "again", grid=grid)
    made.bind(load_images("digits", cache=tmp_path / "images"))
    begun = made.run(light.network_ids[0])
    begun.folder.mkdir(parents=True)
    begun.write_snapshot(1, initial_weights("digits-lenet", seed=1))
    restore(light, made)
    assert begun.epochs_with_snapshots() == []
    assert nb.load("digits-lenet", root=pack_subset(made).parents[1]).tiers == ["networks"]


def test_a_pack_whose_runs_are_lost_is_not_replaced_by_fewer_networks(half: Path, grid: str, tmp_path: Path) -> None:
    shutil.copytree(half, tmp_path, dirs_exist_ok=True)
    before = nb.load("digits-lenet", root=tmp_path).checksum
    with pytest.raises(ReleasedVersionError, match=r"has networks that are not among the finished runs \(1, such as \d+\)"):
        train(tmp_path, grid, 1)
    assert nb.load("digits-lenet", root=tmp_path).checksum == before
    run("restore", "digits-lenet", "--root", str(tmp_path), "--out", str(tmp_path), "--grid", grid)
    train(tmp_path, grid, 3)
    assert len(nb.load("digits-lenet", root=tmp_path).networks) == 3


def test_a_grid_that_has_lost_rows_is_refused_by_network(half: Path, tmp_path: Path) -> None:
    fewer = write_grid(tmp_path / "small.toml", epochs=2, rates=(0.005,), dropouts=(0.0,))
    with pytest.raises(PlanMismatchError, match=r"networks that the grid small does not have now \(\d, such as \d\)"):
        run("restore", "digits-lenet", "--root", str(half), "--out", str(tmp_path), "--grid", fewer)
