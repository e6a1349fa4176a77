"""What packing leaves: a folder that `nndynbench` and `datasets` read, with splits as columns and its mirrors named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("torch")

from typer.testing import CliRunner

import nndynbench as nb
from generation.cli import app
from generation.pack import Selection, pack_subset
from generation.plan import begun_plan
from nndynbench.storage.arrays import rounded
from nndynbench.storage.hub import Origin, fetch
from nndynbench.storage.manifest import MANIFEST_NAME, Manifest, read_manifest
from nndynbench.subsets.splits import DrawnSplits, fold_columns
from tests.storage.hub_stand_in import HubStandIn

SPLITS = ["sample_fold", "fold", "blocked_fold", "holdout"]


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> nb.Subset:
    """One network of the digits' grid, trained and packed here, with a mirror."""
    out = tmp_path_factory.mktemp("packed")
    killed = out / "digits-lenet" / nb.subsets().loc["digits-lenet", "version"] / "weights.h5.1.partial"
    killed.parent.mkdir(parents=True)
    killed.write_bytes(b"half")
    mirror = "https://mirror.example/{subset}/{version}/{file}"
    for command in (
        ["train", "digits-lenet", "--out", str(out), "--networks", "1", "--workers", "1", "--keep", "3", "--no-pack"],
        ["pack", "digits-lenet", "--out", str(out), "--mirror", mirror],
    ):
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 0, done.output
    return nb.load("digits-lenet", root=out)


def test_it_is_read_at_every_tier(packed: nb.Subset) -> None:
    assert packed.tiers == ["networks", "centralities", "graphs", "weights"]
    history = packed.history(packed.network_ids[0], 3)
    assert history.graph(3).blocks[0].shape == history.weights(3)["conv1.weight"].shape[:2]


def test_its_manifest_names_the_command_that_trains_and_keeps_the_same(packed: nb.Subset) -> None:
    assert packed.manifest.training_command == "python -m generation train digits-lenet --grid digits --keep 3 --out DIR"
    assert set(packed.features.index.unique("epoch")) == {0, 1, 2, 3, packed.networks["epochs_trained"].iloc[0]}


def test_its_manifest_says_regime_and_older_ones_that_say_protocol_are_read(packed: nb.Subset) -> None:
    text = (packed.folder / "subset.json").read_text(encoding="utf-8")
    assert json.loads(text)["regime"] == "full"
    assert Manifest.model_validate_json(text.replace('"regime"', '"protocol"')) == packed.manifest


def test_what_a_killed_packing_left_half_written_is_gone(packed: nb.Subset) -> None:
    assert sorted(path.name for path in packed.folder.iterdir()) == sorted([*packed.manifest.files, "subset.json"])


def test_datasets_loads_it(packed: nb.Subset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr("datasets.config.HF_DATASETS_OFFLINE", True)
    root = str(packed.folder.parents[1])
    loaded = datasets.load_dataset(root, "digits-lenet", split="all", cache_dir=str(tmp_path))
    assert loaded["network"] == packed.network_ids
    assert set(SPLITS) <= set(loaded.column_names)


def test_a_file_can_be_had_from_the_mirror_alone(packed: nb.Subset, hub: HubStandIn, tmp_path: Path) -> None:
    manifest = read_manifest(packed.folder)
    facts = manifest.files["curves.parquet"]
    [address] = facts.mirrors
    assert address == f"https://mirror.example/digits-lenet/{packed.version}/curves.parquet"
    content = (packed.folder / "curves.parquet").read_bytes()
    hub.mirrored["/curves.parquet"] = content
    here = facts.model_copy(update={"mirrors": [f"{hub.address}/curves.parquet"]})
    origin = Origin(repository="nobody/nothing", commit="0" * 40)
    fetch(origin, f"digits-lenet/{packed.version}/curves.parquet", here, tmp_path / "curves.parquet")
    assert (tmp_path / "curves.parquet").read_bytes() == content


@pytest.mark.parametrize(
    "name", ["../../bashrc", "/etc/passwd", "..", "sub/curves.parquet", "C:\\curves.parquet", ".bashrc"]
)
def test_a_manifest_that_names_files_elsewhere_is_refused(packed: nb.Subset, tmp_path: Path, name: str) -> None:
    facts = json.loads((packed.folder / MANIFEST_NAME).read_text())
    facts["files"][name] = facts["files"]["curves.parquet"]
    (tmp_path / MANIFEST_NAME).write_text(json.dumps(facts))
    with pytest.raises(ValueError, match="is not a valid manifest"):
        read_manifest(tmp_path)


def test_a_manifest_whose_mirror_is_not_on_the_web_is_refused(packed: nb.Subset, tmp_path: Path) -> None:
    facts = json.loads((packed.folder / MANIFEST_NAME).read_text())
    facts["files"]["curves.parquet"]["mirrors"] = ["file:///dev/zero"]
    (tmp_path / MANIFEST_NAME).write_text(json.dumps(facts))
    with pytest.raises(ValueError, match="is not a valid manifest"):
        read_manifest(tmp_path)


def test_a_split_that_could_not_be_drawn_is_a_column_of_missing_values(packed: nb.Subset) -> None:
    assert packed.networks[SPLITS].isna().all(axis=None)
    drawn = fold_columns(DrawnSplits({"holdout": [([1], [2])], "folds": [([1], [2]), ([2], [1])]}, {}), [1, 2])
    expected = pd.DataFrame({"fold": [1, 0], "holdout": [False, True]}, index=pd.Index([1, 2], name="network"))
    pd.testing.assert_frame_equal(drawn[["fold", "holdout"]], expected.astype({"fold": "Int8", "holdout": "boolean"}))


def test_a_tier_is_rounded_to_the_bits_asked_for_and_the_manifest_says_so_too(packed: nb.Subset, tmp_path: Path) -> None:
    made = begun_plan("digits-lenet", packed.folder.parents[1])
    light = nb.Subset(
        pack_subset(made, tiers={"weights": Selection([1, 2], 8), "graphs": Selection(None, 12)}, into=tmp_path)
    )
    tiers = light.manifest.tiers
    assert (tiers["weights"].mantissa_bits, tiers["graphs"].mantissa_bits) == (8, 12)
    assert tiers["weights"].epochs == [1, 2]
    network = packed.network_ids[0]
    for name, weights in packed.history(network, 2).weights(2).items():
        np.testing.assert_array_equal(light.history(network, 2).weights(2)[name], rounded(weights, 8))
