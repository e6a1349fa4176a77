"""The card: current, complete, valid for the hub, and enough for `datasets` to load a packed folder by."""

from __future__ import annotations

import json
import math
import re
import shutil
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
from huggingface_hub import DatasetCard
from scipy.stats import spearmanr

pytest.importorskip("jinja2")


import nndynbench as nb
from generation.card import (
    _rank_correlation,
    configuration_name,
    dataset_card,
    described_fields,
    packed_subsets,
    write_card,
)
from generation.cli.publishing import card as generation_card
from nndynbench.storage.places import bundled_folder
from nndynbench.storage.tables import KEYS

ROOT = Path(__file__).parents[2]


def test_the_card_says_what_the_bundled_subsets_are() -> None:
    current = dataset_card(packed_subsets(bundled_folder()))
    written = (ROOT / "DATASET_CARD.md").read_text(encoding="utf-8")
    assert written == current, "stale: run python -m generation card"


def test_every_column_of_every_bundled_table_is_described() -> None:
    fields = described_fields()
    for subset in packed_subsets(bundled_folder()):
        for table in KEYS:
            columns = set(getattr(subset, table).reset_index().columns)
            assert columns <= set(fields[table]), f"{subset.name} {table}: {columns - set(fields[table])}"


def test_every_column_of_every_grid_is_described() -> None:
    from generation.grids import grid_names, read_grid

    for grid in grid_names():
        assert set(read_grid(grid).networks.columns) <= set(described_fields()["networks"])


