"""Loading by name: what a fresh install has, and one clear error for each thing that it lacks."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import nndynbench as nb
from nndynbench.names import UnknownNameError
from nndynbench.storage.files import DamagedFileError
from nndynbench.storage.places import NotAtHandError


def test_the_bundled_zoo_has_every_network_of_its_grid(digits: nb.Subset) -> None:
    networks = digits.networks
    assert len(networks) == 48 * 5
    assert networks["learning_rate"].nunique() == 48
    assert sorted(networks["dropout"].unique()) == [0.0, 0.2, 0.4, 0.6, 0.8]
    assert networks["seed"].is_unique


def test_the_bundled_zoo_is_balanced_enough_to_classify(digits: nb.Subset) -> None:
    assert 0.35 <= digits.networks["label"].mean() <= 0.65
    above = digits.networks["final_accuracy"] >= digits.manifest.threshold
    assert (digits.networks["label"] == above).all()


def test_all_tiers_of_the_bundled_zoo_are_at_hand_within_12_megabytes(digits: nb.Subset) -> None:
    assert digits.tiers == ["networks", "centralities", "graphs", "weights"]
    assert sum(facts.bytes for facts in digits.manifest.files.values()) <= 12e6


def test_every_trained_epoch_has_its_curve_and_every_stored_signature(digits: nb.Subset) -> None:
    trained = digits.networks["epochs_trained"]
    assert digits.curves.groupby(level="network").size().equals(trained.rename(None))
    kinds = digits.signatures.groupby(level=["representation", "sign", "centrality"], observed=True).size()
    assert set(kinds) == {int((trained + 1).sum())}
    assert {kind[:2] for kind in kinds.index} == {
        ("rolled", ""),
        ("rolled-shuffled", ""),
        ("unrolled", "positive"),
        ("unrolled", "negative"),
    }


def test_subsets_lists_what_is_at_hand() -> None:
    listed = nb.subsets()
    assert listed.loc["digits-lenet", "networks"] == 240
    assert "cifar10-vgg" in listed.index


@pytest.mark.parametrize(("name", "meant"), [("digit-lenet", "digits-lenet"), ("cifar-vgg", "cifar10-vgg")])
def test_an_unknown_subset_is_guessed_and_the_valid_ones_listed(name: str, meant: str) -> None:
    message = f"unknown subset '{name}'; did you mean '{meant}'.*valid: .*imagenet-resnet50"
    with pytest.raises(UnknownNameError, match=message):
        nb.load(name)


def test_an_unknown_subset_without_a_root_says_how_to_name_the_folder_of_ones_own_packs(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"a pack of your own needs its folder: --root FOLDER, or load\(…, root="):
        nb.load("my-zoo")
    with pytest.raises(UnknownNameError) as refused:
        nb.load("my-zoo", root=tmp_path)
    assert "--root" not in str(refused.value)


def test_a_subset_that_is_nowhere_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(NotAtHandError, match="python -m generation train imagenet-resnet50"):
        nb.load("imagenet-resnet50", root=tmp_path)


def test_an_unknown_version_names_those_at_hand() -> None:
    with pytest.raises(NotAtHandError, match=r"digits-lenet 9\.9\.9 .*versions there: 1\.0\.0"):
        nb.load("digits-lenet", version="9.9.9")


def test_a_folder_named_by_the_environment_goes_before_the_bundled_one(
    digits: nb.Subset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = tmp_path / "digits-lenet" / "1.1.0"
    shutil.copytree(digits.folder, copied)
    renamed = digits.manifest.model_copy(update={"version": "1.1.0"})
    (copied / "subset.json").write_text(renamed.model_dump_json(), encoding="utf-8")
    monkeypatch.setenv("NNDYNBENCH_HOME", str(tmp_path))
    assert nb.load("digits-lenet").folder == copied
    assert nb.load("digits-lenet", version="1.0.0").folder == digits.folder


@pytest.mark.parametrize("name", ["digits-lenet", "digits-lenet-half", "digits-lenet-double"])
def test_the_first_version_of_the_digits_is_read_as_the_one_with_its_tables(name: str) -> None:
    first, now = nb.load(name, version="0.1.0"), nb.load(name)
    assert (first.version, first.checksum) == ("1.0.0", now.checksum)


@pytest.mark.parametrize("file", ["networks.parquet", "signatures.parquet", "weights.h5", "splits.json"])
@pytest.mark.parametrize("harm", ["truncated", "altered", "missing"])
def test_a_damaged_file_is_named_with_expected_and_found_checksum(
    digits: nb.Subset, tmp_path: Path, file: str, harm: str
) -> None:
    folder = tmp_path / "digits-lenet" / digits.version
    shutil.copytree(digits.folder, folder)
    content = (folder / file).read_bytes()
    if harm == "truncated":
        (folder / file).write_bytes(content[:-100])
    elif harm == "altered":
        (folder / file).write_bytes(content[:500] + bytes([content[500] ^ 1]) + content[501:])
    else:
        (folder / file).unlink()
    with pytest.raises(DamagedFileError) as caught:
        read_everything(nb.load("digits-lenet", root=tmp_path))
    assert file in str(caught.value)
    if harm != "missing":
        assert digits.manifest.files[file].sha256 in str(caught.value)


def read_everything(subset: nb.Subset) -> None:
    subset.split("folds")
    history = subset.history(subset.network_ids[0], 1)
    history.signature("degree")
    history.weights(0)


def test_the_stored_signature_is_that_of_the_stored_weights(digits: nb.Subset) -> None:
    """Bundled weights are rounded to 12 bits of mantissa, stored signatures are not."""
    for network in (0, 100, 239):
        history = digits.history(network, 10)
        stored = history.signature("degree")
        derived = [nb.centralities.moments(history.graph(epoch).degree()) for epoch in range(1, 11)]
        np.testing.assert_allclose(stored, derived, rtol=2e-3, atol=2e-3)


def test_the_stored_centralities_are_those_of_the_stored_graphs(digits: nb.Subset) -> None:
    history = digits.history(123, 10)
    for epoch in (1, 10):
        graph = history.graph(epoch)
        np.testing.assert_allclose(history.centrality("degree")[epoch - 1], graph.degree(), rtol=1e-3)
        np.testing.assert_allclose(
            history.centrality("eigenvector")[epoch - 1], graph.eigenvector_centrality(), rtol=1e-2, atol=1e-4
        )


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, nndynbench; print([m for m in ('torch', 'sklearn', 'scipy', 'pandas', 'h5py') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_the_signatures_of_a_snapshot_import_no_learner() -> None:
    code = (
        "import sys; from nndynbench.signatures import snapshot_signatures; "
        "print([m for m in ('sklearn', 'scipy.stats', 'pandas') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_scoring_a_method_imports_no_torch() -> None:
    code = (
        "import sys, nndynbench as nb; nb.evaluate('degree-svm', 'digits-lenet', budgets=1);"
        "print([m for m in ('torch', 'torchvision', 'datasets') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


@pytest.mark.parametrize("own", ["digits-lenet", "digits-lenet/1.0.0"])
def test_a_root_that_is_the_subsets_own_folder_names_the_one_that_holds_it(
    own: str, digits: nb.Subset, tmp_path: Path
) -> None:
    shutil.copytree(digits.folder, tmp_path / "digits-lenet" / "1.0.0")
    said = f"is the own folder of digits-lenet: root= is the folder that holds it, {re.escape(str(tmp_path))}"
    with pytest.raises(NotAtHandError, match=said):
        nb.load("digits-lenet", root=tmp_path / own)
