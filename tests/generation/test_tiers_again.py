"""A tier of a packed subset is made again: beside other tiers of the same networks, never in the pack it is made from."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")

import nndynbench as nb
from generation.again import first_epochs_plan, write_pack
from generation.images import Images
from generation.plan import SubsetPlan
from nndynbench.storage.places import bundled_folder
from tests.generation.small_runs import job, train_in_this_process
from tests.generation.test_command_line import generation


@pytest.fixture(scope="module")
def made(digits: nb.Subset, digit_images: Images, tmp_path_factory: pytest.TempPathFactory) -> SubsetPlan:
    """One network of the bundled subset, trained again for an epoch."""
    plan = first_epochs_plan(digits, tmp_path_factory.mktemp("again"), 1)
    plan.bind(digit_images)
    train_in_this_process(job(plan, 1), digit_images)
    return plan


def test_a_second_tier_comes_beside_the_first(made: SubsetPlan, digits: nb.Subset, tmp_path: Path) -> None:
    [network] = made.finished(made.order)
    write_pack(digits, made, tmp_path, [network], "graphs", mantissa_bits=8)
    write_pack(digits, made, tmp_path, [network], "centralities", mantissa_bits=12)
    found = nb.load("digits-lenet", root=tmp_path)
    assert found.tiers == ["networks", "centralities", "graphs"]
    assert found.checksum == digits.checksum
    assert found.manifest.tiers["graphs"].mantissa_bits == 8
    assert found.history(network, 1).graph(1).number_of_edges > 0


def test_a_tier_that_is_made_once_more_takes_the_place_of_the_first(
    made: SubsetPlan, digits: nb.Subset, tmp_path: Path
) -> None:
    for bits in (8, 12):
        write_pack(digits, made, tmp_path, made.finished(made.order), "graphs", mantissa_bits=bits)
    assert nb.load("digits-lenet", root=tmp_path).manifest.tiers["graphs"].mantissa_bits == 12


def test_other_networks_of_the_same_version_are_not_mixed_in(made: SubsetPlan, digits: nb.Subset, tmp_path: Path) -> None:
    folder = write_pack(digits, made, tmp_path, made.finished(made.order), "graphs", mantissa_bits=8)
    manifest = (folder / "subset.json").read_text(encoding="utf-8")
    curves = digits.manifest.files["curves.parquet"].sha256
    (folder / "subset.json").write_text(manifest.replace(curves, "0" * 64), encoding="utf-8")
    write_pack(digits, made, tmp_path, made.finished(made.order), "centralities", mantissa_bits=8)
    assert nb.load("digits-lenet", root=tmp_path).tiers == ["networks", "centralities"]


def test_the_pack_that_a_tier_is_made_of_is_refused_as_its_place_before_any_training() -> None:
    packs = bundled_folder()
    with pytest.raises(ValueError, match="choose an --out other than"):
        generation("tier", "digits-lenet", "--root", packs, "--out", packs, "--workers", 1)
    assert not (packs / "digits-lenet" / "runs").exists()