def test_the_metadata_is_what_the_hub_knows() -> None:
    card = DatasetCard((ROOT / "DATASET_CARD.md").read_text(encoding="utf-8"))
    data = card.data.to_dict()
    assert data["license"] == "cc-by-4.0"
    assert set(data["task_categories"]) <= {"tabular-regression", "tabular-classification"}
    names = [configuration["config_name"] for configuration in data["configs"]]
    expected = {configuration_name(s.name, table) for s in packed_subsets(bundled_folder()) for table in KEYS}
    assert set(names) == expected
    assert len(names) == len(set(names))
    assert all(len(configuration["data_files"]) == 1 for configuration in data["configs"])


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A packed folder with its card, as `python -m generation pack` leaves it."""
    folder = tmp_path_factory.mktemp("repository")
    shutil.copytree(bundled_folder() / "digits-lenet", folder / "digits-lenet")
    write_card(folder)
    return folder


@pytest.mark.parametrize(("mine", "written"), [("README.md", "croissant.json"), ("croissant.json", "README.md")])
def test_a_file_of_somebody_elses_is_left_and_named_and_ones_own_is_written_anew(
    mine: str, written: str, tmp_path: Path
) -> None:
    shutil.copytree(bundled_folder() / "digits-lenet-half", tmp_path / "digits-lenet-half")
    assert write_card(tmp_path) == []
    own = (tmp_path / written).read_text(encoding="utf-8")
    (tmp_path / written).write_text(own + "\n", encoding="utf-8")
    (tmp_path / mine).write_text("# My experiments with nndynbench\n", encoding="utf-8")
    assert write_card(tmp_path) == [tmp_path / mine]
    assert (tmp_path / mine).read_text(encoding="utf-8") == "# My experiments with nndynbench\n"
    assert (tmp_path / written).read_text(encoding="utf-8") == own


def test_a_folder_that_is_no_version_is_passed_over(tmp_path: Path) -> None:
    """Such as a pack that was moved aside by hand."""
    for name, version in (("digits-lenet-half", "1.0.0"), ("digits-lenet", "1.0.0-small")):
        shutil.copytree(bundled_folder() / name / "1.0.0", tmp_path / name / version)
    assert write_card(tmp_path) == []
    assert [subset.name for subset in packed_subsets(tmp_path)] == ["digits-lenet-half"]


def test_of_two_subsets_packed_at_once_the_later_card_has_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second is packed, and writes its card, while the first describes what it found."""
    for name in ("digits-lenet-half", "digits-lenet-double"):
        shutil.copytree(bundled_folder() / name, tmp_path / "both" / name)
    (tmp_path / "root").mkdir()
    (tmp_path / "both" / "digits-lenet-half").rename(tmp_path / "root" / "digits-lenet-half")
    other = threading.Thread(target=write_card, args=(tmp_path / "root",))

    def while_the_other_packs(subsets: list[nb.Subset]) -> str:
        if threading.current_thread() is threading.main_thread():
            (tmp_path / "both" / "digits-lenet-double").rename(tmp_path / "root" / "digits-lenet-double")
            other.start()
            other.join(1)
        return dataset_card(subsets)

    monkeypatch.setattr("generation.card.dataset_card", while_the_other_packs)
    write_card(tmp_path / "root")
    other.join()
    assert "config_name: digits-lenet-double-curves" in (tmp_path / "root" / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("table", list(KEYS))
def test_datasets_loads_each_table_of_a_packed_folder(
    table: str, repository: Path, digits: nb.Subset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr("datasets.config.HF_DATASETS_OFFLINE", True)
    name = "digits-lenet" if table == "networks" else f"digits-lenet-{table}"
    loaded = datasets.load_dataset(str(repository), name, split="all", cache_dir=str(tmp_path))
    ours = getattr(digits, table).reset_index()
    theirs = loaded.to_pandas()
    assert list(theirs.columns) == list(ours.columns)
    assert len(theirs) == len(ours)
    for column in ours:
        kind = loaded.features[column].dtype
        if pd.api.types.is_bool_dtype(ours[column].dtype):
            assert kind == "bool"
        elif pd.api.types.is_integer_dtype(ours[column].dtype):
            assert kind.startswith("int")
        elif pd.api.types.is_float_dtype(ours[column].dtype):
            assert kind.startswith("float")
        else:
            assert kind.endswith("string")
        assert values(theirs[column]) == values(ours[column])


def values(column: pd.Series) -> list[object]:
    return [None if pd.isna(value) else value for value in column]


def test_the_folds_are_columns_that_agree_with_the_splits(digits: nb.Subset) -> None:
    networks = digits.networks
    for split, column in {"sample_folds": "sample_fold", "folds": "fold", "blocked": "blocked_fold"}.items():
        folds = digits.split(split)
        for number, (_, test) in enumerate(folds):
            assert sorted(networks.index[networks[column] == number]) == sorted(test)
        assert networks[column].notna().sum() == sum(len(test) for _, test in folds)
    [(train, test)] = digits.split("holdout")
    assert sorted(networks.index[networks["holdout"]]) == sorted(test)
    assert sorted(networks.index[~networks["holdout"]]) == sorted(train)


def test_arrays_are_read_without_the_package_as_the_card_says(digits: nb.Subset, tmp_path: Path) -> None:
    import hdf5plugin  # noqa: F401

    # The package may have the file open itself, with other flags.
    with h5py.File(shutil.copy(digits.folder / "weights.h5", tmp_path)) as file:
        row = file["networks"][:].tolist().index(100)
        values = file["values"][row, file["epochs"][row].tolist().index(3)]
        parts = json.loads(file.attrs["parts"])
    read = {name: values[start : start + math.prod(shape)].reshape(shape) for name, start, shape in parts}
    for name, weights in digits.history(100, 3).weights(3).items():
        np.testing.assert_array_equal(read[name], weights)


def test_the_card_can_be_written_when_no_network_reached_epoch_5(digits: nb.Subset) -> None:
    early = digits.curves[digits.curves.index.get_level_values("epoch") <= 3]
    short: Any = SimpleNamespace(curves=early, networks=digits.networks, manifest=digits.manifest)
    third = digits.curves["validation_accuracy"].xs(3, level="epoch")
    assert _rank_correlation(short, 5) == f"{spearmanr(third, digits.networks['final_accuracy']).statistic:.2f}"


def test_a_subsets_rows_of_the_card_say_what_its_networks_do(digits: nb.Subset) -> None:
    networks, accuracies = digits.networks, digits.networks["final_accuracy"]
    trained, high = networks["epochs_trained"], int((accuracies >= 40).sum())
    seen = [digits.curves["validation_accuracy"].xs(epoch, level="epoch") for epoch in (1, 5)]
    rows = [
        f"| digits-lenet | {digits.version} | full | {len(networks)} ({len(networks)}) "
        f"| {trained.min()} to {trained.max()} | 40% | {high} | {networks['diverged'].sum()} "
        f"| {accuracies.min():.1f} to {accuracies.max():.1f}% |",
        f"| digits-lenet | {100 * (accuracies <= 15).mean():.0f}% | {100 * max(high, 240 - high) / 240:.0f}% "
        f"| {spearmanr(seen[0], accuracies).statistic:.2f} | {spearmanr(seen[1], accuracies).statistic:.2f} |",
    ]
    written = (ROOT / "DATASET_CARD.md").read_text(encoding="utf-8").splitlines()
    assert [row for row in rows if row not in written] == []


@pytest.mark.parametrize("repository", [None, "ada/nndynbench"])
def test_a_card_of_files_that_are_not_published_points_to_a_clone(repository: str | None, digits: nb.Subset) -> None:
    said = dataset_card([digits], repository=repository)
    of_a_clone = ("Nothing is published on the hub yet", "a clone holds more, in `data/`")
    assert [words in said for words in of_a_clone] == [repository is None] * 2


def test_the_tables_are_read_with_pandas_as_the_card_says(digits: nb.Subset) -> None:
    card = (ROOT / "DATASET_CARD.md").read_text(encoding="utf-8")
    [snippet] = re.findall(r"```python\n(import pandas .*?)```", card, flags=re.DOTALL)
    address = "hf://datasets/nndynbench/nndynbench"
    assert address in snippet
    names: dict[str, Any] = {}
    exec(snippet.replace(address, str(bundled_folder())), names)
    assert names["tested"].index.tolist() == sorted(digits.split("folds")[0][1])
    assert names["learnt_from"].index.tolist() == sorted(digits.split("folds")[0][0])
    assert names["curves"].shape[0] == len(digits.curves)


def test_the_columns_that_the_card_calls_known_at_the_end_are_those_of_the_outcome() -> None:
    columns = list(described_fields()["networks"])
    late = columns[columns.index("epochs_trained") : columns.index("seconds") + 1]
    for subset in packed_subsets(bundled_folder()):
        assert not {*subset.manifest.hyperparameters} & {*late}
    assert {"final_accuracy", "best_accuracy", "late_accuracy", "label", "diverged"} <= {*late}


def test_the_command_writes_the_card_into_the_folder_that_it_describes_and_over_nobodys_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(bundled_folder() / "digits-lenet-half", tmp_path / "zoo" / "digits-lenet-half")
    monkeypatch.chdir(tmp_path)
    Path("DATASET_CARD.md").write_text("of the clone", encoding="utf-8")
    generation_card(Path("zoo"))
    generation_card(Path("zoo"))
    assert Path("DATASET_CARD.md").read_text(encoding="utf-8") == "of the clone"
    assert Path("zoo/README.md").read_text(encoding="utf-8") == dataset_card(packed_subsets(tmp_path / "zoo"))
    Path("zoo/croissant.json").write_text("{}", encoding="utf-8")
    with pytest.raises(FileExistsError, match=r"croissant\.json is not overwritten"):
        generation_card(Path("zoo"), Path("CARD.md"))
    assert not Path("CARD.md").exists()
