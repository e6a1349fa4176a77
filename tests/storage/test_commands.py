"""The commands `list`, `info` and `verify`: what they say of subsets that are bundled, downloaded in part, or one's own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import nndynbench as nb
from nndynbench.cli import app
from nndynbench.storage.manifest import read_manifest
from nndynbench.storage.writing import write_manifest
from nndynbench.subsets.loading import UnreadableSubsetWarning
from tests.storage.conftest import PUBLISHED
from tests.storage.hub_stand_in import HubStandIn

NOT_AT_HAND = ["–", "–", "–", "none"]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def row(listed: Result, name: str) -> list[str]:
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in listed.output.splitlines()]
    [cells] = [cells for cells in rows if cells[:1] == [name]]
    return cells


def test_list_has_every_subset_and_what_of_it_is_at_hand(digits: nb.Subset) -> None:
    listed = run("list")
    assert listed.exit_code == 0
    assert row(listed, "digits-lenet")[2:] == [digits.version, "240", "full", "networks, centralities, graphs, weights"]


def test_list_with_a_root_looks_nowhere_else(tmp_path: Path) -> None:
    assert row(run("list", "--root", str(tmp_path)), "digits-lenet")[2:] == NOT_AT_HAND


@pytest.mark.parametrize("broken", ["digits-lenet", "my-zoo"])
def test_list_names_a_subset_whose_manifest_is_broken_and_goes_on(broken: str, bundled: Path, tmp_path: Path) -> None:
    shutil.copytree(bundled, tmp_path / "digits-lenet" / bundled.name)
    manifest = read_manifest(bundled).model_copy(update={"subset": "my-zoo", "summary": "24 runs"})
    (tmp_path / "my-zoo" / bundled.name).mkdir(parents=True)
    write_manifest(tmp_path / "my-zoo" / bundled.name, manifest)
    path = tmp_path / broken / bundled.name / "subset.json"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.warns(UnreadableSubsetWarning, match=f"{broken} is left out: {path} is not a valid manifest"):
        listed = run("list", "--root", str(tmp_path))
    assert listed.exit_code == 0
    facts = {name: row(listed, name) for name in ("digits-lenet", "my-zoo")}
    assert facts.pop(broken)[2:] == NOT_AT_HAND
    assert [cells[3] for cells in facts.values()] == ["240"]


def test_info_says_which_tiers_are_still_to_be_downloaded(hub: HubStandIn) -> None:
    def tiers() -> dict[str, str]:
        shown = run("info", "digits-lenet", "--version", PUBLISHED)
        assert shown.exit_code == 0, shown.output
        return {line.split()[1].rstrip(":"): line for line in shown.output.splitlines() if line.startswith("tier ")}

    nb.download("digits-lenet", version=PUBLISHED)
    before = tiers()
    assert {name for name, line in before.items() if "to be downloaded" in line} == {"weights"}
    assert "not at hand; complete in: " in before["graphs"]
    assert "cifar10-lenet-diverse" in before["graphs"]
    nb.download("digits-lenet", tiers=["weights"], version=PUBLISHED)
    assert "240 networks, derived from the weights" in tiers()["graphs"]


def test_info_names_the_processor_that_trained_a_subset(digits: nb.Subset) -> None:
    [device] = digits.devices
    assert f"trained on {device}" in run("info", "digits-lenet").output


def test_info_names_kept_epochs_one_by_one_where_some_between_are_not() -> None:
    assert "tier weights: 1536 networks, epochs 1, 3, 5, 8.9 MB" in run("info", "digits-lenet-seeds").output
    assert "tier weights: 240 networks, epochs 1 to 10 and last" in run("info", "digits-lenet").output


def test_verify_checks_all_at_hand_and_names_what_is_bad(bundled: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    shutil.copytree(bundled, own / "digits-lenet" / bundled.name)
    good = run("verify", "--root", str(own))
    assert (good.exit_code, good.output.count("6 files checked")) == (0, 1)
    path = own / "digits-lenet" / bundled.name / "weights.h5"
    path.write_bytes(path.read_bytes()[:-1])
    bad = run("verify", "--root", str(own))
    assert bad.exit_code == 1
    assert "damaged" in bad.output
    assert "weights.h5" in bad.output


def test_verify_goes_on_behind_a_broken_manifest(bundled: Path, tmp_path: Path) -> None:
    half = bundled.parents[1] / "digits-lenet-half"
    for folder in (bundled, next(half.iterdir())):
        shutil.copytree(folder, tmp_path / folder.parent.name / folder.name)
    (tmp_path / "digits-lenet" / bundled.name / "subset.json").write_text("{")
    checked = run("verify", "--root", str(tmp_path))
    assert checked.exit_code == 1
    assert "damaged" in checked.output
    assert "subset.json" in checked.output
    assert "digits-lenet-half" in checked.output
    assert "files checked" in checked.output


def test_verify_takes_what_lies_at_another_place_for_no_damage(bundled: Path, home: Path) -> None:
    """Such as in a clone, whose ``data/`` has one tier beside the bundled tables."""
    beside = home / "digits-lenet" / bundled.name
    beside.mkdir(parents=True)
    for name in ("subset.json", "weights.h5"):
        shutil.copy(bundled / name, beside / name)
    good = run("verify", "digits-lenet")
    assert (good.exit_code, good.output.count("files checked")) == (0, 2), good.output
    assert f"1 files checked in {beside}" in good.output
    (beside / "weights.h5").write_bytes(b"")
    assert run("verify", "digits-lenet").exit_code == 1
    assert run("verify").exit_code == 1


@pytest.mark.parametrize("command", ["verify", "curves"])
def test_all_subsets_of_a_folder_that_has_none_are_an_error(command: str, tmp_path: Path) -> None:
    nothing = run(command, "--root", str(tmp_path / "mistyped"))
    assert nothing.exit_code == 1
    assert str(nothing.exception) == f"no subset found in {tmp_path / 'mistyped'}"
